//! What an expression outside braces can be, and which operators may stand between two of them.

use crate::ast::{
    ArithmeticOp, CompareOp, Metrics, Pipeline, Relation, Scalar, ScalarFilter, SecondStage, Spanset, SpansetOp, Stage,
    Static, StructuralMode,
};

/// An expression outside braces, sorted by what it yields.
#[derive(Debug)]
pub(super) enum Node {
    /// Spans; `wrapped` when it stood in parentheses.
    Spanset { spanset: Spanset, wrapped: bool },
    /// A number of literals alone; `plain` when it is one literal without parentheses or arithmetic.
    Constant { scalar: Scalar, plain: bool },
    /// A number of a spanset.
    Aggregate(Scalar),
    /// A number of a pipeline in parentheses.
    ScalarPipeline(Scalar),
    /// A comparison of numbers.
    Filter(ScalarFilter),
    /// Series; `wrapped` when it stood in parentheses or is arithmetic of such.
    Metrics { metrics: Metrics, wrapped: bool },
}

/// A binary operator outside braces.
#[derive(Clone, Copy, Debug)]
pub(super) enum Operator {
    /// Between spansets only.
    Spanset(SpansetOp),
    /// Between numbers or series only.
    Arithmetic(ArithmeticOp),
    /// Between numbers, or series and a number.
    Compare(CompareOp),
    /// `>` and `<`: a comparison between numbers, a relation between spansets.
    Either(CompareOp, SpansetOp),
}

impl Operator {
    /// The operator of a symbol and how tightly it binds.
    pub(super) fn of(symbol: &str) -> Option<(Self, u8)> {
        let structural = |relation, mode| Operator::Spanset(SpansetOp::Structural { relation, mode });
        let plain = |relation| SpansetOp::Structural { relation, mode: StructuralMode::Plain };
        let operator = match symbol {
            "&&" => return Some((Operator::Spanset(SpansetOp::And), 1)),
            "||" => return Some((Operator::Spanset(SpansetOp::Or), 1)),
            ">" => Operator::Either(CompareOp::Greater, plain(Relation::Child)),
            "<" => Operator::Either(CompareOp::Less, plain(Relation::Parent)),
            ">>" => structural(Relation::Descendant, StructuralMode::Plain),
            "<<" => structural(Relation::Ancestor, StructuralMode::Plain),
            "~" => structural(Relation::Sibling, StructuralMode::Plain),
            "!>" => structural(Relation::Child, StructuralMode::Negated),
            "!<" => structural(Relation::Parent, StructuralMode::Negated),
            "!>>" => structural(Relation::Descendant, StructuralMode::Negated),
            "!<<" => structural(Relation::Ancestor, StructuralMode::Negated),
            "!~" => structural(Relation::Sibling, StructuralMode::Negated),
            "&>" => structural(Relation::Child, StructuralMode::Union),
            "&<" => structural(Relation::Parent, StructuralMode::Union),
            "&>>" => structural(Relation::Descendant, StructuralMode::Union),
            "&<<" => structural(Relation::Ancestor, StructuralMode::Union),
            "&~" => structural(Relation::Sibling, StructuralMode::Union),
            "=" => Operator::Compare(CompareOp::Equal),
            "!=" => Operator::Compare(CompareOp::NotEqual),
            "<=" => Operator::Compare(CompareOp::LessEqual),
            ">=" => Operator::Compare(CompareOp::GreaterEqual),
            _ => return super::field::arithmetic_op(symbol).map(|(op, binds)| (Operator::Arithmetic(op), binds)),
        };
        Some((operator, 2))
    }

    /// Joins two expressions, or says why the operator may not stand between them.
    pub(super) fn join(self, left: Node, right: Node) -> Result<Node, &'static str> {
        match (self, left, right) {
            (
                Operator::Spanset(op) | Operator::Either(_, op),
                Node::Spanset { spanset: a, wrapped: wa },
                Node::Spanset { spanset: b, wrapped: wb },
            ) => {
                let pipelines = matches!(a, Spanset::Pipeline(_)) || matches!(b, Spanset::Pipeline(_));
                if pipelines && !(wa && wb) {
                    return Err("a pipeline in parentheses can be joined with another one in parentheses only");
                }
                Ok(Node::Spanset { spanset: Spanset::Binary(op, Box::new(a), Box::new(b)), wrapped: wa && wb })
            }
            (Operator::Spanset(_), ..) => Err("this operator stands between spansets"),
            (Operator::Arithmetic(op), left, right) => arithmetic(op, left, right),
            (Operator::Compare(op) | Operator::Either(op, _), left, right) => compare(op, left, right),
        }
    }
}

fn arithmetic(op: ArithmeticOp, left: Node, right: Node) -> Result<Node, &'static str> {
    let binary = |a, b| Scalar::Binary(op, Box::new(a), Box::new(b));
    match (left, right) {
        (Node::Constant { scalar: a, .. }, Node::Constant { scalar: b, .. }) => {
            Ok(Node::Constant { scalar: binary(a, b), plain: false })
        }
        (Node::Aggregate(a) | Node::Constant { scalar: a, .. }, Node::Aggregate(b))
        | (Node::Aggregate(a), Node::Constant { scalar: b, .. }) => Ok(Node::Aggregate(binary(a, b))),
        (Node::ScalarPipeline(a), Node::ScalarPipeline(b)) => Ok(Node::ScalarPipeline(binary(a, b))),
        (left, right) => {
            if matches!(op, ArithmeticOp::Mod | ArithmeticOp::Pow) {
                return Err("series know + - * / only");
            }
            match (series_operand(left)?, series_operand(right)?) {
                (Metrics::Scalar(_), Metrics::Scalar(_)) => Err("arithmetic stands between numbers or series"),
                (a, b) => Ok(Node::Metrics { metrics: Metrics::Binary(op, Box::new(a), Box::new(b)), wrapped: true }),
            }
        }
    }
}

fn series_operand(node: Node) -> Result<Metrics, &'static str> {
    match node {
        Node::Metrics { metrics, wrapped: true } => Ok(metrics),
        Node::Metrics { .. } => Err("series must stand in parentheses to be computed with"),
        Node::Constant { scalar, .. } if has_duration(&scalar) => Err("series are not computed with durations"),
        Node::Constant { scalar, .. } => Ok(Metrics::Scalar(scalar)),
        _ => Err("arithmetic stands between numbers or series"),
    }
}

fn compare(op: CompareOp, left: Node, right: Node) -> Result<Node, &'static str> {
    let filter = |left, right| Ok(Node::Filter(ScalarFilter { op, left, right }));
    match (left, right) {
        (Node::Aggregate(a), Node::Aggregate(b) | Node::Constant { scalar: b, .. })
        | (Node::Constant { scalar: a, .. }, Node::Aggregate(b))
        | (Node::ScalarPipeline(a), Node::ScalarPipeline(b) | Node::Constant { scalar: b, plain: true }) => {
            filter(a, b)
        }
        (Node::Metrics { metrics, wrapped: true }, Node::Constant { scalar, plain }) => {
            Ok(Node::Metrics { metrics: compare_series(metrics, op, scalar, plain)?, wrapped: true })
        }
        _ => Err("a comparison stands between numbers of spans, or series and a number"),
    }
}

/// Compares series with a number; a duration may stand there alone, not in arithmetic.
pub(super) fn compare_series(
    metrics: Metrics,
    op: CompareOp,
    scalar: Scalar,
    plain: bool,
) -> Result<Metrics, &'static str> {
    if has_duration(&scalar) && !plain {
        return Err("there is no arithmetic of durations");
    }
    Ok(Metrics::Second(Box::new(metrics), SecondStage::Compare(op, scalar)))
}

fn has_duration(scalar: &Scalar) -> bool {
    match scalar {
        Scalar::Static(value) => matches!(value, Static::Duration(_)),
        Scalar::Binary(_, a, b) => has_duration(a) || has_duration(b),
        Scalar::Aggregate(..) | Scalar::Pipeline(..) => false,
    }
}

/// A pipeline that is one spanset is that spanset.
pub(super) fn unwrap_pipeline(mut pipeline: Pipeline) -> Spanset {
    match (pipeline.stages.pop(), pipeline.stages.is_empty()) {
        (Some(Stage::Spanset(spanset)), true) => spanset,
        (last, _) => {
            pipeline.stages.extend(last);
            Spanset::Pipeline(pipeline)
        }
    }
}
