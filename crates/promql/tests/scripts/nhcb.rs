//! Classic histograms as native ones with custom buckets.

use std::collections::BTreeMap;

use sonde_model::histogram::CUSTOM_BUCKETS_SCHEMA;
use sonde_model::{Histogram, Labels, METRIC_NAME, Span, TimestampMs};

use crate::load::{LoadedSample, LoadedSeries};
use crate::sequence::SequenceValue;

/// The samples of `X_bucket`, `X_count` and `X_sum` at one time.
#[derive(Debug, Default)]
struct Classic {
    buckets: Vec<(f64, f64)>,
    count: Option<f64>,
    sum: f64,
}

/// What of a classic histogram a series holds.
enum Part {
    Bucket(f64),
    Count,
    Sum,
}

/// The native histograms under `X` of all classic ones among `all`.
pub(crate) fn convert(all: &[LoadedSeries]) -> Result<Vec<LoadedSeries>, String> {
    let mut histograms: BTreeMap<Labels, BTreeMap<TimestampMs, Classic>> = BTreeMap::new();
    for series in all {
        let Some((base, part)) = part_of(&series.labels) else { continue };
        let by_time = histograms.entry(base).or_default();
        for sample in &series.samples {
            let SequenceValue::Float(value) = sample.value else { continue };
            let classic = by_time.entry(sample.timestamp).or_default();
            match part {
                Part::Bucket(bound) => classic.buckets.push((bound, value)),
                Part::Count => classic.count = Some(value),
                Part::Sum => classic.sum = value,
            }
        }
    }
    let mut converted = Vec::new();
    for (labels, by_time) in histograms {
        let mut samples = Vec::new();
        for (timestamp, classic) in by_time {
            let histogram = Box::new(classic.native().map_err(|e| format!("{labels} at {timestamp}: {e}"))?);
            let value = SequenceValue::Histogram { histogram, hint_given: false };
            samples.push(LoadedSample { timestamp, start: None, value });
        }
        converted.push(LoadedSeries { labels, samples });
    }
    Ok(converted)
}

fn part_of(labels: &Labels) -> Option<(Labels, Part)> {
    let name = labels.metric_name();
    let (base, part) = if let Some(base) = name.strip_suffix("_bucket") {
        let bound: f64 = labels.get("le")?.parse().ok().filter(|bound: &f64| !bound.is_nan())?;
        (base, Part::Bucket(bound))
    } else if let Some(base) = name.strip_suffix("_count") {
        (base, Part::Count)
    } else {
        (name.strip_suffix("_sum")?, Part::Sum)
    };
    Some((labels.without(|label| label == "le").with(METRIC_NAME, base), part))
}

impl Classic {
    fn native(mut self) -> Result<Histogram, String> {
        self.buckets.sort_by(|a, b| a.0.total_cmp(&b.0));
        let last = self.buckets.last().copied();
        let count = self.count.or(last.map(|(_, count)| count)).unwrap_or(0.0);
        if last.is_none_or(|(bound, _)| bound != f64::INFINITY) {
            self.buckets.push((f64::INFINITY, count));
        }
        let mut previous = 0.0;
        let mut counts = Vec::new();
        for (_, cumulative) in &self.buckets {
            if *cumulative < previous {
                return Err("bucket counts do not grow".to_owned());
            }
            counts.push(cumulative - previous);
            previous = *cumulative;
        }
        if previous != count {
            return Err(format!("count {count} is not that of the last bucket, {previous}"));
        }
        let bounds = self.buckets.iter().map(|(bound, _)| *bound).filter(|bound| bound.is_finite());
        let mut histogram = Histogram {
            schema: CUSTOM_BUCKETS_SCHEMA,
            count,
            sum: self.sum,
            custom_values: bounds.collect(),
            positive_spans: vec![Span { offset: 0, length: counts.len() as u32 }],
            positive_buckets: counts,
            ..Histogram::default()
        };
        histogram.compact();
        Ok(histogram)
    }
}
