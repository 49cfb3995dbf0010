//! Keeps one event from being told again and again.

/// For so many samples after an alarm only what is far stranger speaks.
const REFRACTORY: u64 = 60;
/// How fast the memory of an alarm fades after that, in samples.
const FADE: f64 = 60.0;
/// How much stranger, within the refractory time.
const WITHIN: f64 = 3.0;
/// How much of the last level must be reached right after it.
const AFTER: f64 = 0.4;

/// The last alarm.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Gate {
    /// How strange it was.
    pub(crate) level: f64,
    /// At which sample it was; 0 is never.
    pub(crate) last: u64,
}

impl Gate {
    /// Passes the score of sample `n`, or 0 where it tells nothing new.
    pub(crate) fn pass(&mut self, score: f64, n: u64) -> f64 {
        if score <= 0.0 {
            return 0.0;
        }
        let since = if self.last == 0 { u64::MAX } else { n - self.last };
        let faded = |q: u64| if (since as f64) < 20.0 * FADE { (-(q as f64) / FADE).exp() } else { 0.0 };
        let threshold =
            if since <= REFRACTORY { WITHIN * self.level } else { AFTER * self.level * faded(since - REFRACTORY) };
        if score <= threshold {
            return 0.0;
        }
        self.level = score.max(self.level * faded(since));
        self.last = n;
        score
    }
}
