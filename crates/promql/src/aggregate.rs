//! Aggregations over the series of an instant vector: series are taken in one by one, each into its group.

mod count_values;
mod float;
mod grouping;
mod label_hash;
mod quantile;
mod select;
mod total;

use std::rc::Rc;

use crate::annotations::{Annotation, Annotations};
use crate::ast::{Aggregate, AggregateOp, Span};
use crate::column::{Evaluated, StepSeries, Steps};
use crate::error::{Control, QueryError};

use float::{Count, Deviation, Ever, Max, Min, States, Variance};
use grouping::{GroupIndex, Grouping};

/// An aggregation with everything but its series.
pub(crate) struct Aggregation<'a> {
    node: &'a Aggregate,
    /// Where the whole aggregation starts in the query.
    position: usize,
    param: Option<Evaluated>,
    steps: Steps,
    control: &'a Control<'a>,
}

/// What a group knows of the series that it was given.
trait Accumulator {
    /// Takes a series in. Says how many values more are held because of it.
    fn add(&mut self, series: &StepSeries, noting: &mut Noting<'_>) -> usize;
    /// The values of the group.
    fn finish(self: Box<Self>, out: &mut StepSeries, noting: &mut Noting<'_>);
}

/// Where accumulators leave their annotations.
struct Noting<'a> {
    annotations: &'a mut Annotations,
    op: AggregateOp,
    /// Where the operand starts in the query.
    operand: usize,
}

impl Noting<'_> {
    fn histogram_ignored(&mut self) {
        self.annotations.add(Annotation::histogram_ignored_in_aggregation(self.op.name(), self.operand));
    }
}

/// The groups of an aggregation whose series come one by one.
pub(crate) struct Groups<'a> {
    node: &'a Aggregate,
    count: usize,
    quantiles: Rc<[f64]>,
    index: GroupIndex<'a>,
    groups: Vec<Group>,
}

struct Group {
    /// Whether the metric name of any member is to be dropped.
    drop_name: bool,
    values: Box<dyn Accumulator>,
}

/// Whether an aggregation takes series in one by one, and does not need all of them at once.
pub(crate) fn takes_one_by_one(op: AggregateOp) -> bool {
    use AggregateOp::{Bottomk, CountValues, LimitRatio, Limitk, Topk};
    !matches!(op, CountValues | Topk | Bottomk | Limitk | LimitRatio)
}

impl<'a> Aggregation<'a> {
    pub(crate) fn new(
        node: &'a Aggregate,
        span: Span,
        param: Option<Evaluated>,
        steps: Steps,
        control: &'a Control<'a>,
    ) -> Self {
        Aggregation { node, position: span.start as usize, param, steps, control }
    }

    /// The series of the result.
    ///
    /// `charge` is told of values that are held beside the series and the result.
    pub(crate) fn evaluate(
        &self,
        series: Vec<StepSeries>,
        annotations: &mut Annotations,
        charge: &mut dyn FnMut(usize) -> Result<(), QueryError>,
    ) -> Result<Vec<StepSeries>, QueryError> {
        let grouping = Grouping::new(self.node);
        if self.node.op == AggregateOp::CountValues {
            return count_values::evaluate(self.node, &grouping, &series, charge);
        }
        if !takes_one_by_one(self.node.op) {
            let numbers = self.numbers();
            let (position, param) = (self.position, self.param_position());
            let notes = select::Notes { annotations, control: self.control, position, param };
            return select::evaluate(self.node.op, &numbers, &grouping, series, self.steps, notes);
        }
        let mut groups = self.groups(annotations);
        for one in series {
            self.control.check()?;
            charge(groups.add(&one, annotations))?;
        }
        Ok(groups.finish(annotations))
    }

    /// The labels of the clause, and whether it was `without`.
    pub(crate) fn grouping(&self) -> (&[String], bool) {
        (&self.node.grouping, self.node.without)
    }

    /// The groups, without series yet. Only where [`takes_one_by_one`] says so.
    pub(crate) fn groups(&self, annotations: &mut Annotations) -> Groups<'a> {
        let quantiles = if self.node.op == AggregateOp::Quantile { self.quantiles(annotations) } else { Vec::new() };
        let index = GroupIndex::new(Grouping::new(self.node));
        Groups { node: self.node, count: self.steps.count, quantiles: quantiles.into(), index, groups: Vec::new() }
    }

    /// The parameter at each step.
    fn numbers(&self) -> Vec<f64> {
        match &self.param {
            Some(Evaluated::Scalar(values)) => values.clone(),
            _ => vec![0.0; self.steps.count],
        }
    }

    fn param_position(&self) -> usize {
        self.node.param.as_ref().map_or(self.position, |param| param.span.start as usize)
    }

    fn quantiles(&self, annotations: &mut Annotations) -> Vec<f64> {
        let numbers = self.numbers();
        let position = self.param_position();
        if numbers.iter().any(|q| q.is_nan()) {
            annotations.add(Annotation::invalid_quantile(f64::NAN, position));
        }
        let greatest = numbers.iter().copied().fold(f64::MIN, f64::max);
        let smallest = numbers.iter().copied().fold(f64::MAX, f64::min);
        if greatest > 1.0 {
            annotations.add(Annotation::invalid_quantile(greatest, position));
        }
        if smallest < 0.0 {
            annotations.add(Annotation::invalid_quantile(smallest, position));
        }
        numbers
    }
}

impl Groups<'_> {
    /// Takes a series in. Says how many values more are held because of it.
    pub(crate) fn add(&mut self, series: &StepSeries, annotations: &mut Annotations) -> usize {
        let mut noting = noting(self.node, annotations);
        let place = self.index.place(&series.labels);
        let mut held = 0;
        if place == self.groups.len() {
            self.groups.push(Group { drop_name: false, values: self.accumulator() });
            held = self.count;
        }
        let group = &mut self.groups[place];
        group.drop_name |= series.drop_name;
        held + group.values.add(series, &mut noting)
    }

    /// The series of the result.
    pub(crate) fn finish(self, annotations: &mut Annotations) -> Vec<StepSeries> {
        let mut noting = noting(self.node, annotations);
        let mut result = Vec::with_capacity(self.groups.len());
        for (place, group) in self.groups.into_iter().enumerate() {
            let mut out = StepSeries::new(self.index.labels(place).clone(), group.drop_name);
            group.values.finish(&mut out, &mut noting);
            if !out.is_empty() {
                result.push(out);
            }
        }
        result
    }

    fn accumulator(&self) -> Box<dyn Accumulator> {
        let count = self.count;
        match self.node.op {
            AggregateOp::Sum => Box::new(total::Sum::new(count)),
            AggregateOp::Avg => Box::new(total::Average::new(count)),
            AggregateOp::Min => Box::new(States::<Min>::of_floats(count)),
            AggregateOp::Max => Box::new(States::<Max>::of_floats(count)),
            AggregateOp::Stddev => Box::new(States::<Deviation>::of_floats(count)),
            AggregateOp::Stdvar => Box::new(States::<Variance>::of_floats(count)),
            AggregateOp::Quantile => Box::new(quantile::Quantiles::new(Rc::clone(&self.quantiles))),
            AggregateOp::Count => Box::new(States::<Count>::of_all(count)),
            _ => Box::new(States::<Ever>::of_all(count)),
        }
    }
}

fn noting<'n>(node: &Aggregate, annotations: &'n mut Annotations) -> Noting<'n> {
    Noting { annotations, op: node.op, operand: node.operand.span.start as usize }
}
