//! Sends what fires, and what does not any more, to webhooks.
//!
//! When which alerts are sent is decided in `sonde_alerting::dispatch`; here are the clock, the network and the counters.
//! What receivers are to be told, and what they have been told, becomes durable in the state database in the order in which
//! it was decided.

mod delivery;
mod json;
mod notifier;
mod stats;

#[cfg(test)]
mod tests;

pub use delivery::{Attempt, ClientError};
pub use notifier::{News, Notifier, WebhookOptions};
pub use stats::{ReceiverStats, Stats};
