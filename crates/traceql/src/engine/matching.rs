//! The spans that a query matches, one by one: for the names and the values that they have.

use std::ops::ControlFlow;

use sonde_model::span::ScopedSpan;

use super::field::{Regexes, Subject};
use super::search::{QueryError, spans_of};
use super::source::{Fetch, SpanSource};
use super::value::Value;
use super::view::View;
use super::{pipeline, pushdown};
use crate::ast::{Attribute, Query};
use crate::validate::validate;

/// A span that matches.
#[derive(Debug)]
pub struct Matching<'a>(Subject<'a>);

impl Matching<'_> {
    /// The span.
    pub fn span(&self) -> &ScopedSpan {
        self.0.view.spans[self.0.span]
    }

    /// The values of an attribute or an intrinsic of the span: several where it has a list, events or links.
    pub fn values(&self, attribute: &Attribute) -> Vec<Value> {
        self.0.attribute(attribute)
    }
}

/// Hands every span that a query matches to `visit`, until there are no more or it breaks. `interrupted` is asked for
/// each trace.
pub fn matching(
    source: &dyn SpanSource,
    query: &Query,
    (start_ns, end_ns): (u64, u64),
    interrupted: &dyn Fn() -> bool,
    visit: &mut dyn FnMut(&Matching<'_>) -> ControlFlow<()>,
) -> Result<(), QueryError> {
    validate(query)?;
    let pipeline = spans_of(query)?;
    let fetch = Fetch { start_ns, end_ns, filters: pushdown::filters(pipeline) };
    let regexes = Regexes::default();
    let mut given_up = false;
    source.fetch(&fetch, &mut |trace| {
        if interrupted() {
            given_up = true;
            return ControlFlow::Break(());
        }
        let view = View::new(&trace);
        for span in pipeline::run(&view, &regexes, pipeline).into_iter().flat_map(|set| set.spans) {
            visit(&Matching(Subject { view: &view, span, regexes: &regexes }))?;
        }
        ControlFlow::Continue(())
    })?;
    if given_up { Err(QueryError::Interrupted) } else { Ok(()) }
}
