//! Ticks at a fixed interval that do not drift, with timestamps that do not jitter.
//!
//! Intervals are measured in monotonic time. As long as wall time keeps step, the timestamps of ticks lie exactly one
//! interval apart, which a store compresses to nothing; when it jumps or drifts away, the next tick follows it.

use std::time::Duration;

use sonde_runtime::Clock;

/// A tick may be this much late and still carry the time at which it was due.
const TOLERANCE: Duration = Duration::from_millis(20);

/// How far wall time may run away from monotonic time between two ticks before it counts as a jump. NTP slews by
/// 500 ppm at most, which is 30 ms in a minute.
const JUMP: Duration = Duration::from_millis(500);

/// A source of ticks.
#[derive(Debug)]
pub struct Ticks {
    clock: Clock,
    interval: Duration,
    /// When the next tick is due, in monotonic time.
    due: Duration,
    /// Wall time at `due` if nothing jumps, in nanoseconds.
    due_wall_ns: i64,
    /// Monotonic and wall time at the tick before.
    before: Option<(Duration, i64)>,
}

/// One tick.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tick {
    /// The time that readings of this tick carry, in nanoseconds since the Unix epoch.
    pub time_ns: i64,
    /// Ticks that were due and did not happen because the one before took too long.
    pub missed: u64,
    /// By how much wall time jumped since the tick before, in milliseconds; 0 if it did not.
    pub jumped_ms: i64,
}

impl Ticks {
    /// Ticks from now on; the first is due after `delay`.
    pub fn new(clock: Clock, interval: Duration, delay: Duration) -> Self {
        // Nothing ticks faster than this, whatever the configuration says.
        let interval = interval.max(Duration::from_millis(100));
        let due = clock.monotonic() + delay;
        let due_wall_ns = whole_ms(clock.now_ns()).saturating_add(nanos(delay));
        Ticks { clock, interval, due, due_wall_ns, before: None }
    }

    /// The time between two ticks.
    pub fn interval(&self) -> Duration {
        self.interval
    }

    /// Waits for the next tick.
    pub async fn next(&mut self) -> Tick {
        self.clock.sleep_until(self.due).await;
        let (now, wall_ns) = (self.clock.monotonic(), self.clock.now_ns());

        let late = now.saturating_sub(self.due);
        let missed = late.as_nanos() / self.interval.as_nanos();
        let missed = u32::try_from(missed).unwrap_or(u32::MAX);
        let in_step = wall_ns.abs_diff(self.due_wall_ns) <= TOLERANCE.as_nanos() as u64;
        let time_ns = if in_step { self.due_wall_ns } else { whole_ms(wall_ns) };
        let jumped_ms = self.before.map_or(0, |(then, wall_then_ns)| {
            let ahead_ns = wall_ns.saturating_sub(wall_then_ns).saturating_sub(nanos(now.saturating_sub(then)));
            if ahead_ns.unsigned_abs() > JUMP.as_nanos() as u64 { ahead_ns / 1_000_000 } else { 0 }
        });

        self.before = Some((now, wall_ns));
        let steps = missed.saturating_add(1);
        self.due += self.interval * steps;
        // Where wall time stands when the next tick is due, as seen from now.
        let expected_ns = wall_ns.saturating_add(nanos(self.due.saturating_sub(now)));
        let stepped_ns = time_ns.saturating_add(nanos(self.interval * steps));
        let keeps_step = expected_ns.abs_diff(stepped_ns) <= TOLERANCE.as_nanos() as u64;
        self.due_wall_ns = if keeps_step { stepped_ns } else { whole_ms(expected_ns) };
        Tick { time_ns, missed: u64::from(missed), jumped_ms }
    }
}

fn nanos(duration: Duration) -> i64 {
    i64::try_from(duration.as_nanos()).unwrap_or(i64::MAX)
}

/// Stores keep milliseconds.
fn whole_ms(ns: i64) -> i64 {
    ns - ns.rem_euclid(1_000_000)
}

#[cfg(test)]
mod tests {
    use super::*;

    const START_MS: i64 = 1_000_000;

    fn ticks(interval_ms: u64) -> (Ticks, sonde_runtime::ManualClock) {
        let (clock, hand) = Clock::manual(START_MS);
        (Ticks::new(clock, Duration::from_millis(interval_ms), Duration::ZERO), hand)
    }

    fn at(tick: Tick) -> (i64, u64, i64) {
        (tick.time_ns / 1_000_000 - START_MS, tick.missed, tick.jumped_ms)
    }

    #[tokio::test]
    async fn small_delays_do_not_shift_times() {
        let (mut ticks, hand) = ticks(1_000);
        assert_eq!(at(ticks.next().await), (0, 0, 0));
        for (passed, time) in [(1_007, 1_000), (1_003, 2_000), (990, 3_000), (1_019, 4_000)] {
            hand.advance(Duration::from_millis(passed));
            assert_eq!(at(ticks.next().await), (time, 0, 0));
        }
    }

    #[tokio::test]
    async fn missed_ticks_are_counted_and_not_made_up() {
        let (mut ticks, hand) = ticks(1_000);
        ticks.next().await;
        hand.advance(Duration::from_millis(3_500));
        assert_eq!(at(ticks.next().await), (3_500, 2, 0));
        hand.advance(Duration::from_millis(500));
        assert_eq!(at(ticks.next().await), (4_000, 0, 0));
    }

    #[tokio::test]
    async fn a_clock_that_jumps_is_followed() {
        let (mut ticks, hand) = ticks(1_000);
        ticks.next().await;
        hand.set_wall(START_MS - 3_600_000);
        hand.advance(Duration::from_secs(1));
        assert_eq!(at(ticks.next().await), (-3_599_000, 0, -3_600_000));
        hand.advance(Duration::from_secs(1));
        assert_eq!(at(ticks.next().await), (-3_598_000, 0, 0));
        hand.set_wall(START_MS);
        hand.advance(Duration::from_secs(1));
        assert_eq!(at(ticks.next().await), (1_000, 0, 3_598_000));
    }
}
