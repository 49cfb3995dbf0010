//! The bounds of one read.

/// What one `select` may touch before it is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SelectLimits {
    /// Series in the answer.
    pub max_series: usize,
    /// Samples in the answer; a histogram counts as one.
    pub max_samples: usize,
}

impl Default for SelectLimits {
    /// 1,000,000 series and 50,000,000 samples.
    fn default() -> Self {
        SelectLimits { max_series: 1_000_000, max_samples: 50_000_000 }
    }
}
