//! The keys of what is derived from spans.

use serde::{Deserialize, Serialize};
use sonde_runtime::config::Duration;

/// What is derived from spans. All keys need a restart.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct DeriveConfig {
    /// How often what grew is written into the metrics store.
    pub interval: Duration,
    /// Calls, durations and sizes of spans.
    pub span_metrics: SpanMetricsConfig,
    /// Who calls whom.
    pub service_graph: ServiceGraphConfig,
}

/// Calls, durations and sizes of spans.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct SpanMetricsConfig {
    /// Whether they are derived.
    pub enabled: bool,
    /// How many sets of service, span name, kind and status are counted.
    pub max_label_sets: usize,
}

/// Who calls whom.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct ServiceGraphConfig {
    /// Whether it is derived.
    pub enabled: bool,
    /// How long the span of the other side of a request is waited for.
    pub wait: Duration,
    /// How many requests wait for their other side.
    pub max_open: usize,
    /// How many pairs of services are counted.
    pub max_pairs: usize,
}

impl DeriveConfig {
    /// The first key whose value is no good, and why.
    pub(crate) fn fault(&self) -> Option<(&'static str, &'static str)> {
        if self.interval < Duration(std::time::Duration::from_millis(100)) {
            return Some(("derive.interval", "must be at least 100ms"));
        }
        // What grew in one interval is one record of the metrics store.
        if !(1..=20_000).contains(&self.span_metrics.max_label_sets) {
            return Some(("derive.span_metrics.max_label_sets", "must be from 1 to 20000"));
        }
        if !(1..=10_000).contains(&self.service_graph.max_pairs) {
            return Some(("derive.service_graph.max_pairs", "must be from 1 to 10000"));
        }
        if !(1..=200_000).contains(&self.service_graph.max_open) {
            return Some(("derive.service_graph.max_open", "must be from 1 to 200000"));
        }
        None
    }

    /// Whether anything is derived.
    pub(crate) fn enabled(&self) -> bool {
        self.span_metrics.enabled || self.service_graph.enabled
    }
}

impl Default for DeriveConfig {
    fn default() -> Self {
        DeriveConfig {
            interval: Duration::from_secs(15),
            span_metrics: SpanMetricsConfig::default(),
            service_graph: ServiceGraphConfig::default(),
        }
    }
}

impl Default for SpanMetricsConfig {
    fn default() -> Self {
        SpanMetricsConfig { enabled: true, max_label_sets: 5_000 }
    }
}

impl Default for ServiceGraphConfig {
    fn default() -> Self {
        ServiceGraphConfig { enabled: true, wait: Duration::from_secs(10), max_open: 10_000, max_pairs: 1_000 }
    }
}
