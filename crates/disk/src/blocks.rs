//! A store made of blocks: numbered files that are never changed, of which a manifest says which ones count.
//!
//! What is in a block is the business of the store.

pub mod cache;
pub mod clock;
pub mod directory;
pub mod file;
pub mod layout;
pub mod manifest;
pub mod retention;
