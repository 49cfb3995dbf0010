//! The queue against restarts, crashes, full disks and damage.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::mpsc;
use std::time::Duration;

use bytes::Bytes;
use sonde_disk::{Fs, MemFs};
use sonde_model::AgentId;

use super::*;

const DIR: &str = "data/agent";
/// Long enough that only a hang reaches it.
const PATIENCE: Duration = Duration::from_secs(30);

fn options() -> QueueOptions {
    QueueOptions { max_bytes: 64 << 20, max_trace_bytes: 64 << 20, min_free_bytes: 0, max_body_bytes: 1 << 20 }
}

fn open(fs: &MemFs, options: QueueOptions) -> (Arc<Queue>, QueueReport) {
    let (queues, report) = open_both(fs, &options);
    (queues.metrics, report)
}

fn open_both(fs: &MemFs, options: &QueueOptions) -> (Queues, QueueReport) {
    Queues::open(Arc::new(fs.clone()), Path::new(DIR), options).unwrap()
}

/// A body that says its number; long ones are random enough not to shrink.
fn body(number: u64, bytes: usize) -> Encoded {
    let mut body = format!("batch {number} ").into_bytes();
    let mut random = fastrand::Rng::with_seed(number);
    body.resize_with(body.len().max(bytes), || random.u8(..));
    Encoded { body, items: 10 }
}

/// Appends a batch and waits until it is durable or has failed.
fn append(queue: &Arc<Queue>, batch: &Encoded) -> Result<(), AppendError> {
    let (sender, receiver) = mpsc::sync_channel(1);
    queue.append(Source::Otlp, batch, 1_000, move |result| {
        sender.send(result).unwrap();
    })?;
    receiver.recv_timeout(PATIENCE).unwrap()
}

fn read_all(queue: &Arc<Queue>) -> Vec<Queued> {
    let mut reader = queue.reader();
    let mut batches = Vec::new();
    loop {
        match reader.next() {
            Ok(Some(batch)) => batches.push(batch),
            Ok(None) => return batches,
            Err(WalError::Damaged(_)) => {}
            Err(error) => panic!("{error}"),
        }
    }
}

fn seqs(batches: &[Queued]) -> Vec<u64> {
    batches.iter().map(|batch| batch.id.seq).collect()
}

/// What the collector sees of batches.
fn contents(batches: &[Queued]) -> Vec<(BatchId, Bytes)> {
    batches.iter().map(|batch| (batch.id, batch.body.clone())).collect()
}

/// The law of the queue, in items.
fn check_balance(queue: &Queue) {
    let stats = queue.stats();
    let accepted: u64 = Source::ALL.iter().map(|source| stats.accepted(*source)).sum();
    let dropped: u64 = DropReason::ALL.iter().map(|reason| stats.dropped(*reason)).sum();
    let sent = stats.sent_items.load(Ordering::Relaxed) + stats.rejected_items.load(Ordering::Relaxed);
    assert_eq!(accepted, sent + dropped + stats.waiting_items.load(Ordering::Relaxed));
}

#[test]
fn batches_come_back_in_order_as_they_were() {
    let fs = MemFs::new();
    let (queue, report) = open(&fs, options());
    assert!(!report.new_epoch && report.identity.epoch == 1);
    for (number, bytes) in [(1, 0), (2, 5_000), (3, 300)] {
        append(&queue, &body(number, bytes)).unwrap();
    }
    let same = Encoded { body: vec![7; 10_000], items: 3 };
    append(&queue, &same).unwrap();
    let batches = read_all(&queue);
    assert_eq!(seqs(&batches), [1, 2, 3, 4]);
    assert!(batches.iter().all(|batch| batch.id.agent == report.identity.agent && batch.source == Some(Source::Otlp)));
    assert_eq!(batches[1].body, body(2, 5_000).body);
    assert_eq!((&batches[3].body[..], batches[3].items), (&same.body[..], 3));
    assert!(batches[3].disk_bytes < 200, "repetition shrinks: {}", batches[3].disk_bytes);
    check_balance(&queue);
}

#[test]
fn what_was_delivered_is_not_sent_again_and_numbers_go_on() {
    let fs = MemFs::new();
    let (queue, _) = open(&fs, options());
    (1..=5).for_each(|number| append(&queue, &body(number, 100)).unwrap());
    let batches = read_all(&queue);
    queue.delivered(&batches[0]);
    queue.delivered(&batches[1]);
    queue.persist_cursor().unwrap();
    // Delivered, but not yet in the file: sent again after a crash, under the same number.
    queue.delivered(&batches[2]);
    assert_eq!(queue.stats().waiting_batches.load(Ordering::Relaxed), 2);

    let (queue, report) = open(&fs.crash(1), options());
    assert_eq!((report.new_epoch, report.waiting), (false, 3));
    assert_eq!(contents(&read_all(&queue)), contents(&batches[2..]));
    append(&queue, &body(6, 100)).unwrap();
    assert_eq!(seqs(&read_all(&queue)), [3, 4, 5, 6]);
    let batches = read_all(&queue);
    batches.iter().for_each(|batch| queue.delivered(batch));
    queue.persist_cursor().unwrap();
    drop(queue);

    let (queue, report) = open(&fs.crash(2), options());
    assert_eq!((report.new_epoch, report.waiting), (false, 3), "the crash image is that of the first life");
    assert_eq!(seqs(&read_all(&queue)), [3, 4, 5]);
}

#[test]
fn an_empty_queue_remembers_its_numbers() {
    let fs = MemFs::new();
    for life in 0..3 {
        let (queue, report) = open(&fs, options());
        assert_eq!((report.new_epoch, report.waiting), (false, 0));
        append(&queue, &body(life, 100)).unwrap();
        let batches = read_all(&queue);
        assert_eq!(seqs(&batches), [life + 1]);
        queue.delivered(&batches[0]);
        queue.persist_cursor().unwrap();
        queue.close();
    }
}

#[test]
fn segments_are_removed_once_the_cursor_is_past_them() {
    let fs = MemFs::new();
    let small = QueueOptions { max_bytes: 2 << 20, ..options() };
    let (queue, _) = open(&fs, small);
    for round in 0..20 {
        for number in 0..4 {
            append(&queue, &body(round * 4 + number, 50_000)).unwrap();
        }
        read_all(&queue).iter().for_each(|batch| queue.delivered(batch));
        queue.persist_cursor().unwrap();
    }
    assert!(queue.wal().size_bytes() < 1 << 20, "{} bytes are kept", queue.wal().size_bytes());
    assert_eq!(queue.stats().waiting_bytes.load(Ordering::Relaxed), 0);
}

#[test]
fn a_full_queue_pushes_back_and_what_cannot_wait_leaves_a_gap() {
    let fs = MemFs::new();
    let (queue, _) = open(&fs, QueueOptions { max_bytes: 100_000, ..options() });
    append(&queue, &body(1, 60_000)).unwrap();
    append(&queue, &body(2, 60_000)).unwrap();
    assert!(matches!(append(&queue, &body(3, 100)), Err(AppendError::Full { limit: 100_000, .. })));
    queue.offer(Source::Host, &body(4, 100), 5_000);
    queue.offer(Source::Host, &body(5, 100), 9_000);
    check_balance(&queue);
    let expected = Gap {
        signal: Signal::Metrics,
        source: Source::Host,
        reason: DropReason::QueueFull,
        from_ms: 5_000,
        to_ms: 9_000,
        batches: 2,
        items: 20,
    };
    assert_eq!(queue.take_gaps(), [expected]);
    // A gap record has room of its own.
    let (sender, receiver) = mpsc::sync_channel(1);
    queue.append(Source::Gap, &body(6, 100), 9_000, move |result| sender.send(result).unwrap()).unwrap();
    receiver.recv_timeout(PATIENCE).unwrap().unwrap();
    let batches = read_all(&queue);
    assert_eq!(seqs(&batches), [1, 2, 3], "refused batches take no number");
    queue.delivered(&batches[0]);
    append(&queue, &body(7, 100)).unwrap();
}

#[test]
fn a_full_disk_fails_clearly_and_the_queue_recovers() {
    let fs = MemFs::new();
    let (queue, _) = open(&fs, options());
    append(&queue, &body(1, 100)).unwrap();
    fs.set_capacity(Some(fs.used() + 1_000));
    let error = append(&queue, &body(2, 50_000)).unwrap_err();
    assert!(matches!(error, AppendError::Disk(WalError::DiskFull { .. })), "{error:?}");
    queue.offer(Source::Host, &body(3, 50_000), 7_000);
    let clock = sonde_runtime::Clock::system();
    while !queue.has_gaps() && clock.monotonic() < PATIENCE {
        std::thread::yield_now();
    }
    assert_eq!(queue.take_gaps()[0].reason, DropReason::DiskError);
    check_balance(&queue);
    fs.set_capacity(None);
    append(&queue, &body(4, 50_000)).unwrap();
    let batches = read_all(&queue);
    assert_eq!(seqs(&batches), [1, 2, 3, 4]);
    // The numbers of what failed are given up with empty batches, so that the collector's mark goes on.
    assert_eq!(batches.iter().map(|batch| batch.source.is_some()).collect::<Vec<_>>(), [true, false, false, true]);
    batches.iter().for_each(|batch| queue.delivered(batch));
    assert_eq!(queue.stats().filled_holes.load(Ordering::Relaxed), 2);
    assert_eq!(queue.stats().waiting_batches.load(Ordering::Relaxed), 0);
}

#[test]
fn little_space_left_on_the_disk_is_left() {
    let fs = MemFs::new();
    let (queue, _) = open(&fs, QueueOptions { min_free_bytes: 1 << 20, ..options() });
    queue.folder.check_space();
    append(&queue, &body(1, 100)).unwrap();
    fs.set_capacity(Some(fs.used() + (1 << 19)));
    queue.folder.check_space();
    assert!(matches!(append(&queue, &body(2, 100)), Err(AppendError::DiskSpace { .. })));
    fs.set_capacity(None);
    queue.folder.check_space();
    append(&queue, &body(3, 100)).unwrap();
}

#[test]
fn damage_costs_what_it_held_and_begins_a_new_epoch() {
    let fs = MemFs::new();
    let (queue, _) = open(&fs, options());
    (1..=9).for_each(|number| append(&queue, &body(number, 2_000)).unwrap());
    let whole = read_all(&queue);
    queue.close();
    drop(queue);
    let segment = fs.list(&Path::new(DIR).join("queue")).unwrap().pop().unwrap();
    let path = Path::new(DIR).join("queue").join(&segment.name);
    fs.corrupt(&path, whole[3].at.offset + 500, 0xff).unwrap();

    let (queue, report) = open(&fs, options());
    assert_eq!((report.new_epoch, report.identity.epoch, report.metrics.damage.len()), (true, 2, 1));
    append(&queue, &body(10, 100)).unwrap();
    let batches = read_all(&queue);
    let seen: Vec<_> = batches.iter().map(|batch| (batch.id.epoch, batch.id.seq, batch.source.is_some())).collect();
    let mut expected: Vec<_> = (1..=9).map(|seq| (1, seq, seq != 4)).collect();
    expected.push((2, 1, true));
    assert_eq!(seen, expected);
    for (batch, whole) in batches.iter().zip(&whole).filter(|(batch, _)| batch.source.is_some()) {
        assert_eq!(batch.body, whole.body);
    }
}

#[test]
fn a_queue_that_was_deleted_begins_a_new_epoch() {
    let fs = MemFs::new();
    let (queue, report) = open(&fs, options());
    append(&queue, &body(1, 100)).unwrap();
    read_all(&queue).iter().for_each(|batch| queue.delivered(batch));
    queue.persist_cursor().unwrap();
    queue.close();
    drop(queue);
    fs.remove_dir_all(&Path::new(DIR).join("queue")).unwrap();
    let (queue, again) = open(&fs, options());
    assert_eq!((again.identity.agent, again.identity.epoch), (report.identity.agent, 2));
    append(&queue, &body(2, 100)).unwrap();
    assert_eq!(read_all(&queue)[0].id.seq, 1);
}

#[test]
fn each_signal_is_numbered_on_its_own() {
    let fs = MemFs::new();
    let (queues, report) = open_both(&fs, &options());
    for number in 1..=3 {
        append(&queues.metrics, &body(number, 2_000)).unwrap();
    }
    append(&queues.traces, &body(4, 2_000)).unwrap();
    assert_eq!((seqs(&read_all(&queues.metrics)), seqs(&read_all(&queues.traces))), (vec![1, 2, 3], vec![1]));
    assert_eq!(read_all(&queues.traces)[0].id.signal, Signal::Traces);
    let middle = read_all(&queues.metrics)[1].at;
    queues.traces.delivered(&read_all(&queues.traces)[0]);
    queues.traces.persist_cursor().unwrap();
    assert_eq!(queues.waiting_batches(), 3);
    queues.close();
    drop(queues);

    let (queues, again) = open_both(&fs, &options());
    assert_eq!((again.identity, again.waiting), (report.identity, 3));
    append(&queues.traces, &body(5, 2_000)).unwrap();
    assert_eq!(seqs(&read_all(&queues.traces)), [2]);
    // Both meet the same conflict: the agent takes one new id.
    let renewed = queues.traces.renew_identity(report.identity.agent).unwrap();
    assert_eq!(queues.metrics.renew_identity(report.identity.agent).unwrap(), renewed);
    for queue in queues.both() {
        append(queue, &body(6, 100)).unwrap();
        let last = read_all(queue).pop().unwrap();
        assert_eq!((last.id.agent, last.id.seq), (renewed.agent, 1));
    }
    queues.close();
    drop(queues);

    // Damage to one begins a new epoch of both.
    let dir = Path::new(DIR).join("queue");
    let segment = fs.list(&dir).unwrap().into_iter().min_by(|a, b| a.name.cmp(&b.name)).unwrap();
    fs.corrupt(&dir.join(&segment.name), middle.offset + 500, 0xff).unwrap();
    let (queues, report) = open_both(&fs, &options());
    assert_eq!((report.new_epoch, report.is_damaged(), report.identity.epoch), (true, true, 2));
    for queue in queues.both() {
        append(queue, &body(7, 100)).unwrap();
        let last = read_all(queue).pop().unwrap();
        assert_eq!((last.id.epoch, last.id.seq), (2, 1));
    }
}

#[test]
fn a_signal_that_is_never_sent_is_no_loss() {
    let fs = MemFs::new();
    let (queue, _) = open(&fs, options());
    append(&queue, &body(1, 100)).unwrap();
    queue.close();
    drop(queue);
    for life in 0..3 {
        let (queues, report) = open_both(&fs.crash(life), &options());
        assert!(!report.new_epoch && report.identity.epoch == 1, "life {life}");
        append(&queues.traces, &body(1, 100)).unwrap();
        assert_eq!(seqs(&read_all(&queues.traces)), [1]);
    }
    // Unless it was sent: what its files knew is gone.
    for path in ["cursor-traces", "queue-traces"] {
        let path = Path::new(DIR).join(path);
        if path.ends_with("cursor-traces") { fs.remove_file(&path) } else { fs.remove_dir_all(&path) }.unwrap();
        let (_, report) = open_both(&fs.fork(), &options());
        assert!(report.new_epoch, "{}", path.display());
    }
}

/// The folder of a release that took metrics only: an identity of two lines, a queue and a cursor.
#[test]
fn the_folder_of_an_older_release_goes_on() {
    let fs = MemFs::new();
    let (queue, report) = open(&fs, options());
    (1..=4).for_each(|number| append(&queue, &body(number, 300)).unwrap());
    let batches = read_all(&queue);
    queue.delivered(&batches[0]);
    queue.persist_cursor().unwrap();
    queue.close();
    drop(queue);
    fs.remove_dir_all(&Path::new(DIR).join("queue-traces")).unwrap();
    fs.remove_file(&Path::new(DIR).join("cursor-traces")).unwrap();
    Identity { has_traces: false, ..report.identity }.store(&fs, Path::new(DIR)).unwrap();

    let (queues, again) = open_both(&fs, &options());
    assert_eq!((again.new_epoch, again.identity, again.waiting), (false, report.identity, 3));
    assert_eq!(contents(&read_all(&queues.metrics)), contents(&batches[1..]));
    for queue in queues.both() {
        append(queue, &body(5, 100)).unwrap();
    }
    assert_eq!((seqs(&read_all(&queues.metrics)), seqs(&read_all(&queues.traces))), (vec![2, 3, 4, 5], vec![1]));
}

#[test]
fn a_folder_has_one_agent() {
    let fs = MemFs::new();
    let (_queue, _) = open(&fs, options());
    let error = Queues::open(Arc::new(fs), Path::new(DIR), &options()).unwrap_err();
    assert!(matches!(error, OpenError::InUse { .. }), "{error}");
}

/// The collector took an empty batch under the number of a refused one. After a crash the number still means that.
#[test]
fn a_refused_batch_stays_empty_over_a_crash() {
    for signal in [Signal::Metrics, Signal::Traces] {
        let fs = MemFs::new();
        let (queues, _) = open_both(&fs, &options());
        let queue = queues.of(signal);
        (1..=4).for_each(|number| append(queue, &body(number, 300)).unwrap());
        let batches = read_all(queue);
        let emptied = queue.emptied(&batches[1]);
        assert_eq!((emptied.source, emptied.body.len(), emptied.id), (None, 0, batches[1].id));
        queue.persist_refused().unwrap();
        let fs = fs.crash(7);
        let expected = [batches[0].clone(), emptied, batches[2].clone(), batches[3].clone()];
        for _ in 0..2 {
            let (queues, _) = open_both(&fs.fork(), &options());
            let queue = queues.of(signal);
            assert_eq!(contents(&read_all(queue)), contents(&expected));
            assert_eq!(queue.stats().waiting_batches.load(Ordering::Relaxed), 3);
            assert_eq!(queue.stats().waiting_items.load(Ordering::Relaxed), 30);
        }
        // What was passed is forgotten.
        let (queues, _) = open_both(&fs, &options());
        let queue = queues.of(signal);
        read_all(queue).iter().take(2).for_each(|batch| queue.delivered(batch));
        queue.persist_cursor().unwrap();
        let text = sonde_disk::read_all(&fs, &Path::new(DIR).join(refused::file_name(signal)), 1 << 20).unwrap();
        assert_eq!(text, b"");
    }
}

#[test]
fn a_new_identity_numbers_from_one() {
    let fs = MemFs::new();
    let (queue, report) = open(&fs, options());
    append(&queue, &body(1, 100)).unwrap();
    let renewed = queue.renew_identity(report.identity.agent).unwrap();
    assert_ne!(renewed.agent, report.identity.agent);
    append(&queue, &body(2, 100)).unwrap();
    let ids: Vec<(AgentId, u64)> = read_all(&queue).iter().map(|batch| (batch.id.agent, batch.id.seq)).collect();
    assert_eq!(ids, [(report.identity.agent, 1), (renewed.agent, 1)]);
    queue.close();
    drop(queue);
    assert_eq!(open(&fs, options()).1.identity, renewed);
}

/// Lives of random length with random crashes: everything acknowledged is read, in order, without holes, and a number
/// always means the same bytes.
#[test]
fn nothing_acknowledged_is_lost_in_a_crash() {
    for seed in 0..40 {
        let mut random = fastrand::Rng::with_seed(seed);
        let mut fs = MemFs::new();
        let mut acknowledged: BTreeMap<u64, Vec<u8>> = BTreeMap::new();
        let mut contents: BTreeMap<(u64, u64), Bytes> = BTreeMap::new();
        let mut delivered_bodies: Vec<Bytes> = Vec::new();
        let mut number = 0;
        let signal = if seed % 2 == 0 { Signal::Metrics } else { Signal::Traces };
        let small = QueueOptions { max_bytes: 2 << 20, max_trace_bytes: 2 << 20, ..options() };
        for _life in 0..6 {
            let (queues, _) = open_both(&fs, &small);
            let queue = Arc::clone(queues.of(signal));
            let (sender, durable) = mpsc::sync_channel(1_000);
            let mut images = Vec::new();
            for _ in 0..random.usize(1..30) {
                number += 1;
                let batch = body(number, random.usize(0..20_000));
                let (sender, this) = (sender.clone(), number);
                let appended = queue.append(Source::Otlp, &batch, 1, move |result| {
                    sender.send((this, result.is_ok())).unwrap();
                });
                appended.unwrap();
                if random.u8(..4) == 0 {
                    // A crash that may hit any moment up to here.
                    let known: Vec<u64> = durable.try_iter().filter(|(_, ok)| *ok).map(|(n, _)| n).collect();
                    for n in known {
                        acknowledged.insert(n, Vec::new());
                    }
                    images.push((fs.crash(random.u64(..)), acknowledged.clone(), delivered_bodies.len()));
                }
                if random.u8(..8) == 0 {
                    for batch in read_all(&queue).iter().take(random.usize(0..5)) {
                        queue.delivered(batch);
                        delivered_bodies.push(batch.body.clone());
                    }
                    if random.bool() {
                        queue.persist_cursor().unwrap();
                    }
                }
            }
            let Some((image, known, delivered)) = images.into_iter().last() else { break };
            queues.close();
            drop((queue, queues));
            // Another agent might be reading what the crash left.
            fs = image;
            acknowledged = known;
            delivered_bodies.truncate(delivered);
            let (queues, report) = open_both(&fs.fork(), &small);
            assert!(!report.new_epoch, "seed {seed}: {report:?}");
            assert!(!report.is_damaged(), "seed {seed}: {report:?}");
            let batches = read_all(queues.of(signal));
            for pair in batches.windows(2) {
                assert_eq!(pair[1].id.seq, pair[0].id.seq + 1, "seed {seed}");
            }
            assert!(batches.iter().all(|batch| batch.source.is_some()), "seed {seed}: a hole without damage");
            for batch in &batches {
                let known = contents.entry((batch.id.epoch, batch.id.seq)).or_insert_with(|| batch.body.clone());
                assert_eq!(*known, batch.body, "seed {seed}: number {} has two contents", batch.id.seq);
            }
            let found: Vec<u64> = batches.iter().map(|batch| &batch.body).chain(&delivered_bodies).map(said).collect();
            for number in acknowledged.keys() {
                assert!(found.contains(number), "seed {seed}: batch {number} was acknowledged and is gone");
            }
        }
    }
}

fn said(body: &Bytes) -> u64 {
    let text = String::from_utf8_lossy(body);
    text.split(' ').nth(1).unwrap().parse().unwrap()
}
