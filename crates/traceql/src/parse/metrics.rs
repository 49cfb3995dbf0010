//! Functions over time and what may follow them.

use super::node::{Node, compare_series};
use super::{ParseError, Parser};
use crate::ast::{CompareOp, Metrics, MetricsFunction, SecondStage, Static};
use crate::lex::Token;
use crate::parse::field::compare_op;

impl Parser<'_> {
    /// A function over time with its arguments, or nothing where none begins.
    pub(super) fn metrics_function(&mut self) -> Result<Option<MetricsFunction>, ParseError> {
        let Token::Word(word) = self.peek().clone() else { return Ok(None) };
        let is_function = word.ends_with("_over_time") || matches!(word.as_str(), "rate" | "compare");
        if !is_function {
            return Ok(None);
        }
        self.advance();
        self.expect("(")?;
        let function = match word.as_str() {
            "rate" => MetricsFunction::Rate,
            "count_over_time" => MetricsFunction::CountOverTime,
            "min_over_time" => MetricsFunction::MinOverTime(self.field()?),
            "max_over_time" => MetricsFunction::MaxOverTime(self.field()?),
            "avg_over_time" => MetricsFunction::AvgOverTime(self.field()?),
            "sum_over_time" => MetricsFunction::SumOverTime(self.field()?),
            "histogram_over_time" => MetricsFunction::HistogramOverTime(self.field()?),
            "quantile_over_time" => {
                let field = self.field()?;
                let mut quantiles = Vec::new();
                while self.take(",") {
                    quantiles.push(self.quantile()?);
                }
                MetricsFunction::QuantileOverTime(field, quantiles)
            }
            "compare" => {
                let selection = self.filter()?;
                let mut arguments = Vec::new();
                while self.take(",") {
                    arguments.push(self.whole_number()?);
                }
                MetricsFunction::Compare { selection, arguments }
            }
            _ => return Err(self.error_before(format!("unknown function {word:?}"))),
        };
        self.expect(")")?;
        Ok(Some(function))
    }

    /// Comparisons, `| topk(n)`, `| bottomk(n)` as often as they come.
    pub(super) fn second_stages(&mut self, mut metrics: Metrics) -> Result<Metrics, ParseError> {
        loop {
            if let Some(op) = self.series_comparison() {
                self.advance();
                let (scalar, plain) = match self.expression(3)? {
                    Node::Constant { scalar, plain } => (scalar, plain),
                    _ => return Err(self.error_before("series are compared with a number")),
                };
                metrics = compare_series(metrics, op, scalar, plain).map_err(|m| self.error_before(m))?;
            } else if self.take("|") {
                let top = self.take_word("topk");
                if !top && !self.take_word("bottomk") {
                    return Err(self.unexpected("topk or bottomk"));
                }
                self.expect("(")?;
                let n = self.whole_number()?;
                self.expect(")")?;
                let stage = if top { SecondStage::TopK(n) } else { SecondStage::BottomK(n) };
                metrics = Metrics::Second(Box::new(metrics), stage);
            } else {
                return Ok(metrics);
            }
        }
    }

    fn series_comparison(&self) -> Option<CompareOp> {
        self.peek_symbol().and_then(compare_op).filter(|op| !matches!(op, CompareOp::Regex | CompareOp::NotRegex))
    }

    fn quantile(&mut self) -> Result<f64, ParseError> {
        match self.advance() {
            Token::Static(Static::Float(q)) => Ok(q),
            Token::Static(Static::Int(q)) => Ok(q as f64),
            _ => Err(self.error_before("expected a quantile between 0 and 1")),
        }
    }

    fn whole_number(&mut self) -> Result<i64, ParseError> {
        match self.advance() {
            Token::Static(Static::Int(n)) => Ok(n),
            _ => Err(self.error_before("expected a whole number")),
        }
    }
}
