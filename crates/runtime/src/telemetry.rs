//! The process's own metrics on the road that everyone's take: a meter provider whose reader hands what it collected
//! to a callback of the binary, which encodes and ships it.
//!
//! This module must not know of OTLP: the callback gets the SDK's own type. Telemetry of the export itself is suppressed
//! by the SDK while the callback runs.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use opentelemetry::KeyValue;
use opentelemetry::metrics::{Meter, MeterProvider};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::{OTelSdkError, OTelSdkResult};
use opentelemetry_sdk::metrics::data::ResourceMetrics;
use opentelemetry_sdk::metrics::exporter::PushMetricExporter;
use opentelemetry_sdk::metrics::{PeriodicReader, SdkMeterProvider, Temporality};

/// How long the last collection may take when the process stops.
const SHUTDOWN: Duration = Duration::from_secs(5);

/// Collects the metrics of a process every interval on a thread of its own, until it is shut down.
#[derive(Debug)]
pub struct Telemetry {
    provider: SdkMeterProvider,
}

impl Telemetry {
    /// Starts collecting. `resource` describes the process; `export` is called once per interval and once more at
    /// shutdown. It may block for a moment but must not wait for the network.
    pub fn start(
        resource: impl IntoIterator<Item = KeyValue>,
        interval: Duration,
        export: impl Fn(&ResourceMetrics) -> Result<(), String> + Send + Sync + 'static,
    ) -> Self {
        let reader = PeriodicReader::builder(Callback(Arc::new(export))).with_interval(interval).build();
        // The empty builder: no attribute comes from the environment behind the configuration's back.
        let resource = Resource::builder_empty().with_attributes(resource).build();
        Telemetry { provider: SdkMeterProvider::builder().with_reader(reader).with_resource(resource).build() }
    }

    /// A meter for one scope of the process, as `sonde-agent`.
    pub fn meter(&self, scope: &'static str) -> Meter {
        self.provider.meter(scope)
    }

    /// Collects and exports now. Blocks until the callback has returned.
    pub fn flush(&self) -> Result<(), String> {
        self.provider.force_flush().map_err(|error| error.to_string())
    }

    /// Collects and exports a last time and stops. Blocks until the callback has returned.
    pub fn shutdown(&self) -> Result<(), String> {
        self.provider.shutdown_with_timeout(SHUTDOWN).map_err(|error| error.to_string())
    }
}

type Export = dyn Fn(&ResourceMetrics) -> Result<(), String> + Send + Sync;

struct Callback(Arc<Export>);

impl fmt::Debug for Callback {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Callback")
    }
}

impl PushMetricExporter for Callback {
    async fn export(&self, metrics: &ResourceMetrics) -> OTelSdkResult {
        (self.0)(metrics).map_err(OTelSdkError::InternalFailure)
    }

    fn force_flush(&self) -> OTelSdkResult {
        Ok(())
    }

    fn shutdown_with_timeout(&self, _timeout: Duration) -> OTelSdkResult {
        Ok(())
    }

    fn temporality(&self) -> Temporality {
        Temporality::Cumulative
    }
}

#[cfg(test)]
mod tests {
    use opentelemetry_sdk::metrics::data::{AggregatedMetrics, MetricData};
    use parking_lot::Mutex;

    use super::*;
    use crate::metrics::{Metric, Registry};

    #[test]
    fn registered_metrics_reach_the_callback() {
        let seen = Arc::new(Mutex::new(Vec::new()));
        let sink = Arc::clone(&seen);
        let telemetry = Telemetry::start(
            [KeyValue::new("service.name", "sonde-test")],
            Duration::from_secs(3_600),
            move |metrics: &ResourceMetrics| {
                let mut sink = sink.lock();
                for metric in metrics.scope_metrics().flat_map(|scope| scope.metrics()) {
                    let AggregatedMetrics::F64(data) = metric.data() else { continue };
                    let (kind, values): (_, Vec<_>) = match data {
                        MetricData::Sum(sum) => {
                            ("sum", sum.data_points().map(|p| (p.value(), p.attributes().count())).collect())
                        }
                        MetricData::Gauge(gauge) => {
                            ("gauge", gauge.data_points().map(|p| (p.value(), p.attributes().count())).collect())
                        }
                        _ => continue,
                    };
                    sink.push((metric.name().to_owned(), kind, values));
                }
                Ok(())
            },
        );
        let registry = Registry::new();
        registry.register(Metric::counter("early_total", "Registered before.").label("reason", "x"), || 3.0);
        registry.install(&telemetry.meter("test"));
        registry.register(Metric::gauge("late_bytes", "Registered after."), || 4.0);
        telemetry.shutdown().unwrap();
        let mut seen = seen.lock();
        seen.sort_by(|a, b| a.0.cmp(&b.0));
        assert_eq!(
            *seen,
            [("early_total".to_owned(), "sum", vec![(3.0, 1)]), ("late_bytes".to_owned(), "gauge", vec![(4.0, 0)])]
        );
    }
}
