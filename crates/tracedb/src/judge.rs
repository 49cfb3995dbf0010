//! What is decided and not necessarily durable yet: batches by their numbers. And which spans can be stored at all.

use sonde_model::span::ScopedSpan;
use sonde_model::{Signal, Streams, TimestampMs};

use crate::codec::value::is_shallow;
use crate::options::ms_to_ns;
use crate::shared::Waiter;
use crate::{Options, RejectReason};

/// All that is decided and not necessarily durable yet.
#[derive(Debug)]
pub(crate) struct Judge {
    pub(crate) streams: Streams<Waiter>,
    /// The number of the next flush.
    pub(crate) next_flush: u64,
    /// The position of the next batch.
    pub(crate) next_position: u64,
    /// Batches that failed so far. A checkpoint that was written meanwhile must not count.
    pub(crate) failures: u64,
    pub(crate) closed: bool,
}

impl Judge {
    /// Nothing is decided yet; the first batch gets this position.
    pub(crate) fn new(next_position: u64) -> Self {
        Judge { streams: Streams::of(Signal::Traces), next_flush: 0, next_position, failures: 0, closed: false }
    }
}

/// Why a span cannot be stored, if so. `from_ns` is the start before which spans are too old.
pub(crate) fn refusal(scoped: &ScopedSpan, from_ns: u64, now: TimestampMs, options: &Options) -> Option<RejectReason> {
    let ScopedSpan { resource, scope, span } = scoped;
    let ahead = ms_to_ns(now.saturating_add(options.max_ahead_ms));
    let nested = || {
        let events = span.events.iter().map(|e| &e.attributes);
        let links = span.links.iter().map(|l| &l.attributes);
        let mut all =
            [&resource.attributes, &scope.attributes, &span.attributes].into_iter().chain(events).chain(links);
        all.all(is_shallow)
    };
    if span.trace_id.is_zero() {
        Some(RejectReason::InvalidTraceId)
    } else if span.span_id.is_zero() {
        Some(RejectReason::InvalidSpanId)
    } else if span.start_ns < from_ns {
        Some(RejectReason::TooOld)
    } else if span.start_ns > ahead {
        Some(RejectReason::TooFarAhead)
    } else {
        (!nested()).then_some(RejectReason::TooDeep)
    }
}
