//! Imports of pages, as far as the memory goes that they keep from others.

use std::pin::Pin;

use axum::body::Bytes;

use super::super::streamed::Streamed;
use super::*;

/// A request whose body comes in the pieces that are sent.
fn slow(path: &str) -> (tokio::sync::mpsc::Sender<Result<Bytes, std::io::Error>>, Request<Body>) {
    let (sender, receiver) = tokio::sync::mpsc::channel(1);
    let body = Streamed::body(Bytes::new(), receiver, None::<Pin<Box<std::future::Ready<Result<(), std::io::Error>>>>>);
    (sender, Request::post(path).body(body).expect("a request"))
}

#[tokio::test]
async fn a_slow_sender_keeps_no_memory_from_others() {
    let mut config = Config::default();
    // Room for one page that is being read.
    config.ingest.max_inflight = sonde_runtime::config::ByteSize(20 << 20);
    let fixture = Arc::new(Fixture::open_with(config, Flags::default()));
    let used = || fixture.server.core().expect("it is open").ingest.budget().used();
    let (mut pages, mut answers) = (Vec::new(), tokio::task::JoinSet::new());
    for n in 0..3 {
        let (sender, request) = slow("/api/v1/import/prometheus");
        let slow_one = Arc::clone(&fixture);
        answers.spawn(async move { slow_one.answer(request).await });
        for line in ["a", "b"] {
            let line = format!("slow_{line}{{n=\"{n}\"}} 1\n");
            sender.send(Ok(Bytes::from(line))).await.expect("it is read");
        }
        pages.push(sender);
    }
    // They have been read as far as they came, and wait.
    while pages.iter().any(|sender| sender.capacity() == 0) || used() > 1 << 20 {
        tokio::task::yield_now().await;
    }
    let quick = || Request::post("/api/v1/import/prometheus").body(Body::from("quick 1\n")).expect("a request");
    assert_eq!(fixture.answer(quick()).await, (204, String::new()));
    drop(pages);
    while let Some(answer) = answers.join_next().await {
        assert_eq!(answer.expect("it answers"), (204, String::new()));
    }
    assert_eq!(used(), 0);
    let (_, found) = fixture.get("/api/v1/query?query=count(%7B__name__=~%22slow_.|quick%22%7D)&time=60").await;
    assert!(found.contains(r#""7"]"#), "{found}");
}
