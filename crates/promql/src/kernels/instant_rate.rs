//! `irate` and `idelta`: the change between the last two samples.

use std::sync::Arc;

use sonde_model::{CounterResetHint, Histogram};

use crate::annotations::{Annotation, HistogramOperation};
use crate::column::{SampleSeries, StepSeries, StepValue};

use super::Notes;
use super::histogram_rate::combine;
use super::window::{Stamp, Window, Windows, starts_anew};

pub(super) fn evaluate(
    series: &SampleSeries,
    windows: &Windows,
    is_rate: bool,
    values: &mut StepSeries,
    notes: &mut Notes<'_>,
) {
    windows.slide(series, |window| {
        if let Some(value) = at(window, is_rate, notes) {
            values.push(window.step as u32, value);
        }
    });
}

fn at(window: &Window<'_>, is_rate: bool, notes: &mut Notes<'_>) -> Option<StepValue> {
    if window.len() < 2 {
        return None;
    }
    let [(before_stamp, before), (stamp, now)] = last_two(window)?;
    let seconds = (stamp.time - before_stamp.time) as f64 / 1000.0;
    let starts_anew = starts_anew(before_stamp, stamp);
    match (before, now) {
        (Sample::Float(before), Sample::Float(now)) => {
            // After a reset the counter has counted what it shows.
            let change = if is_rate && (now < before || starts_anew) { now } else { now - before };
            Some(StepValue::Float(if is_rate { change / seconds } else { change }))
        }
        (Sample::Histogram(before), Sample::Histogram(now)) => {
            let gauges = [before, now].into_iter().filter(|histogram| histogram.is_gauge()).count();
            if is_rate && gauges > 0 {
                notes.add(Annotation::native_histogram_not_counter);
            }
            if !is_rate && gauges < 2 {
                notes.add(Annotation::native_histogram_not_gauge);
            }
            let mut change = now.clone();
            if !is_rate || !(starts_anew || now.is_reset_after(before)) {
                combine(&mut change, before, HistogramOperation::Subtraction, notes)?;
            }
            change.reset_hint = CounterResetHint::Gauge;
            change.compact();
            if is_rate {
                change.div(seconds);
            }
            Some(StepValue::Histogram(Arc::new(change)))
        }
        _ => {
            notes.add(Annotation::mixed_floats_histograms);
            None
        }
    }
}

#[derive(Clone, Copy)]
enum Sample<'a> {
    Float(f64),
    Histogram(&'a Histogram),
}

/// The last two samples of either kind, in order.
fn last_two<'a>(window: &Window<'a>) -> Option<[(Stamp, Sample<'a>); 2]> {
    let (floats, histograms) = (&window.floats, &window.histograms);
    let last = |len: usize| len.saturating_sub(2)..len;
    let mut samples: Vec<(Stamp, Sample<'a>)> =
        last(floats.len()).map(|i| (floats.stamp(i), Sample::Float(floats.values[i]))).collect();
    samples.extend(last(histograms.len()).map(|i| (histograms.stamp(i), Sample::Histogram(&histograms.values[i]))));
    samples.sort_by_key(|(stamp, _)| stamp.time);
    let last = samples.len().checked_sub(2)?;
    Some([samples[last], samples[last + 1]])
}
