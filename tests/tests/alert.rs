//! A condition of this host becomes true: pending, firing, the webhook's payload, resolved.

use std::process::{Child, Command, Stdio};
use std::time::Duration;

use serde_json::Value;
use sonde_tests::{Sonde, Stopwatch, Webhook, wait_for};

/// How many processes make the condition true.
const PROCESSES: usize = 120;
/// How long each step may take.
const DEADLINE: Duration = Duration::from_secs(30);

#[test]
fn a_host_condition_pages_and_resolves() {
    let dir = tempfile::tempdir().expect("a folder");
    let webhook = Webhook::start(2);
    let rules = dir.path().join("processes.yml");
    std::fs::write(&rules, "groups: []\n").expect("a rule file");
    let config = dir.path().join("sonde.yml");
    let text = format!(
        "rules:\n  files: ['{}']\n  evaluation_interval: 1s\nnotify:\n  webhooks:\n  - url: {}\n",
        rules.display(),
        webhook.url()
    );
    std::fs::write(&config, text).expect("a configuration");
    let sonde = Sonde::up(dir.path(), &["--config", &config.to_string_lossy()]);

    let before = wait_for("the number of processes", DEADLINE, || sonde.value("sum(system_process_count)"));
    std::fs::write(&rules, rule_file(before + PROCESSES as f64 / 2.0)).expect("the rule");
    let reload = sonde_tests::post(&sonde.url("/-/reload"), &[], Vec::new()).expect("an answer");
    assert_eq!(reload.status, 200, "{}", reload.text());
    wait_for("the rule is there and quiet", DEADLINE, || match state(&sonde).as_str() {
        "inactive" => Ok(()),
        other => Err(other.to_owned()),
    });

    let processes = Processes::start();
    let pending = Stopwatch::start();
    wait_for("pending", DEADLINE, || match state(&sonde).as_str() {
        "pending" => Ok(()),
        other => Err(other.to_owned()),
    });
    assert!(webhook.payloads().is_empty(), "nothing is sent while it is pending");
    wait_for("firing", DEADLINE, || match state(&sonde).as_str() {
        "firing" => Ok(()),
        other => Err(other.to_owned()),
    });
    assert!(pending.elapsed() >= Duration::from_secs(2), "it was pending for as long as the rule says");
    let firing = wait_for("the payload", DEADLINE, || payload(&webhook, "firing"));
    assert_eq!(webhook.failed(), 2, "two refusals were retried");
    assert_eq!(firing["version"], "4");
    for key in
        ["groupKey", "truncatedAlerts", "receiver", "groupLabels", "commonLabels", "commonAnnotations", "externalURL"]
    {
        assert!(!firing[key].is_null(), "{key} is missing: {firing}");
    }
    let alert = &firing["alerts"][0];
    assert_eq!(alert["labels"]["alertname"], "ManyProcesses");
    assert_eq!(alert["labels"]["severity"], "page");
    let summary = alert["annotations"]["summary"].as_str().unwrap_or_default();
    assert!(
        summary.starts_with("There are ") && summary.ends_with(" processes."),
        "the template was filled in: {summary:?}"
    );
    assert!(alert["fingerprint"].as_str().is_some_and(|f| f.len() == 16), "{alert}");
    assert!(sonde.value("ALERTS{alertname=\"ManyProcesses\",alertstate=\"firing\"}").is_ok_and(|v| v == 1.0));
    assert!(sonde.value("host:processes:sum").is_ok_and(|v| v > before), "the recording rule is stored");

    drop(processes);
    let resolved = wait_for("the resolved payload", DEADLINE, || payload(&webhook, "resolved"));
    let ends = resolved["alerts"][0]["endsAt"].as_str().unwrap_or_default();
    assert!(!ends.is_empty() && !ends.starts_with("0001"), "{resolved}");
    wait_for("inactive again", DEADLINE, || match state(&sonde).as_str() {
        "inactive" => Ok(()),
        other => Err(other.to_owned()),
    });
}

fn rule_file(threshold: f64) -> String {
    format!(
        r#"groups:
- name: processes
  interval: 1s
  rules:
  - record: host:processes:sum
    expr: sum(system_process_count)
  - alert: ManyProcesses
    expr: host:processes:sum > {threshold}
    for: 3s
    keep_firing_for: 1s
    labels: {{severity: page}}
    annotations: {{summary: 'There are {{{{ $value | printf "%.0f" }}}} processes.'}}
"#
    )
}

fn state(sonde: &Sonde) -> String {
    let rules = sonde.get("/api/v1/rules?type=alert").json();
    rules["data"]["groups"][0]["rules"][0]["state"].as_str().unwrap_or("absent").to_owned()
}

fn payload(webhook: &Webhook, status: &str) -> Result<Value, String> {
    let all = webhook.payloads();
    all.iter().find(|p| p["status"] == status).cloned().ok_or_else(|| format!("{} payloads: {all:?}", all.len()))
}

/// Processes of this host that do nothing but exist.
struct Processes(Vec<Child>);

impl Processes {
    fn start() -> Self {
        let sleeper = || Command::new("sleep").arg("300").stdin(Stdio::null()).spawn().expect("a process");
        Processes((0..PROCESSES).map(|_| sleeper()).collect())
    }
}

impl Drop for Processes {
    fn drop(&mut self) {
        for child in &mut self.0 {
            // One that ended early is what is wanted.
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}
