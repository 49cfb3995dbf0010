//! Pipelines and the expressions between their bars.

use super::node::{Node, Operator, unwrap_pipeline};
use super::{ParseError, Parser};
use crate::ast::{AggregateOp, Metrics, Pipeline, Root, Scalar, Spanset, Stage, Static};
use crate::lex::Token;

/// What a pipeline ends in.
#[derive(Debug)]
pub(super) enum Piped {
    /// Spansets.
    Spans(Pipeline),
    /// A number, of the stages before it.
    Scalar(Vec<Stage>, Node),
    /// Series.
    Metrics(Metrics),
}

impl Parser<'_> {
    /// A whole query up to its hints.
    pub(super) fn root(&mut self) -> Result<Root, ParseError> {
        match self.pipeline()? {
            Piped::Spans(pipeline) => Ok(Root::Spans(pipeline)),
            Piped::Metrics(metrics) => Ok(Root::Metrics(metrics)),
            Piped::Scalar(..) => Err(self.error("a number alone is no answer: compare it with something")),
        }
    }

    /// Stages separated by bars.
    fn pipeline(&mut self) -> Result<Piped, ParseError> {
        let mut stages = Vec::new();
        loop {
            if let Some(stage) = self.named_stage(stages.is_empty())? {
                stages.push(stage);
            } else if let Some(function) = self.metrics_function()? {
                if stages.is_empty() {
                    return Err(self.error_before("a function over time needs spans before it: `{} | ...`"));
                }
                let by = if self.take_word("by") { self.attributes()? } else { Vec::new() };
                let metrics = Metrics::Function { spans: Pipeline { stages }, function, by };
                return Ok(Piped::Metrics(self.second_stages(metrics)?));
            } else {
                match self.expression(0)? {
                    Node::Spanset { spanset, .. } => stages.push(Stage::Spanset(spanset)),
                    Node::Filter(filter) => stages.push(Stage::Filter(filter)),
                    Node::Metrics { metrics, .. } if stages.is_empty() => {
                        return Ok(Piped::Metrics(self.second_stages(metrics)?));
                    }
                    Node::Metrics { .. } => return Err(self.error_before("series can stand at the beginning only")),
                    scalar => return Ok(Piped::Scalar(stages, scalar)),
                }
            }
            if !self.take("|") {
                return Ok(Piped::Spans(Pipeline { stages }));
            }
        }
    }

    /// `by(x)`, `coalesce()`, `select(a, b)`.
    fn named_stage(&mut self, first: bool) -> Result<Option<Stage>, ParseError> {
        if self.take_word("by") {
            self.expect("(")?;
            let field = self.field()?;
            self.expect(")")?;
            return Ok(Some(Stage::By(field)));
        }
        if self.take_word("select") {
            return Ok(Some(Stage::Select(self.attributes()?)));
        }
        if !first && self.take_word("coalesce") {
            self.expect("(")?;
            self.expect(")")?;
            return Ok(Some(Stage::Coalesce));
        }
        Ok(None)
    }

    /// An expression whose operators bind at least this tightly.
    pub(super) fn expression(&mut self, least: u8) -> Result<Node, ParseError> {
        let mut left = self.operand()?;
        while let Some((operator, binds)) = self.peek_symbol().and_then(Operator::of) {
            if binds < least {
                break;
            }
            let at = self.next;
            self.advance();
            let right = self.deeper(|p| p.expression(binds + 1))?;
            left =
                operator.join(left, right).map_err(|message| ParseError::new(self.text, self.spots[at].at, message))?;
        }
        Ok(left)
    }

    fn operand(&mut self) -> Result<Node, ParseError> {
        if self.peek_symbol() == Some("{") {
            return Ok(Node::Spanset { spanset: Spanset::Filter(self.filter()?), wrapped: false });
        }
        if self.take("(") {
            let piped = self.deeper(Self::pipeline)?;
            self.expect(")")?;
            return self.wrapped(piped);
        }
        if self.take("-") {
            return match self.advance() {
                Token::Static(value @ (Static::Int(_) | Static::Float(_) | Static::Duration(_))) => {
                    Ok(Node::Constant { scalar: Scalar::Static(negative(value)), plain: true })
                }
                _ => Err(self.error_before("expected a number")),
            };
        }
        match self.peek().clone() {
            Token::Static(value @ (Static::Int(_) | Static::Float(_) | Static::Duration(_))) => {
                self.advance();
                Ok(Node::Constant { scalar: Scalar::Static(value), plain: true })
            }
            Token::Word(word) => match aggregate_op(&word) {
                Some(op) => {
                    self.advance();
                    self.aggregate(op)
                }
                None => Err(self.unexpected("a spanset, an aggregate or a number")),
            },
            _ => Err(self.unexpected("a spanset, an aggregate or a number")),
        }
    }

    fn aggregate(&mut self, op: AggregateOp) -> Result<Node, ParseError> {
        self.expect("(")?;
        let argument = match op {
            AggregateOp::Count => None,
            _ => Some(Box::new(self.field()?)),
        };
        self.expect(")")?;
        Ok(Node::Aggregate(Scalar::Aggregate(op, argument)))
    }

    /// What stood in parentheses.
    fn wrapped(&self, piped: Piped) -> Result<Node, ParseError> {
        Ok(match piped {
            Piped::Spans(pipeline) => Node::Spanset { spanset: unwrap_pipeline(pipeline), wrapped: true },
            Piped::Metrics(metrics) => Node::Metrics { metrics, wrapped: true },
            Piped::Scalar(stages, Node::Aggregate(scalar)) if !stages.is_empty() => {
                Node::ScalarPipeline(Scalar::Pipeline(Pipeline { stages }, Box::new(scalar)))
            }
            Piped::Scalar(stages, Node::Constant { scalar, .. }) if stages.is_empty() => {
                Node::Constant { scalar, plain: false }
            }
            Piped::Scalar(stages, node) if stages.is_empty() => node,
            Piped::Scalar(..) => return Err(self.error_before("a pipeline ends in spans, an aggregate or series")),
        })
    }
}

fn negative(value: Static) -> Static {
    match value {
        Static::Int(n) => Static::Int(n.wrapping_neg()),
        Static::Float(n) => Static::Float(-n),
        Static::Duration(n) => Static::Duration(n.wrapping_neg()),
        other => other,
    }
}

fn aggregate_op(word: &str) -> Option<AggregateOp> {
    Some(match word {
        "count" => AggregateOp::Count,
        "max" => AggregateOp::Max,
        "min" => AggregateOp::Min,
        "avg" => AggregateOp::Avg,
        "sum" => AggregateOp::Sum,
        _ => return None,
    })
}
