//! What every Sonde process needs around its work: config loading, the clock, staged start and shutdown, signals,
//! logs, health and self-telemetry.
//!
//! This crate must not know of telemetry formats, stores or query languages. Globals (the subscriber, signal handlers)
//! are installed by binaries only, once.

pub mod clock;
pub mod config;
pub mod health;
pub mod logs;
pub mod metrics;
pub mod numbers;
pub mod signal;
pub mod stage;
pub mod telemetry;

pub use clock::{Clock, ManualClock};
pub use config::{ConfigError, load};
pub use health::Health;
pub use logs::LogFormat;
pub use metrics::{Metric, MetricKind, MetricPoint, Registry};
pub use signal::Reload;
pub use stage::{Stage, Stages, StagesError};
