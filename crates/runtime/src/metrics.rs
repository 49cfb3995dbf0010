//! Self-metrics: a registry of closures that read what the parts of a process count in plain atomics.
//!
//! The same closures answer `/metrics` and feed opentelemetry instruments, so that there is one truth.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use opentelemetry::KeyValue;
use opentelemetry::metrics::Meter;
use parking_lot::Mutex;

/// What a metric is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Metric {
    /// The Prometheus name with unit and, for a counter, `_total`: `sonde_tsdb_samples_appended_total`.
    pub name: Cow<'static, str>,
    /// One sentence for people.
    pub help: Cow<'static, str>,
    /// How the value behaves.
    pub kind: MetricKind,
    /// Labels that tell series of the same name apart.
    pub labels: Vec<(Cow<'static, str>, Cow<'static, str>)>,
}

/// How the value of a metric behaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MetricKind {
    /// Only grows while the process lives.
    Counter,
    /// Goes up and down.
    Gauge,
}

/// The value of a metric at the moment of asking.
#[derive(Clone, Debug, PartialEq)]
pub struct MetricPoint {
    /// What was read.
    pub metric: Metric,
    /// Its value.
    pub value: f64,
}

/// All metrics of a process. Clones share them. No globals: it is handed to what registers.
#[derive(Clone, Default)]
pub struct Registry {
    inner: Arc<Mutex<Inner>>,
}

#[derive(Default)]
struct Inner {
    families: BTreeMap<Cow<'static, str>, Family>,
    meter: Option<Meter>,
}

struct Family {
    help: Cow<'static, str>,
    kind: MetricKind,
    series: Arc<Mutex<Vec<Series>>>,
}

type Read = Arc<dyn Fn() -> f64 + Send + Sync>;

struct Series {
    labels: Vec<(Cow<'static, str>, Cow<'static, str>)>,
    read: Read,
}

impl Metric {
    /// A counter without labels.
    pub fn counter(name: impl Into<Cow<'static, str>>, help: impl Into<Cow<'static, str>>) -> Self {
        Metric { name: name.into(), help: help.into(), kind: MetricKind::Counter, labels: Vec::new() }
    }

    /// A gauge without labels.
    pub fn gauge(name: impl Into<Cow<'static, str>>, help: impl Into<Cow<'static, str>>) -> Self {
        Metric { name: name.into(), help: help.into(), kind: MetricKind::Gauge, labels: Vec::new() }
    }

    /// The same metric with one more label.
    #[must_use]
    pub fn label(mut self, name: impl Into<Cow<'static, str>>, value: impl Into<Cow<'static, str>>) -> Self {
        self.labels.push((name.into(), value.into()));
        self
    }
}

impl Registry {
    /// A registry without metrics.
    pub fn new() -> Self {
        Self::default()
    }

    /// Registers a series whose value `read` gives. The help text and kind of a name are those given first; the same
    /// name with the same labels again replaces the earlier closure, as a restarted part of a process needs.
    pub fn register(&self, metric: Metric, read: impl Fn() -> f64 + Send + Sync + 'static) {
        let mut inner = self.inner.lock();
        let Metric { name, help, kind, labels } = metric;
        let Inner { families, meter } = &mut *inner;
        let family = families.entry(name.clone()).or_insert_with(|| {
            let family = Family { help, kind, series: Arc::default() };
            if let Some(meter) = meter {
                family.observe(meter, name.clone());
            }
            family
        });
        let mut series = family.series.lock();
        let read: Read = Arc::new(read);
        match series.iter_mut().find(|known| known.labels == labels) {
            Some(known) => known.read = read,
            None => series.push(Series { labels, read }),
        }
    }

    /// Reads every metric; sorted by name, series of a name in the order of registration.
    pub fn gather(&self) -> Vec<MetricPoint> {
        let mut found = Vec::new();
        for (name, family) in &self.inner.lock().families {
            for series in family.series.lock().iter() {
                let metric = Metric {
                    name: name.clone(),
                    help: family.help.clone(),
                    kind: family.kind,
                    labels: series.labels.clone(),
                };
                found.push((metric, Arc::clone(&series.read)));
            }
        }
        // Read outside the locks: a closure may take locks of its own.
        found.into_iter().map(|(metric, read)| MetricPoint { metric, value: read() }).collect()
    }

    /// Makes every metric, also those registered later, an observable instrument of `meter`.
    pub fn install(&self, meter: &Meter) {
        let mut inner = self.inner.lock();
        for (name, family) in &inner.families {
            family.observe(meter, name.clone());
        }
        inner.meter = Some(meter.clone());
    }
}

impl Family {
    fn observe(&self, meter: &Meter, name: Cow<'static, str>) {
        let series = Arc::clone(&self.series);
        let observations = move || {
            let series = series.lock();
            let with_attributes = |series: &Series| {
                let attributes = series.labels.iter().map(|(name, value)| KeyValue::new(name.clone(), value.clone()));
                (attributes.collect::<Vec<_>>(), Arc::clone(&series.read))
            };
            series.iter().map(with_attributes).collect::<Vec<_>>()
        };
        match self.kind {
            MetricKind::Counter => {
                let builder = meter.f64_observable_counter(name).with_description(self.help.clone());
                let observe = move |observer: &dyn opentelemetry::metrics::AsyncInstrument<f64>| {
                    observations().iter().for_each(|(attributes, read)| observer.observe(read(), attributes));
                };
                builder.with_callback(observe).build();
            }
            MetricKind::Gauge => {
                let builder = meter.f64_observable_gauge(name).with_description(self.help.clone());
                let observe = move |observer: &dyn opentelemetry::metrics::AsyncInstrument<f64>| {
                    observations().iter().for_each(|(attributes, read)| observer.observe(read(), attributes));
                };
                builder.with_callback(observe).build();
            }
        }
    }
}

impl fmt::Debug for Registry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Registry").field("names", &self.inner.lock().families.keys()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU64, Ordering};

    use super::*;

    #[test]
    fn gathering_reads_the_counters_of_their_owner() {
        let (registry, count) = (Registry::new(), Arc::new(AtomicU64::new(0)));
        let shared = Arc::clone(&count);
        registry.register(Metric::gauge("b_bytes", "B."), || 2.5);
        for reason in ["late", "ahead"] {
            let shared = Arc::clone(&shared);
            let metric = Metric::counter("a_total", "A.").label("reason", reason);
            registry.register(metric, move || shared.load(Ordering::Relaxed) as f64);
        }
        count.store(7, Ordering::Relaxed);
        let points = registry.gather();
        let seen: Vec<_> = points
            .iter()
            .map(|point| (point.metric.name.as_ref(), point.metric.labels.first().map(|label| &*label.1), point.value))
            .collect();
        assert_eq!(seen, [("a_total", Some("late"), 7.0), ("a_total", Some("ahead"), 7.0), ("b_bytes", None, 2.5)]);
    }

    #[test]
    fn the_same_series_again_replaces_the_closure() {
        let registry = Registry::new();
        registry.register(Metric::gauge("a", "A."), || 1.0);
        registry.register(Metric::gauge("a", "A."), || 2.0);
        assert_eq!(registry.gather().iter().map(|point| point.value).collect::<Vec<_>>(), [2.0]);
    }
}
