//! One borrowed series: labels, samples, exemplars and histograms.

use super::{DecodeError, HistogramView, Limits};
use crate::wire::{Fields, WireError};

/// A series of a request. Its fields and the limits were proven when it was made; what lies in labels and samples is
/// proven when it is read, because series that are known by their bytes are read no further.
#[derive(Clone, Copy, Debug)]
pub struct SeriesView<'a> {
    message: &'a [u8],
    /// Where the labels end, if nothing else comes before or between them, as senders write it.
    labels_end: Option<usize>,
    label_count: usize,
    sample_count: usize,
    exemplar_count: usize,
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
            exemplar_count: 0,
            histogram_count: 0,
            max_buckets: limits.max_histogram_buckets,
        };
        let (mut fields, mut other_seen) = (view.skip_short_labels()?, false);
        let mut label_bytes = message.len() - fields.rest().len();
        while let Some(field) = fields.next()? {
            match field.number {
                1 => {
                    view.label_count += 1;
                    label_bytes += field.bytes()?.len();
                    view.labels_end = (!other_seen).then_some(message.len() - fields.rest().len());
                    continue;
                }
                2 => {
                    field.bytes()?;
                    view.sample_count += 1;
                }
                3 => {
                    field.bytes()?;
                    view.exemplar_count += 1;
                }
                4 => {
                    field.bytes()?;
                    view.histogram_count += 1;
                }
                _ => {}
            }
            other_seen = true;
        }
        DecodeError::check("labels in a series", view.label_count, limits.max_labels)?;
        DecodeError::check("bytes of labels in a series", label_bytes, limits.max_label_bytes)?;
        Ok(view)
    }

    /// Passes over the labels at the start that are shorter than 128 bytes, which nearly all are: their header is two
    /// bytes that need no decoding.
    fn skip_short_labels(&mut self) -> Result<Fields<'a>, WireError> {
        let mut rest = self.message;
        while let [0x0a, length @ 0..0x80, tail @ ..] = rest {
            rest = tail.get(usize::from(*length)..).ok_or(WireError::Truncated)?;
            self.label_count += 1;
        }
        self.labels_end = Some(self.message.len() - rest.len());
        Ok(Fields::new(rest))
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

    /// How many exemplars there are.
    pub fn exemplar_count(&self) -> usize {
        self.exemplar_count
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
    // As senders write it: name and value once each, both shorter than 128 bytes.
    if let [0x0a, length @ 0..0x80, rest @ ..] = message
        && let Some((name, [0x12, length @ 0..0x80, value @ ..])) = rest.split_at_checked(usize::from(*length))
        && value.len() == usize::from(*length)
    {
        return Ok((name, value));
    }
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
    // As senders write it: the value, then the time, of a few bytes.
    if let Some((&[0x09, v0, v1, v2, v3, v4, v5, v6, v7, 0x10], time)) = message.split_first_chunk::<10>() {
        let mut time = Fields::new(time);
        let timestamp = time.varint()?.cast_signed();
        if time.rest().is_empty() {
            let value = f64::from_le_bytes([v0, v1, v2, v3, v4, v5, v6, v7]);
            return Ok(SampleView { timestamp, value });
        }
    }
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
