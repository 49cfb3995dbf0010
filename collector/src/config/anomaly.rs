//! The part of the configuration file that says what is watched for anomalies.

use serde::{Deserialize, Serialize};
use sonde_promql::Expr;
use sonde_promql::ast::{ExprKind, ValueType};
use sonde_runtime::config::Duration;

/// How many expressions may be watched: they are evaluated one after the other.
const MAX_WATCHES: usize = 100;
/// How many steps of an interval history may have.
const MAX_STEPS: u128 = 100_000;
/// Each series costs about 1 KiB, in memory and in the file of its watch.
const MAX_SERIES: usize = 100_000;
/// The longest name: it is a label and the name of a file.
const MAX_NAME: usize = 64;

/// What is watched for anomalies.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct AnomalyConfig {
    /// How much stored history a new watch learns from, and how long ago what was missed may be.
    pub history: Duration,
    /// How many series one watch may have; the rest is not watched.
    pub max_series: usize,
    /// The watches.
    pub watch: Vec<WatchConfig>,
}

impl Default for AnomalyConfig {
    fn default() -> Self {
        AnomalyConfig { history: Duration::from_secs(86_400), max_series: 10_000, watch: Vec::new() }
    }
}

/// One expression that is watched.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct WatchConfig {
    /// The value of the label `anomaly`.
    pub name: String,
    /// What is watched: rates and ratios, never raw counters.
    pub expr: String,
    /// How often.
    #[serde(default = "default_interval")]
    pub interval: Duration,
}

fn default_interval() -> Duration {
    Duration::from_secs(60)
}

impl AnomalyConfig {
    /// What must hold beyond the type of each key; else the key and what is wrong with it.
    pub(super) fn check(&self) -> Result<(), (String, String)> {
        if self.max_series > MAX_SERIES {
            return Err(("anomaly.max_series".into(), format!("must be at most {MAX_SERIES}")));
        }
        if self.watch.len() > MAX_WATCHES {
            return Err(("anomaly.watch".into(), format!("must have at most {MAX_WATCHES} entries")));
        }
        for (i, watch) in self.watch.iter().enumerate() {
            let wrong = |key: &str, reason: String| Err((format!("anomaly.watch[{i}].{key}"), reason));
            let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-');
            if watch.name.is_empty() || watch.name.len() > MAX_NAME || !watch.name.chars().all(plain) {
                return wrong("name", format!("must be 1 to {MAX_NAME} letters, digits, `_` and `-`"));
            }
            if self.watch[..i].iter().any(|other| other.name == watch.name) {
                return wrong("name", "is used twice; give each watch its own".into());
            }
            if watch.interval < Duration::from_secs(1) {
                return wrong("interval", "must be at least 1s".into());
            }
            if self.history.0.as_millis() / watch.interval.0.as_millis() > MAX_STEPS {
                return wrong("interval", format!("must not be shorter than anomaly.history / {MAX_STEPS}"));
            }
            match sonde_promql::parse(&watch.expr) {
                Err(e) => return wrong("expr", format!("cannot be read: {e}")),
                Ok(expr) if !matches!(expr.value_type(), ValueType::Scalar | ValueType::Vector) => {
                    return wrong("expr", "must have a number or an instant vector as its value".into());
                }
                Ok(_) => {}
            }
        }
        Ok(())
    }

    /// What is allowed, but hardly meant.
    pub(super) fn warnings(&self) -> Vec<String> {
        let counter = |watch: &WatchConfig| raw_counter(&sonde_promql::parse(&watch.expr).ok()?).map(str::to_owned);
        let warning = |(i, watch): (usize, &WatchConfig)| {
            let name = counter(watch)?;
            Some(format!(
                "anomaly.watch[{i}].expr watches the raw counter {name}, whose every value is a record: watch its rate, \
                 as in rate({name}[5m])"
            ))
        };
        self.watch.iter().enumerate().filter_map(warning).collect()
    }
}

/// A counter of which the expression takes the bare values. What a function makes of one is no longer a counter.
fn raw_counter(expr: &Expr) -> Option<&str> {
    match &expr.kind {
        ExprKind::Call(_) => None,
        ExprKind::Vector(selector) => selector.name.as_deref().filter(|name| name.ends_with("_total")),
        _ => expr.children().into_iter().find_map(raw_counter),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn watching(expr: &str) -> AnomalyConfig {
        let watch = WatchConfig { name: "w".into(), expr: expr.into(), interval: default_interval() };
        AnomalyConfig { watch: vec![watch], ..AnomalyConfig::default() }
    }

    #[test]
    fn a_raw_counter_gets_a_warning() {
        for (expr, counter) in [
            ("requests_total", Some("requests_total")),
            ("sum by (job) ((requests_total{a=\"b\"}))", Some("requests_total")),
            ("errors_total / requests_total", Some("errors_total")),
            ("rate(requests_total[5m])", None),
            ("sum(rate(errors_total[5m])) / sum(rate(requests_total[5m]))", None),
            ("queue_length", None),
        ] {
            assert_eq!(sonde_promql::parse(expr).ok().as_ref().and_then(raw_counter), counter, "{expr}");
            assert_eq!(watching(expr).warnings().len(), usize::from(counter.is_some()), "{expr}");
            assert_eq!(watching(expr).check(), Ok(()), "{expr}");
        }
    }

    #[test]
    fn what_cannot_be_watched_is_refused() {
        let with = |change: fn(&mut WatchConfig)| {
            let mut config = watching("a");
            change(&mut config.watch[0]);
            config
        };
        let twice = AnomalyConfig { watch: [watching("a").watch, watching("b").watch].concat(), ..watching("a") };
        for (config, key) in [
            (watching("rate("), "anomaly.watch[0].expr"),
            (watching("requests_total[5m]"), "anomaly.watch[0].expr"),
            (with(|w| w.name = "../x".into()), "anomaly.watch[0].name"),
            (with(|w| w.name = String::new()), "anomaly.watch[0].name"),
            (with(|w| w.interval = Duration::from_secs(0)), "anomaly.watch[0].interval"),
            (twice, "anomaly.watch[1].name"),
            (AnomalyConfig { max_series: 1_000_000, ..watching("a") }, "anomaly.max_series"),
            (AnomalyConfig { history: Duration::from_secs(1 << 40), ..watching("a") }, "anomaly.watch[0].interval"),
        ] {
            assert_eq!(config.check().map_err(|(key, _)| key), Err(key.to_owned()));
        }
    }
}
