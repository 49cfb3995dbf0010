//! What the WAL, its thread and its readers share.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use parking_lot::Mutex;

use super::queue::Queue;
use super::segment::{FRAMES_AT, Segment, Segments};
use super::{Position, WalOptions, WalStats};
use crate::fs::Fs;

/// What the WAL, its thread and its readers share.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) fs: Arc<dyn Fs>,
    pub(super) dir: PathBuf,
    pub(super) options: WalOptions,
    pub(super) queue: Queue,
    pub(super) stats: Arc<WalStats>,
    /// Held for a look-up or a change, never over a read, a write or a sync.
    segments: Mutex<Segments>,
}

impl Shared {
    pub(super) fn new(fs: Arc<dyn Fs>, dir: PathBuf, options: WalOptions, segments: Segments) -> Self {
        let stats = Arc::new(WalStats::default());
        let queue = Queue::new(options.max_pending_bytes, options.sync, Arc::clone(&stats));
        let shared = Self { fs, dir, options, queue, stats, segments: Mutex::new(segments) };
        shared.show(&shared.segments.lock());
        shared
    }

    pub(super) fn add_segment(&self, number: u64, segment: Segment) {
        let mut segments = self.segments.lock();
        segments.insert(number, segment);
        self.show(&segments);
    }

    /// Records of `number` are durable up to `end`.
    pub(super) fn grow_segment(&self, number: u64, end: u64, file_bytes: u64) {
        let mut segments = self.segments.lock();
        if let Some(segment) = segments.get_mut(&number) {
            self.stats.size_bytes.fetch_add(file_bytes, Ordering::Relaxed);
            self.stats.size_bytes.fetch_sub(segment.file_bytes, Ordering::Relaxed);
            segment.end = end;
            segment.file_bytes = file_bytes;
        }
    }

    pub(super) fn remove_segment(&self, number: u64) {
        let mut segments = self.segments.lock();
        segments.remove(&number);
        self.show(&segments);
    }

    /// The first segment with a number of `from` or more.
    pub(super) fn segment_from(&self, from: u64) -> Option<(u64, Segment)> {
        self.segments.lock().range(from..).next().map(|(number, segment)| (*number, *segment))
    }

    /// The segments that hold nothing at or behind `position`, oldest first; never the last.
    pub(super) fn segments_before(&self, position: Position) -> Vec<u64> {
        let segments = self.segments.lock();
        let Some((last, _)) = segments.last_key_value() else { return Vec::new() };
        let passed = |number: u64, segment: &Segment| {
            number < position.segment || number == position.segment && segment.end <= position.offset
        };
        segments
            .iter()
            .take_while(|(number, segment)| *number < last && passed(**number, segment))
            .map(|(number, _)| *number)
            .collect()
    }

    pub(super) fn start(&self) -> Position {
        let segments = self.segments.lock();
        segments
            .first_key_value()
            .map_or(Position::START, |(number, _)| Position { segment: *number, offset: FRAMES_AT })
    }

    pub(super) fn end(&self) -> Position {
        let segments = self.segments.lock();
        segments.last_key_value().map_or(Position::START, |(number, segment)| Position {
            segment: *number,
            offset: segment.end.max(FRAMES_AT),
        })
    }

    fn show(&self, segments: &Segments) {
        self.stats.segments.store(segments.len() as u64, Ordering::Relaxed);
        let bytes = segments.values().map(|segment| segment.file_bytes).sum();
        self.stats.size_bytes.store(bytes, Ordering::Relaxed);
    }
}
