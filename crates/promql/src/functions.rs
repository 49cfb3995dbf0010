//! The functions of the language: their table, and the evaluation of those over instant vectors.

mod call;
mod table;

pub(crate) use call::{FunctionCall, evaluate};
pub use table::{Function, Signature, TABLE};
