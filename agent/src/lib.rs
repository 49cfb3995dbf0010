//! The per-host daemon: receivers, disk queue, exporter.
//!
//! It speaks OTLP and must not know of series, stores or query languages. What it acknowledged is on disk; what it has
//! to drop leaves a gap record.

pub mod config;
pub mod payload;
pub mod receivers;
pub mod resource;
pub mod schedule;

pub use config::Config;
