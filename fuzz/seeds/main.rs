//! Writes inputs to begin with, so that a fuzzer need not find out by itself what a block or a query looks like.
//!
//! Makes `$SONDE_CORPUS/TARGET/seed-N` from the stores that this program makes and the files below `$SONDE_ROOT`. It is built
//! as a target and run with `-runs=0`, because what is instrumented needs libFuzzer to be linked.
#![cfg_attr(fuzzing, no_main)]

mod golden;
mod metrics;
mod queue;
mod requests;
mod spans;
mod texts;

use std::path::{Path, PathBuf};

use sonde_disk::{Fs, Wal};

/// Larger inputs make each execution slow.
const MAX_BYTES: usize = 16 << 10;

struct Corpus(PathBuf);

impl Corpus {
    fn put(&self, target: &str, bytes: &[u8]) {
        if bytes.is_empty() || bytes.len() > MAX_BYTES {
            return;
        }
        let dir = self.0.join(target);
        std::fs::create_dir_all(&dir).expect("a folder");
        let name = format!("seed-{:08x}", sonde_disk::checksum::crc32(bytes));
        std::fs::write(dir.join(name), bytes).expect("a file");
    }

    fn text(&self, target: &str, prefix: &[u8], text: &str) {
        self.put(target, &[prefix, text.as_bytes()].concat());
    }
}

libfuzzer_sys::fuzz_target!(init: write(), |_bytes: &[u8]| {});

fn write() {
    let folder = |name| PathBuf::from(std::env::var_os(name).unwrap_or_else(|| panic!("{name} is not set")));
    let (corpus, root) = (Corpus(folder("SONDE_CORPUS")), folder("SONDE_ROOT"));
    metrics::write(&corpus);
    spans::write(&corpus);
    queue::write(&corpus);
    golden::write(&corpus, &root);
    texts::write(&corpus, &root);
    requests::write(&corpus);
    let detector = (0..500).fold(sonde_detect::Novelty::default(), |mut detector, i| {
        detector.push(i * 60_000, (i as f64 * 0.1).sin());
        detector
    });
    corpus.put("detector", &detector.to_bytes());
    corpus.put("small_texts", b"1h30m");
    corpus.put("small_texts", b"00112233445566778899aabbccddeeff\n1\n2");
}

/// The records of a WAL, each behind a length of two bytes.
fn records(fs: &dyn Fs, dir: &Path) -> Vec<u8> {
    let mut all = Vec::new();
    let _ = Wal::examine(fs, dir, &mut |_, record| {
        all.extend((record.len() as u16).to_le_bytes());
        all.extend(record);
    });
    all.truncate(MAX_BYTES);
    all
}

/// All files below a folder; none where there is no folder.
fn files(dir: &Path) -> Vec<PathBuf> {
    let Ok(entries) = std::fs::read_dir(dir) else { return Vec::new() };
    let mut found = Vec::new();
    for path in entries.flatten().map(|entry| entry.path()) {
        if path.is_dir() { found.extend(files(&path)) } else { found.push(path) }
    }
    found
}
