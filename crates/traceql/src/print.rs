//! Prints a tree as text that parses to the same tree.

use std::fmt::{self, Display, Formatter};

use crate::ast::{
    Attribute, Field, Hint, LogicOp, Metrics, MetricsFunction, Pipeline, Query, Relation, Root, Scalar, ScalarFilter,
    Scope, SecondStage, Spanset, SpansetOp, Stage, Static, StructuralMode,
};
use crate::lex::is_key_character;

impl Display for Query {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match &self.root {
            Root::Spans(pipeline) => write!(f, "{pipeline}")?,
            Root::Metrics(metrics) => write!(f, "{metrics}")?,
        }
        if !self.hints.is_empty() {
            f.write_str(" with(")?;
            list(f, &self.hints)?;
            f.write_str(")")?;
        }
        Ok(())
    }
}

impl Display for Hint {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "{}={}", self.name, self.value)
    }
}

impl Display for Pipeline {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        for (i, stage) in self.stages.iter().enumerate() {
            if i > 0 {
                f.write_str(" | ")?;
            }
            write!(f, "{stage}")?;
        }
        Ok(())
    }
}

impl Display for Stage {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Stage::Spanset(spanset) => write!(f, "{spanset}"),
            Stage::Filter(filter) => write!(f, "{filter}"),
            Stage::By(field) => write!(f, "by({field})"),
            Stage::Coalesce => f.write_str("coalesce()"),
            Stage::Select(attributes) => {
                f.write_str("select(")?;
                list(f, attributes)?;
                f.write_str(")")
            }
        }
    }
}

impl Display for Spanset {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Spanset::Filter(field) => write!(f, "{{ {field} }}"),
            Spanset::Binary(op, left, right) => write!(f, "({left}) {op} ({right})"),
            Spanset::Pipeline(pipeline) => write!(f, "({pipeline})"),
        }
    }
}

impl Display for SpansetOp {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            SpansetOp::And => f.write_str("&&"),
            SpansetOp::Or => f.write_str("||"),
            SpansetOp::Structural { relation, mode } => {
                f.write_str(match mode {
                    StructuralMode::Plain => "",
                    StructuralMode::Negated => "!",
                    StructuralMode::Union => "&",
                })?;
                f.write_str(match relation {
                    Relation::Descendant => ">>",
                    Relation::Child => ">",
                    Relation::Ancestor => "<<",
                    Relation::Parent => "<",
                    Relation::Sibling => "~",
                })
            }
        }
    }
}

impl Display for ScalarFilter {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} {}", self.left, self.op.symbol(), self.right)
    }
}

impl Display for Scalar {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Scalar::Static(value) => write!(f, "{value}"),
            Scalar::Aggregate(op, None) => write!(f, "{}()", op.name()),
            Scalar::Aggregate(op, Some(field)) => write!(f, "{}({field})", op.name()),
            Scalar::Binary(op, left, right) => {
                operand(f, left)?;
                write!(f, " {} ", op.symbol())?;
                operand(f, right)
            }
            Scalar::Pipeline(pipeline, scalar) => write!(f, "({pipeline} | {scalar})"),
        }
    }
}

/// Arithmetic within arithmetic needs parentheses; nothing else does.
fn operand(f: &mut Formatter<'_>, scalar: &Scalar) -> fmt::Result {
    match scalar {
        Scalar::Binary(..) => write!(f, "({scalar})"),
        _ => write!(f, "{scalar}"),
    }
}

impl Display for Field {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Field::Static(value) => write!(f, "{value}"),
            Field::Attribute(attribute) => write!(f, "{attribute}"),
            Field::Not(field) => write!(f, "!{}", Operand(field)),
            Field::Negative(field) => write!(f, "-{}", Operand(field)),
            Field::Logic(op, left, right) => {
                let symbol = if *op == LogicOp::And { "&&" } else { "||" };
                write!(f, "{} {symbol} {}", Operand(left), Operand(right))
            }
            Field::Compare(op, left, right) => write!(f, "{} {} {}", Operand(left), op.symbol(), Operand(right)),
            Field::Arithmetic(op, left, right) => write!(f, "{} {} {}", Operand(left), op.symbol(), Operand(right)),
        }
    }
}

/// An operand: in parentheses unless it is one word.
struct Operand<'a>(&'a Field);

impl Display for Operand<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self.0 {
            Field::Static(_) | Field::Attribute(_) => write!(f, "{}", self.0),
            other => write!(f, "({other})"),
        }
    }
}

impl Display for Static {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Static::Nil => f.write_str("nil"),
            Static::Int(i64::MIN) => f.write_str("minInt"),
            Static::Int(n) => write!(f, "{n}"),
            Static::Float(n) => write!(f, "{n:?}"),
            Static::Duration(n) => write!(f, "{n}ns"),
            Static::String(text) => quote(f, text),
            Static::Bool(b) => write!(f, "{b}"),
            Static::Status(status) => write!(f, "{status}"),
            Static::Kind(kind) => write!(f, "{kind}"),
        }
    }
}

impl Display for Attribute {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Attribute::Intrinsic(intrinsic) => f.write_str(intrinsic.name()),
            Attribute::Scoped { parent, scope, key } => {
                f.write_str(if *parent { "parent." } else { "" })?;
                f.write_str(match scope {
                    Scope::Any if *parent => "",
                    Scope::Any => ".",
                    Scope::Span => "span.",
                    Scope::Resource => "resource.",
                    Scope::Event => "event.",
                    Scope::Link => "link.",
                    Scope::Instrumentation => "instrumentation.",
                })?;
                if key.chars().all(is_key_character) { f.write_str(key) } else { quote(f, key) }
            }
        }
    }
}

impl Display for Metrics {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Metrics::Function { spans, function, by } => {
                write!(f, "{spans} | {function}")?;
                if by.is_empty() {
                    return Ok(());
                }
                f.write_str(" by (")?;
                list(f, by)?;
                f.write_str(")")
            }
            Metrics::Scalar(scalar) => write!(f, "({scalar})"),
            Metrics::Binary(op, left, right) => {
                series(f, left)?;
                write!(f, " {} ", op.symbol())?;
                series(f, right)
            }
            Metrics::Second(input, stage) => {
                write!(f, "{input}")?;
                match stage {
                    SecondStage::TopK(n) => write!(f, " | topk({n})"),
                    SecondStage::BottomK(n) => write!(f, " | bottomk({n})"),
                    SecondStage::Compare(op, scalar) => write!(f, " {} {scalar}", op.symbol()),
                }
            }
        }
    }
}

fn series(f: &mut Formatter<'_>, metrics: &Metrics) -> fmt::Result {
    match metrics {
        Metrics::Scalar(scalar) => operand(f, scalar),
        _ => write!(f, "({metrics})"),
    }
}

impl Display for MetricsFunction {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            MetricsFunction::Rate => f.write_str("rate()"),
            MetricsFunction::CountOverTime => f.write_str("count_over_time()"),
            MetricsFunction::MinOverTime(field) => write!(f, "min_over_time({field})"),
            MetricsFunction::MaxOverTime(field) => write!(f, "max_over_time({field})"),
            MetricsFunction::AvgOverTime(field) => write!(f, "avg_over_time({field})"),
            MetricsFunction::SumOverTime(field) => write!(f, "sum_over_time({field})"),
            MetricsFunction::HistogramOverTime(field) => write!(f, "histogram_over_time({field})"),
            MetricsFunction::QuantileOverTime(field, quantiles) => {
                write!(f, "quantile_over_time({field}")?;
                quantiles.iter().try_for_each(|q| write!(f, ", {q:?}"))?;
                f.write_str(")")
            }
            MetricsFunction::Compare { selection, arguments } => {
                write!(f, "compare({{ {selection} }}")?;
                arguments.iter().try_for_each(|n| write!(f, ", {n}"))?;
                f.write_str(")")
            }
        }
    }
}

fn list<T: Display>(f: &mut Formatter<'_>, items: &[T]) -> fmt::Result {
    for (i, item) in items.iter().enumerate() {
        if i > 0 {
            f.write_str(", ")?;
        }
        write!(f, "{item}")?;
    }
    Ok(())
}

fn quote(f: &mut Formatter<'_>, text: &str) -> fmt::Result {
    f.write_str("\"")?;
    for c in text.chars() {
        match c {
            '"' => f.write_str("\\\"")?,
            '\\' => f.write_str("\\\\")?,
            '\n' => f.write_str("\\n")?,
            '\r' => f.write_str("\\r")?,
            '\t' => f.write_str("\\t")?,
            c => write!(f, "{c}")?,
        }
    }
    f.write_str("\"")
}
