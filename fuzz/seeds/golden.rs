//! Files of released formats.

use std::path::Path;

use crate::{Corpus, files, records};

/// Those of the stores.
pub(crate) fn write(corpus: &Corpus, root: &Path) {
    for file in files(&root.join("crates/tsdb/tests/golden")) {
        let Ok(bytes) = std::fs::read(&file) else { continue };
        match file.extension().and_then(|e| e.to_str()) {
            Some("block") => corpus.put("block", &bytes),
            Some("wal") => {
                corpus.put("wal", &bytes[bytes.len().min(4160)..]);
                let wal = file.parent().expect("it lies in a folder");
                corpus.put("wal_records", &records(&sonde_disk::OsFs, wal));
            }
            _ => {}
        }
    }
}
