//! The rows that wait to be a row group: what is held in memory, and how its columns are written.

use std::io::Write;

use parquet::data_type::{ByteArray, ByteArrayType, DataType, DoubleType, Int32Type, Int64Type};
use parquet::errors::Result;
use parquet::file::writer::{SerializedColumnWriter, SerializedFileWriter};
use sonde_model::{CounterResetHint, Histogram, TimestampMs};

use super::super::Sample;

/// How much waits at most.
#[derive(Clone, Copy)]
pub(super) struct Limits {
    pub(super) rows: usize,
    /// Apart from one row.
    pub(super) bytes: usize,
}

impl Default for Limits {
    fn default() -> Self {
        // Four of the pieces that DuckDB hands to a thread.
        Limits { rows: 4 * 122_880, bytes: 64 << 20 }
    }
}

/// Rows for which texts are repeated at once.
const BATCH: usize = 4_096;

/// Definition levels of a list: none, without elements, an element.
const NO_LIST: i16 = 0;
const NO_ELEMENT: i16 = 1;
const ELEMENT: i16 = 2;

#[derive(Default)]
pub(super) struct Group {
    /// The name, the labels and how many rows of the group are theirs.
    series: Vec<(ByteArray, ByteArray, usize)>,
    timestamps: Vec<TimestampMs>,
    starts: Column<TimestampMs>,
    values: Column<f64>,
    histograms: Histograms,
    bytes: usize,
}

/// A column that not every row has a value in.
struct Column<T> {
    /// 1 for a row with a value.
    levels: Vec<i16>,
    values: Vec<T>,
}

/// What rows with a histogram have. The levels are those of each field, and of each field of a bucket.
#[derive(Default)]
struct Histograms {
    levels: Vec<i16>,
    counts: Vec<f64>,
    sums: Vec<f64>,
    schemas: Vec<i32>,
    zero_thresholds: Vec<f64>,
    zero_counts: Vec<f64>,
    resets: Vec<ByteArray>,
    bucket_levels: Vec<i16>,
    /// 1 for a bucket that is not the first of its row.
    bucket_repeats: Vec<i16>,
    lower: Vec<f64>,
    upper: Vec<f64>,
    bucket_counts: Vec<f64>,
}

impl Group {
    pub(super) fn is_empty(&self) -> bool {
        self.timestamps.is_empty()
    }

    pub(super) fn is_full(&self, limits: Limits) -> bool {
        self.timestamps.len() >= limits.rows || self.bytes >= limits.bytes
    }

    /// The rows that follow are of this series.
    pub(super) fn series(&mut self, metric: &ByteArray, labels: &ByteArray) {
        self.bytes += metric.len() + labels.len();
        self.series.push((metric.clone(), labels.clone(), 0));
    }

    pub(super) fn row(&mut self, at: TimestampMs, start: TimestampMs, sample: &Sample<'_>) {
        if let Some((_, _, rows)) = self.series.last_mut() {
            *rows += 1;
        }
        self.timestamps.push(at);
        self.starts.push(Some(start).filter(|start| *start != 0));
        match sample {
            Sample::Float(value) => {
                self.values.push(Some(*value));
                self.histograms.none();
            }
            Sample::Histogram(histogram) => {
                self.values.push(None);
                self.bytes += self.histograms.push(histogram);
            }
        }
        self.bytes += 32;
    }

    /// Writes the rows as a row group, and holds none of them any more.
    pub(super) fn write<W: Write + Send>(&mut self, file: &mut SerializedFileWriter<W>) -> Result<()> {
        let Group { series, timestamps, starts, values, histograms, .. } = std::mem::take(self);
        let mut group = file.next_row_group()?;
        let mut column = 0;
        while let Some(mut writer) = group.next_column()? {
            let out = &mut writer;
            let h = &histograms;
            let bucket = |out: &mut SerializedColumnWriter<'_>, values: &[f64]| {
                let writer = out.typed::<DoubleType>();
                writer.write_batch(values, Some(&h.bucket_levels), Some(&h.bucket_repeats)).map(drop)
            };
            match column {
                0 => texts(out, series.iter().map(|(metric, _, rows)| (metric, *rows))),
                1 => texts(out, series.iter().map(|(_, labels, rows)| (labels, *rows))),
                2 => put::<Int64Type>(out, None, &timestamps),
                3 => put::<Int64Type>(out, Some(&starts.levels), &starts.values),
                4 => put::<DoubleType>(out, Some(&values.levels), &values.values),
                5 => put::<DoubleType>(out, Some(&h.levels), &h.counts),
                6 => put::<DoubleType>(out, Some(&h.levels), &h.sums),
                7 => put::<Int32Type>(out, Some(&h.levels), &h.schemas),
                8 => put::<DoubleType>(out, Some(&h.levels), &h.zero_thresholds),
                9 => put::<DoubleType>(out, Some(&h.levels), &h.zero_counts),
                10 => put::<ByteArrayType>(out, Some(&h.levels), &h.resets),
                11 => bucket(out, &h.lower),
                12 => bucket(out, &h.upper),
                _ => bucket(out, &h.bucket_counts),
            }?;
            writer.close()?;
            column += 1;
        }
        group.close().map(drop)
    }
}

impl<T> Column<T> {
    fn push(&mut self, value: Option<T>) {
        self.levels.push(i16::from(value.is_some()));
        self.values.extend(value);
    }
}

impl<T> Default for Column<T> {
    fn default() -> Self {
        Column { levels: Vec::new(), values: Vec::new() }
    }
}

impl Histograms {
    /// A row without a histogram.
    fn none(&mut self) {
        self.levels.push(0);
        self.bucket(NO_LIST, 0);
    }

    /// A row with one; gives the bytes that it takes.
    fn push(&mut self, histogram: &Histogram) -> usize {
        self.levels.push(1);
        self.counts.push(histogram.count);
        self.sums.push(histogram.sum);
        self.schemas.push(histogram.schema);
        self.zero_thresholds.push(histogram.zero_threshold);
        self.zero_counts.push(histogram.zero_count);
        self.resets.push(ByteArray::from(match histogram.reset_hint {
            CounterResetHint::Unknown => "unknown",
            CounterResetHint::Reset => "yes",
            CounterResetHint::NotReset => "no",
            CounterResetHint::Gauge => "gauge",
        }));
        let buckets = histogram.all_buckets();
        if buckets.is_empty() {
            self.bucket(NO_ELEMENT, 0);
        }
        for (i, bucket) in buckets.iter().enumerate() {
            self.bucket(ELEMENT, i16::from(i > 0));
            self.lower.push(bucket.lower);
            self.upper.push(bucket.upper);
            self.bucket_counts.push(bucket.count);
        }
        80 + buckets.len() * 28
    }

    fn bucket(&mut self, level: i16, repeat: i16) {
        self.bucket_levels.push(level);
        self.bucket_repeats.push(repeat);
    }
}

fn put<T: DataType>(out: &mut SerializedColumnWriter<'_>, levels: Option<&[i16]>, values: &[T::T]) -> Result<()> {
    out.typed::<T>().write_batch(values, levels, None).map(drop)
}

/// Writes each text as often as it has rows.
fn texts<'t>(out: &mut SerializedColumnWriter<'_>, runs: impl Iterator<Item = (&'t ByteArray, usize)>) -> Result<()> {
    let writer = out.typed::<ByteArrayType>();
    let mut batch = Vec::with_capacity(BATCH);
    for (text, rows) in runs {
        for _ in 0..rows {
            batch.push(text.clone());
            if batch.len() == BATCH {
                writer.write_batch(&batch, None, None)?;
                batch.clear();
            }
        }
    }
    writer.write_batch(&batch, None, None).map(drop)
}
