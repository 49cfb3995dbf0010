//! The state database by itself: what comes back, what is refused, and what happens when there is no room.

use std::sync::mpsc::sync_channel;

use sonde_alerting::webhook::PayloadAlert;
use sonde_alerting::{AlertInstance, AlertState, GroupMemory, LaneId, OutboxChange, RuleMemory, SentMemory, Target};
use sonde_model::Labels;

use super::*;

fn alert(host: &str, state: AlertState) -> AlertInstance {
    AlertInstance {
        labels: Labels::from_pairs([("alertname", "High"), ("host", host)]),
        annotations: Labels::from_pairs([("summary", "\"quoted\" and ünïcode")]),
        state,
        active_at: 1_000,
        fired_at: (state == AlertState::Firing).then_some(2_000),
        resolved_at: None,
        keep_firing_since: None,
        value: 1.5,
    }
}

fn group(active: Vec<AlertInstance>, gone: Vec<(usize, Labels)>, at: i64) -> Change {
    let stored = |alert| StoredAlert { index: 2, rule: "High".into(), rule_labels: rule_labels(), alert };
    Change::Group(GroupChange {
        file: "a.yml".into(),
        name: "g".into(),
        last_evaluation: at,
        whole: false,
        active: active.into_iter().map(stored).collect(),
        gone,
    })
}

fn rule_labels() -> Labels {
    Labels::from_pairs([("severity", "{{ $labels.x }}")])
}

fn line(at: i64) -> Change {
    Change::Transition(Transition {
        at,
        file: "a.yml".into(),
        group: "g".into(),
        labels: Labels::from_pairs([("alertname", "High")]),
        from: AlertState::Pending,
        to: AlertState::Firing,
        value: f64::NAN,
    })
}

fn outbox(host: &str, sent: Option<SentMemory>) -> GroupMemory {
    let alerts = vec![PayloadAlert::new(&alert(host, AlertState::Firing), "http://s/graph")];
    let believed = [Labels::from_pairs([("b", host)])].into();
    GroupMemory { labels: Labels::from_pairs([("host", host)]), next: 5_000, alerts, sent, believed }
}

/// Commits and waits.
pub(crate) fn commit(state: &State, changes: Vec<Change>) -> Result<(), CommitError> {
    let (sender, committed) = sync_channel(1);
    state.commit(changes, Box::new(move |result| sender.send(result).expect("somebody waits")));
    committed.recv().expect("an answer")
}

fn file(dir: &tempfile::TempDir) -> Location {
    Location::File(dir.path().join("deep").join("state.sqlite"))
}

fn open(location: &Location) -> (State, Memory) {
    State::open(location, Options::default()).expect("it opens")
}

#[test]
fn what_was_committed_comes_back() {
    let dir = tempfile::tempdir().expect("a folder");
    let (state, memory) = open(&file(&dir));
    assert!(memory.groups.is_empty() && memory.outbox.is_empty());
    let nan = AlertInstance { value: f64::NAN, keep_firing_since: Some(3_000), ..alert("z", AlertState::Firing) };
    let all = vec![alert("x", AlertState::Pending), alert("y", AlertState::Firing), nan];
    commit(&state, vec![group(all, vec![], 10_000), line(10_000)]).expect("it is committed");
    let gone = vec![(2, alert("x", AlertState::Pending).labels)];
    let sent = SentMemory { at: 9, firing: [alert("y", AlertState::Firing).labels].into(), resolved: [].into() };
    let lane = |receiver: &str| LaneId {
        route: r#"{}/{a="b"}"#.into(),
        target: Target { receiver: receiver.into(), webhook: 3 },
    };
    let write = |receiver: &str, memory: &GroupMemory| {
        Change::OutboxGroup(OutboxChange {
            lane: lane(receiver),
            group: memory.labels.clone(),
            memory: Some(memory.clone()),
        })
    };
    let (x, y) = (outbox("x", None), outbox("y", Some(sent)));
    let changes =
        vec![write("old", &x), Change::Outbox(vec![(lane("hook"), x.clone())]), write("hook", &y), line(20_000)];
    commit(&state, vec![group(vec![], gone, 20_000)]).expect("it is committed");
    commit(&state, changes).expect("it is committed");
    let forget = OutboxChange { lane: lane("hook"), group: x.labels.clone(), memory: None };
    commit(&state, vec![Change::OutboxGroup(forget)]).expect("it is committed");
    assert_eq!(
        state.history(HistoryPage::newest(1)).expect("lines").iter().map(|l| l.transition.at).collect::<Vec<_>>(),
        [20_000],
        "the newest first"
    );
    state.close();
    assert!(matches!(commit(&state, vec![]), Err(CommitError::Closed)));

    let (state, memory) = open(&file(&dir));
    let [stored] = memory.groups.as_slice() else { panic!("{memory:?}") };
    assert_eq!((stored.file.as_str(), stored.name.as_str(), stored.last_evaluation), ("a.yml", "g", 20_000));
    let [RuleMemory { index: 2, name, labels, alerts }] = stored.rules.as_slice() else { panic!("{memory:?}") };
    assert_eq!((name.as_str(), labels), ("High", &rule_labels()));
    assert_eq!(alerts[0], alert("y", AlertState::Firing));
    assert!(alerts[1].value.is_nan() && alerts[1].keep_firing_since == Some(3_000), "{alerts:?}");
    assert_eq!(memory.outbox, [(lane("hook"), y)]);
    assert_eq!(state.history(HistoryPage::newest(10)).expect("lines").len(), 2);
    commit(&state, vec![Change::GroupGone { file: "a.yml".into(), name: "g".into() }]).expect("it is committed");
    drop(state);
    assert!(open(&file(&dir)).1.groups.is_empty());
}

#[test]
fn history_is_asked_by_name_and_time_and_in_pages() {
    let (state, _) =
        State::open(&Location::Memory, Options { history_age_ms: 50, ..Options::default() }).expect("it opens");
    let of = |name: &str, at: i64| match line(at) {
        Change::Transition(transition) => {
            Change::Transition(Transition { labels: Labels::from_pairs([("alertname", name)]), ..transition })
        }
        other => other,
    };
    commit(&state, (1..=100).map(|at| of(if at % 2 == 0 { "Even" } else { "Odd" }, at)).collect()).expect("committed");
    let ask = |page: HistoryPage| {
        let lines = state.history(page).expect("lines");
        (lines.iter().map(|line| line.transition.at).collect::<Vec<_>>(), lines.last().map(|line| line.id))
    };
    assert_eq!(ask(HistoryPage::newest(1_000)).0.len(), 51, "what is older than 50 ms before the newest has gone");
    let even = HistoryPage { alertname: Some("Even".into()), from: 90, to: 98, before: None, limit: 3 };
    let (first, last) = ask(even.clone());
    assert_eq!(first, [98, 96, 94]);
    assert_eq!(ask(HistoryPage { before: last, ..even }).0, [92, 90]);
}

#[test]
fn history_has_an_end() {
    let (state, _) = State::open(&Location::Memory, Options { history: 3, ..Options::default() }).expect("it opens");
    commit(&state, (1..=10).map(line).collect()).expect("it is committed");
    let page = HistoryPage::newest(100);
    let times: Vec<i64> = state.history(page).expect("lines").iter().map(|line| line.transition.at).collect();
    assert_eq!(times, [10, 9, 8]);
}

/// Writes something over a good database and opens it again.
#[track_caller]
fn check_refused(spoil: impl FnOnce(&std::path::Path), expected: &[&str]) {
    let dir = tempfile::tempdir().expect("a folder");
    let location = file(&dir);
    let (state, _) = open(&location);
    let many = (0..500).map(|n| alert(&n.to_string(), AlertState::Firing)).collect();
    commit(&state, vec![group(many, vec![], 1)]).expect("it is committed");
    state.close();
    spoil(location.path());
    let error = State::open(&location, Options::default()).expect_err("it is refused").to_string();
    for word in [&location.path().display().to_string()[..]].iter().chain(expected) {
        assert!(error.contains(word), "{word:?} is not in {error:?}");
    }
}

#[test]
fn damage_and_newer_versions_are_refused_with_what_to_do() {
    let overwrite = |from: usize, bytes: &'static [u8]| {
        move |path: &std::path::Path| {
            let mut file = std::fs::read(path).expect("the file");
            file[from..from + bytes.len()].copy_from_slice(bytes);
            std::fs::write(path, file).expect("the file");
        }
    };
    check_refused(overwrite(0, b"not a database at all"), &["is damaged", "restore it", "move both away"]);
    check_refused(overwrite(4096, &[0xff; 4096]), &["is damaged", "restore it"]);
    let sql = |sql: &'static str| {
        move |path: &std::path::Path| {
            rusqlite::Connection::open(path).expect("it opens").execute_batch(sql).expect("it is done");
        }
    };
    check_refused(sql("PRAGMA user_version = 99"), &["has version 99", "newer program", "move the file away"]);
    check_refused(sql("UPDATE alert SET annotations = 'garbage'"), &["is damaged", "restore it"]);
    check_refused(sql("UPDATE alert SET state = 'asleep'"), &["is damaged", "no such state", "asleep"]);
    check_refused(sql("UPDATE alert SET rule_index = -1"), &["is damaged"]);
}

#[test]
fn without_room_a_bundle_fails_as_a_whole_and_the_next_may_work() {
    let dir = tempfile::tempdir().expect("a folder");
    let options = Options { max_bytes: 200_000, ..Options::default() };
    let (state, _) = State::open(&file(&dir), options).expect("it opens");
    commit(&state, vec![group(vec![alert("x", AlertState::Firing)], vec![], 1)]).expect("there is room for one");
    let many = (0..5_000).map(|n| alert(&n.to_string(), AlertState::Firing)).collect();
    let error = commit(&state, vec![line(1), group(many, vec![], 2)]).expect_err("there is no room for so many");
    let text = sonde_runtime::stage::with_causes(&error);
    assert!(text.contains("the state database cannot be written") && text.contains("full"), "{text}");
    assert_eq!((state.stats().commits(), state.stats().commit_failures()), (1, 1));
    commit(&state, vec![group(vec![], vec![], 3)]).expect("there is room for little");
    assert!(state.history(HistoryPage::newest(10)).expect("lines").is_empty(), "nothing of the bundle is there");
    drop(state);
    let (_, memory) = open(&file(&dir));
    assert_eq!((memory.groups[0].last_evaluation, memory.groups[0].rules[0].alerts.len()), (3, 1));
}

/// A database as the first version of the schema had it.
#[test]
fn what_older_programs_remembered_comes_along() {
    let dir = tempfile::tempdir().expect("a folder");
    let location = Location::File(dir.path().join("state.sqlite"));
    let old = rusqlite::Connection::open(location.path()).expect("it opens");
    old.execute_batch(include_str!("schema/001_alerts.sql")).expect("the first schema");
    old.execute_batch(
        r#"PRAGMA user_version = 1;
        INSERT INTO outbox VALUES ('hook', '{"alertname":"High"}', 7, '[]', 5, '[{"alertname":"High"}]', '[]');
        INSERT INTO alert_history (at, file, rule_group, labels, from_state, to_state, value)
        VALUES (3, 'f', 'g', '{"alertname":"High","host":"x"}', 'pending', 'firing', 1.5);"#,
    )
    .expect("rows");
    drop(old);
    let (state, memory) = open(&location);
    let high = Labels::from_pairs([("alertname", "High")]);
    let lane = LaneId { route: "{}".into(), target: Target { receiver: "hook".into(), webhook: 0 } };
    let sent = Some(SentMemory { at: 5, firing: [high.clone()].into(), resolved: [].into() });
    let group = GroupMemory { labels: high, next: 7, alerts: Vec::new(), sent, believed: [].into() };
    assert_eq!(memory.outbox, [(lane, group)]);
    assert_eq!(state.history(HistoryPage::newest(1)).expect("a line")[0].transition.at, 3);
}
