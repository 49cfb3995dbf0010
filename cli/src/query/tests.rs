//! Answers and what is shown of them.

use serde_json::{Value, json};

use super::answer::Answer;
use super::client::{Range, Request};
use super::mistakes::check_expression;
use super::{chart, csv, table, time};

fn answer(data: &Value) -> Answer {
    Answer::read(data).expect("an answer")
}

/// Compares drawn text with what is expected, whose lines end with `|` so that their ends can be seen.
#[track_caller]
fn check(drawn: &str, expected: &str) {
    let shown: String = drawn.lines().map(|line| format!("{line}|\n")).collect();
    assert_eq!(shown.trim_end(), expected.trim_matches('\n').trim_end(), "\n{drawn}");
}

#[test]
fn an_instant_vector_is_a_table() {
    let data = json!({"resultType": "vector", "result": [
        {"metric": {"__name__": "up", "job": "node", "instance": "a:9100"}, "value": [1700000000.5, "1"]},
        {"metric": {"__name__": "up", "job": "sonde-collector"}, "value": [1700000000.5, "0.25"]},
        {"metric": {"job": "h"}, "histogram": [1700000000, {"count": "3", "sum": "1.5", "buckets": [[0, "1", "2", "3"]]}]},
    ]});
    check(
        &table::draw(&answer(&data)),
        "
METRIC  instance  job                                  VALUE|
up      a:9100    node                                     1|
up                sonde-collector                       0.25|
                  h                count=3 sum=1.5 buckets=1|
",
    );
}

#[test]
fn scalars_strings_and_nothing() {
    check(&table::draw(&answer(&json!({"resultType": "scalar", "result": [1, "42"]}))), "VALUE|\n   42|");
    check(&table::draw(&answer(&json!({"resultType": "string", "result": [1, "a b"]}))), "VALUE|\n  a b|");
    check(&table::draw(&answer(&json!({"resultType": "vector", "result": []}))), "no series|");
    assert!(Answer::read(&json!({"resultType": "cube"})).is_err());
    assert!(Answer::read(&json!({"resultType": "vector", "result": [{"metric": {}, "value": [1]}]})).is_err());
}

fn matrix(series: &[(&str, &[f64])]) -> Value {
    let result: Vec<Value> = series
        .iter()
        .map(|(host, values)| {
            let values: Vec<Value> = values.iter().enumerate().map(|(i, v)| json!([i * 60, v.to_string()])).collect();
            json!({"metric": {"__name__": "load", "host": host}, "values": values})
        })
        .collect();
    json!({"resultType": "matrix", "result": result})
}

#[test]
fn a_range_as_table_and_csv() {
    let data = answer(&matrix(&[("a", &[1.0, 2.5]), ("b,c", &[3.0, 1e9])]));
    check(
        &table::draw(&data),
        "
METRIC  host  SAMPLES  MIN  MAX        LAST        LAST AT (UTC)|
load    a           2    1  2.5         2.5  1970-01-01 00:01:00|
load    b,c         2    3   1G  1000000000  1970-01-01 00:01:00|
",
    );
    check(
        &csv::draw(&data),
        "
__name__,host,time,value|
load,a,1970-01-01T00:00:00Z,1|
load,a,1970-01-01T00:01:00Z,2.5|
load,\"b,c\",1970-01-01T00:00:00Z,3|
load,\"b,c\",1970-01-01T00:01:00Z,1000000000|
",
    );
}

fn request(end_s: i64) -> Request {
    Request { expr: String::new(), at: None, range: Some(Range { start: 0, end: end_s * 1000, step: 60_000 }) }
}

#[test]
fn one_series_is_a_line() {
    let values: Vec<f64> = (0..=20).map(|i| f64::from(i % 11)).collect();
    check(&chart::draw(&answer(&matrix(&[("a", &values)])), &request(1200), 50), include_str!("fixtures/line.txt"));
}

#[test]
fn several_series_are_rows_with_one_scale() {
    let series: [(&str, &[f64]); 3] = [("a", &[0.0, 1.0, 2.0, 3.0]), ("b", &[3.0, 3.0]), ("c", &[f64::NAN])];
    check(&chart::draw(&answer(&matrix(&series)), &request(240), 60), include_str!("fixtures/rows.txt"));
}

#[test]
fn charts_of_odd_ranges_do_not_break() {
    for values in [&[5.0][..], &[f64::INFINITY, 1.0], &[-1e300, 1e300], &[]] {
        for end in [0, 60, 100_000] {
            let drawn = chart::draw(&answer(&matrix(&[("a", values)])), &request(end), 40);
            assert!(!drawn.is_empty());
        }
    }
}

#[test]
fn numbers_are_short() {
    for (value, text) in [
        (0.0, "0"),
        (12.5, "12.5"),
        (0.05, "0.05"),
        (1_234_567.0, "1.235M"),
        (-1500.0, "-1.5k"),
        (999.96, "1000"),
        (1e-7, "1.00e-7"),
        (f64::NAN, "NaN"),
        (f64::INFINITY, "+Inf"),
    ] {
        assert_eq!(chart::number(value), text, "{value}");
    }
}

#[test]
fn times_are_written_in_three_ways() {
    let now = 1_000_000;
    for (text, ms) in
        [("1970-01-01T00:00:01Z", Some(1_000)), ("12.5", Some(12_500)), ("5m", Some(700_000)), ("soon", None)]
    {
        assert_eq!(time::instant("--time", text, now).ok(), ms, "{text}");
    }
    assert!(time::duration_ms("--step", "0").is_err() && time::duration_ms("--step", "5").is_err());
}

#[test]
fn mistakes_are_pointed_at() {
    let told = |expr| check_expression(expr).expect_err("a mistake").to_string();
    assert_eq!(told("sum(up"), "error: the expression is not PromQL: unclosed left parenthesis\n  sum(up\n        ^\n");
    assert!(told("").contains("sonde query up"));
    let several = "error: the expression is not PromQL: unknown function with name \"rat\"\n  rat(up[5m]) + smu(up)\n  ^ did you mean rate?\n  \
                   rat(up[5m]) + smu(up)\n                ^ unknown function with name \"smu\" did you mean sum?\n";
    assert_eq!(told("rat(up[5m]) + smu(up)"), several);
    assert!(check_expression("up").is_ok());
}
