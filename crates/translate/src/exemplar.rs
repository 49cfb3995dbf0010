//! Exemplars of points: the ids of trace and span and the filtered attributes become labels.

use std::collections::VecDeque;

use sonde_model::exemplar::{SPAN_ID, TRACE_ID, fits};
use sonde_model::span::{SpanId, TraceId};
use sonde_model::{Exemplar, LabelsBuilder, TimestampMs};
use sonde_proto::otlp::{ExemplarView, Messages, NumberView, ViewError};

use crate::report::Report;
use crate::row::Sink;
use crate::value;

/// The exemplars of a point, from the lowest to the highest, on their way to the rows of the point.
#[derive(Debug)]
pub(crate) struct PointExemplars {
    sorted: VecDeque<Exemplar>,
}

impl PointExemplars {
    /// Those of a point whose time is `timestamp`. Without any, nothing is allocated.
    pub(crate) fn new(
        views: Messages<'_, ExemplarView<'_>>,
        timestamp: TimestampMs,
        report: &mut Report,
    ) -> Result<Self, ViewError> {
        if views.is_empty() {
            return Ok(PointExemplars { sorted: VecDeque::new() });
        }
        let mut exemplars = Vec::new();
        for view in views {
            exemplars.extend(one(&view?, timestamp, report)?);
        }
        exemplars.sort_by(|a, b| a.value.total_cmp(&b.value));
        Ok(PointExemplars { sorted: exemplars.into() })
    }

    /// How many are left.
    pub(crate) fn len(&self) -> usize {
        self.sorted.len()
    }

    /// Hands the sink those of the row that it has just taken: what is left up to `bound`, with infinity all that is
    /// left.
    pub(crate) fn give(&mut self, bound: f64, sink: &mut dyn Sink) {
        let holds = |exemplar: &Exemplar| bound == f64::INFINITY || exemplar.value.total_cmp(&bound).is_le();
        while self.sorted.front().is_some_and(holds)
            && let Some(exemplar) = self.sorted.pop_front()
        {
            sink.exemplar(exemplar);
        }
    }
}

fn one(view: &ExemplarView<'_>, point_time: TimestampMs, report: &mut Report) -> Result<Option<Exemplar>, ViewError> {
    let value = match view.value {
        Some(NumberView::Double(value)) => value,
        Some(NumberView::Int(value)) => value as f64,
        None => {
            report.exemplars_without_value += 1;
            return Ok(None);
        }
    };
    let mut ids = LabelsBuilder::default();
    if let Some(id) = <[u8; 16]>::try_from(view.trace_id).ok().filter(|id| *id != [0; 16]) {
        ids.set(TRACE_ID, &TraceId(id).to_string());
    }
    if let Some(id) = <[u8; 8]>::try_from(view.span_id).ok().filter(|id| *id != [0; 8]) {
        ids.set(SPAN_ID, &SpanId(id).to_string());
    }
    let mut all = ids.clone();
    for attribute in view.filtered_attributes.iter() {
        let attribute = attribute?;
        if attribute.key.is_empty() || ids.get(attribute.key).is_some() {
            continue;
        }
        let mut text = String::new();
        value::write(&mut text, attribute.value)?;
        all.set(attribute.key, &text);
    }
    // The ids lead somewhere even where there is no room for the attributes.
    let (all, ids) = (all.build(), ids.build());
    let labels = if fits(all.iter()) {
        all
    } else {
        report.trimmed_exemplars += 1;
        ids
    };
    let own_time = (view.time_unix_nano / 1_000_000).cast_signed();
    let timestamp = if view.time_unix_nano == 0 { point_time } else { own_time };
    report.exemplars += 1;
    Ok(Some(Exemplar { labels, value, timestamp }))
}
