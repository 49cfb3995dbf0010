//! Encoding without messages: labels, samples, histograms and exemplars straight into the body of a request.
//!
//! The senders of remote write and the server of remote read use it; [`super::message`] is what its tests compare it with.

use sonde_model::{CounterResetHint, Exemplar, Histogram, Span, TimestampMs};

use crate::put;
use crate::wire::Fields;

/// Appends labels as field 1 of a series of 1.0, in the order given, which must be that of their names.
pub fn put_labels<'a>(out: &mut Vec<u8>, labels: impl Iterator<Item = (&'a str, &'a str)>) {
    for (name, value) in labels {
        put::message(out, 1, |out| {
            put::text(out, 1, name);
            put::text(out, 2, value);
        });
    }
}

/// Appends a series of 1.0: labels that [`put_labels`] wrote, and what `write` appends.
#[inline]
pub fn put_series(out: &mut Vec<u8>, labels: &[u8], write: impl FnOnce(&mut Vec<u8>)) {
    put::message(out, 1, |out| {
        out.extend_from_slice(labels);
        write(out);
    });
}

/// The labels that [`put_labels`] wrote; what it did not write ends them.
pub fn read_labels(labels: &[u8]) -> impl Iterator<Item = (&str, &str)> + Clone {
    let mut fields = Fields::new(labels);
    std::iter::from_fn(move || {
        let label = fields.next().ok()??.bytes().ok()?;
        let (mut name, mut value) = ("", "");
        let mut parts = Fields::new(label);
        while let Some(part) = parts.next().ok()? {
            match part.number {
                1 => name = part.string().ok()?,
                _ => value = part.string().ok()?,
            }
        }
        Some((name, value))
    })
}

/// Appends what is known of a metric to a request of 1.0; `kind` is the number of `MetricType`.
pub fn put_metadata(out: &mut Vec<u8>, kind: u32, family: &str, help: &str, unit: &str) {
    put::message(out, 3, |out| {
        put::uint(out, 1, u64::from(kind));
        put::text(out, 2, family);
        put::text(out, 4, help);
        put::text(out, 5, unit);
    });
}

/// Appends a float sample of either version; a start of 0 is unknown, and 1.0 has none.
#[inline]
pub fn put_sample(out: &mut Vec<u8>, field: u32, timestamp: TimestampMs, value: f64, start: TimestampMs) {
    put::message(out, field, |out| {
        put::double(out, 1, value);
        put::int(out, 2, timestamp);
        put::int(out, 3, start);
    });
}

/// Appends a histogram of either version, with float counts; a start of 0 is unknown, and 1.0 has none.
pub fn put_histogram(out: &mut Vec<u8>, field: u32, timestamp: TimestampMs, h: &Histogram, start: TimestampMs) {
    put::message(out, field, |out| {
        // Of a choice the field that is there counts, also where it is 0: it says that counts are floats.
        put_choice(out, 2, h.count);
        put::double(out, 3, h.sum);
        put::uint(out, 4, zigzag32(h.schema));
        put::double(out, 5, h.zero_threshold);
        put_choice(out, 7, h.zero_count);
        put_side(out, 8, &h.negative_spans, &h.negative_buckets);
        put_side(out, 11, &h.positive_spans, &h.positive_buckets);
        put::uint(
            out,
            14,
            match h.reset_hint {
                CounterResetHint::Unknown => 0,
                CounterResetHint::Reset => 1,
                CounterResetHint::NotReset => 2,
                CounterResetHint::Gauge => 3,
            },
        );
        put::int(out, 15, timestamp);
        put_doubles(out, 16, &h.custom_values);
        put::int(out, 17, start);
    });
}

/// Appends an exemplar of 1.0.
pub fn put_exemplar(out: &mut Vec<u8>, exemplar: &Exemplar) {
    put::message(out, 3, |out| {
        put_labels(out, exemplar.labels.iter());
        put::double(out, 2, exemplar.value);
        put::int(out, 3, exemplar.timestamp);
    });
}

fn put_side(out: &mut Vec<u8>, field: u32, spans: &[Span], counts: &[f64]) {
    for span in spans {
        put::message(out, field, |out| {
            put::uint(out, 1, zigzag32(span.offset));
            put::uint(out, 2, u64::from(span.length));
        });
    }
    put_doubles(out, field + 2, counts);
}

fn put_choice(out: &mut Vec<u8>, field: u32, value: f64) {
    put::fixed64(out, field, value.to_bits());
}

fn put_doubles(out: &mut Vec<u8>, field: u32, values: &[f64]) {
    if values.is_empty() {
        return;
    }
    put::message(out, field, |out| values.iter().for_each(|v| out.extend_from_slice(&v.to_bits().to_le_bytes())));
}

fn zigzag32(value: i32) -> u64 {
    put::zigzag(i64::from(value))
}
