//! Connections over real sockets: both versions of HTTP, bounds, and stopping.

mod tls;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::*;
use crate::testing::{Recorder, Server, eventually, export, within};

const REQUEST: &[u8] =
    b"POST /v1/metrics HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: 2\r\n\r\n{}";

/// Reads until what was read ends with `end`.
async fn read_until(stream: &mut TcpStream, end: &str) -> String {
    let mut read = Vec::new();
    let reading = async {
        while !read.ends_with(end.as_bytes()) {
            let mut byte = [0];
            if stream.read(&mut byte).await.unwrap() == 0 {
                break;
            }
            read.push(byte[0]);
        }
    };
    within(reading).await.expect("no answer within ten seconds");
    String::from_utf8(read).unwrap()
}

#[tokio::test]
async fn both_versions_of_http_share_the_port() {
    let consumer = Recorder::new([]);
    let server = Server::start("127.0.0.1:0", &consumer, ServeOptions::default()).await;
    let mut stream = TcpStream::connect(server.address).await.unwrap();
    for _ in 0..2 {
        stream.write_all(REQUEST).await.unwrap();
        assert!(read_until(&mut stream, "{}").await.starts_with("HTTP/1.1 200 OK\r\n"));
    }
    within(server.exporter().export(&export(1))).await.unwrap().unwrap();
    assert_eq!(consumer.taken.lock().len(), 3);
}

#[tokio::test]
async fn requests_in_flight_finish_at_shutdown_and_no_more_are_taken() {
    let consumer = Recorder::new([]);
    consumer.gate.forget_permits(usize::MAX);
    let mut server = Server::start("127.0.0.1:0", &consumer, ServeOptions::default()).await;
    let (exporter, sent) = (server.exporter(), export(1));
    let mut silent = TcpStream::connect(server.address).await.unwrap();
    let mut http1 = TcpStream::connect(server.address).await.unwrap();
    http1.write_all(REQUEST).await.unwrap();
    let stopping = async {
        eventually("both requests arrive", || consumer.taken.lock().len() == 2).await;
        server.stop.cancel();
        // The silent connection is closed at once, the others wait for their answers.
        assert_eq!(read_until(&mut silent, "x").await, "");
        consumer.gate.add_permits(2);
        assert!(read_until(&mut http1, "{}").await.starts_with("HTTP/1.1 200 OK\r\n"));
    };
    let (result, ()) = tokio::join!(exporter.export(&sent), stopping);
    result.unwrap();
    within(server.task.join_next()).await.unwrap().unwrap().unwrap().unwrap();
    assert!(TcpStream::connect(server.address).await.is_err());
}

#[tokio::test]
async fn connections_that_do_not_finish_are_cut_off() {
    let consumer = Recorder::new([]);
    consumer.gate.forget_permits(usize::MAX);
    let options = ServeOptions { drain_timeout: Duration::from_millis(20), ..ServeOptions::default() };
    let mut server = Server::start("127.0.0.1:0", &consumer, options).await;
    let mut stream = TcpStream::connect(server.address).await.unwrap();
    stream.write_all(REQUEST).await.unwrap();
    eventually("the request arrives", || consumer.taken.lock().len() == 1).await;
    server.stop.cancel();
    within(server.task.join_next()).await.unwrap().unwrap().unwrap().unwrap();
}

#[tokio::test]
async fn connections_at_one_time_are_bounded_and_silent_ones_leave() {
    let consumer = Recorder::new([]);
    let options =
        ServeOptions { max_connections: 1, header_timeout: Duration::from_millis(50), ..ServeOptions::default() };
    let server = Server::start("127.0.0.1:0", &consumer, options).await;
    let _silent = TcpStream::connect(server.address).await.unwrap();
    // The second waits in the backlog until the first, which says nothing, is closed.
    let mut second = TcpStream::connect(server.address).await.unwrap();
    second.write_all(REQUEST).await.unwrap();
    assert!(read_until(&mut second, "{}").await.starts_with("HTTP/1.1 200 OK\r\n"));
}

#[tokio::test]
async fn each_request_says_where_it_comes_from() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (address, stop) = (listener.local_addr().unwrap(), CancellationToken::new());
    let told = |axum::Extension(peer): axum::Extension<Peer>| async move { format!("{peer:?}\n") };
    let router = Router::new().route("/", axum::routing::get(told));
    let mut server = JoinSet::new();
    server.spawn(serve(listener, router, ServeOptions::default(), stop.clone()));
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
    let expected = format!("{:?}\n", Peer::plain(stream.local_addr().unwrap()));
    assert!(read_until(&mut stream, &expected).await.ends_with(&expected));
}

#[tokio::test]
async fn who_begins_a_protocol_and_asks_for_nothing_leaves() {
    let options =
        ServeOptions { max_connections: 1, header_timeout: Duration::from_millis(50), ..ServeOptions::default() };
    let server = Server::start("127.0.0.1:0", &Recorder::new([]), options).await;
    for begun in [&b"P"[..], b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", b"POST / HT"] {
        let mut stream = TcpStream::connect(server.address).await.unwrap();
        stream.write_all(begun).await.unwrap();
        let mut rest = Vec::new();
        let _ = within(stream.read_to_end(&mut rest)).await.expect("closed");
    }
}

#[tokio::test]
async fn a_server_of_the_same_process_is_reached_without_a_socket() {
    let (connector, listener) = crate::wire();
    let consumer = Recorder::new([]);
    let own = |axum::Extension(peer): axum::Extension<Peer>,
               request: axum::extract::Request,
               next: axum::middleware::Next| async move {
        assert!(peer.is_own_process);
        next.run(request).await
    };
    let router =
        crate::receiver::grpc_router(Arc::clone(&consumer), crate::receiver::Limits::default(), Arc::default());
    let (stop, mut server) = (CancellationToken::new(), JoinSet::new());
    let router = router.layer(axum::middleware::from_fn(own));
    server.spawn(serve_wire(listener, router, ServeOptions::default(), stop.clone()));
    let options = crate::exporter::ExporterOptions { wire: Some(connector), ..Default::default() };
    let exporter = crate::exporter::Exporter::new(options).unwrap();
    within(exporter.export(&export(1))).await.unwrap().unwrap();
    stop.cancel();
    within(server.join_next()).await.unwrap().unwrap().unwrap().unwrap();
    assert!(within(exporter.export(&export(1))).await.unwrap().is_err());
    assert_eq!(consumer.taken.lock().len(), 1);
}
