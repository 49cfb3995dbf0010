//! Queries that ask the same at the same time are evaluated once, and what was answered before is kept.

use std::pin::Pin;
use std::sync::atomic::Ordering::Relaxed;
use std::task::Poll;

use sonde_runtime::config::ByteSize;

use super::*;

const RANGE: &str = "/api/v1/query_range?query=sum(http_requests_total)&start=0&end=60&step=15";

/// Polls a future once: it gets as far as it can without waiting.
async fn begin<F: Future + Unpin>(future: &mut F) {
    std::future::poll_fn(|context| {
        assert!(Pin::new(&mut *future).poll(context).is_pending(), "it has to wait for its turn");
        Poll::Ready(())
    })
    .await;
}

/// One place for queries, which the first guest takes until it is told to go.
async fn crowded() -> (Fixture, std::sync::mpsc::SyncSender<()>, Pin<Box<dyn Future<Output = ()>>>) {
    let mut config = Config::default();
    config.query.concurrency = 1;
    let fixture = Fixture::open_with(config, Flags::default());
    assert_eq!(fixture.write(&data()).await.0, 204);
    let (go, told) = std::sync::mpsc::sync_channel::<()>(1);
    let server = Arc::clone(&fixture.server);
    let mut guest: Pin<Box<dyn Future<Output = ()>>> = Box::pin(async move {
        let work = move |_: crate::query::Expired<'_>| told.recv().is_ok();
        assert_eq!(server.queries.run(std::time::Duration::from_secs(60), work).await, Ok(true));
    });
    begin(&mut guest).await;
    assert_eq!(fixture.server.queries.running(), 1);
    (fixture, go, guest)
}

#[tokio::test]
async fn a_hundred_panels_cost_one_evaluation() {
    let (fixture, go, guest) = crowded().await;
    let mut panels: Vec<_> = (0..100).map(|_| Box::pin(fixture.get(RANGE))).collect();
    for panel in &mut panels {
        begin(panel).await;
    }
    let uncached = format!("{RANGE}&nocache=1");
    let mut alone = Box::pin(fixture.get(&uncached));
    begin(&mut alone).await;
    assert_eq!(fixture.server.queries.waiting(), 2, "the first panel and who wants no shared answer");
    go.send(()).expect("the guest listens");
    let mut answers = Vec::new();
    for panel in panels {
        answers.push(panel.await);
    }
    let (status, expected) = alone.await;
    assert_eq!(status, 200);
    assert!(expected.contains(r#"[15,"#), "{expected}");
    assert!(answers.iter().all(|answer| *answer == (200, expected.clone())));
    guest.await;
    let queries = fixture.server.queries.stats().queries.load(Relaxed);
    assert_eq!((queries, fixture.server.answers.joined()), (3, 99));
}

#[tokio::test]
async fn who_asks_after_a_change_does_not_get_what_was_begun_before_it() {
    let (fixture, go, guest) = crowded().await;
    let mut before = Box::pin(fixture.get(RANGE));
    begin(&mut before).await;
    let late = series(&[("__name__", "http_requests_total"), ("job", "late")], &[(45_000, 1_000.0)]);
    assert_eq!(fixture.write(&of(vec![late])).await.0, 204);
    let mut after = Box::pin(fixture.get(RANGE));
    begin(&mut after).await;
    assert_eq!(fixture.server.queries.waiting(), 2);
    go.send(()).expect("the guest listens");
    before.await;
    assert!(after.await.1.contains(r#"[45,"1"#), "the new sample counts");
    guest.await;
}

/// The one who asked first may leave: the others are answered all the same.
#[tokio::test]
async fn who_leaves_takes_nobody_along() {
    let (fixture, go, guest) = crowded().await;
    let mut first = Box::pin(fixture.get(RANGE));
    begin(&mut first).await;
    let mut second = Box::pin(fixture.get(RANGE));
    begin(&mut second).await;
    drop(first);
    go.send(()).expect("the guest listens");
    assert_eq!(second.await.0, 200);
    guest.await;
}

#[tokio::test]
async fn old_steps_are_kept() {
    let fixture = Fixture::open();
    assert_eq!(fixture.write(&data()).await.0, 204);
    fixture.clock.advance(std::time::Duration::from_secs(3_600));
    let first = fixture.get(RANGE).await;
    let stats = fixture.server.answers.cache.stats();
    let counts = || [&stats.hits, &stats.misses].map(|n| n.load(Relaxed));
    assert_eq!((first.0, fixture.get(RANGE).await == first, counts()), (200, true, [1, 1]));
    assert_eq!(fixture.get(&format!("{RANGE}&nocache=1")).await, first);
    // The range itself is looked at: nothing to keep.
    let local = "/api/v1/query_range?query=sum(http_requests_total%20@%20end())&start=0&end=60&step=15";
    assert_eq!((fixture.get(local).await.0, counts()), (200, [1, 1]));
}

/// Whoever lists series stands in a line of their own, too, and is not taken for everybody who does.
#[tokio::test]
async fn listings_take_turns_by_client() {
    let mut config = Config::default();
    (config.query.concurrency, config.query.queue) = (1, 2);
    let fixture = Fixture::open_with(config, Flags::default());
    let (go, told) = std::sync::mpsc::sync_channel::<()>(1);
    let work = move |_: crate::query::Expired<'_>| told.recv().is_ok();
    let mut guest = Box::pin(fixture.server.queries.run(std::time::Duration::from_secs(60), work));
    begin(&mut guest).await;
    let list = |host: u8| {
        let mut request = Request::get("/api/v1/labels").body(Body::empty()).expect("a request");
        request.extensions_mut().insert(sonde_otlp::Peer::plain(([127, 0, 0, host], 1).into()));
        Box::pin(fixture.answer(request))
    };
    let mut of_one = [list(1), list(1)];
    for asked in &mut of_one {
        begin(asked).await;
    }
    let mut of_other = list(2);
    begin(&mut of_other).await;
    go.send(()).expect("the guest listens");
    let [first, second] = of_one;
    assert_eq!((first.await.0, second.await.0, of_other.await.0), (200, 503, 200));
    assert_eq!(guest.await, Ok(true));
}

#[tokio::test]
async fn a_refusal_names_the_limit_the_use_and_the_key() {
    for (text, config) in [
        ("1 bytes (query.max_memory)", {
            let mut config = Config::default();
            config.query.max_memory = ByteSize(1);
            config
        }),
        ("it would hold more than 1 at one time (query.max_samples)", {
            let mut config = Config::default();
            config.query.max_samples = 1;
            config
        }),
        ("more than 1 series: make its matchers narrower (query.max_series)", {
            let mut config = Config::default();
            config.query.max_series = 1;
            config
        }),
    ] {
        let fixture = Fixture::open_with(config, Flags::default());
        let two = ["a", "b"].map(|job| series(&[("__name__", "up"), ("job", job)], &[(0, 1.0)]));
        assert_eq!(fixture.write(&of(two.to_vec())).await.0, 204);
        let (status, body) = fixture.get("/api/v1/query?query=up&time=1").await;
        assert!(status == 422 && body.contains(text), "{text}: {status} {body}");
    }
}
