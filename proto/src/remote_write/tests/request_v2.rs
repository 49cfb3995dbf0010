//! Remote write 2.0: the same decoder, with the owned messages of 2.0 as the oracle.

use proptest::prelude::*;
use prost::Message;

use super::*;

/// What a request of 2.0 says, spelled out by plain indexing; `None` where a reference is wrong.
fn spelled(request: &v2::Request) -> Option<Vec<TimeSeries>> {
    let labels = |refs: &[u32]| {
        let text = |at: u32| request.symbols.get(at as usize).cloned();
        let label = |pair: &[u32]| Some(Label { name: text(*pair.first()?)?, value: text(*pair.get(1)?)? });
        refs.chunks(2).map(label).collect::<Option<Vec<_>>>()
    };
    let exemplar =
        |e: &v2::Exemplar| Some(Exemplar { labels: labels(&e.labels_refs)?, value: e.value, timestamp: e.timestamp });
    let series = |series: &v2::TimeSeries| {
        Some(TimeSeries {
            labels: labels(&series.labels_refs)?,
            samples: series.samples.iter().map(|s| Sample { value: s.value, timestamp: s.timestamp }).collect(),
            exemplars: series.exemplars.iter().map(exemplar).collect::<Option<_>>()?,
            histograms: Vec::new(),
        })
    };
    request.timeseries.iter().map(series).collect()
}

proptest! {
    /// A request means the same in both versions.
    #[test]
    fn what_is_encoded_decodes(mut request in request()) {
        // Labels as many as are allowed may come to more than what the limits of the test allow spelled out.
        request.timeseries.truncate(4);
        let body = encode(&v2::Request::from(&request));
        let (series, _) = decode(Version::V2, &body).unwrap();
        prop_assert_eq!(series.len(), request.timeseries.len());
        for ((found, _), expected) in series.iter().zip(&request.timeseries) {
            prop_assert_eq!(bits(found), bits(expected));
        }
    }

    /// Bodies with bytes changed: what the borrowed decoder takes, the owned one takes with the same content.
    #[test]
    fn what_decodes_is_what_was_meant(request in request(), edits in edits()) {
        let body = edited(encode(&v2::Request::from(&request)), edits);
        if let Ok((series, _)) = decode(Version::V2, &body) {
            let oracle = match v2::Request::decode(body.as_slice()) {
                Ok(oracle) => oracle,
                // A symbol that nothing refers to is not looked at.
                Err(error) => {
                    prop_assert!(error.to_string().contains("not UTF-8"), "{error}");
                    return Ok(());
                }
            };
            let spelled = spelled(&oracle).expect("all references were there");
            prop_assert_eq!(series.len(), spelled.len());
            for ((found, histograms), (expected, owned)) in series.iter().zip(spelled.iter().zip(&oracle.timeseries)) {
                prop_assert_eq!(bits(found), bits(expected));
                prop_assert_eq!(histograms.len(), owned.histograms.len());
            }
        }
    }
}

fn encoded(symbols: &[&str], timeseries: Vec<v2::TimeSeries>) -> Vec<u8> {
    encode(&v2::Request { symbols: symbols.iter().map(|s| (*s).to_owned()).collect(), timeseries })
}

fn of_labels(labels_refs: Vec<u32>) -> v2::TimeSeries {
    v2::TimeSeries { labels_refs, ..v2::TimeSeries::default() }
}

#[test]
fn every_field_is_read() {
    let histogram = Histogram { start_timestamp: 5, ..super::histogram() };
    let series = v2::TimeSeries {
        labels_refs: vec![1, 2],
        samples: vec![v2::Sample { value: 1.5, timestamp: 7, start_timestamp: 3 }],
        histograms: vec![histogram],
        exemplars: vec![v2::Exemplar { labels_refs: vec![3, 4], value: 0.5, timestamp: 6 }],
        metadata: Some(v2::Metadata { kind: 1, help_ref: 5, unit_ref: 6 }),
        created_timestamp: 2,
    };
    let body = encoded(&["", "__name__", "up", "trace_id", "a1", "Help.", "s"], vec![series.clone(), series]);
    let limits = limits();
    let view = WriteRequestView::new(Version::V2, &body, &limits).unwrap();
    let mut metadata = view.series_metadata();
    let said = MetadataView { kind: 1, family: "up", help: "Help.", unit: "s" };
    for expected in [Some(said), None] {
        let series = view.series().next().unwrap().unwrap();
        assert_eq!(series.labels().collect::<Result<Vec<_>, _>>(), Ok(vec![("__name__", "up")]));
        let sample = SampleView { timestamp: 7, value: 1.5, start_timestamp: 3 };
        assert_eq!(series.samples().collect::<Result<Vec<_>, _>>(), Ok(vec![sample]));
        let found = series.histograms().next().unwrap().unwrap();
        assert_eq!((found.timestamp, found.start_timestamp, found.histogram.count), (77, 5, 12.0));
        let exemplar = series.exemplars().next().unwrap().unwrap();
        assert_eq!((exemplar.timestamp, exemplar.value), (6, 0.5));
        assert_eq!(exemplar.labels().collect::<Result<Vec<_>, _>>(), Ok(vec![("trace_id", "a1")]));
        assert_eq!(series.created_timestamp(), 2);
        assert_eq!(metadata.read(&series), Ok(expected), "what was said is not said again");
    }
    assert_eq!(view.metadata().count(), 0);
}

/// Symbols behind their series, references one by one and in pieces: legal protobuf that no sender writes.
#[test]
fn the_order_of_fields_does_not_matter() {
    let mut body = encode(&v2::Request { symbols: vec![], timeseries: vec![of_labels(vec![0, 1])] });
    body.extend(encoded(&["a", "b"], vec![]));
    let series = [0x08, 0x00, 0x10, 0x07, 0x0a, 0x02, 0x01, 0x00, 0x0a, 0x00, 0x08, 0x01];
    body.extend([0x2a, series.len() as u8]);
    body.extend(series);
    let limits = limits();
    let view = WriteRequestView::new(Version::V2, &body, &limits).unwrap();
    let labels = |at: usize| {
        let series = view.series().nth(at).unwrap().map_err(|e| e.to_string())?;
        series.labels().collect::<Result<Vec<_>, _>>().map_err(|e| e.to_string())
    };
    assert_eq!(labels(0), Ok(vec![("a", "b")]));
    // Field 2 is no message here, which is an error as it is in 1.0.
    assert_eq!(labels(1), Err("the body is not a remote write request".to_owned()));
    let at = body.len() - series.len() + 2;
    body[at] = 0x38;
    let view = WriteRequestView::new(Version::V2, &body, &limits).unwrap();
    let odd = view.series().nth(1).unwrap().unwrap();
    assert_eq!(odd.labels().collect::<Result<Vec<_>, _>>(), Ok(vec![("a", "b"), ("a", "b")]));
    assert_eq!((odd.label_count(), odd.label_bytes()), (2, None));
}

#[test]
fn references_are_checked_one_series_at_a_time() {
    let with_exemplar = |labels_refs| v2::TimeSeries {
        exemplars: vec![v2::Exemplar { labels_refs, value: 1.0, timestamp: 1 }],
        ..of_labels(vec![0, 0])
    };
    let with_metadata = |help_ref| v2::TimeSeries {
        metadata: Some(v2::Metadata { kind: 1, help_ref, unit_ref: 0 }),
        ..of_labels(vec![1, 2])
    };
    let mut body = encoded(
        &["", "__name__", "up"],
        vec![
            of_labels(vec![1, 2]),
            of_labels(vec![1, 3]),
            of_labels(vec![1, 2, 1]),
            of_labels(vec![u32::MAX, 0]),
            with_exemplar(vec![0, 9]),
            with_metadata(9),
            with_metadata(2),
        ],
    );
    body.extend([0x22, 1, 0xff]);
    let limits = limits();
    let view = WriteRequestView::new(Version::V2, &body, &limits).unwrap();
    assert_eq!(view.symbols().unwrap().iter().len(), 4);
    let mut metadata = view.series_metadata();
    let found: Vec<_> = view
        .series()
        .map(|series| {
            let series = series.unwrap();
            let exemplars = series.exemplars().all(|e| e.unwrap().labels().all(|l| l.is_ok()));
            let metadata = metadata.read(&series).map(|said| said.map(|said| said.help));
            (series.labels().last().unwrap().map_err(|e| e.to_string()), exemplars, metadata.map_err(|e| e.to_string()))
        })
        .collect();
    let beyond = || "invalid symbols: a reference goes beyond the table of symbols".to_owned();
    let up = || Ok(("__name__", "up"));
    let broken = "the body is not a remote write request".to_owned();
    assert_eq!(
        found,
        [
            (up(), true, Ok(None)),
            (Err(broken), true, Ok(None)),
            (Err("invalid symbols: the last label has no value".to_owned()), true, Ok(None)),
            (Err(beyond()), true, Ok(None)),
            (Ok(("", "")), false, Ok(None)),
            (up(), true, Err(beyond())),
            (up(), true, Ok(Some("up"))),
        ]
    );
}

#[test]
fn limits_hold_for_what_references_spell_out() {
    let check = |limits: Limits, symbols: &[&str], timeseries: Vec<v2::TimeSeries>, expected: &str| {
        let body = encoded(symbols, timeseries);
        let text = match WriteRequestView::new(Version::V2, &body, &limits) {
            Err(error) => error.to_string(),
            Ok(view) => {
                let mut metadata = view.series_metadata();
                let mut errors = view.series().filter_map(|series| series.and_then(|s| metadata.read(&s)).err());
                errors.next().map(|error| error.to_string()).unwrap_or_default()
            }
        };
        assert!(text.contains(expected) && text.is_empty() == expected.is_empty(), "{text:?}: {expected}");
    };
    let long = "x".repeat(150);
    let symbols = ["__name__", &long];
    let wide = Limits { max_body_bytes: 1_000, ..limits() };
    check(wide.clone(), &symbols, vec![of_labels(vec![0, 1]); 6], "");
    check(wide.clone(), &symbols, vec![of_labels(vec![0, 1]); 7], "1106 bytes of labels when they are spelled out");
    check(limits(), &symbols, vec![of_labels(vec![0, 1, 0, 1])], "316 bytes of labels in a series, the limit is 200");
    check(limits(), &symbols, vec![of_labels(vec![0; 13])], "7 labels in a series, the limit is 6");
    check(Limits { max_symbols: 1, ..limits() }, &symbols, vec![], "2 symbols, the limit is 1");
    check(limits(), &symbols, vec![of_labels(vec![]); 21], "21 series, the limit is 20");
    let samples = vec![v2::Sample::default(); 41];
    check(limits(), &[], vec![v2::TimeSeries { samples, ..of_labels(vec![]) }], "41 samples, the limit is 40");
    let exemplar = v2::Exemplar { labels_refs: vec![1, 1], value: 1.0, timestamp: 1 };
    let series = v2::TimeSeries { exemplars: vec![exemplar; 4], ..of_labels(vec![]) };
    check(wide.clone(), &symbols, vec![series], "1200 bytes of labels when they are spelled out");
    let saying = |kind| v2::TimeSeries {
        metadata: Some(v2::Metadata { kind, help_ref: 1, unit_ref: 1 }),
        ..of_labels(vec![0, 0])
    };
    check(wide.clone(), &symbols, (1..4).map(saying).collect(), "");
    check(wide.clone(), &symbols, (1..5).map(saying).collect(), "1232 bytes of metadata when it is spelled out");
    check(wide, &symbols, vec![saying(1); 6], "");
}
