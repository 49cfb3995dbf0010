//! A call of an instant function as the engine makes it: once for all steps, with evaluated arguments.

use crate::annotations::Annotations;
use crate::ast::Expr;
use crate::column::{Evaluated, StepSeries, Steps};
use crate::error::QueryError;

use super::arguments::{Arguments, map_floats};
use super::{Function, absent, calendar, fraction, histogram, labels, math, quantile, rounding, sort};

/// A call whose arguments are evaluated.
#[derive(Debug)]
pub(crate) struct FunctionCall<'a> {
    /// What is called.
    pub(crate) function: Function,
    /// The arguments as written: their positions, and the matchers that `absent` turns into labels.
    pub(crate) args: &'a [Expr],
    /// When it is evaluated.
    pub(crate) steps: Steps,
    /// Where warnings and infos go.
    pub(crate) annotations: &'a mut Annotations,
}

/// Evaluates a call of an instant function: neither one over ranges nor one that needs to know the query or its source.
///
/// Series keep their metric name; where the function drops it, `drop_name` is set. Series of the result may have equal
/// labels as long as no two have a value at one step: the caller merges them.
pub(crate) fn evaluate(call: &mut FunctionCall<'_>, args: Vec<Evaluated>) -> Result<Evaluated, QueryError> {
    let mut args = Arguments::new(args);
    if let Some(compute) = math::of_one_number(call.function) {
        return Ok(Evaluated::Vector(map_floats(args.vector()?, |_, value| compute(value))));
    }
    if let Some(part) = calendar::part_of_time(call.function) {
        return calendar::evaluate(call.steps, part, args);
    }
    match call.function {
        Function::Absent => Ok(Evaluated::Vector(absent::evaluate(call, &args.vector()?))),
        Function::Clamp | Function::ClampMax | Function::ClampMin | Function::Round => {
            rounding::evaluate(call.function, args)
        }
        Function::HistogramAvg
        | Function::HistogramCount
        | Function::HistogramStddev
        | Function::HistogramStdvar
        | Function::HistogramSum => Ok(Evaluated::Vector(histogram::evaluate(call.function, args.vector()?))),
        Function::HistogramFraction => fraction::evaluate(call, args),
        Function::HistogramQuantile => quantile::evaluate_one(call, args),
        Function::HistogramQuantiles => quantile::evaluate_many(call, args),
        Function::LabelJoin => labels::join(call.args, args),
        Function::LabelReplace => labels::replace(call.args, args),
        Function::MaxOf => math::of_two_scalars(math::greater, args),
        Function::MinOf => math::of_two_scalars(math::lesser, args),
        Function::Pi => Ok(Evaluated::Scalar(vec![std::f64::consts::PI; call.steps.count])),
        Function::Scalar => Ok(Evaluated::Scalar(math::only_float(&args.vector()?, call.steps.count))),
        Function::Sort | Function::SortDesc | Function::SortByLabel | Function::SortByLabelDesc => {
            sort::evaluate(call, args)
        }
        Function::Time => Ok(Evaluated::Scalar(call.steps.times().map(seconds).collect())),
        Function::Timestamp => Ok(Evaluated::Vector(calendar::times_of_steps(call.steps, args.vector()?))),
        Function::Vector => Ok(Evaluated::Vector(vec![vector(args.scalar()?)])),
        function => Err(QueryError::NotImplemented(format!("the function {}", function.name()))),
    }
}

/// The one series without labels whose values are those of a scalar.
fn vector(values: Vec<f64>) -> StepSeries {
    let mut series = StepSeries::default();
    for (step, value) in values.into_iter().enumerate() {
        series.floats.push(step as u32, value);
    }
    series
}

/// Milliseconds as seconds.
pub(super) fn seconds(ms: i64) -> f64 {
    ms as f64 / 1000.0
}
