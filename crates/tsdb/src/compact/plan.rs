//! What to merge next: a pure function of the times and sizes of blocks.

use std::collections::BTreeMap;

use sonde_model::TimestampMs;

use crate::block::Block;
use crate::partitions::Partitions;

/// A merge is worth its writing when it takes so many blocks at least.
const MIN_BLOCKS: usize = 4;
/// No merge takes more: each input costs memory for its symbols.
const MAX_BLOCKS: usize = 32;
/// No merge makes a block of more bytes.
const MAX_BYTES: u64 = 8 << 30;
/// An older neighbour joins a merge if it is at most so many times as large as what was gathered: otherwise it would
/// be written again and again.
const MAX_RATIO: u64 = 2;
/// Blocks below this always join.
const SMALL_BYTES: u64 = 1 << 20;

/// What the plan knows of a block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Candidate {
    pub(crate) min_time: TimestampMs,
    pub(crate) max_time: TimestampMs,
    pub(crate) bytes: u64,
}

impl Candidate {
    pub(crate) fn of(block: &Block) -> Self {
        let meta = block.meta();
        Candidate { min_time: meta.min_time, max_time: meta.max_time, bytes: block.bytes() }
    }
}

/// How much writing is spent on fewer blocks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Eagerness {
    /// In the background: each sample is written again a few times at most.
    Thrifty,
    /// An operator asked: one block a partition.
    All,
}

/// The indices of the blocks to merge next, or `None`. `blocks` are in the order of their ranks.
///
/// Blocks of one partition of time are merged, and only such as are neighbours in the order of ranks among those of
/// their partition, so that newer samples go on winning over older ones.
pub(crate) fn next(blocks: &[Candidate], partitions: &Partitions, eagerness: Eagerness) -> Option<Vec<usize>> {
    let mut members: BTreeMap<(TimestampMs, TimestampMs), Vec<usize>> = BTreeMap::new();
    let mut shared: Vec<Candidate> = Vec::new();
    for (i, block) in blocks.iter().enumerate() {
        let partition = partitions.of(block.min_time);
        if block.max_time <= partition.1 {
            members.entry(partition).or_default().push(i);
        } else {
            // Made under another width: it may overlap several partitions, which then keep their order as it is.
            shared.push(*block);
        }
    }
    let is_shared =
        |(from, to): (TimestampMs, TimestampMs)| shared.iter().any(|b| b.min_time <= to && b.max_time >= from);
    members.iter().filter(|(partition, _)| !is_shared(**partition)).find_map(|(_, members)| match eagerness {
        Eagerness::All => all_of(blocks, members),
        Eagerness::Thrifty => cheap_run(blocks, members),
    })
}

/// As many neighbours as one merge may take, from the oldest on.
fn all_of(blocks: &[Candidate], members: &[usize]) -> Option<Vec<usize>> {
    let mut start = 0;
    while start + 1 < members.len() {
        let mut bytes = 0u64;
        let run = members[start..].iter().take(MAX_BLOCKS).take_while(|i| {
            bytes = bytes.saturating_add(blocks[**i].bytes);
            bytes <= MAX_BYTES
        });
        let run: Vec<usize> = run.copied().collect();
        if run.len() >= 2 {
            return Some(run);
        }
        start += run.len().max(1);
    }
    None
}

/// The newest blocks and those before them, as long as none outweighs what comes after it.
fn cheap_run(blocks: &[Candidate], members: &[usize]) -> Option<Vec<usize>> {
    let mut bytes = 0u64;
    let mut run: Vec<usize> = Vec::new();
    for i in members.iter().rev().copied() {
        let next = blocks[i].bytes;
        let joins = run.is_empty() || next <= SMALL_BYTES || next <= bytes.saturating_mul(MAX_RATIO);
        if !joins || run.len() == MAX_BLOCKS || bytes.saturating_add(next) > MAX_BYTES {
            break;
        }
        bytes += next;
        run.push(i);
    }
    run.reverse();
    (run.len() >= MIN_BLOCKS).then_some(run)
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: i64 = 86_400_000;

    /// Partitions of a day.
    fn days() -> Partitions {
        Partitions::new(&crate::Retention::default(), 0)
    }

    fn block(day: i64, bytes: u64) -> Candidate {
        Candidate { min_time: day * DAY, max_time: day * DAY + 1000, bytes }
    }

    fn check(blocks: &[Candidate], eagerness: Eagerness, expected: Option<&[usize]>) {
        assert_eq!(next(blocks, &days(), eagerness).as_deref(), expected, "{blocks:?}");
    }

    #[test]
    fn neighbours_of_one_partition_are_merged() {
        use Eagerness::{All, Thrifty};
        let mb = 1 << 20;
        check(&[], Thrifty, None);
        check(&[block(0, 1), block(0, 1), block(0, 1)], Thrifty, None);
        check(&[block(0, 1), block(1, 1), block(0, 1), block(0, 1), block(0, 1)], Thrifty, Some(&[0, 2, 3, 4]));
        check(
            &[block(0, 900 * mb), block(0, mb), block(0, mb), block(0, mb), block(0, mb)],
            Thrifty,
            Some(&[1, 2, 3, 4]),
        );
        check(&[block(0, 900 * mb), block(0, 20 * mb), block(0, 2 * mb), block(0, 2 * mb)], Thrifty, None);
        check(&[block(0, 900 * mb), block(1, mb), block(0, mb)], All, Some(&[0, 2]));
        check(&[block(0, 9000 * mb), block(0, mb), block(0, mb)], All, Some(&[1, 2]));
        check(&[block(0, 1), block(1, 1)], All, None);
        let wide = Candidate { min_time: 0, max_time: 3 * DAY, bytes: 1 };
        check(&[block(0, 1), wide, block(0, 1), block(5, 1), block(5, 1)], All, Some(&[3, 4]));
    }

    #[test]
    fn hourly_flushes_leave_few_blocks_at_little_writing() {
        let mut blocks: Vec<Candidate> = Vec::new();
        let mut written = 0;
        for hour in 0..24 * 30 {
            blocks.push(block(hour / 24, 100 << 20));
            while let Some(run) = next(&blocks, &days(), Eagerness::Thrifty) {
                let bytes = run.iter().map(|i| blocks[*i].bytes).sum();
                written += bytes;
                blocks[run[run.len() - 1]] = block(blocks[run[0]].min_time / DAY, bytes);
                for i in run[..run.len() - 1].iter().rev() {
                    blocks.remove(*i);
                }
            }
        }
        let total = 24 * 30 * (100u64 << 20);
        assert!(blocks.len() <= 30 * 6, "{}", blocks.len());
        assert!(written <= 3 * total, "{}", written / total);
    }
}
