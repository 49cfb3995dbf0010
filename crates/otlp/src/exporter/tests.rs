//! The exporter against the receiver, over real sockets.

use std::sync::atomic::Ordering::Relaxed;

use sonde_model::{AgentId, BatchId};

use super::*;
use crate::consumer::Refused;
use crate::serve::ServeOptions;
use crate::testing::{Recorder, Server, eventually, export, within};

#[tokio::test]
async fn a_batch_arrives_as_it_was_with_its_number() {
    let consumer = Recorder::new([]);
    let server = Server::start("127.0.0.1:0", &consumer, ServeOptions::default()).await;
    let batch = BatchId { agent: AgentId([1; 16]), epoch: 2, signal: Signal::Metrics, seq: 3 };
    for compress in [true, false] {
        let endpoint = format!("http://{}", server.address);
        let headers = vec![("authorization".to_owned(), "Bearer x".to_owned())];
        let options = ExporterOptions { endpoint, headers, compress, ..ExporterOptions::default() };
        let exporter = Exporter::new(options).unwrap();
        // More than a flow control window, and more than a frame.
        let sent = Export { batch: Some(batch), ..export(100_000) };
        assert_eq!(within(exporter.export(&sent)).await.unwrap(), Ok(Accepted::default()));
        let taken = consumer.taken.lock().pop().unwrap();
        assert!(taken.body == sent.body && taken.batch == Some(batch) && taken.items == 100_000);
        let stats = exporter.stats();
        assert_eq!((stats.sent_requests.load(Relaxed), stats.sent_items.load(Relaxed)), (1, 100_000));
    }
}

#[tokio::test]
async fn answers_are_told_apart() {
    let partial = Accepted { rejected: 2, message: "two were bad".to_owned() };
    let busy = Refused::Busy { retry_after: Duration::from_millis(1_500), reason: "full".to_owned() };
    let answers = [
        Ok(partial.clone()),
        Err(busy),
        Err(Refused::Unavailable("disk".to_owned())),
        Err(Refused::Invalid("bad".to_owned())),
        Err(Refused::Conflict("taken".to_owned())),
    ];
    let consumer = Recorder::new(answers);
    let server = Server::start("127.0.0.1:0", &consumer, ServeOptions::default()).await;
    let exporter = server.exporter();
    let batch = BatchId { agent: AgentId([1; 16]), epoch: 2, signal: Signal::Metrics, seq: 3 };
    let sent = Export { batch: Some(batch), ..export(3) };
    let retry = |after, reason: &str| Err(ExportError::Retry { after, reason: reason.to_owned() });
    let permanent = |reason: &str| Err(ExportError::Permanent { reason: reason.to_owned() });
    for expected in [
        Ok(partial),
        retry(Some(Duration::from_millis(1_500)), "ResourceExhausted: full"),
        retry(Some(Duration::from_secs(1)), "Unavailable: disk"),
        permanent("InvalidArgument: bad"),
        Err(ExportError::Conflict { reason: "FailedPrecondition: taken".to_owned() }),
        Ok(Accepted::default()),
    ] {
        assert_eq!(within(exporter.export(&sent)).await.unwrap(), expected);
    }
    let stats = exporter.stats();
    let failures = FailureKind::ALL.map(|kind| stats.failures(kind));
    assert_eq!((failures, stats.rejected_items.load(Relaxed)), ([1, 0, 0, 1, 0, 0, 1, 1], 2));
    let traces = Export { signal: Signal::Traces, body: Bytes::new(), batch: None, items: 0 };
    assert_eq!(within(exporter.export(&traces)).await.unwrap(), Ok(Accepted::default()));
    assert_eq!(consumer.taken.lock().last().unwrap().signal, Signal::Traces);
}

/// A receiver that goes away in the middle of a request and comes back: the request is retried and arrives.
#[tokio::test]
async fn a_receiver_that_goes_away_is_retried() {
    let consumer = Recorder::new([]);
    consumer.gate.forget_permits(usize::MAX);
    let mut server = Server::start("127.0.0.1:0", &consumer, ServeOptions::default()).await;
    let (exporter, address) = (server.exporter(), server.address.to_string());
    let sent = export(1);
    let first = exporter.export(&sent);
    let killed = async {
        eventually("the request arrives", || !consumer.taken.lock().is_empty()).await;
        server.task.shutdown().await;
    };
    let (result, ()) = within(async { tokio::join!(first, killed) }).await.unwrap();
    assert!(matches!(&result, Err(ExportError::Retry { after: None, .. })), "{result:?}");
    // Nobody listens now.
    let result = within(exporter.export(&sent)).await.unwrap();
    assert!(matches!(&result, Err(ExportError::Retry { reason, .. }) if reason.contains("refused")), "{result:?}");
    assert_eq!(exporter.stats().failures(FailureKind::Unreachable), 2);
    consumer.gate.add_permits(10);
    let _server = Server::start(&address, &consumer, ServeOptions::default()).await;
    assert_eq!(within(exporter.export(&sent)).await.unwrap(), Ok(Accepted::default()));
}

#[tokio::test]
async fn an_answer_that_does_not_come_is_a_retry() {
    let consumer = Recorder::new([]);
    consumer.gate.forget_permits(usize::MAX);
    let server = Server::start("127.0.0.1:0", &consumer, ServeOptions::default()).await;
    let endpoint = format!("http://{}", server.address);
    let options = ExporterOptions { endpoint, timeout: Duration::from_millis(50), ..ExporterOptions::default() };
    let exporter = Exporter::new(options).unwrap();
    let expected = ExportError::Retry { after: None, reason: "no answer within 0.05 s".to_owned() };
    assert_eq!(within(exporter.export(&export(1))).await.unwrap(), Err(expected));
    assert_eq!(exporter.stats().failures(FailureKind::Timeout), 1);
}

#[tokio::test]
async fn options_are_proven() {
    let check = |endpoint: &str, header: &str, expected: &str| {
        let headers = vec![(header.to_owned(), "v".to_owned())];
        let options = ExporterOptions { endpoint: endpoint.to_owned(), headers, ..ExporterOptions::default() };
        assert!(Exporter::new(options).unwrap_err().to_string().contains(expected), "{endpoint} {header}");
    };
    check("localhost:4317", "a", "expected http://host:port");
    check("https://localhost:4317", "a", "nothing says whom to trust");
    check("ftp://localhost:4317", "a", "expected http://host:port");
    check("http://", "a", "expected http://host:port");
    check("http://a b", "a", "expected http://host:port");
    check("http://localhost:4317", "a b", "header \"a b\" is invalid");
    check("http://localhost:4317", "a-bin", "header \"a-bin\" is invalid");
}
