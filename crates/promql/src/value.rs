//! What a query answers with.

use sonde_model::{Histogram, Labels, Series, TimestampMs};

use crate::annotations::Annotations;

/// The answer to a query.
#[derive(Clone, Debug, PartialEq)]
pub struct QueryResult {
    /// The value.
    pub value: Value,
    /// What the user should know about the value.
    pub annotations: Annotations,
    /// What it took.
    pub stats: QueryStats,
}

/// The value of an expression.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// One number at the time of evaluation.
    Scalar {
        /// The time of evaluation.
        t: TimestampMs,
        /// The number.
        v: f64,
    },
    /// A string at the time of evaluation.
    String {
        /// The time of evaluation.
        t: TimestampMs,
        /// The string.
        s: String,
    },
    /// One sample per series, all at the time of evaluation; the order matters after `sort`, `topk` and the like.
    Vector(Vec<VectorSample>),
    /// Samples over time, sorted by labels.
    Matrix(Vec<Series>),
}

impl Value {
    /// The word of Prometheus's API for the kind of value.
    pub fn kind(&self) -> &'static str {
        match self {
            Value::Scalar { .. } => "scalar",
            Value::String { .. } => "string",
            Value::Vector(_) => "vector",
            Value::Matrix(_) => "matrix",
        }
    }
}

/// One element of an instant vector.
#[derive(Clone, Debug, PartialEq)]
pub struct VectorSample {
    /// The labels.
    pub labels: Labels,
    /// The time of evaluation.
    pub t: TimestampMs,
    /// The value.
    pub value: SampleValue,
}

/// A float or a native histogram.
#[derive(Clone, Debug, PartialEq)]
pub enum SampleValue {
    /// A float.
    Float(f64),
    /// A native histogram.
    Histogram(Box<Histogram>),
}

impl SampleValue {
    /// The float, where it is one.
    pub fn as_float(&self) -> Option<f64> {
        match self {
            SampleValue::Float(v) => Some(*v),
            SampleValue::Histogram(_) => None,
        }
    }
}

/// What an evaluation took.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct QueryStats {
    /// Samples that were read from the source.
    pub samples: u64,
    /// Series that were read from the source.
    pub series: u64,
    /// The most samples that were held at one time, intermediate results included.
    pub peak_samples: u64,
}
