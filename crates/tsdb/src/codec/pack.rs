//! Numbers through pco, the entropy coder of long chunks. This module alone knows that crate.
//!
//! What is written is pco's wrapped format: its header, the metadata of one chunk, one page. The count is kept by the
//! caller.

use std::ops::Range;

use pco::data_types::Number;
use pco::wrapped::{FileCompressor, FileDecompressor};
use pco::{ChunkConfig, DecompressorScratch, DeltaSpec, FULL_BATCH_N, ModeSpec, PagingSpec};

use super::DecodeError;

/// Of pco's levels the one from which on more time hardly buys anything: 4 is 3 % larger, 8 less than 0.5 % smaller.
const LEVEL: usize = 6;

/// Numbers are packed and unpacked so many at a time.
pub(crate) const BATCH: usize = FULL_BATCH_N;

/// All numbers fit into 32 bits.
const NARROW: u8 = 0;
const WIDE: u8 = 1;

/// Appends integers, behind a byte that says how wide they are.
pub(crate) fn put_integers(numbers: &[i64], out: &mut Vec<u8>) -> Result<(), Unpackable> {
    let config = config(ModeSpec::Classic, DeltaSpec::TryConsecutive(delta_order(numbers)));
    let narrow: Option<Vec<i32>> = numbers.iter().map(|n| i32::try_from(*n).ok()).collect();
    match narrow {
        Some(narrow) => {
            out.push(NARROW);
            pack(&narrow, &config, out)
        }
        None => {
            out.push(WIDE);
            pack(numbers, &config, out)
        }
    }
}

/// Appends floats; pco looks for what they have in common.
pub(crate) fn put_floats(numbers: &[f64], out: &mut Vec<u8>) -> Result<(), Unpackable> {
    pack(numbers, &config(ModeSpec::Auto, DeltaSpec::Auto), out)
}

/// What a reader keeps from column to column.
#[derive(Debug, Default)]
pub(crate) struct Unpacker {
    scratch: DecompressorScratch,
}

/// Integers of a packed column, some at a time.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Integers<'a> {
    Narrow(&'a [i32]),
    Wide(&'a [i64]),
}

impl Unpacker {
    /// Hands out those of `n` integers that are at `places`, in their order.
    pub(crate) fn read_integers(
        &mut self,
        bytes: &[u8],
        n: usize,
        places: Range<usize>,
        mut take: impl FnMut(Integers<'_>) -> Result<(), DecodeError>,
    ) -> Result<(), DecodeError> {
        let (width, bytes) = bytes.split_first().ok_or(DecodeError::Truncated)?;
        match *width {
            NARROW => self.unpack::<i32>(bytes, n, places, |numbers| take(Integers::Narrow(numbers))),
            WIDE => self.unpack::<i64>(bytes, n, places, |numbers| take(Integers::Wide(numbers))),
            value => Err(DecodeError::Unknown { what: "width of packed integers", value }),
        }
    }

    /// Appends those of `n` floats that are at `places`.
    pub(crate) fn read_floats(
        &mut self,
        bytes: &[u8],
        n: usize,
        places: Range<usize>,
        out: &mut Vec<f64>,
    ) -> Result<(), DecodeError> {
        self.unpack::<f64>(bytes, n, places, |numbers| {
            out.extend_from_slice(numbers);
            Ok(())
        })
    }

    /// Reads as far as the end of `places`, in the batches in which pco works, which stay in the nearest cache.
    fn unpack<T: Number + Default>(
        &mut self,
        bytes: &[u8],
        n: usize,
        places: Range<usize>,
        mut take: impl FnMut(&[T]) -> Result<(), DecodeError>,
    ) -> Result<(), DecodeError> {
        let broken = |_| DecodeError::Inconsistent { what: "a packed column cannot be unpacked" };
        let (file, rest) = FileDecompressor::new(bytes).map_err(broken)?;
        let (chunk, rest) = file.chunk_decompressor::<T, _>(rest).map_err(broken)?;
        let mut page = chunk.page_decompressor_with_scratch(rest, n, &mut self.scratch).map_err(broken)?;
        let mut batch = [T::default(); BATCH];
        let end = places.end.min(n);
        let mut at = 0;
        while at < end {
            let numbers = &mut batch[..(n - at).min(BATCH)];
            page.read(numbers).map_err(broken)?;
            let within = places.start.saturating_sub(at).min(numbers.len())..(end - at).min(numbers.len());
            if !within.is_empty() {
                take(&numbers[within])?;
            }
            at += numbers.len();
        }
        Ok(())
    }
}

/// Numbers that pco did not take: another codec has to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Unpackable;

fn config(mode: ModeSpec, delta: DeltaSpec) -> ChunkConfig {
    ChunkConfig::default()
        .with_compression_level(LEVEL)
        .with_mode_spec(mode)
        .with_delta_spec(delta)
        .with_paging_spec(PagingSpec::EqualPagesUpTo(super::chunk::MAX_SAMPLES))
}

fn pack<T: Number>(numbers: &[T], config: &ChunkConfig, out: &mut Vec<u8>) -> Result<(), Unpackable> {
    let file = FileCompressor::default();
    let mut written = || {
        file.write_header(&mut *out)?;
        let mut chunk = file.chunk_compressor(numbers, config)?;
        chunk.write_meta(&mut *out)?;
        chunk.write_page(0, &mut *out)?;
        Ok::<(), pco::errors::PcoError>(())
    };
    written().map_err(|_| Unpackable)
}

/// How often differences should be taken: the order at which the numbers vary least. The mean does not matter, since an
/// entropy coder pays for the spread alone.
fn delta_order(numbers: &[i64]) -> usize {
    let mut spreads = [Spread::default(); 3];
    let (mut before, mut step_before) = (0.0, 0.0);
    for (i, number) in numbers.iter().enumerate() {
        let number = *number as f64;
        let step = number - before;
        if i > 1 {
            spreads[0].add(number);
            spreads[1].add(step);
            spreads[2].add(step - step_before);
        }
        (before, step_before) = (number, step);
    }
    // Another order than the first has to be clearly better, because pco's bins take up many shapes of differences.
    let first = spreads[1].variance();
    let best = if spreads[0].variance() < first { 0 } else { 2 };
    if spreads[best].variance() < 0.75 * first { best } else { 1 }
}

#[derive(Clone, Copy, Debug, Default)]
struct Spread {
    n: f64,
    sum: f64,
    squares: f64,
}

impl Spread {
    fn add(&mut self, x: f64) {
        self.n += 1.0;
        self.sum += x;
        self.squares += x * x;
    }

    fn variance(&self) -> f64 {
        self.squares / self.n - (self.sum / self.n).powi(2)
    }
}
