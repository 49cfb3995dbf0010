//! Where alerts go, over trees written as indented lines.

use super::*;

/// Reads a tree: a line a node, deeper by two spaces; `receiver? {matchers} words...` with `continue`, `by=a+b`,
/// `wait=S`, `interval=S`, `repeat=S`.
fn tree(lines: &[&str]) -> RouteSpec {
    fn children<'a>(lines: &mut std::iter::Peekable<impl Iterator<Item = &'a str>>, depth: usize) -> Vec<RouteSpec> {
        let mut found = Vec::new();
        while let Some(line) = lines.next_if(|line| line.len() - line.trim_start().len() == depth * 2) {
            let mut spec = RouteSpec::default();
            let seconds = |text: &str| text.parse::<i64>().map(|s| s * 1000).ok();
            for word in line.split_whitespace() {
                match word.split_once('=') {
                    _ if word.starts_with('{') => spec.matchers = word.parse().expect("matchers"),
                    None if word == "continue" => spec.continue_matching = true,
                    Some(("by", "...")) => spec.group_by = Some(GroupBy::All),
                    Some(("by", names)) => {
                        spec.group_by = Some(GroupBy::Labels(names.split('+').map(str::to_owned).collect()));
                    }
                    Some(("wait", s)) => spec.group_wait_ms = seconds(s),
                    Some(("interval", s)) => spec.group_interval_ms = seconds(s),
                    Some(("repeat", s)) => spec.repeat_interval_ms = seconds(s),
                    Some(("mute", name)) => spec.mute_time_intervals = vec![name.to_owned()],
                    None => spec.receiver = Some(word.to_owned()),
                    other => panic!("{other:?}"),
                }
            }
            spec.routes = children(lines, depth + 1);
            found.push(spec);
        }
        found
    }
    children(&mut lines.iter().copied().peekable(), 0).into_iter().next().expect("a root")
}

fn labels(text: &str) -> Labels {
    Labels::from_pairs(text.split_whitespace().map(|pair| pair.split_once('=').expect("a=b")))
}

/// Which keys, with receivers and grouping, take alerts.
#[track_caller]
fn check(lines: &[&str], cases: &[(&str, &str)]) {
    let routes = Routes::new(&[tree(lines)]).expect("a tree");
    for (alert, expected) in cases {
        let found = routes.matching(&labels(alert));
        let found: Vec<_> = found.iter().map(|route| format!("{} {}", route.receiver, route.key)).collect();
        assert_eq!(found.join(" | "), *expected, "{alert}");
    }
}

/// The tree and the cases of Alertmanager's `TestRouteMatch`.
#[test]
fn the_deepest_match_takes_it() {
    check(
        &[
            "notify-def",
            "  notify-A {owner=\"team-A\"}",
            "    {env=\"testing\"} notify-testing by=...",
            "    {env=\"production\"} notify-productionA wait=60 continue",
            "    {env=~\"produ.*\",job=~\".*\"} notify-productionB wait=30 interval=300 repeat=3600 by=job",
            "  {owner=~\"team-(B|C)\"} notify-BC by=foo+bar wait=120",
            "  {group_by=\"role\"} by=role",
            "    {env=\"testing\"} notify-testing",
            "      {wait=\"long\"} wait=120",
        ],
        &[
            ("owner=team-A", "notify-A {}/{owner=\"team-A\"}"),
            ("owner=team-A env=unset", "notify-A {}/{owner=\"team-A\"}"),
            ("owner=team-C", "notify-BC {}/{owner=~\"team-(B|C)\"}"),
            ("owner=team-A env=testing", "notify-testing {}/{owner=\"team-A\"}/{env=\"testing\"}"),
            (
                "owner=team-A env=production",
                "notify-productionA {}/{owner=\"team-A\"}/{env=\"production\"} | \
                 notify-productionB {}/{owner=\"team-A\"}/{env=~\"produ.*\",job=~\".*\"}",
            ),
            ("group_by=role", "notify-def {}/{group_by=\"role\"}"),
            ("env=testing group_by=role", "notify-testing {}/{group_by=\"role\"}/{env=\"testing\"}"),
            (
                "env=testing group_by=role wait=long",
                "notify-testing {}/{group_by=\"role\"}/{env=\"testing\"}/{wait=\"long\"}",
            ),
            ("owner=nobody", "notify-def {}"),
        ],
    );
}

#[test]
fn what_is_not_said_comes_from_above() {
    let spec = tree(&[
        "root by=alertname wait=1",
        "  {a=\"1\"} interval=7 repeat=9",
        "    {b=\"1\"} deep wait=3 by=...",
        "  {a=\"2\"} mute=night",
        "    {b=\"2\"}",
    ]);
    let routes = Routes::new(&[spec]).expect("a tree");
    let of = |text: &str| routes.matching(&labels(text))[0];
    let timing = |text: &str| {
        let Timing { group_wait_ms, group_interval_ms, repeat_interval_ms } = of(text).timing;
        (group_wait_ms, group_interval_ms, repeat_interval_ms)
    };
    assert_eq!(timing("x=1"), (1_000, 300_000, 14_400_000));
    assert_eq!(timing("a=1"), (1_000, 7_000, 9_000));
    assert_eq!(timing("a=1 b=1"), (3_000, 7_000, 9_000));
    assert_eq!((&*of("a=1").receiver, &*of("a=1 b=1").receiver), ("root", "deep"));
    assert_eq!(of("a=1").group_by, GroupBy::Labels(vec!["alertname".into()]));
    assert_eq!(of("a=1 b=1").group_by, GroupBy::All);
    assert_eq!(of("a=2").mute_time_intervals, ["night"]);
    assert!(of("a=2 b=2").mute_time_intervals.is_empty(), "times are not inherited");
}

#[test]
fn each_tree_is_asked_and_ids_are_unique_for_a_receiver() {
    let roots = [
        tree(&["one"]),
        tree(&["two", "  {a=\"1\"} continue", "  {a=\"1\"} continue wait=9", "  other {a=\"1\"}"]),
        tree(&["one"]),
    ];
    let routes = Routes::new(&roots).expect("trees");
    let found: Vec<_> =
        routes.matching(&labels("a=1")).iter().map(|route| format!("{} {}", route.receiver, route.id)).collect();
    assert_eq!(
        found,
        ["one {}", "two {}/{a=\"1\"}", "two {}/{a=\"1\"}#1", "other {}/{a=\"1\"}", "one {}#1"],
        "another receiver's node takes no number"
    );
}

#[test]
fn mistakes_are_named_with_their_place() {
    let deep: Vec<String> = (0..=MAX_DEPTH).map(|depth| format!("{}r", "  ".repeat(depth))).collect();
    let deep: Vec<&str> = deep.iter().map(String::as_str).collect();
    let mut wide = vec!["r"];
    wide.extend(["  {a=\"1\"}"; MAX_ROUTES]);
    for (lines, expected) in [
        (&["wait=1"][..], "receiver is missing: the root route must name one"),
        (&["r {a=\"1\"}"], "matchers must not stand at the root route"),
        (&["r continue"], "continue must not stand at the root route"),
        (&["r mute=night"], "mute_time_intervals must not stand at the root route"),
        (
            &["r", "  {a=\"1\"}", "  {a=\"2\"}", "    {b=\"1\"} interval=0"],
            "routes[1].routes[0].group_interval must be",
        ),
        (&["r repeat=0"], "repeat_interval must be greater than 0"),
        (&deep, "routes must not be nested deeper than 10"),
        (&wide, "routes[1999].routes must not be more than 2000"),
    ] {
        let error = Routes::new(&[tree(lines)]).expect_err(expected).to_string();
        assert!(error.contains(expected), "{error}");
    }
}
