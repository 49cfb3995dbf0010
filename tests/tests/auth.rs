//! Tokens on the real ports: every documented route asked by everyone, the first token, enrolment of an agent.

use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use sonde_tests::{Reply, Sonde, Spawn, Stopwatch, request, sonde_binary, wait_for, workspace_root};

/// Long enough that only a hang reaches it.
const PATIENCE: Duration = Duration::from_secs(30);
const GRPC: (&str, &str) = ("content-type", "application/grpc");

/// A row of the table in docs/auth.md.
struct Route {
    port: String,
    method: String,
    path: String,
    role: String,
}

/// The table that people read; the collector's own tests hold it against the one that the collector decides from.
fn routes() -> Vec<Route> {
    let text = std::fs::read_to_string(workspace_root().join("docs/auth.md")).expect("the reference");
    let table = text.split("\n## Routes\n").nth(1).expect("a section");
    let mut routes = Vec::new();
    for line in table.lines().filter(|line| line.starts_with("| ") && line.contains('`')) {
        let cells: Vec<&str> = line.trim_matches('|').split('|').map(str::trim).collect();
        for method in cells[1].split(' ') {
            let [port, path, role] = [cells[0], cells[2].trim_matches('`'), cells[3]].map(str::to_owned);
            routes.push(Route { port, method: method.to_owned(), path, role });
        }
    }
    assert!(routes.len() > 50, "only {} routes were read", routes.len());
    routes
}

/// Runs `sonde` and gives what it printed: stdout where it worked, stderr where it did not.
fn run(dir: &Path, args: &[&str], token: Option<&str>) -> Result<String, String> {
    let mut command = Command::new(sonde_binary());
    command.args(args).current_dir(dir).env_remove("SONDE_TOKEN").envs(token.map(|token| ("SONDE_TOKEN", token)));
    let output = command.output().expect("it starts");
    let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).trim_end().to_owned();
    if output.status.success() { Ok(text(output.stdout)) } else { Err(text(output.stderr)) }
}

/// Makes a token with the right of whoever can read the data directory.
fn token(sonde: &Sonde, role: &str, name: &str, more: &[&str]) -> String {
    let data = sonde.dir.join("data").display().to_string();
    let args = [&["token", "create", "--data-dir", &data, "--role", role, "--name", name], more].concat();
    let made = run(&sonde.dir, &args, None).expect("a token");
    assert!(made.starts_with(&format!("sonde_{role}_")) && made.lines().count() == 1, "{made}");
    made
}

fn always(dir: &Path) -> String {
    let path = dir.join("collector.yml");
    std::fs::write(&path, "auth: {required: always}\n").expect("a file");
    path.display().to_string()
}

/// What a route answers: 401 and 403, which gRPC says in its own words; 0 is anything else.
fn refusal(sonde: &Sonde, route: &Route, headers: &[(&str, &str)]) -> u16 {
    let ports = [("main", &sonde.base[7..]), ("otlp-http", &sonde.otlp_http), ("grpc", &sonde.otlp_grpc)];
    let host = ports.iter().find(|(name, _)| *name == route.port).expect("a port").1;
    // Nothing lies there, and nothing is to be changed by asking: the id of no token, no rules to be read again.
    let path: Vec<&str> = route.path.split('/').map(|part| if part.starts_with('{') { "0" } else { part }).collect();
    let mut headers = headers.to_vec();
    headers.extend((route.port == "grpc").then_some(GRPC));
    let reply = request(&route.method, &format!("http://{host}{}", path.join("/")), &headers, Vec::new());
    let reply: Reply = reply.unwrap_or_else(|e| panic!("{} {}: {e}", route.method, route.path));
    let challenges = reply.headers.iter().filter(|(name, _)| name == "www-authenticate").count();
    if route.port == "grpc" {
        assert_eq!((reply.status, challenges), (200, 0), "{}", route.path);
        return match reply.header("grpc-status") {
            Some("16") => 401,
            Some("7") => 403,
            _ => 0,
        };
    }
    assert_eq!(challenges, if reply.status == 401 { 2 } else { 0 }, "{} {}", route.method, route.path);
    if matches!(reply.status, 401 | 403) { reply.status } else { 0 }
}

#[test]
fn every_route_is_asked_by_everyone() {
    let dir = tempfile::tempdir().expect("a folder");
    let sonde = Sonde::collector(dir.path(), &["--config", &always(dir.path())]);
    let mut callers: BTreeMap<&str, Vec<(String, String)>> = BTreeMap::new();
    let mut add = |name, value: String| callers.insert(name, vec![("authorization".to_owned(), value)]);
    for role in ["ingest", "read", "admin", "enrol"] {
        add(role, format!("Bearer {}", token(&sonde, role, role, &[])));
    }
    add("garbage", "Bearer sonde_admin_garbage".to_owned());
    add("malformed", "Bearer".to_owned());
    let revoked = token(&sonde, "admin", "gone", &[]);
    add("revoked", format!("Bearer {revoked}"));
    let short = token(&sonde, "admin", "short", &["--expires", "1ms"]);
    add("expired", format!("Bearer {short}"));
    callers.insert("nobody", Vec::new());
    let data = dir.path().join("data").display().to_string();
    run(dir.path(), &["token", "revoke", "--data-dir", &data, "gone"], None).expect("it is void");

    for route in routes().iter().filter(|route| !route.path.contains("{*")) {
        let needed = route.role.split(',').next().unwrap_or_default();
        for (caller, headers) in &callers {
            let headers: Vec<(&str, &str)> = headers.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect();
            let expected = match *caller {
                _ if needed == "-" => 0,
                "admin" => 0,
                "ingest" | "read" | "enrol" if *caller == needed => 0,
                "ingest" | "read" | "enrol" => 403,
                _ => 401,
            };
            let Route { port, method, path, .. } = route;
            assert_eq!(refusal(&sonde, route, &headers), expected, "{caller}: {method} {path} on {port}");
        }
    }
    // Nothing else is served, and what is not served says nothing.
    for path in ["/api/v1/none", "/metrics/", "/api/v1/../../metrics", "//metrics", "/API/v1/query"] {
        let reply = request("GET", &sonde.url(path), &[], Vec::new()).expect("an answer");
        assert!(matches!(reply.status, 401 | 404), "{path}: {} {}", reply.status, reply.text());
    }
    assert!(sonde.server.output().matches("requests were turned away").count() <= 2, "{}", sonde.server.output());
}

#[test]
fn the_first_token_shuts_the_door_and_up_goes_on() {
    let dir = tempfile::tempdir().expect("a folder");
    let mut sonde = Sonde::up(dir.path(), &[]);
    let file = dir.path().join("data/admin.token");
    let mode = std::fs::metadata(&file).expect("it is there").permissions().mode();
    assert_eq!(mode & 0o777, 0o600, "only its owner may read it");
    let base = sonde.base.clone();
    let ask = |token| run(dir.path(), &["query", "--url", &base, "system_uptime_seconds"], token);
    assert!(ask(None).is_ok(), "nobody is asked yet");

    let read = token(&sonde, "read", "read", &[]);
    let told = ask(None).expect_err("everybody is asked now");
    assert!(told.contains("a token is needed") && told.contains("--token-file"), "{told}");
    assert!(ask(Some("sonde_read_0")).expect_err("no token").contains("no such token"));
    let seen = Stopwatch::start();
    let mut first = None;
    wait_for("the agent of this process goes on", PATIENCE, || {
        let shown = ask(Some(&read))?;
        let first = first.get_or_insert_with(|| shown.clone());
        if *first == shown { Err(format!("{shown} for {:?}", seen.elapsed())) } else { Ok(()) }
    });
    let denied = run(dir.path(), &["token", "list", "--url", &base], Some(&read)).expect_err("not an admin");
    assert!(denied.contains("this needs the role admin"), "{denied}");

    assert_eq!(sonde.server.stop(), Some(0));
    assert!(!file.exists(), "it goes with the process");
    sonde.restart();
    assert!(ask(None).is_err() && ask(Some(&read)).is_ok(), "tokens outlive a restart");
}

#[test]
fn an_agent_gets_a_token_of_its_own() {
    let dir = tempfile::tempdir().expect("a folder");
    let sonde = Sonde::collector(dir.path(), &["--config", &always(dir.path())]);
    let (read, admin) = (token(&sonde, "read", "read", &[]), token(&sonde, "admin", "admin", &[]));
    let enrol = dir.path().join("enrol.token");
    std::fs::write(&enrol, token(&sonde, "enrol", "rack", &[])).expect("a file");
    let agent = |name: &str| {
        let data = dir.path().join(name).display().to_string();
        let collector = format!("http://{}", sonde.otlp_grpc);
        let enrol = enrol.display().to_string();
        let config = dir.path().join(format!("{name}.yml"));
        std::fs::write(
            &config,
            "otlp: {grpc_listen: 'off', http_listen: 'off'}\nhost: {receivers: [load]}\ntelemetry: {interval: 1s}\n",
        )
        .expect("a file");
        let config = config.display().to_string();
        let args = ["agent", "--data-dir", &data, "--collector", &collector, "--enrol-token-file", &enrol];
        Spawn::sonde(dir.path(), name, &[&args[..], &["--config", &config]].concat())
    };
    let base = sonde.base.clone();
    let count = || {
        let shown =
            run(dir.path(), &["query", "--url", &base, "-o", "csv", "sonde_agent_batches_sent_total"], Some(&read))?;
        shown
            .lines()
            .skip(1)
            .filter_map(|line| line.rsplit(',').next()?.parse::<f64>().ok())
            .reduce(f64::max)
            .ok_or(shown)
    };
    let list = || run(dir.path(), &["token", "list", "--url", &base], Some(&admin)).expect("a list");

    let spawn = agent("one");
    let mut first = spawn.start();
    wait_for("what the agent sends arrives", PATIENCE, || count().map_err(|e| format!("{e} {}", first.output())));
    let kept = dir.path().join("one/agent/token");
    assert_eq!(std::fs::metadata(&kept).expect("it is kept").permissions().mode() & 0o777, 0o600);
    assert!(list().contains("agent on "), "{}", list());

    let second = agent("two").start();
    wait_for("the used-up token is refused", PATIENCE, || {
        let said = second.output();
        if said.contains("has enrolled as many agents as it may") { Ok(()) } else { Err(said) }
    });
    // The token for enrolment is not needed any more, and the agent's own outlives a kill.
    std::fs::write(&enrol, "sonde_enrol_gone\n").expect("a file");
    first.kill();
    let first = spawn.start();
    let before = count().expect("it sent");
    wait_for("it goes on after a kill", PATIENCE, || match count()? {
        now if now != before => Ok(()),
        now => Err(format!("{now}: {}", first.output())),
    });

    let id = list()
        .lines()
        .find(|line| line.contains("agent on "))
        .and_then(|line| line.split(' ').next().map(str::to_owned));
    run(dir.path(), &["token", "revoke", "--url", &base, &id.expect("a line")], Some(&admin)).expect("it is void");
    wait_for("a revoked token is told", PATIENCE, || {
        let said = first.output();
        if said.contains("there is no such token, or it was revoked") { Ok(()) } else { Err(said) }
    });
}
