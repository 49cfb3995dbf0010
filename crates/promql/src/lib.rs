//! PromQL: lexer, AST, parser, printer, engine.
//!
//! The reference is Prometheus 3.14. The engine reads series through a trait of its own, [`Queryable`], and answers with
//! plain data; it knows no store, no clock, no HTTP and no JSON.

mod aggregate;
pub mod annotations;
pub mod ast;
mod binary;
mod column;
pub mod edit;
pub mod engine;
pub mod error;
pub mod functions;
mod kernels;
mod lex;
pub mod parse;
mod print;
pub mod queryable;
pub mod value;
mod weight;

pub use annotations::{Annotation, Annotations};
pub use ast::Expr;
pub use engine::{Engine, EngineOptions, Grid, GridAnswer, GridGroups, Helpers, NodeWork, Observer, SamplePool};
pub use error::{Control, Interrupt, QueryError};
pub use parse::{ParseError, ParseOptions, parse, parse_selector, parse_with};
pub use queryable::{MAX_THINNED, Queryable, SelectError, SelectLimits, Selection, Thinned};
pub use value::{QueryResult, QueryStats, SampleValue, Value, VectorSample};
