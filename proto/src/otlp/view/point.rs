//! Data points of each kind, and exemplars.

use super::attributes::attributes_of;
use super::{AttributesView, Fixed64s, Messages, Varints, View, ViewError, set_once};
use crate::wire::{Field, Fields, Value, WireError, bytes_key};

/// A number as it was written.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum NumberView {
    /// A float.
    Double(f64),
    /// An integer.
    Int(i64),
}

/// A point of a gauge or a sum. Times are nanoseconds since the Unix epoch, 0 where there is none.
#[derive(Clone, Copy, Debug)]
pub struct NumberPointView<'a> {
    /// Its attributes.
    pub attributes: AttributesView<'a>,
    /// Since when the sum counts.
    pub start_time_unix_nano: u64,
    /// When it was measured.
    pub time_unix_nano: u64,
    /// What was measured.
    pub value: Option<NumberView>,
    /// `DataPointFlags`.
    pub flags: u32,
    message: &'a [u8],
    has_exemplars: bool,
}

/// A point of a histogram with explicit bounds.
#[derive(Clone, Copy, Debug)]
pub struct HistogramPointView<'a> {
    /// Its attributes.
    pub attributes: AttributesView<'a>,
    /// Since when it counts.
    pub start_time_unix_nano: u64,
    /// When it was measured.
    pub time_unix_nano: u64,
    /// How many observations there were.
    pub count: u64,
    /// What they add up to.
    pub sum: Option<f64>,
    /// Observations by bucket.
    pub bucket_counts: Fixed64s<'a>,
    /// The upper bounds of all buckets but the last.
    pub explicit_bounds: Fixed64s<'a>,
    /// `DataPointFlags`.
    pub flags: u32,
    message: &'a [u8],
    has_exemplars: bool,
}

/// A point of an exponential histogram.
#[derive(Clone, Copy, Debug)]
pub struct ExponentialPointView<'a> {
    /// Its attributes.
    pub attributes: AttributesView<'a>,
    /// Since when it counts.
    pub start_time_unix_nano: u64,
    /// When it was measured.
    pub time_unix_nano: u64,
    /// How many observations there were.
    pub count: u64,
    /// What they add up to.
    pub sum: Option<f64>,
    /// The base of the buckets is 2^(2^-scale).
    pub scale: i32,
    /// Observations in the zero bucket.
    pub zero_count: u64,
    /// Half of the width of the zero bucket.
    pub zero_threshold: f64,
    /// Buckets above zero.
    pub positive: Option<BucketsView<'a>>,
    /// Buckets below zero.
    pub negative: Option<BucketsView<'a>>,
    /// `DataPointFlags`.
    pub flags: u32,
    message: &'a [u8],
    has_exemplars: bool,
}

/// One side of an exponential histogram.
#[derive(Clone, Copy, Debug)]
pub struct BucketsView<'a> {
    /// The index of the first bucket.
    pub offset: i32,
    /// Observations by bucket.
    pub counts: Varints<'a>,
}

/// A point of a summary.
#[derive(Clone, Copy, Debug)]
pub struct SummaryPointView<'a> {
    /// Its attributes.
    pub attributes: AttributesView<'a>,
    /// Since when it counts.
    pub start_time_unix_nano: u64,
    /// When it was measured.
    pub time_unix_nano: u64,
    /// How many observations there were.
    pub count: u64,
    /// What they add up to.
    pub sum: f64,
    /// `DataPointFlags`.
    pub flags: u32,
    message: &'a [u8],
}

/// One quantile of a summary.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct QuantileView {
    /// Which: 0 to 1.
    pub quantile: f64,
    /// Its value.
    pub value: f64,
}

/// An observation that a point keeps as an example.
#[derive(Clone, Copy, Debug)]
pub struct ExemplarView<'a> {
    /// The attributes that the point does not bear.
    pub filtered_attributes: AttributesView<'a>,
    /// When it was observed.
    pub time_unix_nano: u64,
    /// What was observed.
    pub value: Option<NumberView>,
    /// The trace, empty or 16 bytes.
    pub trace_id: &'a [u8],
    /// The span, empty or 8 bytes.
    pub span_id: &'a [u8],
}

impl<'a> View<'a> for NumberPointView<'a> {
    #[inline]
    fn parse(message: &'a [u8]) -> Result<Self, ViewError> {
        let mut view = NumberPointView {
            attributes: AttributesView::default(),
            start_time_unix_nano: 0,
            time_unix_nano: 0,
            value: None,
            flags: 0,
            message,
            has_exemplars: false,
        };
        let mut fields = Fields::new(message);
        loop {
            let before = fields.rest().len();
            let run = fields.skip_run(bytes_key(7))?;
            if run > 0 {
                view.attributes.take(7, message, before, fields.rest().len(), run);
                continue;
            }
            let Some(field) = fields.next()? else { return Ok(view) };
            match field.number {
                2 => view.start_time_unix_nano = fixed64(&field)?,
                3 => view.time_unix_nano = fixed64(&field)?,
                4 => view.value = Some(NumberView::Double(field.double()?)),
                5 => view.has_exemplars = true,
                6 => view.value = Some(NumberView::Int(fixed64(&field)?.cast_signed())),
                7 => {
                    field.bytes()?;
                    view.attributes.take(7, message, before, fields.rest().len(), 1);
                }
                8 => view.flags = field.uint()? as u32,
                _ => {}
            }
        }
    }
}

impl<'a> NumberPointView<'a> {
    /// Its exemplars.
    pub fn exemplars(&self) -> Messages<'a, ExemplarView<'a>> {
        exemplars(self.has_exemplars, self.message, 5)
    }
}

impl<'a> View<'a> for HistogramPointView<'a> {
    fn parse(message: &'a [u8]) -> Result<Self, ViewError> {
        let mut view = HistogramPointView {
            attributes: AttributesView::default(),
            start_time_unix_nano: 0,
            time_unix_nano: 0,
            count: 0,
            sum: None,
            bucket_counts: Fixed64s::default(),
            explicit_bounds: Fixed64s::default(),
            flags: 0,
            message,
            has_exemplars: false,
        };
        let (mut counts, mut bounds) = (None, None);
        let mut fields = Fields::new(message);
        loop {
            let before = fields.rest().len();
            let run = fields.skip_run(bytes_key(9))?;
            if run > 0 {
                view.attributes.take(9, message, before, fields.rest().len(), run);
                continue;
            }
            let Some(field) = fields.next()? else { break };
            match field.number {
                2 => view.start_time_unix_nano = fixed64(&field)?,
                3 => view.time_unix_nano = fixed64(&field)?,
                4 => view.count = fixed64(&field)?,
                5 => view.sum = Some(field.double()?),
                6 => Fixed64s::set(&mut counts, &field)?,
                7 => Fixed64s::set(&mut bounds, &field)?,
                8 => view.has_exemplars = true,
                9 => {
                    field.bytes()?;
                    view.attributes.take(9, message, before, fields.rest().len(), 1);
                }
                10 => view.flags = field.uint()? as u32,
                _ => {}
            }
        }
        view.bucket_counts = counts.unwrap_or_default();
        view.explicit_bounds = bounds.unwrap_or_default();
        Ok(view)
    }
}

impl<'a> HistogramPointView<'a> {
    /// Its exemplars.
    pub fn exemplars(&self) -> Messages<'a, ExemplarView<'a>> {
        exemplars(self.has_exemplars, self.message, 8)
    }
}

impl<'a> View<'a> for ExponentialPointView<'a> {
    fn parse(message: &'a [u8]) -> Result<Self, ViewError> {
        let mut view = ExponentialPointView {
            attributes: AttributesView::default(),
            start_time_unix_nano: 0,
            time_unix_nano: 0,
            count: 0,
            sum: None,
            scale: 0,
            zero_count: 0,
            zero_threshold: 0.0,
            positive: None,
            negative: None,
            flags: 0,
            message,
            has_exemplars: false,
        };
        let (mut positive, mut negative) = (None, None);
        let mut fields = Fields::new(message);
        loop {
            let before = fields.rest().len();
            let run = fields.skip_run(bytes_key(1))?;
            if run > 0 {
                view.attributes.take(1, message, before, fields.rest().len(), run);
                continue;
            }
            let Some(field) = fields.next()? else { break };
            match field.number {
                1 => {
                    field.bytes()?;
                    view.attributes.take(1, message, before, fields.rest().len(), 1);
                }
                2 => view.start_time_unix_nano = fixed64(&field)?,
                3 => view.time_unix_nano = fixed64(&field)?,
                4 => view.count = fixed64(&field)?,
                5 => view.sum = Some(field.double()?),
                6 => view.scale = field.zigzag32()?,
                7 => view.zero_count = fixed64(&field)?,
                8 => set_once(&mut positive, &field)?,
                9 => set_once(&mut negative, &field)?,
                10 => view.flags = field.uint()? as u32,
                11 => view.has_exemplars = true,
                14 => view.zero_threshold = field.double()?,
                _ => {}
            }
        }
        view.positive = positive.map(BucketsView::parse).transpose()?;
        view.negative = negative.map(BucketsView::parse).transpose()?;
        Ok(view)
    }
}

impl<'a> ExponentialPointView<'a> {
    /// Its exemplars.
    pub fn exemplars(&self) -> Messages<'a, ExemplarView<'a>> {
        exemplars(self.has_exemplars, self.message, 11)
    }
}

impl<'a> View<'a> for BucketsView<'a> {
    fn parse(message: &'a [u8]) -> Result<Self, ViewError> {
        let (mut offset, mut counts) = (0, None);
        let mut fields = Fields::new(message);
        while let Some(field) = fields.next()? {
            match field.number {
                1 => offset = field.zigzag32()?,
                2 => Varints::set(&mut counts, &field)?,
                _ => {}
            }
        }
        Ok(BucketsView { offset, counts: counts.unwrap_or_default() })
    }
}

impl<'a> View<'a> for SummaryPointView<'a> {
    fn parse(message: &'a [u8]) -> Result<Self, ViewError> {
        let mut view = SummaryPointView {
            attributes: AttributesView::default(),
            start_time_unix_nano: 0,
            time_unix_nano: 0,
            count: 0,
            sum: 0.0,
            flags: 0,
            message,
        };
        let mut fields = Fields::new(message);
        loop {
            let before = fields.rest().len();
            let run = fields.skip_run(bytes_key(7))?;
            if run > 0 {
                view.attributes.take(7, message, before, fields.rest().len(), run);
                continue;
            }
            let Some(field) = fields.next()? else { return Ok(view) };
            match field.number {
                2 => view.start_time_unix_nano = fixed64(&field)?,
                3 => view.time_unix_nano = fixed64(&field)?,
                4 => view.count = fixed64(&field)?,
                5 => view.sum = field.double()?,
                7 => {
                    field.bytes()?;
                    view.attributes.take(7, message, before, fields.rest().len(), 1);
                }
                8 => view.flags = field.uint()? as u32,
                _ => {}
            }
        }
    }
}

impl<'a> SummaryPointView<'a> {
    /// Its quantiles, in the order of the sender.
    pub fn quantiles(&self) -> Messages<'a, QuantileView> {
        Messages::new(self.message, 6)
    }
}

impl<'a> View<'a> for QuantileView {
    fn parse(message: &'a [u8]) -> Result<Self, ViewError> {
        let mut view = QuantileView { quantile: 0.0, value: 0.0 };
        let mut fields = Fields::new(message);
        while let Some(field) = fields.next()? {
            match field.number {
                1 => view.quantile = field.double()?,
                2 => view.value = field.double()?,
                _ => {}
            }
        }
        Ok(view)
    }
}

impl<'a> View<'a> for ExemplarView<'a> {
    fn parse(message: &'a [u8]) -> Result<Self, ViewError> {
        let filtered_attributes = attributes_of(message, 7)?;
        let (mut time_unix_nano, mut value) = (0, None);
        let (mut trace_id, mut span_id): (&[u8], &[u8]) = (&[], &[]);
        let mut fields = Fields::new(message);
        while let Some(field) = fields.next()? {
            match field.number {
                2 => time_unix_nano = fixed64(&field)?,
                3 => value = Some(NumberView::Double(field.double()?)),
                4 => span_id = field.bytes()?,
                5 => trace_id = field.bytes()?,
                6 => value = Some(NumberView::Int(fixed64(&field)?.cast_signed())),
                _ => {}
            }
        }
        Ok(ExemplarView { filtered_attributes, time_unix_nano, value, trace_id, span_id })
    }
}

/// The exemplars of a point; most points have none and are not walked again.
fn exemplars<'a>(any: bool, message: &'a [u8], number: u32) -> Messages<'a, ExemplarView<'a>> {
    Messages::new(if any { message } else { &[] }, number)
}

#[inline]
fn fixed64(field: &Field<'_>) -> Result<u64, WireError> {
    match field.value {
        Value::Fixed64(bits) => Ok(bits),
        _ => Err(field.wrong_type()),
    }
}
