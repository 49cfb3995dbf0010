//! The keys of the span store.

use serde::{Deserialize, Serialize};
use sonde_runtime::config::{ByteSize, Duration};

/// The span store. All keys need a restart.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct TracesConfig {
    /// How long spans are kept.
    pub retention: Duration,
    /// How large blocks and log may grow before the oldest blocks are dropped; 0 is without limit.
    pub retention_size: ByteSize,
    /// How far ahead of the clock a span may start.
    pub max_ahead: Duration,
    /// How many spans of one trace are read; a longer one cannot be shown.
    pub max_trace_spans: usize,
}

impl Default for TracesConfig {
    fn default() -> Self {
        TracesConfig {
            retention: Duration::from_secs(14 * 86_400),
            retention_size: ByteSize(0),
            max_ahead: Duration::from_secs(600),
            max_trace_spans: 1_000_000,
        }
    }
}
