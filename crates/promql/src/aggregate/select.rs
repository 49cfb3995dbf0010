//! The aggregations that pick series instead of combining them: topk, bottomk, limitk, limit_ratio.

use std::cmp::Ordering;
use std::sync::Arc;

use sonde_model::Labels;

use crate::annotations::{Annotation, Annotations};
use crate::ast::AggregateOp;
use crate::column::{StepSeries, StepValue, Steps};
use crate::error::{Control, QueryError};

use super::grouping::Grouping;
use super::label_hash::label_hash;

/// Where the aggregation leaves its annotations, and who may stop it.
pub(super) struct Notes<'a> {
    pub(super) annotations: &'a mut Annotations,
    pub(super) control: &'a Control<'a>,
    /// Where the aggregation starts in the query.
    pub(super) position: usize,
    /// Where its parameter starts.
    pub(super) param: usize,
}

/// The series, each at the steps at which it is picked. At a single step they come in the order of their rank.
pub(super) fn evaluate(
    op: AggregateOp,
    numbers: &[f64],
    grouping: &Grouping<'_>,
    series: Vec<StepSeries>,
    steps: Steps,
    mut notes: Notes<'_>,
) -> Result<Vec<StepSeries>, QueryError> {
    check_parameter(op, numbers, &mut notes)?;
    let mut picked: Vec<StepSeries> =
        series.iter().map(|one| StepSeries::new(one.labels.clone(), one.drop_name)).collect();
    let mut order = Vec::new();
    for group in grouping.groups(&series) {
        for step in 0..steps.count as u32 {
            if step % 256 == 0 {
                notes.control.check()?;
            }
            let number = numbers[step as usize];
            let chosen = match op {
                AggregateOp::LimitRatio => by_ratio(&series, &group.members, step, number.clamp(-1.0, 1.0)),
                AggregateOp::Limitk => first_ones(&series, &group.members, step, count_of(number)),
                _ => {
                    let (chosen, ignored) = extremes(op, &series, &group.members, step, count_of(number));
                    if ignored {
                        let text = Annotation::histogram_ignored_in_aggregation(op.name(), notes.position);
                        notes.annotations.add(text);
                    }
                    chosen
                }
            };
            for i in chosen {
                match series[i].at(step) {
                    Some(StepValue::Float(value)) => picked[i].floats.push(step, value),
                    Some(StepValue::Histogram(value)) => picked[i].histograms.push(step, Arc::clone(&value)),
                    None => {}
                }
                if steps.count == 1 {
                    order.push(i);
                }
            }
        }
    }
    if steps.count == 1 {
        return Ok(order.into_iter().map(|i| std::mem::take(&mut picked[i])).collect());
    }
    picked.retain(|one| !one.is_empty());
    Ok(picked)
}

fn check_parameter(op: AggregateOp, numbers: &[f64], notes: &mut Notes<'_>) -> Result<(), QueryError> {
    /// The greatest float below 2^63.
    const MAX_COUNT: f64 = 9_223_372_036_854_774_784.0;
    /// -2^63
    const MIN_COUNT: f64 = -9_223_372_036_854_775_808.0;
    let has_nan = numbers.iter().any(|n| n.is_nan());
    let greatest = numbers.iter().copied().fold(f64::MIN, f64::max);
    let smallest = numbers.iter().copied().fold(f64::MAX, f64::min);
    let go = sonde_model::GoFloat;
    if op == AggregateOp::LimitRatio {
        if has_nan {
            return Err(QueryError::execution("Ratio value is NaN"));
        }
        if greatest > 1.0 {
            notes.annotations.add(Annotation::invalid_ratio(greatest, 1.0, notes.param));
        }
        if smallest < -1.0 {
            notes.annotations.add(Annotation::invalid_ratio(smallest, -1.0, notes.param));
        }
        return Ok(());
    }
    if has_nan {
        return Err(QueryError::execution("Parameter value is NaN"));
    }
    if smallest <= MIN_COUNT {
        return Err(QueryError::execution(format!("Scalar value {} underflows int64", go(smallest))));
    }
    if greatest >= MAX_COUNT {
        return Err(QueryError::execution(format!("Scalar value {} overflows int64", go(greatest))));
    }
    Ok(())
}

/// How many series a parameter asks for.
fn count_of(number: f64) -> usize {
    if number < 1.0 { 0 } else { number as usize }
}

fn first_ones(series: &[StepSeries], members: &[usize], step: u32, count: usize) -> Vec<usize> {
    members.iter().copied().filter(|i| series[*i].at(step).is_some()).take(count).collect()
}

/// The members with the greatest (topk) or smallest (bottomk) floats in the order of their rank, earlier ones first
/// where values are equal; NaNs last. True where histograms were left out.
fn extremes(op: AggregateOp, series: &[StepSeries], members: &[usize], step: u32, count: usize) -> (Vec<usize>, bool) {
    let mut ignored = false;
    if count == 0 {
        return (Vec::new(), false);
    }
    let mut values: Vec<(f64, usize)> = Vec::new();
    for i in members {
        match series[*i].at(step) {
            Some(StepValue::Float(value)) => values.push((value, *i)),
            Some(StepValue::Histogram(_)) => ignored = true,
            None => {}
        }
    }
    let by_rank = |a: &(f64, usize), b: &(f64, usize)| match (a.0.is_nan(), b.0.is_nan()) {
        (false, false) => {
            let ascending = a.0.partial_cmp(&b.0).unwrap_or(Ordering::Equal);
            let rank = if op == AggregateOp::Topk { ascending.reverse() } else { ascending };
            rank.then(a.1.cmp(&b.1))
        }
        (a_nan, b_nan) => a_nan.cmp(&b_nan).then(a.1.cmp(&b.1)),
    };
    if count < values.len() {
        values.select_nth_unstable_by(count - 1, by_rank);
        values.truncate(count);
    }
    values.sort_unstable_by(by_rank);
    (values.into_iter().map(|(_, i)| i).collect(), ignored)
}

/// The members whose place on a scale from 0 to 1, which their labels alone decide, lies below the ratio; of a negative
/// ratio those that the ratio greater by 1 leaves.
fn by_ratio(series: &[StepSeries], members: &[usize], step: u32, ratio: f64) -> Vec<usize> {
    let is_picked = |labels: &Labels| {
        let place = place_of(labels);
        if ratio >= 0.0 { place < ratio } else { place >= 1.0 + ratio }
    };
    let present = members.iter().copied().filter(|i| series[*i].at(step).is_some());
    present.filter(|i| is_picked(&series[*i].labels)).collect()
}

/// A number from 0 to 1 that spreads label sets evenly: the hash of the labels over the greatest one, as in Prometheus.
fn place_of(labels: &Labels) -> f64 {
    label_hash(labels) as f64 / u64::MAX as f64
}
