//! Range vectors: the samples of a selector, or the values of a subquery, that windows slide over.

use std::sync::Arc;

use sonde_model::{CounterResetHint, TimestampMs};

use crate::ast::{Expr, ExprKind, MatrixSelector, RangeMode, Subquery};
use crate::column::{SampleSeries, Samples, StepSeries, Steps};
use crate::error::QueryError;
use crate::kernels::Windows;

use super::evaluation::Evaluation;
use super::selection::{compile, seen};
use super::timing::{Timing, steps_between};

/// The samples that a range function gets, and the windows in which it sees them.
pub(super) struct RangeVector {
    /// The samples, without stale markers.
    pub(super) series: Vec<SampleSeries>,
    /// The windows.
    pub(super) windows: Windows,
}

impl Evaluation<'_> {
    /// The samples of a range vector expression at a single step, which is the answer to a query for just them.
    pub(super) fn range_vector(&mut self, expr: &Expr, steps: Steps) -> Result<Vec<SampleSeries>, QueryError> {
        let RangeVector { series, windows } = match &expr.unparenthesised().kind {
            ExprKind::Matrix(matrix) => {
                let (from, to, windows) = self.matrix_selector(matrix, steps)?;
                let selection = self.select(&compile(&matrix.selector)?, from, to, false)?;
                let mut series = self.read(&*selection)?;
                series.iter_mut().for_each(SampleSeries::drop_stale_markers);
                RangeVector { series, windows }
            }
            ExprKind::Subquery(subquery) => self.subquery(subquery, steps)?,
            _ => return Err(QueryError::execution("a range vector was expected")),
        };
        let mut result = Vec::with_capacity(series.len());
        for one in series {
            windows.slide(&one, |window| {
                let mut cut =
                    SampleSeries { labels: one.labels.clone(), drop_name: one.drop_name, ..Default::default() };
                cut.floats.timestamps = window.floats.times.to_vec();
                cut.floats.values = window.floats.values.to_vec();
                cut.histograms.timestamps = window.histograms.times.to_vec();
                cut.histograms.values = window.histograms.values.to_vec();
                result.push(cut);
            });
        }
        Ok(result)
    }

    /// The times of the samples that a range selector needs, and the windows over them.
    pub(super) fn matrix_selector(
        &self,
        matrix: &MatrixSelector,
        steps: Steps,
    ) -> Result<(TimestampMs, TimestampMs, Windows), QueryError> {
        let selector = &matrix.selector;
        let timing = self.times.timing(selector.at, selector.offset.as_ref())?;
        let range = self.times.resolve_positive(&matrix.range)?;
        let lookback = self.options.lookback_ms;
        let (back, ahead) = match selector.mode {
            RangeMode::Plain => (0, 0),
            RangeMode::Anchored => (lookback, 0),
            RangeMode::Smoothed => (lookback, lookback),
        };
        let windows = Windows { steps, timing, range, back, ahead, mode: selector.mode };
        let (from, to) = seen(timing, steps, range.saturating_add(back), ahead);
        Ok((from, to, windows))
    }

    /// The values of a subquery as samples.
    pub(super) fn subquery(&mut self, subquery: &Subquery, steps: Steps) -> Result<RangeVector, QueryError> {
        let timing = self.times.timing(subquery.at, subquery.offset.as_ref())?;
        let range = self.times.resolve_positive(&subquery.range)?;
        let step = match &subquery.step {
            Some(step) => self.times.resolve_positive(step)?,
            None => self.options.default_subquery_step_ms,
        };
        let windows = Windows { steps, timing, range, back: 0, ahead: 0, mode: RangeMode::Plain };
        let inner = self.subquery_steps(timing, steps, range, step)?;
        if steps.count == 0 || inner.count == 0 {
            return Ok(RangeVector { series: Vec::new(), windows });
        }
        let around = self.histogram_use;
        self.histogram_use.buckets = true;
        let series = self.vector(&subquery.expr, inner)?;
        self.histogram_use = around;
        Ok(RangeVector { series: series.into_iter().map(|one| samples_of(one, inner)).collect(), windows })
    }

    /// The steps of a subquery for all steps around it: the multiples of its step after the left end of the first
    /// window up to the end of the last one.
    fn subquery_steps(&self, timing: Timing, steps: Steps, range: i64, step: i64) -> Result<Steps, QueryError> {
        let left: TimestampMs = timing.reference(steps.start).saturating_sub(range);
        let first = left.div_euclid(step).saturating_add(1).saturating_mul(step);
        steps_between(first, timing.reference(steps.end()), step, self.options.max_steps)
    }
}

/// The values of a subquery as samples, without start timestamps. What a hint says of two neighbouring samples does not hold for those that a
/// subquery picks, so that it is forgotten.
fn samples_of(series: StepSeries, steps: Steps) -> SampleSeries {
    let time = |step: &u32| steps.time(*step as usize);
    let mut histograms = Samples {
        timestamps: series.histograms.steps.iter().map(time).collect(),
        values: series.histograms.values,
        starts: Vec::new(),
    };
    for histogram in &mut histograms.values {
        if matches!(histogram.reset_hint, CounterResetHint::Reset | CounterResetHint::NotReset) {
            Arc::make_mut(histogram).reset_hint = CounterResetHint::Unknown;
        }
    }
    SampleSeries {
        labels: series.labels,
        drop_name: series.drop_name,
        floats: Samples {
            timestamps: series.floats.steps.iter().map(time).collect(),
            values: series.floats.values,
            starts: Vec::new(),
        },
        histograms,
    }
}
