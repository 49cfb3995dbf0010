//! `info`: series enriched with the labels of info metrics.

use crate::ast::Call;
use crate::column::{Evaluated, Steps};
use crate::error::QueryError;

use super::evaluation::Evaluation;

impl Evaluation<'_> {
    pub(super) fn info(&mut self, _call: &Call, _steps: Steps) -> Result<Evaluated, QueryError> {
        Err(QueryError::NotImplemented("the function info".to_owned()))
    }
}
