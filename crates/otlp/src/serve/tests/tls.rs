//! TLS over real sockets: who gets in, who does not, what is counted, and what a change of certificates does.

use std::path::PathBuf;
use std::sync::atomic::Ordering::Relaxed;

use sonde_runtime::Clock;
use sonde_tls::{
    Authority, ClientAuth, ClientOptions, ClientTls, HandshakeFailure, MinVersion, PemFile, PemPair, Purpose,
    ServerOptions, ServerTls,
};

use super::*;
use crate::exporter::{ExportError, Exporter, ExporterOptions, FailureKind};
use crate::testing::{Recorder, Server, eventually, export, within};

fn now_s() -> i64 {
    Clock::system().now_ms() / 1_000
}

/// A folder of certificates: an authority, a server, a client.
struct Folder {
    folder: tempfile::TempDir,
    authority: Authority,
}

impl Folder {
    fn new() -> Self {
        // Authorities of different names are told apart by name, those of one name by their keys.
        Self::of_authority("test")
    }

    fn of_authority(name: &str) -> Self {
        let authority = Authority::create(name, 10, now_s()).unwrap();
        let folder = Folder { folder: tempfile::tempdir().unwrap(), authority };
        std::fs::write(folder.path("ca"), &folder.authority.pair().certificate).unwrap();
        folder.write("server", &folder.issue(&Purpose::Server { hosts: vec!["127.0.0.1".into()] }));
        folder.write("client", &folder.issue(&Purpose::Client { name: "web-1".into() }));
        folder
    }

    fn issue(&self, purpose: &Purpose) -> PemPair {
        self.authority.issue(purpose, 10, now_s()).unwrap()
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn write(&self, name: &str, pair: &PemPair) {
        std::fs::write(self.path(name), &pair.certificate).unwrap();
        std::fs::write(self.path(&format!("{name}.key")), &pair.key).unwrap();
    }

    fn file(&self, name: &str) -> PemFile {
        PemFile::new("test", self.path(name))
    }

    fn server(&self, auth: Option<ClientAuth>) -> ServeOptions {
        let options = ServerOptions {
            certificate: self.file("server"),
            key: self.file("server.key"),
            clients: auth.map(|auth| (self.file("ca"), auth)),
            min_version: MinVersion::Tls12,
        };
        let tls = Some(Arc::new(ServerTls::load(options, now_s()).unwrap().0));
        ServeOptions { tls, ..ServeOptions::default() }
    }

    fn client(&self, pair: Option<&str>) -> Arc<ClientTls> {
        let pair = pair.map(|name| (self.file(name), self.file(&format!("{name}.key"))));
        let options = ClientOptions { authorities: Some(self.file("ca")), pair };
        Arc::new(ClientTls::load(options, now_s()).unwrap().0)
    }
}

fn exporter(server: &Server, tls: Arc<ClientTls>) -> Exporter {
    let endpoint = format!("https://{}", server.address);
    Exporter::new(ExporterOptions { endpoint, tls: Some(tls), ..ExporterOptions::default() }).unwrap()
}

async fn try_export(exporter: &Exporter) -> Result<(), ExportError> {
    within(exporter.export(&export(1))).await.unwrap().map(drop)
}

#[tokio::test]
async fn whoever_shows_a_good_certificate_gets_in() {
    let (ours, strange) = (Folder::new(), Folder::new());
    let consumer = Recorder::new([]);
    // Client authentication, the certificate that is shown, what is counted where it is refused.
    for (auth, pair, refused) in [
        (None, None, None),
        (None, Some((&ours, "client")), None),
        (Some(ClientAuth::Optional), None, None),
        (Some(ClientAuth::Optional), Some((&ours, "client")), None),
        (Some(ClientAuth::Optional), Some((&strange, "client")), Some(HandshakeFailure::UnknownAuthority)),
        (Some(ClientAuth::Required), None, Some(HandshakeFailure::NoCertificate)),
        (Some(ClientAuth::Required), Some((&ours, "client")), None),
        (Some(ClientAuth::Required), Some((&strange, "client")), Some(HandshakeFailure::UnknownAuthority)),
    ] {
        let options = ours.server(auth);
        let handshakes = Arc::clone(&options.handshakes);
        let server = Server::start("127.0.0.1:0", &consumer, options).await;
        let pair = pair.map(|(folder, name): (&Folder, &str)| (folder.file(name), folder.file(&format!("{name}.key"))));
        let client = ClientOptions { authorities: Some(ours.file("ca")), pair };
        let exporter = exporter(&server, Arc::new(ClientTls::load(client, now_s()).unwrap().0));
        let result = try_export(&exporter).await;
        let Some(failure) = refused else {
            assert_eq!(result, Ok(()), "{auth:?}");
            assert_eq!(handshakes.completed.load(Relaxed), 1);
            continue;
        };
        assert!(matches!(result, Err(ExportError::Retry { .. })), "{auth:?} {result:?}");
        assert!(handshakes.failures(failure) > 0, "{auth:?} {failure:?} {handshakes:?}");
        assert_eq!(exporter.stats().failures(FailureKind::Tls), 1, "{:?} {result:?}", exporter.stats());
    }
}

#[tokio::test]
async fn a_client_trusts_its_authority_and_the_right_name_only() {
    let ours = Folder::new();
    let options = ours.server(None);
    let handshakes = Arc::clone(&options.handshakes);
    let server = Server::start("127.0.0.1:0", &Recorder::new([]), options).await;
    for (refused, name, expected) in [(1, "test", "BadSignature"), (2, "another", "UnknownIssuer")] {
        let exporter = exporter(&server, Folder::of_authority(name).client(None));
        let result = try_export(&exporter).await;
        assert!(matches!(&result, Err(ExportError::Retry { reason, .. }) if reason.contains(expected)), "{result:?}");
        assert_eq!(exporter.stats().failures(FailureKind::Tls), 1);
        eventually("the refusal is counted", || handshakes.failures(HandshakeFailure::Refused) == refused).await;
    }
    let named = |name: &str| {
        let endpoint = format!("https://{}", server.address);
        let (tls, server_name) = (Some(ours.client(None)), Some(name.to_owned()));
        Exporter::new(ExporterOptions { endpoint, tls, server_name, ..ExporterOptions::default() }).unwrap()
    };
    let result = try_export(&named("elsewhere.example")).await;
    assert!(
        matches!(&result, Err(ExportError::Retry { reason, .. }) if reason.contains("not valid for name")),
        "{result:?}"
    );
    assert_eq!(try_export(&named("127.0.0.1")).await, Ok(()));
}

#[tokio::test]
async fn requests_carry_the_certificate_that_was_proven() {
    let folder = Folder::new();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (address, stop) = (listener.local_addr().unwrap(), CancellationToken::new());
    let told = |axum::Extension(peer): axum::Extension<Peer>| async move {
        let certificate = peer.certificate.expect("a certificate");
        format!("{} {} {}\n", peer.is_encrypted, certificate.subject, certificate.name())
    };
    let router = Router::new().route("/", axum::routing::get(told));
    let mut server = JoinSet::new();
    server.spawn(serve(listener, router, folder.server(Some(ClientAuth::Required)), stop));
    let config = folder.client(Some("client")).config();
    let stream = TcpStream::connect(address).await.unwrap();
    let name = sonde_tls::server_name("127.0.0.1").unwrap();
    let mut config = sonde_tls::ClientConfig::clone(&config);
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    let mut stream = tokio_rustls::TlsConnector::from(Arc::new(config)).connect(name, stream).await.unwrap();
    stream.write_all(b"GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").await.unwrap();
    let mut answer = String::new();
    within(stream.read_to_string(&mut answer)).await.unwrap().unwrap();
    assert!(answer.ends_with("true CN=web-1 web-1\n"), "{answer}");
}

#[tokio::test]
async fn who_does_not_speak_tls_costs_little_and_is_counted() {
    let folder = Folder::new();
    let mut options = folder.server(None);
    options.handshake_timeout = Duration::from_millis(50);
    options.max_connections = 1;
    let handshakes = Arc::clone(&options.handshakes);
    let server = Server::start("127.0.0.1:0", &Recorder::new([]), options).await;
    let seed = fastrand::u64(..);
    let mut noise = vec![0; 4_096];
    fastrand::Rng::with_seed(seed).fill(&mut noise);
    noise[0] = 0x16;
    for (sent, failure) in [
        (&b"GET / HTTP/1.1\r\nhost: x\r\n\r\n"[..], HandshakeFailure::NotTls),
        (b"\x00\x01\x02", HandshakeFailure::NotTls),
        (noise.as_slice(), HandshakeFailure::NotTls),
        (b"", HandshakeFailure::Timeout),
        // The head of a record whose rest never comes.
        (b"\x16\x03\x01\x02\x00\x01", HandshakeFailure::Timeout),
    ] {
        let before = handshakes.failures(failure);
        let mut stream = TcpStream::connect(server.address).await.unwrap();
        stream.write_all(sent).await.unwrap();
        let mut answer = Vec::new();
        // The connection may be reset, because not all that was sent is read.
        let _ = within(stream.read_to_end(&mut answer)).await.expect("closed");
        assert_eq!(handshakes.failures(failure), before + 1, "seed {seed}, {failure:?}: {handshakes:?}");
        if sent.starts_with(b"GET") {
            assert!(String::from_utf8_lossy(&answer).ends_with("\r\n\r\nthis port speaks TLS: write https://\n"));
        }
    }
    let mut leaves = TcpStream::connect(server.address).await.unwrap();
    leaves.shutdown().await.unwrap();
    eventually("the one who left is counted", || handshakes.failures(HandshakeFailure::Closed) == 1).await;
    assert_eq!(try_export(&exporter(&server, folder.client(None))).await, Ok(()));
}

#[tokio::test]
async fn a_change_of_all_certificates_loses_nothing() {
    let folder = Folder::new();
    let options = folder.server(Some(ClientAuth::Required));
    let (server_tls, client_tls) = (options.tls.clone().unwrap(), folder.client(Some("client")));
    let consumer = Recorder::new([]);
    let server = Server::start("127.0.0.1:0", &consumer, options).await;
    let old_connection = exporter(&server, Arc::clone(&client_tls));
    assert_eq!(try_export(&old_connection).await, Ok(()));

    // Both trust both authorities, then each shows what is new, then the old authority goes.
    let new = Folder::new();
    let refresh = || {
        server_tls.refresh(now_s()).unwrap();
        client_tls.refresh(now_s()).unwrap();
    };
    let both = format!("{}{}", folder.authority.pair().certificate, new.authority.pair().certificate);
    let before = folder.client(Some("client"));
    for step in 0..4 {
        match step {
            0 => std::fs::write(folder.path("ca"), &both).unwrap(),
            1 => folder.write("server", &new.issue(&Purpose::Server { hosts: vec!["127.0.0.1".into()] })),
            2 => folder.write("client", &new.issue(&Purpose::Client { name: "web-1".into() })),
            _ => std::fs::write(folder.path("ca"), &new.authority.pair().certificate).unwrap(),
        }
        refresh();
        assert_eq!(try_export(&exporter(&server, Arc::clone(&client_tls))).await, Ok(()), "step {step}");
        assert_eq!(try_export(&old_connection).await, Ok(()), "step {step}: the connection stays");
    }
    // Who shows what the old authority signed is refused now.
    let trusting = ClientOptions { authorities: Some(new.file("ca")), ..before.source() };
    std::fs::write(folder.path("ca"), &both).unwrap();
    folder.write("client", &folder.issue(&Purpose::Client { name: "web-1".into() }));
    let old = Arc::new(ClientTls::load(trusting, now_s()).unwrap().0);
    let result = try_export(&exporter(&server, old)).await;
    assert!(matches!(result, Err(ExportError::Retry { .. })), "{result:?}");
    assert_eq!(consumer.taken.lock().len(), 9);
}

#[tokio::test]
async fn one_machine_shakes_few_hands_at_a_time() {
    let folder = Folder::new();
    let options = ServeOptions { max_handshakes: 2, ..folder.server(None) };
    let handshakes = Arc::clone(&options.handshakes);
    let server = Server::start("127.0.0.1:0", &Recorder::new([]), options).await;
    let mut slow = Vec::new();
    for _ in 0..3 {
        slow.push(TcpStream::connect(server.address).await.unwrap());
    }
    eventually("one is too many", || handshakes.failures(HandshakeFailure::TooMany) == 1).await;
    let socket = tokio::net::TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.2:0".parse().unwrap()).unwrap();
    let mut other = socket.connect(server.address).await.unwrap();
    other.write_all(b"GET / HTTP/1.1\r\n\r\n").await.unwrap();
    assert!(read_until(&mut other, "https://\n").await.starts_with("HTTP/1.1 400"), "another machine is heard");
    drop(slow);
    eventually("they have left", || handshakes.failures(HandshakeFailure::Closed) == 2).await;
    within(exporter(&server, folder.client(None)).export(&export(1))).await.unwrap().unwrap();
    assert_eq!(handshakes.failures(HandshakeFailure::TooMany), 1);
}
