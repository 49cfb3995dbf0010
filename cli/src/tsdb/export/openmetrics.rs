//! OpenMetrics text, series by series.

use std::io::{self, Write};

use sonde_model::{Exemplar, METRIC_NAME, Series, is_stale};
use sonde_proto::exposition::{Encoder, Format, MetricKind as Kind, Tail};
use sonde_tsdb::{Metadata, MetricKind};

use super::super::files::Output;
use super::{Sample, in_order};

/// Text that is collected before it is written.
const HELD_BYTES: usize = 1 << 20;

pub(super) struct Writer {
    encoder: Encoder,
    output: Output,
    start_timestamps: bool,
    /// Exemplars that found no sample to stand beside.
    alone: u64,
}

impl Writer {
    pub(super) fn new(output: Output, start_timestamps: bool) -> Self {
        Writer { encoder: Encoder::new(Format::OpenMetrics), output, start_timestamps, alone: 0 }
    }

    /// The lines about a family, if there is anything to say.
    pub(super) fn family(&mut self, metric: &str, metadata: &Metadata) {
        let kind = match metadata.kind {
            // The format wants these endings; a metric without them is of no kind that it knows.
            MetricKind::Counter if metric.ends_with("_total") => Kind::Counter,
            MetricKind::Info if metric.ends_with("_info") => Kind::Info,
            MetricKind::Gauge => Kind::Gauge,
            MetricKind::Histogram => Kind::Histogram,
            MetricKind::Summary => Kind::Summary,
            MetricKind::StateSet => Kind::StateSet,
            MetricKind::Counter | MetricKind::Info | MetricKind::Unknown => Kind::Unknown,
        };
        if kind != Kind::Unknown || !metadata.help.is_empty() || !metadata.unit.is_empty() {
            self.encoder.family(metric, kind, &metadata.help, &metadata.unit);
        }
    }

    /// Each exemplar stands beside the first sample that is not older and has none yet.
    pub(super) fn series(&mut self, series: &Series, exemplars: &[Exemplar]) -> io::Result<()> {
        let name = series.labels.get(METRIC_NAME).unwrap_or_default();
        let labels: Vec<(&str, &str)> = series.labels.iter().filter(|(name, _)| *name != METRIC_NAME).collect();
        let mut exemplars = exemplars.iter().peekable();
        for (at, start, sample) in in_order(series) {
            let start = Some(start).filter(|start| self.start_timestamps && *start != 0);
            let mut tail = || Tail {
                timestamp: Some(at),
                start,
                exemplar: exemplars.next_if(|exemplar| exemplar.timestamp <= at),
            };
            match sample {
                Sample::Float(value) if is_stale(value) => self.encoder.stale(name, &labels, Some(at)),
                Sample::Float(value) => self.encoder.sample_with(name, &labels, value, tail()),
                Sample::Histogram(histogram) => self.encoder.histogram(name, &labels, histogram, tail()),
            }
            if self.encoder.len() >= HELD_BYTES {
                self.output.write_all(self.encoder.take().as_bytes())?;
            }
        }
        self.alone += exemplars.count() as u64;
        Ok(())
    }

    pub(super) fn finish(mut self) -> io::Result<()> {
        self.output.write_all(self.encoder.finish().as_bytes())?;
        self.output.finish()?;
        if self.alone > 0 {
            crate::warn(&format!(
                "{} exemplars are not in the file: the format has them beside a sample, and there is none; JSON lines has them",
                self.alone
            ));
        }
        Ok(())
    }
}
