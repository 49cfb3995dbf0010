//! Alertmanager's API against its own clients: Debian's amtool silences and queries, Debian's Prometheus posts alerts, and
//! `sonde silence` does what amtool does.

use std::path::Path;
use std::process::{Command, Output};
use std::time::Duration;

use serde_json::Value;
use sonde_tests::{
    Point, Sonde, Spawn, Tool, Webhook, free_port, get, metrics_request, now_ms, post, sonde_binary, tool, wait_for,
};

/// How long each step may take.
const DEADLINE: Duration = Duration::from_secs(60);

#[test]
fn amtool_silences_an_alert_over_a_kill_and_lets_it_speak_again() {
    let Some(amtool) = tool(Tool::Amtool, "amtool silences") else { return };
    let dir = tempfile::tempdir().expect("a folder");
    let webhook = Webhook::start(0);
    let mut sonde = start(dir.path(), &webhook.url());
    let url = format!("--alertmanager.url={}", sonde.base);
    let am = |args: &[&str]| run(&amtool, &[args, &[&url]].concat());

    let id = am(&["silence", "add", "alertname=Hot", "furnace=~a|b", "-c", "relining", "-a", "me", "-d", "1h"]);
    let id = id.trim().to_owned();
    feed(&sonde, 9.0);
    let silenced = wait_for("firing and silenced", DEADLINE, || {
        let alerts = json(&am(&["alert", "query", "--silenced", "-o", "json"]));
        alerts.as_array().and_then(|list| list.first().cloned()).ok_or_else(|| alerts.to_string())
    });
    assert_eq!(silenced["status"]["silencedBy"][0], id.as_str(), "{silenced}");
    assert_eq!(
        (&silenced["status"]["state"], &silenced["receivers"][0]["name"]),
        (&"suppressed".into(), &"webhook".into())
    );
    assert_eq!(json(&am(&["alert", "query", "--active", "-o", "json"])), Value::Array(vec![]));
    iterations(&sonde, 3.0);

    sonde.server.kill();
    sonde.restart();
    iterations(&sonde, 3.0);
    assert_eq!(am(&["silence", "query", "-q", "alertname=Hot"]).trim(), id);
    assert_eq!(am(&["silence", "query", "-q", "alertname=Cold"]).trim(), "");
    // Debian's amtool prints addresses of memory where -q should print ids.
    let updated = json(&am(&["silence", "update", "-d", "2h", "-c", "still relining", "-o", "json", &id]));
    assert_eq!(updated[0]["id"], id.as_str(), "{updated}");
    let silence = json(&am(&["silence", "query", "-o", "json"]));
    assert_eq!(silence[0]["comment"], "still relining");
    assert!(webhook.payloads().is_empty(), "nobody was told: {:?}", webhook.payloads());

    am(&["silence", "expire", &id]);
    let payload = wait_for("the payload", DEADLINE, || webhook.payloads().first().cloned().ok_or_else(String::new));
    assert_eq!((&payload["status"], &payload["alerts"][0]["labels"]["alertname"]), (&"firing".into(), &"Hot".into()));
    assert_eq!(am(&["silence", "query", "-q"]).trim(), "");
    assert_eq!(am(&["silence", "query", "-q", "--expired"]).trim(), id);
    let active = am(&["alert", "query", "Hot", "furnace!=z"]);
    assert!(active.contains("Hot") && active.contains("active"), "{active}");
    assert_eq!(json(&am(&["alert", "query", "Cold", "-o", "json"])), Value::Array(vec![]));
    let groups = sonde.get("/api/v2/alerts/groups").json();
    assert_eq!(groups[0]["labels"]["alertname"], "Hot", "{groups}");
    assert_eq!(groups[0]["alerts"][0]["fingerprint"], active_fingerprint(&sonde), "{groups}");
    let refused =
        Command::new(&amtool).args(["silence", "expire", "00000000-0000-4000-8000-000000000000", &url]).output();
    assert!(refused.is_ok_and(|output| !output.status.success()), "an unknown silence is an error");
}

#[test]
fn amtool_adds_alerts_which_are_told_inhibited_and_resolved() {
    let Some(amtool) = tool(Tool::Amtool, "amtool adds alerts") else { return };
    let dir = tempfile::tempdir().expect("a folder");
    let webhook = Webhook::start(0);
    let mut sonde = start(dir.path(), &webhook.url());
    let url = format!("--alertmanager.url={}", sonde.base);
    let am = |args: &[&str]| run(&amtool, &[args, &[&url]].concat());

    am(&["alert", "add", "alertname=Down", "host=a", "--annotation=summary=it is away", "--generator-url=http://g/"]);
    wait_for("the first payload", DEADLINE, || told(&webhook, "Down", "firing"));
    wait_for("its memory is durable", DEADLINE, || match sonde.own_metric("sonde_notify_delivered_total") {
        1.0.. => Ok(()),
        other => Err(other.to_string()),
    });
    am(&["alert", "add", "Slow", "host=a"]);
    let inhibited = json(&am(&["alert", "query", "--inhibited", "-o", "json"]));
    let down = json(&am(&["alert", "query", "Down", "-o", "json"]));
    assert_eq!(inhibited[0]["labels"]["alertname"], "Slow", "{inhibited}");
    assert_eq!(inhibited[0]["status"]["inhibitedBy"][0], down[0]["fingerprint"], "{inhibited} {down}");
    assert_eq!(
        (&down[0]["annotations"]["summary"], &down[0]["generatorURL"]),
        (&"it is away".into(), &"http://g/".into())
    );

    sonde.server.kill();
    sonde.restart();
    iterations(&sonde, 2.0);
    assert_eq!(json(&am(&["alert", "query", "Down", "-o", "json"]))[0]["startsAt"], down[0]["startsAt"]);
    assert_eq!(webhook.payloads().len(), 1, "Slow is inhibited, Down was told: {:?}", webhook.payloads());

    let now = sonde.get("/api/v1/status/runtimeinfo").json()["data"]["serverTime"].clone();
    am(&["alert", "add", "Down", "host=a", &format!("--end={}", now.as_str().expect("a time"))]);
    wait_for("the end", DEADLINE, || told(&webhook, "Down", "resolved"));
    wait_for("what was inhibited", DEADLINE, || told(&webhook, "Slow", "firing"));
    assert_eq!(json(&am(&["alert", "query", "-o", "json"])).as_array().map(Vec::len), Some(1));
}

#[test]
fn prometheus_posts_its_alerts_to_us() {
    let Some(program) = tool(Tool::Prometheus, "prometheus posts alerts to us") else { return };
    let dir = tempfile::tempdir().expect("a folder");
    let webhook = Webhook::start(0);
    let sonde = start(dir.path(), &webhook.url());
    let rule = "{alert: Brief, expr: vector(1), labels: {team: x}}";
    let rules = format!("groups:\n- name: brief\n  interval: 1s\n  rules: [{rule}]\n");
    std::fs::write(dir.path().join("rules.yml"), rules).expect("its rules");
    let target = sonde.base.trim_start_matches("http://");
    let config = format!(
        "rule_files: [rules.yml]\nalerting:\n  alertmanagers:\n  - static_configs: [{{targets: ['{target}']}}]\n"
    );
    std::fs::write(dir.path().join("prometheus.yml"), config).expect("its configuration");
    let address = format!("127.0.0.1:{}", free_port());
    let storage = format!("--storage.tsdb.path={}", dir.path().join("prometheus-data").display());
    let listen = format!("--web.listen-address={address}");
    // An alert is said to hold for four of these, and what was dropped before Prometheus knows us comes again.
    let args = ["--config.file=prometheus.yml", &storage, &listen, "--rules.alert.resend-delay=1s"];
    let mut prometheus = Spawn::program(program, dir.path(), "prometheus", &args).start();
    prometheus.ready(&format!("http://{address}/-/ready"));

    wait_for("the payload", DEADLINE, || told(&webhook, "Brief", "firing"));
    let alerts = sonde.get("/api/v2/alerts").json();
    assert_eq!(
        (&alerts[0]["labels"]["team"], &alerts[0]["status"]["state"]),
        (&"x".into(), &"active".into()),
        "{alerts}"
    );
    let managers = get(&format!("http://{address}/api/v1/alertmanagers")).expect("an answer").json();
    assert_eq!(managers["data"]["activeAlertmanagers"][0]["url"], sonde.url("/api/v2/alerts"), "{managers}");
    // Nobody repeats it any more: it ends when its sender said last.
    prometheus.kill();
    wait_for("the end", DEADLINE, || told(&webhook, "Brief", "resolved"));
    wait_for("nothing is left", DEADLINE, || match sonde.get("/api/v2/alerts").json() {
        Value::Array(list) if list.is_empty() => Ok(()),
        other => Err(other.to_string()),
    });
}

#[test]
fn sonde_silence_makes_shows_changes_and_ends() {
    let dir = tempfile::tempdir().expect("a folder");
    let webhook = Webhook::start(0);
    let sonde = start(dir.path(), &webhook.url());
    let silence = |args: &[&str]| -> Output {
        let mut command = Command::new(sonde_binary());
        command.arg("silence").args(args).args(["--url", &sonde.base]);
        command.output().expect("sonde")
    };
    let text = |args: &[&str]| {
        let output = silence(args);
        assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8_lossy(&output.stdout).into_owned()
    };
    assert_eq!(text(&["list"]), "no silences\n");
    let id = text(&["add", "Hot", "furnace=~a|b", "--comment", "relining", "--author", "me"]).trim().to_owned();
    feed(&sonde, 9.0);
    wait_for("silenced", DEADLINE, || match sonde.get("/api/v2/alerts?silenced=true&active=false").json() {
        Value::Array(list) if list.len() == 1 => Ok(()),
        other => Err(other.to_string()),
    });
    let table = text(&["list"]);
    let wanted = [id.as_str(), "active", "me", "relining", "alertname=\"Hot\" furnace=~\"a|b\""];
    assert!(wanted.iter().all(|word| table.contains(word)), "{table}");
    assert_eq!(text(&["list", "alertname=Cold"]), "no silences\n");
    assert_eq!(text(&["update", &id, "--duration", "2h", "--comment", "cooling"]).trim(), id);
    let shown = text(&["show", &id]);
    assert!(shown.contains("COMMENT  cooling\n"), "{shown}");
    let other = text(&["update", &id, "--matcher", "alertname=Cold"]).trim().to_owned();
    assert_ne!(other, id, "other matchers make another silence");
    wait_for("the alert speaks", DEADLINE, || told(&webhook, "Hot", "firing"));
    assert_eq!(text(&["expire", &other]), "");
    assert_eq!(text(&["list"]), "no silences\n");
    let all = json(&text(&["list", "--all", "-o", "json"]));
    assert_eq!(all.as_array().map(Vec::len), Some(2), "{all}");
    let unknown = silence(&["expire", "00000000-0000-4000-8000-000000000000"]);
    let told = String::from_utf8_lossy(&unknown.stderr).into_owned();
    assert_eq!(unknown.status.code(), Some(1), "{told}");
    assert!(told.starts_with("error: there is no silence \"00000000-0000-4000-8000-000000000000\""), "{told}");
}

/// A collector with one alerting rule, one inhibition and one webhook, all quick.
fn start(dir: &Path, url: &str) -> Sonde {
    let rules = dir.join("furnace.yml");
    let rule = "{alert: Hot, expr: furnace_temperature > 5, labels: {furnace: a}}";
    std::fs::write(&rules, format!("groups:\n- name: furnace\n  interval: 1s\n  rules:\n  - {rule}\n"))
        .expect("a rule");
    let config = dir.join("sonde.yml");
    let webhook = format!("{{url: '{url}', group_wait: 0s, group_interval: 1s, repeat_interval: 4h}}");
    let inhibit = "{source_matchers: [alertname=Down], target_matchers: [alertname=Slow], equal: [host]}";
    let text = format!(
        "rules:\n  files: ['{}']\nnotify:\n  webhooks:\n  - {webhook}\n  inhibit_rules:\n  - {inhibit}\n",
        rules.display()
    );
    std::fs::write(&config, text).expect("a configuration");
    Sonde::collector(dir, &["--config", &config.to_string_lossy()])
}

/// Stores a value of the gauge that the rule looks at.
fn feed(sonde: &Sonde, value: f64) {
    let metric = "furnace.temperature".to_owned();
    let point = Point { metric, attributes: vec![], timestamp: now_ms(), value, delta: false };
    let url = format!("http://{}/v1/metrics", sonde.otlp_http.trim_start_matches("http://"));
    let reply = post(&url, &[("content-type", "application/x-protobuf")], metrics_request("furnace", &[point]));
    assert_eq!(reply.map(|r| r.status), Ok(200));
}

fn iterations(sonde: &Sonde, count: f64) {
    wait_for("evaluations", DEADLINE, || {
        let found = sonde.own_metric("sonde_rules_iterations_total");
        if found >= count { Ok(()) } else { Err(format!("{found} of {count}")) }
    });
}

/// Whether the webhook has been told that an alert is in a state.
fn told(webhook: &Webhook, alert: &str, status: &str) -> Result<(), String> {
    let payloads = webhook.payloads();
    let alerts = payloads.iter().flat_map(|payload| payload["alerts"].as_array().into_iter().flatten());
    let mut named = alerts.filter(|a| a["labels"]["alertname"] == alert && a["status"] == status);
    named.next().map(drop).ok_or_else(|| format!("{payloads:?}"))
}

fn active_fingerprint(sonde: &Sonde) -> Value {
    sonde.get("/api/v2/alerts").json()[0]["fingerprint"].clone()
}

/// What a program prints; panics where it fails.
fn run(program: &Path, args: &[&str]) -> String {
    let output = Command::new(program).args(args).output().expect("the program");
    let (stdout, stderr) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{args:?}: {stdout}{stderr}");
    stdout.into_owned()
}

fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|e| panic!("{e}: {text}"))
}
