//! Parquet for DuckDB, pandas and their like: a row a sample, series by series, in row groups of bounded size.

mod group;
mod schema;
#[cfg(test)]
mod tests;

use std::io;

use parquet::data_type::ByteArray;
use parquet::errors::ParquetError;
use parquet::file::writer::SerializedFileWriter;
use sonde_model::{METRIC_NAME, Series};

use self::group::{Group, Limits};
use super::super::files::Output;
use super::in_order;

pub(super) struct Writer {
    file: SerializedFileWriter<Output>,
    group: Group,
    limits: Limits,
}

impl Writer {
    /// Writes to an output that does not compress: pages are compressed one by one, if at all.
    pub(super) fn new(output: Output, compressed: bool) -> io::Result<Self> {
        let schema = schema::schema().map_err(told)?;
        let file = SerializedFileWriter::new(output, schema, schema::properties(compressed)).map_err(told)?;
        Ok(Writer { file, group: Group::default(), limits: Limits::default() })
    }

    pub(super) fn series(&mut self, series: &Series) -> io::Result<()> {
        let metric = ByteArray::from(series.labels.get(METRIC_NAME).unwrap_or_default());
        let others = series.labels.iter().filter(|(name, _)| *name != METRIC_NAME);
        let labels: serde_json::Map<String, serde_json::Value> =
            others.map(|(name, value)| (name.to_owned(), value.into())).collect();
        let labels = ByteArray::from(serde_json::Value::from(labels).to_string().into_bytes());
        self.group.series(&metric, &labels);
        for (at, start, sample) in in_order(series) {
            if self.group.is_full(self.limits) {
                self.group.write(&mut self.file).map_err(told)?;
                self.group.series(&metric, &labels);
            }
            self.group.row(at, start, &sample);
        }
        Ok(())
    }

    pub(super) fn finish(mut self) -> io::Result<()> {
        if !self.group.is_empty() {
            self.group.write(&mut self.file).map_err(told)?;
        }
        self.file.into_inner().map_err(told)?.finish()
    }
}

/// What the file could not take is an error of it.
fn told(error: ParquetError) -> io::Error {
    match error {
        ParquetError::External(cause) => match cause.downcast::<io::Error>() {
            Ok(error) => *error,
            Err(cause) => io::Error::other(cause),
        },
        error => io::Error::other(error),
    }
}
