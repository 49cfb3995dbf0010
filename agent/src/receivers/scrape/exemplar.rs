//! Exemplars of a page in the shape of OTLP: the ids of trace and span as such, other labels as filtered attributes.

use std::collections::HashMap;

use sonde_model::exemplar::{SPAN_ID, TRACE_ID, fits};
use sonde_model::span::{SpanId, TraceId};
use sonde_proto::exposition;
use sonde_proto::otlp::metrics::{Exemplar, exemplar::Value};

use super::labels::Labels;
use crate::payload::attribute;

/// The exemplar of a sample; `None` where its labels are longer than OpenMetrics allows. Without a time on the page it
/// has the time 0.
pub(super) fn of_sample(exemplar: &exposition::Exemplar<'_, '_>) -> Option<Exemplar> {
    if !fits(exemplar.labels.iter().map(|(name, value)| (&**name, &**value))) {
        return None;
    }
    let ms = exemplar.timestamp.and_then(|ms| u64::try_from(ms).ok()).unwrap_or(0);
    let mut otlp = Exemplar {
        time_unix_nano: ms.saturating_mul(1_000_000),
        value: Some(Value::AsDouble(exemplar.value)),
        ..Exemplar::default()
    };
    for (name, value) in exemplar.labels {
        // Only what comes back as the same text may become an id.
        let is_hex = value.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f')) && value.bytes().any(|b| b != b'0');
        let trace = (name == TRACE_ID && is_hex && value.len() == 32).then(|| value.parse::<TraceId>());
        let span = (name == SPAN_ID && is_hex && value.len() == 16).then(|| value.parse::<SpanId>());
        match (trace, span) {
            (Some(Ok(id)), _) => otlp.trace_id = id.0.to_vec(),
            (_, Some(Ok(id))) => otlp.span_id = id.0.to_vec(),
            _ => otlp.filtered_attributes.push(attribute(name, value)),
        }
    }
    Some(otlp)
}

/// The exemplars of a page that say no time, by name and labels of their metric.
///
/// A page shows such an exemplar until there is a newer one: it counts when it is seen first.
#[derive(Debug, Default)]
pub(super) struct Untimed(HashMap<(String, Labels), Vec<Exemplar>>);

impl Untimed {
    /// Gives the exemplars of a series that are new on this page the time of the page; those that the page `before` had
    /// go.
    pub(super) fn settle(
        &mut self,
        before: &Untimed,
        name: &str,
        labels: &Labels,
        exemplars: &mut Vec<Exemplar>,
        time_ns: u64,
    ) {
        if exemplars.iter().all(|e| e.time_unix_nano != 0) {
            return;
        }
        let key = (name.to_owned(), labels.clone());
        let known = before.0.get(&key).map(Vec::as_slice).unwrap_or_default();
        let seen = self.0.entry(key).or_default();
        exemplars.retain_mut(|exemplar| {
            if exemplar.time_unix_nano != 0 {
                return true;
            }
            let is_new = !known.contains(exemplar);
            seen.push(exemplar.clone());
            exemplar.time_unix_nano = time_ns;
            is_new
        });
    }
}
