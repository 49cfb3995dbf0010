//! The server: ingest, store, query, rules, notifications. The only composition root.
//!
//! It is the only crate that knows the shapes of the HTTP API. What it decides about samples, series and queries it
//! leaves to the libraries: here they are configured, connected, started, watched and stopped.

pub mod config;
pub mod flags;
pub mod notify;
pub mod rules;

pub use config::Config;
pub use flags::Flags;
