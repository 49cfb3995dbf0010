//! `kill -9` of a collector with alerts: no `for` is forgotten, no notification is lost, none comes twice.

use std::path::Path;
use std::time::Duration;

use serde_json::Value;
use sonde_tests::{Point, Sonde, Webhook, free_port, metrics_request, now_ms, post, sonde_binary, wait_for};

/// How long each step may take.
const DEADLINE: Duration = Duration::from_secs(60);

#[test]
fn a_for_and_what_was_told_survive_kills() {
    let dir = tempfile::tempdir().expect("a folder");
    let webhook = Webhook::start(0);
    let mut sonde = start(dir.path(), &webhook.url(), "5s");
    feed(&sonde, 9.0);
    let pending = wait_for("pending", DEADLINE, || alert(&sonde, "pending"));
    restart(&mut sonde);
    let restored = wait_for("the alert is back", DEADLINE, || alerts(&sonde).first().cloned().ok_or(String::new()));
    assert_eq!(restored["activeAt"], pending["activeAt"], "before any evaluation");
    let firing = wait_for("firing", DEADLINE, || alert(&sonde, "firing"));
    assert_eq!(firing["activeAt"], pending["activeAt"], "it fires as if nothing had been");
    wait_for("the payload", DEADLINE, || payloads(&webhook, 1));
    delivered(&sonde, 1.0);

    for _ in 0..4 {
        restart(&mut sonde);
        iterations(&sonde, 3.0);
        let firing = alert(&sonde, "firing").expect("it still fires");
        assert_eq!(firing["activeAt"], pending["activeAt"]);
        assert_eq!(statuses(&webhook), ["firing"]);
    }
    let log = sonde.server.output();
    assert!(!log.contains("ERROR") && !log.contains("panicked"), "{log}");

    feed(&sonde, 1.0);
    let resolved = wait_for("the end", DEADLINE, || payloads(&webhook, 2))[1].clone();
    assert_eq!(resolved["alerts"][0]["startsAt"], webhook.payloads()[0]["alerts"][0]["startsAt"]);
    delivered(&sonde, 1.0);
    restart(&mut sonde);
    iterations(&sonde, 3.0);
    assert!(alerts(&sonde).is_empty());
    assert_eq!(statuses(&webhook), ["firing", "resolved"], "each was told once");

    // What happened is remembered over all of that.
    let history = run(&["alerts", "history", "Hot", "--url", &sonde.base]);
    let steps =
        history.lines().skip(1).map(|line| line.split_whitespace().skip(2).take(3).collect::<Vec<_>>().join(" "));
    let expected = ["firing -> inactive", "pending -> firing", "inactive -> pending"];
    assert_eq!(steps.collect::<Vec<_>>(), expected, "{history}");
    assert_eq!(run(&["alerts", "history", "Cold", "--url", &sonde.base]), "nothing happened to alerts\n");
}

#[test]
fn what_is_silenced_is_shown_and_not_told_until_the_silence_ends() {
    let dir = tempfile::tempdir().expect("a folder");
    let webhook = Webhook::start(0);
    let sonde = start(dir.path(), &webhook.url(), "0s");
    let silence = run(&["silence", "add", "Hot", "--comment", "test", "--author", "me", "--url", &sonde.base]);
    feed(&sonde, 9.0);
    wait_for("firing", DEADLINE, || alert(&sonde, "firing"));
    let evaluations = sonde.own_metric("sonde_rules_iterations_total");
    iterations(&sonde, evaluations + 3.0);
    let shown = alert(&sonde, "firing").expect("it fires");
    assert_eq!(shown["silencedBy"][0], silence.trim());
    let table = run(&["alerts", "--url", &sonde.base]);
    assert!(table.contains("silenced"), "{table}");
    assert!(statuses(&webhook).is_empty());
    run(&["silence", "expire", silence.trim(), "--url", &sonde.base]);
    wait_for("the payload", DEADLINE, || payloads(&webhook, 1));

    let config = dir.path().join("sonde.yml");
    let told = run(&["alerts", "route", "--config", &config.to_string_lossy(), "alertname=Hot", "a=b"]);
    assert_eq!(told, "webhook  by route {}, group {alertname=\"Hot\"}\n");
}

/// Runs a command of `sonde` that works, and gives what it prints.
fn run(args: &[&str]) -> String {
    let output = std::process::Command::new(sonde_binary()).args(args).output().expect("it starts");
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{args:?}: {out}{err}");
    out.into_owned()
}

#[test]
fn a_webhook_that_is_dead_over_a_kill_hears_it_once() {
    let dir = tempfile::tempdir().expect("a folder");
    let address = format!("127.0.0.1:{}", free_port());
    let mut sonde = start(dir.path(), &format!("http://{address}/hook"), "0s");
    feed(&sonde, 9.0);
    for _ in 0..2 {
        wait_for("firing", DEADLINE, || alert(&sonde, "firing"));
        wait_for("attempts in vain", DEADLINE, || at_least(sonde.own_metric("sonde_notify_retries_total"), 3.0));
        restart(&mut sonde);
    }
    let webhook = Webhook::listen_on(&address, 0);
    wait_for("the late payload", DEADLINE, || payloads(&webhook, 1));
    delivered(&sonde, 1.0);
    feed(&sonde, 1.0);
    wait_for("the end", DEADLINE, || payloads(&webhook, 2));
    delivered(&sonde, 2.0);
    restart(&mut sonde);
    iterations(&sonde, 3.0);
    assert_eq!(statuses(&webhook), ["firing", "resolved"], "each was told once");
}

#[test]
fn what_nobody_has_sent_since_the_start_is_not_resolved() {
    let dir = tempfile::tempdir().expect("a folder");
    let webhook = Webhook::start(0);
    let mut sonde = start(dir.path(), &webhook.url(), "0s");
    feed(&sonde, 9.0);
    wait_for("firing", DEADLINE, || alert(&sonde, "firing"));
    wait_for("the payload", DEADLINE, || payloads(&webhook, 1));
    delivered(&sonde, 1.0);
    sonde.server.kill();
    // A sample is visible for two seconds from now on: soon there is nothing to be seen.
    let config = dir.path().join("sonde.yml");
    let text = std::fs::read_to_string(&config).expect("the configuration");
    std::fs::write(&config, format!("{text}query:\n  lookback: 2s\n")).expect("a configuration");
    sonde.restart();
    wait_for("the series is away", DEADLINE, || match sonde.query("furnace_temperature") {
        Ok(samples) if samples.is_empty() => Ok(()),
        other => Err(format!("{other:?}")),
    });
    let evaluations = sonde.own_metric("sonde_rules_iterations_total");
    iterations(&sonde, evaluations + 3.0);
    alert(&sonde, "firing").expect("it is kept");
    assert_eq!(statuses(&webhook), ["firing"]);
    wait_for("the end", DEADLINE, || {
        feed(&sonde, 1.0);
        payloads(&webhook, 2)
    });
    assert_eq!(statuses(&webhook), ["firing", "resolved"]);
}

#[test]
fn a_damaged_state_database_is_told_with_what_to_do() {
    let dir = tempfile::tempdir().expect("a folder");
    let mut sonde = start(dir.path(), "http://127.0.0.1:9/", "0s");
    iterations(&sonde, 1.0);
    assert_eq!(sonde.server.stop(), Some(0));
    let file = dir.path().join("data").join("state.sqlite");
    std::fs::write(&file, "this is not a database, and it is long enough to be looked at".repeat(100))
        .expect("the file");
    let mut server = sonde.spawn.start();
    let code = server.wait(DEADLINE);
    let log = server.output();
    assert!(code.is_some_and(|code| code != 0), "{code:?}: {log}");
    assert!(log.contains("state.sqlite is damaged") && log.contains("from a backup"), "{log}");
}

/// A collector with one alerting rule and one webhook, both quick.
fn start(dir: &Path, url: &str, wait: &str) -> Sonde {
    let rules = dir.join("furnace.yml");
    let rule = format!("{{alert: Hot, expr: furnace_temperature > 5, for: {wait}}}");
    std::fs::write(&rules, format!("groups:\n- name: furnace\n  interval: 1s\n  rules:\n  - {rule}\n"))
        .expect("a rule");
    let config = dir.join("sonde.yml");
    let webhook = format!("{{url: '{url}', group_wait: 0s, group_interval: 1s, repeat_interval: 4h}}");
    let text = format!("rules:\n  files: ['{}']\nnotify:\n  webhooks:\n  - {webhook}\n", rules.display());
    std::fs::write(&config, text).expect("a configuration");
    Sonde::collector(dir, &["--config", &config.to_string_lossy()])
}

fn restart(sonde: &mut Sonde) {
    sonde.server.kill();
    sonde.restart();
}

/// Stores a value of the gauge that the rule looks at.
fn feed(sonde: &Sonde, value: f64) {
    let metric = "furnace.temperature".to_owned();
    let point = Point { metric, attributes: vec![], timestamp: now_ms(), value, delta: false };
    let url = format!("http://{}/v1/metrics", sonde.otlp_http.trim_start_matches("http://"));
    let reply = post(&url, &[("content-type", "application/x-protobuf")], metrics_request("furnace", &[point]));
    assert_eq!(reply.map(|r| r.status), Ok(200));
}

fn alerts(sonde: &Sonde) -> Vec<Value> {
    sonde.get("/api/v1/alerts").json()["data"]["alerts"].as_array().cloned().unwrap_or_default()
}

fn alert(sonde: &Sonde, state: &str) -> Result<Value, String> {
    let all = alerts(sonde);
    all.iter().find(|alert| alert["state"] == state).cloned().ok_or_else(|| format!("{all:?}"))
}

fn payloads(webhook: &Webhook, count: usize) -> Result<Vec<Value>, String> {
    let all = webhook.payloads();
    if all.len() >= count { Ok(all) } else { Err(format!("{all:?}")) }
}

fn statuses(webhook: &Webhook) -> Vec<String> {
    webhook.payloads().iter().map(|payload| payload["status"].as_str().unwrap_or_default().to_owned()).collect()
}

/// Waits until the deliveries of this process are known to the database, too: before that a kill may repeat one.
fn delivered(sonde: &Sonde, count: f64) {
    wait_for("durable", DEADLINE, || at_least(sonde.own_metric("sonde_notify_delivered_total"), count));
}

fn iterations(sonde: &Sonde, count: f64) {
    wait_for("evaluations", DEADLINE, || at_least(sonde.own_metric("sonde_rules_iterations_total"), count));
}

fn at_least(value: f64, wanted: f64) -> Result<(), String> {
    if value >= wanted { Ok(()) } else { Err(format!("{value} of {wanted}")) }
}
