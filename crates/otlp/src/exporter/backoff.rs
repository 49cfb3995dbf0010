//! How long to wait before a retry. Pure: it gives delays, the caller sleeps.

use std::time::Duration;

/// The shape of the waiting.
#[derive(Clone, Debug)]
pub struct BackoffOptions {
    /// The mean of the first delay.
    pub initial: Duration,
    /// No delay of our own is longer.
    pub max: Duration,
    /// No receiver can make us wait longer than this.
    pub max_asked: Duration,
}

impl Default for BackoffOptions {
    fn default() -> Self {
        BackoffOptions {
            initial: Duration::from_millis(500),
            max: Duration::from_secs(30),
            max_asked: Duration::from_secs(300),
        }
    }
}

/// Doubling delays with jitter, so that agents that lost their collector together do not come back together.
#[derive(Debug)]
pub struct Backoff {
    options: BackoffOptions,
    failures: u32,
    random: fastrand::Rng,
}

impl Backoff {
    /// A backoff whose jitter follows `seed`.
    pub fn new(options: BackoffOptions, seed: u64) -> Self {
        Backoff { options, failures: 0, random: fastrand::Rng::with_seed(seed) }
    }

    /// The delay before the next attempt, after one that failed.
    ///
    /// Between half and one and a half times the doubling delay. What the receiver asked for is a lower bound, up to
    /// `max_asked`; jitter is added on top of it, never taken away.
    pub fn next_delay(&mut self, asked: Option<Duration>) -> Duration {
        let doubled = self.options.initial.saturating_mul(1u32.checked_shl(self.failures.min(31)).unwrap_or(u32::MAX));
        self.failures = self.failures.saturating_add(1);
        let mean = doubled.min(self.options.max);
        let own = mean.mul_f64(0.5 + self.random.f64()).min(self.options.max);
        match asked {
            Some(asked) if asked > Duration::ZERO => {
                let asked = asked.min(self.options.max_asked);
                own.max(asked + asked.mul_f64(0.2 * self.random.f64()))
            }
            _ => own,
        }
    }

    /// How many attempts have failed in a row.
    pub fn failures(&self) -> u32 {
        self.failures
    }

    /// Forgets the failures, after a success.
    pub fn reset(&mut self) {
        self.failures = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delays_double_up_to_the_maximum_and_start_again() {
        for seed in 0..50 {
            let mut backoff = Backoff::new(BackoffOptions::default(), seed);
            for mean_ms in [500, 1_000, 2_000, 4_000, 8_000, 16_000] {
                let delay = backoff.next_delay(None).as_millis();
                assert!((mean_ms / 2..=mean_ms * 3 / 2).contains(&delay), "seed {seed}: {delay} of {mean_ms}");
            }
            for _ in 0..100 {
                let delay = backoff.next_delay(None).as_secs();
                assert!((15..=30).contains(&delay), "seed {seed}: {delay}");
            }
            backoff.reset();
            assert!(backoff.next_delay(None).as_millis() <= 750);
        }
    }

    #[test]
    fn what_the_receiver_asks_for_is_kept_within_reason() {
        for seed in 0..50 {
            let mut backoff = Backoff::new(BackoffOptions::default(), seed);
            let delay = backoff.next_delay(Some(Duration::from_secs(10))).as_millis();
            assert!((10_000..=12_000).contains(&delay), "seed {seed}: {delay}");
            let delay = backoff.next_delay(Some(Duration::from_secs(1_000_000))).as_secs();
            assert!((300..=360).contains(&delay), "seed {seed}: {delay}");
        }
    }
}
