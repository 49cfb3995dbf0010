//! Rule files in Prometheus's format, parsed into rules that cannot be wrong.

mod check;
mod file;
mod keys;

#[cfg(test)]
mod tests;

use std::fmt;
use std::sync::Arc;

use sonde_model::Labels;
use sonde_promql::Expr;
use thiserror::Error;

use crate::template::Template;

/// A rule file whose every part has been checked.
#[derive(Clone, Debug, PartialEq)]
pub struct RuleFile {
    /// Where the text came from, usually a path.
    pub origin: String,
    /// The groups in the order of the file.
    pub groups: Vec<Arc<Group>>,
}

/// Rules that are evaluated together, in order, at the same timestamps.
#[derive(Clone, Debug, PartialEq)]
pub struct Group {
    /// The file, so that groups of one name in two files stay apart.
    pub origin: String,
    /// Unique in its file.
    pub name: String,
    /// Time between evaluations; `None` for the default of the system.
    pub interval_ms: Option<i64>,
    /// How far evaluations look back from their time; `None` for the default of the system.
    pub query_offset_ms: Option<i64>,
    /// The most series or alerts that one rule may yield; 0 for no limit.
    pub limit: usize,
    /// The rules in the order of the file; labels of the group are already merged into theirs.
    pub rules: Vec<Rule>,
}

/// A rule of either kind.
#[derive(Clone, Debug, PartialEq)]
pub enum Rule {
    /// Stores the result of an expression as new series.
    Recording(RecordingRule),
    /// Makes an alert of each series that an expression yields.
    Alerting(AlertingRule),
}

/// Stores the result of an expression as new series.
#[derive(Clone, Debug, PartialEq)]
pub struct RecordingRule {
    /// The metric name of the result.
    pub record: String,
    /// What is evaluated.
    pub expr: RuleExpr,
    /// Labels that are set on each series of the result; an empty value takes the label away.
    pub labels: Vec<(String, String)>,
}

/// Makes an alert of each series that an expression yields.
#[derive(Clone, Debug, PartialEq)]
pub struct AlertingRule {
    /// The value of the label `alertname`.
    pub alert: String,
    /// What is evaluated.
    pub expr: RuleExpr,
    /// How long a series must be there before its alert fires.
    pub for_ms: i64,
    /// How long an alert goes on firing after its series has gone.
    pub keep_firing_for_ms: i64,
    /// Labels that are set on each alert.
    pub labels: Vec<(String, Template)>,
    /// Annotations of each alert.
    pub annotations: Vec<(String, Template)>,
}

/// An expression as it was written and as it is evaluated.
#[derive(Clone, Debug)]
pub struct RuleExpr {
    /// The text of the file, without white space around it.
    pub text: String,
    /// The tree.
    pub expr: Expr,
}

impl PartialEq for RuleExpr {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl Rule {
    /// The name of the metric or of the alert.
    pub fn name(&self) -> &str {
        match self {
            Rule::Recording(rule) => &rule.record,
            Rule::Alerting(rule) => &rule.alert,
        }
    }

    /// What is evaluated.
    pub fn expr(&self) -> &RuleExpr {
        match self {
            Rule::Recording(rule) => &rule.expr,
            Rule::Alerting(rule) => &rule.expr,
        }
    }

    /// The labels as they are written in the file, templates unexpanded.
    pub fn label_sources(&self) -> Labels {
        match self {
            Rule::Recording(rule) => Labels::from_pairs(rule.labels.iter().map(|(n, v)| (n, v))),
            Rule::Alerting(rule) => Labels::from_pairs(rule.labels.iter().map(|(n, t)| (n.as_str(), t.source()))),
        }
    }
}

/// A mistake in a rule file. It prints as `file:line: message`.
#[derive(Clone, Debug, Error, PartialEq, Eq, PartialOrd, Ord)]
pub struct RuleError {
    /// Where the text came from.
    pub origin: String,
    /// Counted from 1.
    pub line: usize,
    /// What is wrong and, where it is known, what was meant.
    pub message: String,
}

impl fmt::Display for RuleError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}", self.origin, self.line, self.message)
    }
}

impl RuleFile {
    /// Parses and checks a file. All mistakes are reported at once, in the order of their lines.
    ///
    /// As strict as `promtool check rules`: unknown keys, names that come twice, invalid label names, templates that do not
    /// parse and expressions that do not parse are mistakes.
    pub fn parse(text: &str, origin: &str) -> Result<Self, Vec<RuleError>> {
        file::parse(text, origin)
    }
}
