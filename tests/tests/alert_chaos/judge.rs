//! What a receiver may have heard, and what it must have heard.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use crate::hook::Taken;

/// Figures for whoever reads along.
#[derive(Debug, Default)]
pub(crate) struct Verdict {
    pub(crate) notifications: usize,
    pub(crate) repeats: usize,
    pub(crate) duplicates: usize,
}

/// The alerts of a notification that have one status, by episode.
fn of_status(payload: &Value, status: &str) -> BTreeSet<String> {
    let alerts = payload["alerts"].as_array().expect("alerts").iter();
    let of = alerts.filter(|alert| alert["status"] == status);
    of.map(|alert| alert["labels"]["episode"].as_str().expect("an episode").to_owned()).collect()
}

/// Judges what one receiver took: every episode's end, exactly once but for kills; no repetition too early.
///
/// A kill between taking and writing it down makes the same notification come once more: between two that are the same there
/// must be a kill.
pub(crate) fn judge(
    receiver: &str,
    taken: &[Taken],
    ended: &BTreeSet<String>,
    kills: &[i64],
    repeat_interval_ms: i64,
) -> Verdict {
    let killed_between = |from: i64, to: i64| kills.iter().any(|kill| (from..=to).contains(kill));
    let mut verdict = Verdict { notifications: taken.len(), ..Verdict::default() };
    let mut ends: BTreeMap<String, i64> = BTreeMap::new();
    let mut last: BTreeMap<&str, &Taken> = BTreeMap::new();
    for notification in taken {
        let Taken { at, payload } = notification;
        let (firing, resolved) = (of_status(payload, "firing"), of_status(payload, "resolved"));
        for episode in &resolved {
            if let Some(first) = ends.insert(episode.clone(), *at) {
                verdict.duplicates += 1;
                assert!(
                    killed_between(first, *at),
                    "{receiver}: the end of {episode} was told at {first} and at {at}, and nothing was killed between: {taken:#?}"
                );
            }
        }
        for episode in &firing {
            assert!(!ends.contains_key(episode), "{receiver}: {episode} fires at {at} after its end was told");
        }
        let group = payload["groupKey"].as_str().expect("a key");
        if let Some(before) = last.insert(group, notification) {
            let nothing_new = firing.is_subset(&of_status(&before.payload, "firing"))
                && resolved.is_subset(&of_status(&before.payload, "resolved"));
            if nothing_new && at - before.at < repeat_interval_ms {
                assert!(
                    killed_between(before.at, *at),
                    "{receiver}: {group} was repeated after {} ms, and nothing was killed between",
                    at - before.at
                );
            } else if nothing_new {
                verdict.repeats += 1;
            }
        }
    }
    let heard: BTreeSet<String> = ends.into_keys().collect();
    assert_eq!(&heard, ended, "{receiver}: the ends that were told, and those that there were");
    verdict
}

/// Judges one group of one episode that is taken at some times, as `+` firing and `-` resolved, with a kill at 150.
fn judge_times(taken: &[(i64, &str)]) -> Verdict {
    let notification = |(at, sign): &(i64, &str)| {
        let status = if *sign == "+" { "firing" } else { "resolved" };
        let alert = serde_json::json!({"status": status, "labels": {"episode": "1"}});
        Taken { at: *at, payload: serde_json::json!({"groupKey": "g", "alerts": [alert]}) }
    };
    let taken: Vec<Taken> = taken.iter().map(notification).collect();
    judge("r", &taken, &["1".to_owned()].into(), &[150], 1_000)
}

#[test]
fn the_judge_takes_what_is_right() {
    let verdict = judge_times(&[(100, "+"), (1_100, "+"), (1_200, "-")]);
    assert_eq!((verdict.notifications, verdict.repeats, verdict.duplicates), (3, 1, 0));
    assert_eq!(judge_times(&[(10, "+"), (100, "-"), (200, "-")]).duplicates, 1);
}

#[test]
#[should_panic(expected = "the ends that were told")]
fn the_judge_misses_an_end() {
    judge_times(&[(100, "+")]);
}

#[test]
#[should_panic(expected = "nothing was killed between")]
fn the_judge_sees_an_end_that_is_told_twice() {
    judge_times(&[(200, "-"), (1_900, "-")]);
}

#[test]
#[should_panic(expected = "was repeated after 100 ms")]
fn the_judge_sees_a_repetition_that_is_too_early() {
    judge_times(&[(200, "+"), (300, "+"), (400, "-")]);
}
