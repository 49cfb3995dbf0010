//! Whole collectors on free ports, with their files in memory.

use std::path::Path;
use std::time::Duration;

use sonde_disk::MemFs;
use sonde_proto::remote_write::{Label, Sample, TimeSeries, WriteRequest, compress, encode};

use super::*;
use crate::flags::Listen;

/// Long enough that only a hang reaches it.
const PATIENCE: Duration = Duration::from_secs(30);

fn flags(config: Option<&Path>) -> Flags {
    let free: SocketAddr = "127.0.0.1:0".parse().expect("valid");
    Flags {
        data_dir: "/data".into(),
        listen: free,
        otlp_grpc_listen: Listen::On(free),
        otlp_http_listen: Listen::On(free),
        config: config.map(Path::to_path_buf),
        enable_admin_api: true,
        ..Flags::default()
    }
}

fn build(fs: &MemFs, config: Config, flags: Flags) -> Result<App, StartError> {
    drop(rustls::crypto::ring::default_provider().install_default());
    App::build_on(Arc::new(fs.clone()), crate::state::Location::Memory, config, flags, Clock::system())
}

/// Runs a collector while `test` asks it, then stops it.
async fn run_while(fs: &MemFs, config: Config, flags: Flags, test: impl AsyncFnOnce(&Client)) {
    let app = build(fs, config, flags).expect("it is built");
    let client = Client { http: reqwest::Client::new(), base: format!("http://{}", app.addresses().main) };
    let (shutdown, reload, health) = (CancellationToken::new(), app.reload(), app.health());
    let asking = async {
        client.until("ready", async || health.is_ready().then_some(())).await;
        reload.request();
        test(&client).await;
        shutdown.cancel();
    };
    // A part that fails cancels the token, and what asks with it.
    let (ended, _) = tokio::join!(app.run(shutdown.clone()), shutdown.run_until_cancelled(asking));
    ended.expect("it stops in order");
}

struct Client {
    http: reqwest::Client,
    base: String,
}

impl Client {
    /// Asks again and again until there is something.
    async fn until<T>(&self, what: &str, mut look: impl AsyncFnMut() -> Option<T>) -> T {
        let deadline = Clock::system();
        loop {
            if let Some(found) = look().await {
                return found;
            }
            assert!(deadline.monotonic() < PATIENCE, "{what}: not after {PATIENCE:?}");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    async fn get(&self, path: &str) -> (u16, String) {
        let response = self.http.get(format!("{}{path}", self.base)).send().await.expect("an answer");
        (response.status().as_u16(), response.text().await.expect("a text"))
    }

    async fn post(&self, path: &str, body: Vec<u8>) -> (u16, Option<String>, String) {
        let response = self.http.post(format!("{}{path}", self.base)).body(body).send().await.expect("an answer");
        let retry_after = response.headers().get("retry-after").and_then(|v| v.to_str().ok()).map(str::to_owned);
        (response.status().as_u16(), retry_after, response.text().await.expect("a text"))
    }

    async fn write(&self, metric: &str, series: usize) -> (u16, Option<String>, String) {
        let label = |name: &str, value: &str| Label { name: name.into(), value: value.into() };
        let one = |n: usize| TimeSeries {
            labels: vec![label("__name__", metric), label("n", &n.to_string())],
            samples: vec![Sample { value: n as f64, timestamp: Clock::system().now_ms() }],
            ..TimeSeries::default()
        };
        let request = WriteRequest { timeseries: (0..series).map(one).collect(), ..WriteRequest::default() };
        self.post("/api/v1/write", compress(&encode(&request)).expect("it fits")).await
    }

    /// The value of `count(METRIC)`.
    async fn count(&self, metric: &str) -> String {
        let (status, text) = self.get(&format!("/api/v1/query?query=count({metric})")).await;
        assert_eq!(status, 200, "{text}");
        text.rsplit('"').nth(1).unwrap_or_default().to_owned()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_collector_keeps_what_it_took_over_a_restart() {
    let fs = MemFs::new();
    run_while(&fs, Config::default(), flags(None), async |client| {
        assert_eq!(client.write("kept", 7).await.0, 204);
        assert_eq!(client.count("kept").await, "7");
        assert_eq!(client.get("/-/healthy").await.0, 200);
        assert_eq!(client.post("/-/reload", Vec::new()).await.0, 200);
    })
    .await;
    run_while(&fs, Config::default(), flags(None), async |client| {
        assert_eq!(client.count("kept").await, "7");
        // Its own metrics are in its own store: those of the last moment of the run before.
        assert_eq!(client.count(r#"sonde_tsdb_batches_total{job="sonde-collector"}"#).await, "1");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_disk_refuses_and_recovers() {
    let fs = MemFs::new();
    let config = Config::default();
    run_while(&fs, config, flags(None), async |client| {
        assert_eq!(client.write("before", 3).await.0, 204);
        fs.set_capacity(Some(fs.used() + 4096));
        let (status, retry_after, text) = client
            .until("refused", async || Some(client.write("during", 2_000).await).filter(|(status, ..)| *status != 204))
            .await;
        assert!(matches!(status, 429 | 503) && retry_after.is_some(), "{status} {text}");
        assert_eq!(client.count("before").await, "3", "queries go on");
        assert_eq!(client.get("/-/healthy").await.0, 200);
        let (_, metrics) = client.get("/metrics").await;
        let failed =
            |line: &str| line.starts_with("sonde_ingest_requests_total") && line.contains(r#"result="failed""#);
        let counted = metrics.lines().find(|line| failed(line) && !line.ends_with(" 0"));
        assert!(counted.is_some() || status == 429, "{metrics}");
        fs.set_capacity(None);
        client.until("recovered", async || (client.write("after", 5).await.0 == 204).then_some(())).await;
        assert_eq!(client.count("after").await, "5");
    })
    .await;
    run_while(&fs, Config::default(), flags(None), async |client| {
        assert_eq!((client.count("before").await.as_str(), client.count("after").await.as_str()), ("3", "5"));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bad_reload_changes_nothing_and_says_why() {
    let dir = tempfile::tempdir().expect("a folder");
    let path = dir.path().join("collector.yml");
    std::fs::write(&path, "query: {timeout: 7s}\n").expect("a file");
    let config = Config::load(&path).expect("valid");
    run_while(&MemFs::new(), config, flags(Some(&path)), async |client| {
        std::fs::write(&path, "query: {timout: 7s}\n").expect("a file");
        let (status, _, text) = client.post("/-/reload", Vec::new()).await;
        assert_eq!((status, text.contains("did you mean `timeout`")), (500, true), "{text}");
        assert!(client.get("/metrics").await.1.contains("sonde_config_last_reload_successful 0"));
        std::fs::write(&path, "query: {timeout: 1ms}\n").expect("a file");
        assert_eq!(client.post("/-/reload", Vec::new()).await.0, 200);
        assert!(client.get("/api/v1/status/runtimeinfo").await.1.contains(r#""reloadConfigSuccess":true"#));
    })
    .await;
}

#[test]
fn what_cannot_work_is_refused_before_anything_is_bound() {
    let bad_rules = Config::parse("rules: {files: [/none/at/all.yml]}", "test.yml").expect("valid");
    let error = build(&MemFs::new(), bad_rules, flags(None)).expect_err("no such file");
    assert!(error.to_string().contains("/none/at/all.yml"), "{error}");

    let taken = build(&MemFs::new(), Config::default(), flags(None)).expect("it is built");
    let same = Flags { listen: taken.addresses().main, ..flags(None) };
    let error = build(&MemFs::new(), Config::default(), same).expect_err("it is taken");
    assert!(matches!(&error, StartError::PortInUse { flag: "--listen", free: Some(_), .. }), "{error}");
}
