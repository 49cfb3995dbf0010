//! One borrowed series: labels, samples, exemplars and histograms.

use super::{DecodeError, HistogramView, Limits};
use crate::wire::{Fields, WireError};

/// A series of a request. Its structure was proven when it was made; only text and histograms may still be wrong.
#[derive(Clone, Copy, Debug)]
pub struct SeriesView<'a> {
    message: &'a [u8],
    /// Where the labels end, if nothing else comes before or between them, as senders write it.
    labels_end: Option<usize>,
    label_count: usize,
    sample_count: usize,
    histogram_count: usize,
    max_buckets: usize,
}

/// A float sample.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SampleView {
    /// Milliseconds since the Unix epoch.
    pub timestamp: i64,
    /// Any float; stale markers keep their bits.
    pub value: f64,
}

/// An exemplar.
#[derive(Clone, Copy, Debug)]
pub struct ExemplarView<'a> {
    /// Milliseconds since the Unix epoch.
    pub timestamp: i64,
    /// The observed value.
    pub value: f64,
    message: &'a [u8],
}

impl<'a> SeriesView<'a> {
    pub(super) fn parse(message: &'a [u8], limits: &Limits) -> Result<Self, DecodeError> {
        let mut view = SeriesView {
            message,
            labels_end: Some(0),
            label_count: 0,
            sample_count: 0,
            histogram_count: 0,
            max_buckets: limits.max_histogram_buckets,
        };
        let (mut label_bytes, mut other_seen) = (0, false);
        let mut fields = Fields::new(message);
        while let Some(field) = fields.next()? {
            match field.number {
                1 => {
                    let (name, value) = label_bytes_of(field.bytes()?)?;
                    view.label_count += 1;
                    DecodeError::check("labels in a series", view.label_count, limits.max_labels)?;
                    label_bytes += name.len() + value.len();
                    DecodeError::check("bytes of labels in a series", label_bytes, limits.max_label_bytes)?;
                    view.labels_end = (!other_seen).then_some(message.len() - fields.rest().len());
                    continue;
                }
                2 => {
                    sample(field.bytes()?)?;
                    view.sample_count += 1;
                }
                3 => {
                    ExemplarView::parse(field.bytes()?)?;
                }
                4 => {
                    field.bytes()?;
                    view.histogram_count += 1;
                }
                _ => {}
            }
            other_seen = true;
        }
        Ok(view)
    }

    /// The encoded labels as one piece, for a memo of series that were seen before; `None` where the sender did not
    /// write them in one piece. Equal bytes mean equal labels.
    pub fn label_bytes(&self) -> Option<&'a [u8]> {
        self.labels_end.map(|end| &self.message[..end])
    }

    /// How many labels there are.
    pub fn label_count(&self) -> usize {
        self.label_count
    }

    /// How many float samples there are.
    pub fn sample_count(&self) -> usize {
        self.sample_count
    }

    /// How many histograms there are.
    pub fn histogram_count(&self) -> usize {
        self.histogram_count
    }

    /// The labels in the order of the sender: as it says, not as it should be. Names may repeat, be empty or unsorted.
    pub fn labels(&self) -> impl Iterator<Item = Result<(&'a str, &'a str), DecodeError>> + use<'a> {
        let end = self.labels_end.unwrap_or(self.message.len());
        submessages(&self.message[..end], 1).map(|message| {
            let (name, value) = message.and_then(label_bytes_of)?;
            Ok((text(1, name)?, text(2, value)?))
        })
    }

    /// The float samples in the order of the sender.
    pub fn samples(&self) -> impl Iterator<Item = Result<SampleView, DecodeError>> + use<'a> {
        submessages(self.after_labels(), 2).map(|message| Ok(message.and_then(sample)?))
    }

    /// The exemplars in the order of the sender.
    pub fn exemplars(&self) -> impl Iterator<Item = Result<ExemplarView<'a>, DecodeError>> + use<'a> {
        submessages(self.after_labels(), 3).map(|message| Ok(message.and_then(ExemplarView::parse)?))
    }

    /// The histograms in the order of the sender.
    pub fn histograms(&self) -> impl Iterator<Item = Result<HistogramView, DecodeError>> + use<'a> {
        let max_buckets = self.max_buckets;
        submessages(self.after_labels(), 4).map(move |message| HistogramView::parse(message?, max_buckets))
    }

    fn after_labels(&self) -> &'a [u8] {
        &self.message[self.labels_end.unwrap_or(0)..]
    }
}

impl<'a> ExemplarView<'a> {
    fn parse(message: &'a [u8]) -> Result<Self, WireError> {
        let mut view = ExemplarView { timestamp: 0, value: 0.0, message };
        let mut fields = Fields::new(message);
        while let Some(field) = fields.next()? {
            match field.number {
                1 => {
                    label_bytes_of(field.bytes()?)?;
                }
                2 => view.value = field.double()?,
                3 => view.timestamp = field.int()?,
                _ => {}
            }
        }
        Ok(view)
    }

    /// The labels of the exemplar, `trace_id` among them where there is one.
    pub fn labels(&self) -> impl Iterator<Item = Result<(&'a str, &'a str), DecodeError>> + use<'a> {
        submessages(self.message, 1).map(|message| {
            let (name, value) = message.and_then(label_bytes_of)?;
            Ok((text(1, name)?, text(2, value)?))
        })
    }
}

/// The values of field `number`, which are messages or strings.
fn submessages(message: &[u8], number: u32) -> impl Iterator<Item = Result<&[u8], WireError>> {
    let mut fields = Fields::new(message);
    std::iter::from_fn(move || {
        loop {
            match fields.next() {
                Ok(None) => return None,
                Ok(Some(field)) if field.number == number => return Some(field.bytes()),
                Ok(Some(_)) => {}
                Err(e) => {
                    fields = Fields::new(&[]);
                    return Some(Err(e));
                }
            }
        }
    })
}

/// Name and value of a label, not checked to be text.
#[inline]
fn label_bytes_of(message: &[u8]) -> Result<(&[u8], &[u8]), WireError> {
    let (mut name, mut value) = (&[][..], &[][..]);
    let mut fields = Fields::new(message);
    while let Some(field) = fields.next()? {
        match field.number {
            1 => name = field.bytes()?,
            2 => value = field.bytes()?,
            _ => {}
        }
    }
    Ok((name, value))
}

#[inline]
fn sample(message: &[u8]) -> Result<SampleView, WireError> {
    let mut view = SampleView { timestamp: 0, value: 0.0 };
    let mut fields = Fields::new(message);
    while let Some(field) = fields.next()? {
        match field.number {
            1 => view.value = field.double()?,
            2 => view.timestamp = field.int()?,
            _ => {}
        }
    }
    Ok(view)
}

fn text(field: u32, bytes: &[u8]) -> Result<&str, WireError> {
    std::str::from_utf8(bytes).map_err(|_| WireError::Utf8 { field })
}
