//! When which alerts are sent, as timelines in seconds.

use std::collections::{BTreeMap, BTreeSet};

use sonde_model::Labels;

use super::*;
use crate::interval::TimeInterval;
use crate::route::{GroupBy, RouteSpec};
use crate::webhook::Status;

/// One route to one webhook.
fn spec() -> PlanSpec {
    let route = RouteSpec {
        receiver: Some("hook".into()),
        group_by: Some(GroupBy::Labels(vec!["alertname".into()])),
        group_wait_ms: Some(10_000),
        group_interval_ms: Some(60_000),
        repeat_interval_ms: Some(600_000),
        ..RouteSpec::default()
    };
    PlanSpec {
        routes: vec![route],
        receivers: [("hook".into(), vec![endpoint()])].into(),
        external_url: "http://s".into(),
        ..PlanSpec::default()
    }
}

fn endpoint() -> Endpoint {
    Endpoint { send_resolved: true, max_alerts: 0 }
}

/// The same with another way of grouping.
fn grouped(group_by: GroupBy) -> PlanSpec {
    let mut spec = spec();
    spec.routes[0].group_by = Some(group_by);
    spec
}

/// The same without ends.
fn quiet() -> PlanSpec {
    let endpoint = Endpoint { send_resolved: false, ..endpoint() };
    PlanSpec { receivers: [("hook".into(), vec![endpoint])].into(), ..spec() }
}

fn dispatcher(spec: PlanSpec) -> Dispatcher {
    Dispatcher::new(Plan::new(spec).expect("a plan"))
}

fn alert(name: &str, host: &str, resolved: bool) -> AlertInstance {
    AlertInstance {
        labels: Labels::from_pairs([("alertname", name), ("host", host)]),
        annotations: Labels::from_pairs([("summary", "s"), ("on", host)]),
        state: if resolved { AlertState::Inactive } else { AlertState::Firing },
        active_at: 0,
        fired_at: Some(1_000),
        resolved_at: resolved.then_some(2_000),
        keep_firing_since: None,
        value: 1.0,
    }
}

/// Runs a script of `second action...` and compares what is due, shown as `second:group[+host -host]`, with the receiver in
/// front where it is not `hook`.
///
/// Actions: `+A/x` alert A on host x fires, `-A/x` it is resolved, `ok`, `no`, `busy` (for 100 s) and `refused` end what is under way, `mute:x` and
/// `speak:x` begin and end a silence for a host, `crash` starts again with what was remembered, `planN` and `crashN` do so with
/// another plan.
#[track_caller]
fn check_plans(plans: &[PlanSpec], script: &[&str], expected: &str) {
    let mut dispatcher = dispatcher(plans[0].clone());
    let mut remembered: BTreeMap<(LaneId, Labels), Option<GroupMemory>> = BTreeMap::new();
    let mut under_way: Vec<Notification> = Vec::new();
    let mut muted: BTreeSet<String> = BTreeSet::new();
    let mut plan = 0;
    let mut seen = Vec::new();
    for line in script {
        let mut words = line.split_whitespace();
        let second: i64 = words.next().and_then(|w| w.parse().ok()).expect("a second");
        let now = second * 1000;
        for word in words {
            let number = word.trim_start_matches(|c: char| c.is_ascii_alphabetic()).parse::<usize>().ok();
            match (word.split_once(':'), word) {
                (Some(("mute", host)), _) => drop(muted.insert(host.to_owned())),
                (Some(("speak", host)), _) => drop(muted.remove(host)),
                (_, "ok") => under_way.drain(..).for_each(|n| dispatcher.delivered(&n, now)),
                (_, "no") => under_way.drain(..).for_each(|n| dispatcher.failed(&n, Failure::Away, now)),
                (_, "busy") => under_way.drain(..).for_each(|n| dispatcher.failed(&n, Failure::Busy(100_000), now)),
                (_, "refused") => under_way.drain(..).for_each(|n| dispatcher.failed(&n, Failure::Refused, now)),
                (_, word) if word.starts_with("plan") => {
                    plan = number.expect("a plan");
                    dispatcher.reconfigure(Plan::new(plans[plan].clone()).expect("a plan"));
                }
                (_, word) if word.starts_with("crash") => {
                    plan = number.unwrap_or(plan);
                    dispatcher = self::dispatcher(plans[plan].clone());
                    let groups = std::mem::take(&mut remembered).into_iter();
                    dispatcher.restore(groups.filter_map(|((lane, _), memory)| Some((lane, memory?))).collect());
                    for (lane, memory) in dispatcher.memory() {
                        remembered.insert((lane, memory.labels.clone()), Some(memory));
                    }
                    under_way.clear();
                }
                (_, word) => {
                    let (name, host) = word[1..].split_once('/').expect("name/host");
                    let dropped = dispatcher.take(&alert(name, host, word.starts_with('-')), "http://s/graph", now);
                    assert!(dropped.is_empty());
                }
            }
        }
        let mut remember = |dispatcher: &mut Dispatcher| {
            remembered.extend(dispatcher.changes().into_iter().map(|c| ((c.lane, c.group), c.memory)));
        };
        remember(&mut dispatcher);
        let silenced = |labels: &Labels| labels.get("host").is_some_and(|host| muted.contains(host));
        for notification in dispatcher.due(now, &silenced) {
            seen.push(format!("{second}:{}", show(&notification)));
            under_way.push(notification);
        }
        remember(&mut dispatcher);
    }
    assert_eq!(seen.join(" "), expected, "{script:?}");
}

fn show(notification: &Notification) -> String {
    let payload = &notification.payload;
    let alert = |a: &PayloadAlert| {
        let sign = if a.status == Status::Firing { '+' } else { '-' };
        format!("{sign}{}", a.labels.get("host").unwrap_or_default())
    };
    let alerts: Vec<String> = payload.alerts.iter().map(alert).collect();
    let more = if payload.truncated_alerts > 0 { format!(" and {}", payload.truncated_alerts) } else { String::new() };
    let group = payload.group_labels.iter().map(|(_, v)| v).collect::<Vec<_>>().join("/");
    let receiver = if payload.receiver == "hook" { "" } else { &format!("{}:", payload.receiver) };
    format!("{receiver}{group}[{}{more}]", alerts.join(" "))
}

#[track_caller]
fn check(spec: PlanSpec, script: &[&str], expected: &str) {
    check_plans(&[spec], script, expected);
}

#[test]
fn a_group_waits_then_tells_changes_at_its_interval() {
    check(
        spec(),
        &[
            "0 +A/x", "5 +A/y", "9", "10", "11 ok", "12 +A/z", "69", "70", "71 ok", "100 -A/x", "130", "131 ok", "190",
            "250",
        ],
        "10:A[+x +y] 70:A[+x +y +z] 130:A[+y +z -x]",
    );
}

#[test]
fn groups_are_apart_and_all_alerts_can_be_groups() {
    check(spec(), &["0 +A/x +B/x", "10"], "10:A[+x] 10:B[+x]");
    check(grouped(GroupBy::All), &["0 +A/x +A/y", "10"], "10:A/x[+x] 10:A/y[+y]");
    check(grouped(GroupBy::Labels(Vec::new())), &["0 +A/x +B/y", "10"], "10:[+x +y]");
}

#[test]
fn what_does_not_change_is_repeated_to_the_moment() {
    check(spec(), &["0 +A/x", "10", "10 ok", "70", "600 +A/x", "609", "610"], "10:A[+x] 610:A[+x]");
    // What counts is when it was taken, and a repetition starts the interval anew.
    let late = ["0 +A/x", "10", "25 ok", "70", "600", "624", "625", "625 ok", "1220", "1225"];
    check(spec(), &late, "10:A[+x] 625:A[+x] 1225:A[+x]");
    // The interval of the group is kept, also where that of repetitions is shorter.
    let mut often = spec();
    often.routes[0].repeat_interval_ms = Some(1_000);
    check(often, &["0 +A/x", "10", "10 ok", "11", "69", "70", "70 ok", "129", "130"], "10:A[+x] 70:A[+x] 130:A[+x]");
}

#[test]
fn an_end_is_told_once_and_only_of_what_was_told() {
    check(spec(), &["0 +A/x", "10", "10 ok", "20 -A/x", "70", "71 ok", "140", "150 -A/x", "210"], "10:A[+x] 70:A[-x]");
    check(spec(), &["0 +A/x", "5 -A/x", "10", "70"], "");
    check(spec(), &["0 -A/x", "10"], "");
    check(quiet(), &["0 +A/x", "10", "10 ok", "20 -A/x", "70", "80 +A/x", "90"], "10:A[+x] 90:A[+x]");
}

#[test]
fn a_failure_is_tried_again_with_what_is_known_then() {
    check(spec(), &["0 +A/x", "10", "40 no", "50 +A/y", "54", "55", "55 ok", "130"], "10:A[+x] 55:A[+x +y]");
    check(spec(), &["0 +A/x", "10", "40 refused", "50 +A/y", "69", "70", "70 ok"], "10:A[+x] 70:A[+x +y]");
    check(spec(), &["0 +A/x", "10", "40 busy", "70", "139", "140"], "10:A[+x] 140:A[+x]");
    // Nothing leaves for a group while something is under way for it, and an end during that time is told afterwards.
    check(spec(), &["0 +A/x", "10", "20 -A/x", "80", "90 ok", "90"], "10:A[+x] 90:A[-x]");
}

#[test]
fn an_end_is_told_to_whom_the_beginning_may_have_reached() {
    // The answer was lost, perhaps not the notification: the end of the alert is told, until it is taken.
    let cut = ["0 +A/x", "10", "20 -A/x", "40 no", "55", "56 no", "71", "71 ok", "140"];
    check(spec(), &cut, "10:A[+x] 55:A[-x] 71:A[-x]");
    let killed = ["0 +A/x", "10", "12 crash -A/x", "13 ok", "14 crash", "140"];
    check(spec(), &killed, "10:A[+x] 12:A[-x]");
    check(quiet(), &["0 +A/x", "10", "20 -A/x", "40 no", "55", "115"], "10:A[+x]");
    // A new alert in the group does not hide it.
    check(spec(), &["0 +A/x", "10", "20 -A/x +A/y", "40 no", "55", "55 ok", "140"], "10:A[+x] 55:A[+y -x]");
}

#[test]
fn what_came_and_went_while_the_receiver_was_away_is_told() {
    let busy = ["0 +A/x", "10", "20 +A/y", "60 -A/x", "90 -A/y", "100 no", "101 ok", "200"];
    check(spec(), &busy, "10:A[+x] 100:A[-x -y]");
    let failing = ["0 +A/x", "10", "20 no", "22 +A/y", "24 -A/y -A/x", "35", "36 ok", "100"];
    check(spec(), &failing, "10:A[+x] 35:A[-x -y]");
    let down = ["0 +A/x", "5", "30 crash -A/x", "31 ok", "100"];
    check(spec(), &down, "30:A[-x]");
    // While all is well, what is over before its group is looked at is no news.
    check(spec(), &["0 +A/x", "10", "11 ok", "20 +A/y", "50 -A/y -A/x", "70", "71 ok"], "10:A[+x] 70:A[-x -y]");
    check(spec(), &["0 +A/x", "5 crash -A/x", "10", "100"], "");
}

#[test]
fn nobody_hears_of_what_ended_days_ago() {
    let end = MAX_HELD_MS / 1000 + 2;
    let script = [
        "0 +A/x",
        "10",
        "20 -A/x",
        "40 no",
        "55",
        "60 no",
        &format!("{end}"),
        &format!("{end} no"),
        &format!("{}", end + 90),
    ];
    check(spec(), &script, &format!("10:A[+x] 55:A[-x] {end}:A[-x]"));
    let (late, later) = (format!("{} crash", end + 90), format!("{} no", end + 91));
    let away = ["0 +A/x", "10", "10 ok", "20 -A/x", &late, &later, &format!("{}", end + 200)];
    check(spec(), &away, &format!("10:A[+x] {}:A[-x]", end + 90));
    let muted =
        ["0 +A/x", "10", "10 ok", "20 -A/x mute:x", "70", &format!("{}", end + 2), &format!("{} speak:x", end + 90)];
    check(spec(), &muted, "10:A[+x]");
}

#[test]
fn an_alert_that_fires_again_while_its_end_is_told_stays() {
    check(
        spec(),
        &["0 +A/x", "10", "10 ok", "20 -A/x", "70", "75 +A/x", "80 ok", "130", "130 ok", "140 -A/x", "190"],
        "10:A[+x] 70:A[-x] 130:A[+x] 190:A[-x]",
    );
}

#[test]
fn a_crash_repeats_nothing_and_loses_nothing() {
    // Told before the crash: not again before the interval is over.
    let told = ["0 +A/x", "10", "10 ok", "20 crash", "21 +A/x", "70", "300 crash", "400 crash", "609", "610 crash"];
    check(spec(), &told, "10:A[+x] 610:A[+x]");
    // Under way at the crash, or tried in vain before it: again at once.
    check(spec(), &["0 +A/x", "10", "15 crash", "16", "17 ok", "80"], "10:A[+x] 15:A[+x]");
    check(spec(), &["0 +A/x", "10", "40 no", "45 crash", "46 ok", "100"], "10:A[+x] 45:A[+x]");
    // Not yet due at the crash: when it is due.
    check(spec(), &["0 +A/x", "5 crash", "9", "10"], "10:A[+x]");
    // The end is told once, also over crashes.
    let ended = ["0 +A/x", "10", "10 ok", "20 -A/x", "30 crash", "70 crash", "71 ok", "72 crash", "73 -A/x", "140"];
    check(spec(), &ended, "10:A[+x] 70:A[-x]");
    check(quiet(), &["0 +A/x", "10", "10 ok", "20 -A/x", "70", "75 crash", "80 +A/x", "90"], "10:A[+x] 90:A[+x]");
}

#[test]
fn what_is_silenced_is_told_when_the_silence_ends() {
    // Never told, still firing: told then. Ended meanwhile: never.
    check(spec(), &["0 +A/x mute:x", "10", "70", "100 speak:x", "130", "130 ok", "200"], "130:A[+x]");
    check(spec(), &["0 +A/x mute:x", "10", "20 -A/x", "70", "80 speak:x", "130", "190"], "");
    // Told before: nothing while it is silenced, its end included; then what is new.
    // Neither does one in a group of which another alert was told before it was muted.
    let beside = [
        "0 +A/x +A/y",
        "10",
        "10 ok",
        "20 mute:x mute:z -A/y",
        "70",
        "71 ok",
        "80 +A/z",
        "90 -A/z",
        "130",
        "140 speak:z",
    ];
    check(spec(), &[&beside[..], &["190", "250"]].concat(), "10:A[+x +y] 70:A[-y]");
    let told = ["0 +A/x", "10", "10 ok", "20 mute:x", "30 -A/x", "70", "650", "700 speak:x", "710", "710 ok", "800"];
    check(spec(), &told, "10:A[+x] 710:A[-x]");
    let firing = ["0 +A/x", "10", "10 ok", "20 mute:x", "70", "300 speak:x", "330", "600", "610"];
    check(spec(), &firing, "10:A[+x] 610:A[+x]");
    let long = ["0 +A/x", "10", "10 ok", "20 mute:x", "70", "700", "730 speak:x", "760"];
    check(spec(), &long, "10:A[+x] 760:A[+x]");
    // Others of the group go on.
    let others = [
        "0 +A/x +A/y mute:x",
        "10",
        "10 ok",
        "20 +A/z",
        "70",
        "70 ok",
        "80 speak:x",
        "130",
        "130 ok",
        "135 mute:x",
        "140 -A/x",
        "140 -A/y",
        "190",
        "190 ok",
        "250",
        "260 crash",
        "310",
        "311 speak:x",
        "370",
    ];
    check(spec(), &others, "10:A[+y] 70:A[+y +z] 130:A[+x +y +z] 190:A[+z -y] 370:A[+z -x]");
}

#[test]
fn what_is_inhibited_is_told_when_its_source_ends() {
    let matchers = |text: &str| text.parse().expect("matchers");
    let rule = crate::InhibitRule {
        name: "down".into(),
        source: matchers("alertname=Down"),
        target: matchers("alertname!=Down"),
        equal: vec!["host".into()],
    };
    let inhibited = || PlanSpec { inhibit_rules: vec![rule.clone()], ..spec() };
    check(
        inhibited(),
        &["0 +Down/x +A/x +A/y", "10", "10 ok", "60 -Down/x", "70", "70 ok", "130"],
        "10:A[+y] 10:Down[+x] 70:A[+x +y] 70:Down[-x]",
    );
    // A change of the rules holds for what fires already.
    check_plans(
        &[spec(), inhibited()],
        &["0 +Down/x", "10", "10 ok", "20 +A/x plan1", "30", "40 plan0", "90"],
        "10:Down[+x] 90:A[+x]",
    );
    let mut known = dispatcher(inhibited());
    known.recall_firing(&alert("Down", "x", false).labels);
    let by = known.inhibited_by(&alert("A", "x", false).labels);
    assert_eq!(by, Some(alert("Down", "x", false).fingerprint()), "also before the first evaluation after a start");
}

/// Seconds of a day: the routes below are mute from 00:01:40 to 00:03:20.
#[test]
fn a_route_is_mute_in_its_time_intervals() {
    let mut night = TimeInterval::default();
    night.add_times("00:01", "00:03").expect("a range");
    let below = |mute: &[&str], active: &[&str]| {
        let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        let route = RouteSpec {
            mute_time_intervals: names(mute),
            active_time_intervals: names(active),
            ..RouteSpec::default()
        };
        let mut spec = spec();
        spec.routes[0].routes = vec![route];
        spec.time_intervals = [("night".to_owned(), vec![night.clone()])].into();
        spec
    };
    let script = ["50 +A/x", "60", "120", "150 -A/x", "179", "180", "180 ok", "200 +A/x", "240"];
    check(below(&["night"], &[]), &script, "240:A[+x]");
    check(below(&[], &["night"]), &script, "60:A[+x]");
    let told = ["0 +A/x", "10", "10 ok", "70 -A/x", "130", "179", "190", "190 ok", "260"];
    check(below(&["night"], &[]), &told, "10:A[+x] 190:A[-x]");
    let plan = Plan::new(below(&["night"], &[])).expect("a plan");
    let route = plan.routes_for(&Labels::empty())[0].clone();
    assert_eq!((plan.muted_by(&route, 60_000), plan.muted_by(&route, 0)), (Some(vec!["night"]), None));
}

/// A tree: pages go to `pager` by host and to `hook` as all alerts do.
fn tree() -> PlanSpec {
    let mut spec = spec();
    spec.receivers.insert("pager".into(), vec![endpoint()]);
    let page = RouteSpec {
        receiver: Some("pager".into()),
        matchers: "alertname=P".parse().expect("matchers"),
        group_by: Some(GroupBy::Labels(vec!["host".into()])),
        group_wait_ms: Some(0),
        continue_matching: true,
        ..RouteSpec::default()
    };
    spec.routes[0].routes = vec![page, RouteSpec::default()];
    spec
}

#[test]
fn each_route_tells_its_own_receiver() {
    check(
        tree(),
        &["0 +P/x +P/y +A/x", "0 ok", "10", "11 ok", "20 -P/x", "60", "61 ok", "70", "70 ok", "140"],
        "0:pager:x[+x] 0:pager:y[+y] 10:A[+x] 10:P[+x +y] 60:pager:x[-x] 70:P[+y -x]",
    );
    let mut dispatcher = dispatcher(tree());
    dispatcher.take(&alert("P", "x", false), "", 0);
    let groups: Vec<_> = dispatcher.groups().map(|g| format!("{} {}", g.receiver, g.key)).collect();
    assert_eq!(groups, ["pager {}/{alertname=\"P\"}:{host=\"x\"}", "hook {}/{}:{alertname=\"P\"}"]);
    assert_eq!(dispatcher.alerts(), [("hook".into(), 1), ("pager".into(), 1)].into());
    assert_eq!(dispatcher.plan().receivers_for(&alert("P", "x", false).labels), ["pager".into(), "hook".into()]);
}

#[test]
fn each_webhook_of_a_receiver_is_told_and_remembered_by_itself() {
    let two = || PlanSpec { receivers: [("hook".into(), vec![endpoint(), endpoint()])].into(), ..spec() };
    let mut dispatcher = dispatcher(two());
    dispatcher.take(&alert("A", "x", false), "", 0);
    let due = dispatcher.due(10_000, &|_| false);
    assert_eq!(due.iter().map(|n| n.lane.target.webhook).collect::<Vec<_>>(), [0, 1]);
    dispatcher.delivered(&due[0], 10_000);
    dispatcher.failed(&due[1], Failure::Away, 10_000);
    let again = dispatcher.due(25_000, &|_| false);
    assert_eq!(again.iter().map(|n| n.lane.target.webhook).collect::<Vec<_>>(), [1]);
}

#[test]
fn other_settings_keep_what_was_told_in_the_same_groups() {
    let mut often = spec();
    often.routes[0].repeat_interval_ms = Some(100_000);
    let told = ["0 +A/x +B/x", "10", "10 ok", "20 plan1", "70", "109", "110"];
    check_plans(&[spec(), often], &told, "10:A[+x] 10:B[+x] 110:A[+x] 110:B[+x]");
    // Groups that nobody was told of: told anew, and no end is lost.
    let all = || grouped(GroupBy::Labels(Vec::new()));
    let moved = ["0 +A/x +B/x", "10", "10 ok", "20 plan1", "70", "70 ok", "140"];
    check_plans(&[spec(), all()], &moved, "10:A[+x] 10:B[+x] 70:[+x +x]");
    let ended =
        ["0 +A/x +B/x", "10", "10 ok", "20 -A/x", "25 crash1", "70", "70 ok", "75 -B/x", "130", "130 ok", "200"];
    check_plans(&[spec(), all()], &ended, "10:A[+x] 10:B[+x] 70:[+x -x] 130:[-x]");
    // What is under way for a group that stays, counts.
    check_plans(&[spec(), tree()], &["0 +A/x", "10", "20 plan0", "30 ok", "80"], "10:A[+x]");
    // A tree in the place of a single route: the group has another name.
    check_plans(&[spec(), tree()], &["0 +A/x", "10", "10 ok", "20 plan1", "70", "70 ok", "140"], "10:A[+x] 70:A[+x]");
    // A receiver that has gone is not told; what was remembered of it is not restored to another.
    let mut other = spec();
    other.routes[0].receiver = Some("other".into());
    other.receivers = [("other".into(), vec![endpoint()])].into();
    check_plans(
        &[spec(), other],
        &["0 +A/x", "10", "10 ok", "20 plan1 -A/x", "70", "80 +A/x", "90"],
        "10:A[+x] 90:other:A[+x]",
    );
}

#[test]
fn what_has_gone_with_the_settings_is_forgotten() {
    let mut dispatcher = dispatcher(spec());
    dispatcher.take(&alert("A", "x", false), "", 0);
    dispatcher.take(&alert("B", "x", false), "", 0);
    dispatcher.changes();
    dispatcher.reconfigure(Plan::new(grouped(GroupBy::Labels(Vec::new()))).expect("a plan"));
    let changes = dispatcher.changes();
    let gone = changes.iter().filter(|change| change.memory.is_none());
    assert_eq!((gone.count(), changes.len()), (2, 3), "{changes:?}");
    assert_eq!(dispatcher.alerts(), [("hook".into(), 2)].into());
    dispatcher.reconfigure(Plan::new(PlanSpec::default()).expect("a plan"));
    assert!(dispatcher.changes().iter().all(|change| change.memory.is_none()));
    assert!(dispatcher.alerts().is_empty() && dispatcher.next_due().is_none());
}

#[test]
fn payloads_can_be_cut() {
    let mut cut = spec();
    cut.receivers = [("hook".into(), vec![Endpoint { max_alerts: 1, ..endpoint() }])].into();
    check(cut, &["0 +A/x +A/y +A/z", "10"], "10:A[+x and 2]");
}

#[test]
fn the_payload_says_what_alerts_have_in_common() {
    let mut dispatcher = dispatcher(spec());
    dispatcher.take(&alert("A", "x", false), "http://s/graph?1", 0);
    dispatcher.take(&alert("A", "y", false), "http://s/graph?1", 0);
    assert_eq!(dispatcher.next_due(), Some(10_000));
    let due = dispatcher.due(10_000, &|_| false);
    assert_eq!(dispatcher.next_due(), None, "the only group is under way");
    let payload = &due[0].payload;
    assert_eq!(payload.group_key.to_string(), r#"{}:{alertname="A"}"#);
    assert_eq!(payload.common_labels.to_string(), r#"{alertname="A"}"#);
    assert_eq!(payload.common_annotations.to_string(), r#"{summary="s"}"#);
    assert_eq!((payload.receiver.as_str(), payload.external_url.as_str()), ("hook", "http://s"));
    let first = &payload.alerts[0];
    assert_eq!((first.starts_at, first.ends_at, first.generator_url.as_str()), (1_000, None, "http://s/graph?1"));
    // An end without a link keeps the link that is known.
    dispatcher.delivered(&due[0], 10_000);
    dispatcher.take(&alert("A", "x", true), "", 20_000);
    let due = dispatcher.due(70_000, &|_| false);
    let ended = due[0].payload.alerts.iter().find(|a| a.status == Status::Resolved).expect("one has ended");
    assert_eq!((ended.ends_at, ended.generator_url.as_str()), (Some(2_000), "http://s/graph?1"));
}

#[test]
fn a_webhook_that_is_away_takes_up_so_many_places_only() {
    let mut two = tree();
    two.routes[0].routes = vec![RouteSpec {
        receiver: Some("pager".into()),
        matchers: "alertname=P".parse().expect("matchers"),
        ..RouteSpec::default()
    }];
    two.routes[0].group_by = Some(GroupBy::All);
    let mut dispatcher = dispatcher(two);
    for host in 0..MAX_IN_FLIGHT + 3 {
        dispatcher.take(&alert("A", &host.to_string(), false), "", 0);
    }
    let away = dispatcher.due(10_000, &|_| false);
    assert_eq!((away.len(), dispatcher.next_due()), (MAX_IN_FLIGHT, None));
    dispatcher.take(&alert("P", "x", false), "", 0);
    assert_eq!(dispatcher.due(10_000, &|_| false).len(), 1, "the other is told all the same");
    dispatcher.failed(&away[0], Failure::Away, 10_000);
    assert_eq!(dispatcher.due(10_000, &|_| false).len(), 1);
    away[1..4].iter().for_each(|n| dispatcher.delivered(n, 10_000));
    assert_eq!(dispatcher.due(10_000, &|_| false).len(), 2, "as many as there are");
}

#[test]
fn names_that_are_not_there_are_mistakes() {
    let mut no_receiver = tree();
    no_receiver.receivers.remove("pager");
    let mut no_interval = tree();
    no_interval.routes[0].routes[1].mute_time_intervals = vec!["nights".into()];
    no_interval.time_intervals = [("night".to_owned(), Vec::new())].into();
    for (spec, expected) in [
        (no_receiver, r#"routes[0].receiver must be one that there is, not "pager": "hook""#),
        (no_interval, r#"routes[1].mute_time_intervals must be among those that there are, not "nights": "night""#),
        (
            PlanSpec { receivers: [("hook".into(), vec![endpoint(); 17])].into(), ..spec() },
            "there are more than 16 webhooks of one receiver",
        ),
    ] {
        assert_eq!(Plan::new(spec).expect_err(expected).to_string(), expected);
    }
}

/// Sixteen groups that the webhook never takes, each for a minute, and four others behind them in the order of names.
#[test]
fn groups_that_are_never_taken_do_not_starve_others() {
    let sick = |n: i32| n < 16;
    let route = |plan: &mut PlanSpec| plan.routes[0].group_by = Some(GroupBy::Labels(vec!["host".into()]));
    let mut one_route = spec();
    route(&mut one_route);
    // The same with a route of its own for the sick ones, which shares the webhook and comes first.
    let mut two_routes = one_route.clone();
    let matchers = r#"host=~"h0.|h1[0-5]""#.parse().expect("matchers");
    two_routes.routes[0].routes = vec![RouteSpec { matchers, ..RouteSpec::default() }];
    for plan in [one_route, two_routes] {
        let mut dispatcher = dispatcher(plan);
        for n in 0..20 {
            dispatcher.take(&alert("A", &format!("h{n:02}"), false), "", 0);
        }
        let mut taken = BTreeSet::new();
        for round in 0..6 {
            let now = 10_000 + round * 60_000;
            for notification in dispatcher.due(now, &|_| false) {
                let host = notification.payload.group_labels.get("host").expect("a host").to_owned();
                if sick(host[1..].parse().expect("a number")) {
                    dispatcher.failed(&notification, Failure::Away, now + 60_000);
                } else {
                    taken.insert(host);
                    dispatcher.delivered(&notification, now + 60_000);
                }
            }
        }
        assert_eq!(taken.len(), 4, "{taken:?}");
    }
}

#[test]
fn a_clock_that_is_set_back_delays_nothing() {
    check(spec(), &["3600 +A/a", "0", "9", "11", "11 ok", "71"], "11:A[+a]");
    // What was told is not told again before its time, and what is new waits for the interval, not for an hour.
    check(
        spec(),
        &["3600 +A/a", "3610", "3610 ok", "10", "11 +A/b", "69", "71", "71 ok", "600", "672"],
        "3610:A[+a] 71:A[+a +b] 672:A[+a +b]",
    );
}
