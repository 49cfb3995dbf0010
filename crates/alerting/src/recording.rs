//! What a recording rule makes of the result of its expression.

use std::collections::HashSet;

use sonde_model::{LabelsBuilder, METRIC_NAME, TimestampMs};
use sonde_promql::VectorSample;

use crate::group::{EvaluationError, OutputSample};
use crate::rules::RecordingRule;

/// The result under the name and the labels of the rule.
pub(crate) fn record(
    rule: &RecordingRule,
    result: Vec<VectorSample>,
    timestamp: TimestampMs,
    limit: usize,
) -> Result<Vec<OutputSample>, EvaluationError> {
    let mut samples = Vec::with_capacity(result.len());
    let mut seen = HashSet::with_capacity(result.len());
    for sample in result {
        let mut labels = LabelsBuilder::from(&sample.labels);
        labels.set(METRIC_NAME, &rule.record);
        for (name, value) in &rule.labels {
            labels.set(name, value);
        }
        let labels = labels.build();
        if !seen.insert(labels.clone()) {
            return Err(EvaluationError::DuplicateLabels { what: "rule" });
        }
        samples.push(OutputSample { labels, timestamp, value: sample.value });
    }
    if limit > 0 && samples.len() > limit {
        return Err(EvaluationError::LimitExceeded { limit, got: samples.len(), what: "series" });
    }
    Ok(samples)
}
