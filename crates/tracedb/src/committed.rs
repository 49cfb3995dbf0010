//! Committed batches in order, for what is derived from them.

use sonde_disk::{Reader, WalError};
use sonde_model::span::ScopedSpan;

use crate::Error;
use crate::chunk::Chunk;
use crate::codec::DecodeError;
use crate::db::TraceDb;
use crate::record::{self, Record};

/// The number of a committed batch. Numbers grow, may have gaps, and stay valid across restarts: a batch has the same
/// one for ever, even where the WAL writes it again elsewhere after a crash.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Position(pub u64);

/// The committed batches from a position on, in order, and again when there are more.
#[derive(Debug)]
pub struct Committed {
    reader: Reader,
    from: u64,
}

impl Committed {
    /// The next committed batch and the position behind it. `None` while there is no more: ask again later.
    ///
    /// What was damaged on the disk is left out; the WAL has reported and counted it.
    #[expect(clippy::should_implement_trait, reason = "`None` means not yet, which an iterator must not say")]
    pub fn next(&mut self) -> Result<Option<(Position, Vec<ScopedSpan>)>, Error> {
        loop {
            let bytes = match self.reader.next() {
                Ok(None) => return Ok(None),
                Ok(Some((_, _, bytes))) => bytes,
                Err(WalError::Damaged(range)) => {
                    tracing::error!(%range, "spans that were lost are not derived from either");
                    continue;
                }
                Err(error) => return Err(error.into()),
            };
            let unreadable = |error: DecodeError| Error::Unreadable { reason: error.to_string() };
            let Record::Batch { position, body, .. } = record::read(&bytes).map_err(unreadable)? else { continue };
            if position < self.from {
                continue;
            }
            self.from = position + 1;
            let chunk = Chunk::parse(body).map_err(unreadable)?;
            let spans = (0..chunk.len()).map(|at| chunk.decode(at)).collect::<Result<_, _>>().map_err(unreadable)?;
            return Ok(Some((Position(self.from), spans)));
        }
    }
}

impl TraceDb {
    /// The committed batches at and behind a position. Those before the last
    /// [`release_before`](TraceDb::release_before) may be gone; without
    /// [`hold_for_derivations`](crate::Options::hold_for_derivations) those may be gone that blocks hold.
    pub fn committed(&self, from: Position) -> Committed {
        let segment = self.shared.cut.lock().segment_of(from.0);
        Committed { reader: self.wal.reader(sonde_disk::Position { segment, offset: 0 }), from: from.0 }
    }

    /// Says that everything before a position has been derived durably, so that the WAL before it may go once blocks
    /// hold it. A position that is before an earlier one changes nothing.
    pub fn release_before(&self, position: Position) -> Result<(), Error> {
        {
            let mut cut = self.shared.cut.lock();
            cut.released = cut.released.max(position.0);
        }
        self.cut_wal()
    }

    /// Cuts the WAL as far as blocks and derivations allow.
    pub(crate) fn cut_wal(&self) -> Result<(), Error> {
        let place = self.shared.cut.lock().place(self.shared.options.hold_for_derivations);
        match place {
            Some(place) => Ok(self.wal.truncate_before(place)?),
            None => Ok(()),
        }
    }
}
