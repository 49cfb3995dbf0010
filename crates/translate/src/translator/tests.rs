//! Requests as data, and the rows that come of them.

use std::collections::HashMap;
use std::hash::BuildHasher;

use foldhash::fast::FixedState;
use proptest::prelude::*;
use sonde_model::{Labels, is_stale};
use sonde_proto::otlp::common::{AnyValue, InstrumentationScope, KeyValue, any_value::Value};
use sonde_proto::otlp::metrics::{
    Exemplar, ExponentialHistogram, ExponentialHistogramDataPoint, Gauge, Histogram, HistogramDataPoint, Metric,
    NumberDataPoint, ResourceMetrics, ScopeMetrics, Sum, Summary, SummaryDataPoint, exemplar,
    exponential_histogram_data_point::Buckets, metric::Data, number_data_point, summary_data_point::ValueAtQuantile,
};
use sonde_proto::otlp::resource::Resource;
use sonde_proto::otlp::{ExportMetricsServiceRequest, Message};

use super::*;
use crate::{Promotion, Row, RowValue, SeriesKey, Strategy, Times};

const MS: u64 = 1_000_000;

fn attributes(pairs: &[(&str, &str)]) -> Vec<KeyValue> {
    let pair = |(key, value): &(&str, &str)| KeyValue {
        key: (*key).to_owned(),
        value: Some(AnyValue { value: Some(Value::StringValue((*value).to_owned())) }),
        ..KeyValue::default()
    };
    pairs.iter().map(pair).collect()
}

fn metric(name: &str, unit: &str, data: Data) -> Metric {
    Metric { name: name.to_owned(), unit: unit.to_owned(), data: Some(data), ..Metric::default() }
}

fn number(labels: &[(&str, &str)], time_ms: u64, value: f64) -> NumberDataPoint {
    NumberDataPoint {
        attributes: attributes(labels),
        time_unix_nano: time_ms * MS,
        value: Some(number_data_point::Value::AsDouble(value)),
        ..NumberDataPoint::default()
    }
}

fn gauge(points: Vec<NumberDataPoint>) -> Data {
    Data::Gauge(Gauge { data_points: points })
}

fn sum(temporality: i32, is_monotonic: bool, points: Vec<NumberDataPoint>) -> Data {
    Data::Sum(Sum { data_points: points, aggregation_temporality: temporality, is_monotonic })
}

fn request(resource: &[(&str, &str)], metrics: Vec<Metric>) -> ExportMetricsServiceRequest {
    let scope = InstrumentationScope {
        name: "scope".to_owned(),
        version: "1".to_owned(),
        attributes: attributes(&[("lang", "rust")]),
        ..InstrumentationScope::default()
    };
    ExportMetricsServiceRequest {
        resource_metrics: vec![ResourceMetrics {
            resource: Some(Resource { attributes: attributes(resource), ..Resource::default() }),
            scope_metrics: vec![ScopeMetrics { scope: Some(scope), metrics, schema_url: "url".to_owned() }],
            ..ResourceMetrics::default()
        }],
    }
}

/// What came of a request.
#[derive(Debug, Default, PartialEq)]
struct Translated {
    rows: Vec<String>,
    metadata: Vec<(String, MetricKind, String)>,
    report: Report,
}

/// Collects rows as text; proves of each that its labels are sorted, unique and not empty.
#[derive(Default)]
struct Collect {
    rows: Vec<String>,
    metadata: Vec<(String, MetricKind, String)>,
    /// The series by their keys; `None` for a sink that knows nothing.
    known: Option<HashMap<SeriesKey, String>>,
    taken: usize,
    holding: Holding,
    /// Rows before the resource whose samples are held.
    before: usize,
    /// Resources that came again.
    again: usize,
}

/// What a sink does with the samples of a resource.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Holding {
    /// It does not hold them.
    #[default]
    Never,
    /// It will hold those of the next one.
    Ready,
    /// All were known so far.
    Sound,
    Spoiled,
}

impl Collect {
    fn push(&mut self, series: &str, Times { timestamp, start }: Times, value: &RowValue) {
        let since = if start == 0 { String::new() } else { format!(" since {start}") };
        let value = match value {
            RowValue::Float(value) if is_stale(*value) => "stale".to_owned(),
            RowValue::Float(value) => value.to_string(),
            RowValue::FloatDelta(value) => format!("+{value}"),
            RowValue::Histogram(h) if h.is_stale() => "stale histogram".to_owned(),
            RowValue::Histogram(h) => format!("{h:?}"),
            RowValue::HistogramDelta(h) => format!("+{h:?}"),
        };
        self.rows.push(format!("{series} {value} @{timestamp}{since}"));
    }
}

impl Sink for Collect {
    fn hash(&mut self, piece: Piece, bytes: &[u8]) -> Option<u128> {
        self.known.as_ref()?;
        let half = |salt: u8| u128::from(FixedState::with_seed(7).hash_one((salt, piece as u8, bytes)));
        Some(half(1) << 64 | half(2))
    }

    fn hold(&mut self) {
        if self.holding == Holding::Ready {
            (self.holding, self.before) = (Holding::Sound, self.rows.len());
        }
    }

    fn settle(&mut self) -> bool {
        let is_known = self.holding != Holding::Spoiled;
        if !is_known {
            self.rows.truncate(self.before);
            self.again += 1;
        }
        if self.holding != Holding::Never {
            self.holding = Holding::Ready;
        }
        is_known
    }

    fn take(&mut self, key: SeriesKey, times: Times, value: RowValue) -> Option<RowValue> {
        if let Holding::Sound | Holding::Spoiled = self.holding {
            match self.known.as_ref().and_then(|known| known.get(&key)).cloned() {
                Some(series) => self.push(&series, times, &value),
                None => self.holding = Holding::Spoiled,
            }
            return None;
        }
        let Some(series) = self.known.as_ref().and_then(|known| known.get(&key)).cloned() else { return Some(value) };
        self.taken += 1;
        self.push(&series, times, &value);
        None
    }

    fn row(&mut self, row: Row<'_>) {
        if let Holding::Sound | Holding::Spoiled = self.holding {
            self.holding = Holding::Spoiled;
            return;
        }
        assert!(row.labels.windows(2).all(|pair| pair[0].0 < pair[1].0), "{:?}", row.labels);
        assert!(row.labels.iter().all(|(name, value)| !name.is_empty() && !value.is_empty()), "{:?}", row.labels);
        let series = Labels::from_sorted(row.labels).to_string();
        self.push(&series, row.times, &row.value);
        if let (Some(known), Some(key)) = (&mut self.known, row.key) {
            let before = known.insert(key, series.clone());
            assert!(before.is_none_or(|before| before == series), "one key for two series: {series}");
        }
    }

    fn exemplar(&mut self, e: sonde_model::Exemplar) {
        let text = format!(" # {} {} @{}", e.labels, e.value, e.timestamp);
        if self.holding == Holding::Spoiled {
            return;
        }
        self.rows.last_mut().expect("a sample before it").push_str(&text);
    }

    fn describe(&mut self, metric: MetricMetadata<'_>) {
        self.metadata.push((metric.family.to_owned(), metric.kind, metric.unit.to_owned()));
    }
}

/// Translates with a sink that knows nothing, with one that learns and with ones that hold what they take: all must say the
/// same.
fn translated(request: &ExportMetricsServiceRequest, options: &Options) -> Translated {
    let body = request.encode_to_vec();
    let mut translator = Translator::new(options.clone());
    let mut run = |known, holding| {
        let mut sink = Collect { known, holding, ..Collect::default() };
        let report = translator.translate(MetricsRequestView::new(&body), &mut sink).expect("valid");
        let Collect { rows, metadata, known, taken, again, .. } = sink;
        (Translated { rows, metadata, report }, known, taken, again)
    };
    let (ignorant, ..) = run(None, Holding::Never);
    let (learning, known, ..) = run(Some(HashMap::new()), Holding::Never);
    let (knowing, known, taken, _) = run(known, Holding::Never);
    assert_eq!(ignorant, learning);
    assert_eq!(ignorant, knowing);
    // The same where the samples of a resource are held until it is known whether all are of known series.
    let (held, _, _, again) = run(known.clone(), Holding::Ready);
    assert_eq!(ignorant, held);
    // Points that are left out, and those whose attributes are joined, never become known.
    let is_sound = ignorant.report.colliding_attributes == 0 && ignorant.report.rejected.is_empty();
    assert!(again == 0 || !is_sound, "what is known came again");
    let half = known.clone().map(|known| known.into_iter().step_by(2).collect());
    assert_eq!(ignorant, run(half, Holding::Ready).0);
    assert_eq!(ignorant, run(Some(HashMap::new()), Holding::Ready).0);
    if ignorant.report.colliding_attributes == 0 {
        assert!(taken > 0 || known.is_some_and(|known| known.is_empty()), "what was learned was not used");
    }
    ignorant
}

fn check_with(options: &Options, resource: &[(&str, &str)], metrics: Vec<Metric>, expected: &[&str]) -> Translated {
    let translated = translated(&request(resource, metrics), options);
    assert_eq!(translated.rows, expected);
    translated
}

fn check(metrics: Vec<Metric>, expected: &[&str]) -> Translated {
    check_with(&Options::default(), &[], metrics, expected)
}

#[test]
fn numbers() {
    let int = NumberDataPoint { value: Some(number_data_point::Value::AsInt(-3)), ..number(&[("a.b", "1")], 7, 0.0) };
    let stale = NumberDataPoint { flags: 1, value: None, ..number(&[], 8, 0.0) };
    let Translated { report, metadata, .. } = check(
        vec![
            metric("cpu.load", "1", gauge(vec![int, stale])),
            metric("requests", "{request}", sum(2, true, vec![number(&[("b", "2"), ("a", "1")], 7, 1.5)])),
            metric("queue.size", "By", sum(2, false, vec![number(&[("empty", "")], 7, 4.0)])),
            metric("delta", "s", sum(1, true, vec![number(&[], 7, 2.0)])),
            metric("delta.level", "s", sum(1, false, vec![number(&[], 7, -2.0)])),
        ],
        &[
            "cpu_load_ratio{a_b=\"1\"} -3 @7",
            "cpu_load_ratio stale @8",
            "requests_total{a=\"1\", b=\"2\"} 1.5 @7",
            "queue_size_bytes 4 @7",
            "delta_seconds_total +2 @7",
            "delta_level_seconds +-2 @7",
        ],
    );
    assert_eq!((report.points, report.rejected_points()), (6, 0));
    let metadata: Vec<_> =
        metadata.iter().map(|(family, kind, unit)| (family.as_str(), *kind, unit.as_str())).collect();
    assert_eq!(
        metadata,
        [
            ("cpu_load_ratio", MetricKind::Gauge, ""),
            ("requests_total", MetricKind::Counter, ""),
            ("queue_size_bytes", MetricKind::Gauge, "bytes"),
            ("delta_seconds_total", MetricKind::Counter, "seconds"),
            ("delta_level_seconds", MetricKind::Gauge, "seconds"),
        ]
    );
}

fn exemplar(value: f64, time_ms: u64, id: u8, filtered: &[(&str, &str)]) -> Exemplar {
    Exemplar {
        filtered_attributes: attributes(filtered),
        time_unix_nano: time_ms * MS,
        span_id: if id == 0 { Vec::new() } else { vec![id; 8] },
        trace_id: if id == 0 { vec![0; 16] } else { vec![id; 16] },
        value: Some(exemplar::Value::AsDouble(value)),
    }
}

#[test]
fn exemplars_go_with_the_sample_that_they_stand_for() {
    let ids = |id: &str| format!("span_id=\"{}\", trace_id=\"{}\"", id.repeat(8), id.repeat(16));
    let whole = Exemplar { value: Some(exemplar::Value::AsInt(3)), ..exemplar(0.0, 5, 1, &[]) };
    let without_value = Exemplar { value: None, ..exemplar(0.0, 5, 2, &[]) };
    let long = "x".repeat(62);
    let counted = NumberDataPoint {
        exemplars: vec![
            whole,
            without_value,
            exemplar(0.5, 0, 0, &[("user.id", "7"), ("empty", ""), ("", "nameless")]),
            exemplar(0.5, 6, 2, &[("trace_id", "not mine"), ("user", "8")]),
            exemplar(0.5, 6, 2, &[("user", &long)]),
        ],
        ..number(&[], 7, 1.0)
    };
    let took = HistogramDataPoint {
        exemplars: [5.0, 0.1, 1e9, 0.05, f64::NAN].map(|value| exemplar(value, 8, 0, &[])).to_vec(),
        ..histogram_point(&[0.1, 5.0], &[2, 1, 2])
    };
    let spread = ExponentialHistogramDataPoint {
        time_unix_nano: 9 * MS,
        exemplars: vec![exemplar(2.0, 8, 3, &[])],
        ..ExponentialHistogramDataPoint::default()
    };
    let spread = ExponentialHistogram { aggregation_temporality: 2, data_points: vec![spread] };
    let took = Histogram { aggregation_temporality: 2, data_points: vec![took] };
    let metrics = vec![
        metric("requests", "1", sum(2, true, vec![counted])),
        metric("took", "s", Data::Histogram(took)),
        metric("spread", "", Data::ExponentialHistogram(spread)),
    ];
    let nameless = NumberDataPoint {
        attributes: attributes(&[("..", "x")]),
        exemplars: vec![exemplar(1.0, 5, 1, &[])],
        ..number(&[], 7, 1.0)
    };
    let metrics = [metrics, vec![metric("nameless", "", gauge(vec![nameless]))]].concat();
    let Translated { rows, report, .. } = translated(&request(&[], metrics), &Options::default());
    let of = |name: &str| -> Vec<&str> {
        let rows = rows.iter().filter(|row| row.starts_with(name));
        rows.flat_map(|row| row.split(" # ").skip(1)).collect()
    };
    let (one, two, three) = (ids("01"), ids("02"), ids("03"));
    assert_eq!(
        of("requests_total"),
        [
            "{\"user.id\"=\"7\"} 0.5 @7".to_owned(),
            format!("{{{two}, user=\"8\"}} 0.5 @6"),
            format!("{{{two}}} 0.5 @6"),
            format!("{{{one}}} 3 @5"),
        ]
    );
    assert_eq!(of("spread"), [format!("{{{three}}} 2 @8")]);
    assert_eq!(of("took_seconds_bucket{le=\"0.1\""), ["{} 0.05 @8", "{} 0.1 @8"]);
    assert_eq!(of("took_seconds_bucket{le=\"5\""), ["{} 5 @8"]);
    assert_eq!(of("took_seconds_bucket{le=\"+Inf\""), ["{} 1000000000 @8", "{} NaN @8"]);
    assert_eq!((of("took_seconds_count").len(), of("took_seconds_sum").len()), (0, 0));
    assert_eq!(report.exemplars_without_point, 1);
    assert_eq!((report.exemplars, report.trimmed_exemplars, report.exemplars_without_value), (11, 1, 1));
}

fn histogram_point(bounds: &[f64], buckets: &[u64]) -> HistogramDataPoint {
    HistogramDataPoint {
        attributes: attributes(&[("zone", "a"), ("le", "mine")]),
        time_unix_nano: 9 * MS,
        count: buckets.iter().sum(),
        sum: Some(12.5),
        explicit_bounds: bounds.to_vec(),
        bucket_counts: buckets.to_vec(),
        ..HistogramDataPoint::default()
    }
}

fn histogram(temporality: i32, points: Vec<HistogramDataPoint>) -> Data {
    Data::Histogram(Histogram { data_points: points, aggregation_temporality: temporality })
}

#[test]
fn explicit_histograms() {
    check(
        vec![metric("latency", "s", histogram(2, vec![histogram_point(&[0.005, 1.0, 1e21], &[1, 2, 3, 4])]))],
        &[
            "latency_seconds_count{zone=\"a\"} 10 @9",
            "latency_seconds_sum{zone=\"a\"} 12.5 @9",
            "latency_seconds_bucket{le=\"0.005\", zone=\"a\"} 1 @9",
            "latency_seconds_bucket{le=\"1\", zone=\"a\"} 3 @9",
            "latency_seconds_bucket{le=\"1000000000000000000000\", zone=\"a\"} 6 @9",
            "latency_seconds_bucket{le=\"+Inf\", zone=\"a\"} 10 @9",
        ],
    );
    let no_sum = HistogramDataPoint { sum: None, ..histogram_point(&[], &[3]) };
    let own_infinity = HistogramDataPoint { sum: None, ..histogram_point(&[1.0, f64::INFINITY], &[1, 2, 0]) };
    check(
        vec![metric("h", "", histogram(1, vec![no_sum, own_infinity]))],
        &[
            "h_count{zone=\"a\"} +3 @9",
            "h_bucket{le=\"+Inf\", zone=\"a\"} +3 @9",
            "h_count{zone=\"a\"} +3 @9",
            "h_bucket{le=\"1\", zone=\"a\"} +1 @9",
            "h_bucket{le=\"+Inf\", zone=\"a\"} +3 @9",
        ],
    );
    let stale = HistogramDataPoint { flags: 1, sum: None, ..histogram_point(&[1.0], &[0, 0]) };
    check(
        vec![metric("h", "", histogram(1, vec![stale]))],
        &[
            "h_count{zone=\"a\"} stale @9",
            "h_sum{zone=\"a\"} stale @9",
            "h_bucket{le=\"1\", zone=\"a\"} stale @9",
            "h_bucket{le=\"+Inf\", zone=\"a\"} stale @9",
        ],
    );
}

#[test]
fn bad_points_are_left_out_one_by_one() {
    let good = number(&[("a", "1")], 7, 1.0);
    let no_value = NumberDataPoint { value: None, ..good.clone() };
    let no_time = NumberDataPoint { time_unix_nano: 0, ..good.clone() };
    let bad_label = number(&[("..", "1")], 7, 1.0);
    let many: Vec<String> = (0..257).map(|i| format!("k{i}")).collect();
    let many: Vec<(&str, &str)> = many.iter().map(|key| (key.as_str(), "v")).collect();
    let too_many = number(&many, 7, 1.0);
    let uneven = HistogramDataPoint { bucket_counts: vec![1], ..histogram_point(&[1.0], &[1, 1]) };
    let falling = histogram_point(&[2.0, 1.0], &[1, 1, 1]);
    let not_a_number = histogram_point(&[f64::NAN], &[1, 1]);
    let overflowing = HistogramDataPoint { bucket_counts: vec![u64::MAX, 1], ..histogram_point(&[1.0], &[1, 1]) };
    let too_full = HistogramDataPoint { count: 1, ..histogram_point(&[1.0], &[1, 1]) };
    let Translated { report, .. } = check(
        vec![
            metric("m", "", gauge(vec![no_value, no_time, bad_label, too_many, good.clone()])),
            metric("...", "", gauge(vec![good.clone(), good.clone()])),
            metric("unspecified", "", sum(0, true, vec![good.clone()])),
            metric("strange", "", sum(77, true, vec![good.clone()])),
            Metric { name: "newer".to_owned(), ..Metric::default() },
            metric("h", "", histogram(2, vec![uneven, falling, not_a_number, overflowing, too_full])),
            metric("after", "", gauge(vec![good])),
        ],
        &["m{a=\"1\"} 1 @7", "after{a=\"1\"} 1 @7"],
    );
    assert_eq!(report.points, 2);
    let rejected: Vec<_> = report.rejected.iter().map(|(reason, count)| (reason.as_str(), *count)).collect();
    assert_eq!(
        rejected,
        [
            ("no_value", 1),
            ("missing_timestamp", 1),
            ("invalid_label_name", 1),
            ("too_many_labels", 1),
            ("invalid_metric_name", 2),
            ("unspecified_temporality", 2),
            ("unknown_type", 1),
            ("invalid_buckets", 5),
        ]
    );
    assert_eq!(report.rejected_points(), 14);
}

fn exponential(scale: i32, positive: (i32, &[u64]), negative: (i32, &[u64])) -> ExponentialHistogramDataPoint {
    let buckets = |(offset, counts): (i32, &[u64])| Some(Buckets { offset, bucket_counts: counts.to_vec() });
    ExponentialHistogramDataPoint {
        time_unix_nano: 5 * MS,
        count: positive.1.iter().chain(negative.1).sum::<u64>() + 2,
        sum: Some(3.5),
        zero_count: 2,
        scale,
        positive: buckets(positive),
        negative: buckets(negative),
        ..ExponentialHistogramDataPoint::default()
    }
}

/// Checks what becomes of one point: schema, spans and buckets of both sides.
#[test]
fn a_scraped_metric_keeps_the_name_of_its_page() {
    for name in ["old_counter", "a__b", "_leading", "x_ratio", "app:rate5m"] {
        let metadata = attributes(&[("prometheus.name", name), ("prometheus.type", "counter")]);
        let scraped = Metric { metadata, ..metric(name, "", sum(2, true, vec![number(&[], 1, 2.0)])) };
        check(vec![scraped], &[&format!("{name} 2 @1")]);
    }
}

fn check_native(point: ExponentialHistogramDataPoint, expected: Result<&str, &str>) {
    let data =
        Data::ExponentialHistogram(ExponentialHistogram { data_points: vec![point], aggregation_temporality: 2 });
    let mut found = Vec::new();
    let report =
        crate::translate(&request(&[], vec![metric("h", "", data)]), &Options::default(), &mut |row: Row<'_>| {
            let RowValue::Histogram(h) = row.value else { panic!("{row:?}") };
            let side = |spans: &[sonde_model::Span], buckets: &[f64]| {
                let spans: Vec<_> = spans.iter().map(|s| format!("{}+{}", s.offset, s.length)).collect();
                format!("[{}]{buckets:?}", spans.join(" "))
            };
            let positive = side(&h.positive_spans, &h.positive_buckets);
            let negative = side(&h.negative_spans, &h.negative_buckets);
            found.push(format!("{} {positive} {negative} zero {} {:e}", h.schema, h.zero_count, h.zero_threshold));
        });
    match expected {
        Ok(expected) => assert_eq!(found, [expected]),
        Err(reason) => {
            let rejected: Vec<_> = report.rejected.iter().map(|(reason, _)| reason.as_str()).collect();
            assert_eq!((found.len(), rejected), (0, vec![reason]));
        }
    }
}

#[test]
fn exponential_histograms() {
    let none: (i32, &[u64]) = (0, &[]);
    // OTLP's bucket 0 is Prometheus's bucket 1.
    check_native(exponential(0, (0, &[1, 2]), none), Ok("0 [1+2][1.0, 2.0] [][] zero 2 1e-128"));
    check_native(exponential(3, (-5, &[1]), (-5, &[2, 3])), Ok("3 [-4+1][1.0] [-4+2][2.0, 3.0] zero 2 1e-128"));
    // Leading and trailing empty buckets are not written; gaps up to two are filled, wider ones open a span.
    check_native(
        exponential(0, (0, &[0, 1, 0, 0, 2, 0, 0, 0, 3, 0]), none),
        Ok("0 [2+4 3+1][1.0, 0.0, 0.0, 2.0, 3.0] [][] zero 2 1e-128"),
    );
    // Scale 10 to 8 merges four buckets each, also across zero: indices -5..=4 fall into -2, -1, 0 and 1.
    check_native(
        exponential(10, (-5, &[1, 2, 3, 4, 5, 6, 7, 8, 9, 10]), none),
        Ok("8 [-1+4][1.0, 14.0, 30.0, 10.0] [][] zero 2 1e-128"),
    );
    check_native(
        exponential(i32::MAX, (i32::MIN, &[1]), (i32::MAX, &[1])),
        Ok("8 [0+1][1.0] [1+1][1.0] zero 2 1e-128"),
    );
    check_native(exponential(-4, (0, &[1]), none), Ok("-4 [1+1][1.0] [][] zero 2 1e-128"));
    check_native(exponential(-5, (0, &[1]), none), Err("unsupported_scale"));
    check_native(exponential(i32::MIN, (0, &[1]), none), Err("unsupported_scale"));
    check_native(exponential(0, (i32::MAX, &[1]), none), Err("invalid_histogram"));
    check_native(exponential(0, (i32::MIN, &[1]), none), Ok("0 [-2147483647+1][1.0] [][] zero 2 1e-128"));
    let wide = ExponentialHistogramDataPoint { zero_threshold: 0.5, ..exponential(0, (0, &[1]), none) };
    check_native(wide.clone(), Ok("0 [1+1][1.0] [][] zero 2 5e-1"));
    check_native(ExponentialHistogramDataPoint { zero_threshold: -0.5, ..wide.clone() }, Err("invalid_histogram"));
    check_native(ExponentialHistogramDataPoint { count: 1, ..wide.clone() }, Err("invalid_histogram"));
    check_native(ExponentialHistogramDataPoint { zero_count: u64::MAX, ..wide.clone() }, Err("invalid_histogram"));
    let stale = ExponentialHistogramDataPoint { flags: 1, scale: -100, ..wide };
    let data =
        Data::ExponentialHistogram(ExponentialHistogram { data_points: vec![stale], aggregation_temporality: 1 });
    check(vec![metric("h", "", data)], &["h stale histogram @5"]);
}

#[test]
fn delta_exponential_histograms_stay_deltas() {
    let data_points = vec![exponential(0, (0, &[1]), (0, &[]))];
    let data = Data::ExponentialHistogram(ExponentialHistogram { data_points, aggregation_temporality: 1 });
    let mut deltas = 0;
    crate::translate(&request(&[], vec![metric("h", "", data)]), &Options::default(), &mut |row: Row<'_>| {
        deltas += u32::from(matches!(row.value, RowValue::HistogramDelta(h) if h.count == 3.0));
    });
    assert_eq!(deltas, 1);
}

#[test]
fn summaries() {
    let quantile_values =
        vec![ValueAtQuantile { quantile: 0.5, value: 3.0 }, ValueAtQuantile { quantile: 0.99, value: 9.0 }];
    let point = SummaryDataPoint {
        time_unix_nano: 5 * MS,
        count: 4,
        sum: 10.5,
        quantile_values,
        attributes: attributes(&[("a", "1"), ("z", "2")]),
        ..SummaryDataPoint::default()
    };
    let stale = SummaryDataPoint { flags: 1, quantile_values: vec![], ..point.clone() };
    check(
        vec![metric("s", "ms", Data::Summary(Summary { data_points: vec![point, stale] }))],
        &[
            "s_milliseconds_count{a=\"1\", z=\"2\"} 4 @5",
            "s_milliseconds_sum{a=\"1\", z=\"2\"} 10.5 @5",
            "s_milliseconds{a=\"1\", quantile=\"0.5\", z=\"2\"} 3 @5",
            "s_milliseconds{a=\"1\", quantile=\"0.99\", z=\"2\"} 9 @5",
            "s_milliseconds_count{a=\"1\", z=\"2\"} stale @5",
            "s_milliseconds_sum{a=\"1\", z=\"2\"} stale @5",
        ],
    );
}

#[test]
fn what_counts_tells_since_when() {
    let started = |point: NumberDataPoint| NumberDataPoint { start_time_unix_nano: 5 * MS, ..point };
    let points = || vec![started(number(&[], 7, 1.0))];
    let counted = HistogramDataPoint { start_time_unix_nano: 4 * MS, ..histogram_point(&[0.5], &[1, 2]) };
    check(
        vec![
            metric("a", "", sum(2, true, points())),
            metric("b", "", sum(2, false, points())),
            metric("c", "", sum(1, true, points())),
            metric("d", "", gauge(points())),
            metric("h", "", histogram(2, vec![HistogramDataPoint { attributes: vec![], sum: None, ..counted }])),
        ],
        &[
            "a_total 1 @7 since 5",
            "b 1 @7",
            "c_total +1 @7",
            "d 1 @7",
            "h_count 3 @9 since 4",
            "h_bucket{le=\"0.5\"} 1 @9 since 4",
            "h_bucket{le=\"+Inf\"} 3 @9 since 4",
        ],
    );
}

#[test]
fn job_instance_and_target_info() {
    let points = || vec![metric("m", "", gauge(vec![number(&[("job", "mine")], 7, 1.0)]))];
    let identity = [("service.name", "api"), ("service.namespace", "shop"), ("service.instance.id", "i-1")];
    let default = Options::default();
    check_with(&default, &identity, points(), &["m{instance=\"i-1\", job=\"shop/api\"} 1 @7"]);
    check_with(&default, &[("service.name", "api")], points(), &["m{job=\"api\"} 1 @7"]);
    check_with(&default, &[("host.name", "h")], points(), &["m{job=\"mine\"} 1 @7"]);
    let whole = [&identity[..], &[("host.name", "h"), ("host_name", "g")]].concat();
    let Translated { metadata, .. } = check_with(
        &default,
        &whole,
        points(),
        &[
            "m{instance=\"i-1\", job=\"shop/api\"} 1 @7",
            "target_info{host_name=\"h;g\", instance=\"i-1\", job=\"shop/api\"} 1 @7",
        ],
    );
    assert_eq!(metadata.last(), Some(&("target_info".to_owned(), MetricKind::Info, String::new())));
    check_with(
        &Options { keep_identifying_resource_attributes: true, ..Options::default() },
        &[("service.name", "api"), ("x", "y")],
        points(),
        &["m{job=\"api\"} 1 @7", "target_info{job=\"api\", service_name=\"api\", x=\"y\"} 1 @7"],
    );
    check_with(
        &Options { target_info: false, ..Options::default() },
        &whole,
        points(),
        &["m{instance=\"i-1\", job=\"shop/api\"} 1 @7"],
    );
}

#[test]
fn target_info_spans_the_points_of_a_request() {
    let resource = [("service.name", "api"), ("x", "y")];
    let times = |list: &[u64]| vec![metric("m", "", gauge(list.iter().map(|t| number(&[], *t, 1.0)).collect()))];
    let infos = |request: &ExportMetricsServiceRequest| -> Vec<String> {
        let rows = translated(request, &Options::default()).rows;
        rows.iter()
            .filter(|row| row.starts_with("target_info"))
            .map(|row| row.rsplit('@').next().unwrap().to_owned())
            .collect()
    };
    assert_eq!(infos(&request(&resource, times(&[400_000, 1, 5]))), ["1", "150001", "300001", "400000"]);
    // The same resource twice in a request is written once a time.
    let mut twice = request(&resource, times(&[1, 5]));
    twice.resource_metrics.push(twice.resource_metrics[0].clone());
    assert_eq!(infos(&twice), ["1", "5"]);
    // Points decades apart do not become millions of samples.
    let far = infos(&request(&resource, times(&[1, 1_700_000_000_000])));
    assert_eq!((far.len(), far.last().map(String::as_str)), (1_001, Some("1700000000000")));
}

#[test]
fn attributes_that_fall_together_are_joined_in_the_order_of_their_keys() {
    let points =
        vec![number(&[("a_b", "3"), ("a-b", "1"), ("c", "x"), ("a.b", "2")], 7, 1.0), number(&[("a.b", "2")], 7, 1.0)];
    let Translated { report, .. } =
        check(vec![metric("m", "", gauge(points))], &["m{a_b=\"1;2;3\", c=\"x\"} 1 @7", "m{a_b=\"2\"} 1 @7"]);
    assert_eq!(report.colliding_attributes, 1);
    let points = vec![number(&[("__name__", "fake"), ("Upper", "x")], 7, 1.0)];
    check(vec![metric("m", "", gauge(points))], &["m{Upper=\"x\"} 1 @7"]);
}

#[test]
fn promotion_and_scope() {
    let resource = [("service.name", "api"), ("host.name", "h"), ("region", "r"), ("le", "promoted")];
    let points = || vec![metric("m", "", gauge(vec![number(&[("region", "own")], 7, 1.0)]))];
    let quiet = Options { target_info: false, ..Options::default() };
    let only = Promotion::Only(vec!["host.name".to_owned(), "region".to_owned(), "absent".to_owned()]);
    check_with(
        &Options { promote_resource_attributes: only, ..quiet.clone() },
        &resource,
        points(),
        &["m{host_name=\"h\", job=\"api\", region=\"own\"} 1 @7"],
    );
    let all = Promotion::AllExcept(vec!["host.name".to_owned()]);
    check_with(
        &Options { promote_resource_attributes: all.clone(), ..quiet.clone() },
        &resource,
        vec![metric(
            "h",
            "",
            histogram(2, vec![HistogramDataPoint { sum: None, attributes: vec![], ..histogram_point(&[], &[1]) }]),
        )],
        &[
            "h_count{job=\"api\", region=\"r\", service_name=\"api\"} 1 @9",
            "h_bucket{job=\"api\", le=\"+Inf\", region=\"r\", service_name=\"api\"} 1 @9",
        ],
    );
    check_with(
        &Options { promote_scope: true, ..quiet.clone() },
        &resource,
        points(),
        &[
            "m{job=\"api\", otel_scope_lang=\"rust\", otel_scope_name=\"scope\", otel_scope_schema_url=\"url\", otel_scope_version=\"1\", region=\"own\"} 1 @7",
        ],
    );
    check_with(
        &Options { strategy: Strategy::NoUtf8EscapingWithSuffixes, ..Options::default() },
        &[("service.name", "api"), ("host.name", "h")],
        vec![metric("http.requests", "1", sum(2, true, vec![number(&[("http.method", "GET")], 7, 1.0)]))],
        &[
            "{\"http.requests_total\", \"http.method\"=\"GET\", job=\"api\"} 1 @7",
            "target_info{\"host.name\"=\"h\", job=\"api\"} 1 @7",
        ],
    );
}

proptest! {
    /// Whatever the names, values and counts are: no panic, labels stay sorted, every point is counted once.
    #[test]
    fn any_request_is_translated_or_counted(
        names in prop::collection::vec("\\PC{0,6}", 1..4), keys in prop::collection::vec("[a-c._]{0,3}", 0..6),
        scale in any::<i32>(), offset in any::<i32>(), counts in prop::collection::vec(prop_oneof![0u64..4, any::<u64>()], 0..30),
        bounds in prop::collection::vec(any::<f64>(), 0..4), time in prop_oneof![Just(0u64), any::<u64>()],
        strategy in prop_oneof![
            Just(Strategy::UnderscoreEscapingWithSuffixes), Just(Strategy::UnderscoreEscapingWithoutSuffixes),
            Just(Strategy::NoUtf8EscapingWithSuffixes), Just(Strategy::NoTranslation),
        ],
    ) {
        let keys: Vec<(&str, &str)> = keys.iter().map(|key| (key.as_str(), "v")).collect();
        let point = ExponentialHistogramDataPoint {
            attributes: attributes(&keys), time_unix_nano: time, scale, count: 100,
            positive: Some(Buckets { offset, bucket_counts: counts.clone() }), ..ExponentialHistogramDataPoint::default()
        };
        let explicit = HistogramDataPoint {
            attributes: attributes(&keys), time_unix_nano: time, count: 50,
            bucket_counts: counts, explicit_bounds: bounds, ..HistogramDataPoint::default()
        };
        let mut metrics = Vec::new();
        for name in &names {
            let data_points = vec![point.clone()];
            metrics.push(metric(name, name, gauge(vec![number(&keys, 3, 1.0)])));
            metrics.push(metric(name, name, histogram(2, vec![explicit.clone()])));
            metrics.push(metric(name, name, Data::ExponentialHistogram(ExponentialHistogram { data_points, aggregation_temporality: 1 })));
        }
        let options = Options { strategy, ..Options::default() };
        let Translated { report, .. } = translated(&request(&[("service.name", "x"), ("y", "z")], metrics), &options);
        prop_assert_eq!(report.points + report.rejected_points(), 3 * names.len() as u64);
    }

    /// Nobody proves a request before it is translated: whatever its bytes are, it ends in rows or in an error, and what is
    /// translated of changed bytes is what the generated messages make of them.
    #[test]
    fn broken_bytes_are_translated_as_prost_decodes_them(
        edits in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>(), 0u8..3), 0..4), cut in 0usize..2_000,
    ) {
        let points = vec![number(&[("a", "1"), ("b.c", "ü")], 7, 1.0)];
        let metrics = vec![
            metric("m", "s", sum(2, true, points)),
            metric("h", "", histogram(2, vec![histogram_point(&[0.5], &[1, 2])])),
        ];
        let mut body = request(&[("service.name", "x"), ("y", "z")], metrics).encode_to_vec();
        for (at, byte, edit) in edits {
            let at = at.index(body.len());
            match edit {
                0 => body[at] = byte,
                1 => body.insert(at, byte),
                _ => drop(body.remove(at)),
            }
        }
        body.truncate(cut);
        let rows_of = |body: &[u8]| {
            let mut rows = Vec::new();
            let mut sink = |row: Row<'_>| rows.push(format!("{row:?}"));
            let report = Translator::default().translate(MetricsRequestView::new(body), &mut sink);
            report.map(|report| (report, rows))
        };
        if let (Ok(translated), Ok(decoded)) = (rows_of(&body), ExportMetricsServiceRequest::decode(&body[..])) {
            prop_assert_eq!(Ok(translated), rows_of(&decoded.encode_to_vec()));
        }
    }
}
