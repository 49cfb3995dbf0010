//! What a query answers with.

use std::fmt;

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

/// A float as Go's `%g` prints it, which is what Prometheus's messages hold.
#[derive(Clone, Copy, Debug)]
pub struct GoFloat(pub f64);

impl fmt::Display for GoFloat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let v = self.0;
        if v.is_nan() {
            return f.write_str("NaN");
        }
        if v.is_infinite() {
            return f.write_str(if v > 0.0 { "+Inf" } else { "-Inf" });
        }
        let scientific = format!("{v:e}");
        let (mantissa, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
        let exponent: i32 = exponent.parse().unwrap_or(0);
        if v == 0.0 || (-4..21).contains(&exponent) {
            write!(f, "{v}")
        } else {
            let sign = if exponent < 0 { '-' } else { '+' };
            write!(f, "{mantissa}e{sign}{:02}", exponent.unsigned_abs())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn floats_print_as_in_go() {
        for (v, text) in [
            (0.0, "0"),
            (-0.0, "-0"),
            (1.1, "1.1"),
            (-12.0, "-12"),
            (1e20, "100000000000000000000"),
            (1e21, "1e+21"),
            (1.5e-4, "0.00015"),
            (1.5e-5, "1.5e-05"),
            (f64::NAN, "NaN"),
            (f64::INFINITY, "+Inf"),
            (f64::NEG_INFINITY, "-Inf"),
        ] {
            assert_eq!(GoFloat(v).to_string(), text);
        }
    }
}
