//! The server: ingest, store, query, rules, notifications. The only composition root.
//!
//! It is the only crate that knows the shapes of the HTTP API. What it decides about samples, series and queries it
//! leaves to the libraries: here they are configured, connected, started, watched and stopped.

pub mod anomaly;
mod answer_of_peer;
mod api;
mod app;
pub mod auth;
pub mod config;
mod consumer;
mod derive;
mod enrol;
mod export;
pub mod flags;
pub mod import;
mod inbox;
mod ingest;
pub mod notify;
mod query;
mod rule_store;
pub mod rules;
mod server;
mod settings;
pub mod silences;
pub mod state;
mod telemetry;
mod tempo;
mod tls;
mod turns;
mod watch;

#[cfg(fuzzing)]
pub use api::read_bodies;
pub use app::{Addresses, App, StartError};
pub use config::Config;
pub use flags::Flags;
pub use ingest::{LabelProblem, normalise};
pub use settings::store_options;
