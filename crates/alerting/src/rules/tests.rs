//! Rule files with what is said about them.

use super::*;

/// Parses a file and compares what it became, or all its mistakes, with what is expected, line by line.
#[track_caller]
fn check(text: &str, expected: &str) {
    let shown = match RuleFile::parse(text, "f.yml") {
        Ok(file) => file.groups.iter().map(|group| show(group)).collect::<Vec<_>>().join("\n"),
        Err(errors) => errors.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"),
    };
    assert_eq!(shown, expected.trim(), "{text}");
}

fn show(group: &Group) -> String {
    let mut lines = vec![format!(
        "group {} interval={:?} offset={:?} limit={}",
        group.name, group.interval_ms, group.query_offset_ms, group.limit
    )];
    for rule in &group.rules {
        let labels = rule.label_sources();
        lines.push(match rule {
            Rule::Recording(rule) => format!("record {} = {} {labels}", rule.record, rule.expr.text),
            Rule::Alerting(rule) => format!(
                "alert {} if {} for={} keep={} {labels} {}",
                rule.alert,
                rule.expr.text,
                rule.for_ms,
                rule.keep_firing_for_ms,
                rule.annotations.iter().map(|(n, t)| format!("{n}={:?}", t.source())).collect::<Vec<_>>().join(" ")
            ),
        });
    }
    lines.join("\n")
}

#[test]
fn a_file_with_everything() {
    check(
        r#"
groups:
  - name: example
    interval: 30s
    query_offset: 1m
    limit: 10
    labels: {team: infra, severity: low}
    rules:
      - record: job:requests:rate5m
        expr: sum by (job) (rate(requests_total[5m]))
        labels:
          source: rule
      - alert: High
        expr: |
          job:requests:rate5m
            > 100
        for: 10m
        keep_firing_for: 5m
        labels:
          severity: "{{ $value }}"
        annotations:
          summary: 'High on {{ $labels.job }}'
  - name: empty
    rules:
"#,
        r#"
group example interval=Some(30000) offset=Some(60000) limit=10
record job:requests:rate5m = sum by (job) (rate(requests_total[5m])) {severity="low", source="rule", team="infra"}
alert High if job:requests:rate5m
  > 100 for=600000 keep=300000 {severity="{{ $value }}", team="infra"} summary="High on {{ $labels.job }}"
group empty interval=None offset=None limit=0
"#,
    );
}

#[test]
fn empty_files_are_files() {
    check("", "");
    check("# only a comment\n", "");
    check("groups:\n", "");
    check("groups: []\n", "");
    check(
        "groups:\n- {name: a, limit: -1, rules: [{alert: , record: b, expr: 1}]}\n",
        "group a interval=None offset=None limit=0\nrecord b = 1 {}",
    );
}

#[test]
fn all_mistakes_are_reported_with_their_lines() {
    check(
        r#"
groups:
  - name: a
    intervall: 1m
    interval: soon
    limit: few
    rules:
      - alert: A
        record: B
        expr: up
      - expr: up
      - alert: NoExpr
      - record: with-anything
        expr: up
        for: 1m
        keep_firing_for: 1m
        annotations: {a: b}
      - alert: Bad
        expr: |
          sum(
            up
        labels:
          __name__: x
          "bad-name": y
          ok: "{{ nope }}"
        annotations:
          "bad-name": z
          text: "{{ $labels"
      - record: "a{b}"
        expr: up
      - alert: ''
        expr: up
  - name: a
  - interval: 5m
"#,
        r#"
f.yml:4: unknown key "intervall" in a group; did you mean "interval"?
f.yml:5: interval: not a valid duration string: "soon"; write a duration such as 30s, 5m or 1h30m
f.yml:6: limit must be a whole number, not "few"
f.yml:8: only one of 'record' and 'alert' must be set
f.yml:11: one of 'record' or 'alert' must be set
f.yml:12: field 'expr' must be set in rule
f.yml:15: invalid field 'for' in recording rule
f.yml:16: invalid field 'keep_firing_for' in recording rule
f.yml:17: invalid field 'annotations' in recording rule
f.yml:21: could not parse expression: 2:5: unclosed left parenthesis
f.yml:23: a rule cannot set the label __name__; the metric name is what `record` says
f.yml:24: invalid label name "bad-name"; use letters, digits and underscores, no digit first
f.yml:25: label "ok": function "nope" not defined
f.yml:27: invalid annotation name "bad-name"; use letters, digits and underscores, no digit first
f.yml:28: annotation "text": template: 1:11: unclosed action
f.yml:29: braces in the recording rule name "a{b}": labels belong into `labels`
f.yml:31: the name of a rule must not be empty
f.yml:33: group name "a" is repeated; the first is on line 3
f.yml:34: a group needs a name
"#,
    );
}

#[test]
fn shapes_that_are_wrong() {
    check("[]", "f.yml:1: a rule file must be a mapping, not a list");
    check("group: []", "f.yml:1: unknown key \"group\" in a rule file; did you mean \"groups\"?");
    check("groups: {a: b}", "f.yml:1: groups must be a list, not a mapping");
    check("groups:\n- x", "f.yml:2: a group must be a mapping, not a scalar\nf.yml:2: a group needs a name");
    check(
        "groups:\n- name: a\n  rules:\n  - alert: [x]\n    expr: {}\n    labels: []",
        "f.yml:4: field 'expr' must be set in rule\nf.yml:4: the name of a rule must be a text, not a list\n\
         f.yml:4: the name of a rule must not be empty\nf.yml:5: expr must be a text, not a mapping\n\
         f.yml:6: label must be a mapping, not a list",
    );
    check(
        "a: b\n---\nc: d",
        "f.yml:1: unknown key \"a\" in a rule file; known are groups\nf.yml:3: a second YAML document; a rule file holds one",
    );
    let broken = RuleFile::parse("groups: [", "f.yml").expect_err("broken");
    assert_eq!(broken.len(), 1);
    check("groups:\n- name: a\n  name: b", "f.yml:3: key \"name\" is already on line 2");
}

#[test]
fn an_expression_is_looked_at_where_it_stands() {
    let file =
        "groups:\n- name: a\n  rules:\n  - alert: A\n    expr: up ==\n  - alert: B\n    expr: >\n      up\n      ==\n";
    let errors = RuleFile::parse(file, "f.yml").expect_err("mistakes");
    let lines: Vec<usize> = errors.iter().map(|e| e.line).collect();
    assert_eq!(lines, [5, 8], "{errors:?}");
}
