//! Committed samples in the order of the log, for what sends them on.

use std::sync::atomic::Ordering::Relaxed;

use sonde_disk::{Reader, WalError};
use sonde_model::{Exemplar, Histogram, TimestampMs};

use crate::Error;
use crate::cut::Place;
use crate::db::Db;
use crate::record::{self, Item, Record, Value};

/// The number of a committed record. Numbers grow by one, and a record has the same one for ever, also where the log writes
/// it again elsewhere after a crash.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Position(pub u64);

/// What a reader meets.
#[derive(Debug)]
pub enum Committed<'l> {
    /// From here on slots stand for other series: what was remembered of them is void.
    Forget,
    /// From here on the slot stands for the series with these labels, which are sorted by name.
    Definition {
        /// The slot.
        slot: u32,
        /// The labels.
        labels: &'l [(&'l str, &'l str)],
    },
    /// A float sample.
    Float {
        /// The slot of its series.
        slot: u32,
        /// Its time.
        timestamp: TimestampMs,
        /// Since when it counts, 0 where that is not known.
        start: TimestampMs,
        /// Its value, the stale marker included.
        value: f64,
    },
    /// A native histogram.
    Histogram {
        /// The slot of its series.
        slot: u32,
        /// Its time.
        timestamp: TimestampMs,
        /// Since when it counts, 0 where that is not known.
        start: TimestampMs,
        /// The histogram.
        histogram: Box<Histogram>,
    },
    /// An exemplar.
    Exemplar {
        /// The slot of its series.
        slot: u32,
        /// The exemplar.
        exemplar: Exemplar,
    },
}

/// A record that was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Step {
    /// The position behind it.
    pub next: Position,
    /// What the log must keep so that a reader can begin at `next`.
    pub place: Place,
    /// Records between the one before and this one that are gone: they were cut or are damaged.
    pub skipped: u64,
}

/// Reads what was committed from a position on, in order, and again when there is more.
#[derive(Debug)]
pub struct CommittedReader {
    reader: Reader,
    /// The next record that counts; `None` until the end that the log had at the beginning is reached.
    next: Option<u64>,
    /// What lies before this is only looked at for its definitions, where `next` is not known.
    news_from: sonde_disk::Position,
    /// Where the definitions of the slots begin.
    place: Place,
    epoch: Option<u64>,
    /// Whether anything counted yet.
    began: bool,
}

impl CommittedReader {
    /// Hands the next committed record to `visit`. `None` while there is no more: ask again later.
    ///
    /// Records that lie before the position are walked over on the way, for what they define. What is damaged on the disk
    /// is left out and counted in [`Step::skipped`].
    pub fn next(&mut self, visit: &mut dyn FnMut(Committed<'_>)) -> Result<Option<Step>, Error> {
        loop {
            let (at, bytes) = match self.reader.next() {
                Ok(None) => {
                    self.settle();
                    return Ok(None);
                }
                Ok(Some((at, _, bytes))) => (at, bytes),
                // The log has counted and reported it.
                Err(WalError::Damaged(range)) => {
                    tracing::error!(%range, "samples that were lost in the log are not sent on either");
                    continue;
                }
                Err(error) => return Err(error.into()),
            };
            let sequence = self.reader.sequence();
            let counts = match self.next {
                Some(next) => sequence >= next,
                None => at >= self.news_from,
            };
            self.read(at, &bytes, counts, visit);
            if !counts {
                continue;
            }
            let skipped = self.next.map_or(0, |next| sequence - next);
            self.began = true;
            self.next = Some(sequence + 1);
            return Ok(Some(Step { next: Position(sequence + 1), place: self.place, skipped }));
        }
    }

    /// The position of the next record; `None` where nothing but the end that the log had was asked for, and nothing has come.
    pub fn position(&self) -> Option<Position> {
        self.next.map(Position)
    }

    /// At the end of the log all positions are known: one that lies beyond is that of another log.
    fn settle(&mut self) {
        let end = self.reader.sequence() + 1;
        if !self.began && self.next.is_none_or(|next| next > end) {
            self.next = Some(end);
        }
        self.began = true;
    }

    /// A record that cannot be read is reported when the store is opened; here it holds nothing.
    fn read(&mut self, at: sonde_disk::Position, bytes: &[u8], counts: bool, visit: &mut dyn FnMut(Committed<'_>)) {
        let read = record::read(bytes).and_then(|record| match record {
            Record::Batch(batch) => {
                self.enter(batch.epoch, at, visit);
                let mut only_definitions = |item: Item<'_, '_>| match item {
                    Item::Definition { slot, labels } => visit(Committed::Definition { slot, labels }),
                    Item::Sample { slot, timestamp, start, value: Value::Float(bits) } if counts => {
                        visit(Committed::Float { slot, timestamp, start, value: f64::from_bits(bits) });
                    }
                    Item::Sample { slot, timestamp, start, value: Value::Histogram(histogram) } if counts => {
                        visit(Committed::Histogram { slot, timestamp, start, histogram });
                    }
                    Item::Exemplar { slot, exemplar } if counts => visit(Committed::Exemplar { slot, exemplar }),
                    Item::Sample { .. } | Item::Exemplar { .. } => {}
                };
                batch.walk(&mut only_definitions)
            }
            Record::Checkpoint { epoch, .. } => {
                self.enter(epoch, at, visit);
                Ok(())
            }
            Record::Cursors(_) | Record::Metadata(_) => Ok(()),
        });
        if let Err(error) = read {
            tracing::error!(%error, position = %at, "a record of the log cannot be read and is not sent on");
        }
    }

    /// Slots are defined anew in each epoch.
    fn enter(&mut self, epoch: u64, at: sonde_disk::Position, visit: &mut dyn FnMut(Committed<'_>)) {
        if self.epoch.replace(epoch) != Some(epoch) {
            self.place = Place(at);
            visit(Committed::Forget);
        }
    }
}

impl Db {
    /// Reads committed records from a position on, or where there is none, those that come from now on. What was cut is
    /// skipped and counted: see [`Db::hold_wal`].
    pub fn committed(&self, from: Option<Position>) -> CommittedReader {
        let news_from = self.wal.end();
        CommittedReader {
            reader: self.wal.reader(self.wal.start()),
            next: from.map(|position| position.0),
            news_from,
            place: self.wal_start(),
            epoch: None,
            began: false,
        }
    }

    /// Where the log begins now.
    pub fn wal_start(&self) -> Place {
        Place(self.wal.start())
    }

    /// Keeps the log from a place on for a reader of this name, until it says that a later place will do. When the log has
    /// grown beyond [`max_wal_hold_bytes`](crate::Options::max_wal_hold_bytes), or what is held is older than
    /// [`max_wal_hold_ms`](crate::Options::max_wal_hold_ms), the oldest goes all the same.
    pub fn hold_wal(&self, holder: &str, place: Place) -> Result<(), Error> {
        // What is gone cannot be held: a reader that says late what it needed is not cut off once more.
        let place = place.0.max(self.wal.start());
        {
            let mut cut = self.shared.cut.lock();
            if cut.holds.get(holder) == Some(&place) {
                return Ok(());
            }
            cut.holds.insert(holder.to_owned(), place);
        }
        self.cut_wal()
    }

    /// Nobody of this name reads the log any more.
    pub fn release_wal(&self, holder: &str) -> Result<(), Error> {
        self.shared.cut.lock().holds.remove(holder);
        self.cut_wal()
    }

    /// Cuts the log as far as blocks and readers allow, and further where readers hold more than they may.
    pub(crate) fn cut_wal(&self) -> Result<(), Error> {
        let Some(place) = self.shared.cut.lock().place() else { return Ok(()) };
        self.wal.truncate_before(place)?;
        {
            let mut cut = self.shared.cut.lock();
            cut.kept_bytes = cut.kept_bytes.min(self.wal.size_bytes());
        }
        loop {
            let options = &self.shared.options;
            let too_long = self.wal.size_bytes() > options.max_wal_hold_bytes;
            let Some(place) = self.shared.cut.lock().forced(too_long, options.max_wal_hold_ms) else { return Ok(()) };
            self.shared.stats.wal_holds_broken.fetch_add(1, Relaxed);
            tracing::warn!("a reader of the log is too far behind: the oldest part of what it held is cut");
            self.wal.truncate_before(place)?;
        }
    }
}
