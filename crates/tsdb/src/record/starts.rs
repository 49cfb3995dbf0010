//! The start timestamps of a batch: each once, and for runs of samples which of them.

use std::collections::HashMap;

use sonde_disk::varint::{Reader, put, put_signed};
use sonde_model::TimestampMs;

use crate::codec::DecodeError;

/// The start timestamps of the samples of a batch, handed out in the order of the samples.
#[derive(Debug, Default)]
pub(super) struct Starts {
    /// How many samples, and their start.
    runs: Vec<(u64, TimestampMs)>,
    run: usize,
    taken: u64,
}

/// Appends the start timestamps of the samples of a batch, 0 for those without one.
pub(super) fn put_all(starts: &[TimestampMs], out: &mut Vec<u8>) {
    let mut numbers: HashMap<TimestampMs, u64, foldhash::fast::RandomState> = HashMap::default();
    let mut distinct = Vec::new();
    let mut runs = Vec::new();
    let mut count = 0u64;
    for run in starts.chunk_by(|a, b| a == b) {
        let number = match run[0] {
            0 => 0,
            start => *numbers.entry(start).or_insert_with(|| {
                distinct.push(start);
                distinct.len() as u64
            }),
        };
        put(&mut runs, run.len() as u64);
        put(&mut runs, number);
        count += 1;
    }
    put(out, distinct.len() as u64);
    let mut before = 0;
    for start in distinct {
        put_signed(out, start - before);
        before = start;
    }
    put(out, count);
    out.extend_from_slice(&runs);
}

/// Reads what [`put_all`] wrote.
pub(super) fn read(reader: &mut Reader<'_>) -> Result<Starts, DecodeError> {
    let mut distinct = vec![0];
    let mut last = 0i64;
    for _ in 0..reader.count(1, "start timestamps")? {
        last = last.checked_add(reader.signed()?).filter(|start| *start > 0).ok_or(DecodeError::OutOfRange)?;
        distinct.push(last);
    }
    let mut runs = Vec::new();
    for _ in 0..reader.count(2, "runs of start timestamps")? {
        let (samples, number) = (reader.varint()?, reader.varint()?);
        let start = usize::try_from(number).ok().and_then(|number| distinct.get(number));
        runs.push((samples, *start.ok_or(DecodeError::OutOfRange)?));
    }
    Ok(Starts { runs, run: 0, taken: 0 })
}

impl Starts {
    /// That of the next sample.
    #[inline]
    pub(super) fn next(&mut self) -> TimestampMs {
        while let Some((samples, start)) = self.runs.get(self.run) {
            if self.taken < *samples {
                self.taken += 1;
                return *start;
            }
            self.run += 1;
            self.taken = 0;
        }
        0
    }
}
