//! Which blocks have to go: a pure function of their times and sizes.

use sonde_model::TimestampMs;

use crate::Options;
use crate::block::Block;
use crate::options::ms_to_ns;

/// What retention knows of a block.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Fact {
    /// The newest start, in nanoseconds.
    pub(crate) newest_ns: u64,
    pub(crate) bytes: u64,
}

impl Fact {
    pub(crate) fn of(block: &Block) -> Self {
        Fact { newest_ns: block.range().end_ns, bytes: block.bytes() }
    }
}

/// What has to go, as indices.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Plan {
    /// Too old.
    pub(crate) expired: Vec<usize>,
    /// The oldest of those that take too much room.
    pub(crate) evicted: Vec<usize>,
    /// The clock is so far ahead of the newest span that nothing is dropped for its age.
    pub(crate) paused: bool,
}

/// Decides what has to go. `newest` is the start of the newest span in the store, in nanoseconds.
pub(crate) fn plan(blocks: &[Fact], newest: Option<u64>, wal_bytes: u64, now: TimestampMs, options: &Options) -> Plan {
    let paused =
        newest.is_some_and(|newest| ms_to_ns(now).saturating_sub(newest) > ms_to_ns(options.retention_pause_ms));
    let cutoff = options.retained_from_ns(now);
    let is_expired = |b: &Fact| !paused && b.newest_ns < cutoff;
    let mut plan = Plan { paused, ..Plan::default() };
    let mut kept: Vec<usize> = Vec::new();
    for (i, block) in blocks.iter().enumerate() {
        if is_expired(block) { plan.expired.push(i) } else { kept.push(i) }
    }
    if let Some(limit) = options.retention_bytes {
        let mut bytes = kept.iter().map(|i| blocks[*i].bytes).sum::<u64>().saturating_add(wal_bytes);
        kept.sort_by_key(|i| blocks[*i].newest_ns);
        for i in kept {
            if bytes <= limit {
                break;
            }
            bytes -= blocks[i].bytes;
            plan.evicted.push(i);
        }
    }
    plan
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_old_or_too_much_goes() {
        let hour = 3_600_000;
        let block = |hours: i64| Fact { newest_ns: ms_to_ns(hours * hour), bytes: 100 };
        let blocks = [block(30), block(1), block(50), block(20)];
        let options = Options { retention_ms: 24 * hour, retention_pause_ms: 10 * hour, ..Options::default() };
        let limited = |bytes| Options { retention_bytes: Some(bytes), ..options.clone() };
        let check = |now: i64, newest: i64, options: &Options, expired: &[usize], evicted: &[usize], paused: bool| {
            let found = plan(&blocks, Some(ms_to_ns(newest * hour)), 50, now * hour, options);
            let expected = Plan { expired: expired.to_vec(), evicted: evicted.to_vec(), paused };
            assert_eq!(found, expected, "{now} {newest}");
        };
        check(50, 50, &options, &[1, 3], &[], false);
        check(25, 50, &options, &[], &[], false);
        check(61, 50, &options, &[], &[], true);
        check(61, 61, &options, &[0, 1, 3], &[], false);
        check(50, 50, &limited(250), &[1, 3], &[], false);
        check(50, 50, &limited(249), &[1, 3], &[0], false);
        check(50, 50, &limited(0), &[1, 3], &[0, 2], false);
        check(90, 50, &limited(250), &[], &[1, 3], true);
    }
}
