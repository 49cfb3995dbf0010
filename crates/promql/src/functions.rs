//! The functions of the language: their table, and the evaluation of those over instant vectors.

mod table;

pub use table::{Function, Signature, TABLE};
