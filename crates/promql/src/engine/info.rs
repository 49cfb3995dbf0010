//! `info`: series enriched with the labels of info metrics that share their identifying labels.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use sonde_model::{Labels, LabelsBuilder, METRIC_NAME, MatchOp, Matcher, TimestampMs};

use crate::ast::{Call, Expr, ExprKind};
use crate::column::{Evaluated, SampleSeries, StepSeries, StepValue, Steps};
use crate::error::QueryError;
use crate::weight::Weight;

use super::evaluation::Evaluation;
use super::lookback::Lookback;
use super::output::merge_equal_labels;
use super::selection::{compile, last_at_steps, seen};
use super::timing::Timing;

/// The labels that tell to which series an info metric belongs.
const IDENTIFYING: [&str; 2] = ["instance", "job"];
/// Over so many values of an identifying label, info series are not selected by them: the pattern would cost more.
const MAX_ALTERNATIVES: usize = 1_000;

/// What the second argument asks for.
struct Wanted {
    /// Conditions on the name of the info metrics.
    names: Vec<Matcher>,
    /// Conditions on the labels to be taken over; without any, all are.
    data: Vec<Matcher>,
}

/// Info series of one name and one set of identifying labels.
struct Candidates {
    members: Vec<Info>,
}

/// An info series and the time of the sample that it has at each step.
struct Info {
    labels: Labels,
    times: Vec<Option<TimestampMs>>,
}

impl Evaluation<'_> {
    pub(super) fn info(&mut self, call: &Call, steps: Steps) -> Result<Evaluated, QueryError> {
        let base = self.vector(&call.args[0], steps)?;
        let wanted = Wanted::new(call.args.get(1))?;
        let timing = self.reference_of(&call.args[0])?;
        let is_info = |series: &StepSeries| wanted.names.iter().all(|m| m.matches(series.labels.metric_name()));
        let candidates = self.info_series(&wanted, base.iter().filter(|one| !is_info(one)), timing, steps)?;
        let mut result = Vec::with_capacity(base.len());
        for series in base {
            self.control.check()?;
            if is_info(&series) {
                result.push(series);
            } else {
                enrich(&series, &wanted, &candidates, &mut result)?;
            }
        }
        Ok(Evaluated::Vector(merge_equal_labels(result)?))
    }

    /// Which time the samples of an expression are from: that of its first selector, subqueries around it included.
    fn reference_of(&self, expr: &Expr) -> Result<Timing, QueryError> {
        let mut timing = Timing { at: None, offset: 0 };
        let mut expr = expr;
        loop {
            let own = match &expr.kind {
                ExprKind::Vector(selector) => self.times.timing(selector.at, selector.offset.as_ref())?,
                ExprKind::Matrix(matrix) => self.times.timing(matrix.selector.at, matrix.selector.offset.as_ref())?,
                ExprKind::Subquery(subquery) => self.times.timing(subquery.at, subquery.offset.as_ref())?,
                _ => Timing { at: None, offset: 0 },
            };
            timing = match own.at {
                Some(_) => own,
                None => Timing { at: timing.at, offset: timing.offset.saturating_add(own.offset) },
            };
            match expr.children().into_iter().find(|child| has_selector(child)) {
                Some(child) => expr = child,
                None => return Ok(timing),
            }
        }
    }

    /// The info series that can belong to the series, by name and identifying labels.
    fn info_series<'s>(
        &mut self,
        wanted: &Wanted,
        series: impl Iterator<Item = &'s StepSeries>,
        timing: Timing,
        steps: Steps,
    ) -> Result<BTreeMap<String, HashMap<Labels, Candidates>>, QueryError> {
        let mut values: [BTreeSet<String>; 2] = Default::default();
        for one in series {
            for (name, values) in IDENTIFYING.iter().zip(&mut values) {
                values.extend(one.labels.get(name).map(str::to_owned));
            }
        }
        let mut by_name: BTreeMap<String, HashMap<Labels, Candidates>> = BTreeMap::new();
        if steps.count == 0 || values.iter().all(BTreeSet::is_empty) {
            return Ok(by_name);
        }
        let mut matchers: Vec<Matcher> = wanted.names.iter().chain(&wanted.data).cloned().collect();
        for (name, values) in IDENTIFYING.iter().zip(&values) {
            if (1..=MAX_ALTERNATIVES).contains(&values.len()) {
                let alternatives: Vec<String> = values.iter().map(|value| escaped(value)).collect();
                matchers.extend(Matcher::new(name, MatchOp::Regex, &alternatives.join("|")));
            }
        }
        let lookback = Lookback::new(self.options.lookback_ms, self.source.thinned());
        let (from, to) = seen(timing, steps, lookback.from(timing.reference(steps.start)), 0);
        let selection = self.select(&matchers, from, to, false)?;
        for one in self.read(&*selection)? {
            // A time at each step.
            self.budget.acquire(Weight::floats(steps.count))?;
            let info = Info { times: sample_times(&one, timing, steps, lookback)?, labels: one.labels };
            let of_name = by_name.entry(info.labels.metric_name().to_owned()).or_default();
            let key = identifying(&info.labels);
            of_name.entry(key).or_insert_with(|| Candidates { members: Vec::new() }).members.push(info);
        }
        Ok(by_name)
    }
}

impl Wanted {
    fn new(selector: Option<&Expr>) -> Result<Self, QueryError> {
        let matchers = match selector.map(|expr| &expr.unparenthesised().kind) {
            Some(ExprKind::Vector(selector)) => compile(selector)?,
            Some(_) => return Err(QueryError::execution("the second argument of info must be a selector")),
            None => Vec::new(),
        };
        let (mut names, data): (Vec<_>, Vec<_>) = matchers.into_iter().partition(|m| m.name() == METRIC_NAME);
        let is_positive = |matcher: &Matcher| matches!(matcher.op(), MatchOp::Equal | MatchOp::Regex);
        if names.is_empty() {
            names.push(Matcher::equal(METRIC_NAME, "target_info"));
        } else if !names.iter().any(is_positive) {
            // Without a word on which metrics carry information, those are meant whose name says so.
            names.extend(Matcher::new(METRIC_NAME, MatchOp::Regex, ".+_info"));
        }
        Ok(Wanted { names, data })
    }

    /// Whether a label of an info series is to be taken over.
    fn takes(&self, name: &str) -> bool {
        name != METRIC_NAME && (self.data.is_empty() || self.data.iter().any(|matcher| matcher.name() == name))
    }
}

impl Candidates {
    /// The series with the latest sample at a step.
    fn at(&self, step: u32) -> Result<Option<&Info>, QueryError> {
        let mut best: Option<(&Info, TimestampMs)> = None;
        for info in &self.members {
            let Some(time) = info.times[step as usize] else { continue };
            match best {
                Some((other, t)) if t == time => {
                    return Err(QueryError::execution(format!(
                        "found duplicate series for info metric: existing {} @ {t}, new {} @ {time}",
                        other.labels, info.labels
                    )));
                }
                Some((_, t)) if t > time => {}
                _ => best = Some((info, time)),
            }
        }
        Ok(best.map(|(info, _)| info))
    }
}

/// Appends the series with the labels of its info series; one result for each set of labels that it has over time.
fn enrich(
    series: &StepSeries,
    wanted: &Wanted,
    candidates: &BTreeMap<String, HashMap<Labels, Candidates>>,
    result: &mut Vec<StepSeries>,
) -> Result<(), QueryError> {
    let key = identifying(&series.labels);
    let candidates: Vec<&Candidates> = candidates.values().filter_map(|of_name| of_name.get(&key)).collect();
    let may_lack_info = wanted.data.iter().all(Matcher::matches_absent);
    let first = result.len();
    let mut steps: Vec<u32> = series.floats.steps.iter().chain(&series.histograms.steps).copied().collect();
    steps.sort_unstable();
    for step in steps {
        let mut infos = Vec::with_capacity(candidates.len());
        for candidates in &candidates {
            infos.extend(candidates.at(step)?);
        }
        if infos.is_empty() && !may_lack_info {
            continue;
        }
        let labels = enriched(&series.labels, &infos, wanted)?;
        let place = match result[first..].iter().position(|one| one.labels == labels) {
            Some(place) => first + place,
            None => {
                result.push(StepSeries::new(labels, series.drop_name));
                result.len() - 1
            }
        };
        if let Some(value) = series.at(step) {
            result[place].push(step, value);
        }
    }
    Ok(())
}

/// The labels with those of the info series. Labels that are there already stay.
fn enriched(labels: &Labels, infos: &[&Info], wanted: &Wanted) -> Result<Labels, QueryError> {
    let mut added = LabelsBuilder::default();
    for info in infos {
        for (name, value) in info.labels.iter().filter(|(name, _)| wanted.takes(name)) {
            if added.get(name).is_some_and(|other| other != value) {
                return Err(QueryError::execution(format!("conflicting label: {name}")));
            }
            if labels.get(name).is_none() {
                added.set(name, value);
            }
        }
    }
    let added = added.build();
    Ok(labels.iter().chain(added.iter()).collect())
}

/// The time of the sample that a series has at each step.
fn sample_times(
    series: &SampleSeries,
    timing: Timing,
    steps: Steps,
    lookback: Lookback,
) -> Result<Vec<Option<TimestampMs>>, QueryError> {
    let mut times = vec![None; steps.count];
    let mut is_histogram = false;
    last_at_steps(series, timing, steps, lookback, |step, time, value| {
        is_histogram |= matches!(value, StepValue::Histogram(_));
        times[step as usize] = Some(time.time);
    });
    if is_histogram {
        let labels = &series.labels;
        return Err(QueryError::execution(format!("this should be an info metric, with float samples: {labels}")));
    }
    Ok(times)
}

fn identifying(labels: &Labels) -> Labels {
    labels.without(|name| !IDENTIFYING.contains(&name))
}

/// Whether an expression reads series; the label selector of `info` does not.
pub(super) fn has_selector(expr: &Expr) -> bool {
    matches!(expr.kind, ExprKind::Vector(_) | ExprKind::Matrix(_)) || expr.children().into_iter().any(has_selector)
}

/// A pattern that matches a text and nothing else.
fn escaped(text: &str) -> String {
    let mut pattern = String::with_capacity(text.len());
    for c in text.chars() {
        if "\\.+*?()|[]{}^$#&-~".contains(c) {
            pattern.push('\\');
        }
        pattern.push(c);
    }
    pattern
}
