//! One borrowed series: labels, samples, exemplars and histograms.

use super::exemplar::{ExemplarView, referenced_bytes};
use super::labels::LabelReader;
use super::metadata::MetadataRefs;
use super::symbols::{Refs, Symbols};
use super::{DecodeError, HistogramView, Limits};
use crate::wire::{Fields, WireError};

/// A series of a request. Its fields and the limits were proven when it was made; what lies in labels and samples is
/// proven when it is read, because series that are known by their bytes are read no further.
#[derive(Clone, Copy, Debug)]
pub struct SeriesView<'a> {
    message: &'a [u8],
    /// What the labels refer to; `None` in remote write 1.0, which spells them out.
    symbols: Option<&'a Symbols<'a>>,
    /// Where the labels end, if nothing else comes before or between them, as senders write it.
    labels_end: Option<usize>,
    label_count: usize,
    sample_count: usize,
    exemplar_count: usize,
    histogram_count: usize,
    metadata: MetadataRefs,
    created_timestamp: i64,
    referenced_bytes: usize,
    max_buckets: usize,
}

/// A float sample.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SampleView {
    /// Milliseconds since the Unix epoch.
    pub timestamp: i64,
    /// Any float; stale markers keep their bits.
    pub value: f64,
    /// When counting began, in milliseconds since the Unix epoch; 0 is unknown. Remote write 2.0 has it.
    pub start_timestamp: i64,
}

impl<'a> SeriesView<'a> {
    /// A series of remote write 2.0 where there are symbols, of 1.0 where there are none.
    pub(super) fn parse(
        message: &'a [u8],
        symbols: Option<&'a Symbols<'a>>,
        limits: &Limits,
    ) -> Result<Self, DecodeError> {
        let mut view = SeriesView {
            message,
            symbols,
            labels_end: Some(0),
            label_count: 0,
            sample_count: 0,
            exemplar_count: 0,
            histogram_count: 0,
            metadata: MetadataRefs::default(),
            created_timestamp: 0,
            referenced_bytes: 0,
            max_buckets: limits.max_histogram_buckets,
        };
        let (mut fields, mut other_seen) = (view.skip_short_labels()?, false);
        let (mut label_bytes, mut label_refs) = (message.len() - fields.rest().len(), 0usize);
        while let Some(field) = fields.next()? {
            match (field.number, symbols) {
                (1, _) => {
                    match symbols {
                        None => {
                            view.label_count += 1;
                            label_bytes += field.bytes()?.len();
                        }
                        Some(symbols) => {
                            let (single, packed) = Refs::of(&field)?;
                            for reference in single.map(Ok).into_iter().chain(packed) {
                                label_refs += 1;
                                label_bytes += symbols.get(reference?).map_or(0, <[u8]>::len);
                            }
                        }
                    }
                    view.labels_end = (!other_seen).then_some(message.len() - fields.rest().len());
                    continue;
                }
                (2, _) => {
                    field.bytes()?;
                    view.sample_count += 1;
                }
                (3, None) | (4, Some(_)) => {
                    let exemplar = field.bytes()?;
                    view.exemplar_count += 1;
                    if let Some(symbols) = symbols {
                        view.referenced_bytes += referenced_bytes(exemplar, symbols)?;
                    }
                }
                (4, None) | (3, Some(_)) => {
                    field.bytes()?;
                    view.histogram_count += 1;
                }
                (5, Some(_)) => view.metadata.merge(field.bytes()?)?,
                (6, Some(_)) => view.created_timestamp = field.int()?,
                _ => {}
            }
            other_seen = true;
        }
        if symbols.is_some() {
            view.label_count = label_refs.div_ceil(2);
            view.referenced_bytes += label_bytes;
        }
        DecodeError::check("labels in a series", view.label_count, limits.max_labels)?;
        DecodeError::check("bytes of labels in a series", label_bytes, limits.max_label_bytes)?;
        Ok(view)
    }

    /// Passes over the labels at the start that are spelled in less than 128 bytes, which nearly all are: their header is
    /// two bytes that need no decoding.
    fn skip_short_labels(&mut self) -> Result<Fields<'a>, WireError> {
        let mut rest = self.message;
        while self.symbols.is_none()
            && let [0x0a, length @ 0..0x80, tail @ ..] = rest
        {
            rest = tail.get(usize::from(*length)..).ok_or(WireError::Truncated)?;
            self.label_count += 1;
        }
        self.labels_end = Some(self.message.len() - rest.len());
        Ok(Fields::new(rest))
    }

    /// The encoded labels as one piece, for a memo of series that were seen before; `None` where the sender did not
    /// write them in one piece. Equal bytes mean equal labels, in 2.0 under the symbols of the same request only.
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
        LabelReader::new(self.labels_part(), self.symbols)
    }

    /// The labels of a series of 2.0 as indexes of [`super::Symbols`], names and values in turn: not checked to be there,
    /// nor to be even in number. `None` in 1.0.
    pub fn symbol_refs(&self) -> Option<impl Iterator<Item = Result<u32, WireError>> + use<'a>> {
        self.symbols.map(|_| self.label_refs())
    }

    /// The float samples in the order of the sender.
    pub fn samples(&self) -> impl Iterator<Item = Result<SampleView, DecodeError>> + use<'a> {
        submessages(self.after_labels(), 2).map(|message| Ok(message.and_then(sample)?))
    }

    /// The exemplars in the order of the sender.
    pub fn exemplars(&self) -> impl Iterator<Item = Result<ExemplarView<'a>, DecodeError>> + use<'a> {
        let (symbols, number) = (self.symbols, if self.symbols.is_some() { 4 } else { 3 });
        submessages(self.after_labels(), number).map(move |message| Ok(ExemplarView::parse(message?, symbols)?))
    }

    /// The histograms in the order of the sender.
    pub fn histograms(&self) -> impl Iterator<Item = Result<HistogramView, DecodeError>> + use<'a> {
        let (max_buckets, number) = (self.max_buckets, if self.symbols.is_some() { 3 } else { 4 });
        submessages(self.after_labels(), number).map(move |message| HistogramView::parse(message?, max_buckets))
    }

    /// When counting began, in milliseconds since the Unix epoch, as release candidates of 2.0 had it for a whole series;
    /// 0 is unknown.
    pub fn created_timestamp(&self) -> i64 {
        self.created_timestamp
    }

    /// What the series says of its metric.
    pub(super) fn metadata_refs(&self) -> MetadataRefs {
        self.metadata
    }

    /// The references of the labels, where there are symbols.
    pub(super) fn label_refs(&self) -> Refs<'a> {
        Refs::new(self.labels_part())
    }

    /// How many bytes the labels of the series and of its exemplars have when they are spelled out; 0 in 1.0, where that
    /// is a part of the body.
    pub(super) fn referenced_bytes(&self) -> usize {
        self.referenced_bytes
    }

    fn labels_part(&self) -> &'a [u8] {
        &self.message[..self.labels_end.unwrap_or(self.message.len())]
    }

    fn after_labels(&self) -> &'a [u8] {
        &self.message[self.labels_end.unwrap_or(0)..]
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

#[inline]
fn sample(message: &[u8]) -> Result<SampleView, WireError> {
    // As senders write it: the value, then the time, of a few bytes.
    if let Some((&[0x09, v0, v1, v2, v3, v4, v5, v6, v7, 0x10], time)) = message.split_first_chunk::<10>() {
        let mut time = Fields::new(time);
        let timestamp = time.varint()?.cast_signed();
        if time.rest().is_empty() {
            let value = f64::from_le_bytes([v0, v1, v2, v3, v4, v5, v6, v7]);
            return Ok(SampleView { timestamp, value, start_timestamp: 0 });
        }
    }
    let mut view = SampleView { timestamp: 0, value: 0.0, start_timestamp: 0 };
    let mut fields = Fields::new(message);
    while let Some(field) = fields.next()? {
        match field.number {
            1 => view.value = field.double()?,
            2 => view.timestamp = field.int()?,
            3 => view.start_timestamp = field.int()?,
            _ => {}
        }
    }
    Ok(view)
}
