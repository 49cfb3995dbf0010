//! Aggregations over the series of an instant vector, group by group.

mod count_values;
mod float;
mod grouping;
mod label_hash;
mod quantile;
mod select;
mod total;

use crate::annotations::{Annotation, Annotations};
use crate::ast::{Aggregate, AggregateOp, Span};
use crate::column::{Evaluated, StepSeries, Steps};
use crate::error::{Control, QueryError};

use float::{Count, Ever, Max, Min, Variance};
use grouping::Grouping;

/// An aggregation with everything but its series.
pub(crate) struct Aggregation<'a> {
    node: &'a Aggregate,
    /// Where the whole aggregation starts in the query.
    position: usize,
    param: Option<Evaluated>,
    steps: Steps,
    control: &'a Control<'a>,
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
    pub(crate) fn evaluate(
        &self,
        series: Vec<StepSeries>,
        annotations: &mut Annotations,
    ) -> Result<Vec<StepSeries>, QueryError> {
        use AggregateOp::{Bottomk, CountValues, LimitRatio, Limitk, Topk};
        let grouping = Grouping::new(self.node);
        match self.node.op {
            CountValues => return count_values::evaluate(self.node, &grouping, &series),
            Topk | Bottomk | Limitk | LimitRatio => {
                let numbers = self.numbers();
                let (position, param) = (self.position, self.param_position());
                let notes = select::Notes { annotations, control: self.control, position, param };
                return select::evaluate(self.node.op, &numbers, &grouping, series, self.steps, notes);
            }
            _ => {}
        }
        let quantiles = if self.node.op == AggregateOp::Quantile { self.quantiles(annotations) } else { Vec::new() };
        let operand = self.node.operand.span.start as usize;
        let mut result = Vec::new();
        for group in grouping.groups(&series) {
            self.control.check()?;
            let members = || group.members.iter().map(|i| &series[*i]);
            let mut out = StepSeries::new(group.labels.clone(), members().any(|one| one.drop_name));
            if group.members.len() == 1 {
                out.drop_name = series[group.members[0]].drop_name;
            }
            let count = self.steps.count;
            let ignored = match self.node.op {
                AggregateOp::Sum => {
                    total::sum(members(), count, &mut out, annotations, operand);
                    false
                }
                AggregateOp::Avg => {
                    total::average(members(), count, &mut out, annotations, operand);
                    false
                }
                AggregateOp::Min => float::evaluate::<Min>(members(), count, &mut out),
                AggregateOp::Max => float::evaluate::<Max>(members(), count, &mut out),
                AggregateOp::Stddev => {
                    let ignored = float::evaluate::<Variance>(members(), count, &mut out);
                    out.floats.values.iter_mut().for_each(|v| *v = v.sqrt());
                    ignored
                }
                AggregateOp::Stdvar => float::evaluate::<Variance>(members(), count, &mut out),
                AggregateOp::Quantile => quantile::evaluate(members(), &quantiles, &mut out),
                AggregateOp::Count => float::evaluate_all::<Count>(members(), count, &mut out),
                _ => float::evaluate_all::<Ever>(members(), count, &mut out),
            };
            if ignored {
                annotations.add(Annotation::histogram_ignored_in_aggregation(self.node.op.name(), operand));
            }
            if !out.is_empty() {
                result.push(out);
            }
        }
        Ok(result)
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
