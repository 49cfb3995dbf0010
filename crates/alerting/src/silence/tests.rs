//! The life of silences, step by step.

use sonde_model::Labels;

use super::*;

fn id(n: u128) -> SilenceId {
    SilenceId::from_random(n)
}

fn draft(matchers: &str, starts_at: i64, ends_at: i64) -> Draft {
    Draft {
        matchers: matchers.parse().expect("matchers"),
        starts_at,
        ends_at,
        created_by: "me".to_owned(),
        comment: "why".to_owned(),
    }
}

/// A set with one silence of the id 1, made at `now`.
fn set_with(matchers: &str, starts_at: i64, ends_at: i64, now: i64) -> SilenceSet {
    let mut set = SilenceSet::default();
    set.set(None, draft(matchers, starts_at, ends_at), id(1), now).expect("it is made");
    set
}

/// Each silence as `id state start-end`, the newest id last.
fn show(set: &SilenceSet, now: i64) -> String {
    let line = |n: u128| {
        let silence = set.get(id(n))?;
        Some(format!("{n} {} {}-{}", silence.state(now).as_str(), silence.draft.starts_at, silence.draft.ends_at))
    };
    (1..=3).filter_map(line).collect::<Vec<_>>().join("; ")
}

#[test]
fn ids_are_uuids_of_version_4() {
    assert_eq!(SilenceId::from_random(u128::MAX).to_string(), "ffffffff-ffff-4fff-bfff-ffffffffffff");
    assert_eq!(SilenceId::from_random(0).to_string(), "00000000-0000-4000-8000-000000000000");
    let text = "0123abcd-4567-489a-b012-3456789abcde";
    assert_eq!(text.parse::<SilenceId>().expect("a UUID").to_string(), text);
    for text in [
        "",
        "0123abcd-4567-489a-b012-3456789abcd",
        "0123abcd-4567-489a-b012-3456789abcdex",
        "0123abcd4-567-489a-b012-3456789abcde",
        "g123abcd-4567-489a-b012-3456789abcde",
    ] {
        assert_eq!(text.parse::<SilenceId>(), Err(InvalidSilenceId), "{text}");
    }
}

#[test]
fn a_silence_is_pending_then_active_then_expired() {
    let set = set_with("a=b", 2_000, 5_000, 1_000);
    let labels = Labels::from_pairs([("a", "b")]);
    for (now, state, muted) in
        [(1_999, "pending", false), (2_000, "active", true), (4_999, "active", true), (5_000, "expired", false)]
    {
        assert_eq!(show(&set, now), format!("1 {state} 2000-5000"));
        assert_eq!(set.mutes(&labels, now), if muted { vec![id(1)] } else { vec![] }, "at {now}");
    }
    assert_eq!(set.count(SilenceState::Active, 3_000), 1);
}

/// Changes a silence of 2000 to 9000 in this way, at this time.
#[track_caller]
fn check_change(now: i64, matchers: &str, starts_at: i64, ends_at: i64, expected: Result<&str, SilenceError>) {
    let mut set = set_with("a=b,c=d", 2_000, 9_000, 1_000);
    let result = set.set(Some(id(1)), draft(matchers, starts_at, ends_at), id(2), now);
    let shown = result.map(|applied| {
        let ids: Vec<_> = applied.changed.iter().map(|s| s.id).collect();
        assert_eq!(ids.first(), Some(&applied.id), "what holds comes first");
        assert!(applied.changed.iter().all(|s| s.updated_at == now));
        show(&set, now)
    });
    assert_eq!(shown, expected.map(str::to_owned), "{matchers} {starts_at}-{ends_at} at {now}");
}

#[test]
fn a_change_that_rewrites_the_past_makes_another_silence() {
    // Pending: start and end move freely, but not into the past.
    check_change(1_500, "a=b,c=d", 3_000, 4_000, Ok("1 pending 3000-4000"));
    check_change(1_500, "c=d,a=b", 2_000, 9_500, Ok("1 pending 2000-9500"));
    check_change(1_500, "a=b,c=d", 1_000, 4_000, Ok("1 expired 1500-1500; 2 active 1500-4000"));
    check_change(1_500, "a=b", 2_000, 9_000, Ok("1 expired 1500-1500; 2 pending 2000-9000"));
    // Active: only the end moves, and seconds are as good as milliseconds.
    check_change(3_000, "a=b,c=d", 2_000, 20_000, Ok("1 active 2000-20000"));
    check_change(3_000, "a=b,c=d", 2_999, 4_000, Ok("1 active 2999-4000"));
    check_change(3_000, "a=b,c=d", 3_000, 20_000, Ok("1 expired 2000-3000; 2 active 3000-20000"));
    check_change(3_000, "a=b,c=e", 2_000, 20_000, Ok("1 expired 2000-3000; 2 active 3000-20000"));
    // Expired: it stays as it was.
    check_change(10_000, "a=b,c=d", 2_000, 20_000, Ok("1 expired 2000-9000; 2 active 10000-20000"));
    // Nonsense.
    check_change(3_000, "a=b,c=d", 2_000, 2_000, Err(SilenceError::EndsBeforeStart));
    check_change(3_000, "a=b,c=d", 2_000, 2_500, Err(SilenceError::EndsInThePast));
    check_change(3_000, "", 2_000, 20_000, Err(SilenceError::NoMatcher));
    check_change(3_000, "a=,b=~.*", 2_000, 20_000, Err(SilenceError::MatchesEverything));
    check_change(3_000, "a!=b", 2_000, 20_000, Ok("1 expired 2000-3000; 2 active 3000-20000"));
}

#[test]
fn what_is_not_there_is_told() {
    let mut set = set_with("a=b", 2_000, 9_000, 1_000);
    assert_eq!(set.set(Some(id(7)), draft("a=b", 0, 9_000), id(2), 1_000), Err(SilenceError::NotFound));
    assert_eq!(set.expire(id(7), 1_000), Err(SilenceError::NotFound));
}

#[test]
fn to_end_a_silence_twice_is_to_end_it_once() {
    let mut set = set_with("a=b", 2_000, 9_000, 1_000);
    let ended = set.expire(id(1), 3_000).expect("it is there").expect("it has changed");
    assert_eq!((ended.updated_at, show(&set, 3_000).as_str()), (3_000, "1 expired 2000-3000"));
    assert_eq!(set.expire(id(1), 4_000), Ok(None));
    assert_eq!(show(&set, 4_000), "1 expired 2000-3000");
    let mut set = set_with("a=b", 2_000, 9_000, 1_000);
    set.expire(id(1), 1_500).expect("it is there");
    assert_eq!(show(&set, 1_500), "1 expired 1500-1500", "it never was active");
    assert!(set.mutes(&Labels::from_pairs([("a", "b")]), 1_500).is_empty());
}

#[test]
fn old_silences_are_forgotten() {
    let mut set = set_with("a=b", 2_000, 9_000, 1_000);
    assert!(set.forget_old(9_000 + RETENTION_MS - 1).is_empty());
    assert_eq!(set.forget_old(9_000 + RETENTION_MS), [id(1)]);
    assert_eq!((set.iter().len(), set.matcher_memory), (0, 0));
}

#[test]
fn limits_are_named() {
    let many = |n: u128| Silence { id: id(n << 90), draft: draft("a=b", 0, 9_000), updated_at: 0 };
    let mut set = SilenceSet::restore((0..MAX_SILENCES as u128).map(many));
    let error = set.set(None, draft("a=b", 0, 9_000), id(1), 1_000).expect_err("it is full");
    assert_eq!(error.to_string(), "exceeded maximum number of silences: 10000 (limit: 10000)");
    set.set(Some(many(1).id), draft("a=b", 0, 10_000), id(1), 1_000).expect("a change needs no more room");
    let long = Draft { comment: "x".repeat(MAX_WORDS_BYTES + 1), ..draft("a=b", 0, 9_000) };
    let error = SilenceSet::default().set(None, long, id(1), 1_000).expect_err("it is too long");
    assert_eq!(error.to_string(), "invalid silence: the comment has 8193 bytes (limit: 8192)");
    let mut set = SilenceSet::default();
    set.matcher_memory = MAX_MATCHER_MEMORY_BYTES;
    let error = set.set(None, draft("a=~b.*", 0, 9_000), id(1), 1_000).expect_err("it takes too much");
    assert!(error.to_string().contains("(limit: 268435456)"), "{error}");
}

#[test]
fn the_index_finds_what_asking_everyone_finds() {
    let texts = [
        "alertname=High",
        "alertname=High,host=a",
        "alertname=Low,host=a",
        "host=~a|b",
        "alertname=~H.*,host=b",
        "host!=a",
        "host=,alertname=High",
        "team=",
        "alertname!~H.*",
        "alertname=High,host!=a",
    ];
    let silences = texts.iter().enumerate().map(|(n, text)| Silence {
        id: id(n as u128 + 1),
        draft: draft(text, 0, 9_000),
        updated_at: 0,
    });
    let set = SilenceSet::restore(silences);
    for labels in [
        vec![("alertname", "High")],
        vec![("alertname", "High"), ("host", "a")],
        vec![("alertname", "Low"), ("host", "a"), ("team", "x")],
        vec![("alertname", "High"), ("host", "b")],
        vec![("x", "y")],
        vec![],
    ] {
        let labels = Labels::from_pairs(labels);
        let asked = set.iter().filter(|s| s.draft.matchers.matches(&labels)).map(|s| s.id).collect::<Vec<_>>();
        assert_eq!(set.mutes(&labels, 1_000), asked, "{labels}");
    }
}
