//! Whether the data behind a restored alert can be seen again, so that its absence means something.
//!
//! After a time without this process the series of an alert may be away only because nobody has sent it yet.

use sonde_alerting::alert::ALERT_NAME;
use sonde_alerting::{AlertInstance, Rule};
use sonde_model::{Labels, TimestampMs};
use sonde_promql::ast::{ExprKind, VectorSelector};
use sonde_promql::{Expr, SampleValue, Value};

use super::store::RuleStore;

/// How long after the start absence is not believed at most: twice the time for which a sample stays visible.
const MAX_BLIND_MS: i64 = 600_000;

/// Whether every selector of the rule's expression finds data that came since `since` and may be behind the alert; after
/// [`MAX_BLIND_MS`] always.
pub(super) fn sees(
    store: &dyn RuleStore,
    rule: &Rule,
    alert: &AlertInstance,
    at: TimestampMs,
    since: TimestampMs,
) -> bool {
    if at - since >= MAX_BLIND_MS {
        return true;
    }
    let made = rule.label_sources();
    let fits = |labels: &Labels| {
        let mut own = alert.labels.iter().filter(|(name, _)| *name != ALERT_NAME && made.get(name).is_none());
        own.all(|(name, value)| labels.get(name).is_none_or(|found| found == value))
    };
    let found = |expr: String, enough: f64| {
        let Ok(expr) = sonde_promql::parse(&expr) else { return false };
        let Ok(result) = store.query(&expr, at) else { return false };
        let Value::Vector(samples) = result.value else { return false };
        samples.iter().any(|s| matches!(s.value, SampleValue::Float(v) if v >= enough) && fits(&s.labels))
    };
    selectors(&rule.expr().expr).into_iter().all(|(selector, range)| {
        // What lies before the start by intention is looked at as if it were asked of now.
        let mut selector = selector.clone();
        (selector.offset, selector.at) = (None, None);
        let span = rule.expr().expr.span;
        let text = Expr::new(ExprKind::Vector(selector), span).to_string();
        found(format!("timestamp({text})"), since as f64 / 1e3)
            // A function of a range needs two samples to say something.
            && range.is_none_or(|range| found(format!("count_over_time({text}[{range}])"), 2.0))
    })
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
