//! The rule state machine as timelines: values at times, and what comes out.

use std::collections::BTreeMap;
use std::sync::Arc;

use sonde_model::{Labels, TimestampMs, is_stale};
use sonde_promql::{Annotations, Expr, QueryError, QueryResult, QueryStats, SampleValue, Value, VectorSample};

use crate::group::{Environment, GroupState, OutputSample, RuleOutput};
use crate::rules::RuleFile;
use crate::template::External;

/// A group whose metrics are given by a script, evaluated every minute.
struct Timeline {
    state: GroupState,
    environment: Environment,
    /// By metric name; a value that is `None` makes the query fail.
    inputs: BTreeMap<String, Option<Vec<(Labels, f64)>>>,
    at: TimestampMs,
    /// Whether the data of restored alerts can be seen.
    sees: bool,
}

impl Timeline {
    fn new(file: &str) -> Self {
        let external = External { labels: Labels::from_pairs([("cluster", "eu")]), url: "http://s".into() };
        Timeline {
            state: GroupState::new(group(file)),
            environment: Environment { external, query_offset_ms: 0 },
            inputs: BTreeMap::new(),
            at: 0,
            sees: true,
        }
    }

    /// Sets the series of metrics: `up{a="b"}=1 up{a="c"}=2 down=3`; a metric that is not named has none, `metric=fail` makes its
    /// queries fail. Then evaluates all rules a minute later and shows what comes out.
    fn step(&mut self, inputs: &str) -> String {
        self.inputs.clear();
        for input in inputs.split_whitespace() {
            let (series, value) = input.rsplit_once('=').expect("series=value");
            let (name, labels) = parse_series(series);
            let series = self.inputs.entry(name).or_insert_with(|| Some(Vec::new()));
            match value {
                "fail" => *series = None,
                value => series.as_mut().expect("fail comes alone").push((labels, value.parse().expect("a number"))),
            }
        }
        self.at += 60_000;
        let mut shown = Vec::new();
        for index in 0..self.state.group().rules.len() {
            let inputs = &self.inputs;
            let query = &mut |expr: &Expr, at| answer(inputs, expr, at);
            let output = self.state.evaluate_rule(index, self.at, &self.environment, query, &mut |_, _| self.sees);
            shown.extend(show(&output, self.at));
        }
        shown.join(" | ")
    }

    #[track_caller]
    fn check(&mut self, steps: &[(&str, &str)]) {
        for (inputs, expected) in steps {
            let minute = self.at / 60_000 + 1;
            assert_eq!(self.step(inputs), *expected, "minute {minute}: {inputs}");
        }
    }
}

fn group(file: &str) -> Arc<crate::rules::Group> {
    let file = RuleFile::parse(file, "f.yml").expect("a rule file");
    Arc::clone(&file.groups[0])
}

fn parse_series(text: &str) -> (String, Labels) {
    let (name, labels) = text.split_once('{').unwrap_or((text, "}"));
    let pairs = labels.trim_end_matches('}').split(',').filter_map(|pair| pair.split_once('='));
    let pairs = pairs.map(|(n, v)| (n, v.trim_matches('"'))).chain([("__name__", name)]);
    (name.to_owned(), Labels::from_pairs(pairs))
}

/// The expressions of these tests are bare metric names, numbers and strings.
fn answer(
    inputs: &BTreeMap<String, Option<Vec<(Labels, f64)>>>,
    expr: &Expr,
    t: TimestampMs,
) -> Result<QueryResult, QueryError> {
    let text = expr.to_string();
    let value = if let Ok(v) = text.parse() {
        Value::Scalar { t, v }
    } else if text.starts_with('"') {
        Value::String { t, s: text }
    } else {
        let found = match inputs.get(&text) {
            None => &Vec::new(),
            Some(Some(series)) => series,
            Some(None) => return Err(QueryError::Timeout),
        };
        let sample =
            |(labels, v): &(Labels, f64)| VectorSample { labels: labels.clone(), t, value: SampleValue::Float(*v) };
        Value::Vector(found.iter().map(sample).collect())
    };
    Ok(QueryResult { value, annotations: Annotations::default(), stats: QueryStats::default() })
}

/// Samples as `series=value`, notifications as `!state{labels}[annotations]`, errors as they print.
fn show(output: &RuleOutput, at: TimestampMs) -> Vec<String> {
    let sample = |sample: &OutputSample| {
        let value = sample.value.as_float().expect("a float");
        let value = if is_stale(value) { "stale".to_owned() } else { value.to_string() };
        let offset = at - sample.timestamp;
        let offset = if offset == 0 { String::new() } else { format!("@-{offset}") };
        format!("{}={value}{offset}", sample.labels)
    };
    let mut shown: Vec<String> = output.samples.iter().map(sample).collect();
    for alert in &output.notify {
        shown.push(format!("!{}{}{}", alert.state.as_str(), alert.labels, alert.annotations));
    }
    shown.extend(output.error.as_ref().map(|e| format!("error: {e}")));
    shown
}

const FOR_TWO_MINUTES: &str = "
groups:
- name: g
  rules:
  - alert: A
    expr: load
    for: 2m
";

#[test]
fn an_alert_is_pending_then_fires_then_is_resolved() {
    let mut timeline = Timeline::new(FOR_TWO_MINUTES);
    let pending =
        r#"ALERTS{alertname="A", alertstate="pending", host="x"}=1 | ALERTS_FOR_STATE{alertname="A", host="x"}=120"#;
    let firing =
        r#"ALERTS{alertname="A", alertstate="firing", host="x"}=1 | ALERTS_FOR_STATE{alertname="A", host="x"}=120"#;
    timeline.check(&[
        ("", ""),
        (r#"load{host="x"}=1"#, pending),
        (r#"load{host="x"}=2"#, pending),
        (
            r#"load{host="x"}=3"#,
            &format!(r#"{firing} | ALERTS{{alertname="A", alertstate="pending", host="x"}}=stale | !firing{{alertname="A", host="x"}}{{}}"#),
        ),
        (r#"load{host="x"}=3"#, &format!(r#"{firing} | !firing{{alertname="A", host="x"}}{{}}"#)),
        (
            "",
            r#"ALERTS{alertname="A", alertstate="firing", host="x"}=stale | ALERTS_FOR_STATE{alertname="A", host="x"}=stale | !inactive{alertname="A", host="x"}{}"#,
        ),
        ("", ""),
    ]);
}

#[test]
fn a_pending_alert_that_goes_away_was_never_there() {
    let mut timeline = Timeline::new(FOR_TWO_MINUTES);
    timeline.check(&[
        ("load=1", r#"ALERTS{alertname="A", alertstate="pending"}=1 | ALERTS_FOR_STATE{alertname="A"}=60"#),
        ("", r#"ALERTS{alertname="A", alertstate="pending"}=stale | ALERTS_FOR_STATE{alertname="A"}=stale"#),
        ("load=1", r#"ALERTS{alertname="A", alertstate="pending"}=1 | ALERTS_FOR_STATE{alertname="A"}=180"#),
    ]);
}

#[test]
fn an_error_keeps_the_state() {
    let mut timeline = Timeline::new(FOR_TWO_MINUTES);
    timeline.step("load=1");
    assert_eq!(timeline.step("load=fail"), "error: query timed out in expression evaluation");
    let (_, rule) = timeline.state.rules().next().expect("a rule");
    assert_eq!((rule.alert_state().as_str(), rule.alerts().count()), ("pending", 1));
    assert_eq!(rule.health(), &crate::Health::Bad("query timed out in expression evaluation".into()));
    assert!(timeline.step("load=1").contains("!firing"), "the minute of the error counts for `for`");
    assert_eq!(timeline.state.rules().next().expect("a rule").1.health(), &crate::Health::Good);
}

#[test]
fn keep_firing_for_bridges_a_gap() {
    let mut timeline = Timeline::new(
        "groups:\n- name: g\n  rules:\n  - {alert: A, expr: load, keep_firing_for: 2m, annotations: {value: '{{ $value }}'}}\n",
    );
    let firing = |value: &str| {
        format!(
            r#"ALERTS{{alertname="A", alertstate="firing"}}=1 | ALERTS_FOR_STATE{{alertname="A"}}=60 | !firing{{alertname="A"}}{{value="{value}"}}"#
        )
    };
    timeline.check(&[
        ("load=1", &firing("1")),
        ("", &firing("1")),
        ("", &firing("1")),
        ("load=5", &firing("5")),
        ("", &firing("5")),
        ("", &firing("5")),
        (
            "",
            r#"ALERTS{alertname="A", alertstate="firing"}=stale | ALERTS_FOR_STATE{alertname="A"}=stale | !inactive{alertname="A"}{value="5"}"#,
        ),
    ]);
}

#[test]
fn labels_are_templated_and_make_the_identity() {
    let mut timeline = Timeline::new(
        r#"
groups:
- name: g
  labels: {team: a}
  rules:
  - alert: A
    expr: load
    labels:
      level: '{{ if gt $value 10.0 }}high{{ else }}low{{ end }}'
      host: ''
      alertname: ignored
    annotations:
      text: '{{ $labels.__name__ }} of {{ $labels.host }} in {{ $externalLabels.cluster }}: {{ query "other" | first | value }}'
"#,
    );
    let alert =
        |state: &str, level: &str| format!(r#"{{alertname="A", alertstate="{state}", level="{level}", team="a"}}"#);
    let plain = |level: &str| format!(r#"{{alertname="A", level="{level}", team="a"}}"#);
    timeline.check(&[
        (
            r#"load{host="x"}=1 other=7"#,
            &format!(
                r#"ALERTS{}=1 | ALERTS_FOR_STATE{}=60 | !firing{}{{text="load of x in eu: 7"}}"#,
                alert("firing", "low"),
                plain("low"),
                plain("low")
            ),
        ),
        (
            r#"load{host="x"}=11 other=8"#,
            &format!(
                r#"ALERTS{0}=1 | ALERTS_FOR_STATE{1}=120 | ALERTS{2}=stale | ALERTS_FOR_STATE{3}=stale | !firing{1}{{text="load of x in eu: 8"}} | !inactive{3}{{text="load of x in eu: 7"}}"#,
                alert("firing", "high"),
                plain("high"),
                alert("firing", "low"),
                plain("low")
            ),
        ),
        (
            r#"load{host="x"}=1 load{host="y"}=2"#,
            "error: vector contains metrics with the same labelset after applying alert labels",
        ),
    ]);
}

#[test]
fn recording_rules_store_and_end_series() {
    let mut timeline = Timeline::new(
        "groups:\n- name: g\n  query_offset: 30s\n  rules:\n  - {record: r, expr: load, labels: {host: '', team: a}}\n  - {record: s, expr: '42'}\n  - {record: t, expr: '\"x\"'}\n",
    );
    let s = r#"s=42@-30000 | error: rule result is not a vector or scalar but a string"#;
    timeline.check(&[
        (r#"load{host="x",a="1"}=1"#, &format!(r#"r{{a="1", team="a"}}=1@-30000 | {s}"#)),
        (
            r#"load{host="x",a="2"}=2"#,
            &format!(r#"r{{a="2", team="a"}}=2@-30000 | r{{a="1", team="a"}}=stale@-30000 | {s}"#),
        ),
        ("load=fail", &format!("error: query timed out in expression evaluation | {s}")),
        (
            r#"load{host="x"}=1 load{host="y"}=1"#,
            &format!("error: vector contains metrics with the same labelset after applying rule labels | {s}"),
        ),
        ("", &format!(r#"r{{a="2", team="a"}}=stale@-30000 | {s}"#)),
        ("", s),
    ]);
}

#[test]
fn over_the_limit_everything_is_dropped() {
    let mut timeline = Timeline::new(
        "groups:\n- name: g\n  limit: 1\n  rules:\n  - {record: r, expr: load}\n  - {alert: A, expr: load}\n",
    );
    let one = r#"r{a="1"}=1 | ALERTS{a="1", alertname="A", alertstate="firing"}=1 | ALERTS_FOR_STATE{a="1", alertname="A"}=60 | !firing{a="1", alertname="A"}{}"#;
    timeline.check(&[
        (r#"load{a="1"}=1"#, one),
        (
            r#"load{a="1"}=1 load{a="2"}=1"#,
            "error: exceeded limit of 1 with 2 series | error: exceeded limit of 1 with 2 alerts",
        ),
    ]);
    assert_eq!(timeline.state.rules().map(|(_, rule)| rule.alerts().count()).sum::<usize>(), 0);
}

#[test]
fn a_reload_keeps_what_is_unchanged_and_ends_the_rest() {
    let file = |expr: &str, more: &str| {
        format!(
            "groups:\n- name: g\n  rules:\n  - {{alert: A, expr: {expr}, for: 1m}}\n  - {{record: r, expr: load}}\n{more}"
        )
    };
    let mut timeline = Timeline::new(&file("load", "  - {alert: B, expr: load}\n"));
    timeline.step("load=1");
    timeline.step("load=1");
    let (state, ended) = timeline.state.clone().reload(group(&file("other", "")), 150_000);
    assert_eq!(
        show(&ended, 150_000).join(" | "),
        r#"ALERTS{alertname="B", alertstate="firing"}=stale | ALERTS_FOR_STATE{alertname="B"}=stale | !inactive{alertname="B"}{}"#
    );
    timeline.state = state;
    timeline.check(&[(
        "load=1 other=1",
        r#"ALERTS{alertname="A", alertstate="firing"}=1 | ALERTS_FOR_STATE{alertname="A"}=60 | !firing{alertname="A"}{} | r=1"#,
    )]);
    let ended = timeline.state.end(200_000);
    assert_eq!(
        show(&ended, 200_000).join(" | "),
        r#"ALERTS{alertname="A", alertstate="firing"}=stale | ALERTS_FOR_STATE{alertname="A"}=stale | r=stale | !inactive{alertname="A"}{}"#
    );
}

#[test]
fn an_unknown_rule_is_an_error() {
    let mut timeline = Timeline::new(FOR_TWO_MINUTES);
    let query = &mut |_: &Expr, _| Err(QueryError::Canceled);
    let output = timeline.state.evaluate_rule(7, 0, &timeline.environment, query, &mut |_, _| true);
    assert_eq!(output.error.map(|e| e.to_string()), Some("the group has no rule number 7".to_owned()));
}

impl Timeline {
    /// Starts again after a time away, with a file that may be another; shows what ends because of that.
    fn restart(&mut self, minutes: i64, file: &str) -> String {
        self.at += minutes * 60_000;
        let memory = self.state.memory();
        let (state, ended) = GroupState::restore(group(file), memory, Some(7), self.at);
        self.state = state;
        show(&ended, self.at).join(" | ")
    }
}

#[test]
fn a_restart_forgets_no_for_and_resolves_nothing_unseen() {
    let mut timeline = Timeline::new(FOR_TWO_MINUTES);
    let pending = r#"ALERTS{alertname="A", alertstate="pending"}=1 | ALERTS_FOR_STATE{alertname="A"}=60"#;
    let firing = r#"ALERTS{alertname="A", alertstate="firing"}=1 | ALERTS_FOR_STATE{alertname="A"}=60"#;
    let stale = |state: &str| format!("ALERTS{{alertname=\"A\", alertstate=\"{state}\"}}=stale");
    let gone = |state: &str| format!("{} | ALERTS_FOR_STATE{{alertname=\"A\"}}=stale", stale(state));
    let fires = format!("{firing} | {} | !firing{{alertname=\"A\"}}{{}}", stale("pending"));
    assert_eq!(timeline.step("load=1"), pending);
    assert_eq!(timeline.restart(10, FOR_TWO_MINUTES), "");
    assert_eq!(timeline.state.rules().next().and_then(|(_, rule)| rule.last_evaluation()), Some(7));
    timeline.sees = false;
    // Nothing can be seen: it neither goes away nor fires, though its time has come.
    assert_eq!(timeline.step(""), pending);
    assert_eq!(timeline.step("load=1"), fires);
    assert_eq!(timeline.restart(10, FOR_TWO_MINUTES), "");
    let still = format!("{firing} | !firing{{alertname=\"A\"}}{{}}");
    assert_eq!(timeline.step(""), still);
    timeline.sees = true;
    let resolved = format!("{} | !inactive{{alertname=\"A\"}}{{}}", gone("firing"));
    assert_eq!(timeline.step(""), resolved);
    assert_eq!(timeline.step(""), "");

    // A sample from before the restart proves nothing when it goes out of sight.
    timeline.step("load=1");
    timeline.restart(2, FOR_TWO_MINUTES);
    timeline.sees = false;
    timeline.step("load=1");
    assert!(timeline.step("").contains("!firing"));
    // Once data have been seen it is an alert like others: what goes away has ended.
    timeline.sees = true;
    timeline.step("load=1");
    timeline.sees = false;
    assert_eq!(timeline.step(""), format!("{} | !inactive{{alertname=\"A\"}}{{}}", gone("firing")));
}

#[test]
fn a_restart_ends_the_alerts_of_rules_that_have_gone_and_keeps_those_that_moved() {
    let two = "groups:\n- name: g\n  rules:\n  - {alert: A, expr: load}\n  - {alert: B, expr: load}\n";
    let moved = "groups:\n- name: g\n  rules:\n  - {record: r, expr: load}\n  - {record: s, expr: load}\n  - {alert: B, expr: load}\n";
    let mut timeline = Timeline::new(two);
    timeline.step("load=1");
    let ended = timeline.restart(5, moved);
    assert!(ended.contains(r#"!inactive{alertname="A"}"#) && !ended.contains(r#"alertname="B""#), "{ended}");
    let kept = timeline.state.memory();
    assert_eq!((kept.len(), kept[0].index, kept[0].name.as_str(), kept[0].alerts[0].active_at), (1, 2, "B", 60_000));

    // Rules of one name and labels: each keeps the alerts of its place.
    let twins = "groups:\n- name: g\n  rules:\n  - {alert: A, expr: load}\n  - {alert: A, expr: other}\n";
    let mut timeline = Timeline::new(twins);
    timeline.step("other=1");
    assert_eq!(timeline.restart(5, twins), "");
    assert_eq!(timeline.state.memory()[0].index, 1);
}
