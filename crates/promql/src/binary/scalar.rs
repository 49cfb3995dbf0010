//! A vector with a scalar.

use crate::ast::Binary;
use crate::column::{Points, StepSeries, StepValue};

use super::operator::{Notes, Outcome, arithmetic, changes_metric, holds, values};

/// The vector with a number a step; `scalar_first` says that the scalar is the left operand.
pub(super) fn evaluate(
    operation: &Binary,
    vector: Vec<StepSeries>,
    scalars: &[f64],
    scalar_first: bool,
    notes: &mut Notes<'_>,
) -> Vec<StepSeries> {
    let drops_name = changes_metric(operation.op) || operation.return_bool;
    let mut result = Vec::with_capacity(vector.len());
    for mut series in vector {
        let histograms = std::mem::take(&mut series.histograms);
        let trims = matches!(operation.op, crate::ast::BinaryOp::TrimLower | crate::ast::BinaryOp::TrimUpper);
        if !trims {
            apply_to_floats(operation, &mut series.floats, scalars, scalar_first);
        } else if !series.floats.is_empty() {
            let one = StepValue::Float(0.0);
            values(operation.op, &one, &one, notes);
            series.floats = Points::default();
        }
        // A histogram becomes a histogram, or with `bool` a float, at a step without a float.
        let mut answers = Points::default();
        for (step, histogram) in histograms.iter() {
            let vector_value = StepValue::Histogram(std::sync::Arc::clone(histogram));
            let scalar = StepValue::Float(scalars[step as usize]);
            let (a, b) = if scalar_first { (&scalar, &vector_value) } else { (&vector_value, &scalar) };
            match values(operation.op, a, b, notes) {
                Outcome::Value(_) if operation.return_bool => answers.push(step, 1.0),
                Outcome::Value(StepValue::Histogram(value)) => series.histograms.push(step, value),
                Outcome::Filtered if operation.return_bool => answers.push(step, 0.0),
                _ => {}
            }
        }
        if !answers.is_empty() {
            let mut pairs: Vec<(u32, f64)> = series.floats.iter().map(|(step, v)| (step, *v)).collect();
            pairs.extend(answers.iter().map(|(step, v)| (step, *v)));
            pairs.sort_by_key(|(step, _)| *step);
            (series.floats.steps, series.floats.values) = pairs.into_iter().unzip();
        }
        if !series.is_empty() {
            series.drop_name |= drops_name;
            result.push(series);
        }
    }
    result
}

fn apply_to_floats(operation: &Binary, floats: &mut Points<f64>, scalars: &[f64], scalar_first: bool) {
    let op = operation.op;
    let pair = |value: f64, step: u32| {
        let scalar = scalars[step as usize];
        if scalar_first { (scalar, value) } else { (value, scalar) }
    };
    if !op.is_comparison() {
        for (value, step) in floats.values.iter_mut().zip(&floats.steps) {
            let (a, b) = pair(*value, *step);
            *value = arithmetic(op, a, b);
        }
    } else if operation.return_bool {
        for (value, step) in floats.values.iter_mut().zip(&floats.steps) {
            let (a, b) = pair(*value, *step);
            *value = f64::from(u8::from(holds(op, a, b)));
        }
    } else {
        let mut kept = Points::default();
        for (step, value) in floats.iter() {
            let (a, b) = pair(*value, step);
            if holds(op, a, b) {
                kept.push(step, *value);
            }
        }
        *floats = kept;
    }
}
