//! Calls: range functions go to the kernels, instant functions to the function library, and the few that need the
//! query or its source are here.

use crate::annotations::Annotation;
use crate::ast::{Call, ExprKind, RangeMode, Span, ValueType};
use crate::column::{Evaluated, StepSeries, Steps};
use crate::error::QueryError;
use crate::functions::{self, Function, FunctionCall};
use crate::kernels::{Notes, RangeCall};

use super::evaluation::Evaluation;
use super::output::merge_equal_labels;

impl Evaluation<'_> {
    pub(super) fn call(&mut self, call: &Call, span: Span, steps: Steps) -> Result<Evaluated, QueryError> {
        let seconds = |ms: i64| ms as f64 / 1000.0;
        let constant = |value: f64| Ok(Evaluated::Scalar(vec![value; steps.count]));
        let is_sort = matches!(
            call.function,
            Function::Sort | Function::SortDesc | Function::SortByLabel | Function::SortByLabelDesc
        );
        if is_sort && steps.count > 1 {
            self.annotations.add(Annotation::sort_in_range_query(span.start as usize));
        }
        match call.function {
            Function::Start => constant(seconds(self.times.start)),
            Function::End => constant(seconds(self.times.end)),
            Function::Step => constant(seconds(self.times.grid.step_ms)),
            Function::Range => constant(seconds(self.times.grid.range_ms)),
            Function::Info => self.info(call, steps),
            Function::StartTimestamp => match &call.args[0].unparenthesised().kind {
                ExprKind::Vector(selector) => {
                    Ok(Evaluated::Vector(self.sample_times(selector, steps, |sample| sample.start)?))
                }
                // What was computed has no start.
                _ => Ok(Evaluated::Vector(Vec::new())),
            },
            Function::Timestamp => match &call.args[0].unparenthesised().kind {
                ExprKind::Vector(selector) => {
                    Ok(Evaluated::Vector(self.sample_times(selector, steps, |sample| sample.time)?))
                }
                _ => self.instant_function(call, steps),
            },
            _ => match call.args.iter().position(|arg| arg.value_type() == ValueType::Matrix) {
                Some(range_arg) => self.range_function(call, range_arg, steps),
                None => self.instant_function(call, steps),
            },
        }
    }

    fn instant_function(&mut self, call: &Call, steps: Steps) -> Result<Evaluated, QueryError> {
        use Function::{
            HistogramAvg, HistogramCount, HistogramFraction, HistogramQuantile, HistogramQuantiles, HistogramSum,
        };
        let around = self.histogram_use;
        match call.function {
            HistogramCount | HistogramSum | HistogramAvg => self.histogram_use.totals = true,
            HistogramQuantile | HistogramQuantiles | HistogramFraction => self.histogram_use.buckets = true,
            _ => {}
        }
        let mut args = Vec::with_capacity(call.args.len());
        for arg in &call.args {
            args.push(self.evaluate(arg, steps)?);
        }
        self.histogram_use = around;
        let annotations = &mut self.annotations;
        let mut call = FunctionCall { function: call.function, args: &call.args, steps, annotations };
        match functions::evaluate(&mut call, args)? {
            Evaluated::Vector(series) => Ok(Evaluated::Vector(merge_equal_labels(series)?)),
            value => Ok(value),
        }
    }

    fn range_function(&mut self, call: &Call, range_arg: usize, steps: Steps) -> Result<Evaluated, QueryError> {
        let mut scalars = Vec::new();
        for (i, arg) in call.args.iter().enumerate() {
            if i != range_arg {
                scalars.push(self.scalar(arg, steps)?);
            }
        }
        check_mode(call, range_arg)?;
        let input = self.range_argument(&call.args[range_arg], steps)?;
        let range_call = RangeCall {
            function: call.function,
            scalars,
            type_label: self.options.type_and_unit_labels,
            position: call.args[0].span.start as usize,
        };
        let keeps_name = matches!(call.function, Function::LastOverTime | Function::FirstOverTime);
        let mut result = Vec::with_capacity(input.series.len());
        for series in &input.series {
            self.control.check()?;
            let mut notes =
                Notes::new(&mut self.annotations, self.control, series.labels.metric_name(), range_call.position);
            let mut values = StepSeries::new(series.labels.clone(), !keeps_name || series.drop_name);
            range_call.evaluate(series, &input.windows, &mut values, &mut notes)?;
            if !values.is_empty() {
                self.budget.acquire(values.weight())?;
                result.push(values);
            }
        }
        if call.function == Function::AbsentOverTime {
            let labels = functions::labels_of_absent(&call.args[range_arg]);
            return Ok(Evaluated::Vector(absent_steps(StepSeries::new(labels, true), &result, steps)));
        }
        Ok(Evaluated::Vector(result))
    }
}

/// Where `anchored` and `smoothed` make no sense is for each function to say.
fn check_mode(call: &Call, range_arg: usize) -> Result<(), QueryError> {
    let ExprKind::Matrix(matrix) = &call.args[range_arg].unparenthesised().kind else { return Ok(()) };
    use Function::{Changes, Delta, Increase, Rate, Resets};
    let (mode, allowed): (&str, &[Function]) = match matrix.selector.mode {
        RangeMode::Plain => return Ok(()),
        RangeMode::Anchored => ("anchored", &[Changes, Delta, Increase, Rate, Resets]),
        RangeMode::Smoothed => ("smoothed", &[Delta, Increase, Rate]),
    };
    if allowed.contains(&call.function) {
        return Ok(());
    }
    let names: Vec<_> = allowed.iter().map(|function| function.name()).collect();
    Err(QueryError::execution(format!(
        "{mode} modifier can only be used with: {} - not with {}",
        names.join(", "),
        call.function.name()
    )))
}

/// 1 at the steps at which no series has a value.
fn absent_steps(mut absent: StepSeries, present: &[StepSeries], steps: Steps) -> Vec<StepSeries> {
    let mut seen = vec![false; steps.count];
    for series in present {
        series.floats.steps.iter().chain(&series.histograms.steps).for_each(|step| seen[*step as usize] = true);
    }
    for (step, _) in seen.iter().enumerate().filter(|(_, seen)| !**seen) {
        absent.floats.push(step as u32, 1.0);
    }
    if absent.is_empty() { Vec::new() } else { vec![absent] }
}
