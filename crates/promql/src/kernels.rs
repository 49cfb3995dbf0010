//! The functions over ranges: what they compute of the samples in a window, as it slides over a series.
//!
//! Kernels see samples and times only. They know neither the query nor where samples come from.

mod changes;
mod counter;
mod extended;
mod extended_histogram;
mod extremes;
mod histogram_rate;
mod instant_rate;
mod mean;
mod quantile;
mod rate;
mod regression;
mod smoothing;
mod totals;
mod variance;
mod window;

use sonde_model::TimestampMs;

use crate::annotations::{Annotation, Annotations};
use crate::column::{SampleSeries, StepSeries, StepValue};
use crate::error::{Control, QueryError};
use crate::functions::Function;

pub(crate) use extended::interpolated;
pub(crate) use extended_histogram::interpolated_histogram;
pub(crate) use mean::{FloatMean, HistogramMean};
pub(crate) use quantile::quantile;
pub(crate) use window::{Window, Windows};

/// A call of a range function with everything but the samples.
#[derive(Debug)]
pub(crate) struct RangeCall {
    /// What is called.
    pub(crate) function: Function,
    /// The values of the scalar arguments at each step, in their order.
    pub(crate) scalars: Vec<Vec<f64>>,
    /// Whether counters are told by the label `__type__`, not by their name.
    pub(crate) type_label: bool,
    /// Where the first argument starts in the query.
    pub(crate) position: usize,
}

/// Where a kernel leaves its annotations, which are about one series and one argument, and who may stop it.
pub(crate) struct Notes<'a> {
    annotations: &'a mut Annotations,
    control: &'a Control<'a>,
    metric: &'a str,
    position: usize,
}

impl<'a> Notes<'a> {
    pub(crate) fn new(
        annotations: &'a mut Annotations,
        control: &'a Control<'a>,
        metric: &'a str,
        position: usize,
    ) -> Self {
        Notes { annotations, control, metric, position }
    }

    /// Adds an annotation that names the metric.
    pub(crate) fn add(&mut self, annotation: impl FnOnce(&str, usize) -> Annotation) {
        self.annotations.add(annotation(self.metric, self.position));
    }
}

impl RangeCall {
    /// The values of the function over one series, whose samples have no stale markers.
    pub(crate) fn of_series(
        &self,
        series: &SampleSeries,
        windows: &Windows,
        keeps_name: bool,
        control: &Control<'_>,
        annotations: &mut Annotations,
    ) -> Result<StepSeries, QueryError> {
        let mut notes = Notes::new(annotations, control, series.labels.metric_name(), self.position);
        let mut values = StepSeries::new(series.labels.clone(), !keeps_name);
        values.floats.reserve(windows.steps.within(&series.floats.timestamps, windows.range));
        self.evaluate(series, windows, &mut values, &mut notes)?;
        Ok(values)
    }

    /// Evaluates the function over one series; what it yields at each step is appended to `values`.
    fn evaluate(
        &self,
        series: &SampleSeries,
        windows: &Windows,
        values: &mut StepSeries,
        notes: &mut Notes<'_>,
    ) -> Result<(), QueryError> {
        use rate::Rate;
        let mut result = Ok(());
        match self.function {
            Function::Rate => Rate::RATE.evaluate(series, windows, values, notes),
            Function::Increase => Rate::INCREASE.evaluate(series, windows, values, notes),
            Function::Delta => Rate::DELTA.evaluate(series, windows, values, notes),
            Function::Irate => instant_rate::evaluate(series, windows, true, values, notes),
            Function::Idelta => instant_rate::evaluate(series, windows, false, values, notes),
            Function::Changes => changes::evaluate(series, windows, changes::Pairs::Changes, values),
            Function::Resets => changes::evaluate(series, windows, changes::Pairs::Resets, values),
            Function::MinOverTime | Function::MaxOverTime | Function::TsOfMinOverTime | Function::TsOfMaxOverTime => {
                extremes::evaluate(self.function, series, windows, values, notes);
            }
            _ => windows.slide(series, |window| {
                if window.step % 64 == 0 && result.is_ok() {
                    result = notes.control.check();
                }
                if result.is_err() {
                    return;
                }
                match self.at(window, notes) {
                    Ok(Some(value)) => values.push(window.step as u32, value),
                    Ok(None) => {}
                    Err(error) => result = Err(error),
                }
            }),
        }
        if matches!(self.function, Function::Rate | Function::Increase) && !values.floats.is_empty() {
            self.note_non_counter(series, notes);
        }
        result
    }

    /// The value of a function that looks at each window on its own.
    fn at(&self, window: &Window<'_>, notes: &mut Notes<'_>) -> Result<Option<StepValue>, QueryError> {
        let scalar = |index: usize| self.scalars.get(index).and_then(|values| values.get(window.step)).copied();
        let first = scalar(0).unwrap_or(f64::NAN);
        let times_of = |ms: TimestampMs| Some(StepValue::Float(ms as f64 / 1000.0));
        Ok(match self.function {
            Function::SumOverTime => totals::sum(window, notes),
            Function::AvgOverTime => mean::mean(window, notes),
            Function::CountOverTime => Some(StepValue::Float(window.len() as f64)),
            Function::PresentOverTime | Function::AbsentOverTime => Some(StepValue::Float(1.0)),
            Function::LastOverTime => window.last(),
            Function::FirstOverTime => window.first(),
            Function::TsOfFirstOverTime => window.first_time().and_then(times_of),
            Function::TsOfLastOverTime => window.last_time().and_then(times_of),
            Function::StddevOverTime => variance::variance(window, notes).map(|v| StepValue::Float(v.sqrt())),
            Function::StdvarOverTime => variance::variance(window, notes).map(StepValue::Float),
            Function::QuantileOverTime => quantile::over_time(window, first, notes).map(StepValue::Float),
            Function::MadOverTime => quantile::median_deviation(window, notes).map(StepValue::Float),
            Function::Deriv => regression::deriv(window, notes).map(StepValue::Float),
            Function::PredictLinear => regression::predict(window, first, notes).map(StepValue::Float),
            Function::DoubleExponentialSmoothing => {
                let trend = scalar(1).unwrap_or(f64::NAN);
                smoothing::double_exponential(window, first, trend, notes)?.map(StepValue::Float)
            }
            function => return Err(QueryError::NotImplemented(format!("the function {}", function.name()))),
        })
    }

    /// An info where a rate was asked of what does not look like a counter.
    fn note_non_counter(&self, series: &SampleSeries, notes: &mut Notes<'_>) {
        let metric = series.labels.metric_name();
        if metric.is_empty() {
            return;
        }
        if self.type_label {
            let kind = series.labels.get("__type__").unwrap_or("");
            if kind != "counter" && kind != "histogram" {
                notes.add(|metric, position| Annotation::possible_non_counter_label(metric, kind, position));
            }
        } else if !["_total", "_sum", "_count", "_bucket"].iter().any(|suffix| metric.ends_with(suffix)) {
            notes.add(Annotation::possible_non_counter);
        }
    }
}
