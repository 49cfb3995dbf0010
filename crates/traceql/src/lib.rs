//! TraceQL: lexer, AST, parser, validator, printer.
//!
//! Source of the grammar: Grafana Tempo's documentation and its list of example queries. This crate must not know of
//! stores, protobuf, JSON or clocks.

pub mod ast;
mod lex;
mod parse;
mod print;
mod validate;

pub use parse::{ParseError, parse};
pub use validate::{ValidateError, validate};
