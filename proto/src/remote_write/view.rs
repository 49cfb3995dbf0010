//! The borrowed request: walks its series without copying.

use super::metadata::{MetadataView, SeriesMetadata};
use super::symbols::Symbols;
use super::{DecodeError, Limits, SeriesView, Version};
use crate::wire::{Fields, bytes_key};

/// A remote write request, decompressed, of which nothing but the table of symbols is decoded yet.
#[derive(Clone, Debug)]
pub struct WriteRequestView<'a> {
    body: &'a [u8],
    limits: &'a Limits,
    /// What labels and metadata refer to; `None` in 1.0.
    symbols: Option<Symbols<'a>>,
}

impl<'a> WriteRequestView<'a> {
    /// A view of a decompressed body.
    pub fn new(version: Version, body: &'a [u8], limits: &'a Limits) -> Result<Self, DecodeError> {
        DecodeError::check("bytes", body.len(), limits.max_body_bytes)?;
        let symbols = match version {
            Version::V1 => None,
            Version::V2 => Some(Symbols::read(body, limits)?),
        };
        Ok(WriteRequestView { body, limits, symbols })
    }

    /// How many bytes it has.
    pub fn len_bytes(&self) -> usize {
        self.body.len()
    }

    /// The version of the protocol.
    pub fn version(&self) -> Version {
        if self.symbols.is_some() { Version::V2 } else { Version::V1 }
    }

    /// The texts to which a request of 2.0 refers; `None` in 1.0.
    pub fn symbols(&self) -> Option<&Symbols<'a>> {
        self.symbols.as_ref()
    }

    /// The series in the order in which they were sent.
    ///
    /// The structure of a series is proven when it is yielded. After an error the iterator ends: a request is taken
    /// as a whole or not at all, so callers collect before they store.
    pub fn series(&self) -> impl Iterator<Item = Result<SeriesView<'_>, DecodeError>> + use<'_, 'a> {
        let (limits, symbols) = (self.limits, self.symbols.as_ref());
        let number = if symbols.is_some() { 5 } else { 1 };
        let mut fields = Fields::new(self.body);
        let (mut series_count, mut sample_count, mut exemplar_count, mut text_bytes) = (0, 0, 0, 0);
        let mut next = move || -> Result<Option<SeriesView<'_>>, DecodeError> {
            while let Some(field) = fields.next()? {
                if field.number != number {
                    continue;
                }
                series_count += 1;
                DecodeError::check("series", series_count, limits.max_series)?;
                let series = SeriesView::parse(field.bytes()?, symbols, limits)?;
                sample_count += series.sample_count() + series.histogram_count();
                DecodeError::check("samples", sample_count, limits.max_samples)?;
                exemplar_count += series.exemplar_count();
                DecodeError::check("exemplars", exemplar_count, limits.max_samples)?;
                // References are short, what they stand for is not.
                text_bytes += series.referenced_bytes();
                DecodeError::check("bytes of labels when they are spelled out", text_bytes, limits.max_body_bytes)?;
                return Ok(Some(series));
            }
            Ok(None)
        };
        let mut failed = false;
        std::iter::from_fn(move || {
            if failed {
                return None;
            }
            let item = next().transpose();
            failed = matches!(item, Some(Err(_)));
            item
        })
    }

    /// The metadata of metrics in the order in which it was sent. A second walk over the request that skips the series;
    /// 2.0 has none: there the series say it, see [`WriteRequestView::series_metadata`].
    pub fn metadata(&self) -> impl Iterator<Item = Result<MetadataView<'a>, DecodeError>> + use<'a> {
        let mut fields = Fields::new(if self.symbols.is_none() { self.body } else { &[] });
        let mut failed = false;
        std::iter::from_fn(move || {
            while !failed {
                match fields.next() {
                    Ok(None) => return None,
                    Ok(Some(field)) if field.number == 3 => {
                        let item = field.bytes().and_then(MetadataView::parse).map_err(DecodeError::from);
                        failed = item.is_err();
                        return Some(item);
                    }
                    // The series are passed over together.
                    Ok(Some(field)) if field.number == 1 => {
                        if let Err(e) = fields.skip_run(bytes_key(1)) {
                            failed = true;
                            return Some(Err(e.into()));
                        }
                    }
                    Ok(Some(_)) => {}
                    Err(e) => {
                        failed = true;
                        return Some(Err(e.into()));
                    }
                }
            }
            None
        })
    }

    /// Reads what the series of a request of 2.0 say about their metrics.
    pub fn series_metadata(&self) -> SeriesMetadata<'_> {
        SeriesMetadata::new(self.symbols.as_ref(), self.limits)
    }
}
