//! A token as the table in memory has it.

use std::sync::atomic::{AtomicI64, Ordering::Relaxed};

use sonde_model::{AgentId, TimestampMs};

use super::role::Role;
use super::secret::{TokenHash, TokenId};

/// When a token was last used is told to this many milliseconds: requests must not write to memory that others read, nor a
/// whole fleet to the database every minute.
const LAST_USED_GRAIN_MS: i64 = 600_000;
/// Stands for a token that was not used yet.
const NEVER: i64 = i64::MIN;

/// What is kept of a token. Plain data: also what the state database holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenRecord {
    /// The hash of its text.
    pub hash: TokenHash,
    /// What people call it.
    pub name: String,
    /// What it allows.
    pub role: Role,
    /// The only agent that may use it to send.
    pub agent: Option<AgentId>,
    /// When it was made.
    pub created_at: TimestampMs,
    /// When it ends.
    pub expires_at: Option<TimestampMs>,
    /// How many agents it can still enrol; for the role `enrol`.
    pub uses_left: Option<u32>,
    /// When it was last used, roughly.
    pub last_used_at: Option<TimestampMs>,
}

/// A token that can be used.
#[derive(Debug)]
pub(crate) struct Token {
    record: TokenRecord,
    last_used: AtomicI64,
    /// The last use that the database knows.
    stored_use: AtomicI64,
}

impl Token {
    /// A token of the database.
    pub(crate) fn new(record: TokenRecord) -> Self {
        let used = record.last_used_at.unwrap_or(NEVER);
        Token { record, last_used: AtomicI64::new(used), stored_use: AtomicI64::new(used) }
    }

    /// What does not change while it is used.
    pub(crate) fn record(&self) -> &TokenRecord {
        &self.record
    }

    /// Its short name.
    pub(crate) fn id(&self) -> TokenId {
        self.record.hash.id()
    }

    /// Whether its time is over.
    pub(crate) fn is_expired(&self, now: TimestampMs) -> bool {
        self.record.expires_at.is_some_and(|end| now >= end)
    }

    /// Remembers that it is used now.
    pub(crate) fn used(&self, now: TimestampMs) {
        let now = now.div_euclid(LAST_USED_GRAIN_MS) * LAST_USED_GRAIN_MS;
        if self.last_used.load(Relaxed) < now {
            self.last_used.store(now, Relaxed);
        }
    }

    /// When it was last used, roughly.
    pub(crate) fn last_used_at(&self) -> Option<TimestampMs> {
        Some(self.last_used.load(Relaxed)).filter(|at| *at != NEVER)
    }

    /// A use that the database does not know yet, once.
    pub(crate) fn use_to_store(&self) -> Option<TimestampMs> {
        let at = self.last_used_at()?;
        (self.stored_use.swap(at, Relaxed) != at).then_some(at)
    }

    /// The record with its last use.
    pub(crate) fn to_record(&self) -> TokenRecord {
        TokenRecord { last_used_at: self.last_used_at(), ..self.record.clone() }
    }
}
