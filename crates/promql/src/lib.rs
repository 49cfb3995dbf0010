//! PromQL: lexer, AST, parser, printer, engine.
//!
//! The engine reads series through a trait of its own and knows no store, no clock, no HTTP and no JSON.

pub mod ast;
pub mod functions;
pub mod parse;

pub use ast::Expr;
pub use parse::{ParseError, ParseOptions, parse, parse_selector, parse_with};
