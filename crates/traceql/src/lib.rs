//! TraceQL: lexer, AST, parser, validator, printer, engine.
//!
//! Source of the grammar: Grafana Tempo's documentation and its list of example queries. This crate must not know of
//! stores, protobuf, JSON or clocks.

pub mod ast;
pub mod engine;
mod lex;
mod parse;
mod print;
mod validate;

pub use parse::{ParseError, parse, parse_attribute};
pub use validate::{ValidateError, validate};
