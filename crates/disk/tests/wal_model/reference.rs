//! What the WAL must hold: a list of records and what is known of each.

use std::sync::Arc;
use std::sync::mpsc::sync_channel;
use std::time::Duration;

use fastrand::Rng;
use parking_lot::Mutex;
use sonde_disk::{Position, Wal, WalError};

/// Longer than anything here takes; a WAL that does not answer must fail the test and not hang it.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// Every record ever appended, its id its index. A clone is the same list.
#[derive(Clone, Default)]
pub(crate) struct Reference(Arc<Mutex<Vec<State>>>);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum State {
    /// No answer yet.
    Sent,
    /// Acknowledged, or found after a restart: must be found from now on.
    Durable(Position),
    /// The callback got an error: may be found after the next restart.
    Failed,
    /// Not found after a restart: must never be found again.
    Gone,
}

/// The bytes of a record: its id, then something that depends on it, at times much like the beginning of a frame.
pub(crate) fn record(id: u64) -> Vec<u8> {
    let mut rng = Rng::with_seed(id);
    let mut bytes = id.to_le_bytes().to_vec();
    let length = if rng.u8(..10) == 0 { rng.usize(..6_000) } else { rng.usize(..300) };
    if rng.u8(..4) == 0 {
        bytes.extend([0xa7, 0x53, 0x57, 1].iter().cycle().take(length));
    } else {
        bytes.extend(std::iter::repeat_with(|| rng.u8(..)).take(length));
    }
    bytes
}

pub(crate) fn id_of(bytes: &[u8]) -> u64 {
    u64::from_le_bytes(bytes[..8].try_into().unwrap())
}

impl Reference {
    /// Appends a new record without waiting for it.
    pub(crate) fn append(&self, wal: &Wal) {
        let mut states = self.0.lock();
        let id = states.len() as u64;
        states.push(State::Sent);
        let reference = self.clone();
        wal.append(record(id), Box::new(move |result| reference.answered(id, result))).unwrap();
    }

    /// Appends records of which the first is written alone and all others together: what is written with what must
    /// not depend on the timing. Waits for all answers.
    pub(crate) fn append_batch(&self, wal: &Wal, others: usize) {
        let (entered, first_is_written) = sync_channel(1);
        let (release, released) = sync_channel::<()>(1);
        let (done, all_done) = sync_channel(1);
        let first = self.push();
        let reference = self.clone();
        let hold = move |result| {
            reference.answered(first, result);
            entered.send(()).unwrap();
            released.recv_timeout(PATIENCE).unwrap();
        };
        wal.append(record(first), Box::new(hold)).unwrap();
        first_is_written.recv_timeout(PATIENCE).unwrap();
        for _ in 0..others {
            self.append(wal);
        }
        let last = self.push();
        let reference = self.clone();
        let callback = move |result| {
            reference.answered(last, result);
            done.send(()).unwrap();
        };
        wal.append(record(last), Box::new(callback)).unwrap();
        release.send(()).unwrap();
        all_done.recv_timeout(PATIENCE).unwrap();
        assert!(!self.0.lock().contains(&State::Sent), "a callback was not called before that of a later record");
    }

    pub(crate) fn durable(&self) -> Vec<(Position, u64)> {
        let states = self.0.lock();
        let durable = states.iter().zip(0..).filter_map(|(state, id)| match state {
            State::Durable(position) => Some((*position, id)),
            _ => None,
        });
        durable.collect()
    }

    pub(crate) fn count(&self, wanted: impl Fn(&State) -> bool) -> u64 {
        self.0.lock().iter().filter(|state| wanted(state)).count() as u64
    }

    pub(crate) fn acknowledged(&self) -> u64 {
        self.count(|state| matches!(state, State::Durable(_)))
    }

    pub(crate) fn acknowledged_ids(&self) -> Vec<u64> {
        self.durable().into_iter().map(|(_, id)| id).collect()
    }

    /// Compares what a restart found; records before `kept_from` may have been truncated.
    pub(crate) fn check_restart(&self, found: &[(Position, Vec<u8>)], kept_from: Position) {
        let mut states = self.0.lock();
        assert!(found.is_sorted_by(|a, b| a.0 < b.0 && id_of(&a.1) < id_of(&b.1)), "out of order: {found:?}");
        let mut missing = vec![true; states.len()];
        for (position, bytes) in found {
            let id = id_of(bytes);
            assert_eq!(*bytes, record(id), "record {id} was changed");
            let state = &mut states[usize::try_from(id).unwrap()];
            assert_ne!(*state, State::Gone, "record {id} is back at {position}");
            *state = State::Durable(*position);
            missing[usize::try_from(id).unwrap()] = false;
        }
        for (id, state) in states.iter_mut().enumerate().filter(|(id, _)| missing[*id]) {
            if let State::Durable(position) = *state {
                assert!(position < kept_from, "record {id} was acknowledged at {position} and is lost");
            }
            *state = State::Gone;
        }
    }

    fn push(&self) -> u64 {
        let mut states = self.0.lock();
        states.push(State::Sent);
        states.len() as u64 - 1
    }

    fn answered(&self, id: u64, result: Result<Position, WalError>) {
        let state = &mut self.0.lock()[usize::try_from(id).unwrap()];
        assert_eq!(*state, State::Sent, "record {id} was answered twice");
        *state = result.map_or(State::Failed, State::Durable);
    }
}
