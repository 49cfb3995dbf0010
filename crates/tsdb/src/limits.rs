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

/// The bounds of a listing of series, label names or label values. A number is a limit without a deadline.
#[derive(Clone, Copy)]
pub struct ListLimits<'a> {
    /// Items in the answer.
    pub limit: usize,
    /// Says that the time is over. It is asked now and then while the listing runs.
    pub expired: &'a dyn Fn() -> bool,
}

impl From<usize> for ListLimits<'_> {
    fn from(limit: usize) -> Self {
        ListLimits { limit, expired: &|| false }
    }
}

impl std::fmt::Debug for ListLimits<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ListLimits").field("limit", &self.limit).finish_non_exhaustive()
    }
}
