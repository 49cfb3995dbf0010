//! One sentence of why a sample is strange.

use std::fmt;

/// What of a series was beyond its range.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FeatureKind {
    /// The value itself.
    Value,
    /// The smallest of the last 16 samples: it stays high.
    ShortFloor,
    /// The smallest of the last 48 samples: it stays high.
    LongFloor,
    /// The largest of the last 320 samples: it no longer reaches what it did.
    Ceiling,
    /// The distance from the usual of this time of day.
    TimeOfDay,
}

/// On which side of the range.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// Above everything seen.
    Above,
    /// Below everything seen.
    Below,
}

/// The feature that weighed most in a score.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Finding {
    /// What was beyond its range.
    pub feature: FeatureKind,
    /// On which side.
    pub direction: Direction,
    /// What it was.
    pub value: f64,
    /// The record that it broke.
    pub record: f64,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let what = match self.feature {
            FeatureKind::Value => "the value",
            FeatureKind::ShortFloor => "the smallest of the last 16 values",
            FeatureKind::LongFloor => "the smallest of the last 48 values",
            FeatureKind::Ceiling => "the largest of the last 320 values",
            FeatureKind::TimeOfDay => "the distance from the usual of this time of day",
        };
        let side = match self.direction {
            Direction::Above => "above the highest",
            Direction::Below => "below the lowest",
        };
        write!(f, "{what} is {}, {side} so far of {}", rounded(self.value), rounded(self.record))
    }
}

/// Six digits tell a person enough.
fn rounded(value: f64) -> f64 {
    format!("{value:.5e}").parse().unwrap_or(value)
}
