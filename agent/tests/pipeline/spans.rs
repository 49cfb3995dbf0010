//! Spans on the same road as metrics, and neither in the way of the other.

use sonde_agent::queue::QueueStats;
use sonde_proto::otlp::trace::{ResourceSpans, ScopeSpans, Span};
use sonde_proto::otlp::{ExportTraceServiceRequest, Message};

use super::*;

fn request(name: &str, count: usize) -> ExportTraceServiceRequest {
    let span = |n: usize| Span {
        trace_id: vec![7; 16],
        span_id: (n as u64 + 1).to_be_bytes().to_vec(),
        name: name.to_owned(),
        start_time_unix_nano: 1_700_000_000_000_000_000,
        end_time_unix_nano: 1_700_000_000_001_000_000,
        ..Span::default()
    };
    let scope = ScopeSpans { spans: (0..count).map(span).collect(), ..ScopeSpans::default() };
    let resource = ResourceSpans { scope_spans: vec![scope], ..ResourceSpans::default() };
    ExportTraceServiceRequest { resource_spans: vec![resource] }
}

fn spans(name: &str, count: usize) -> Export {
    let body = request(name, count).encode_to_vec().into();
    Export { signal: Signal::Traces, body, batch: None, items: count as u64 }
}

/// A span `sent.N` for N from 1 to `count` was stored once each, and the numbers of batches have no hole.
fn check_spans_exactly_once(state: &State, count: usize) {
    let mut names = state.span_names();
    names.sort();
    let mut expected: Vec<String> = (1..=count).map(|n| format!("sent.{n}")).collect();
    expected.sort();
    assert_eq!(names, expected);
    check_numbers(state.0.lock().traces.iter().map(|(id, _)| *id));
}

fn waiting(stats: &QueueStats) -> u64 {
    stats.waiting_batches.load(Relaxed)
}

/// The law of a queue whose spans come from local applications.
fn check_balance(stats: &QueueStats) {
    let dropped: u64 = DropReason::ALL.iter().map(|reason| stats.dropped(*reason)).sum();
    let sent = stats.sent_items.load(Relaxed) + stats.rejected_items.load(Relaxed);
    assert_eq!(stats.accepted(Source::Otlp), sent + dropped + stats.waiting_items.load(Relaxed));
}

#[tokio::test]
async fn spans_of_every_protocol_arrive_with_their_host() {
    // As a binary does.
    drop(rustls::crypto::ring::default_provider().install_default());
    let dir = tempfile::tempdir().unwrap();
    let collector = Collector::start(State::default(), "127.0.0.1:0").await;
    let mut config = quiet(dir.path(), &collector.endpoint());
    config.otlp.http_listen = Listen::At("127.0.0.1:0".parse().unwrap());
    config.resource_attributes.insert("host.name".to_owned(), "this-host".to_owned());
    let agent = Agent::start(config).await;
    agent.client().export(&spans("sent.1", 1)).await.unwrap();
    let http = reqwest::Client::new();
    let json = r#"{"resourceSpans":[{"resource":{"attributes":[{"key":"host.name","value":{"stringValue":"other"}}]},
        "scopeSpans":[{"spans":[{"traceId":"0102030405060708090a0b0c0d0e0f10","spanId":"0102030405060708",
        "name":"sent.3","startTimeUnixNano":"1700000000000000000","endTimeUnixNano":"1700000000000000001"}]}]}]}"#;
    for (content_type, body) in [
        ("application/x-protobuf", request("sent.2", 1).encode_to_vec()),
        ("application/json", json.as_bytes().to_vec()),
    ] {
        let post = http.post(format!("{}/v1/traces", agent.otlp_http)).header("content-type", content_type);
        assert_eq!(post.body(body).send().await.unwrap().status(), 200, "{content_type}");
    }
    eventually("the spans", || collector.state.span_names().len() == 3).await;
    agent.stop().await;
    check_spans_exactly_once(&collector.state, 3);
    for (_, request) in &collector.state.0.lock().traces {
        let stored = format!("{:?}", request.resource_spans);
        let is_other = stored.contains("sent.3");
        assert_eq!((stored.contains("this-host"), stored.contains("other")), (!is_other, is_other), "{stored}");
    }
    collector.stop().await;
}

#[tokio::test]
async fn retries_and_lost_answers_neither_lose_nor_double_spans() {
    for seed in 0..3 {
        let mut random = fastrand::Rng::with_seed(seed);
        let dir = tempfile::tempdir().unwrap();
        let collector = Collector::start(State::default(), "127.0.0.1:0").await;
        let answers = [Answer::Take, Answer::TakeAndFail, Answer::Busy];
        collector.state.script((0..90).map(|_| answers[random.usize(..answers.len())]));
        let agent = Agent::start(quiet(dir.path(), &collector.endpoint())).await;
        let client = agent.client();
        for n in 1..=40 {
            client.export(&spans(&format!("sent.{n}"), 1)).await.unwrap();
            client.export(&points(&format!("sent.{n}"), 2)).await.unwrap();
        }
        let (metrics, traces) = (Arc::clone(agent.queue.stats()), Arc::clone(agent.traces.stats()));
        eventually("empty queues", || waiting(&metrics) + waiting(&traces) == 0).await;
        agent.stop().await;
        check_exactly_once(&collector.state, 40);
        check_spans_exactly_once(&collector.state, 40);
        let seen = collector.state.0.lock();
        assert!(seen.duplicates > 0, "seed {seed}: an answer was lost and nothing came again");
        assert_eq!((traces.accepted(Source::Otlp), traces.sent_items.load(Relaxed), seen.spans), (40, 40, 40));
        assert_eq!((metrics.accepted(Source::Otlp), metrics.sent_items.load(Relaxed)), (80, seen.points));
    }
}

#[tokio::test]
async fn spans_wait_for_the_collector_over_restarts() {
    let dir = tempfile::tempdir().unwrap();
    let state = State::default();
    // Find a free port, and leave it again.
    let collector = Collector::start(state.clone(), "127.0.0.1:0").await;
    let (endpoint, address) = (collector.endpoint(), collector.address.to_string());
    collector.stop().await;
    let mut n = 0;
    for _life in 0..3 {
        let agent = Agent::start(quiet(dir.path(), &endpoint)).await;
        for _ in 0..10 {
            n += 1;
            agent.client().export(&spans(&format!("sent.{n}"), 1)).await.unwrap();
        }
        agent.stop().await;
    }
    let agent = Agent::start(quiet(dir.path(), &endpoint)).await;
    let collector = Collector::start(state.clone(), &address).await;
    eventually("an empty queue", || waiting(agent.traces.stats()) == 0).await;
    agent.stop().await;
    // The cursor was written at the stop: nothing is sent again.
    let agent = Agent::start(quiet(dir.path(), &endpoint)).await;
    agent.client().export(&spans("sent.31", 1)).await.unwrap();
    eventually("an empty queue", || waiting(agent.traces.stats()) == 0).await;
    assert_eq!(agent.queue.identity().epoch, 1, "a signal that is not sent is no loss");
    agent.stop().await;
    check_spans_exactly_once(&state, 31);
    assert_eq!(state.0.lock().duplicates, 0);
    collector.stop().await;
}

#[tokio::test]
async fn spans_that_the_collector_does_not_take_hold_up_no_metrics() {
    let dir = tempfile::tempdir().unwrap();
    let collector = Collector::start(State::default(), "127.0.0.1:0").await;
    collector.state.always_for_traces(Some(Answer::Unavailable));
    let mut config = quiet(dir.path(), &collector.endpoint());
    config.queue.max_trace_bytes = ByteSize::mib(1);
    let agent = Agent::start(config).await;
    let (client, stats) = (agent.client(), Arc::clone(agent.traces.stats()));
    let mut taken = 0;
    let pushed_back = loop {
        // Names that compression cannot fold, so that the queue fills soon.
        let name: String = std::iter::repeat_with(fastrand::alphanumeric).take(60_000).collect();
        match client.export(&spans(&name, 1)).await {
            Ok(_) => taken += 1,
            Err(error) => break error,
        }
        assert!(taken < 1_000, "the queue never fills");
    };
    let ExportError::Retry { after, reason } = pushed_back else { panic!("{pushed_back}") };
    assert_eq!(after, Some(Duration::from_secs(10)));
    assert!(reason.contains("the queue is full") && reason.contains("queue.max_trace_bytes"), "{reason}");
    assert_eq!(stats.pushed_back.load(Relaxed), 1);

    // Full of spans, the agent takes metrics, and they arrive.
    for n in 1..=5 {
        client.export(&points(&format!("sent.{n}"), 1)).await.unwrap();
    }
    eventually("the metrics", || waiting(agent.queue.stats()) == 0).await;
    check_exactly_once(&collector.state, 5);
    assert_eq!((collector.state.0.lock().spans, waiting(&stats)), (0, taken));

    collector.state.always_for_traces(None);
    eventually("the spans", || waiting(&stats) == 0).await;
    agent.stop().await;
    assert_eq!(collector.state.0.lock().spans, taken);
    check_balance(&stats);
    collector.stop().await;
}

#[tokio::test]
async fn spans_that_are_refused_for_good_leave_a_gap_of_their_own() {
    let dir = tempfile::tempdir().unwrap();
    let collector = Collector::start(State::default(), "127.0.0.1:0").await;
    let mut config = quiet(dir.path(), &collector.endpoint());
    config.collector.max_in_flight = 1;
    let agent = Agent::start(config).await;
    let (client, stats) = (agent.client(), Arc::clone(agent.traces.stats()));
    let before = agent.traces.identity();
    // An empty batch comes under the number of the one that was refused.
    collector.state.script([Answer::Invalid]);
    client.export(&spans("lost.1", 2)).await.unwrap();
    eventually("an answer", || collector.state.0.lock().empty == 1).await;
    client.export(&spans("kept", 2)).await.unwrap();
    eventually("what comes behind", || collector.state.span_names().len() == 2).await;
    let mark = collector.state.0.lock().cursors[&(before.agent, before.epoch, Signal::Traces)].mark();
    assert_eq!((mark, stats.dropped(DropReason::Refused)), (2, 2), "a refused number is no hole in the stream");
    let gap = || collector.state.rows().into_iter().find(|row| row.starts_with("sonde_agent_gap_spans{"));
    eventually("a gap record", || gap().is_some()).await;
    let gap = gap().unwrap();
    for part in ["reason=refused", "signal=traces", "source=otlp", "} 2"] {
        assert!(gap.contains(part), "{part} not in {gap}");
    }

    // A number that another agent uses: both signals go on under a new id.
    collector.state.always_for_traces(Some(Answer::Conflict));
    client.export(&spans("lost.2", 3)).await.unwrap();
    eventually("a new id", || agent.traces.identity().agent != before.agent).await;
    collector.state.always_for_traces(None);
    client.export(&spans("after", 1)).await.unwrap();
    client.export(&points("sent.1", 1)).await.unwrap();
    let done = || waiting(&stats) + waiting(agent.queue.stats()) == 0 && !agent.traces.has_gaps();
    eventually("empty queues", done).await;
    assert_eq!((stats.dropped(DropReason::Conflict), agent.queue.identity()), (3, agent.traces.identity()));
    let renewed = agent.traces.identity().agent;
    agent.stop().await;
    check_balance(&stats);
    {
        let seen = collector.state.0.lock();
        let last = seen.traces.last().map(|(id, _)| (id.agent, id.seq));
        assert_eq!(last, Some((renewed, 1)));
        assert_eq!(seen.stored.last().map(|(id, _)| id.agent), Some(renewed));
    }
    check_exactly_once(&collector.state, 1);
    collector.stop().await;
}
