//! The owned messages of remote write 2.0: what senders and tests build.
//!
//! Written by hand after the `io.prometheus.write.v2` part of the Prometheus remote write 2.0 specification. Histograms
//! have the fields of 1.0 and one more, so that they are one message here.

use std::collections::HashMap;

use prost::Message;

use super::{Histogram, WriteRequest};

/// `io.prometheus.write.v2.Request`.
#[derive(Clone, PartialEq, Message)]
pub struct Request {
    /// The texts that the rest refers to. The first is empty.
    #[prost(string, repeated, tag = "4")]
    pub symbols: Vec<String>,
    /// The series.
    #[prost(message, repeated, tag = "5")]
    pub timeseries: Vec<TimeSeries>,
}

/// `io.prometheus.write.v2.TimeSeries`.
#[derive(Clone, PartialEq, Message)]
pub struct TimeSeries {
    /// Names and values in turn, sorted by name.
    #[prost(uint32, repeated, tag = "1")]
    pub labels_refs: Vec<u32>,
    /// Float samples, sorted by time.
    #[prost(message, repeated, tag = "2")]
    pub samples: Vec<Sample>,
    /// Native histograms, sorted by time. A series has samples or histograms.
    #[prost(message, repeated, tag = "3")]
    pub histograms: Vec<Histogram>,
    /// Exemplars.
    #[prost(message, repeated, tag = "4")]
    pub exemplars: Vec<Exemplar>,
    /// What the sender says about the metric.
    #[prost(message, optional, tag = "5")]
    pub metadata: Option<Metadata>,
    /// When counting began, in milliseconds since the Unix epoch; 0 is unknown. Release candidates of the specification
    /// had it; now each sample has its own.
    #[prost(int64, tag = "6")]
    pub created_timestamp: i64,
}

/// `io.prometheus.write.v2.Sample`.
#[derive(Clone, Copy, PartialEq, Message)]
pub struct Sample {
    /// The value.
    #[prost(double, tag = "1")]
    pub value: f64,
    /// Milliseconds since the Unix epoch.
    #[prost(int64, tag = "2")]
    pub timestamp: i64,
    /// When counting began, in milliseconds since the Unix epoch; 0 is unknown.
    #[prost(int64, tag = "3")]
    pub start_timestamp: i64,
}

/// `io.prometheus.write.v2.Exemplar`.
#[derive(Clone, PartialEq, Message)]
pub struct Exemplar {
    /// Names and values in turn.
    #[prost(uint32, repeated, tag = "1")]
    pub labels_refs: Vec<u32>,
    /// The observed value.
    #[prost(double, tag = "2")]
    pub value: f64,
    /// Milliseconds since the Unix epoch.
    #[prost(int64, tag = "3")]
    pub timestamp: i64,
}

/// `io.prometheus.write.v2.Metadata`.
#[derive(Clone, Copy, PartialEq, Eq, Message)]
pub struct Metadata {
    /// The number of `MetricType`.
    #[prost(int32, tag = "1")]
    pub kind: i32,
    /// The help text; 0 for none.
    #[prost(uint32, tag = "3")]
    pub help_ref: u32,
    /// The unit; 0 for none.
    #[prost(uint32, tag = "4")]
    pub unit_ref: u32,
}

/// The table of symbols of a request that is being built.
#[derive(Clone, Debug)]
pub struct SymbolTable {
    symbols: Vec<String>,
    refs: HashMap<String, u32>,
}

impl SymbolTable {
    /// A table with the empty text that must come first.
    pub fn new() -> Self {
        SymbolTable { symbols: vec![String::new()], refs: HashMap::from([(String::new(), 0)]) }
    }

    /// The reference to a text, which is added where it is new.
    pub fn intern(&mut self, text: &str) -> u32 {
        if let Some(known) = self.refs.get(text) {
            return *known;
        }
        let reference = self.symbols.len() as u32;
        self.symbols.push(text.to_owned());
        self.refs.insert(text.to_owned(), reference);
        reference
    }

    /// The references to labels: names and values in turn.
    pub fn intern_labels<'t>(&mut self, labels: impl IntoIterator<Item = (&'t str, &'t str)>) -> Vec<u32> {
        labels.into_iter().flat_map(|(name, value)| [self.intern(name), self.intern(value)]).collect()
    }

    /// The texts, for [`Request::symbols`].
    pub fn into_symbols(self) -> Vec<String> {
        self.symbols
    }
}

impl Default for SymbolTable {
    fn default() -> Self {
        Self::new()
    }
}

impl From<&WriteRequest> for Request {
    /// The same in 2.0. Metadata goes to the series that have the name of its family.
    fn from(request: &WriteRequest) -> Self {
        let mut table = SymbolTable::new();
        let labels = |labels: &[super::Label], table: &mut SymbolTable| {
            table.intern_labels(labels.iter().map(|label| (label.name.as_str(), label.value.as_str())))
        };
        let mut timeseries = Vec::with_capacity(request.timeseries.len());
        for series in &request.timeseries {
            let name = series.labels.iter().find(|label| label.name == sonde_model::METRIC_NAME);
            let said = request.metadata.iter().find(|m| name.is_some_and(|n| n.value == m.metric_family_name));
            let exemplar = |e: &super::Exemplar, table: &mut SymbolTable| Exemplar {
                labels_refs: labels(&e.labels, table),
                value: e.value,
                timestamp: e.timestamp,
            };
            let sample = |s: &super::Sample| Sample { value: s.value, timestamp: s.timestamp, start_timestamp: 0 };
            timeseries.push(TimeSeries {
                labels_refs: labels(&series.labels, &mut table),
                samples: series.samples.iter().map(sample).collect(),
                histograms: series.histograms.clone(),
                exemplars: series.exemplars.iter().map(|e| exemplar(e, &mut table)).collect(),
                metadata: said.map(|said| Metadata {
                    kind: said.kind,
                    help_ref: table.intern(&said.help),
                    unit_ref: table.intern(&said.unit),
                }),
                created_timestamp: 0,
            });
        }
        Request { symbols: table.into_symbols(), timeseries }
    }
}
