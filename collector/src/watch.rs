//! What is noticed by looking every few seconds: how many samples come, and whether the clock jumped.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use parking_lot::Mutex;
use sonde_model::TimestampMs;
use sonde_runtime::Clock;

/// Wall time may drift from monotonic time by so much between two looks before it is called a jump.
const JUMP_MS: i64 = 10_000;

/// What the last looks saw.
#[derive(Debug)]
pub(crate) struct Watch {
    last: Mutex<Look>,
    /// Samples a second, as the bits of a float.
    samples_per_second: AtomicU64,
    clock_jumps: AtomicU64,
}

#[derive(Clone, Copy, Debug)]
struct Look {
    wall: TimestampMs,
    monotonic: Duration,
    samples: Option<u64>,
}

impl Watch {
    /// Begins to watch now.
    pub(crate) fn new(clock: &Clock) -> Self {
        let look = Look { wall: clock.now_ms(), monotonic: clock.monotonic(), samples: None };
        Watch { last: Mutex::new(look), samples_per_second: AtomicU64::new(0), clock_jumps: AtomicU64::new(0) }
    }

    /// Looks again; `samples` is how many samples were stored in all. Says by how many milliseconds the clock jumped.
    pub(crate) fn look(&self, clock: &Clock, samples: u64) -> Option<i64> {
        let now = Look { wall: clock.now_ms(), monotonic: clock.monotonic(), samples: Some(samples) };
        let last = std::mem::replace(&mut *self.last.lock(), now);
        let passed = now.monotonic.saturating_sub(last.monotonic);
        if let Some(before) = last.samples.filter(|_| !passed.is_zero()) {
            let rate = samples.saturating_sub(before) as f64 / passed.as_secs_f64();
            self.samples_per_second.store(rate.to_bits(), Relaxed);
        }
        let jump = now.wall.saturating_sub(last.wall).saturating_sub(passed.as_millis() as i64);
        if jump.abs() < JUMP_MS {
            return None;
        }
        self.clock_jumps.fetch_add(1, Relaxed);
        Some(jump)
    }

    /// Samples a second between the last two looks.
    pub(crate) fn samples_per_second(&self) -> f64 {
        f64::from_bits(self.samples_per_second.load(Relaxed))
    }

    /// How often the clock jumped.
    pub(crate) fn clock_jumps(&self) -> u64 {
        self.clock_jumps.load(Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_and_jumps_are_noticed() {
        let (clock, hand) = Clock::manual(1_000_000);
        let watch = Watch::new(&clock);
        hand.advance(Duration::from_secs(5));
        assert_eq!((watch.look(&clock, 100), watch.samples_per_second()), (None, 0.0));
        hand.advance(Duration::from_secs(5));
        assert_eq!((watch.look(&clock, 600), watch.samples_per_second()), (None, 100.0));
        hand.advance(Duration::from_secs(5));
        hand.set_wall(5_000_000);
        assert_eq!(watch.look(&clock, 600), Some(3_985_000));
        hand.advance(Duration::from_secs(5));
        hand.set_wall(1_000_000);
        assert_eq!(watch.look(&clock, 600), Some(-4_005_000));
        assert_eq!((watch.clock_jumps(), watch.samples_per_second()), (2, 0.0));
    }
}
