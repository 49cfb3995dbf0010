//! Downsampled tiers: stores beside the store, each with a thin selection of its samples that is kept for longer.
//!
//! A tier is a [`Db`](crate::Db) without writers: its blocks are made of those of the store, a day at a time (`feed`),
//! and hold of each series and step the samples that matter (`thin`). All of them are samples of the store, with their
//! times and values, so that what both have is laid together without a seam (`read`). What was fed is remembered in a
//! file (`fed`).

pub(crate) mod fed;
mod feed;
mod open;
mod read;
mod thin;

use std::sync::Arc;
use std::sync::atomic::AtomicI64;

use parking_lot::Mutex;
use sonde_model::TimestampMs;

pub use read::{Joined, Resolution, TierPart};

use crate::Db;
use fed::Fed;

/// The directory of the tiers in that of their store.
pub(crate) const TIERS: &str = "tiers";

/// Tiers that a store may have.
pub const MAX_TIERS: usize = 4;

/// Samples are fed by days of UTC: every partition of time of a store is a number of them.
pub(crate) const DAY_MS: i64 = 86_400_000;

/// How a tier thins samples, and for how long it keeps them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TierOptions {
    /// Of each of these spans of time, in milliseconds, a few samples of each series are kept. A day is a multiple of it.
    pub step_ms: i64,
    /// How long they are kept, in milliseconds.
    pub keep_ms: i64,
}

/// An open tier.
#[derive(Debug)]
pub(crate) struct Tier {
    pub(crate) options: TierOptions,
    pub(crate) db: Arc<Db>,
    pub(crate) state: Mutex<State>,
    /// Samples before this time are in the tier, but for those that came late.
    pub(crate) fed_until: AtomicI64,
}

/// What feeding remembers. No other lock is taken while it is held.
#[derive(Debug)]
pub(crate) struct State {
    pub(crate) fed: Fed,
    /// After a failure the next attempt has to wait.
    pub(crate) not_before: TimestampMs,
}
