//! What is written is read back, by the crate's own reader.

use std::fs::File;

use parquet::file::reader::{FileReader, SerializedFileReader};
use parquet::record::{Field, Row, RowAccessor};
use sonde_model::{CounterResetHint, Histogram, Labels, STALE_NAN_BITS, Span};

use super::super::super::args::Compression;
use super::*;

fn histogram(count: f64) -> Histogram {
    Histogram {
        schema: 0,
        count,
        sum: 12.5,
        zero_threshold: 0.5,
        zero_count: 1.0,
        positive_spans: vec![Span { offset: 1, length: 2 }],
        positive_buckets: vec![2.0, count - 5.0],
        negative_spans: vec![Span { offset: 2, length: 1 }],
        negative_buckets: vec![2.0],
        reset_hint: CounterResetHint::NotReset,
        ..Histogram::default()
    }
}

fn series(metric: &str, job: &str) -> Series {
    let labels = Labels::from_pairs([("__name__", metric), ("job", job)]);
    Series { labels, ..Series::default() }
}

/// Writes the series and gives the sizes of the row groups and the rows.
fn written(all: &[Series], compressed: bool, limits: Limits) -> (Vec<i64>, Vec<Row>) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("all.parquet");
    let mut writer = Writer::new(Output::create(&path, Compression::None).unwrap(), compressed).unwrap();
    writer.limits = limits;
    for series in all {
        writer.series(series).unwrap();
    }
    writer.finish().unwrap();
    let reader = SerializedFileReader::new(File::open(&path).unwrap()).unwrap();
    let groups = reader.metadata().row_groups().iter().map(|group| group.num_rows()).collect();
    let rows = reader.get_row_iter(None).unwrap().map(|row| row.unwrap()).collect();
    (groups, rows)
}

#[test]
fn each_row_is_a_sample() {
    let mut floats = series("up", "a \"quoted\" näme");
    floats.floats.push_started(1_700_000_000_123, 1_600_000_000_000, 1.5);
    floats.floats.push(1_700_000_015_123, f64::from_bits(STALE_NAN_BITS));
    floats.floats.push(1_700_000_030_123, f64::NEG_INFINITY);
    let mut histograms = series("sizes", "b");
    histograms.histograms.push(5, histogram(10.0));
    histograms.histograms.push(6, Histogram { schema: 3, ..Histogram::default() });
    histograms.floats.push(7, -0.0);
    for compressed in [true, false] {
        let (groups, rows) = written(&[floats.clone(), histograms.clone()], compressed, Limits::default());
        assert_eq!(groups, [6]);
        let texts: Vec<_> = rows.iter().map(|row| (row.get_string(0).unwrap(), row.get_string(1).unwrap())).collect();
        assert_eq!(texts[0], (&"up".to_owned(), &r#"{"job":"a \"quoted\" näme"}"#.to_owned()));
        assert_eq!(texts[5], (&"sizes".to_owned(), &r#"{"job":"b"}"#.to_owned()));
        let times: Vec<i64> = rows.iter().map(|row| row.get_timestamp_millis(2).unwrap()).collect();
        assert_eq!(times, [1_700_000_000_123, 1_700_000_015_123, 1_700_000_030_123, 5, 6, 7]);
        assert_eq!(rows[0].get_timestamp_millis(3).unwrap(), 1_600_000_000_000);
        let is_null = |row: usize, column: usize| {
            let (_, field) = rows[row].get_column_iter().nth(column).unwrap();
            matches!(field, Field::Null)
        };
        assert!(is_null(1, 3) && is_null(3, 3), "no start is known");
        let bits: Vec<u64> = [0, 1, 2, 5].iter().map(|row| rows[*row].get_double(4).unwrap().to_bits()).collect();
        assert_eq!(bits, [1.5, f64::from_bits(STALE_NAN_BITS), f64::NEG_INFINITY, -0.0].map(f64::to_bits));
        assert!(is_null(3, 4), "a histogram has no value");
        assert!((5..12).all(|column| is_null(0, column)), "a value has no histogram");
        let doubles = |row: usize| [5, 6, 8, 9].map(|column| rows[row].get_double(column).unwrap());
        assert_eq!(doubles(3), [10.0, 12.5, 0.5, 1.0]);
        assert_eq!((rows[3].get_int(7).unwrap(), rows[4].get_int(7).unwrap()), (0, 3));
        assert_eq!(rows[3].get_string(10).unwrap(), "no");
        let buckets = rows[3].get_list(11).unwrap();
        let buckets: Vec<[f64; 3]> = buckets
            .elements()
            .iter()
            .map(|bucket| {
                let Field::Group(bucket) = bucket else { panic!("{bucket:?} is no bucket") };
                [0, 1, 2].map(|i| bucket.get_double(i).unwrap())
            })
            .collect();
        assert_eq!(buckets, [[-4.0, -2.0, 2.0], [-0.5, 0.5, 1.0], [1.0, 2.0, 2.0], [2.0, 4.0, 5.0]]);
        assert!(rows[4].get_list(11).unwrap().elements().is_empty(), "no buckets, which is not no histogram");
    }
}

#[test]
fn row_groups_are_bounded() {
    let limits = Limits { rows: 5_000, bytes: 1 << 20 };
    let mut long = series("long", "a");
    for i in 0..6_000 {
        long.floats.push(i * 1_000, i as f64);
    }
    let (groups, rows) = written(&[long, series("empty", "b")], true, limits);
    assert_eq!(groups, [5_000, 1_000]);
    let sum: f64 = rows.iter().map(|row| row.get_double(4).unwrap()).sum();
    assert_eq!((rows.len(), sum), (6_000, 5_999.0 * 3_000.0));
    assert_eq!(rows[5_999].get_string(0).unwrap(), "long");

    // Histograms take more than floats: the bytes end their groups.
    let mut wide = series("wide", "a");
    let buckets = 500;
    for i in 0..200 {
        wide.histograms.push(
            i,
            Histogram {
                schema: 8,
                positive_spans: vec![Span { offset: 0, length: buckets }],
                positive_buckets: vec![1.0; buckets as usize],
                ..Histogram::default()
            },
        );
    }
    let (groups, _) = written(&[wide], true, limits);
    assert!(groups.len() == 3 && groups.iter().sum::<i64>() == 200, "{groups:?}");

    assert_eq!(written(&[], true, limits).0, [0; 0], "a file of nothing is a file");
}
