//! Looks through a chunk of the head for spans that fulfil filters, without building them.

use crate::chunk::{Chunk, ChunkSpan};
use crate::codec::DecodeError;
use crate::codec::raw::{RawValue, visit_attributes, visit_event_attributes, visit_link_attributes};
use crate::plan::{Check, Matches, Plan, Test};
use crate::query::{TagScope, Target};
use sonde_model::span::Attributes;

/// A test with what can be said about it for the whole chunk.
#[derive(Debug)]
struct Bound<'p> {
    test: &'p Test,
    /// The number of the key, where spans, events or links are asked and some text of the chunk is that key.
    key: Option<u32>,
    /// Which resources or scopes hold.
    tables: Vec<bool>,
}

/// Adds the traces of which a span fulfils filters.
pub(crate) fn scan(chunk: &Chunk, plan: &Plan, found: &mut Matches) -> Result<(), DecodeError> {
    let bound: Vec<(usize, Vec<Bound<'_>>)> = plan
        .filters
        .iter()
        .enumerate()
        .filter_map(|(bit, tests)| Some((bit, tests.iter().map(|t| bind(chunk, t)).collect::<Option<_>>()?)))
        .collect();
    if bound.is_empty() && !plan.filters.is_empty() {
        return Ok(());
    }
    for at in 0..chunk.len() {
        let span = chunk.span(at)?;
        let start = span.head.start_ns;
        if !plan.reach.contains(start) {
            continue;
        }
        let mut filters = 0;
        for (bit, tests) in &bound {
            let mut all = true;
            for test in tests {
                all = all && test.holds(chunk, &span)?;
            }
            filters |= u64::from(all) << bit;
        }
        if filters != 0 || plan.filters.is_empty() {
            found.add(span.head.trace_id, filters, start);
        }
    }
    Ok(())
}

/// `None` if no span of the chunk can hold.
fn bind<'p>(chunk: &Chunk, test: &'p Test) -> Option<Bound<'p>> {
    if let Some(text) = test.check.equal_text() {
        chunk.texts.find(text)?;
    }
    let Target::Attribute(scope, key) = &test.target else {
        return Some(Bound { test, key: None, tables: Vec::new() });
    };
    let number = chunk.texts.find(key)?;
    let holds = |attributes: &Attributes| any_holds(attributes, key, &test.check);
    let tables: Vec<bool> = match scope {
        TagScope::Any | TagScope::Resource => chunk.resources.iter().map(|r| holds(&r.attributes)).collect(),
        TagScope::Instrumentation => chunk.scopes.iter().map(|s| holds(&s.attributes)).collect(),
        _ => Vec::new(),
    };
    if matches!(scope, TagScope::Resource | TagScope::Instrumentation) && !tables.contains(&true) {
        return None;
    }
    Some(Bound { test, key: Some(number), tables })
}

/// Whether a value of the key holds.
pub(crate) fn any_holds(attributes: &Attributes, key: &str, check: &Check) -> bool {
    attributes.iter().any(|(k, value)| &**k == key && check.raw(&RawValue::of(value)))
}

impl Bound<'_> {
    fn holds(&self, chunk: &Chunk, span: &ChunkSpan<'_>) -> Result<bool, DecodeError> {
        let ChunkSpan { resource, scope, head } = span;
        let check = &self.test.check;
        let of_table = |id: u32| self.tables.get(id as usize).copied().unwrap_or(false);
        Ok(match &self.test.target {
            Target::Name => check.text(chunk.texts.get(head.name)?),
            Target::Duration => check.duration(head.end_ns.saturating_sub(head.start_ns)),
            Target::Status => check.status(head.status),
            Target::StatusMessage => check.text(chunk.texts.get(head.status_message)?),
            Target::Kind => check.kind(head.kind),
            Target::Attribute(TagScope::Resource, _) => of_table(*resource),
            Target::Attribute(TagScope::Instrumentation, _) => of_table(*scope),
            Target::Attribute(of, _) => {
                if *of == TagScope::Any && of_table(*resource) {
                    return Ok(true);
                }
                let mut holds = false;
                let mut rest = head.rest.clone();
                let mut see = |key: u32, value: RawValue<'_>| {
                    holds = holds || (Some(key) == self.key && check.raw(&value));
                };
                let pass = &mut |_: u32, _: RawValue<'_>| {};
                match of {
                    TagScope::Event => {
                        visit_attributes(&mut rest, &chunk.texts, pass)?;
                        visit_event_attributes(&mut rest, &chunk.texts, &mut see)?;
                    }
                    TagScope::Link => {
                        visit_attributes(&mut rest, &chunk.texts, pass)?;
                        visit_event_attributes(&mut rest, &chunk.texts, pass)?;
                        visit_link_attributes(&mut rest, &chunk.texts, &mut see)?;
                    }
                    _ => visit_attributes(&mut rest, &chunk.texts, &mut see)?,
                }
                holds
            }
        })
    }
}
