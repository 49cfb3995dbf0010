//! What a query's values take of its budget: samples as Prometheus counts them, and bytes of memory.

use std::ops::Add;

use sonde_model::{Histogram, Labels};

/// The memory of a float with its time.
const FLOAT_BYTES: usize = 16;
/// The memory of a series beside its labels and values: its columns and what the allocator rounds up.
const SERIES_BYTES: usize = 192;
/// The memory of a label set beside its text, and of each label in it.
const LABELS_BYTES: usize = 48;
const LABEL_BYTES: usize = 8;

/// What something takes of a query's budget.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Weight {
    /// A float is one sample, a histogram and extraordinarily long labels as many as fit into their memory.
    pub(crate) samples: usize,
    /// Bytes of memory, about.
    pub(crate) bytes: usize,
}

impl Weight {
    /// So many floats.
    pub(crate) fn floats(count: usize) -> Self {
        Weight { samples: count, bytes: count.saturating_mul(FLOAT_BYTES) }
    }

    /// Histograms; what several share counts for each.
    pub(crate) fn histograms<'h>(histograms: impl IntoIterator<Item = &'h Histogram>) -> Self {
        let of = |h: &Histogram| {
            let spans = h.positive_spans.len() + h.negative_spans.len();
            let buckets = h.positive_buckets.len() + h.negative_buckets.len();
            let bytes = FLOAT_BYTES + size_of::<Histogram>() + 8 * (spans + buckets + h.custom_values.len());
            Weight { samples: h.weight(), bytes }
        };
        histograms.into_iter().fold(Weight::default(), |all, histogram| all + of(histogram))
    }

    /// A series without labels and values.
    pub(crate) fn series() -> Self {
        Weight { samples: 0, bytes: SERIES_BYTES }
    }

    /// A label set.
    pub(crate) fn labels(labels: &Labels) -> Self {
        Weight { samples: 0, bytes: LABELS_BYTES + labels.text_len() + LABEL_BYTES * labels.len() }
    }

    /// The same so many times.
    pub(crate) fn times(self, count: usize) -> Self {
        Weight { samples: self.samples.saturating_mul(count), bytes: self.bytes.saturating_mul(count) }
    }
}

impl Add for Weight {
    type Output = Weight;

    fn add(self, other: Weight) -> Weight {
        Weight { samples: self.samples.saturating_add(other.samples), bytes: self.bytes.saturating_add(other.bytes) }
    }
}
