//! Pages in both formats, right and wrong, and pages that come back as they were written.

use proptest::prelude::*;

use super::*;

/// Prints what a page holds, one line an entry, errors included.
fn printed(format: Format, page: &str) -> String {
    let limits = Limits { max_line_bytes: 200, max_samples: 6, max_labels: 3, ..Limits::default() };
    let mut parser = Parser::new(page.as_bytes(), format, &limits).unwrap();
    let mut out = Vec::new();
    loop {
        match parser.next_entry() {
            Ok(None) => return out.join("\n"),
            Err(e) => out.push(e.to_string()),
            Ok(Some(Entry::Help { family, help })) => out.push(format!("help {family} {help:?}")),
            Ok(Some(Entry::Type { family, kind })) => out.push(format!("type {family} {kind:?}")),
            Ok(Some(Entry::Unit { family, unit })) => out.push(format!("unit {family} {unit}")),
            Ok(Some(Entry::Histogram(_))) => panic!("nobody asked for histograms"),
            Ok(Some(Entry::Sample(s))) => {
                let labels: Vec<_> = s.labels.iter().map(|(n, v)| format!("{n}={v:?}")).collect();
                let mut line = format!("{}[{}] {}", s.name, labels.join(" "), s.value);
                if let Some(t) = s.timestamp {
                    line += &format!(" @{t}");
                }
                if let Some(e) = s.exemplar {
                    let labels: Vec<_> = e.labels.iter().map(|(n, v)| format!("{n}={v:?}")).collect();
                    line += &format!(" exemplar[{}] {} {:?}", labels.join(" "), e.value, e.timestamp);
                }
                out.push(line);
            }
        }
    }
}

fn check(format: Format, page: &str, expected: &str) {
    assert_eq!(printed(format, page), expected, "{page:?}");
}

#[test]
fn text_lines() {
    let check = |page: &str, expected: &str| check(Format::Text, page, expected);
    check("", "");
    check(
        "# HELP a Some \\\\ text\\n\\\"here\\\"\n# TYPE a counter\na 1\n",
        "help a \"Some \\\\ text\\n\\\\\\\"here\\\\\\\"\"\ntype a Counter\na[] 1",
    );
    check("# just a comment\n#TYPE x gauge\n\n  a\t{ b = \"c\" , } 1e3 -5 \r\n", "type x Gauge\na[b=\"c\"] 1000 @-5");
    check("a{b=\"x\\\"\\\\\\n\\t\"} +Inf", "a[b=\"x\\\"\\\\\\n\\\\t\"] inf");
    check("a NaN 1700000000000", "a[] NaN @1700000000000");
    check("{\"http.requests\", \"service.name\"=\"a\",b=\"1\"} 2", "http.requests[service.name=\"a\" b=\"1\"] 2");
    check("# TYPE \"http.requests\" untyped", "type http.requests Unknown");
    check("a 1\nb x\nc 3", "a[] 1\nline 2: \"x\" is not a number\nc[] 3");
    check("a{b=\"1\",b=\"2\"} 1", "line 1: label b comes twice");
    check("a{b=\"1} 1", "line 1: a string is not closed by a double quote");
    check("a{b=\"1\" c=\"2\"} 1", "line 1: expected a comma or a closing brace, found \"c=\\\"2\\\"} 1\"");
    check("a{b} 1", "line 1: expected = after label b");
    check("{b=\"1\"} 1", "line 1: the sample has no metric name");
    check("a", "line 1: the end of the line is not a number");
    check("a 1 2 3", "line 1: unexpected text after the sample: \"3\"");
    check("a 1 1.5", "line 1: \"1.5\" is not a timestamp");
    check("1a 1", "line 1: expected a metric name, found \"1a 1\"");
    check("# TYPE a nonsense", "line 1: \"nonsense\" is not a metric type");
    check("a{b=\"1\",c=\"1\",d=\"1\",e=\"1\"} 1", "line 1: more than 3 labels");
    check(&format!("{} 1\na 1", "x".repeat(300)), "line 1: the line has 302 bytes, the limit is 200\na[] 1");
    check("a 1\n".repeat(8).as_str(), &("a[] 1\n".repeat(6) + "line 7: more than 6 samples"));
}

#[test]
fn openmetrics_lines() {
    let check = |page: &str, expected: &str| check(Format::OpenMetrics, page, expected);
    check(
        "# TYPE a counter\n# UNIT a_seconds seconds\na_total 1 1.5\n# EOF\n",
        "type a Counter\nunit a_seconds seconds\na_total[] 1 @1500",
    );
    check(
        "a_bucket{le=\"1\"} 3 # {trace_id=\"ab\"} 0.5 1700000000.123\n# EOF",
        "a_bucket[le=\"1\"] 3 exemplar[trace_id=\"ab\"] 0.5 Some(1700000000123)",
    );
    check("a 1 2 # {} 3\n# EOF", "a[] 1 @2000 exemplar[] 3 None");
    check("a 1\n", "a[] 1\nline 2: the page ends without # EOF");
    check("# EOF\na 1\n", "line 2: there is text after # EOF");
    check("a 1 # x\n# EOF", "line 1: an exemplar begins with its labels in braces");
    check("a 1 1e300\n# EOF", "line 1: \"1e300\" is not a timestamp");
}

#[test]
fn pages_that_are_not_text() {
    let limits = Limits { max_bytes: 10, ..Limits::default() };
    let error = |page: &[u8]| Parser::new(page, Format::Text, &limits).unwrap_err().to_string();
    assert_eq!(error(b"a 1\nb \xff"), "line 2: not valid UTF-8");
    assert_eq!(error(b"a 1\nbbbbbbbbb 2"), "line 1: the page has 15 bytes, the limit is 10");
}

fn name() -> impl Strategy<Value = String> {
    prop_oneof!["[a-z_:][a-z0-9_:]{0,8}", "\\PC{1,8}", Just("a\nb\"c\\d".to_owned())]
}

proptest! {
    #[test]
    fn arbitrary_bytes_never_panic(page in prop::collection::vec(any::<u8>(), 0..300), text in "[a-c{}=\",# \\\\\n0-9.eE+-]{0,200}") {
        for format in [Format::Text, Format::OpenMetrics] {
            for page in [&page[..], text.as_bytes()] {
                let Ok(mut parser) = Parser::new(page, format, &Limits::default()) else { continue };
                let mut entries = 0;
                while !matches!(parser.next_entry(), Ok(None)) {
                    entries += 1;
                    prop_assert!(entries <= page.len() + 1);
                }
            }
        }
    }

    #[test]
    fn what_is_written_parses(
        open in any::<bool>(), name in name(), labels in prop::collection::btree_map(name(), "\\PC{0,8}|\n|\"", 0..4),
        value in any::<f64>(), timestamp in prop::option::of(-1_000_000_000_000_000i64..1_000_000_000_000_000),
    ) {
        let format = if open { Format::OpenMetrics } else { Format::Text };
        let labels: Vec<(&str, &str)> = labels.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect();
        let mut encoder = Encoder::new(format);
        encoder.family(&name, MetricKind::Gauge, "help \\ \" \n", "");
        encoder.sample(&name, &labels, value, timestamp);
        let page = encoder.finish();
        let mut parser = Parser::new(page.as_bytes(), format, &Limits::default()).unwrap();
        let Ok(Some(Entry::Help { family, help })) = parser.next_entry() else { panic!("no help in {page:?}") };
        prop_assert_eq!((&*family, &*help), (&*name, "help \\ \" \n"));
        let Ok(Some(Entry::Type { family, .. })) = parser.next_entry() else { panic!("no type in {page:?}") };
        prop_assert_eq!(&*family, &*name);
        let Ok(Some(Entry::Sample(sample))) = parser.next_entry() else { panic!("no sample in {page:?}") };
        prop_assert_eq!(&*sample.name, &name);
        prop_assert!(sample.labels.iter().map(|(n, v)| (&**n, &**v)).eq(labels.iter().copied()));
        prop_assert!(sample.value == value || sample.value.is_nan() && value.is_nan());
        prop_assert_eq!(sample.timestamp, timestamp);
        prop_assert_eq!(parser.next_entry(), Ok(None));
    }
}

#[test]
fn composite_values_are_read_where_they_are_asked_for() {
    let read = |line: &str| {
        let limits = Limits::default();
        let parser = Parser::part(line.as_bytes(), 7, Format::OpenMetrics, &limits).unwrap();
        match parser.extended().next_entry() {
            Ok(Some(Entry::Histogram(h))) => Ok((h.labels.len(), *h.histogram, h.timestamp)),
            Ok(other) => panic!("{other:?}"),
            Err(error) => Err(error.to_string()),
        }
    };
    let (labels, histogram, time) =
        read("a{b=\"1\"} {count:3,sum:4.5,schema:0,positive_spans:[-1:2,3:1],positive_buckets:[1,1,1]} 1.5").unwrap();
    assert_eq!((labels, time, histogram.count, histogram.sum), (1, Some(1500), 3.0, 4.5));
    assert_eq!(histogram.positive_spans[1], sonde_model::Span { offset: 3, length: 1 });
    let wrong =
        |line: &str, expected: &str| assert_eq!(read(line).unwrap_err(), format!("line 8: {expected}"), "{line}");
    wrong("a {count:1", "a histogram is not closed by a brace");
    wrong("a{} {sum:1}", "a histogram has a count and a sum");
    wrong("a {count:1,sum:x}", "sum: \"x\" is not a number");
    wrong("a {count:1,sum:1,bees:2}", "a histogram has no field \"bees\"");
    wrong("a {count:1,sum:1,positive_spans:[1]}", "positive_spans: \"1\" is no span");
    wrong("a {count:1,sum:1,positive_spans:[0:1]}", "the spans hold 1 buckets, 0 are given");
    wrong("a {count:1,sum:1,positive_spans:[0:1", "a histogram is not closed by a brace");
    wrong("a {count:1,sum:1} 1 2", "unexpected text after the histogram: \"2\"");
    // A scrape has none.
    let mut parser = Parser::new(b"a {count:1,sum:1}\n", Format::Text, &Limits::default()).unwrap();
    assert!(parser.next_entry().is_err());
}

fn shown(exemplar: super::Exemplar<'_, '_>) -> (String, f64, Option<i64>) {
    let labels = exemplar.labels.iter().map(|(name, value)| (name.as_ref(), value.as_ref()));
    (sonde_model::Labels::from_pairs(labels).to_string(), exemplar.value, exemplar.timestamp)
}

#[test]
fn start_timestamps_stand_behind_the_time() {
    let read = |line: &str| {
        let limits = Limits::default();
        let mut parser = Parser::part(line.as_bytes(), 0, Format::OpenMetrics, &limits).unwrap().extended();
        match parser.next_entry() {
            Ok(Some(Entry::Sample(s))) => Ok((s.timestamp, s.start, s.exemplar.map(|e| e.value))),
            Ok(other) => panic!("{other:?}"),
            Err(error) => Err(error.reason),
        }
    };
    assert_eq!(read("a 1 2.5 st@1.25 # {} 3 4"), Ok((Some(2_500), Some(1_250), Some(3.0))));
    assert_eq!(read("a 1 st@1"), Ok((None, Some(1_000), None)));
    assert_eq!(read("a 1 # {} 3"), Ok((None, None, Some(3.0))));
    assert_eq!(read("a 1 2 st@x").unwrap_err(), "\"x\" is not a timestamp");
    assert_eq!(read("a 1 2 st@1 st@1").unwrap_err(), "unexpected text after the sample: \"st@1\"");
    // A scrape has none.
    let mut parser = Parser::new(b"a 1 2 st@1\n", Format::Text, &Limits::default()).unwrap();
    assert!(parser.next_entry().is_err());
}

proptest! {
    #[test]
    fn histograms_and_stale_markers_come_back(
        counts in prop::collection::vec(0.0f64..1e9, 0..6),
        sum in prop_oneof![any::<f64>(), Just(sonde_model::stale_nan())],
        schema in -4i32..=8,
        offset in -100i32..100,
        custom in any::<bool>(),
        hint in 0usize..4,
        time in -1_000_000_000_000i64..4_000_000_000_000,
    ) {
        use sonde_model::{CounterResetHint, Histogram, Span};
        let sum = if sum.is_nan() && !sonde_model::is_stale(sum) { f64::from_bits(sonde_model::NORMAL_NAN_BITS) } else { sum };
        let spans = if counts.is_empty() {
            vec![]
        } else {
            vec![Span { offset: if custom { 0 } else { offset }, length: counts.len() as u32 }]
        };
        let histogram = Histogram {
            schema: if custom { -53 } else { schema },
            reset_hint: [CounterResetHint::Unknown, CounterResetHint::Reset, CounterResetHint::NotReset, CounterResetHint::Gauge][hint],
            count: counts.iter().sum(),
            sum,
            zero_threshold: if custom { 0.0 } else { 1e-128 },
            negative_spans: if custom { vec![] } else { spans.clone() },
            negative_buckets: if custom { vec![] } else { counts.clone() },
            positive_spans: spans,
            custom_values: if custom { (0..counts.len()).map(|n| n as f64).collect() } else { vec![] },
            positive_buckets: counts,
            ..Histogram::default()
        };
        prop_assume!(histogram.validate().is_ok());
        let mut encoder = Encoder::new(Format::OpenMetrics);
        let labels: &[(&str, &str)] = if custom { &[] } else { &[("c", "d\n")] };
        let exemplar =
            sonde_model::Exemplar { labels: sonde_model::Labels::from_pairs([("a.b", "c\"d")]), value: sum.abs(), timestamp: time };
        let has_more = time % 2 == 0;
        let (start, exemplar) = (has_more.then_some(time - 7), Some(&exemplar).filter(|e| has_more && e.value.is_finite()));
        let tail = Tail { timestamp: Some(time), start, exemplar };
        encoder.histogram("a_b", labels, &histogram, tail);
        encoder.sample_with("c", labels, 1.5, Tail { timestamp: None, ..tail });
        encoder.stale("s", &[], Some(time));
        let page = encoder.finish();
        let mut parser = Parser::new(page.as_bytes(), Format::OpenMetrics, &Limits::default()).unwrap().extended();
        match parser.next_entry() {
            Ok(Some(Entry::Histogram(read))) => {
                prop_assert_eq!(format!("{:?}", read.histogram), format!("{histogram:?}"));
                prop_assert_eq!(read.histogram.sum.to_bits(), sum.to_bits());
                prop_assert_eq!((read.timestamp, read.start), (Some(time), start));
                prop_assert_eq!(read.labels.len(), labels.len());
                prop_assert_eq!(read.exemplar.map(shown), exemplar.map(|e| (e.labels.to_string(), e.value, Some(time))));
            }
            other => prop_assert!(false, "{page}: {other:?}"),
        }
        match parser.next_entry() {
            Ok(Some(Entry::Sample(s))) => {
                prop_assert_eq!((s.value, s.timestamp, s.start), (1.5, None, start));
                prop_assert_eq!(s.exemplar.map(shown), exemplar.map(|e| (e.labels.to_string(), e.value, Some(time))));
            }
            other => prop_assert!(false, "{page}: {other:?}"),
        }
        match parser.next_entry() {
            Ok(Some(Entry::Sample(s))) => prop_assert!(sonde_model::is_stale(s.value) && s.timestamp == Some(time)),
            other => prop_assert!(false, "{other:?}"),
        }
        prop_assert!(parser.next_entry().unwrap().is_none() && parser.has_ended());
    }
}
