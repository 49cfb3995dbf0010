//! Functions of one number, and the few of scalars.

use super::Function;
use super::arguments::Arguments;
use crate::column::{Evaluated, StepSeries};
use crate::error::QueryError;

/// What the function makes of each float, where it looks at nothing else.
pub(super) fn of_one_number(function: Function) -> Option<fn(f64) -> f64> {
    Some(match function {
        Function::Abs => f64::abs,
        Function::Acos => f64::acos,
        Function::Acosh => f64::acosh,
        Function::Asin => f64::asin,
        Function::Asinh => f64::asinh,
        Function::Atan => f64::atan,
        Function::Atanh => f64::atanh,
        Function::Ceil => f64::ceil,
        Function::Cos => f64::cos,
        Function::Cosh => f64::cosh,
        Function::Deg => |radians| radians * 180.0 / std::f64::consts::PI,
        Function::Exp => f64::exp,
        Function::Floor => f64::floor,
        Function::Ln => f64::ln,
        Function::Log10 => f64::log10,
        Function::Log2 => f64::log2,
        Function::Rad => |degrees| degrees * std::f64::consts::PI / 180.0,
        Function::Sgn => sign,
        Function::Sin => f64::sin,
        Function::Sinh => f64::sinh,
        Function::Sqrt => f64::sqrt,
        Function::Tan => f64::tan,
        Function::Tanh => f64::tanh,
        _ => return None,
    })
}

/// -1, 0 or 1; NaN stays.
fn sign(value: f64) -> f64 {
    if value < 0.0 {
        -1.0
    } else if value > 0.0 {
        1.0
    } else {
        value
    }
}

/// The greater of two numbers as in Go: infinity wins over NaN, NaN over the rest.
pub(super) fn greater(a: f64, b: f64) -> f64 {
    if a == f64::INFINITY || b == f64::INFINITY {
        f64::INFINITY
    } else if a.is_nan() || b.is_nan() {
        f64::NAN
    } else {
        a.max(b)
    }
}

/// The lesser of two numbers as in Go: negative infinity wins over NaN, NaN over the rest.
pub(super) fn lesser(a: f64, b: f64) -> f64 {
    -greater(-a, -b)
}

/// `min_of` and `max_of`.
pub(super) fn of_two_scalars(choose: fn(f64, f64) -> f64, mut args: Arguments) -> Result<Evaluated, QueryError> {
    let (a, b) = (args.scalar()?, args.scalar()?);
    Ok(Evaluated::Scalar(a.into_iter().zip(b).map(|(a, b)| choose(a, b)).collect()))
}

/// At each step the value of the only float there is; NaN where there is none or more than one.
pub(super) fn only_float(series: &[StepSeries], steps: usize) -> Vec<f64> {
    let mut found = vec![0_u32; steps];
    let mut values = vec![f64::NAN; steps];
    for (step, value) in series.iter().flat_map(|one| one.floats.iter()) {
        let step = step as usize;
        found[step] += 1;
        values[step] = if found[step] == 1 { *value } else { f64::NAN };
    }
    values
}
