//! Command lines become silences, silences become tables.

use clap::Parser;
use serde_json::json;

use super::*;
use crate::args::{Command, Sonde};

/// The noon of a day.
const NOW: TimestampMs = 1_795_176_000_000;

fn parse(line: &[&str]) -> Result<SilenceCommand, String> {
    let line = ["sonde", "silence"].iter().chain(line);
    match Sonde::try_parse_from(line).map_err(|e| e.to_string())?.command {
        Command::Silence(args) => Ok(args.command),
        other => panic!("{other:?}"),
    }
}

/// What `sonde silence add` posts.
fn posted(line: &[&str]) -> Result<serde_json::Value, String> {
    let SilenceCommand::Add(args) = parse(&[&["add", "--comment", "c", "--author", "a"], line].concat())? else {
        panic!("{line:?}")
    };
    new_silence(&args, NOW).map(|silence| silence.to_json()).map_err(|problem| problem.to_string())
}

fn silence() -> Silence {
    let json = json!({
        "id": "7", "status": {"state": "active"}, "createdBy": "me", "comment": "two\nlines\u{1b}[31m",
        "startsAt": "2026-11-20T11:00:00.000Z", "endsAt": "2026-11-20T13:00:00.000Z", "updatedAt": "2026-11-20T11:00:00.000Z",
        "matchers": [
            {"name": "alertname", "value": "High", "isRegex": false, "isEqual": true},
            {"name": "host", "value": "web.*", "isRegex": true, "isEqual": false},
        ],
    });
    Silence::read(&json).expect("a silence")
}

#[test]
fn a_command_line_becomes_a_silence() {
    let expected = json!({
        "matchers": [
            {"name": "alertname", "value": "High", "isRegex": false, "isEqual": true},
            {"name": "host", "value": "web.*", "isRegex": true, "isEqual": true},
        ],
        "startsAt": "2026-11-20T12:00:00Z", "endsAt": "2026-11-20T14:00:00Z", "createdBy": "a", "comment": "c",
    });
    assert_eq!(posted(&["High", "host=~\"web.*\"", "--duration", "2h"]), Ok(expected.clone()));
    assert_eq!(posted(&["alertname=High,host=~web.*", "--end", "2h"]), Ok(expected.clone()));
    assert_eq!(posted(&["{alertname=\"High\"}", "host=~web.*", "--end", "2026-11-20T15:00:00+01:00"]), Ok(expected));
    let later = posted(&["High", "--start", "1d"]).expect("a silence");
    let times = (later["startsAt"].as_str(), later["endsAt"].as_str());
    assert_eq!(times, (Some("2026-11-21T12:00:00Z"), Some("2026-11-21T13:00:00Z")), "an hour where nothing is said");
}

#[track_caller]
fn check_told(line: &[&str], expected: &str) {
    let told = posted(line).expect_err("it is refused");
    assert!(told.starts_with(expected), "{told}");
}

#[test]
fn mistakes_are_told_before_anybody_is_asked() {
    check_told(&["High", "host"], "error: \"host\" is no matcher: 4:4: end of input: expected an operator");
    check_told(&["a=~\"[\""], "error: \"a=~\\\"[\\\"\" is no matcher: invalid regular expression \"[\": ");
    check_told(&["High", "--end", "soon"], "error: --end: \"soon\" is no time\nWrite 2026-11-20T09:30:00Z");
    check_told(&["High", "--duration", "0s"], "error: --duration must be greater than 0\n");
    check_told(
        &["High", "--duration", "1h", "--end", "2h"],
        "error: the argument '--duration <DURATION>' cannot be used with",
    );
    check_told(&[], "error: the following required arguments were not provided:\n  <MATCHER>...");
    assert!(parse(&["add", "High"]).is_err_and(|e| e.contains("--comment <TEXT>")), "why is always said");
}

/// A silence from 11:00 to 13:00 after a change at 12:00.
fn change(line: &[&str]) -> Result<Silence, String> {
    let SilenceCommand::Update(args) = parse(&[&["update", "7"], line].concat())? else { panic!("{line:?}") };
    changed(silence(), &args, NOW).map_err(|problem| problem.to_string())
}

#[test]
fn a_change_touches_what_it_names() {
    let old = silence();
    assert_eq!(change(&["--duration", "6h"]), Ok(Silence { ends_at: NOW + 6 * 3_600_000, ..old.clone() }));
    assert_eq!(change(&["--comment", "x"]), Ok(Silence { comment: "x".into(), ..old.clone() }));
    let later = Silence { starts_at: NOW + 60_000, ends_at: NOW + 120_000, ..old.clone() };
    assert_eq!(change(&["--start", "1m", "--duration", "1m"]), Ok(later));
    assert_eq!(change(&["-m", "a=b", "-m", "c=d"]).map(|s| s.matchers.to_string()), Ok("{a=\"b\",c=\"d\"}".into()));
    assert!(change(&[]).is_err_and(|told| told.starts_with("error: nothing is to be changed\n")));
}

#[test]
fn silences_are_shown_in_columns() {
    let expected = "\
ID  STATE   STARTS (UTC)         ENDS (UTC)           AUTHOR  MATCHERS                        COMMENT
7   active  2026-11-20 11:00:00  2026-11-20 13:00:00  me      alertname=\"High\" host!~\"web.*\"  two lines [31m
";
    assert_eq!(table::many(&[&silence()]), expected);
    assert_eq!(table::many(&[]), "no silences\n");
    assert!(table::one(&silence()).ends_with("MATCHER  alertname=\"High\"\nMATCHER  host!~\"web.*\"\n"));
}
