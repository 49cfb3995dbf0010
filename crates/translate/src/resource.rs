//! What resource and scope add: `job`, `instance`, promoted attributes, scope labels, and `target_info`.

use std::collections::HashSet;
use std::hash::BuildHasher;

use foldhash::fast::RandomState;
use sonde_model::TimestampMs;
use sonde_proto::otlp::common::{InstrumentationScope, KeyValue};
use sonde_proto::otlp::resource::Resource;

use crate::label_name::label_name;
use crate::labels::{Fixed, Scratch};
use crate::options::{Options, Promotion};
use crate::report::Report;
use crate::row::{Row, RowValue};
use crate::value;

const SERVICE_NAME: &str = "service.name";
const SERVICE_NAMESPACE: &str = "service.namespace";
const SERVICE_INSTANCE: &str = "service.instance.id";
const IDENTIFYING: [&str; 3] = [SERVICE_NAME, SERVICE_NAMESPACE, SERVICE_INSTANCE];

/// The name of the metric that bears the attributes of a resource.
pub(crate) const TARGET_INFO: &str = "target_info";

/// More `target_info` samples than this are not written for one resource of one request: points that lie years apart
/// are a broken clock, not a reason to write a million samples. The newest are kept.
const MAX_TARGET_INFO_SAMPLES: i64 = 1_000;

/// The labels that all series of a scope bear.
#[derive(Debug, Default)]
pub(crate) struct FixedLabels {
    labels: Vec<Fixed>,
}

impl FixedLabels {
    /// The labels of a resource and one of its scopes, in the order of their precedence.
    pub(crate) fn of(
        options: &Options,
        resource: Option<&Resource>,
        scope: Option<(&InstrumentationScope, &str)>,
    ) -> Self {
        let mut fixed = FixedLabels::default();
        let attributes = resource.map_or(&[][..], |resource| &resource.attributes);
        for attribute in attributes {
            let promoted = match &options.promote_resource_attributes {
                Promotion::None => false,
                Promotion::Only(keys) => keys.contains(&attribute.key),
                Promotion::AllExcept(keys) => !keys.contains(&attribute.key),
            };
            if let Some(name) = label_name(options, &attribute.key).filter(|_| promoted)
                && !fixed.labels.iter().any(|label| label.name == name)
                && fixed.labels.len() < options.max_labels
            {
                fixed.labels.push(Fixed { name, value: text(attribute), yields: true });
            }
        }
        if let Some((scope, schema_url)) = scope.filter(|(scope, _)| options.promote_scope && !scope.name.is_empty()) {
            for attribute in scope.attributes.iter().take(options.max_labels) {
                if let Some(name) = label_name(options, &format!("otel_scope_{}", attribute.key)) {
                    fixed.set(&name, text(attribute));
                }
            }
            fixed.set("otel_scope_name", scope.name.clone());
            fixed.set("otel_scope_version", scope.version.clone());
            fixed.set("otel_scope_schema_url", schema_url.to_owned());
        }
        fixed.identify(attributes);
        fixed.labels.retain(|label| !label.value.is_empty());
        fixed
    }

    pub(crate) fn as_slice(&self) -> &[Fixed] {
        &self.labels
    }

    fn identify(&mut self, attributes: &[KeyValue]) {
        let find = |key: &str| attributes.iter().find(|attribute| attribute.key == key).map(text);
        if let Some(name) = find(SERVICE_NAME) {
            let job = find(SERVICE_NAMESPACE).map_or(name.clone(), |namespace| format!("{namespace}/{name}"));
            self.set("job", job);
        }
        if let Some(instance) = find(SERVICE_INSTANCE) {
            self.set("instance", instance);
        }
    }

    fn set(&mut self, name: &str, value: String) {
        match self.labels.iter_mut().find(|label| label.name == name) {
            Some(label) => *label = Fixed { name: name.to_owned(), value, yields: false },
            None => self.labels.push(Fixed { name: name.to_owned(), value, yields: false }),
        }
    }
}

fn text(attribute: &KeyValue) -> String {
    let mut text = String::new();
    value::write(&mut text, attribute.value.as_ref());
    text
}

/// Writes `target_info` once a series and time within a request.
#[derive(Debug, Default)]
pub(crate) struct TargetInfo {
    written: HashSet<(u64, TimestampMs), RandomState>,
    hasher: RandomState,
}

impl TargetInfo {
    /// Forgets the request before.
    pub(crate) fn clear(&mut self) {
        self.written.clear();
    }

    /// Whether this request has none.
    pub(crate) fn is_empty(&self) -> bool {
        self.written.is_empty()
    }

    /// Writes samples from the earliest to the latest point of the resource, so far apart that a query at any time
    /// between them finds one.
    pub(crate) fn write(
        &mut self,
        options: &Options,
        resource: &Resource,
        (earliest, latest): (TimestampMs, TimestampMs),
        scratch: &mut Scratch,
        sink: &mut dyn FnMut(Row<'_>),
        report: &mut Report,
    ) {
        let attributes = &resource.attributes;
        if !options.target_info || !attributes.iter().any(|a| !IDENTIFYING.contains(&a.key.as_str())) {
            return;
        }
        let mut fixed = FixedLabels::default();
        fixed.identify(attributes);
        fixed.labels.retain(|label| !label.value.is_empty());
        if fixed.labels.is_empty() {
            return;
        }
        let keep = |key: &str| options.keep_identifying_resource_attributes || !IDENTIFYING.contains(&key);
        if scratch.read(options, attributes, keep).is_err() {
            report.dropped_target_infos += 1;
            return;
        }
        let labels = scratch.labels(attributes, fixed.as_slice(), TARGET_INFO, "");
        let labels = labels.as_slice();
        let identity = self.hasher.hash_one(labels);
        let interval = options.target_info_interval_ms.max(1);
        let mut timestamp = earliest.max(latest.saturating_sub(interval.saturating_mul(MAX_TARGET_INFO_SAMPLES)));
        loop {
            if self.written.insert((identity, timestamp)) {
                sink(Row { labels, timestamp, value: RowValue::Float(1.0) });
            }
            if timestamp >= latest {
                return;
            }
            timestamp = timestamp.saturating_add(interval).min(latest);
        }
    }
}
