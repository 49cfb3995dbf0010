//! What the language itself offers at a place.

use crate::ast::{AggregateOp, BinaryOp, ValueType};
use crate::functions::{Signature, TABLE};

/// Something that may stand at the cursor.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Candidate {
    /// What is put in; of functions with the parenthesis.
    pub text: String,
    /// What it is.
    pub kind: CandidateKind,
    /// A few words about it; may be empty.
    pub detail: String,
}

/// What a candidate is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum CandidateKind {
    /// The name of a label.
    Label,
    /// The value of a label.
    LabelValue,
    /// The name of a metric.
    Metric,
    /// A function.
    Function,
    /// An aggregation.
    Aggregation,
    /// A word of the language.
    Keyword,
    /// An operator.
    Operator,
    /// A duration.
    Duration,
}

/// Durations that people write.
const DURATIONS: [&str; 10] = ["30s", "1m", "5m", "10m", "15m", "30m", "1h", "6h", "1d", "7d"];
const UNITS: [&str; 7] = ["ms", "s", "m", "h", "d", "w", "y"];

impl Candidate {
    /// A candidate of which nothing more is told.
    pub fn new(text: impl Into<String>, kind: CandidateKind) -> Self {
        Candidate { text: text.into(), kind, detail: String::new() }
    }
}

/// What an operand can begin with, but for names of metrics.
pub(super) fn operands() -> Vec<Candidate> {
    let functions = TABLE.iter().map(|row| Candidate {
        text: format!("{}(", row.name),
        kind: CandidateKind::Function,
        detail: signature(row),
    });
    let aggregations = AggregateOp::ALL.iter().map(|op| Candidate {
        text: op.name().to_owned(),
        kind: CandidateKind::Aggregation,
        detail: if op.takes_param() { "aggregation with a parameter" } else { "aggregation" }.to_owned(),
    });
    functions.chain(aggregations).collect()
}

/// What can stand behind an operand.
pub(super) fn behind_operand(is_aggregation: bool) -> Vec<Candidate> {
    let grouping: &[&str] = if is_aggregation { &["by (", "without ("] } else { &[] };
    let words = grouping.iter().chain(&["offset ", "@ "]).map(|word| Candidate::new(*word, CandidateKind::Keyword));
    let operators = BinaryOp::ALL.iter().map(|op| Candidate::new(op.symbol(), CandidateKind::Operator));
    words.chain(operators).collect()
}

pub(super) fn keywords(words: &[&str]) -> Vec<Candidate> {
    words.iter().map(|word| Candidate::new(*word, CandidateKind::Keyword)).collect()
}

pub(super) fn operators(symbols: &[&str]) -> Vec<Candidate> {
    symbols.iter().map(|symbol| Candidate::new(*symbol, CandidateKind::Operator)).collect()
}

/// Durations; behind digits these digits with each unit.
pub(super) fn durations(prefix: &str, in_brackets: bool) -> Vec<Candidate> {
    let duration = |text: String| Candidate::new(text, CandidateKind::Duration);
    if !prefix.is_empty() && prefix.bytes().all(|b| b.is_ascii_digit()) {
        return UNITS.iter().map(|unit| duration(format!("{prefix}{unit}"))).collect();
    }
    let mut found: Vec<Candidate> = DURATIONS.iter().map(|text| duration((*text).to_owned())).collect();
    if in_brackets {
        found.extend(["step()", "range()"].map(|text| Candidate::new(text, CandidateKind::Function)));
    }
    found
}

/// `rate(range vector) instant vector`
fn signature(row: &Signature) -> String {
    let mut args: Vec<String> = Vec::new();
    for (i, kind) in row.args.iter().enumerate() {
        let optional = if i >= row.min_args { "?" } else { "" };
        args.push(format!("{}{optional}", ValueType::documented(*kind)));
    }
    if row.max_args.is_none() || row.max_args.is_some_and(|max| max > row.args.len()) {
        args.push("...".to_owned());
    }
    format!("({}) {}", args.join(", "), row.returns.documented())
}
