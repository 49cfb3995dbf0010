//! Many senders, queries and maintenance at once: what is acknowledged is visible, and all of it is there at the end.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::thread;

use sonde_disk::MemFs;
use sonde_model::Matcher;
use sonde_tsdb::{AppendError, Db, Options, Source};

use crate::support::*;

const SENDERS: usize = 6;
/// Batches of a sender: so many at least, and until maintenance has done all that it can, and never more.
const MIN_BATCHES: i64 = 60;
const MAX_BATCHES: i64 = 5_000;
const SERIES: usize = 20;

fn labels(sender: usize, i: usize) -> [(&'static str, String); 3] {
    [("__name__", "m".to_owned()), ("i", i.to_string()), ("sender", sender.to_string())]
}

/// Sends batch after batch and says how many.
fn send_all(db: &Db, sender: usize) -> i64 {
    let all: Vec<_> = (0..SERIES).map(|i| labels(sender, i)).collect();
    for n in 0..MAX_BATCHES {
        if n >= MIN_BATCHES && db.stats().flushes.load(Relaxed) > 2 && db.stats().compactions.load(Relaxed) > 0 {
            return n;
        }
        let now = NOW + n * 1000;
        let durable = loop {
            let samples = all.iter().map(|labels| {
                let pairs: Vec<(&str, &str)> = labels.iter().map(|(n, v)| (*n, v.as_str())).collect();
                float(series(db, &pairs), now, n as f64)
            });
            match send(db, batch(Source::Push, samples.collect()), now) {
                Ok((outcome, durable)) => {
                    assert_eq!(outcome.accepted, SERIES as u64);
                    break durable;
                }
                Err(AppendError::StaleRef) => {}
                Err(error) => panic!("{error}"),
            }
        };
        wait(&durable).expect("durable");
        let mine = [Matcher::equal("sender", &sender.to_string()), Matcher::equal("i", "7")];
        let found = select(db, &mine, now, now);
        assert_eq!(
            found.first().map(|s| s.floats.values.clone()),
            Some(vec![n as f64]),
            "acknowledged and not visible"
        );
    }
    panic!("maintenance has done nothing while {MAX_BATCHES} batches came");
}

#[test]
fn senders_queries_and_maintenance_get_along() {
    let fs = Arc::new(MemFs::new());
    let options = Options {
        head_bytes: 40 << 10,
        head_overrun: 1_000,
        idle_ms: 0,
        wal_segment_bytes: 64 << 10,
        ..Options::default()
    };
    let (db, _) = open(Arc::clone(&fs) as _, options.clone());
    let done = AtomicBool::new(false);
    let sent: Vec<i64> = thread::scope(|scope| {
        let maintenance = scope.spawn(|| {
            while !done.load(Relaxed) {
                // All series are idle at this time, so that they leave the head again and again.
                db.maintain(NOW + DAY / 2).expect("maintenance works");
            }
        });
        let reader = scope.spawn(|| {
            while !done.load(Relaxed) {
                for series in select(&db, &all(), i64::MIN, i64::MAX) {
                    let gap = series.floats.timestamps.windows(2).find(|w| w[1] - w[0] != 1000);
                    assert_eq!(gap, None, "{}: a sample is missing between others", series.labels);
                }
                db.label_values("sender", &[], i64::MIN, i64::MAX, 100).expect("the answer");
            }
        });
        let senders: Vec<_> = (0..SENDERS)
            .map(|sender| {
                scope.spawn({
                    let db = &db;
                    move || send_all(db, sender)
                })
            })
            .collect();
        let sent: Vec<_> = senders.into_iter().map(thread::ScopedJoinHandle::join).collect();
        done.store(true, Relaxed);
        assert!(maintenance.join().is_ok() && reader.join().is_ok());
        sent.into_iter().map(|sent| sent.expect("the sender has ended well")).collect()
    });
    drop(db);
    let (db, report) = open(fs, options);
    assert!(!report.is_damaged(), "{report:?}");
    let found = select(&db, &all(), i64::MIN, i64::MAX);
    assert_eq!(found.len(), SENDERS * SERIES);
    for series in found {
        let sender: usize = series.labels.get("sender").and_then(|s| s.parse().ok()).expect("a number");
        assert_eq!(series.floats.len() as i64, sent[sender], "{}", series.labels);
    }
}
