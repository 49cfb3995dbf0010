//! Whether the wall clock may be believed when data is dropped by age. A store is told the time and knows no other.
//!
//! A clock that leaps forward makes all data look old. So retention pauses, and it stays paused when data of the leapt
//! time arrives, and over restarts, until the clock is back or has proved itself by running on without a leap. The
//! rule and its reasons are docs/decisions/0022.

use std::path::Path;

use super::directory::FileError;
use super::layout;
use crate::varint::{DecodeError, put_signed};
use crate::{Frame, Fs, read_all, write_atomic};

const FRAME: Frame = Frame { magic: *b"SONDECLK", version: 1 };
const MAX_BYTES: u64 = 64;

/// The longest step between two observations that counts in full as time in which the clock ran on.
const MAX_STEP_MS: i64 = 600_000;
/// What is remembered on the disk may be so much behind.
const STORE_EVERY_MS: i64 = 3_600_000;

/// What a store believes about the clock. Times are milliseconds since the epoch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Clock {
    state: State,
    stored: Option<State>,
    /// The observation before.
    last: i64,
    pause_ms: i64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct State {
    /// The latest reading that is believed.
    believed: i64,
    /// Since the clock leapt: for how long it has run on.
    proof_ms: Option<i64>,
}

impl Clock {
    /// What the store in `dir` remembers, and what it makes of `now`. A store that remembers nothing believes its
    /// newest data. A forward step of more than `pause_ms` is a leap.
    pub fn load(fs: &dyn Fs, dir: &Path, newest: Option<i64>, now: i64, pause_ms: i64) -> Self {
        let path = layout::clock(dir);
        let stored = match read_all(fs, &path, MAX_BYTES) {
            Ok(bytes) => decode(&bytes).map_err(|error| error.to_string()),
            Err(error) => Err(error.to_string()),
        };
        let fresh = State { believed: newest.unwrap_or(now), proof_ms: None };
        let (state, stored) = match stored {
            Ok(state) => (state, Some(state)),
            Err(_) if matches!(fs.exists(&path), Ok(false)) => (fresh, None),
            Err(reason) => {
                tracing::error!(path = %path.display(), reason, "what is known about the clock cannot be read");
                (State { proof_ms: Some(0), ..fresh }, None)
            }
        };
        let mut clock = Clock { state, stored, last: now, pause_ms };
        clock.observe(now);
        clock
    }

    /// Whether the file can be read, where there is one; what is wrong with it otherwise.
    pub fn check(fs: &dyn Fs, dir: &Path) -> Result<(), String> {
        let path = layout::clock(dir);
        if matches!(fs.exists(&path), Ok(false)) {
            return Ok(());
        }
        let bytes = read_all(fs, &path, MAX_BYTES).map_err(|error| error.to_string())?;
        decode(&bytes).map(drop).map_err(|error| error.to_string())
    }

    /// Takes a reading of the clock. True if a leap was found.
    pub fn observe(&mut self, now: i64) -> bool {
        let step = now.saturating_sub(self.last);
        let ahead = now.saturating_sub(self.state.believed) > self.pause_ms;
        self.last = now;
        let (proof_ms, leapt) = match self.state.proof_ms {
            _ if !ahead => (None, false),
            None => (Some(0), true),
            Some(_) if step < 0 || step > self.pause_ms => (Some(0), false),
            Some(proof) => (Some(proof + step.min(MAX_STEP_MS)), false),
        };
        self.state.proof_ms = proof_ms.filter(|proof| *proof < self.pause_ms);
        if self.state.proof_ms.is_none() {
            self.state.believed = self.state.believed.max(now);
        }
        leapt
    }

    /// Whether nothing may be dropped by age, because the clock has leapt and is not proved.
    pub fn is_doubted(&self) -> bool {
        self.state.proof_ms.is_some()
    }

    /// The latest reading that is believed.
    pub fn believed(&self) -> i64 {
        self.state.believed
    }

    /// Writes what a restart has to know, if it has changed by so much that it matters.
    pub fn store(&mut self, fs: &dyn Fs, dir: &Path) -> Result<(), FileError> {
        let is_near = |stored: &State| {
            let proof = |state: &State| state.proof_ms.unwrap_or(0);
            stored.proof_ms.is_some() == self.state.proof_ms.is_some()
                && stored.believed.abs_diff(self.state.believed) < STORE_EVERY_MS.unsigned_abs()
                && proof(stored).abs_diff(proof(&self.state)) < STORE_EVERY_MS.unsigned_abs()
        };
        if self.stored.as_ref().is_some_and(is_near) {
            return Ok(());
        }
        let path = layout::clock(dir);
        let written = write_atomic(fs, &path, &encode(self.state));
        written.map_err(|source| FileError { action: "write", path, source })?;
        self.stored = Some(self.state);
        Ok(())
    }
}

/// Signed: the believed reading, signed: the proof so far or -1.
fn encode(state: State) -> Vec<u8> {
    FRAME.write(|out| {
        put_signed(out, state.believed);
        put_signed(out, state.proof_ms.unwrap_or(-1));
    })
}

fn decode(bytes: &[u8]) -> Result<State, DecodeError> {
    let (_, mut reader) = FRAME.read(bytes)?;
    let (believed, proof) = (reader.signed()?, reader.signed()?);
    Ok(State { believed, proof_ms: Some(proof).filter(|proof| *proof >= 0) })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::MemFs;

    const MINUTE: i64 = 60_000;
    const HOUR: i64 = 60 * MINUTE;
    const DAY: i64 = 24 * HOUR;
    const DIR: &str = "/store";

    fn store() -> MemFs {
        let fs = MemFs::new();
        fs.create_dir_all(Path::new(DIR)).unwrap();
        fs
    }

    fn load(fs: &MemFs, newest: Option<i64>, now: i64) -> Clock {
        Clock::load(fs, Path::new(DIR), newest, now, DAY)
    }

    /// Lets the clock run, with an observation every few minutes.
    fn run(clock: &mut Clock, from: i64, to: i64) {
        (from..=to).step_by(5 * MINUTE as usize).for_each(|now| {
            clock.observe(now);
        });
    }

    #[test]
    fn a_leap_is_doubted_until_the_clock_has_run_on_for_as_long_as_a_leap_is() {
        let mut clock = load(&store(), None, 0);
        run(&mut clock, 0, 3 * DAY);
        assert!(!clock.is_doubted());
        assert!(clock.observe(30 * DAY), "a leap is told once");
        assert!(!clock.observe(30 * DAY + 1));
        assert_eq!((clock.is_doubted(), clock.believed()), (true, 3 * DAY));
        run(&mut clock, 30 * DAY, 31 * DAY - 5 * MINUTE);
        assert!(clock.is_doubted());
        run(&mut clock, 31 * DAY, 31 * DAY);
        assert_eq!((clock.is_doubted(), clock.believed()), (false, 31 * DAY));
    }

    #[test]
    fn a_clock_that_is_back_is_believed_at_once() {
        let mut clock = load(&store(), None, 0);
        clock.observe(30 * DAY);
        clock.observe(HOUR);
        assert_eq!((clock.is_doubted(), clock.believed()), (false, HOUR));
        clock.observe(-20 * DAY);
        assert_eq!((clock.is_doubted(), clock.believed()), (false, HOUR), "back is no leap");
    }

    #[test]
    fn leaps_do_not_prove_anything() {
        let mut clock = load(&store(), None, 0);
        clock.observe(30 * DAY);
        run(&mut clock, 30 * DAY, 31 * DAY - HOUR);
        for now in [60 * DAY, 50 * DAY, 51 * DAY - HOUR, 51 * DAY + HOUR] {
            clock.observe(now);
            assert!(clock.is_doubted(), "{now}");
        }
        // Steps below a leap count for no more than minutes.
        run(&mut clock, 52 * DAY, 53 * DAY - HOUR);
        assert!(clock.is_doubted());
    }

    #[test]
    fn a_restart_goes_on_doubting() {
        let fs = store();
        let mut clock = load(&fs, None, 0);
        clock.store(&fs, Path::new(DIR)).unwrap();
        clock.observe(30 * DAY);
        clock.store(&fs, Path::new(DIR)).unwrap();
        run(&mut clock, 30 * DAY, 30 * DAY + 20 * HOUR);
        clock.store(&fs, Path::new(DIR)).unwrap();
        // Data of the leapt time is there by now.
        let newest = 30 * DAY + 20 * HOUR;
        let mut clock = load(&fs, Some(newest), newest);
        assert_eq!((clock.is_doubted(), clock.believed()), (true, 0));
        run(&mut clock, newest, newest + 4 * HOUR);
        assert!(!clock.is_doubted(), "what was proved before the restart counts");
    }

    #[test]
    fn a_leap_while_the_store_was_closed_is_a_leap() {
        let fs = store();
        assert!(!load(&fs, None, 30 * DAY).is_doubted(), "a new store has nothing to lose");
        assert!(load(&fs, Some(0), 30 * DAY).is_doubted());
        let mut clock = load(&fs, Some(0), HOUR);
        clock.store(&fs, Path::new(DIR)).unwrap();
        assert!(load(&fs, Some(30 * DAY), 30 * DAY).is_doubted(), "it was not seen in time, but its data was stored");
        write_atomic(&fs, &layout::clock(Path::new(DIR)), b"nonsense").unwrap();
        assert!(load(&fs, Some(0), 30 * DAY).is_doubted());
    }

    #[test]
    fn the_bytes_are_those_of_the_format() {
        let doubted = State { believed: 300, proof_ms: Some(1) };
        let bytes = encode(doubted);
        assert_eq!(bytes[..15], *b"SONDECLK\x01\0\0\0\xd8\x04\x02");
        assert_eq!(decode(&bytes), Ok(doubted));
        let believed = State { believed: 300, proof_ms: None };
        assert_eq!(decode(&encode(believed)), Ok(believed));
        for at in 0..bytes.len() {
            let mut damaged = bytes.clone();
            damaged[at] ^= 1;
            assert!(decode(&damaged).is_err(), "byte {at}");
        }
    }
}
