//! Expressions over one span: what stands in braces and in the arguments of aggregates.

use super::{ParseError, Parser};
use crate::ast::{ArithmeticOp, Attribute, CompareOp, Field, Kind, LogicOp, Static, Status};
use crate::lex::Token;

/// Binary operators by how tightly they bind.
enum Operator {
    Logic(LogicOp),
    Compare(CompareOp),
    Arithmetic(ArithmeticOp),
}

/// How tightly `!` binds: less than `*`, more than `+`.
const NOT_BINDS: u8 = 4;

impl Parser<'_> {
    /// `{ expr }`; an empty one holds for every span.
    pub(super) fn filter(&mut self) -> Result<Field, ParseError> {
        self.expect("{")?;
        if self.take("}") {
            return Ok(Field::Static(Static::Bool(true)));
        }
        let field = self.field()?;
        self.expect("}")?;
        Ok(field)
    }

    /// An expression over one span.
    pub(super) fn field(&mut self) -> Result<Field, ParseError> {
        self.deeper(|p| p.field_above(0))
    }

    /// A list of attributes in parentheses.
    pub(super) fn attributes(&mut self) -> Result<Vec<Attribute>, ParseError> {
        self.expect("(")?;
        let mut attributes = Vec::new();
        loop {
            match self.advance() {
                Token::Attribute(attribute) => attributes.push(attribute),
                _ => return Err(self.error_before("expected an attribute")),
            }
            if !self.take(",") {
                break;
            }
        }
        self.expect(")")?;
        Ok(attributes)
    }

    fn field_above(&mut self, least: u8) -> Result<Field, ParseError> {
        let mut left = self.field_operand()?;
        while let Some((operator, binds, right_associative)) = self.field_operator() {
            if binds < least {
                break;
            }
            self.advance();
            let next = if right_associative { binds } else { binds + 1 };
            let right = Box::new(self.deeper(|p| p.field_above(next))?);
            left = match operator {
                Operator::Logic(op) => Field::Logic(op, Box::new(left), right),
                Operator::Compare(op) => Field::Compare(op, Box::new(left), right),
                Operator::Arithmetic(op) => Field::Arithmetic(op, Box::new(left), right),
            };
        }
        Ok(left)
    }

    fn field_operator(&self) -> Option<(Operator, u8, bool)> {
        let symbol = self.peek_symbol()?;
        if let Some(op) = compare_op(symbol) {
            return Some((Operator::Compare(op), 2, false));
        }
        if let Some((op, binds)) = arithmetic_op(symbol) {
            return Some((Operator::Arithmetic(op), binds, op == ArithmeticOp::Pow));
        }
        match symbol {
            "&&" => Some((Operator::Logic(LogicOp::And), 1, false)),
            "||" => Some((Operator::Logic(LogicOp::Or), 1, false)),
            _ => None,
        }
    }

    fn field_operand(&mut self) -> Result<Field, ParseError> {
        if self.take("!") {
            return Ok(Field::Not(Box::new(self.deeper(|p| p.field_above(NOT_BINDS))?)));
        }
        if self.take("-") {
            return Ok(match self.deeper(Self::field_operand)? {
                Field::Static(Static::Int(n)) => Field::Static(Static::Int(n.wrapping_neg())),
                Field::Static(Static::Float(n)) => Field::Static(Static::Float(-n)),
                Field::Static(Static::Duration(n)) => Field::Static(Static::Duration(n.wrapping_neg())),
                other => Field::Negative(Box::new(other)),
            });
        }
        if self.take("(") {
            let field = self.field()?;
            self.expect(")")?;
            return Ok(field);
        }
        match self.peek().clone() {
            Token::Static(value) => {
                self.advance();
                Ok(Field::Static(value))
            }
            Token::Attribute(attribute) => {
                self.advance();
                Ok(Field::Attribute(attribute))
            }
            Token::Word(word) => match keyword(&word) {
                Some(value) => {
                    self.advance();
                    Ok(Field::Static(value))
                }
                None => Err(self.error(format!("unknown identifier {word:?}: attributes begin with a dot or a scope"))),
            },
            _ => Err(self.unexpected("an expression")),
        }
    }
}

/// A comparison by its symbol.
pub(super) fn compare_op(symbol: &str) -> Option<CompareOp> {
    Some(match symbol {
        "=" => CompareOp::Equal,
        "!=" => CompareOp::NotEqual,
        "<" => CompareOp::Less,
        "<=" => CompareOp::LessEqual,
        ">" => CompareOp::Greater,
        ">=" => CompareOp::GreaterEqual,
        "=~" => CompareOp::Regex,
        "!~" => CompareOp::NotRegex,
        _ => return None,
    })
}

/// An arithmetic operator by its symbol, and how tightly it binds.
pub(super) fn arithmetic_op(symbol: &str) -> Option<(ArithmeticOp, u8)> {
    Some(match symbol {
        "+" => (ArithmeticOp::Add, 3),
        "-" => (ArithmeticOp::Sub, 3),
        "*" => (ArithmeticOp::Mul, 5),
        "/" => (ArithmeticOp::Div, 5),
        "%" => (ArithmeticOp::Mod, 5),
        "^" => (ArithmeticOp::Pow, 6),
        _ => return None,
    })
}

fn keyword(word: &str) -> Option<Static> {
    Some(match word {
        "true" => Static::Bool(true),
        "false" => Static::Bool(false),
        "nil" => Static::Nil,
        "ok" => Static::Status(Status::Ok),
        "error" => Static::Status(Status::Error),
        "unset" => Static::Status(Status::Unset),
        "unspecified" => Static::Kind(Kind::Unspecified),
        "internal" => Static::Kind(Kind::Internal),
        "server" => Static::Kind(Kind::Server),
        "client" => Static::Kind(Kind::Client),
        "producer" => Static::Kind(Kind::Producer),
        "consumer" => Static::Kind(Kind::Consumer),
        "minInt" => Static::Int(i64::MIN),
        "maxInt" => Static::Int(i64::MAX),
        _ => return None,
    })
}
