//! The functions of the language: their table, and the evaluation of those over instant vectors.

#[expect(dead_code, reason = "the engine, which calls them, is not there yet")]
mod call;
mod table;

#[expect(unused_imports, reason = "the engine, which calls them, is not there yet")]
pub(crate) use call::{FunctionCall, evaluate};
pub use table::{Function, Signature, TABLE};
