//! The borrowed request: walks its series without copying.

use super::{DecodeError, Limits, SeriesView};
use crate::wire::{Fields, WireError};

/// A remote write 1.0 request, decompressed, not yet decoded.
#[derive(Clone, Copy, Debug)]
pub struct WriteRequestView<'a> {
    body: &'a [u8],
    limits: &'a Limits,
}

/// What a sender says about a metric.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MetadataView<'a> {
    /// The number of `prometheus.MetricMetadata.MetricType`: 0 unknown, 1 counter, 2 gauge, 3 histogram,
    /// 4 gauge histogram, 5 summary, 6 info, 7 state set. Senders may put other numbers here.
    pub kind: u64,
    /// The name of the metric family.
    pub family: &'a str,
    /// The help text.
    pub help: &'a str,
    /// The unit.
    pub unit: &'a str,
}

impl<'a> WriteRequestView<'a> {
    /// A view of a decompressed body.
    pub fn new(body: &'a [u8], limits: &'a Limits) -> Result<Self, DecodeError> {
        DecodeError::check("bytes", body.len(), limits.max_body_bytes)?;
        Ok(WriteRequestView { body, limits })
    }

    /// The series in the order in which they were sent.
    ///
    /// The structure of a series is proven when it is yielded. After an error the iterator ends: a request is taken
    /// as a whole or not at all, so callers collect before they store.
    pub fn series(&self) -> impl Iterator<Item = Result<SeriesView<'a>, DecodeError>> + use<'a> {
        let limits = self.limits;
        let mut fields = Fields::new(self.body);
        let (mut series_count, mut sample_count, mut exemplar_count) = (0, 0, 0);
        let mut next = move || -> Result<Option<SeriesView<'a>>, DecodeError> {
            while let Some(field) = fields.next()? {
                if field.number != 1 {
                    continue;
                }
                series_count += 1;
                DecodeError::check("series", series_count, limits.max_series)?;
                let series = SeriesView::parse(field.bytes()?, limits)?;
                sample_count += series.sample_count() + series.histogram_count();
                DecodeError::check("samples", sample_count, limits.max_samples)?;
                exemplar_count += series.exemplar_count();
                DecodeError::check("exemplars", exemplar_count, limits.max_samples)?;
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

    /// The metadata in the order in which it was sent. A second walk over the request that skips the series.
    pub fn metadata(&self) -> impl Iterator<Item = Result<MetadataView<'a>, DecodeError>> + use<'a> {
        let mut fields = Fields::new(self.body);
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
}

impl<'a> MetadataView<'a> {
    fn parse(message: &'a [u8]) -> Result<Self, WireError> {
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
