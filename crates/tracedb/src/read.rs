//! Whole traces: put together over head and blocks, by id or by a search.

use std::ops::ControlFlow;
use std::sync::atomic::Ordering::Relaxed;

use sonde_model::span::{ScopedSpan, Trace, TraceId};

use crate::codec::DecodeError;
use crate::codec::span::kind_code;
use crate::data::{Found, Snapshot};
use crate::db::TraceDb;
use crate::options::ms_to_ns;
use crate::plan::{Matches, Plan};
use crate::query::{Search, TimeRange};
use crate::{Error, ReadError, chunk, scan};

impl TraceDb {
    /// A whole trace: all its spans wherever they are, each once, in the order of their starts. With a range only if
    /// some span of it starts there. `None` if there is no such trace.
    pub fn trace(&self, id: TraceId, range: Option<TimeRange>) -> Result<Option<Trace>, ReadError> {
        let spans = self.spans_of(id)?;
        let wanted = spans.iter().any(|s| range.is_none_or(|range| range.contains(s.span.start_ns)));
        Ok(wanted.then_some(Trace { id, spans }))
    }

    /// Hands whole traces to `visit`, each once, those with the newest matching span first, until there are no more or
    /// `visit` breaks. See [`Search`] for which. A trace that has more spans than may be read is left out and counted.
    pub fn search(&self, search: &Search, visit: &mut dyn FnMut(Trace) -> ControlFlow<()>) -> Result<(), ReadError> {
        self.shared.stats.searches.fetch_add(1, Relaxed);
        let plan = Plan::new(search, ms_to_ns(self.shared.options.search_reach_ms));
        let Snapshot { chunks, blocks } = self.shared.data.read().snapshot(plan.reach);
        let mut found = Matches::default();
        for chunk in &chunks {
            scan::scan(chunk, &plan, &mut found).map_err(unreadable)?;
        }
        for block in &blocks {
            block.scan(&plan, &mut found)?;
        }
        drop((chunks, blocks));
        for id in found.complete(&plan) {
            // Retention may have taken the trace meanwhile, and its matching span may lie outside of the range.
            let trace = match self.trace(id, Some(plan.range)) {
                Ok(Some(trace)) => trace,
                Ok(None) => continue,
                // One trace without measure must not keep all others from being found.
                Err(ReadError::TraceTooLarge { .. }) => {
                    self.shared.stats.traces_too_large.fetch_add(1, Relaxed);
                    continue;
                }
                Err(e) => return Err(e),
            };
            if visit(trace).is_break() {
                break;
            }
        }
        Ok(())
    }

    fn spans_of(&self, id: TraceId) -> Result<Vec<ScopedSpan>, ReadError> {
        let limit = self.shared.options.max_trace_spans;
        let Found { places, blocks } = self.shared.data.read().find(id);
        if places.len() > limit {
            return Err(ReadError::TraceTooLarge { limit });
        }
        let mut spans = places
            .iter()
            .map(|(chunk, at)| chunk.decode(*at as usize))
            .collect::<Result<Vec<_>, _>>()
            .map_err(unreadable)?;
        for block in blocks.iter() {
            let Some(rows) = block.rows_of(id)? else { continue };
            if spans.len() + rows.len() > limit {
                return Err(ReadError::TraceTooLarge { limit });
            }
            spans.extend(block.read_trace(id, &rows)?);
        }
        self.shared.stats.traces_read.fetch_add(1, Relaxed);
        once_each(&mut spans);
        Ok(spans)
    }
}

/// Sorts spans by start and leaves out those that are there already, with everything.
pub(crate) fn once_each(spans: &mut Vec<ScopedSpan>) {
    spans.sort_by_key(|s| (s.span.start_ns, s.span.span_id, s.span.end_ns, kind_code(s.span.kind)));
    // Spans of one id and start but other content are both kept: which is right is not for the store to say.
    let mut kept: Vec<ScopedSpan> = Vec::with_capacity(spans.len());
    for span in spans.drain(..) {
        let twins = kept.iter().rev().take_while(|k| is_twin(k, &span));
        let known = twins.take(MAX_TWINS).any(|k| is_same(k, &span));
        if !known {
            kept.push(span);
        }
    }
    *spans = kept;
}

/// Spans of one id, start and end that are compared; more are kept as they are.
const MAX_TWINS: usize = 32;

/// Whether two spans of one trace have one id, start, end and kind.
fn is_twin(a: &ScopedSpan, b: &ScopedSpan) -> bool {
    let key = |s: &ScopedSpan| (s.span.start_ns, s.span.span_id, s.span.end_ns, s.span.kind);
    key(a) == key(b)
}

/// Whether two spans have the same content, bit for bit.
pub(crate) fn is_same(a: &ScopedSpan, b: &ScopedSpan) -> bool {
    // Floats compare by value, which says nothing of NaN nor of the sign of zero: their bytes do.
    chunk::encode([a].into_iter()) == chunk::encode([b].into_iter())
}

fn unreadable(error: DecodeError) -> Error {
    Error::Unreadable { reason: error.to_string() }
}
