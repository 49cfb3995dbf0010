//! TLS as a team has it after an afternoon: certificates of `sonde certs`, a collector and an agent that show them to each other,
//! who is kept out, and a change of all certificates while data flows.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use rustix::process::Signal;
use serde_json::Value;
use sonde_tests::{
    Point, Server, Spawn, free_port, metrics_request, not_run, now_ms, post, sonde_binary, span_request, wait_for,
};

const PATIENCE: Duration = Duration::from_secs(60);
const PROTOBUF: [(&str, &str); 1] = [("content-type", "application/x-protobuf")];

/// A team's machines, all of them here: a folder with certificates, a collector that asks for one, an agent that shows one.
struct Team {
    dir: tempfile::TempDir,
    collector: Server,
    spawn: Spawn,
    web: String,
    grpc: String,
    http: String,
}

impl Team {
    fn new() -> Self {
        let dir = tempfile::tempdir().expect("a folder");
        for folder in ["old", "new"] {
            certs(dir.path(), &["init", folder]);
            certs(dir.path(), &["create", "--ca", folder, "--host", "127.0.0.1", "--host", "localhost"]);
            certs(dir.path(), &["create", "--ca", folder, "--client", "agent"]);
        }
        std::fs::create_dir(dir.path().join("tls")).expect("a folder");
        let [web, grpc, http] = [(); 3].map(|()| free_port().to_string());
        let config = "tls: {cert_file: tls/server.pem, key_file: tls/server.key, client_ca_file: tls/ca.pem, \
             client_auth: required, client_role: admin}\ntelemetry: {interval: 1s}\n";
        std::fs::write(dir.path().join("sonde.yml"), config).expect("a configuration");
        // Other machines could reach all of these: TLS with certificates of clients is protection enough.
        let [on_web, on_grpc, on_http] = [&web, &grpc, &http].map(|port| format!("0.0.0.0:{port}"));
        let args = ["collector", "--config", "sonde.yml", "--data-dir", "data", "--listen", &on_web];
        let args = [&args[..], &["--otlp-grpc-listen", &on_grpc, "--otlp-http-listen", &on_http]].concat();
        let spawn = Spawn::sonde(dir.path(), "collector", &args);
        install(dir.path(), "old", "127.0.0.1", "server");
        install(dir.path(), "old", "agent", "agent");
        std::fs::copy(dir.path().join("old/ca.pem"), dir.path().join("tls/ca.pem")).expect("copied");
        let collector = spawn.start();
        let team = Team { dir, collector, spawn, web, grpc, http };
        team.ready();
        team
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// `sonde query` with the certificate of a folder and a name.
    fn ask(&self, folder: &str, expr: &str) -> Output {
        let file = |name: &str| self.path(folder).join(name).display().to_string();
        Command::new(sonde_binary())
            .args(["query", "--url", &format!("https://127.0.0.1:{}", self.web), "-o", "json", expr])
            .args(["--ca-file", &file("ca.pem"), "--client-cert", &file("agent.pem")])
            .args(["--client-key", &file("agent.key")])
            .output()
            .expect("it runs")
    }

    /// The sum of a query's samples.
    fn value(&self, expr: &str) -> Result<f64, String> {
        let output = self.ask("tls", expr);
        if !output.status.success() {
            return Err(String::from_utf8_lossy(&output.stderr).into_owned());
        }
        let answer: Value = serde_json::from_slice(&output.stdout).map_err(|e| e.to_string())?;
        let samples = answer["result"].as_array().ok_or("no vector")?;
        let values: Vec<f64> = samples.iter().filter_map(|s| s["value"][1].as_str()?.parse().ok()).collect();
        if values.is_empty() { Err(format!("{expr}: no samples")) } else { Ok(values.iter().sum()) }
    }

    fn wait_for(&self, expr: &str, is_enough: impl Fn(f64) -> bool) -> f64 {
        wait_for(expr, PATIENCE, || match self.value(expr)? {
            value if is_enough(value) => Ok(value),
            value => Err(format!("{value}: {}", self.collector.output())),
        })
    }

    fn ready(&self) {
        wait_for("the collector answers", PATIENCE, || {
            self.value("vector(1)").map_err(|e| format!("{e}: {}", self.collector.output()))
        });
    }

    /// An agent with these lines under `collector.tls`, and where it takes OTLP over HTTP.
    fn agent(&self, name: &str, tls: &str) -> (Server, String) {
        let listen = format!("127.0.0.1:{}", free_port());
        let text = format!(
            "data_dir: {name}-data\nhost: {{interval: 1s}}\ntelemetry: {{interval: 1s}}\notlp: {{http_listen: '{listen}'}}\n\
             collector: {{endpoint: 'https://127.0.0.1:{}', retry_max: 1s, tls: {{{tls}}}}}\n",
            self.grpc
        );
        let config = format!("{name}.yml");
        std::fs::write(self.path(&config), text).expect("a configuration");
        let server = Spawn::sonde(self.dir.path(), name, &["agent", "--config", &config]).start();
        wait_for("the agent listens", PATIENCE, || {
            TcpStream::connect(&listen).map(drop).map_err(|e| format!("{e}: {}", server.output()))
        });
        (server, format!("http://{listen}"))
    }
}

fn certs(dir: &Path, args: &[&str]) {
    let output = Command::new(sonde_binary()).arg("certs").args(args).current_dir(dir).output().expect("it runs");
    assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
}

/// Puts a pair where the configurations look for it; each file is replaced at once.
fn install(dir: &Path, folder: &str, name: &str, as_name: &str) {
    for extension in ["pem", "key"] {
        let (from, to) = (dir.join(format!("{folder}/{name}.{extension}")), dir.join("tls"));
        let new = to.join("new");
        std::fs::copy(from, &new).expect("copied");
        std::fs::rename(new, to.join(format!("{as_name}.{extension}"))).expect("renamed");
    }
}

const AGENT_TLS: &str = "ca_file: tls/ca.pem, cert_file: tls/agent.pem, key_file: tls/agent.key";

/// Sends a delta of one and a span every few milliseconds until it is told to stop; counts what was acknowledged.
fn send(to: String, stop: Arc<AtomicBool>, acknowledged: Arc<AtomicU64>) -> std::thread::JoinHandle<()> {
    std::thread::spawn(move || {
        while !stop.load(Ordering::Relaxed) {
            let number = acknowledged.load(Ordering::Relaxed) + 1;
            let now = now_ms();
            // A series of its own: batches under way at once may arrive in any order, and deltas of one series may not.
            let attributes = vec![("number".to_owned(), number.to_string())];
            let point = Point { metric: "rotation".into(), attributes, timestamp: now, value: 1.0, delta: true };
            let sent = post(&format!("{to}/v1/metrics"), &PROTOBUF, metrics_request("tls", &[point])).expect("sent");
            assert_eq!(sent.status, 200, "{}", sent.text());
            let sent = post(&format!("{to}/v1/traces"), &PROTOBUF, span_request("tls", number, now)).expect("sent");
            assert_eq!(sent.status, 200, "{}", sent.text());
            acknowledged.store(number, Ordering::Relaxed);
            std::thread::sleep(Duration::from_millis(20));
        }
    })
}

#[test]
fn a_change_of_all_certificates_while_data_flows_loses_nothing() {
    let mut team = Team::new();
    let (agent, otlp) = team.agent("agent", AGENT_TLS);
    let (stop, acknowledged) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
    let sender = send(otlp, Arc::clone(&stop), Arc::clone(&acknowledged));
    team.wait_for("rotation_total", |value| value > 0.0);
    team.wait_for("system_uptime_seconds", |value| value > 0.0);

    let dir = team.dir.path().to_path_buf();
    let agent_reloads = "sonde_tls_reloads_total{certificate=\"client\"}";
    let collector_reloads = "sonde_tls_reloads_total{certificate=\"server\"}";
    // First both trust both authorities, then both show what is new, then nobody trusts the old authority.
    let both = ["old/ca.pem", "new/ca.pem"].map(|name| std::fs::read(dir.join(name)).expect("a file")).concat();
    for (step, reloads) in [(0, 1.0), (1, 2.0), (2, 3.0)] {
        match step {
            0 => std::fs::write(dir.join("tls/ca.pem"), &both).expect("written"),
            1 => {
                install(&dir, "new", "127.0.0.1", "server");
                install(&dir, "new", "agent", "agent");
            }
            _ => drop(std::fs::copy(dir.join("new/ca.pem"), dir.join("tls/ca.pem")).expect("copied")),
        }
        team.collector.signal(Signal::HUP);
        team.wait_for(collector_reloads, |value| value >= reloads);
        team.wait_for(agent_reloads, |value| value >= reloads);
    }
    // The old certificate opens no new connection; the agent's connection of before has stayed all the time.
    let refused = team.ask("old", "vector(1)");
    assert!(!refused.status.success(), "{refused:?}");
    assert!(String::from_utf8_lossy(&refused.stderr).contains("--ca-file"), "{refused:?}");

    // A key that does not belong to its certificate changes nothing but a counter and the log.
    std::fs::copy(dir.join("old/127.0.0.1.key"), dir.join("tls/server.key")).expect("copied");
    team.wait_for("sonde_tls_reload_failures_total{certificate=\"server\"}", |value| value > 0.0);
    let told = "tls.key_file";
    assert!(team.collector.output().contains(told), "{}", team.collector.output());
    std::fs::copy(dir.join("new/127.0.0.1.key"), dir.join("tls/server.key")).expect("copied");

    // A collector that is killed and started again finds an agent that shows the new certificate.
    team.collector.kill();
    team.collector = team.spawn.start();
    team.ready();
    stop.store(true, Ordering::Relaxed);
    sender.join().expect("everything was acknowledged");
    let sent = acknowledged.load(Ordering::Relaxed);
    team.wait_for("rotation_total", |value| value >= sent as f64);
    assert_eq!(team.value("rotation_total"), Ok(sent as f64), "each delta counts once");
    for number in [1, sent / 2, sent] {
        let found = wait_for("the span", PATIENCE, || {
            let url = format!("https://127.0.0.1:{}", team.web);
            let file = |name: &str| dir.join("tls").join(name);
            let mut command = Command::new(sonde_binary());
            command.args(["trace", "--url", &url, &format!("{number:032x}")]).arg("--ca-file").arg(file("ca.pem"));
            command.arg("--client-cert").arg(file("agent.pem")).arg("--client-key").arg(file("agent.key"));
            let output = command.output().expect("it runs");
            let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
            if output.status.success() { Ok(text(&output.stdout)) } else { Err(text(&output.stderr)) }
        });
        assert!(found.contains("work"), "{found}");
    }
    let end = team.value("min(sonde_tls_certificate_expiry_timestamp_seconds > 0)").expect("an end");
    let days = (end - now_ms() as f64 / 1e3) / 86_400.0;
    assert!((364.0..366.0).contains(&days), "{days}");
    drop(agent);
}

#[test]
fn who_shows_nothing_good_is_kept_out_and_costs_nothing() {
    let team = Team::new();
    certs(team.dir.path(), &["init", "strange"]);
    certs(team.dir.path(), &["create", "--ca", "strange", "--client", "agent"]);
    let failures = |reason: &str| {
        format!("sum by (reason) (sonde_tls_handshake_failures_total{{listener=\"otlp-grpc\",reason=\"{reason}\"}})")
    };
    // An exporter over gRPC without a certificate, one with a strange one, one that trusts somebody else.
    let (without, _) = team.agent("without", "ca_file: tls/ca.pem");
    team.wait_for(&failures("no_certificate"), |value| value > 0.0);
    let strange = "ca_file: tls/ca.pem, cert_file: strange/agent.pem, key_file: strange/agent.key";
    let (strange, _) = team.agent("strange-agent", strange);
    team.wait_for(&failures("unknown_authority"), |value| value > 0.0);
    let (distrusting, _) = team.agent("distrusting", "ca_file: strange/ca.pem");
    team.wait_for(&failures("refused"), |value| value > 0.0);
    assert!(team.value("system_uptime_seconds").is_err(), "nothing of them arrived");
    drop((without, strange, distrusting));

    // Plain HTTP, noise, and who says nothing or only begins.
    let seed = fastrand::u64(..);
    let mut random = fastrand::Rng::with_seed(seed);
    let mut held = Vec::new();
    for number in 0..200 {
        for port in [&team.web, &team.grpc, &team.http] {
            let mut stream = TcpStream::connect(format!("127.0.0.1:{port}")).expect("a connection");
            stream.set_read_timeout(Some(PATIENCE)).expect("a deadline");
            let mut answer = Vec::new();
            match number % 4 {
                0 => {
                    stream.write_all(b"GET /-/ready HTTP/1.1\r\nhost: x\r\n\r\n").expect("sent");
                    let _ = stream.read_to_end(&mut answer);
                    let told = String::from_utf8_lossy(&answer).into_owned();
                    assert!(told.starts_with("HTTP/1.1 400") && told.contains("speaks TLS"), "{told}");
                }
                1 => {
                    let noise: Vec<u8> = (0..random.usize(1..2_000)).map(|_| random.u8(..)).collect();
                    let _ = stream.write_all(&noise);
                    held.push(stream);
                }
                2 => held.push(stream),
                _ => {
                    stream.write_all(b"\x16\x03\x01\x02\x00\x01\x00").expect("sent");
                    held.push(stream);
                }
            }
        }
    }
    // All of them still hold their connections, and the others are served.
    assert_eq!(team.value("vector(1)"), Ok(1.0), "seed {seed}");
    let not_tls = "sum(sonde_tls_handshake_failures_total{reason=\"not_tls\"})";
    team.wait_for(not_tls, |value| value >= 150.0);
    team.wait_for("sum(sonde_tls_handshake_failures_total{reason=\"timeout\"})", |value| value >= 300.0);
    drop(held);
    assert!(!team.collector.output().contains("panicked"), "seed {seed}: {}", team.collector.output());
    independent_peers(&team);
}

/// Peers that share no code with us: curl and openssl of the system.
fn independent_peers(team: &Team) {
    let test = "tests/tls.rs: independent peers";
    let file = |name: &str| team.path("tls").join(name).display().to_string();
    let (ca, cert, key) = (file("ca.pem"), file("agent.pem"), file("agent.key"));
    let run = |program: &str, args: &[&str]| {
        let output = Command::new(program).args(args).stdin(Stdio::null()).output();
        let output = output.map_err(|e| not_run(test, &format!("{program}: {e}"))).ok()?;
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        Some((output.status.success(), format!("{}{}", text(&output.stdout), text(&output.stderr))))
    };
    for port in [&team.web, &team.http] {
        let url = format!("https://localhost:{port}/-/ready");
        let curl = |more: &[&str]| {
            let fixed = ["-sS", "--max-time", "20", "-o", "/dev/null", "-w", "%{http_code} %{http_version}"];
            run("curl", &[&fixed[..], &["--cacert", &ca], more, &[&url]].concat())
        };
        let status = if port == &team.web { 200 } else { 404 };
        for (more, expected) in [(&["--http2"][..], "2"), (&["--http1.1"], "1.1"), (&["--tls-max", "1.2"], "")] {
            let Some((ok, told)) = curl(&[&["--cert", &cert, "--key", &key], more].concat()) else { return };
            assert!(ok && told.starts_with(&format!("{status} {expected}")), "{more:?}: {told}");
        }
        let Some((ok, told)) = curl(&[]) else { return };
        assert!(!ok, "without a certificate: {told}");
    }
    let address = format!("127.0.0.1:{}", team.grpc);
    let fixed = ["s_client", "-connect", &address, "-CAfile", &ca, "-verify_return_error", "-alpn", "h2"];
    let Some((ok, told)) = run("openssl", &[&fixed[..], &["-cert", &cert, "-key", &key]].concat()) else { return };
    assert!(ok && told.contains("ALPN protocol: h2") && told.contains("Verify return code: 0"), "{told}");
    let Some((ok, told)) = run("openssl", &[&fixed[..], &["-tls1_1"]].concat()) else { return };
    assert!(!ok, "an old version: {told}");
}
