//! Metadata: of metrics in remote write 1.0, of each series in 2.0.

use std::collections::HashSet;

use sonde_model::METRIC_NAME;

use super::labels::text;
use super::symbols::{Refs, Symbols};
use super::{DecodeError, Limits, SeriesView};
use crate::wire::{Fields, WireError};

/// What a sender says about a metric.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MetadataView<'a> {
    /// The number of `MetricType`, the same in both versions: 0 unknown, 1 counter, 2 gauge, 3 histogram,
    /// 4 gauge histogram, 5 summary, 6 info, 7 state set. Senders may put other numbers here.
    pub kind: u64,
    /// The name of the metric family in 1.0, of the series in 2.0, which may end in `_bucket`.
    pub family: &'a str,
    /// The help text.
    pub help: &'a str,
    /// The unit.
    pub unit: &'a str,
}

impl<'a> MetadataView<'a> {
    /// Decodes a `prometheus.MetricMetadata`.
    pub(super) fn parse(message: &'a [u8]) -> Result<Self, WireError> {
        let mut view = MetadataView { kind: 0, family: "", help: "", unit: "" };
        let mut fields = Fields::new(message);
        while let Some(field) = fields.next()? {
            match field.number {
                1 => view.kind = field.uint()?,
                2 => view.family = field.string()?,
                4 => view.help = field.string()?,
                5 => view.unit = field.string()?,
                _ => {}
            }
        }
        Ok(view)
    }
}

/// Reads the metadata of the series of one remote write 2.0 request. Most series of a metric say the same, by the same
/// references: that is read once.
#[derive(Debug)]
pub struct SeriesMetadata<'a> {
    symbols: Option<&'a Symbols<'a>>,
    /// What was read, with the reference to the name of the metric.
    seen: HashSet<(u32, MetadataRefs)>,
    last: Option<(u32, MetadataRefs)>,
    text_bytes: usize,
    max_text_bytes: usize,
}

/// An `io.prometheus.write.v2.Metadata`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct MetadataRefs {
    kind: u64,
    help: u32,
    unit: u32,
}

impl MetadataRefs {
    /// Reads a message over what is there: of a field that comes twice protobuf takes the last.
    pub(super) fn merge(&mut self, message: &[u8]) -> Result<(), WireError> {
        let mut fields = Fields::new(message);
        while let Some(field) = fields.next()? {
            match field.number {
                1 => self.kind = field.uint()?,
                3 => self.help = field.uint()? as u32,
                4 => self.unit = field.uint()? as u32,
                _ => {}
            }
        }
        Ok(())
    }
}

impl<'a> SeriesMetadata<'a> {
    /// Nothing was read yet. Without symbols, as in 1.0, series say nothing.
    pub(super) fn new(symbols: Option<&'a Symbols<'a>>, limits: &Limits) -> Self {
        let max_text_bytes = limits.max_body_bytes;
        SeriesMetadata { symbols, seen: HashSet::new(), last: None, text_bytes: 0, max_text_bytes }
    }

    /// What a series says of its metric; `None` if that is nothing, or nothing new.
    ///
    /// After [`DecodeError::Symbol`] and a text that is not UTF-8 others may be read; other errors are those of the
    /// request.
    pub fn read(&mut self, series: &SeriesView<'a>) -> Result<Option<MetadataView<'a>>, DecodeError> {
        let refs = series.metadata_refs();
        let Some(symbols) = self.symbols.filter(|_| refs != MetadataRefs::default()) else { return Ok(None) };
        let Some(name) = name_of(series.label_refs(), symbols)? else { return Ok(None) };
        if self.last.replace((name, refs)) == Some((name, refs)) || !self.seen.insert((name, refs)) {
            return Ok(None);
        }
        let texts = (symbols.get(name)?, symbols.get(refs.help)?, symbols.get(refs.unit)?);
        // A few references may name a long text many times.
        self.text_bytes += texts.0.len() + texts.1.len() + texts.2.len();
        DecodeError::check("bytes of metadata when it is spelled out", self.text_bytes, self.max_text_bytes)?;
        let (family, help, unit) = (text(1, texts.0)?, text(3, texts.1)?, text(4, texts.2)?);
        Ok(Some(MetadataView { kind: refs.kind, family, help, unit }))
    }
}

/// The reference to the name of the metric.
fn name_of(mut refs: Refs<'_>, symbols: &Symbols<'_>) -> Result<Option<u32>, DecodeError> {
    while let (Some(name), Some(value)) = (refs.next(), refs.next()) {
        if symbols.get(name?)? == METRIC_NAME.as_bytes() {
            return Ok(Some(value?));
        }
    }
    Ok(None)
}
