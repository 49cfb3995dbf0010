//! Receivers: where telemetry comes from. Each hands finished payloads to the queue and knows nothing of shipping.

pub mod host;
pub mod otlp;
pub mod scrape;
