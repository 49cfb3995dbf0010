//! `q` of a trace by id: the spans that one filter matches, and how much of what is above and below them.

use sonde_model::span::{ScopedSpan, Trace};
use sonde_traceql::ast::{Query, Root, Stage};
use sonde_traceql::engine::{self, Hierarchy};

use super::answer::TempoError;
use crate::api::form::Form;

/// Which part of a trace is wanted.
#[derive(Debug)]
pub(super) struct Filter {
    query: Query,
    keep: Hierarchy,
}

impl Filter {
    /// The filter of a request; nothing where the whole trace is wanted.
    pub(super) fn from_form(form: &Form) -> Result<Option<Self>, TempoError> {
        let Some(text) = form.get("q") else { return Ok(None) };
        let invalid = |why: &dyn std::fmt::Display| TempoError::bad(format!("invalid TraceQL filter: {why}"));
        let query = sonde_traceql::parse(text)
            .map_err(|e| invalid(&format_args!("failed to parse TraceQL spanset filter: {e}")))?;
        sonde_traceql::validate(&query).map_err(|e| invalid(&e))?;
        let one = matches!(&query.root, Root::Spans(p) if matches!(p.stages.as_slice(), [Stage::Spanset(_)]));
        if !one {
            return Err(invalid(&"expected one filter of spans, as in { status = error }"));
        }
        let ancestors = match form.get("keep_hierarchy") {
            Some("true" | "1") => depth(form, "ancestor_depth")?.unwrap_or(usize::MAX),
            _ => 0,
        };
        let descendants = depth(form, "match_depth")?.unwrap_or(0);
        Ok(Some(Filter { query, keep: Hierarchy { ancestors, descendants } }))
    }

    /// The part of a trace.
    pub(super) fn apply(&self, trace: &Trace) -> Result<Vec<ScopedSpan>, TempoError> {
        Ok(engine::filter(trace, &self.query, self.keep)?)
    }
}

/// A number of generations; a negative one is all of them.
fn depth(form: &Form, name: &str) -> Result<Option<usize>, TempoError> {
    let invalid = |text: &str| TempoError::bad(format!("invalid {name}: {text:?} is no whole number"));
    let parse = |text: &str| text.parse::<i64>().map_err(|_| invalid(text));
    Ok(form.get(name).map(parse).transpose()?.map(|n| usize::try_from(n).unwrap_or(usize::MAX)))
}
