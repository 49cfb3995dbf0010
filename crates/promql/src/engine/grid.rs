//! The door for sources that evaluate a whole aggregation over a selector themselves, near the samples: `eval_grid`.

use sonde_model::{Labels, Matcher, Series, TimestampMs};

use crate::aggregate::{Aggregation, Groups};
use crate::annotations::Annotations;
use crate::column::{SampleSeries, StepSeries};
use crate::error::{Control, QueryError};
use crate::value::QueryStats;
use crate::weight::Weight;

use super::pipeline::Plan;

/// An aggregation over a selector, or over a range function of one, that waits for its series.
///
/// A source that wants to evaluate it makes [`GridGroups`], gives them every series for which all matchers hold, each with its
/// samples of the range, in the order of their labels, and hands the answer back. What it does not want, the engine does by the same steps.
pub struct Grid<'a> {
    pub(super) plan: &'a Plan,
    pub(super) aggregation: &'a Aggregation<'a>,
    pub(super) control: &'a Control<'a>,
    pub(super) finds_resets: bool,
    pub(super) limit: Weight,
    pub(super) left: Weight,
}

/// The groups of a [`Grid`], which take series in one by one.
pub struct GridGroups<'a> {
    grid: &'a Grid<'a>,
    groups: Groups<'a>,
    samples: SampleSeries,
    annotations: Annotations,
    stats: QueryStats,
    held: usize,
}

/// What a [`Grid`] comes to.
pub struct GridAnswer {
    pub(super) series: Vec<StepSeries>,
    pub(super) annotations: Annotations,
    pub(super) stats: QueryStats,
    pub(super) held: usize,
}

impl Grid<'_> {
    /// What must hold for every series.
    pub fn matchers(&self) -> &[Matcher] {
        &self.plan.matchers
    }

    /// The first and the last time at which a sample counts.
    pub fn range(&self) -> (TimestampMs, TimestampMs) {
        (self.plan.from, self.plan.to)
    }

    /// The labels of the clause `by`, or with `true` of `without`: what a source needs to know that keeps groups apart.
    pub fn grouping(&self) -> (&[String], bool) {
        self.aggregation.grouping()
    }

    /// Groups without series yet.
    pub fn groups(&self) -> GridGroups<'_> {
        let mut annotations = Annotations::default();
        let groups = self.aggregation.groups(&mut annotations);
        let (samples, stats) = (SampleSeries::default(), QueryStats::default());
        GridGroups { grid: self, groups, samples, annotations, stats, held: 0 }
    }
}

impl GridGroups<'_> {
    /// Takes a series in. What `series` holds afterwards is of no use.
    pub fn add(&mut self, labels: &Labels, series: &mut Series) -> Result<(), QueryError> {
        let grid = self.grid;
        grid.control.check()?;
        self.samples.refill(series, labels);
        let weight = self.samples.weight();
        if grid.finds_resets {
            self.samples.find_resets();
        }
        self.stats.series += u64::from(weight.samples > 0);
        self.stats.samples += weight.samples as u64;
        let values = grid.plan.compute.of(&mut self.samples, grid.plan.steps, grid.control, &mut self.annotations)?;
        if !values.is_empty() {
            self.held += self.groups.add(&values, &mut self.annotations);
        }
        let held = Weight::floats(self.held) + weight;
        if held.samples > grid.left.samples {
            return Err(QueryError::TooManySamples { limit: grid.limit.samples });
        }
        if held.bytes > grid.left.bytes {
            let needed = grid.limit.bytes - grid.left.bytes + held.bytes;
            return Err(QueryError::TooManyBytes { needed, limit: grid.limit.bytes });
        }
        Ok(())
    }

    /// The answer.
    pub fn finish(mut self) -> GridAnswer {
        let series = self.groups.finish(&mut self.annotations);
        GridAnswer { series, annotations: self.annotations, stats: self.stats, held: self.held }
    }
}

impl std::fmt::Debug for Grid<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Grid").field("matchers", &self.plan.matchers).finish_non_exhaustive()
    }
}

impl std::fmt::Debug for GridGroups<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("GridGroups").field("stats", &self.stats).finish_non_exhaustive()
    }
}

impl std::fmt::Debug for GridAnswer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("GridAnswer").field("series", &self.series.len()).finish_non_exhaustive()
    }
}
