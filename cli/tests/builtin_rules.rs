//! The rules that come with Sonde against what this host's Sonde really measures and tells.

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use serde_json::Value;
use sonde_alerting::RuleFile;
use sonde_promql::Expr;
use sonde_promql::ast::ExprKind;
use sonde_tests::wait_for;

/// How long the first evaluations may take.
const DEADLINE: Duration = Duration::from_secs(60);

/// `sonde up` on free ports, killed when dropped.
struct Up {
    process: Child,
    url: String,
}

impl Up {
    fn start(dir: &Path) -> Self {
        // A receiver, so that there are metrics about receivers, and slots that come soon.
        let config = "rules: {evaluation_interval: 1s}\nnotify: {webhooks: [{url: 'http://127.0.0.1:1/'}]}\n";
        std::fs::write(dir.join("sonde.yml"), config).expect("a configuration");
        let mut process = Command::new(env!("CARGO_BIN_EXE_sonde"))
            .args(["up", "--config", "sonde.yml", "--listen", "127.0.0.1:0"])
            .args(["--otlp-grpc-listen", "off", "--otlp-http-listen", "off", "--log", "warn"])
            .current_dir(dir)
            .stdout(Stdio::piped())
            .spawn()
            .expect("it starts");
        let mut lines = BufReader::new(process.stdout.take().expect("a pipe")).lines();
        let page = lines.find_map(|line| line.expect("a line").strip_prefix("  page and API  ").map(str::to_owned));
        Up { url: page.expect("it says where to look").trim_end_matches('/').to_owned(), process }
    }

    fn query(&self, expr: &str) -> Value {
        let output = Command::new(env!("CARGO_BIN_EXE_sonde"))
            .args(["query", "--url", &self.url, "-o", "json", expr])
            .output()
            .expect("it runs");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        serde_json::from_slice(&output.stdout).expect("JSON")
    }

    /// The values of a label over all series of an expression.
    fn values(&self, expr: &str, label: &str) -> BTreeSet<String> {
        let answer = self.query(expr);
        let series = answer["result"].as_array().expect("a vector");
        series.iter().map(|s| s["metric"][label].as_str().unwrap_or_default().to_owned()).collect()
    }
}

impl Drop for Up {
    fn drop(&mut self) {
        // One that has ended already is what is wanted.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// The rule files, with their names.
fn files() -> Vec<RuleFile> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../alert-rules");
    let read = |name: &str| {
        let text = std::fs::read_to_string(folder.join(name)).expect("a rule file");
        RuleFile::parse(&text, name).expect("without mistakes")
    };
    ["host.yml", "sonde.yml"].map(read).into()
}

fn metric_names(expr: &Expr, names: &mut BTreeSet<String>) {
    match &expr.kind {
        ExprKind::Vector(selector) => names.extend(selector.name.clone()),
        ExprKind::Matrix(matrix) => names.extend(matrix.selector.name.clone()),
        _ => expr.children().into_iter().for_each(|child| metric_names(child, names)),
    }
}

#[test]
fn every_metric_of_the_rules_is_there_and_every_rule_works() {
    let dir = tempfile::tempdir().expect("a folder");
    let up = Up::start(dir.path());
    let (mut wanted, mut rules) = (BTreeSet::new(), 0);
    for group in files().iter().flat_map(|file| &file.groups) {
        group.rules.iter().for_each(|rule| metric_names(&rule.expr().expr, &mut wanted));
        rules += group.rules.len();
    }
    assert!(wanted.len() > 40 && rules > 30, "{wanted:?}");

    wait_for("every metric, and every rule twice", DEADLINE, || {
        let there = up.values("count by (__name__) ({__name__=~\".+\"})", "__name__");
        let missing: Vec<&String> = wanted.difference(&there).collect();
        let evaluations = up.query(&format!("sonde_rules_evaluations_total >= {}", 2 * rules));
        let enough = evaluations["result"].as_array().is_some_and(|series| !series.is_empty());
        if missing.is_empty() && enough {
            Ok(())
        } else {
            Err(format!("missing {missing:?}, evaluations {evaluations}"))
        }
    });
    let failures = up.query("sonde_rules_evaluation_failures_total + sonde_rules_samples_rejected_total > 0");
    assert_eq!(failures["result"], serde_json::json!([]), "a rule fails");
    let pages = up.values("ALERTS{alertstate=\"firing\"}", "alertname");
    assert!(pages.is_empty(), "a healthy start pages nobody: {pages:?}");
}
