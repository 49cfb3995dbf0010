//! The per-host daemon: receivers, disk queue, exporter.
//!
//! It speaks OTLP and must not know of series, stores or query languages. What it acknowledged is on disk; what it has
//! to drop leaves a gap record.

pub mod app;
pub mod command;
pub mod config;
mod credentials;
pub mod export;
pub mod flags;
pub mod gaps;
pub mod identity;
pub mod live;
pub mod origin;
mod own_token;
pub mod payload;
pub mod queue;
pub mod receivers;
pub mod resource;
pub mod schedule;
pub mod self_metrics;

pub use app::{App, BuildError};
pub use config::Config;
pub use credentials::CredentialsError;
pub use own_token::OwnTokenError;
