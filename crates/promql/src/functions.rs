//! The functions of the language: their table, and the evaluation of those over instant vectors.
//!
//! Functions over ranges are kernels of the engine; they are only listed here.

mod absent;
mod arguments;
mod buckets;
mod calendar;
mod call;
mod fraction;
mod histogram;
mod labels;
mod math;
mod quantile;
mod rounding;
mod sort;
mod table;

pub(crate) use absent::labels_of_absent;
pub(crate) use call::{FunctionCall, evaluate};
pub use table::{Function, Signature, TABLE};
