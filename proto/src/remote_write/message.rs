//! The owned messages of remote write 1.0: what senders and tests build.
//!
//! Written by hand after `prompb/types.proto` so that no protobuf compiler is needed.

use prost::{Message, Oneof};

/// `prometheus.WriteRequest`.
#[derive(Clone, PartialEq, Message)]
pub struct WriteRequest {
    /// The series.
    #[prost(message, repeated, tag = "1")]
    pub timeseries: Vec<TimeSeries>,
    /// What the sender says about the metrics.
    #[prost(message, repeated, tag = "3")]
    pub metadata: Vec<MetricMetadata>,
}

/// `prometheus.TimeSeries`.
#[derive(Clone, PartialEq, Message)]
pub struct TimeSeries {
    /// Sorted by name.
    #[prost(message, repeated, tag = "1")]
    pub labels: Vec<Label>,
    /// Float samples, sorted by time.
    #[prost(message, repeated, tag = "2")]
    pub samples: Vec<Sample>,
    /// Exemplars.
    #[prost(message, repeated, tag = "3")]
    pub exemplars: Vec<Exemplar>,
    /// Native histograms, sorted by time.
    #[prost(message, repeated, tag = "4")]
    pub histograms: Vec<Histogram>,
}

/// `prometheus.Label`.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct Label {
    /// The name.
    #[prost(string, tag = "1")]
    pub name: String,
    /// The value.
    #[prost(string, tag = "2")]
    pub value: String,
}

/// `prometheus.Sample`.
#[derive(Clone, Copy, PartialEq, Message)]
pub struct Sample {
    /// The value.
    #[prost(double, tag = "1")]
    pub value: f64,
    /// Milliseconds since the Unix epoch.
    #[prost(int64, tag = "2")]
    pub timestamp: i64,
}

/// `prometheus.Exemplar`.
#[derive(Clone, PartialEq, Message)]
pub struct Exemplar {
    /// Its labels.
    #[prost(message, repeated, tag = "1")]
    pub labels: Vec<Label>,
    /// The observed value.
    #[prost(double, tag = "2")]
    pub value: f64,
    /// Milliseconds since the Unix epoch.
    #[prost(int64, tag = "3")]
    pub timestamp: i64,
}

/// `prometheus.Histogram` and `io.prometheus.write.v2.Histogram`.
#[derive(Clone, PartialEq, Message)]
pub struct Histogram {
    /// All observations.
    #[prost(oneof = "Count", tags = "1, 2")]
    pub count: Option<Count>,
    /// The sum of all observed values.
    #[prost(double, tag = "3")]
    pub sum: f64,
    /// -4 to 8, or -53 for custom bounds.
    #[prost(sint32, tag = "4")]
    pub schema: i32,
    /// The width of the zero bucket.
    #[prost(double, tag = "5")]
    pub zero_threshold: f64,
    /// Observations in the zero bucket.
    #[prost(oneof = "ZeroCount", tags = "6, 7")]
    pub zero_count: Option<ZeroCount>,
    /// Where the negative buckets lie.
    #[prost(message, repeated, tag = "8")]
    pub negative_spans: Vec<BucketSpan>,
    /// Differences between whole counts.
    #[prost(sint64, repeated, tag = "9")]
    pub negative_deltas: Vec<i64>,
    /// Absolute float counts.
    #[prost(double, repeated, tag = "10")]
    pub negative_counts: Vec<f64>,
    /// Where the positive buckets lie.
    #[prost(message, repeated, tag = "11")]
    pub positive_spans: Vec<BucketSpan>,
    /// Differences between whole counts.
    #[prost(sint64, repeated, tag = "12")]
    pub positive_deltas: Vec<i64>,
    /// Absolute float counts.
    #[prost(double, repeated, tag = "13")]
    pub positive_counts: Vec<f64>,
    /// 0 unknown, 1 yes, 2 no, 3 gauge.
    #[prost(int32, tag = "14")]
    pub reset_hint: i32,
    /// Milliseconds since the Unix epoch.
    #[prost(int64, tag = "15")]
    pub timestamp: i64,
    /// Bounds of custom buckets.
    #[prost(double, repeated, tag = "16")]
    pub custom_values: Vec<f64>,
    /// When counting began, in milliseconds since the Unix epoch; 0 is unknown. Only remote write 2.0 knows it.
    #[prost(int64, tag = "17")]
    pub start_timestamp: i64,
}

/// The count of a histogram: whole or float.
#[derive(Clone, Copy, PartialEq, Oneof)]
pub enum Count {
    /// A whole number.
    #[prost(uint64, tag = "1")]
    Int(u64),
    /// A float.
    #[prost(double, tag = "2")]
    Float(f64),
}

/// The count of the zero bucket: whole or float.
#[derive(Clone, Copy, PartialEq, Oneof)]
pub enum ZeroCount {
    /// A whole number.
    #[prost(uint64, tag = "6")]
    Int(u64),
    /// A float.
    #[prost(double, tag = "7")]
    Float(f64),
}

/// `prometheus.BucketSpan`.
#[derive(Clone, Copy, PartialEq, Eq, Message)]
pub struct BucketSpan {
    /// Gap to the span before, or the index of the first bucket.
    #[prost(sint32, tag = "1")]
    pub offset: i32,
    /// Consecutive buckets.
    #[prost(uint32, tag = "2")]
    pub length: u32,
}

/// `prometheus.MetricMetadata`.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct MetricMetadata {
    /// The number of `MetricType`.
    #[prost(int32, tag = "1")]
    pub kind: i32,
    /// The name of the metric family.
    #[prost(string, tag = "2")]
    pub metric_family_name: String,
    /// The help text.
    #[prost(string, tag = "4")]
    pub help: String,
    /// The unit.
    #[prost(string, tag = "5")]
    pub unit: String,
}

/// Encodes a request of either version as protobuf; [`super::compress`] makes a body of it.
pub fn encode(request: &impl Message) -> Vec<u8> {
    request.encode_to_vec()
}
