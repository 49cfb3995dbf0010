//! Whether the data behind a restored alert can be seen again, so that its absence means something.
//!
//! After a time without this process the series of an alert may be away only because nobody has sent it yet.

use std::collections::BTreeMap;

use sonde_alerting::alert::ALERT_NAME;
use sonde_alerting::{AlertInstance, Rule};
use sonde_model::{Labels, TimestampMs};
use sonde_promql::ast::{ExprKind, VectorSelector};
use sonde_promql::{Expr, QueryResult, Value};

use super::store::RuleStore;

/// How long after the start absence is not believed at most: twice the time for which a sample stays visible.
const MAX_BLIND_MS: i64 = 600_000;

/// What can be seen during one evaluation of a rule. Many alerts ask for the same data: they are asked for once.
pub(super) struct Sight<'a> {
    store: &'a dyn RuleStore,
    /// The time of the evaluation.
    at: TimestampMs,
    /// The start: data that are older prove nothing.
    since: TimestampMs,
    /// By expression: the series and values that were found.
    answers: BTreeMap<String, Vec<(Labels, f64)>>,
}

impl<'a> Sight<'a> {
    /// Nothing has been looked at yet.
    pub(super) fn new(store: &'a dyn RuleStore, at: TimestampMs, since: TimestampMs) -> Self {
        Sight { store, at, since, answers: BTreeMap::new() }
    }

    /// Whether every selector of the rule's expression finds data that came since the start and may be behind the alert;
    /// after [`MAX_BLIND_MS`] always.
    pub(super) fn sees(&mut self, rule: &Rule, alert: &AlertInstance) -> bool {
        if self.at - self.since >= MAX_BLIND_MS {
            return true;
        }
        let made = rule.label_sources();
        let own = alert.labels.without(|name| name == ALERT_NAME || made.get(name).is_some());
        let since_s = self.since as f64 / 1e3;
        selectors(&rule.expr().expr).into_iter().all(|(selector, range)| {
            // What lies before the start by intention is looked at as if it were asked of now.
            let mut selector = selector.clone();
            (selector.offset, selector.at) = (None, None);
            let text = Expr::new(ExprKind::Vector(selector), rule.expr().expr.span).to_string();
            self.finds(format!("timestamp({text})"), since_s, &own)
                // A function of a range needs two samples to say something.
                && range.is_none_or(|range| self.finds(format!("count_over_time({text}[{range}])"), 2.0, &own))
        })
    }

    /// Whether an expression yields at least `enough` for a series that agrees with `labels` where it has them.
    fn finds(&mut self, expr: String, enough: f64, labels: &Labels) -> bool {
        let (store, at) = (self.store, self.at);
        let found = self.answers.entry(expr).or_insert_with_key(|expr| ask(store, expr, at));
        let agrees = |found: &Labels| labels.iter().all(|(name, value)| found.get(name).is_none_or(|v| v == value));
        found.iter().any(|(series, value)| *value >= enough && agrees(series))
    }
}

/// The series and values of an expression; nothing where it fails, for then nothing can be seen.
fn ask(store: &dyn RuleStore, expr: &str, at: TimestampMs) -> Vec<(Labels, f64)> {
    let Ok(expr) = sonde_promql::parse(expr) else { return Vec::new() };
    let Ok(QueryResult { value: Value::Vector(samples), .. }) = store.query(&expr, at) else { return Vec::new() };
    samples.into_iter().filter_map(|s| Some((s.labels, s.value.as_float()?))).collect()
}

/// The selectors of an expression with their ranges.
fn selectors(expr: &Expr) -> Vec<(&VectorSelector, Option<String>)> {
    match &expr.kind {
        ExprKind::Vector(selector) => vec![(selector, None)],
        ExprKind::Matrix(matrix) => {
            let whole = expr.to_string();
            let range = whole.rsplit_once('[').and_then(|(_, rest)| rest.split_once(']')).map(|(r, _)| r.to_owned());
            vec![(&matrix.selector, range)]
        }
        _ => expr.children().into_iter().flat_map(selectors).collect(),
    }
}

#[cfg(test)]
mod tests {
    use sonde_alerting::RuleFile;

    use super::*;

    #[test]
    fn selectors_are_found_with_their_ranges() {
        for (expr, expected) in [
            ("vector(1)", ""),
            ("a > 5", "a"),
            (r#"sum by (job) (rate(a{b="c"}[5m] offset 1h)) / b > 1"#, r#"a{b="c"} offset 1h[5m] b"#),
            ("max_over_time(rate(a[1m])[1h:5m]) unless on() c", "a[1m] c"),
        ] {
            let file = format!("groups:\n- name: g\n  rules:\n  - alert: A\n    expr: {expr}\n");
            let file = RuleFile::parse(&file, "f.yml").expect("a rule file");
            let rule = &file.groups[0].rules[0];
            let span = rule.expr().expr.span;
            let shown = selectors(&rule.expr().expr).into_iter().map(|(selector, range)| {
                let selector = Expr::new(ExprKind::Vector(selector.clone()), span);
                format!("{selector}{}", range.map(|range| format!("[{range}]")).unwrap_or_default())
            });
            assert_eq!(shown.collect::<Vec<_>>().join(" "), expected, "{expr}");
        }
    }
}
