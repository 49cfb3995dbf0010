//! `kill -9` of agent and collector at any moment under load: nothing acknowledged is lost, nothing is counted twice.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use sonde_tests::{
    Point, Sonde, Spawn, encode, free_port, metrics_request, now_ms, post, sonde_binary, span_request, wait_for,
};

/// How often one of the two is killed. `SONDE_KILLS` asks for more.
const KILLS: usize = 60;
/// After how many of the kills the collector stays away for a while.
const LONG_OUTAGE_AFTER: usize = 20;
/// How long everything may take to arrive once both are back.
const DEADLINE: Duration = Duration::from_secs(60);

#[test]
fn nothing_acknowledged_is_lost_and_nothing_is_counted_twice() {
    let seed = std::env::var("SONDE_SEED").ok().and_then(|s| s.parse().ok()).unwrap_or_else(|| fastrand::u64(..));
    let kills = std::env::var("SONDE_KILLS").ok().and_then(|s| s.parse().ok()).unwrap_or(KILLS);
    println!("SONDE_SEED={seed} SONDE_KILLS={kills}");
    let mut random = fastrand::Rng::with_seed(seed);
    let dir = tempfile::tempdir().expect("a folder");
    let mut collector = Sonde::collector(dir.path(), &[]);
    let (agent_spawn, otlp) = agent(dir.path(), &collector.otlp_grpc);
    let mut agent = agent_spawn.start();

    let stop = Arc::new(AtomicBool::new(false));
    let load = start_load(otlp, Arc::clone(&stop));
    for kill in 0..kills {
        pause(random.u64(5..250));
        if kill == LONG_OUTAGE_AFTER {
            collector.server.kill();
            pause(4_000);
            collector.server = collector.spawn.start();
        } else if random.bool() {
            agent.kill();
            agent = agent_spawn.start();
        } else {
            collector.server.kill();
            collector.server = collector.spawn.start();
        }
    }
    collector.ready();
    stop.store(true, Ordering::SeqCst);
    let Sent { metrics, spans } = load.join().expect("the load ends");
    for (what, sent) in [("metrics", &metrics), ("spans", &spans)] {
        let acknowledged = sent.values().filter(|acked| **acked).count();
        println!("{what}: {} exports sent, {acknowledged} acknowledged", sent.len());
        assert!(acknowledged > kills, "only {acknowledged} of {} exports were acknowledged", sent.len());
    }
    wait_for("all metrics that were acknowledged", DEADLINE, || all_there(&metrics, &stored(&collector)?));
    wait_for("all spans that were acknowledged", DEADLINE, || all_there(&spans, &stored_spans(&collector)?));
    for (trace, count) in stored_spans(&collector).expect("an answer") {
        assert_eq!(count, 1.0, "trace {trace} has {count} spans");
        assert!(spans.contains_key(&trace), "trace {trace} was never sent");
    }
    let stored = stored(&collector).expect("an answer");
    for (export, value) in &stored {
        assert_eq!(*value, 1.0, "export {export} was counted {value} times");
        assert!(metrics.contains_key(export), "export {export} was never sent");
    }
    let gauge = collector.value("count_over_time(kill_gauge[1h])").expect("the gauge");
    assert_eq!(gauge, stored.len() as f64, "one gauge sample for each export");
    agent.stop();
    collector.server.kill();
    let verify = Command::new(sonde_binary()).args(["tsdb", "verify"]).arg(dir.path().join("data")).output();
    let verify = verify.expect("it runs");
    let told = [verify.stdout, verify.stderr].concat();
    assert!(verify.status.success(), "{}", String::from_utf8_lossy(&told));
    for log in [collector.server.output(), agent.output()] {
        assert!(!log.contains("panicked"), "{log}");
    }
}

/// An agent that takes OTLP from local programs and ships to `collector`.
fn agent(dir: &Path, collector: &str) -> (Spawn, String) {
    let otlp = format!("127.0.0.1:{}", free_port());
    let data = dir.join("agent-data");
    let text = format!(
        "collector:\n  endpoint: http://{collector}\ndata_dir: {}\notlp:\n  grpc_listen: 'off'\n  http_listen: {otlp}\n",
        data.display()
    );
    let config = dir.join("agent.yml");
    std::fs::write(&config, text).expect("a configuration");
    (Spawn::sonde(dir, "agent", &["agent", "--config", &config.to_string_lossy()]), format!("http://{otlp}"))
}

/// Which exports were sent, by number, and whether they were acknowledged.
#[derive(Default)]
struct Sent {
    metrics: BTreeMap<u64, bool>,
    spans: BTreeMap<u64, bool>,
}

/// Sends numbered exports one after another and remembers which were acknowledged. None is sent twice.
fn start_load(base: String, stop: Arc<AtomicBool>) -> JoinHandle<Sent> {
    std::thread::spawn(move || {
        let mut sent = Sent::default();
        let mut last = 0;
        for export in 1.. {
            if stop.load(Ordering::SeqCst) {
                break;
            }
            last = now_ms().max(last + 1);
            let label = vec![("export".to_owned(), export.to_string())];
            let points = [
                Point { metric: "kill.delta".to_owned(), attributes: label, timestamp: last, value: 1.0, delta: true },
                Point {
                    metric: "kill.gauge".to_owned(),
                    attributes: vec![],
                    timestamp: last,
                    value: export as f64,
                    delta: false,
                },
            ];
            let send = |path: &str, body| {
                let reply = post(&format!("{base}{path}"), &[("content-type", "application/x-protobuf")], body);
                reply.is_ok_and(|r| r.status == 200)
            };
            sent.metrics.insert(export, send("/v1/metrics", metrics_request("load", &points)));
            sent.spans.insert(export, send("/v1/traces", span_request("load", export, last)));
            pause(2);
        }
        sent
    })
}

/// The exports that the collector has, and how often it counted each.
fn stored(collector: &Sonde) -> Result<BTreeMap<u64, f64>, String> {
    let samples = collector.query("last_over_time(kill_delta_total[1h])")?;
    samples
        .into_iter()
        .map(|(labels, value)| {
            let export = labels["export"].as_str().and_then(|e| e.parse().ok()).ok_or_else(|| labels.to_string())?;
            Ok((export, value))
        })
        .collect()
}

/// The traces that the collector has, by number, and how many spans each has.
fn stored_spans(collector: &Sonde) -> Result<BTreeMap<u64, f64>, String> {
    let (start, end) = (now_ms() / 1000 - 3_600, now_ms() / 1000 + 60);
    let query = encode("{ resource.service.name = \"load\" }");
    let reply = collector.get(&format!("/api/search?q={query}&limit=10000&spss=1&start={start}&end={end}"));
    let json: serde_json::Value = serde_json::from_slice(&reply.body).map_err(|_| reply.text())?;
    let traces = json["traces"].as_array().ok_or_else(|| json.to_string())?;
    let number = |t: &serde_json::Value| u64::from_str_radix(t["traceID"].as_str()?, 16).ok();
    let spans = |t: &serde_json::Value| t["spanSets"][0]["matched"].as_f64();
    traces.iter().map(|t| number(t).zip(spans(t)).ok_or_else(|| t.to_string())).collect()
}

/// An error that names what was acknowledged and is not there.
fn all_there(sent: &BTreeMap<u64, bool>, stored: &BTreeMap<u64, f64>) -> Result<(), String> {
    let missing: Vec<_> = sent.iter().filter(|(n, acked)| **acked && !stored.contains_key(n)).map(|(n, _)| n).collect();
    if missing.is_empty() {
        return Ok(());
    }
    Err(format!("{} are missing: {:?}", missing.len(), &missing[..missing.len().min(9)]))
}

/// Lets the programs run for a random while, so that the kill hits any moment: the time itself is the fault injected.
fn pause(ms: u64) {
    std::thread::sleep(Duration::from_millis(ms));
}
