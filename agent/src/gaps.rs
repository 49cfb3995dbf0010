//! Writes gap records: what the agent had to drop becomes metrics that the collector stores and shows.
//!
//! A gap is three gauges at its end, told apart by signal, source and reason: when it began, when it ended, how much.

use std::sync::Arc;
use std::time::Duration;

use sonde_model::Signal;
use sonde_runtime::Clock;
use tokio_util::sync::CancellationToken;

use crate::origin::Origin;
use crate::payload::{Encoded, Payload};
use crate::queue::{self, Gap, Queues, Source};

/// While dropping goes on, a gap record is written this often.
const WRITE_INTERVAL: Duration = Duration::from_secs(10);
/// How often is looked whether there is something to write, and how much space the disk has.
const LOOK_INTERVAL: Duration = Duration::from_secs(1);

/// Writes gaps until `stop` is cancelled, and what is open then.
pub async fn run(queues: Queues, origin: Arc<Origin>, clock: Clock, stop: CancellationToken) {
    let mut write_at = clock.monotonic();
    while !stop.is_cancelled() {
        tokio::select! {
            () = clock.sleep(LOOK_INTERVAL) => {}
            () = stop.cancelled() => {}
        }
        let looking = queues.clone();
        // The join fails only when the program ends.
        let _ = tokio::task::spawn_blocking(move || looking.check_space()).await;
        let is_due = clock.monotonic() >= write_at || stop.is_cancelled();
        if queues.has_gaps() && is_due {
            write(&queues, &origin, clock.now_ns());
            write_at = clock.monotonic() + WRITE_INTERVAL;
        }
    }
}

/// Writes the gaps of both signals that are open now; what cannot be written stays open.
pub fn write(queues: &Queues, origin: &Origin, now_ns: i64) {
    let gaps: Vec<Gap> = queues.both().iter().flat_map(|queue| queue.take_gaps()).collect();
    let batch = encode(&gaps, origin);
    let (returned, kept) = (queues.clone(), gaps.clone());
    // A gap is told by metrics, whatever was dropped.
    let appended = queues.metrics.append(Source::Gap, &batch, now_ns / 1_000_000, move |durable| {
        if durable.is_err() {
            restore(&returned, kept);
        }
    });
    match appended {
        Ok(()) => {
            for gap in &gaps {
                tracing::warn!(
                    "dropped {} {} of {} in {} batches ({}), from {} to {} ms",
                    gap.items,
                    queue::items_name(gap.signal),
                    gap.source.as_str(),
                    gap.batches,
                    gap.reason.as_str(),
                    gap.from_ms,
                    gap.to_ms
                );
            }
        }
        Err(_still_no_room) => restore(queues, gaps),
    }
}

fn restore(queues: &Queues, gaps: Vec<Gap>) {
    for gap in gaps {
        queues.of(gap.signal).restore_gap(gap);
    }
}

fn encode(gaps: &[Gap], origin: &Origin) -> Encoded {
    let mut encoded = Encoded { body: Vec::new(), items: 0 };
    for gap in gaps {
        // Each gap has a time of its own. Requests are concatenated: in protobuf that is one request with both.
        let mut payload = Payload::new(gap.to_ms.saturating_mul(1_000_000), 0);
        let signal = ("signal", queue::signal_name(gap.signal));
        let attributes = [signal, ("source", gap.source.as_str()), ("reason", gap.reason.as_str())];
        let seconds = |ms: i64| ms as f64 / 1_000.0;
        let mut add = |name, unit, help, value: f64| {
            payload.gauge(name, unit, help, |points| points.add(&attributes, value));
        };
        match gap.signal {
            Signal::Metrics => {
                add("sonde.agent.gap.points", "", "Points that the agent had to drop in this gap.", gap.items as f64);
            }
            Signal::Traces => {
                add("sonde.agent.gap.spans", "", "Spans that the agent had to drop in this gap.", gap.items as f64);
            }
        }
        add("sonde.agent.gap.start", "s", "When the gap began, since the Unix epoch.", seconds(gap.from_ms));
        add("sonde.agent.gap.end", "s", "When the gap ended, since the Unix epoch.", seconds(gap.to_ms));
        let one = payload.encode(&origin.resource, &origin.scope);
        encoded.body.extend_from_slice(&one.body);
        encoded.items += one.items;
    }
    encoded
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use sonde_proto::otlp::{ExportMetricsServiceRequest, Message};

    use super::*;
    use crate::queue::DropReason;
    use crate::resource::HostIdentity;

    #[test]
    fn a_gap_is_three_gauges_at_its_end() {
        let gap = Gap {
            signal: Signal::Metrics,
            source: Source::Host,
            reason: DropReason::QueueFull,
            from_ms: 1_000,
            to_ms: 61_000,
            batches: 60,
            items: 6_000,
        };
        let other = Gap { signal: Signal::Traces, reason: DropReason::DiskError, to_ms: 62_000, ..gap };
        let encoded = encode(&[gap, other], &Origin::new(&HostIdentity::default(), &BTreeMap::new()));
        assert_eq!(encoded.items, 6);
        let request = ExportMetricsServiceRequest::decode(encoded.body.as_slice()).unwrap();
        assert_eq!(request.resource_metrics.len(), 2);
        let text = format!("{request:?}");
        for part in [
            "sonde.agent.gap.points",
            "sonde.agent.gap.spans",
            "queue_full",
            "disk_error",
            "traces",
            "AsDouble(6000.0)",
            "61000000000",
            "62000000000",
        ] {
            assert!(text.contains(part), "{part} not in {text}");
        }
    }
}
