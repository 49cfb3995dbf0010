//! Which blocks have to go: a pure function of their ages and sizes.

/// What retention knows of a block. `T` is the time of the store, in its own unit.
#[derive(Clone, Copy, Debug)]
pub struct Fact<T> {
    /// The time of the newest thing in it.
    pub newest: T,
    /// Its size on the disk.
    pub bytes: u64,
}

/// What has to go, as indices.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Plan {
    /// Too old.
    pub expired: Vec<usize>,
    /// The oldest of those that take too much room.
    pub evicted: Vec<usize>,
}

/// Decides what has to go: blocks all of which is older than `cutoff` (none without one), and then the oldest until
/// blocks and WAL together take no more than `max_bytes`.
pub fn plan<T: Copy + Ord>(blocks: &[Fact<T>], cutoff: Option<T>, wal_bytes: u64, max_bytes: Option<u64>) -> Plan {
    let is_expired = |b: &Fact<T>| cutoff.is_some_and(|cutoff| b.newest < cutoff);
    let mut plan = Plan::default();
    let mut kept: Vec<usize> = Vec::new();
    for (i, block) in blocks.iter().enumerate() {
        if is_expired(block) { plan.expired.push(i) } else { kept.push(i) }
    }
    if let Some(limit) = max_bytes {
        let mut bytes = kept.iter().map(|i| blocks[*i].bytes).sum::<u64>().saturating_add(wal_bytes);
        kept.sort_by_key(|i| blocks[*i].newest);
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
        let block = |newest: i64| Fact { newest, bytes: 100 };
        let blocks = [block(30), block(1), block(50), block(20)];
        let check = |cutoff: Option<i64>, max_bytes: Option<u64>, expired: &[usize], evicted: &[usize]| {
            let found = plan(&blocks, cutoff, 50, max_bytes);
            let expected = Plan { expired: expired.to_vec(), evicted: evicted.to_vec() };
            assert_eq!(found, expected, "{cutoff:?} {max_bytes:?}");
        };
        check(Some(26), None, &[1, 3], &[]);
        check(Some(30), None, &[1, 3], &[]);
        check(Some(1), None, &[], &[]);
        check(None, None, &[], &[]);
        check(Some(37), None, &[0, 1, 3], &[]);
        check(Some(26), Some(250), &[1, 3], &[]);
        check(Some(26), Some(249), &[1, 3], &[0]);
        check(Some(26), Some(0), &[1, 3], &[0, 2]);
        check(None, Some(250), &[], &[1, 3]);
    }
}
