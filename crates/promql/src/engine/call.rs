//! Calls: range functions go to the kernels, instant functions to the function library, and the few that need the
//! query or its source are here.

use crate::annotations::Annotation;
use crate::ast::{Call, ExprKind, RangeMode, Span, ValueType};
use crate::column::{Evaluated, StepSeries, Steps};
use crate::error::QueryError;
use crate::functions::{self, Function, FunctionCall};
use crate::kernels::RangeCall;

use super::evaluation::Evaluation;
use super::output::merge_equal_labels;
use super::pipeline::{Compute, Plan};
use super::selection::compile;

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
                ExprKind::Vector(selector) => self.sample_times(selector, steps, |sample| sample.start),
                // What was computed has no start.
                _ => Ok(Evaluated::Vector(Vec::new())),
            },
            Function::Timestamp => match &call.args[0].unparenthesised().kind {
                ExprKind::Vector(selector) => self.sample_times(selector, steps, |sample| sample.time),
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
        let result = match &call.args[range_arg].unparenthesised().kind {
            ExprKind::Subquery(subquery) => {
                let range_call = self.range_call(call, range_arg, steps)?;
                let arg = &call.args[range_arg];
                let seen = self.enter(arg);
                let input = self.subquery(subquery, steps)?;
                if let Some(before) = seen {
                    self.leave(
                        arg,
                        before,
                        input.series.len(),
                        input.series.iter().map(|series| series.weight().samples).sum(),
                    );
                }
                let mut result = Vec::with_capacity(input.series.len());
                for series in &input.series {
                    self.control.check()?;
                    let keeps_name = keeps_name(call.function) && !series.drop_name;
                    let control = self.control;
                    let values =
                        range_call.of_series(series, &input.windows, keeps_name, control, &mut self.annotations)?;
                    if !values.is_empty() {
                        self.budget.acquire(values.weight())?;
                        result.push(values);
                    }
                }
                result
            }
            _ => self.range_of_selector(call, range_arg, steps)?,
        };
        if call.function == Function::AbsentOverTime {
            let labels = functions::labels_of_absent(&call.args[range_arg]);
            return Ok(Evaluated::Vector(absent_steps(StepSeries::new(labels, true), &result, steps)));
        }
        Ok(Evaluated::Vector(result))
    }

    /// The values of a range function over a selector. What this needs of the stack is not needed at each level of a deep
    /// expression.
    fn range_of_selector(
        &mut self,
        call: &Call,
        range_arg: usize,
        steps: Steps,
    ) -> Result<Vec<StepSeries>, QueryError> {
        let plan = self.range_plan(call, range_arg, steps)?;
        let arg = &call.args[range_arg];
        let seen = self.enter(arg);
        let pipeline = self.open(plan)?;
        if let Some(before) = seen {
            // The samples are read series by series, by the function.
            self.leave(arg, before, pipeline.selection.len(), 0);
        }
        self.collect(&pipeline)
    }

    /// A range function over the series of a selector.
    pub(super) fn range_plan(&mut self, call: &Call, range_arg: usize, steps: Steps) -> Result<Plan, QueryError> {
        let range_call = self.range_call(call, range_arg, steps)?;
        let ExprKind::Matrix(matrix) = &call.args[range_arg].unparenthesised().kind else {
            return Err(QueryError::execution("a range vector was expected"));
        };
        let (from, to, windows) = self.matrix_selector(matrix, steps)?;
        let keeps_name = keeps_name(call.function);
        let compute = Compute::Range { call: range_call, windows, keeps_name };
        Ok(Plan { matchers: compile(&matrix.selector)?, from, to, steps, compute })
    }

    fn range_call(&mut self, call: &Call, range_arg: usize, steps: Steps) -> Result<RangeCall, QueryError> {
        let mut scalars = Vec::new();
        for (i, arg) in call.args.iter().enumerate() {
            if i != range_arg {
                scalars.push(self.scalar(arg, steps)?);
            }
        }
        check_mode(call, range_arg)?;
        Ok(RangeCall {
            function: call.function,
            scalars,
            type_label: self.options.type_and_unit_labels,
            position: call.args[0].span.start as usize,
        })
    }
}

/// Whether a range function gives samples as they are.
fn keeps_name(function: Function) -> bool {
    matches!(function, Function::LastOverTime | Function::FirstOverTime)
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
