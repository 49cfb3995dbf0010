//! Sets of series numbers, and the operations of a query on them.

use std::borrow::Cow;

use roaring::RoaringBitmap;

/// The series of a label: numbers that strictly grow, or a bitmap of them.
#[derive(Clone, Debug)]
pub(crate) enum Postings<'a> {
    List(Cow<'a, [u32]>),
    Bits(&'a RoaringBitmap),
}

impl Postings<'_> {
    /// No series.
    pub(crate) const NONE: Postings<'static> = Postings::List(Cow::Borrowed(&[]));

    pub(crate) fn len(&self) -> usize {
        match self {
            Postings::List(list) => list.len(),
            Postings::Bits(bits) => bits.len() as usize,
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        match self {
            Postings::List(list) => list.is_empty(),
            Postings::Bits(bits) => bits.is_empty(),
        }
    }

    /// The numbers, in order.
    pub(crate) fn into_list(self) -> Vec<u32> {
        match self {
            Postings::List(list) => list.into_owned(),
            Postings::Bits(bits) => bits.iter().collect(),
        }
    }

    /// Appends the numbers.
    pub(crate) fn append_to(&self, out: &mut Vec<u32>) {
        match self {
            Postings::List(list) => out.extend_from_slice(list),
            Postings::Bits(bits) => out.extend(bits.iter()),
        }
    }
}

/// What is in both.
pub(crate) fn intersect(a: &Postings<'_>, b: &Postings<'_>) -> Vec<u32> {
    match (a, b) {
        (Postings::List(a), Postings::List(b)) => intersect_lists(a, b),
        (Postings::List(list), Postings::Bits(bits)) | (Postings::Bits(bits), Postings::List(list)) => {
            list.iter().copied().filter(|x| bits.contains(*x)).collect()
        }
        (Postings::Bits(a), Postings::Bits(b)) => (*a & *b).iter().collect(),
    }
}

/// What is in `a` and not in `b`.
pub(crate) fn subtract(a: &[u32], b: &Postings<'_>) -> Vec<u32> {
    match b {
        Postings::List(b) => {
            let mut rest: &[u32] = b;
            let gone = |x: &u32| {
                rest = &rest[gallop(rest, *x)..];
                rest.first() == Some(x)
            };
            let mut gone = gone;
            a.iter().copied().filter(|x| !gone(x)).collect()
        }
        Postings::Bits(bits) => a.iter().copied().filter(|x| !bits.contains(*x)).collect(),
    }
}

/// The numbers, each once and in order; all are below `bound`.
pub(crate) fn in_order(mut numbers: Vec<u32>, bound: u32) -> Vec<u32> {
    if numbers.is_sorted_by(|a, b| a < b) {
        return numbers;
    }
    // Where they are dense it is cheaper to mark them than to sort them.
    if numbers.len() < bound as usize / 32 {
        numbers.sort_unstable();
        numbers.dedup();
        return numbers;
    }
    let mut words = vec![0u64; bound as usize / 64 + 1];
    for number in &numbers {
        words[*number as usize / 64] |= 1 << (number % 64);
    }
    numbers.clear();
    for (i, word) in words.into_iter().enumerate() {
        let mut rest = word;
        while rest != 0 {
            numbers.push(i as u32 * 64 + rest.trailing_zeros());
            rest &= rest - 1;
        }
    }
    numbers
}

fn intersect_lists(a: &[u32], b: &[u32]) -> Vec<u32> {
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
            let bits = |s: &BTreeSet<u32>| s.iter().copied().collect::<RoaringBitmap>();
            let (ba, bb, bc) = (bits(&a), bits(&b), bits(&c));
            let forms = |s: &BTreeSet<u32>| Postings::List(list(s).into());
            let each = |s, b| [forms(s), Postings::Bits(b)];
            for x in &each(&a, &ba) {
                for y in &each(&b, &bb) {
                    prop_assert_eq!(intersect(x, y), list(&(&a & &b)));
                    prop_assert_eq!(subtract(&list(&a), y), list(&(&a - &b)));
                }
                prop_assert_eq!((x.len(), x.is_empty(), x.clone().into_list()), (a.len(), a.is_empty(), list(&a)));
            }
            for y in &each(&b, &bb) {
                for z in &each(&c, &bc) {
                    prop_assert_eq!(intersect(y, z), list(&(&b & &c)));
                }
            }
            for bound in [200, 100_000] {
                let all = [list(&a), list(&b), list(&c)].concat();
                prop_assert_eq!(in_order(all, bound), list(&(&(&a | &b) | &c)));
            }
        }
    }
}
