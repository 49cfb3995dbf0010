//! The range that a feature has kept to, and how far beyond it a value lies.

/// One value may count at most this many ranges: what lies further is not stranger.
const MAX_EXCESS: f64 = 4.0;

/// How a range behaves.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RecordConfig {
    /// By which share of its distance to the middle each bound comes back, a second.
    pub(crate) leak_per_second: f64,
    /// A record counts in full only when the one before is this many samples old; 0 is at once.
    pub(crate) age: f64,
    /// How many samples of the study's step are only learned from.
    pub(crate) warm: u64,
}

/// When a value comes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Moment {
    /// The number of the sample, from 1.
    pub(crate) n: u64,
    /// How many samples of the study's step the series is old.
    pub(crate) learned: u64,
    /// Seconds since the sample before.
    pub(crate) seconds: f64,
}

/// The highest and lowest value so far, slowly forgotten.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Record {
    pub(crate) high: f64,
    pub(crate) low: f64,
    /// At which sample the highest value came.
    pub(crate) high_at: u64,
    /// At which sample the lowest value came.
    pub(crate) low_at: u64,
}

/// A value beyond the range.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Excess {
    /// How far beyond, in widths of the range; positive in both directions.
    pub(crate) widths: f64,
    /// The bound that was passed.
    pub(crate) bound: f64,
}

impl Default for Record {
    fn default() -> Self {
        Record { high: f64::NEG_INFINITY, low: f64::INFINITY, high_at: 0, low_at: 0 }
    }
}

impl Record {
    /// Takes a value; says how far beyond the range it lies.
    pub(crate) fn push(&mut self, config: &RecordConfig, value: f64, moment: Moment) -> Option<Excess> {
        let Moment { n, learned, seconds } = moment;
        if n <= config.warm / 4 {
            return None;
        }
        if self.high < self.low {
            *self = Record { high: value, low: value, high_at: n, low_at: n };
        }
        let width = self.high - self.low;
        let counts = learned > config.warm && width > 0.0;
        let full = |since: u64| if config.age > 0.0 { ((n - since) as f64 / config.age).min(1.0) } else { 1.0 };
        let mut excess = None;
        if value > self.high {
            if counts {
                let widths = (value - self.high) / width * full(self.high_at);
                excess = Some(Excess { widths: widths.min(MAX_EXCESS), bound: self.high });
            }
            (self.high, self.high_at) = (value, n);
        } else if value < self.low {
            if counts {
                let widths = (self.low - value) / width * full(self.low_at);
                excess = Some(Excess { widths: widths.min(MAX_EXCESS), bound: self.low });
            }
            (self.low, self.low_at) = (value, n);
        }
        let middle = 0.5 * (self.high + self.low);
        // A gap of days must not forget everything: the leak of one step is bounded.
        let leak = (config.leak_per_second * seconds).clamp(0.0, 0.5);
        self.high -= leak * (self.high - middle);
        self.low += leak * (middle - self.low);
        excess
    }
}
