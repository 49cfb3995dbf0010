//! Numbers through pco, the entropy coder of long chunks. This module alone knows that crate.
//!
//! What is written is pco's wrapped format: its header, the metadata of one chunk, one page. The count is kept by the
//! caller.

use pco::data_types::Number;
use pco::wrapped::{FileCompressor, FileDecompressor};
use pco::{ChunkConfig, DeltaSpec, ModeSpec, PagingSpec};

use super::DecodeError;

/// Of pco's levels the one from which on more time hardly buys anything: 4 is 3 % larger, 8 less than 0.5 % smaller.
const LEVEL: usize = 6;

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

/// Hands out `n` integers, one after the other.
pub(crate) fn read_integers(bytes: &[u8], n: usize, mut take: impl FnMut(i64)) -> Result<(), DecodeError> {
    let (width, bytes) = bytes.split_first().ok_or(DecodeError::Truncated)?;
    match *width {
        NARROW => unpack::<i32>(bytes, n)?.into_iter().for_each(|m| take(i64::from(m))),
        WIDE => unpack::<i64>(bytes, n)?.into_iter().for_each(take),
        value => return Err(DecodeError::Unknown { what: "width of packed integers", value }),
    }
    Ok(())
}

/// Reads `n` floats.
pub(crate) fn read_floats(bytes: &[u8], n: usize) -> Result<Vec<f64>, DecodeError> {
    unpack(bytes, n)
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

fn unpack<T: Number + Default>(bytes: &[u8], n: usize) -> Result<Vec<T>, DecodeError> {
    let read = || {
        let (file, rest) = FileDecompressor::new(bytes)?;
        let (mut chunk, rest) = file.chunk_decompressor::<T, _>(rest)?;
        let mut numbers = vec![T::default(); n];
        let progress = chunk.page_decompressor(rest, n)?.read(&mut numbers)?;
        Ok::<_, pco::errors::PcoError>((numbers, progress.finished))
    };
    match read() {
        Ok((numbers, true)) => Ok(numbers),
        _ => Err(DecodeError::Inconsistent { what: "a packed column cannot be unpacked" }),
    }
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
