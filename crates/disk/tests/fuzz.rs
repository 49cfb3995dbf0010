//! The fuzz targets on random input, so that they are true on every day and not only when a fuzzer runs.

#[path = "../fuzz/wal.rs"]
pub mod wal;

use std::sync::Arc;

use proptest::collection::vec;
use proptest::prelude::{Strategy, any, prop_oneof};
use proptest::test_runner::{Config, TestRunner};
use sonde_disk::{Fs, MemFs, Wal, WalOptions};

/// What happens to the bytes of an intact WAL.
#[derive(Clone, Debug)]
enum Damage {
    Flip {
        segment: usize,
        at: usize,
        mask: u8,
    },
    Cut {
        segment: usize,
        at: usize,
    },
    Zeros {
        segment: usize,
        at: usize,
        len: usize,
    },
    Insert {
        segment: usize,
        at: usize,
        bytes: Vec<u8>,
    },
    /// Copies a piece of one segment over another.
    Copy {
        from: usize,
        to: usize,
        at: usize,
        target: usize,
        len: usize,
    },
    Swap {
        a: usize,
        b: usize,
    },
    Lose {
        segment: usize,
    },
}

impl Damage {
    fn apply(self, segments: &mut Vec<Vec<u8>>) {
        let count = segments.len();
        if count == 0 {
            return;
        }
        match self {
            Self::Flip { segment, at, mask } => {
                let bytes = &mut segments[segment % count];
                if !bytes.is_empty() {
                    let at = at % bytes.len();
                    bytes[at] ^= mask;
                }
            }
            Self::Cut { segment, at } => {
                let bytes = &mut segments[segment % count];
                bytes.truncate(at % (bytes.len() + 1));
            }
            Self::Zeros { segment, at, len } => {
                let bytes = &mut segments[segment % count];
                let at = at % (bytes.len() + 1);
                let end = (at + len).min(bytes.len());
                bytes[at..end].fill(0);
            }
            Self::Insert { segment, at, bytes: inserted } => {
                let bytes = &mut segments[segment % count];
                let at = at % (bytes.len() + 1);
                bytes.splice(at..at, inserted);
            }
            Self::Copy { from, to, at, target, len } => {
                let source = &segments[from % count];
                let at = at % (source.len() + 1);
                let piece = source[at..(at + len).min(source.len())].to_vec();
                let bytes = &mut segments[to % count];
                let target = target % (bytes.len() + 1);
                let end = (target + piece.len()).min(bytes.len());
                bytes.splice(target..end, piece);
            }
            Self::Swap { a, b } => segments.swap(a % count, b % count),
            Self::Lose { segment } => drop(segments.remove(segment % count)),
        }
    }
}

fn damage() -> impl Strategy<Value = Damage> {
    let (segment, at) = (|| any::<usize>(), || 0..8_000_usize);
    prop_oneof![
        (segment(), at(), any::<u8>()).prop_map(|(segment, at, mask)| Damage::Flip { segment, at, mask }),
        (segment(), at()).prop_map(|(segment, at)| Damage::Cut { segment, at }),
        (segment(), at(), 0..600_usize).prop_map(|(segment, at, len)| Damage::Zeros { segment, at, len }),
        (segment(), at(), vec(any::<u8>(), 0..100)).prop_map(|(segment, at, bytes)| Damage::Insert {
            segment,
            at,
            bytes
        }),
        (segment(), segment(), at(), at(), 0..5_000_usize).prop_map(|(from, to, at, target, len)| Damage::Copy {
            from,
            to,
            at,
            target,
            len
        }),
        (segment(), segment()).prop_map(|(a, b)| Damage::Swap { a, b }),
        segment().prop_map(|segment| Damage::Lose { segment }),
    ]
}

/// The bytes of the segments of a WAL with records of these sizes; closed in order, or not.
fn intact(sizes: &[usize], closed: bool) -> Vec<Vec<u8>> {
    let fs = MemFs::new();
    let dir = wal::segment(1);
    let dir = dir.parent().expect("a segment lies in a directory");
    let options = WalOptions { segment_bytes: 5_000, zeros_ahead_bytes: 500, ..WalOptions::default() };
    let (wal, _) = Wal::open(Arc::new(fs.clone()), dir, options, &mut |_, _| {}).expect("memory does not fail");
    for (n, size) in sizes.iter().enumerate() {
        let record = vec![u8::try_from(n % 251).expect("it is small"); *size];
        wal.append(record, Box::new(|result| assert!(result.is_ok()))).expect("there is room");
        if n % 3 == 0 {
            // Waits, so that not everything is one batch.
            wal.rotate().expect("memory does not fail");
        }
    }
    let fs = if closed {
        drop(wal);
        fs
    } else {
        fs.fork()
    };
    let paths = fs.list(dir).expect("memory does not fail").into_iter().map(|entry| dir.join(entry.name));
    paths.map(|path| sonde_disk::read_all(&fs, &path, u64::MAX).expect("memory does not fail")).collect()
}

fn run<S: Strategy>(cases: u32, strategy: &S, check: impl Fn(S::Value)) {
    let config = Config { cases, failure_persistence: None, ..Config::default() };
    let result = TestRunner::new(config).run(strategy, |input| {
        check(input);
        Ok(())
    });
    result.unwrap_or_else(|failure| panic!("{failure}"));
}

#[test]
fn arbitrary_bytes_open() {
    let segments = vec(vec(any::<u8>(), 0..6_000), 0..4);
    run(200, &segments, |segments| wal::open_arbitrary(&segments.iter().map(Vec::as_slice).collect::<Vec<_>>()));
}

#[test]
fn damaged_segments_open() {
    let input = (vec(0..900_usize, 0..12), any::<bool>(), vec(damage(), 0..6));
    run(400, &input, |(sizes, closed, damages)| {
        let mut segments = intact(&sizes, closed);
        for damage in damages {
            damage.apply(&mut segments);
        }
        wal::open_arbitrary(&segments.iter().map(Vec::as_slice).collect::<Vec<_>>());
    });
}
