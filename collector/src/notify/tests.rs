//! Notifications against a server on the loopback interface.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::http::StatusCode;
use axum::routing::post;
use parking_lot::Mutex;
use serde_json::{Value, json};
use sonde_alerting::{AlertInstance, AlertState};
use sonde_model::Labels;
use sonde_runtime::Clock;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::{News, Notifier, ReceiverStats, Setup};
use crate::config::Config;
use crate::rules::tests::provider;
use crate::state::{Location, Options, State};

/// What the server answers, one after the other; 200 when there is nothing left.
type Answers = Arc<Mutex<VecDeque<(StatusCode, Option<&'static str>)>>>;

struct World {
    notifier: Notifier,
    bodies: Arc<Mutex<Vec<Value>>>,
    answers: Answers,
    url: String,
    token: CancellationToken,
    running: JoinSet<()>,
}

impl World {
    async fn new() -> Self {
        provider();
        let (bodies, answers) = (Arc::new(Mutex::new(Vec::new())), Answers::default());
        let (kept, given) = (Arc::clone(&bodies), Arc::clone(&answers));
        let hook = move |body: Bytes| async move {
            kept.lock().push(serde_json::from_slice::<Value>(&body).expect("JSON"));
            let (status, after) = given.lock().pop_front().unwrap_or((StatusCode::OK, None));
            let headers = after.map(|after| [("retry-after", after)]).into_iter().flatten().collect::<Vec<_>>();
            (status, axum::response::AppendHeaders(headers), "no reason")
        };
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let url = format!("http://{}/hook", listener.local_addr().expect("an address"));
        let token = CancellationToken::new();
        let mut running = JoinSet::new();
        let router = Router::new().route("/hook", post(hook));
        running.spawn(async move { axum::serve(listener, router).await.expect("it serves") });
        let notifier = Notifier::new(Clock::system()).expect("a client");
        running.spawn(notifier.clone().run(token.clone()));
        World { notifier, bodies, answers, url, token, running }
    }

    /// Configures one webhook, quick enough for a test, with more keys.
    fn configure(&self, url: &str, more: &str) {
        let text = format!(
            "notify:\n  webhooks:\n  - {{url: '{url}', group_wait: 0s, group_interval: 20ms, timeout: 2s, {more}}}\n"
        );
        let config = Config::parse(&text, "test.yml").expect("a configuration");
        self.notifier.configure(Setup::new(&config.notify, "http://sonde:9090").expect("a setup"));
    }

    /// Says something about an alert.
    fn take(&self, alert: AlertInstance, generator_url: &str, now: i64) {
        let news = News { alerts: vec![alert], generator_url: generator_url.to_owned() };
        self.notifier.record(&[news], Vec::new(), now).expect("there is no database to fail");
    }

    /// A counter, over all receivers.
    fn count(&self, read: fn(&ReceiverStats) -> u64) -> u64 {
        self.notifier.stats().iter().map(|stats| read(stats)).sum()
    }

    async fn until(&self, what: &str, done: impl Fn() -> bool) {
        for _ in 0..1_000 {
            if done() {
                return;
            }
            tokio::time::timeout(Duration::from_millis(10), std::future::pending::<()>()).await.expect_err("a moment");
        }
        panic!("{what} did not come: {:?} {:?}", self.bodies.lock(), self.notifier.stats());
    }
}

impl Drop for World {
    fn drop(&mut self) {
        self.token.cancel();
        self.running.abort_all();
    }
}

fn alert(host: &str, state: AlertState) -> AlertInstance {
    AlertInstance {
        labels: Labels::from_pairs([("alertname", "High"), ("host", host)]),
        annotations: Labels::from_pairs([("summary", "too high")]),
        state,
        active_at: 1_699_999_000_000,
        fired_at: Some(1_700_000_000_123),
        resolved_at: (state == AlertState::Inactive).then_some(1_700_000_060_000),
        keep_firing_since: None,
        value: 1.0,
    }
}

#[tokio::test]
async fn the_payload_is_alertmanagers_version_4() {
    let world = World::new().await;
    world.configure(&world.url, "");
    world.take(alert("x", AlertState::Firing), "http://sonde:9090/graph?g0.expr=up&g0.tab=1", 0);
    world.until("the payload", || !world.bodies.lock().is_empty()).await;
    let mut expected = json!({
        "version": "4",
        "groupKey": "{}:{alertname=\"High\"}",
        "truncatedAlerts": 0,
        "status": "firing",
        "receiver": "webhook",
        "groupLabels": {"alertname": "High"},
        "commonLabels": {"alertname": "High", "host": "x"},
        "commonAnnotations": {"summary": "too high"},
        "externalURL": "http://sonde:9090",
        "alerts": [{
            "status": "firing",
            "labels": {"alertname": "High", "host": "x"},
            "annotations": {"summary": "too high"},
            "startsAt": "2023-11-14T22:13:20.123Z",
            "endsAt": "0001-01-01T00:00:00Z",
            "generatorURL": "http://sonde:9090/graph?g0.expr=up&g0.tab=1",
            "fingerprint": format!("{:016x}", alert("x", AlertState::Firing).fingerprint()),
        }],
    });
    assert_eq!(world.bodies.lock()[0], expected);
    world.until("the delivery", || world.count(ReceiverStats::delivered) == 1).await;
    world.take(alert("x", AlertState::Inactive), "", 1);
    world.until("the end", || world.bodies.lock().len() == 2).await;
    expected["status"] = "resolved".into();
    expected["alerts"][0]["status"] = "resolved".into();
    expected["alerts"][0]["endsAt"] = "2023-11-14T22:14:20Z".into();
    assert_eq!(world.bodies.lock()[1], expected);
    world.until("nothing is kept", || world.count(ReceiverStats::alerts) == 0).await;
}

#[tokio::test]
async fn refusals_are_tried_again_where_that_may_help() {
    let world = World::new().await;
    let answer = |status: u16, after| (StatusCode::from_u16(status).expect("a status"), after);
    world.answers.lock().extend([answer(503, None), answer(429, Some("1")), answer(200, None)]);
    world.configure(&world.url, "repeat_interval: 1h");
    let clock = Clock::system();
    let started = clock.monotonic();
    world.take(alert("x", AlertState::Firing), "", 0);
    world.until("the delivery", || world.count(ReceiverStats::delivered) == 1).await;
    assert!(
        clock.monotonic() - started >= Duration::from_millis(1_250),
        "a quarter of a second, then what was asked for"
    );
    assert_eq!((world.bodies.lock().len(), world.count(ReceiverStats::retries)), (3, 2));

    // What is refused for good is not tried again at once, but when the group is looked at the next time.
    world.answers.lock().push_back(answer(400, None));
    world.take(alert("y", AlertState::Firing), "", 0);
    world.until("the failure", || world.count(ReceiverStats::failed) == 1).await;
    world.until("the delivery", || world.count(ReceiverStats::delivered) == 2).await;
    assert_eq!(world.count(ReceiverStats::retries), 2);
}

#[tokio::test]
async fn a_receiver_that_is_away_does_not_hold_up_others_and_gets_it_later() {
    let world = World::new().await;
    let away = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = away.local_addr().expect("an address");
    drop(away);
    let text = format!(
        "notify:\n  webhooks:\n  - {{name: away, url: 'http://{address}/', group_wait: 0s, group_interval: 20ms}}\n\
         \x20 - {{url: '{}', group_wait: 0s, group_interval: 20ms}}\n",
        world.url
    );
    let config = Config::parse(&text, "test.yml").expect("a configuration");
    world.notifier.configure(Setup::new(&config.notify, "").expect("a setup"));
    world.take(alert("x", AlertState::Firing), "", 0);
    world.until("the other", || world.count(ReceiverStats::delivered) == 1).await;
    world.until("an attempt", || world.count(ReceiverStats::retries) > 0).await;

    let received = Arc::new(Mutex::new(0));
    let count = Arc::clone(&received);
    let listener = tokio::net::TcpListener::bind(address).await.expect("the port again");
    let router = Router::new().route("/", post(move |_: Bytes| async move { *count.lock() += 1 }));
    let mut late = JoinSet::new();
    late.spawn(async move { axum::serve(listener, router).await });
    world.until("the late one", || *received.lock() == 1).await;
}

#[tokio::test]
async fn a_restart_repeats_nothing_and_loses_nothing() {
    let dir = tempfile::tempdir().expect("a folder");
    let location = Location::File(dir.path().join("state.sqlite"));
    let open = || State::open(&location, Options::default()).expect("a state database");
    let mut world = World::new().await;
    world.configure(&world.url, "");
    let (state, memory) = open();
    world.notifier.recall(state.clone(), memory.outbox, &[]);
    world.take(alert("x", AlertState::Firing), "http://s", 0);
    world.until("the delivery", || world.count(ReceiverStats::delivered) == 1).await;
    let gone = tokio::net::TcpListener::bind("127.0.0.1:0").await.and_then(|l| l.local_addr()).expect("an address");
    world.configure(&format!("http://{gone}/"), "");
    world.take(alert("y", AlertState::Firing), "http://s", 0);
    world.until("an attempt in vain", || world.count(ReceiverStats::retries) > 0).await;
    assert_eq!(world.bodies.lock().len(), 1, "the receiver that was reconfigured does not hear of x again");

    // The process ends in the midst of an attempt; the next one has the receiver back.
    let (bodies, url) = (Arc::clone(&world.bodies), world.url.clone());
    state.close();
    world.notifier = Notifier::new(Clock::system()).expect("a client");
    let (state, memory) = open();
    assert_eq!(memory.outbox.len(), 1);
    world.configure(&url, "");
    world.notifier.recall(state.clone(), memory.outbox, &[]);
    world.running.spawn(world.notifier.clone().run(world.token.clone()));
    world.until("what was not told", || bodies.lock().len() == 2).await;
    assert_eq!(bodies.lock()[1]["alerts"].as_array().map(Vec::len), Some(2));
    world.until("the delivery", || world.count(ReceiverStats::delivered) == 1).await;

    // Another start: everything has been told, and what is not configured is forgotten.
    state.close();
    world.notifier = Notifier::new(Clock::system()).expect("a client");
    let (state, memory) = open();
    world.notifier.recall(state.clone(), memory.outbox, &[]);
    state.close();
    assert!(open().1.outbox.is_empty());
}

#[tokio::test]
async fn whatever_a_receiver_asks_for_costs_only_the_notification() {
    let world = World::new().await;
    world.answers.lock().push_back((StatusCode::SERVICE_UNAVAILABLE, Some("18446744073709551615")));
    world.configure(&world.url, "");
    world.take(alert("x", AlertState::Firing), "", 0);
    world.until("the failure", || world.count(ReceiverStats::failed) == 1).await;
}
