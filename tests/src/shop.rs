//! A stock multi-service program: a shop of two Node and two Python services (`tests/shop`) with the SDKs of
//! OpenTelemetry, real HTTP between them, a database, a queue and a peer that sends no spans.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use crate::{Agent, node, post, python, wait_for, workspace_root};

/// How long a service may take to end.
const PATIENCE: Duration = Duration::from_secs(20);

/// The running shop.
#[derive(Debug)]
pub struct Shop {
    storefront: String,
    services: Vec<Child>,
}

/// What became of an order.
#[derive(Clone, Debug)]
pub struct Order {
    /// The status with which the storefront answered.
    pub status: u16,
    /// The id of its trace, in hex.
    pub trace: String,
}

impl Shop {
    /// Starts the services with logs in `dir`; they send to `agent`, half of them over gRPC. `None` where Node, Python
    /// or their packages are not there, after saying that `test` did not run.
    pub fn start(dir: &Path, agent: &Agent, test: &str) -> Option<Self> {
        let (python, (node, modules)) = (python(test)?, node(test)?);
        let folder = workspace_root().join("tests/shop");
        let mut services = Vec::new();
        let mut service = |script: &str, others: &[&str]| -> String {
            let program = if script.ends_with(".py") { &python } else { &node };
            let log = std::fs::File::create(dir.join(format!("{script}.log"))).expect("a log file");
            let mut child = Command::new(program)
                .arg(folder.join(script))
                .args([&agent.otlp_grpc, &agent.otlp_http])
                .args(others)
                .env("NODE_PATH", &modules)
                .env("PYTHONDONTWRITEBYTECODE", "1")
                .stdin(Stdio::piped())
                .stdout(Stdio::piped())
                .stderr(log)
                .spawn()
                .unwrap_or_else(|e| panic!("cannot start {script}: {e}"));
            let mut line = String::new();
            let output = child.stdout.take().expect("its output");
            BufReader::new(output).read_line(&mut line).expect("its port");
            let log = || std::fs::read_to_string(dir.join(format!("{script}.log"))).unwrap_or_default();
            let port: u16 = line.trim().parse().unwrap_or_else(|_| panic!("{script} did not start: {}", log()));
            services.push(child);
            format!("http://127.0.0.1:{port}")
        };
        let shipping = service("shipping.py", &[]);
        let payments = service("payments.cjs", &[]);
        let orders = service("orders.py", &[&payments, &shipping]);
        let storefront = service("storefront.cjs", &[&orders]);
        Some(Shop { storefront, services })
    }

    /// Places an order. Its card is refused where the number divides by five.
    pub fn buy(&self, number: usize) -> Order {
        self.visit("/buy", &format!("{{\"number\": {number}}}"))
    }

    /// Asks for a page that always fails.
    pub fn fail(&self) -> Order {
        self.visit("/fail", "")
    }

    fn visit(&self, path: &str, body: &str) -> Order {
        let reply = post(&format!("{}{path}", self.storefront), &[], body.into()).expect("an answer of the storefront");
        Order { status: reply.status, trace: reply.text() }
    }

    /// Ends the services, which send the spans that are left.
    pub fn close(mut self) {
        for child in &mut self.services {
            drop(child.stdin.take());
        }
        for child in &mut self.services {
            let status = wait_for("a service of the shop has ended", PATIENCE, || {
                child.try_wait().map_err(|e| e.to_string())?.ok_or_else(|| "it runs".to_owned())
            });
            assert!(status.success(), "a service ended with {status}");
        }
    }
}

impl Drop for Shop {
    fn drop(&mut self) {
        for child in &mut self.services {
            // It may have ended; a test that failed must not leave it behind.
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}
