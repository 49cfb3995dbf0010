//! What resource and scope add: `job`, `instance`, promoted attributes, scope labels, and `target_info`.

use std::collections::HashSet;
use std::hash::BuildHasher;

use foldhash::fast::RandomState;
use sonde_model::TimestampMs;
use sonde_proto::otlp::{AttributeView, ResourceMetricsView, ResourceView, ScopeView, ViewError};

use crate::label_name::label_name;
use crate::labels::{Fixed, Scratch};
use crate::options::{Options, Promotion};
use crate::point::{Attributes, AttributesError};
use crate::report::Report;
use crate::row::{Piece, Row, RowValue, SeriesKey, Sink, Times};
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
        resource: Option<ResourceView<'_>>,
        scope: Option<(ScopeView<'_>, &str)>,
    ) -> Result<Self, ViewError> {
        let mut fixed = FixedLabels::default();
        let attributes: Attributes<'_> = attributes_of(resource)?;
        for attribute in &attributes {
            let is_key = |key: &String| key == attribute.key;
            let promoted = match &options.promote_resource_attributes {
                Promotion::None => false,
                Promotion::Only(keys) => keys.iter().any(is_key),
                Promotion::AllExcept(keys) => !keys.iter().any(is_key),
            };
            if let Some(name) = label_name(options, attribute.key).filter(|_| promoted)
                && !fixed.labels.iter().any(|label| label.name == name)
                && fixed.labels.len() < options.max_labels
            {
                fixed.labels.push(Fixed { name, value: text(attribute)?, yields: true });
            }
        }
        if let Some((scope, schema_url)) = scope.filter(|(scope, _)| options.promote_scope && !scope.name.is_empty()) {
            for attribute in scope.attributes.iter().take(options.max_labels) {
                let attribute = attribute?;
                if let Some(name) = label_name(options, &format!("otel_scope_{}", attribute.key)) {
                    fixed.set(&name, text(&attribute)?);
                }
            }
            fixed.set("otel_scope_name", scope.name.to_owned());
            fixed.set("otel_scope_version", scope.version.to_owned());
            fixed.set("otel_scope_schema_url", schema_url.to_owned());
        }
        fixed.identify(&attributes)?;
        Ok(fixed)
    }

    pub(crate) fn as_slice(&self) -> &[Fixed] {
        &self.labels
    }

    /// Sets `job` and `instance`, and leaves out what is empty.
    fn identify(&mut self, attributes: &[AttributeView<'_>]) -> Result<(), ViewError> {
        let find = |key: &str| attributes.iter().find(|attribute| attribute.key == key).map(text).transpose();
        if let Some(name) = find(SERVICE_NAME)? {
            let job = match find(SERVICE_NAMESPACE)? {
                Some(namespace) => format!("{namespace}/{name}"),
                None => name,
            };
            self.set("job", job);
        }
        if let Some(instance) = find(SERVICE_INSTANCE)? {
            self.set("instance", instance);
        }
        self.labels.retain(|label| !label.value.is_empty());
        Ok(())
    }

    fn set(&mut self, name: &str, value: String) {
        match self.labels.iter_mut().find(|label| label.name == name) {
            Some(label) => *label = Fixed { name: name.to_owned(), value, yields: false },
            None => self.labels.push(Fixed { name: name.to_owned(), value, yields: false }),
        }
    }
}

pub(crate) fn attributes_of(resource: Option<ResourceView<'_>>) -> Result<Attributes<'_>, ViewError> {
    resource.into_iter().flat_map(|resource| resource.attributes.iter()).collect()
}

fn text(attribute: &AttributeView<'_>) -> Result<String, ViewError> {
    let mut text = String::new();
    value::write(&mut text, attribute.value)?;
    Ok(text)
}

/// Writes `target_info` once a series and time within a request.
#[derive(Debug, Default)]
pub(crate) struct TargetInfo {
    written: HashSet<(u128, TimestampMs), RandomState>,
    hasher: RandomState,
}

/// The labels of a `target_info`, worked out.
struct InfoLabels<'a> {
    attributes: Attributes<'a>,
    fixed: FixedLabels,
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
        resource: ResourceMetricsView<'_>,
        (earliest, latest): (TimestampMs, TimestampMs),
        scratch: &mut Scratch,
        sink: &mut dyn Sink,
        report: &mut Report,
    ) -> Result<(), ViewError> {
        let Some(bytes) = resource.resource_bytes().filter(|_| options.target_info) else { return Ok(()) };
        let key = sink.hash(Piece::TargetInfo, bytes).map(SeriesKey);
        let interval = options.target_info_interval_ms.max(1);
        let first = earliest.max(latest.saturating_sub(interval.saturating_mul(MAX_TARGET_INFO_SAMPLES)));
        let mut times = std::iter::successors(Some(first), |time| {
            (*time < latest).then(|| time.saturating_add(interval).min(latest))
        });
        let one = RowValue::Float(1.0);
        let at = |timestamp| Times { timestamp, start: 0 };

        let mut unknown = None;
        if let Some(key) = key {
            // Of two resources with the same bytes the second is the first again.
            unknown = times.find(|time| {
                let new = !self.written.contains(&(key.0, *time));
                let taken = new && sink.take(key, at(*time), one.clone()).is_none();
                if taken {
                    self.written.insert((key.0, *time));
                }
                new && !taken
            });
            if unknown.is_none() {
                return Ok(());
            }
        }
        let attributes = attributes_of(resource.resource()?)?;
        let Some(InfoLabels { attributes, fixed }) = info_labels(options, attributes)? else { return Ok(()) };
        let keep = |key: &str| options.keep_identifying_resource_attributes || !IDENTIFYING.contains(&key);
        match scratch.read(options, &attributes, keep) {
            Ok(_) => {}
            Err(AttributesError::Broken(error)) => return Err(error),
            Err(AttributesError::Rejected(_)) => {
                report.dropped_target_infos += 1;
                return Ok(());
            }
        }
        let mut labels = scratch.labels(&attributes, fixed.as_slice(), "");
        let labels = labels.with(TARGET_INFO, "", None);
        let identity = key.map_or_else(|| u128::from(self.hasher.hash_one(labels)), |key| key.0);
        for timestamp in unknown.into_iter().chain(times) {
            if self.written.insert((identity, timestamp)) {
                sink.row(Row { key, labels, times: at(timestamp), value: one.clone() });
            }
        }
        Ok(())
    }
}

/// What identifies the target, where there is something to say about it beyond that.
fn info_labels<'a>(options: &Options, attributes: Attributes<'a>) -> Result<Option<InfoLabels<'a>>, ViewError> {
    if !options.target_info || attributes.iter().all(|a| IDENTIFYING.contains(&a.key)) {
        return Ok(None);
    }
    let mut fixed = FixedLabels::default();
    fixed.identify(&attributes)?;
    Ok((!fixed.labels.is_empty()).then_some(InfoLabels { attributes, fixed }))
}
