//! The smallest and the greatest value of each window and when it was, at a cost independent of the window.

use std::collections::VecDeque;

use crate::annotations::Annotation;
use crate::column::{SampleSeries, StepSeries};
use crate::functions::Function;

use super::Notes;
use super::window::Windows;

/// `min_over_time`, `max_over_time` and the times of these values. NaNs count only where there is nothing else.
pub(super) fn evaluate(
    function: Function,
    series: &SampleSeries,
    windows: &Windows,
    values: &mut StepSeries,
    notes: &mut Notes<'_>,
) {
    let wants_time = matches!(function, Function::TsOfMinOverTime | Function::TsOfMaxOverTime);
    let wants_max = matches!(function, Function::MaxOverTime | Function::TsOfMaxOverTime);
    let column = &series.floats;
    // The candidates of the window: each is further from the extreme than the one before, and later.
    let mut candidates: VecDeque<usize> = VecDeque::new();
    let mut seen = 0;
    windows.slide(series, |window| {
        if window.floats.is_empty() {
            return;
        }
        if !window.histograms.is_empty() {
            notes.add(Annotation::histogram_ignored_in_mixed_range);
        }
        let (first, end) = (window.floats.first, window.floats.first + window.floats.len());
        for i in seen.max(first)..end {
            let value = column.values[i];
            if value.is_nan() {
                continue;
            }
            let is_beaten = |candidate: f64| {
                // Of equal values the first one is kept, of their times the last one.
                let beaten = if wants_max { value > candidate } else { value < candidate };
                beaten || (wants_time && value == candidate)
            };
            while candidates.back().is_some_and(|last| is_beaten(column.values[*last])) {
                candidates.pop_back();
            }
            candidates.push_back(i);
        }
        seen = seen.max(end);
        while candidates.front().is_some_and(|i| *i < first) {
            candidates.pop_front();
        }
        let best = candidates.front().copied().unwrap_or(end - 1);
        let result = if wants_time { column.timestamps[best] as f64 / 1000.0 } else { column.values[best] };
        values.floats.push(window.step as u32, result);
    });
}
