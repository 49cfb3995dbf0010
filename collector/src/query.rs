//! Queries: the store as the engine wants to see it, the threads that queries run on, and what they share.

mod answers;
mod cache;
mod client;
mod flights;
mod line;
mod pool;
mod quick;
mod source;

pub(crate) use answers::Answers;
pub(crate) use cache::{CacheKey, Extent};
pub(crate) use client::Client;
pub(crate) use pool::{Expired, QueryPool, QueueError};
pub(crate) use source::{StoreSource, TimedSource};
