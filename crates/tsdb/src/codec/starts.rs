//! Start timestamps of the samples of a chunk, as runs of equal ones. See docs/format/chunk.md.

use std::ops::Range;

use sonde_disk::varint::{Reader, put, unzigzag, zigzag};
use sonde_model::TimestampMs;

use super::DecodeError;

/// Appends the start timestamps of the samples of a chunk, of which at least one is not 0.
pub(crate) fn encode(starts: &[TimestampMs], out: &mut Vec<u8>) {
    let runs: Vec<&[TimestampMs]> = starts.chunk_by(|a, b| a == b).collect();
    put(out, runs.len() as u64 - 1);
    let mut before = 0;
    for (i, run) in runs.iter().enumerate() {
        if i + 1 < runs.len() {
            put(out, run.len() as u64);
        }
        match run[0] {
            0 => put(out, 0),
            start => {
                put(out, 1 + zigzag(start - before));
                before = start;
            }
        }
    }
}

/// Reads the start timestamps of `n` samples behind those of the samples before, of which there are `before`.
pub(crate) fn decode(
    reader: &mut Reader<'_>,
    n: usize,
    before: usize,
    out: &mut Vec<TimestampMs>,
) -> Result<(), DecodeError> {
    out.resize(before, 0);
    let mut left = n;
    let further = reader.count(2, "start timestamps")?;
    let mut last = 0i64;
    for i in 0..=further {
        let length = if i < further { reader.varint()? as usize } else { left };
        if length == 0 || length > left {
            return Err(DecodeError::Inconsistent { what: "runs of start timestamps that do not fit the samples" });
        }
        let start = match reader.varint()? {
            0 => 0,
            code => {
                last = last.checked_add(unzigzag(code - 1)).filter(|s| *s > 0).ok_or(DecodeError::OutOfRange)?;
                last
            }
        };
        out.resize(out.len() + length, start);
        left -= length;
    }
    Ok(())
}

/// Goes on with samples that have none.
pub(crate) fn none(samples: usize, out: &mut Vec<TimestampMs>) {
    if !out.is_empty() {
        out.resize(samples, 0);
    }
}

/// Appends those of the samples `places` of a chunk, whose start timestamps are `chunk`, or empty where it has none, behind
/// those of the `before` samples before. A column in which no sample has one stays empty.
pub(crate) fn append(chunk: &[TimestampMs], places: Range<usize>, before: usize, out: &mut Vec<TimestampMs>) {
    let samples = before + places.len();
    match chunk.get(places) {
        Some(starts) if starts.iter().any(|start| *start != 0) => {
            out.resize(before, 0);
            out.extend_from_slice(starts);
        }
        _ => none(samples, out),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn starts_come_back(
            runs in prop::collection::vec((prop_oneof![Just(0i64), 1..=i64::MAX], 1usize..5), 1..8), before in 0usize..4,
        ) {
            let starts: Vec<i64> = runs.iter().flat_map(|(start, n)| std::iter::repeat_n(*start, *n)).collect();
            let mut bytes = Vec::new();
            encode(&starts, &mut bytes);
            let (mut reader, mut read) = (Reader::new(&bytes), Vec::new());
            decode(&mut reader, starts.len(), before, &mut read).unwrap();
            prop_assert!(reader.is_empty());
            prop_assert_eq!(&read[before..], &starts);
            prop_assert!(read[..before].iter().all(|start| *start == 0));
        }

        #[test]
        fn any_bytes_are_taken_without_panic(bytes in prop::collection::vec(any::<u8>(), 0..40), n in 1usize..70_000) {
            let mut read = Vec::new();
            if decode(&mut Reader::new(&bytes), n, 0, &mut read).is_ok() {
                prop_assert_eq!(read.len(), n);
            }
        }
    }

    #[test]
    fn a_start_that_does_not_change_costs_seven_bytes() {
        let mut bytes = Vec::new();
        encode(&[1_800_000_000_000; 2_880], &mut bytes);
        assert_eq!(bytes.len(), 7);
    }
}
