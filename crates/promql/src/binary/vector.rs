//! A vector with a vector: arithmetic and comparisons between the series that belong together.

use std::collections::{HashMap, HashSet};

use sonde_model::Labels;
use sonde_model::labels::Quoted;

use crate::ast::{Binary, BinaryOp, Cardinality, VectorMatching};
use crate::column::{StepSeries, StepValue, Steps};
use crate::engine::{duplicate_labels, without_metadata};
use crate::error::{Control, QueryError};

use super::matching::{Group, groups, matching_labels};
use super::operator::{Notes, Outcome, changes_metric, holds, values};

/// The operation over all steps.
pub(super) fn evaluate(
    operation: &Binary,
    left: Vec<StepSeries>,
    right: Vec<StepSeries>,
    steps: Steps,
    control: &Control<'_>,
    notes: &mut Notes<'_>,
) -> Result<Vec<StepSeries>, QueryError> {
    let matching = &operation.matching;
    let groups = groups(matching, &left, &right);
    // The many side of `group_right` is the right one; from here on "many" is what a result takes its labels from.
    let swapped = matching.cardinality == Cardinality::OneToMany;
    let (many, one) = if swapped { (&right, &left) } else { (&left, &right) };
    // Prometheus does not swap what stands in for a missing series with the sides.
    let (fill_many, fill_one) = (matching.fill.left, matching.fill.right);
    let mut join = Join {
        operation,
        many,
        one,
        swapped,
        fill_many,
        fill_one,
        steps,
        control,
        result: Vec::new(),
        index: HashMap::default(),
        pairs: HashMap::default(),
        many_present: None,
    };
    for group in &groups {
        control.check()?;
        join.group(group, notes)?;
    }
    join.result.retain(|series| !series.is_empty());
    Ok(join.result)
}

/// A join in progress.
struct Join<'a> {
    operation: &'a Binary,
    many: &'a [StepSeries],
    one: &'a [StepSeries],
    swapped: bool,
    /// What stands in for a missing series of each side.
    fill_many: Option<f64>,
    fill_one: Option<f64>,
    steps: Steps,
    control: &'a Control<'a>,
    result: Vec<StepSeries>,
    /// The place of each label set in the result.
    index: HashMap<Labels, usize, foldhash::fast::RandomState>,
    /// The place in the result of each pair that was joined, many first; none is a stand-in.
    pairs: HashMap<(Option<usize>, Option<usize>), usize, foldhash::fast::RandomState>,
    /// At which steps the many side has any value: without one, nothing is joined and nothing can be ambiguous.
    many_present: Option<Vec<bool>>,
}

impl Join<'_> {
    fn group(&mut self, group: &Group, notes: &mut Notes<'_>) -> Result<(), QueryError> {
        let (many, one) = if self.swapped { (&group.right, &group.left) } else { (&group.left, &group.right) };
        match (many.as_slice(), one.as_slice()) {
            (many, [one]) if self.fill_many.is_none() && self.fill_one.is_none() && self.are_distinct(many, *one) => {
                many.iter().try_for_each(|many| self.pair(*many, *one, notes))
            }
            ([], _) if self.fill_many.is_none() && one.len() < 2 => Ok(()),
            (_, []) if self.fill_one.is_none() => Ok(()),
            (many, one) => self.step_by_step(many, one, notes),
        }
    }

    /// Whether each of the series on the many side has a result of its own, so that each can be joined on its own.
    fn are_distinct(&self, many: &[usize], one: usize) -> bool {
        if many.len() < 2 {
            return true;
        }
        if self.operation.matching.cardinality == Cardinality::OneToOne {
            return false;
        }
        let labels = many.iter().map(|many| self.result_labels(&self.many[*many].labels, &self.one[one].labels));
        let mut seen: HashSet<Labels, foldhash::fast::RandomState> = HashSet::default();
        labels.into_iter().all(|labels| seen.insert(labels))
    }

    /// The usual case: one series on each side.
    fn pair(&mut self, many: usize, one: usize, notes: &mut Notes<'_>) -> Result<(), QueryError> {
        let (a, b) = (&self.many[many], &self.one[one]);
        if a.histograms.is_empty() && b.histograms.is_empty() && !is_trim(self.operation.op) {
            let into = self.place((Some(many), Some(one)));
            let mut floats = std::mem::take(&mut self.result[into].floats);
            let is_fresh = floats.is_empty();
            let mut pushed = Vec::new();
            self.floats(
                a,
                b,
                |step, value| {
                    if is_fresh { floats.push(step, value) } else { pushed.push((step, value)) }
                },
            );
            self.result[into].floats = floats;
            return pushed.into_iter().try_for_each(|(step, value)| self.insert(into, step, StepValue::Float(value)));
        }
        self.step_by_step(&[many], &[one], notes)
    }

    /// Joins the floats of two series at the steps at which both have one.
    fn floats(&self, many: &StepSeries, one: &StepSeries, mut emit: impl FnMut(u32, f64)) {
        let op = self.operation.op;
        let return_bool = self.operation.return_bool;
        let mut visit = |step: u32, many: f64, one: f64| {
            let (a, b) = if self.swapped { (one, many) } else { (many, one) };
            if !op.is_comparison() {
                emit(step, super::operator::arithmetic(op, a, b));
            } else if return_bool {
                emit(step, f64::from(u8::from(holds(op, a, b))));
            } else if holds(op, a, b) {
                emit(step, a);
            }
        };
        if many.floats.steps == one.floats.steps {
            let values = many.floats.values.iter().zip(&one.floats.values);
            many.floats.steps.iter().zip(values).for_each(|(step, (a, b))| visit(*step, *a, *b));
            return;
        }
        let mut others = one.floats.iter().peekable();
        for (step, a) in many.floats.iter() {
            while others.next_if(|(other, _)| *other < step).is_some() {}
            if let Some((_, b)) = others.next_if(|(other, _)| *other == step) {
                visit(step, *a, *b);
            }
        }
    }

    /// Any number of series on both sides: which of them have values is looked at step by step.
    fn step_by_step(&mut self, many: &[usize], one: &[usize], notes: &mut Notes<'_>) -> Result<(), QueryError> {
        for step in 0..self.steps.count as u32 {
            if step % 1_024 == 0 {
                self.control.check()?;
            }
            let mut partner: Option<(usize, StepValue)> = None;
            for i in one {
                let Some(value) = self.one[*i].at(step) else { continue };
                if let Some((other, _)) = partner
                    && self.is_many_present(step)
                {
                    return Err(self.ambiguous(*i, other));
                }
                partner = Some((*i, value));
            }
            let mut joined = Joined { places: Vec::new(), step };
            for i in many {
                let Some(value) = self.many[*i].at(step) else { continue };
                let (one, other) = match (&partner, self.fill_one) {
                    (Some((one, other)), _) => (Some(*one), other.clone()),
                    (None, Some(fill)) => (None, StepValue::Float(fill)),
                    (None, None) => continue,
                };
                self.join((Some(*i), value), (one, other), &mut joined, notes)?;
            }
            if let (Some((i, other)), Some(fill), true) = (partner, self.fill_many, joined.places.is_empty()) {
                self.join((None, StepValue::Float(fill)), (Some(i), other), &mut joined, notes)?;
            }
        }
        Ok(())
    }

    /// Joins two values; a series of none is a stand-in.
    fn join(
        &mut self,
        many: (Option<usize>, StepValue),
        one: (Option<usize>, StepValue),
        joined: &mut Joined,
        notes: &mut Notes<'_>,
    ) -> Result<(), QueryError> {
        let (a, b) = if self.swapped { (&one.1, &many.1) } else { (&many.1, &one.1) };
        let outcome = values(self.operation.op, a, b, notes);
        if matches!(outcome, Outcome::Nothing) {
            return Ok(());
        }
        let into = self.place((many.0, one.0));
        // What a comparison filters out is ambiguous all the same.
        if self.operation.matching.cardinality == Cardinality::OneToOne && !joined.places.is_empty() {
            return Err(QueryError::execution(
                "multiple matches for labels: many-to-one matching must be explicit (group_left/group_right)",
            ));
        }
        if joined.places.contains(&into) {
            return Err(grouping_is_ambiguous());
        }
        joined.places.push(into);
        match outcome {
            Outcome::Value(_) if self.operation.return_bool => self.insert(into, joined.step, StepValue::Float(1.0)),
            Outcome::Value(value) => self.insert(into, joined.step, value),
            Outcome::Filtered if self.operation.return_bool => self.insert(into, joined.step, StepValue::Float(0.0)),
            _ => Ok(()),
        }
    }

    fn insert(&mut self, into: usize, step: u32, value: StepValue) -> Result<(), QueryError> {
        let series = &mut self.result[into];
        if series.at(step).is_some() {
            return Err(duplicate_labels());
        }
        match value {
            StepValue::Float(value) => insert_sorted(&mut series.floats, step, value),
            StepValue::Histogram(value) => insert_sorted(&mut series.histograms, step, value),
        }
        Ok(())
    }

    /// The place in the result of what two series are joined to; of a stand-in the labels are those matched by.
    fn place(&mut self, pair: (Option<usize>, Option<usize>)) -> usize {
        if let Some(place) = self.pairs.get(&pair) {
            return *place;
        }
        let matching = &self.operation.matching;
        let labels = match (pair.0.map(|i| &self.many[i].labels), pair.1.map(|i| &self.one[i].labels)) {
            (Some(many), Some(one)) => self.result_labels(many, one),
            (Some(many), None) => self.result_labels(many, &matching_labels(matching, many)),
            (None, Some(one)) => self.result_labels(&matching_labels(matching, one), one),
            (None, None) => Labels::empty(),
        };
        let (result, drop_name) = (&mut self.result, self.operation.return_bool);
        let place = *self.index.entry(labels).or_insert_with_key(|labels| {
            result.push(StepSeries::new(labels.clone(), drop_name));
            result.len() - 1
        });
        self.pairs.insert(pair, place);
        place
    }

    /// The labels of what is joined: those of the many side, with the included ones of the other.
    fn result_labels(&self, many: &Labels, one: &Labels) -> Labels {
        let matching = &self.operation.matching;
        let labels = if changes_metric(self.operation.op) { without_metadata(many) } else { many.clone() };
        if matching.cardinality == Cardinality::OneToOne {
            let is_listed = |name: &str| matching.labels.iter().any(|label| label == name);
            return labels.without(|name| is_listed(name) != matching.on);
        }
        with_included(labels, one, matching)
    }

    fn is_many_present(&mut self, step: u32) -> bool {
        if self.fill_many.is_some() {
            return true;
        }
        let (many, count) = (self.many, self.steps.count);
        let present = self.many_present.get_or_insert_with(|| {
            let mut present = vec![false; count];
            for series in many {
                let steps = series.floats.steps.iter().chain(&series.histograms.steps);
                steps.for_each(|step| present[*step as usize] = true);
            }
            present
        });
        present[step as usize]
    }

    fn ambiguous(&self, a: usize, b: usize) -> QueryError {
        let (a, b) = (&self.one[a].labels, &self.one[b].labels);
        let side = if self.swapped { "left" } else { "right" };
        let group = matching_labels(&self.operation.matching, a);
        QueryError::execution(format!(
            "found duplicate series for the match group {} on the {side} hand-side of the operation: [{}, {}];many-to-many \
             matching not allowed: matching labels must be unique on one side",
            Braced(&group),
            Braced(a),
            Braced(b)
        ))
    }
}

/// What a group has yielded at a step.
struct Joined {
    places: Vec<usize>,
    step: u32,
}

fn grouping_is_ambiguous() -> QueryError {
    QueryError::execution("multiple matches for labels: grouping labels must ensure unique matches")
}

fn with_included(labels: Labels, one: &Labels, matching: &VectorMatching) -> Labels {
    if matching.include.is_empty() {
        return labels;
    }
    let mut builder = sonde_model::LabelsBuilder::from(&labels);
    for name in &matching.include {
        // A label that is empty on the other side is removed.
        builder.set(name, one.get(name).unwrap_or(""));
    }
    builder.build()
}

fn insert_sorted<T>(points: &mut crate::column::Points<T>, step: u32, value: T) {
    if points.steps.last().is_none_or(|last| *last < step) {
        points.push(step, value);
        return;
    }
    let place = points.steps.partition_point(|other| *other < step);
    points.steps.insert(place, step);
    points.values.insert(place, value);
}

fn is_trim(op: BinaryOp) -> bool {
    matches!(op, BinaryOp::TrimLower | BinaryOp::TrimUpper)
}

/// Labels as Prometheus's error messages show them: the name among the others.
struct Braced<'a>(&'a Labels);

impl std::fmt::Display for Braced<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("{")?;
        for (i, (name, value)) in self.0.iter().enumerate() {
            let separator = if i == 0 { "" } else { ", " };
            if sonde_model::labels::is_legacy_label_name(name) {
                write!(f, "{separator}{name}={}", Quoted(value))?;
            } else {
                write!(f, "{separator}{}={}", Quoted(name), Quoted(value))?;
            }
        }
        f.write_str("}")
    }
}
