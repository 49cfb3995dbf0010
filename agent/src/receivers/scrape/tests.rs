//! From the text of a page to the series that are stored, by the translation that the collector does.

use sonde_proto::exposition::Format;
use sonde_translate::{Options, Row, RowValue, Sink, translate};

use super::*;

const TIME_NS: i64 = 1_700_000_000_000_000_000;

fn page(text: &str, format: Format, labels: &TargetLabels) -> Page {
    Page::read(text.as_bytes(), format, &Limits::default(), labels, TIME_NS, true).unwrap()
}

/// Series as lines: `name{labels} value @ms # {labels} value @ms`, times only if they are their own.
struct Lines(Vec<String>);

impl Sink for Lines {
    fn row(&mut self, row: Row<'_>) {
        let RowValue::Float(value) = row.value else { panic!("{row:?}") };
        let (name, labels): (Vec<_>, Vec<_>) = row.labels.iter().partition(|(name, _)| *name == "__name__");
        let labels: Vec<_> = labels.iter().map(|(name, value)| format!("{name}={value:?}")).collect();
        let value = if sonde_model::is_stale(value) { "stale".to_owned() } else { value.to_string() };
        let since = if row.times.start == 0 { String::new() } else { format!(" since {}", row.times.start) };
        self.0.push(format!("{}{{{}}} {value}{}{since}", name[0].1, labels.join(","), own_time(row.times.timestamp)));
    }

    fn exemplar(&mut self, exemplar: sonde_model::Exemplar) {
        let sonde_model::Exemplar { labels, value, timestamp } = exemplar;
        let line = self.0.last_mut().expect("its sample");
        line.push_str(&format!(" # {labels} {value}{}", own_time(timestamp)));
    }
}

fn own_time(ms: i64) -> String {
    if ms == TIME_NS / 1_000_000 { String::new() } else { format!(" @{ms}") }
}

/// The series of metrics as the collector makes them, sorted.
fn stored(metrics: Vec<Metric>) -> Vec<String> {
    let mut lines = Lines(Vec::new());
    for metrics in shape::batches(metrics, 3) {
        let scope_metrics = vec![ScopeMetrics { metrics, ..ScopeMetrics::default() }];
        let resource_metrics = vec![ResourceMetrics { scope_metrics, ..ResourceMetrics::default() }];
        let request = ExportMetricsServiceRequest { resource_metrics };
        let report = translate(&request, &Options::default(), &mut lines);
        assert_eq!(report.rejected, []);
    }
    lines.0.sort();
    lines.0
}

fn check(text: &str, format: Format, expected: &[&str]) {
    let metrics = Tracker::default().follow(page(text, format, &TargetLabels::new(&BTreeMap::new())), TIME_NS);
    let mut expected: Vec<_> = expected.iter().map(|line| (*line).to_owned()).collect();
    expected.sort();
    assert_eq!(stored(metrics), expected, "{text}");
}

#[test]
fn names_values_and_times_come_back_as_they_were() {
    check(
        "# HELP http_requests_total Requests.\n# TYPE http_requests_total counter\n\
         http_requests_total{code=\"200\"} 12\nhttp_requests_total{code=\"500\"} 3 1699999999123\n\
         # TYPE old_counter counter\nold_counter 7\n# TYPE temp gauge\ntemp NaN\ntemp{where=\"out\"} -Inf\n\
         untyped__with___underscores 1\n_leading 2\n# TYPE size_bytes gauge\nsize_bytes{a=\"1\",empty=\"\"} 1.5e3\n\
         app:recorded:rate5m 4\n",
        Format::Text,
        &[
            "http_requests_total{code=\"200\"} 12",
            "http_requests_total{code=\"500\"} 3 @1699999999123",
            "old_counter{} 7",
            "temp{} NaN",
            "temp{where=\"out\"} -inf",
            "untyped__with___underscores{} 1",
            "_leading{} 2",
            "size_bytes{a=\"1\"} 1500",
            "app:recorded:rate5m{} 4",
        ],
    );
}

#[test]
fn histograms_and_summaries_are_put_together_and_taken_apart_again() {
    check(
        "# TYPE took_seconds histogram\ntook_seconds_bucket{le=\"0.1\",path=\"/\"} 3\n\
         took_seconds_bucket{le=\"2.5\",path=\"/\"} 5\ntook_seconds_bucket{le=\"+Inf\",path=\"/\"} 9\n\
         took_seconds_sum{path=\"/\"} 31.5\ntook_seconds_count{path=\"/\"} 9\n\
         # TYPE gc_seconds summary\ngc_seconds{quantile=\"0.5\"} 0.25\ngc_seconds{quantile=\"1\"} NaN\n\
         gc_seconds_sum 4\ngc_seconds_count 8\n",
        Format::Text,
        &[
            "took_seconds_bucket{le=\"0.1\",path=\"/\"} 3",
            "took_seconds_bucket{le=\"2.5\",path=\"/\"} 5",
            "took_seconds_bucket{le=\"+Inf\",path=\"/\"} 9",
            "took_seconds_sum{path=\"/\"} 31.5",
            "took_seconds_count{path=\"/\"} 9",
            "gc_seconds{quantile=\"0.5\"} 0.25",
            "gc_seconds{quantile=\"1\"} NaN",
            "gc_seconds_sum{} 4",
            "gc_seconds_count{} 8",
        ],
    );
}

#[test]
fn what_is_no_whole_histogram_is_kept_sample_by_sample() {
    for text in [
        // Falling counts, a count that differs from the last bucket, a bucket without a bound, a fraction, no count.
        "a_bucket{le=\"1\"} 5\na_bucket{le=\"2\"} 3\na_bucket{le=\"+Inf\"} 6\na_count 6\n",
        "a_bucket{le=\"1\"} 5\na_bucket{le=\"+Inf\"} 6\na_count 7\n",
        "a_bucket{le=\"x\"} 5\na_bucket{le=\"+Inf\"} 6\na_count 6\n",
        "a_bucket{le=\"1\"} 0.5\na_bucket{le=\"+Inf\"} 6\na_count 6\n",
        "a_bucket{le=\"1\"} 5\na_sum 9\n",
    ] {
        let expected: Vec<String> = text
            .lines()
            .map(|line| if line.contains('{') { line.to_owned() } else { line.replacen(' ', "{} ", 1) })
            .collect();
        let expected: Vec<&str> = expected.iter().map(String::as_str).collect();
        check(&format!("# TYPE a histogram\n{text}"), Format::Text, &expected);
    }
    check("# TYPE s summary\ns{quantile=\"0.5\"} 3\n", Format::Text, &["s{quantile=\"0.5\"} 3"]);
}

#[test]
fn open_metrics_families_are_found_without_their_suffix() {
    check(
        "# TYPE req counter\n# UNIT req seconds\nreq_total{a=\"b\"} 5 1699999999.5\nreq_created{a=\"b\"} 100\n\
         # TYPE build info\nbuild_info{version=\"1\"} 1\n# TYPE state stateset\nstate{state=\"on\"} 1\n# EOF\n",
        Format::OpenMetrics,
        &[
            "req_total{a=\"b\"} 5 @1699999999500 since 100000",
            "req_created{a=\"b\"} 100",
            "build_info{version=\"1\"} 1",
            "state{state=\"on\"} 1",
        ],
    );
}

#[test]
fn created_lines_say_since_when_is_counted() {
    check(
        "# TYPE h histogram\nh_bucket{le=\"1\"} 1\nh_bucket{le=\"+Inf\"} 2\nh_sum 3\nh_count 2\nh_created 1.5\n\
         # TYPE s summary\ns_created{a=\"b\"} 2\ns{a=\"b\",quantile=\"0.5\"} 1\ns_sum{a=\"b\"} 1\ns_count{a=\"b\"} 1\n\
         # TYPE c counter\nc_total{a=\"b\"} 1\nc_total{a=\"c\"} 1\nc_created{a=\"c\"} 9e9\n# TYPE g gauge\ng 1\ng_created 1\n# EOF\n",
        Format::OpenMetrics,
        &[
            "h_bucket{le=\"1\"} 1 since 1500",
            "h_bucket{le=\"+Inf\"} 2 since 1500",
            "h_sum{} 3 since 1500",
            "h_count{} 2 since 1500",
            "h_created{} 1.5",
            "s{a=\"b\",quantile=\"0.5\"} 1 since 2000",
            "s_sum{a=\"b\"} 1 since 2000",
            "s_count{a=\"b\"} 1 since 2000",
            "s_created{a=\"b\"} 2",
            "c_total{a=\"b\"} 1",
            // It would begin after it was seen.
            "c_total{a=\"c\"} 1",
            "c_created{a=\"c\"} 9000000000",
            "g{} 1",
            "g_created{} 1",
        ],
    );
}

#[test]
fn exemplars_go_along() {
    let id = "0af7651916cd43dd8448eb211c80319c";
    let page_of = |untimed: &str| {
        format!(
            "# TYPE req counter\nreq_total 5 # {{trace_id=\"{id}\",span_id=\"b7ad6b7169203331\"}} 1 1699999999.123\n\
             other_total 1 # {{trace_id=\"{untimed}\",user=\"7\"}} 0.5\n\
             long_total 1 # {{trace_id=\"{}\"}} 0.5\n# TYPE took histogram\n\
             took_bucket{{le=\"1\"}} 3 # {{}} 0.5 1699999999\ntook_bucket{{le=\"+Inf\"}} 4 # {{traceID=\"{untimed}\"}} 3\n\
             # TYPE torn histogram\ntorn_bucket{{le=\"1\"}} 3 # {{a=\"b\"}} 0.5 1699999999\n# EOF\n",
            "x".repeat(121)
        )
    };
    let req = "req_total{} 5 # {span_id=\"b7ad6b7169203331\", trace_id=\"0af7651916cd43dd8448eb211c80319c\"} 1 @1699999999123";
    let lines = |other: &str, last: &str| {
        let lines = [
            "long_total{} 1",
            &format!("other_total{{}} 1{other}"),
            req,
            &format!("took_bucket{{le=\"+Inf\"}} 4{last}"),
            "took_bucket{le=\"1\"} 3 # {} 0.5 @1699999999000",
            "took_count{} 4",
            "torn_bucket{le=\"1\"} 3 # {a=\"b\"} 0.5 @1699999999000",
        ];
        lines.map(str::to_owned)
    };
    let target = TargetLabels::new(&BTreeMap::new());
    let mut tracker = Tracker::default();
    for (untimed, is_new) in [("1", true), ("1", false), ("UPPER", true), ("1", true)] {
        let page = page(&page_of(untimed), Format::OpenMetrics, &target);
        assert_eq!((page.exemplars, page.long_exemplars), (6, 1));
        let expected = if is_new {
            let other = format!(" # {{trace_id=\"{untimed}\", user=\"7\"}} 0.5");
            lines(&other, &format!(" # {{traceID=\"{untimed}\"}} 3"))
        } else {
            lines("", "")
        };
        assert_eq!(stored(tracker.follow(page, TIME_NS)), expected);
    }
}

#[test]
fn a_series_that_vanishes_gets_a_stale_marker_once() {
    let target = TargetLabels::new(&BTreeMap::from([("team".to_owned(), "a".to_owned())]));
    let mut tracker = Tracker::default();
    let first = "# TYPE c counter\nc 1\ngone{x=\"y\"} 2\ntimed 3 1699999999000\n\
                 # TYPE h histogram\nh_bucket{le=\"1\"} 1\nh_bucket{le=\"+Inf\"} 2\nh_sum 3\nh_count 2\n\
                 # TYPE s summary\ns{quantile=\"0.5\"} 1\ns_sum 1\ns_count 1\n";
    assert_eq!(stored(tracker.follow(page(first, Format::Text, &target), TIME_NS)).len(), 10);
    let second = "# TYPE c counter\nc 2\n";
    assert_eq!(
        stored(tracker.follow(page(second, Format::Text, &target), TIME_NS)),
        [
            "c{team=\"a\"} 2",
            "gone{team=\"a\",x=\"y\"} stale",
            "h_bucket{le=\"+Inf\",team=\"a\"} stale",
            "h_bucket{le=\"1\",team=\"a\"} stale",
            "h_count{team=\"a\"} stale",
            "h_sum{team=\"a\"} stale",
            "s_count{team=\"a\"} stale",
            "s_sum{team=\"a\"} stale",
            "s{quantile=\"0.5\",team=\"a\"} stale",
        ]
    );
    assert_eq!(stored(tracker.follow(page(second, Format::Text, &target), TIME_NS)), ["c{team=\"a\"} 2"]);
    // The target goes down: everything ends, and it ends once.
    assert_eq!(stored(tracker.follow(Page::default(), TIME_NS)), ["c{team=\"a\"} stale"]);
    assert_eq!(stored(tracker.follow(Page::default(), TIME_NS)), [""; 0]);
}

#[test]
fn a_sample_that_stands_twice_counts_once() {
    let target = TargetLabels::new(&BTreeMap::new());
    let mut tracker = Tracker::default();
    assert_eq!(stored(tracker.follow(page("a 1\nb 2\na 3\n", Format::Text, &target), TIME_NS)), ["a{} 1", "b{} 2"]);
    assert_eq!((tracker.take_duplicates(), tracker.take_duplicates()), (1, 0));
}

#[test]
fn times_of_the_page_can_be_left_aside() {
    let target = TargetLabels::new(&BTreeMap::new());
    let read = Page::read(b"a 1 1699999999000\n", Format::Text, &Limits::default(), &target, TIME_NS, false).unwrap();
    assert_eq!(stored(Tracker::default().follow(read, TIME_NS)), ["a{} 1"]);
}

#[test]
fn instances_are_host_and_port() {
    for (url, instance) in [
        ("http://127.0.0.1:9100/metrics", "127.0.0.1:9100"),
        ("https://host/metrics?a=b", "host"),
        ("http://[::1]:9100", "[::1]:9100"),
    ] {
        assert_eq!(instance_of(url), instance);
    }
    assert!(spread("http://a/metrics", SPREAD) < SPREAD);
}
