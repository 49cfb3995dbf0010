//! Sorted lists of series numbers, and the operations of a query on them.

/// Series numbers, strictly growing.
pub(crate) type Postings = Vec<u32>;

/// What is in both.
pub(crate) fn intersect(a: &[u32], b: &[u32]) -> Postings {
    let (short, long) = if a.len() <= b.len() { (a, b) } else { (b, a) };
    let mut out = Vec::with_capacity(short.len());
    let mut rest = long;
    for &x in short {
        rest = &rest[gallop(rest, x)..];
        match rest.first() {
            Some(&y) if y == x => out.push(x),
            Some(_) => {}
            None => break,
        }
    }
    out
}

/// What is in `a` and not in `b`.
pub(crate) fn subtract(a: &[u32], b: &[u32]) -> Postings {
    let mut rest = b;
    a.iter()
        .copied()
        .filter(|x| {
            rest = &rest[gallop(rest, *x)..];
            rest.first() != Some(x)
        })
        .collect()
}

/// What is in any of the lists.
pub(crate) fn union(lists: &[&[u32]]) -> Postings {
    match lists {
        [] => Vec::new(),
        [one] => one.to_vec(),
        many => {
            let mut out = many.concat();
            out.sort_unstable();
            out.dedup();
            out
        }
    }
}

/// The index of the first element that is not below `x`, found in steps that double.
fn gallop(list: &[u32], x: u32) -> usize {
    let mut high = 1;
    while high < list.len() && list[high - 1] < x {
        high *= 2;
    }
    let low = high / 2;
    let high = high.min(list.len());
    low.min(high) + list[low.min(high)..high].partition_point(|y| *y < x)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn operations_agree_with_sets(
            a in prop::collection::btree_set(0u32..200, 0..60),
            b in prop::collection::btree_set(0u32..200, 0..150),
            c in prop::collection::btree_set(0u32..200, 0..5),
        ) {
            let list = |s: &BTreeSet<u32>| s.iter().copied().collect::<Vec<_>>();
            let (la, lb, lc) = (list(&a), list(&b), list(&c));
            prop_assert_eq!(intersect(&la, &lb), list(&(&a & &b)));
            prop_assert_eq!(intersect(&lb, &lc), list(&(&b & &c)));
            prop_assert_eq!(subtract(&la, &lb), list(&(&a - &b)));
            prop_assert_eq!(subtract(&lb, &lc), list(&(&b - &c)));
            prop_assert_eq!(union(&[&la, &lb, &lc]), list(&(&(&a | &b) | &c)));
        }
    }
}
