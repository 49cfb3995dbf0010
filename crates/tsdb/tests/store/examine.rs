//! A look at a store changes nothing, counts right, and finds every damaged byte.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use sonde_disk::{Fs, MemFs, OsFs, read_all};
use sonde_model::Matcher;
use sonde_tsdb::examine::{Examiner, Verification};
use sonde_tsdb::{Db, Error, Options, Source};

use crate::support::*;

const DIR: &str = "data";
const BLOCK: &str = "data/blocks/0000000000000001.block";

/// The newest golden store, in memory.
fn golden() -> MemFs {
    fn copy(from: &Path, to: &Path, fs: &MemFs) {
        fs.create_dir_all(to).expect("memory");
        for entry in OsFs.list(from).expect("the files are part of the repository") {
            let (from, to) = (from.join(&entry.name), to.join(&entry.name));
            if entry.is_dir {
                copy(&from, &to, fs);
                continue;
            }
            let bytes = read_all(&OsFs, &from, 1 << 20).expect("golden files are small");
            fs.create(&to).and_then(|file| file.write_at(&bytes, 0)).expect("memory");
        }
    }
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden");
    let newest = OsFs.list(&root).expect("there are some").into_iter().map(|entry| entry.name).max().expect("one");
    let fs = MemFs::new();
    copy(&root.join(newest), Path::new(DIR), &fs);
    fs
}

fn verify(fs: &MemFs) -> Verification {
    let examiner = Examiner::open(Arc::new(fs.clone()), Path::new(DIR)).expect("it is there");
    let (mut last, mut told) = (0, 0);
    let found = examiner.verify(&mut |done, total| {
        assert!(done >= last && done <= total, "{done} of {total} after {last}");
        (last, told) = (done, told + 1);
    });
    assert!(told > 1);
    found.expect("memory can be read")
}

#[test]
fn a_sound_store_is_sound_and_counted() {
    let fs = golden();
    let found = verify(&fs);
    assert!(found.is_sound(), "{found:?}");
    assert_eq!((found.blocks, found.samples), (1, 4 * 700));
    let examiner = Examiner::open(Arc::new(fs.clone()), Path::new(DIR)).expect("it is there");
    assert!(matches!(
        Db::open(Arc::new(fs.clone()), Path::new(DIR), Options::default(), NOW),
        Err(Error::Locked { .. })
    ));
    let inspection = examiner.inspect(&mut |_, _| {}).expect("memory can be read");
    let [block] = inspection.blocks.as_slice() else { panic!("{inspection:?}") };
    assert_eq!((block.seq, block.series, block.samples, block.level), (1, 4, 2800, 0));
    let sections = block.sections;
    let parts = [
        sections.symbols,
        sections.series,
        sections.postings,
        sections.timestamps,
        sections.values,
        sections.histograms,
        sections.frame,
    ];
    let sum: u64 = parts.iter().map(|part| part.bytes).sum();
    assert!(sum.abs_diff(block.bytes) <= 3, "{sum} of {} bytes are told apart", block.bytes);
    assert_eq!(block.codecs.iter().map(|codec| codec.samples).sum::<u64>(), 2800);
    let names: Vec<&str> = inspection.metrics.iter().map(|metric| metric.name.as_str()).collect();
    assert_eq!(names.len(), 4, "{names:?}");
    assert_eq!(inspection.metrics.iter().map(|metric| metric.samples).sum::<u64>(), 2800);
    // What lies in the log: 20 batches of 4 samples.
    assert_eq!((inspection.log.samples, inspection.log.series, inspection.log.orphans), (80, 4, 0));
    assert_eq!(inspection.log.max_time, Some(NOW + 720 * 15_000));
    drop(examiner);
    let (db, report) = Db::open(Arc::new(fs), Path::new(DIR), Options::default(), NOW).expect("it was let go");
    assert_eq!((report.samples, report.is_damaged()), (80, false));
    drop(db);
}

#[test]
fn a_damaged_byte_is_found_wherever_it_lies() {
    let sound = golden();
    let len = sound.open(Path::new(BLOCK)).and_then(|file| file.len()).expect("it is there");
    for at in (0..len).filter(|at| at % 5 == 0 || *at < 32 || len - at < 40) {
        let fs = sound.fork();
        fs.corrupt(Path::new(BLOCK), at, 0x20).expect("memory");
        let found = verify(&fs);
        assert!(!found.is_sound(), "byte {at} of {len}");
        for damage in &found.damage {
            assert_eq!(damage.path, Path::new(BLOCK), "byte {at}");
            assert!(damage.range.as_ref().is_none_or(|range| range.contains(&at)), "byte {at}: {damage:?}");
        }
        // Nothing was set aside, and what an opening finds is no more.
        assert!(fs.exists(Path::new(BLOCK)).expect("memory"));
    }
    for name in ["manifest", "tombstones", "exemplars"] {
        let path = Path::new(DIR).join(name);
        let len = sound.open(&path).and_then(|file| file.len()).expect("it is there");
        for at in 0..len {
            let fs = sound.fork();
            fs.corrupt(&path, at, 1).expect("memory");
            let paths: Vec<PathBuf> = verify(&fs).damage.into_iter().map(|damage| damage.path).collect();
            assert_eq!(paths, [path.as_path()], "byte {at} of {name}");
        }
    }
}

#[test]
fn what_is_lost_is_told() {
    let fs = MemFs::new();
    let (db, _) = open(Arc::new(fs.clone()), Options::default());
    for round in 0..30i64 {
        let sample = |n: i64| {
            let n_text = n.to_string();
            let noise =
                f64::from_bits(0x3ff0_0000_0000_0000 + ((round * 1_000 + n) as u64).wrapping_mul(0x9e37_79b9_7f4a));
            float(series(&db, &[("__name__", "noise"), ("n", &n_text)]), NOW + round * 1_000, noise)
        };
        append(&db, batch(Source::Push, (0..400).map(sample).collect()), NOW + round * 1_000);
    }
    db.flush(NOW).expect("memory");
    db.close();
    drop(db);
    assert!(verify(&fs).is_sound());
    // The middle of the file lies in a page of chunks.
    let len = fs.open(Path::new(BLOCK)).and_then(|file| file.len()).expect("it is there");
    fs.corrupt(Path::new(BLOCK), len / 2, 1).expect("memory");
    let found = verify(&fs);
    let [damage] = found.damage.as_slice() else { panic!("{found:?}") };
    let lost = damage.lost.expect("samples lie there");
    assert!(damage.range.as_ref().expect("a page").contains(&(len / 2)), "{damage:?}");
    assert!(lost.series > 0 && lost.series < 400, "{lost:?}");
    assert_eq!((lost.samples, lost.from, lost.to), (lost.series * 30, NOW, NOW + 29_000));
}

#[test]
fn there_is_a_store_or_there_is_none() {
    let fs: Arc<dyn Fs> = Arc::new(MemFs::new());
    assert!(matches!(Examiner::open(Arc::clone(&fs), Path::new("nowhere")), Err(Error::NoStore { .. })));
    let (db, _) = open(Arc::clone(&fs), Options::default());
    assert!(matches!(Examiner::open(Arc::clone(&fs), Path::new(DIR)), Err(Error::Locked { .. })));
    db.delete(vec![vec![Matcher::equal("a", "b")]], 0, 1, NOW).expect("memory");
    db.close();
    drop(db);
    fs.create(Path::new("data/blocks/0000000000000007.block.outdated-1800000000000")).expect("memory");
    fs.create(Path::new("data/ballast")).and_then(|file| file.write_at(&[1; 77], 0)).expect("memory");
    let examiner = Examiner::open(Arc::clone(&fs), Path::new(DIR)).expect("nobody has it");
    let files = examiner.inspect(&mut |_, _| {}).expect("memory").files;
    assert!(files.contains(&("ballast".to_owned(), 77)), "{files:?}");
    let found = examiner.verify(&mut |_, _| {}).expect("memory");
    assert!(found.is_sound() && found.notes.iter().any(|note| note.contains("of an old format")), "{found:?}");
}
