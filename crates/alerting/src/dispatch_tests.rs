//! When which alerts are sent, as timelines in seconds.

use std::collections::BTreeMap;

use sonde_model::Labels;

use crate::alert::{AlertInstance, AlertState};
use crate::dispatch::{DispatchOptions, Dispatcher, GroupBy, Notification};
use crate::webhook::Status;

fn options() -> DispatchOptions {
    DispatchOptions {
        receiver: "hook".into(),
        group_by: GroupBy::default(),
        group_wait_ms: 10_000,
        group_interval_ms: 60_000,
        repeat_interval_ms: 600_000,
        send_resolved: true,
        max_alerts: 0,
        external_url: "http://s".into(),
    }
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

/// Runs a script of `second action...`. Actions: `+A/x` alert A on host x fires, `-A/x` it is resolved, `ok` and `no` end what is
/// under way, `crash` starts again with what was remembered. What is due is shown as `second:group[+host -host]`.
#[track_caller]
fn check(options: DispatchOptions, script: &[&str], expected: &str) {
    let mut dispatcher = Dispatcher::new(options.clone());
    let mut remembered = BTreeMap::new();
    let mut under_way: Vec<Notification> = Vec::new();
    let mut seen = Vec::new();
    for line in script {
        let mut words = line.split_whitespace();
        let second: i64 = words.next().and_then(|w| w.parse().ok()).expect("a second");
        let now = second * 1000;
        for word in words {
            match word {
                "ok" => under_way.drain(..).for_each(|n| dispatcher.delivered(&n, now)),
                "crash" => {
                    dispatcher = Dispatcher::new(options.clone());
                    dispatcher.restore(remembered.values().flatten().cloned().collect());
                    under_way.clear();
                }
                "no" => under_way.drain(..).for_each(|n| dispatcher.failed(&n)),
                word => {
                    let (name, host) = word[1..].split_once('/').expect("name/host");
                    assert!(dispatcher.take(&alert(name, host, word.starts_with('-')), "http://s/graph", now));
                }
            }
        }
        remembered.extend(dispatcher.changes());
        for notification in dispatcher.due(now, usize::MAX) {
            let payload = &notification.payload;
            let alerts: Vec<String> = payload
                .alerts
                .iter()
                .map(|a| {
                    let sign = if a.status == Status::Firing { '+' } else { '-' };
                    format!("{sign}{}", a.labels.get("host").unwrap_or_default())
                })
                .collect();
            let more =
                if payload.truncated_alerts > 0 { format!(" and {}", payload.truncated_alerts) } else { String::new() };
            let group = payload.group_labels.iter().map(|(_, v)| v).collect::<Vec<_>>().join("/");
            seen.push(format!("{second}:{group}[{}{more}]", alerts.join(" ")));
            under_way.push(notification);
        }
        remembered.extend(dispatcher.changes());
    }
    assert_eq!(seen.join(" "), expected, "{script:?}");
}

#[test]
fn a_group_waits_then_tells_changes_at_its_interval() {
    check(
        options(),
        &[
            "0 +A/x", "5 +A/y", "9", "10", "11 ok", "12 +A/z", "69", "70", "71 ok", "100 -A/x", "130", "131 ok", "190",
            "250",
        ],
        "10:A[+x +y] 70:A[+x +y +z] 130:A[+y +z -x]",
    );
}

#[test]
fn groups_are_apart_and_all_alerts_can_be_groups() {
    check(options(), &["0 +A/x +B/x", "10"], "10:A[+x] 10:B[+x]");
    check(DispatchOptions { group_by: GroupBy::All, ..options() }, &["0 +A/x +A/y", "10"], "10:A/x[+x] 10:A/y[+y]");
    check(DispatchOptions { group_by: GroupBy::Labels(Vec::new()), ..options() }, &["0 +A/x +B/y", "10"], "10:[+x +y]");
}

#[test]
fn what_does_not_change_is_repeated() {
    check(options(), &["0 +A/x", "10", "10 ok", "70", "600 +A/x", "609", "670"], "10:A[+x] 670:A[+x]");
}

#[test]
fn an_end_is_told_once_and_only_of_what_was_told() {
    check(
        options(),
        &["0 +A/x", "10", "10 ok", "20 -A/x", "70", "71 ok", "140", "150 -A/x", "210"],
        "10:A[+x] 70:A[-x]",
    );
    check(options(), &["0 +A/x", "5 -A/x", "10", "70"], "");
    check(options(), &["0 -A/x", "10"], "");
    let quiet = DispatchOptions { send_resolved: false, ..options() };
    check(quiet, &["0 +A/x", "10", "10 ok", "20 -A/x", "70", "80 +A/x", "90"], "10:A[+x] 90:A[+x]");
}

#[test]
fn a_failure_is_tried_again_with_what_is_known_then() {
    check(options(), &["0 +A/x", "10", "40 no", "50 +A/y", "69", "70", "70 ok", "130"], "10:A[+x] 70:A[+x +y]");
    // Nothing leaves for a group while something is under way for it, and an end during that time is told afterwards.
    check(options(), &["0 +A/x", "10", "20 -A/x", "80", "90 ok", "90"], "10:A[+x] 90:A[-x]");
}

#[test]
fn an_alert_that_fires_again_while_its_end_is_told_stays() {
    check(
        options(),
        &["0 +A/x", "10", "10 ok", "20 -A/x", "70", "75 +A/x", "80 ok", "130", "130 ok", "140 -A/x", "190"],
        "10:A[+x] 70:A[-x] 130:A[+x] 190:A[-x]",
    );
}

#[test]
fn a_crash_repeats_nothing_and_loses_nothing() {
    // Told before the crash: not again before the interval is over.
    let told = ["0 +A/x", "10", "10 ok", "20 crash", "21 +A/x", "70", "300 crash", "400 crash", "609", "660 crash"];
    check(options(), &told, "10:A[+x] 660:A[+x]");
    // Under way at the crash, or tried in vain before it: again at once.
    check(options(), &["0 +A/x", "10", "15 crash", "16", "17 ok", "80"], "10:A[+x] 15:A[+x]");
    check(options(), &["0 +A/x", "10", "40 no", "45 crash", "46 ok", "100"], "10:A[+x] 45:A[+x]");
    // Not yet due at the crash: when it is due.
    check(options(), &["0 +A/x", "5 crash", "9", "10"], "10:A[+x]");
    // The end is told once, also over crashes.
    let ended = ["0 +A/x", "10", "10 ok", "20 -A/x", "30 crash", "70 crash", "71 ok", "72 crash", "73 -A/x", "140"];
    check(options(), &ended, "10:A[+x] 70:A[-x]");
    let quiet = DispatchOptions { send_resolved: false, ..options() };
    check(quiet, &["0 +A/x", "10", "10 ok", "20 -A/x", "70", "75 crash", "80 +A/x", "90"], "10:A[+x] 90:A[+x]");
}

#[test]
fn other_settings_keep_what_was_told_in_the_same_groups() {
    let mut dispatcher = Dispatcher::new(options());
    dispatcher.take(&alert("A", "x", false), "", 0);
    dispatcher.take(&alert("B", "x", false), "", 0);
    dispatcher.due(10_000, 9).iter().for_each(|n| dispatcher.delivered(n, 10_000));
    dispatcher.reconfigure(DispatchOptions { repeat_interval_ms: 100_000, ..options() });
    assert_eq!((dispatcher.due(70_000, 9), dispatcher.alerts()), (Vec::new(), 2));
    assert_eq!(dispatcher.due(130_000, 9).len(), 2, "both are repeated at the new interval");
    dispatcher.reconfigure(DispatchOptions { group_by: GroupBy::Labels(Vec::new()), ..options() });
    let due = dispatcher.due(200_000, 9);
    assert_eq!(
        (due.len(), due[0].payload.alerts.len(), dispatcher.alerts()),
        (1, 2, 2),
        "a group that nobody was told of"
    );
    let changes = dispatcher.changes();
    assert_eq!(
        changes.iter().filter(|(_, memory)| memory.is_none()).count(),
        2,
        "the old groups have gone: {changes:?}"
    );
}

#[test]
fn payloads_can_be_cut() {
    check(DispatchOptions { max_alerts: 1, ..options() }, &["0 +A/x +A/y +A/z", "10"], "10:A[+x and 2]");
}

#[test]
fn the_payload_says_what_alerts_have_in_common() {
    let mut dispatcher = Dispatcher::new(options());
    dispatcher.take(&alert("A", "x", false), "http://s/graph?1", 0);
    dispatcher.take(&alert("A", "y", false), "http://s/graph?1", 0);
    assert_eq!(dispatcher.next_due(), Some(10_000));
    let due = dispatcher.due(10_000, 1);
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
    let due = dispatcher.due(70_000, 1);
    let ended = due[0].payload.alerts.iter().find(|a| a.status == Status::Resolved).expect("one has ended");
    assert_eq!((ended.ends_at, ended.generator_url.as_str()), (Some(2_000), "http://s/graph?1"));
}

#[test]
fn there_is_room_for_so_many_only() {
    let mut dispatcher = Dispatcher::new(options());
    for name in ["A", "B", "C"] {
        dispatcher.take(&alert(name, "x", false), "", 0);
    }
    assert_eq!(dispatcher.due(10_000, 2).len(), 2);
    assert_eq!(dispatcher.due(10_000, 2).len(), 1);
    assert_eq!(dispatcher.alerts(), 3);
}
