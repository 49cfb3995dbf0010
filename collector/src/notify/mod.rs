//! Sends what fires, and what does not any more, to webhooks.
//!
//! Who is told of which alerts, and when, is decided in `sonde_alerting::dispatch`; here are the clock, the network and the counters.
//! What receivers are to be told, and what they have been told, becomes durable in the state database in the order in which
//! it was decided.

mod asked;
mod delivery;
mod json;
mod notifier;
mod setup;
mod stats;

#[cfg(test)]
mod tests;

pub use delivery::{Attempt, ClientError};
pub use notifier::{News, Notifier};
pub use setup::{Setup, SetupError, Webhook};
pub use stats::{ReceiverStats, Stats};
