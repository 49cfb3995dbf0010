//! What is looked at in a series: the value itself, rolling extremes, the distance from the usual of the time of day.

/// Blocks of a rolling extreme: its window is exact up to one block.
const BLOCKS: usize = 8;
/// Bins of a day: a quarter of an hour each.
pub(crate) const DAY_BINS: usize = 96;
const DAY_SECONDS: i64 = 86_400;
/// A bin keeps learning at this rate however much it has seen.
const LEAST_BIN_RATE: f64 = 0.003;

/// The largest value of the last samples; of negated values, the smallest.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct RollingMax {
    /// The largest of each finished block, the oldest overwritten first.
    pub(crate) blocks: [f64; BLOCKS - 1],
    /// The largest of the block being filled.
    pub(crate) current: f64,
    /// Samples in the block being filled.
    pub(crate) filled: u32,
    /// The block that is overwritten next.
    pub(crate) next: u32,
}

impl Default for RollingMax {
    fn default() -> Self {
        RollingMax { blocks: [f64::NEG_INFINITY; BLOCKS - 1], current: f64::NEG_INFINITY, filled: 0, next: 0 }
    }
}

impl RollingMax {
    /// Takes a value and gives the largest of about the last `window` samples.
    pub(crate) fn push(&mut self, window: u32, value: f64) -> f64 {
        self.current = self.current.max(value);
        self.filled += 1;
        let largest = self.blocks.iter().fold(self.current, |a, b| a.max(*b));
        if self.filled >= (window / BLOCKS as u32).max(1) {
            let next = self.next as usize % self.blocks.len();
            self.blocks[next] = self.current;
            self.next = (next as u32 + 1) % self.blocks.len() as u32;
            self.current = f64::NEG_INFINITY;
            self.filled = 0;
        }
        largest
    }
}

/// The distance from the usual value of the time of day, smoothed.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct DailyResidual {
    /// The usual value of each bin.
    pub(crate) usual: [f32; DAY_BINS],
    /// How often each bin was seen, up to what still matters.
    pub(crate) seen: [u16; DAY_BINS],
    pub(crate) smoothed: f64,
}

impl Default for DailyResidual {
    fn default() -> Self {
        DailyResidual { usual: [0.0; DAY_BINS], seen: [0; DAY_BINS], smoothed: 0.0 }
    }
}

impl DailyResidual {
    /// Takes the value of a time in seconds since the epoch; `span` is that of the smoothing, in samples.
    pub(crate) fn push(&mut self, span: f64, seconds: i64, value: f64) -> f64 {
        let bin = (seconds.rem_euclid(DAY_SECONDS) * DAY_BINS as i64 / DAY_SECONDS) as usize;
        let (usual, seen) = (&mut self.usual[bin], &mut self.seen[bin]);
        if *seen == 0 {
            *usual = value as f32;
        } else {
            let residual = value - f64::from(*usual);
            self.smoothed += (residual - self.smoothed) * 2.0 / (span + 1.0);
            let rate = (1.0 / (f64::from(*seen) + 1.0)).max(LEAST_BIN_RATE);
            *usual += (rate * residual) as f32;
        }
        *seen = seen.saturating_add(1);
        self.smoothed
    }
}
