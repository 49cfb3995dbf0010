//! Queries: the store as the engine wants to see it, and the threads that queries run on.

mod pool;
mod source;

pub(crate) use pool::{Expired, QueryPool, QueueError};
pub(crate) use source::StoreSource;
