//! `round` and the `clamp` family.

use super::Function;
use super::arguments::{Arguments, map_floats};
use super::math::{greater, lesser};
use crate::column::Evaluated;
use crate::error::QueryError;

pub(super) fn evaluate(function: Function, mut args: Arguments) -> Result<Evaluated, QueryError> {
    let mut series = args.vector()?;
    let mut bounds = Vec::new();
    while !args.is_empty() {
        bounds.push(args.scalar()?);
    }
    let at = |bound: usize, step: u32| bounds.get(bound).and_then(|b| b.get(step as usize)).copied().unwrap_or(1.0);
    Ok(Evaluated::Vector(match function {
        Function::Clamp => {
            // Where the bounds are the wrong way round there is no result.
            for one in &mut series {
                let floats = std::mem::take(&mut one.floats);
                for (step, value) in floats.iter().filter(|(step, _)| !is_empty(at(0, *step), at(1, *step))) {
                    one.floats.push(step, *value);
                }
            }
            map_floats(series, |step, value| greater(at(0, step), lesser(at(1, step), value)))
        }
        Function::ClampMin => map_floats(series, |step, value| greater(at(0, step), value)),
        Function::ClampMax => map_floats(series, |step, value| lesser(at(0, step), value)),
        _ => map_floats(series, |step, value| {
            // The inverse seems to cause fewer inaccuracies than the division; ties go up.
            let inverse = 1.0 / at(0, step);
            (value * inverse + 0.5).floor() / inverse
        }),
    }))
}

/// Whether no number is between the bounds. With NaN as a bound every result is NaN.
fn is_empty(min: f64, max: f64) -> bool {
    max < min
}
