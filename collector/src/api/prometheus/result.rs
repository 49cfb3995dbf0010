//! Writes values of queries as Prometheus's API has them.

use sonde_model::{Histogram, Labels, Series, TimestampMs};
use sonde_promql::{SampleValue, Value, VectorSample};

use crate::api::json::JsonWriter;

/// Writes `"resultType":...,"result":...`. What is written of a large answer is let go, so that not all of it is in memory
/// twice.
pub(super) fn write_value(json: &mut JsonWriter, value: Value) {
    json.key("resultType").string(value.kind()).raw(",").key("result");
    match value {
        Value::Scalar { t, v } => {
            json.raw("[").timestamp(t).raw(",").value(v).raw("]");
        }
        Value::String { t, s } => {
            json.raw("[").timestamp(t).raw(",").string(&s).raw("]");
        }
        Value::Vector(samples) => write_each(json, samples, |json, sample| write_sample(json, &sample)),
        Value::Matrix(series) => write_each(json, series, |json, series| write_series(json, &series)),
    }
}

/// Writes an array.
pub(super) fn write_list<T>(json: &mut JsonWriter, items: &[T], write: impl FnMut(&mut JsonWriter, &T)) {
    write_each(json, items, write);
}

fn write_each<T>(json: &mut JsonWriter, items: impl IntoIterator<Item = T>, mut write: impl FnMut(&mut JsonWriter, T)) {
    json.raw("[");
    for (i, item) in items.into_iter().enumerate() {
        if i > 0 {
            json.raw(",");
        }
        write(json, item);
    }
    json.raw("]");
}

/// Writes a label set as an object.
pub(super) fn write_labels(json: &mut JsonWriter, labels: &Labels) {
    json.object(labels.iter());
}

fn write_sample(json: &mut JsonWriter, sample: &VectorSample) {
    json.raw("{").key("metric");
    write_labels(json, &sample.labels);
    match &sample.value {
        SampleValue::Float(v) => {
            json.raw(",").key("value");
            write_float_point(json, sample.t, *v);
        }
        SampleValue::Histogram(h) => {
            json.raw(",").key("histogram");
            write_histogram_point(json, sample.t, h);
        }
    }
    json.raw("}");
}

fn write_series(json: &mut JsonWriter, series: &Series) {
    json.raw("{").key("metric");
    write_labels(json, &series.labels);
    if !series.floats.is_empty() {
        json.raw(",").key("values").raw("[");
        for (i, (t, v)) in series.floats.timestamps.iter().zip(&series.floats.values).enumerate() {
            if i > 0 {
                json.raw(",");
            }
            write_float_point(json, *t, *v);
        }
        json.raw("]");
    }
    if !series.histograms.is_empty() {
        json.raw(",").key("histograms").raw("[");
        for (i, (t, h)) in series.histograms.timestamps.iter().zip(&series.histograms.values).enumerate() {
            if i > 0 {
                json.raw(",");
            }
            write_histogram_point(json, *t, h);
        }
        json.raw("]");
    }
    json.raw("}");
}

fn write_float_point(json: &mut JsonWriter, t: TimestampMs, v: f64) {
    json.point(t, v);
}

/// Writes a histogram: each bucket with a number that says which of its bounds belong to it (0: the upper, 1: the
/// lower, 2: neither, 3: both). Empty buckets are left out.
fn write_histogram_point(json: &mut JsonWriter, t: TimestampMs, h: &Histogram) {
    json.raw("[").timestamp(t).raw(",{").key("count").value(h.count).raw(",").key("sum").value(h.sum);
    let mut any = false;
    for bucket in h.all_buckets() {
        if bucket.count == 0.0 {
            continue;
        }
        let rule = match (bucket.lower_inclusive, bucket.upper_inclusive) {
            (false, true) => 0,
            (true, false) => 1,
            (false, false) => 2,
            (true, true) => 3,
        };
        json.raw(if any { "," } else { r#","buckets":["# });
        any = true;
        json.raw("[").integer(rule);
        for bound in [bucket.lower, bucket.upper, bucket.count] {
            json.raw(",").value(bound);
        }
        json.raw("]");
    }
    json.raw(if any { "]}]" } else { "}]" });
}

#[cfg(test)]
mod tests {
    use sonde_model::{FloatColumn, HistogramColumn, Span};

    use super::*;

    fn check(value: Value, expected: &str) {
        let mut json = JsonWriter::new();
        json.raw("{");
        write_value(&mut json, value);
        json.raw("}");
        let text = json.into_string();
        assert_eq!(text, expected);
        serde_json::from_str::<serde_json::Value>(&text).expect("valid JSON");
    }

    fn histogram() -> Histogram {
        Histogram {
            schema: 0,
            zero_threshold: 0.001,
            zero_count: 2.0,
            count: 10.0,
            sum: 18.5,
            positive_spans: vec![Span { offset: 0, length: 3 }],
            positive_buckets: vec![1.0, 0.0, 4.0],
            negative_spans: vec![Span { offset: 0, length: 1 }],
            negative_buckets: vec![3.0],
            ..Histogram::default()
        }
    }

    #[test]
    fn values_are_written_as_prometheus_does() {
        let labels = Labels::from_pairs([("__name__", "up"), ("job", "a\"b")]);
        check(Value::Scalar { t: 1_500, v: f64::NAN }, r#"{"resultType":"scalar","result":[1.500,"NaN"]}"#);
        check(Value::String { t: 0, s: "é\n".into() }, r#"{"resultType":"string","result":[0,"é\n"]}"#);
        check(Value::Vector(vec![]), r#"{"resultType":"vector","result":[]}"#);
        let float = VectorSample { labels: labels.clone(), t: 1_000, value: SampleValue::Float(0.25) };
        let native =
            VectorSample { labels: Labels::empty(), t: 1_000, value: SampleValue::Histogram(Box::new(histogram())) };
        check(
            Value::Vector(vec![float, native]),
            concat!(
                r#"{"resultType":"vector","result":[{"metric":{"__name__":"up","job":"a\"b"},"value":[1,"0.25"]},"#,
                r#"{"metric":{},"histogram":[1,{"count":"10","sum":"18.5","buckets":[[1,"-1","-0.5","3"],"#,
                r#"[3,"-0.001","0.001","2"],[0,"0.5","1","1"],[0,"2","4","4"]]}]}]}"#
            ),
        );
        let series = Series {
            labels,
            floats: FloatColumn { timestamps: vec![0, 1], values: vec![1.0, 2.5], ..FloatColumn::default() },
            histograms: HistogramColumn {
                timestamps: vec![2],
                values: vec![Histogram::default()],
                ..HistogramColumn::default()
            },
        };
        check(
            Value::Matrix(vec![series]),
            concat!(
                r#"{"resultType":"matrix","result":[{"metric":{"__name__":"up","job":"a\"b"},"#,
                r#""values":[[0,"1"],[0.001,"2.5"]],"histograms":[[0.002,{"count":"0","sum":"0"}]]}]}"#
            ),
        );
    }
}
