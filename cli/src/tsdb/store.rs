//! Where a store lies, and how it is opened.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use sonde_disk::{Fs, OsFs};
use sonde_model::TimestampMs;
use sonde_tsdb::examine::Examiner;
use sonde_tsdb::{Db, Options};

use crate::problem::Problem;
use crate::process::problem;

/// Where the collector keeps how far the receivers of remote write are: see docs/format/remote-write-position.md.
const REMOTE_WRITE: &str = "remote_write";

/// The store in a data directory, or the directory itself where it is one, as a copied one may be.
pub(super) fn dir(data_dir: &Path) -> PathBuf {
    let inside = data_dir.join("tsdb");
    let is_there = |dir: &Path| OsFs.exists(dir).unwrap_or(false);
    if !is_there(&inside) && is_there(&data_dir.join("blocks")) { data_dir.to_owned() } else { inside }
}

/// A look at the store of a data directory.
pub(super) fn examine(data_dir: &Path) -> Result<Examiner, Problem> {
    Examiner::open(Arc::new(OsFs), &dir(data_dir)).map_err(|error| explained(&error))
}

/// Opens the store of a data directory, which must be there unless it `may_be_new`. What is damaged is told.
pub(super) fn open(data_dir: &Path, options: Options, now: TimestampMs, may_be_new: bool) -> Result<Arc<Db>, Problem> {
    let dir = dir(data_dir);
    if !may_be_new {
        // Says that there is none before one is made.
        drop(examine(data_dir)?);
    }
    let (db, report) = Db::open(Arc::new(OsFs), &dir, options, now).map_err(|error| explained(&error))?;
    // What remote write has not sent on yet stays in the log, however much is flushed here.
    let positions = OsFs.list(&dir.join(REMOTE_WRITE)).unwrap_or_default();
    if positions.iter().any(|entry| entry.name.ends_with(".position")) {
        db.hold_wal(REMOTE_WRITE, db.wal_start()).map_err(|error| explained(&error))?;
    }
    if report.is_damaged() {
        let aside = report.quarantined.iter().map(|q| format!("; {} was set aside: {}", q.path.display(), q.reason));
        let aside: String = aside.collect();
        crate::warn(&format!(
            "the store is damaged, and what is damaged is left out{aside}; `sonde tsdb verify` says more"
        ));
    }
    Ok(db)
}

fn explained(error: &sonde_tsdb::Error) -> Problem {
    let told = problem(error);
    match error {
        sonde_tsdb::Error::Locked { .. } => {
            told.hint("Stop the collector, or make a copy while it runs: `sonde tsdb snapshot`.")
        }
        _ => told,
    }
}
