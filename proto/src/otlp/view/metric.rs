//! One metric: its name, what kind it is, and its points.

use super::attributes::attributes_of;
use super::{
    AttributesView, ExponentialPointView, HistogramPointView, Messages, NumberPointView, SummaryPointView, View,
    ViewError,
};
use crate::wire::{Field, Fields, bytes_key};

/// A metric.
#[derive(Clone, Copy, Debug)]
pub struct MetricView<'a> {
    /// Its name.
    pub name: &'a str,
    /// What it is, for people.
    pub description: &'a str,
    /// Its unit, after UCUM.
    pub unit: &'a str,
    /// Its points; `None` for a kind that is newer than this program.
    pub data: Option<DataView<'a>>,
    message: &'a [u8],
    has_metadata: bool,
}

/// The points of a metric, by kind. A temporality is the number of `AggregationTemporality`.
#[derive(Clone, Copy, Debug)]
pub enum DataView<'a> {
    /// Values that stand for themselves.
    Gauge {
        /// The points.
        points: Messages<'a, NumberPointView<'a>>,
    },
    /// Values that add up.
    Sum {
        /// The points.
        points: Messages<'a, NumberPointView<'a>>,
        /// How they relate to those before.
        temporality: i32,
        /// Whether they never go down.
        monotonic: bool,
    },
    /// Histograms with explicit bounds.
    Histogram {
        /// The points.
        points: Messages<'a, HistogramPointView<'a>>,
        /// How they relate to those before.
        temporality: i32,
    },
    /// Histograms with exponential bounds.
    Exponential {
        /// The points.
        points: Messages<'a, ExponentialPointView<'a>>,
        /// How they relate to those before.
        temporality: i32,
    },
    /// Quantiles that the sender computed.
    Summary {
        /// The points.
        points: Messages<'a, SummaryPointView<'a>>,
    },
}

/// The numbers of the kinds in `Metric`.
const KINDS: [u32; 5] = [5, 7, 9, 10, 11];
const METADATA: u32 = 12;

impl<'a> View<'a> for MetricView<'a> {
    fn parse(message: &'a [u8]) -> Result<Self, ViewError> {
        let (mut name, mut description, mut unit, mut has_metadata) = ("", "", "", false);
        let mut kind: Option<Field<'a>> = None;
        let mut fields = Fields::new(message);
        while let Some(field) = fields.next()? {
            match field.number {
                1 => name = field.string()?,
                2 => description = field.string()?,
                3 => unit = field.string()?,
                METADATA => has_metadata = true,
                number if KINDS.contains(&number) => {
                    field.bytes()?;
                    // Of two kinds the last one wins; two pieces of one kind are to be merged.
                    if kind.replace(field).is_some_and(|before| before.number == number) {
                        return Err(ViewError::Unusual { field: number });
                    }
                }
                _ => {}
            }
        }
        let data = kind.map(|field| DataView::parse(field.number, field.bytes()?)).transpose()?;
        Ok(MetricView { name, description, unit, data, message, has_metadata })
    }
}

impl<'a> MetricView<'a> {
    /// Whether the sender says anything else about it.
    pub fn has_metadata(&self) -> bool {
        self.has_metadata
    }

    /// What else the sender says about it.
    pub fn metadata(&self) -> Result<AttributesView<'a>, ViewError> {
        if !self.has_metadata {
            return Ok(AttributesView::default());
        }
        Ok(attributes_of(self.message, METADATA)?)
    }
}

impl<'a> DataView<'a> {
    fn parse(kind: u32, message: &'a [u8]) -> Result<Self, ViewError> {
        let (mut temporality, mut monotonic) = (0, false);
        if kind != 5 && kind != 11 {
            let mut fields = Fields::new(message);
            fields.skip_run(bytes_key(1))?;
            while let Some(field) = fields.next()? {
                match field.number {
                    1 => drop(fields.skip_run(bytes_key(1))?),
                    2 => temporality = field.uint()? as i32,
                    3 if kind == 7 => monotonic = field.uint()? != 0,
                    _ => {}
                }
            }
        }
        Ok(match kind {
            5 => DataView::Gauge { points: Messages::new(message, 1) },
            7 => DataView::Sum { points: Messages::new(message, 1), temporality, monotonic },
            9 => DataView::Histogram { points: Messages::new(message, 1), temporality },
            10 => DataView::Exponential { points: Messages::new(message, 1), temporality },
            _ => DataView::Summary { points: Messages::new(message, 1) },
        })
    }

    /// How its points relate to those before, where the kind says so.
    pub fn temporality(&self) -> Option<i32> {
        match *self {
            DataView::Gauge { .. } | DataView::Summary { .. } => None,
            DataView::Sum { temporality, .. }
            | DataView::Histogram { temporality, .. }
            | DataView::Exponential { temporality, .. } => Some(temporality),
        }
    }

    /// How many points there are.
    pub fn count(&self) -> usize {
        match self {
            DataView::Gauge { points } | DataView::Sum { points, .. } => points.count_fields(),
            DataView::Histogram { points, .. } => points.count_fields(),
            DataView::Exponential { points, .. } => points.count_fields(),
            DataView::Summary { points } => points.count_fields(),
        }
    }
}
