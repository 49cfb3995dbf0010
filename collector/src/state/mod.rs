//! The state database: small things that must survive a restart, in SQLite. Alerts, their history, the outbox of
//! notifications, silences, and the tokens of the API.
//!
//! One thread owns the connection. It takes bundles of changes over a bounded channel and commits each bundle as a whole, in
//! the order in which they came; bundles that wait together share a transaction and its sync. It must not know when rules
//! are evaluated and when notifications are due: what is written here was decided before.

mod alerts;
mod change;
mod columns;
mod database;
mod error;
mod history;
mod outbox;
mod received;
mod silences;
mod stats;
mod tokens;
mod writer;

#[cfg(test)]
pub(crate) mod tests;

pub use change::{Change, GroupChange, Memory, StoredAlert, StoredGroup, Transition};
pub use database::{Location, Options};
pub use error::{CommitError, StateError};
pub use history::{HistoryLine, HistoryPage};
pub use stats::Stats;
pub use writer::{Done, State};
