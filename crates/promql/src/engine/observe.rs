//! Watching an evaluation: which nodes of an expression are evaluated, and what each yields.
//!
//! The engine has no clock: who watches takes the time.

use std::fmt::Debug;

use crate::ast::Expr;

/// Is told of each node of an expression when its evaluation begins and ends, inner nodes between the two.
///
/// A node is told of several times where a query is evaluated in parts. Literals are not told of.
pub trait Observer: Debug + Send + Sync {
    /// The evaluation of a node begins.
    fn enter(&self, expr: &Expr);

    /// The evaluation of a node ends; after an error it is not told of.
    fn leave(&self, expr: &Expr, work: NodeWork);
}

/// What the evaluation of a node came to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct NodeWork {
    /// Series of the result.
    pub series: u64,
    /// Samples of the result, as the budget of a query counts them.
    pub samples: u64,
    /// Series that were read from the source by the node and those below it.
    pub series_read: u64,
    /// Samples that were read from the source by the node and those below it.
    pub samples_read: u64,
}
