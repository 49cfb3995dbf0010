//! The binary as people call it: what it prints, and how it ends.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::path::Path;
use std::process::{Command, Output, Stdio};

fn sonde(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_sonde"));
    command.args(args).env_remove("SONDE_URL").env("COLUMNS", "100").stdin(Stdio::null());
    command
}

fn run(args: &[&str]) -> (Option<i32>, String, String) {
    read(sonde(args).output().expect("it runs"))
}

fn read(output: Output) -> (Option<i32>, String, String) {
    let text = |bytes| String::from_utf8(bytes).expect("UTF-8");
    (output.status.code(), text(output.stdout), text(output.stderr))
}

/// The help of every command, as it is printed. `SONDE_UPDATE=1` writes it anew.
#[test]
fn help_teaches() {
    for args in [
        &["--help"][..],
        &["up", "--help"],
        &["collector", "--help"],
        &["agent", "--help"],
        &["query", "--help"],
        &["query", "exemplars", "--help"],
        &["query", "series", "--help"],
        &["query", "labels", "--help"],
        &["query", "values", "--help"],
        &["query", "explain", "--help"],
        &["query", "repl", "--help"],
        &["trace", "--help"],
        &["alerts", "--help"],
        &["alerts", "history", "--help"],
        &["alerts", "route", "--help"],
        &["token", "--help"],
        &["token", "create", "--help"],
        &["token", "list", "--help"],
        &["token", "revoke", "--help"],
        &["check", "--help"],
        &["check", "rules", "--help"],
        &["check", "config", "--help"],
        &["tsdb", "--help"],
        &["tsdb", "inspect", "--help"],
        &["tsdb", "verify", "--help"],
        &["tsdb", "export", "--help"],
        &["tsdb", "import", "--help"],
        &["tsdb", "snapshot", "--help"],
        &["certs", "--help"],
        &["certs", "init", "--help"],
        &["certs", "create", "--help"],
    ] {
        let (code, text, errors) = run(args);
        assert_eq!((code, errors.as_str()), (Some(0), ""), "{args:?}");
        let name = args[..args.len() - 1].join("-");
        let name = if name.is_empty() { "sonde" } else { &name };
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/help/{name}.txt"));
        if std::env::var_os("SONDE_UPDATE").is_some() {
            std::fs::write(&path, &text).expect("the file is written");
        }
        let known = std::fs::read_to_string(&path).unwrap_or_default();
        assert_eq!(text, known, "{args:?}: SONDE_UPDATE=1 writes {} anew", path.display());
    }
}

#[test]
fn the_version_is_told() {
    let (code, text, _) = run(&["--version"]);
    assert_eq!((code, text), (Some(0), format!("sonde {}\n", env!("CARGO_PKG_VERSION"))));
}

#[test]
fn a_command_line_that_is_not_understood_is_2() {
    for args in [
        &["qeury"][..],
        &["query"],
        &["query", "up", "--step", "1m"],
        &["check", "rules"],
        &["query", "up", "-o", "xml"],
    ] {
        let (code, text, errors) = run(args);
        assert_eq!((code, text.as_str()), (Some(2), ""), "{args:?}");
        assert!(errors.starts_with("error: "), "{errors}");
    }
    assert!(run(&["qeury"]).2.contains("similar subcommand exists: 'query'"));
}

#[test]
fn mistakes_in_rule_files_are_listed_with_their_lines() {
    let dir = tempfile::tempdir().expect("a folder");
    let file = |name: &str, text: &str| {
        let path = dir.path().join(name);
        std::fs::write(&path, text).expect("a file");
        path.display().to_string()
    };
    let good =
        file("good.yml", "groups:\n- name: a\n  rules:\n  - {record: r, expr: up}\n  - {alert: A, expr: up == 0}\n");
    let bad = file("bad.yml", "groups:\n- name: a\n  rules:\n  - alert: A\n    expr: up ==\n    fro: 5m\n");
    let (code, text, errors) = run(&["check", "rules", &good]);
    assert_eq!((code, errors.as_str()), (Some(0), ""));
    assert_eq!(text, format!("{good}: 1 group, 1 alerting rule, 1 recording rule\n"));
    let (code, text, errors) = run(&["check", "rules", &bad, &good, "missing.yml"]);
    assert_eq!((code, text), (Some(1), format!("{good}: 1 group, 1 alerting rule, 1 recording rule\n")));
    assert_eq!(
        errors,
        format!(
            "error: {bad}:5: could not parse expression: 1:6: unexpected end of input\n\
             error: {bad}:6: unknown key \"fro\" in a rule; did you mean \"for\"?\n\
             error: missing.yml: cannot be read: No such file or directory (os error 2)\n"
        )
    );
    let mut piped =
        sonde(&["check", "rules", "-"]).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("it runs");
    piped.stdin.take().expect("a pipe").write_all(b"groups: []\n").expect("it reads");
    let (code, text, _) = read(piped.wait_with_output().expect("it ends"));
    assert_eq!((code, text.as_str()), (Some(0), "<stdin>: 0 groups, 0 alerting rules, 0 recording rules\n"));
}

#[test]
fn the_rules_that_come_with_sonde_are_good() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../alert-rules");
    let files = ["host.yml", "sonde.yml"].map(|name| folder.join(name).display().to_string());
    let (code, _, errors) = run(&["check", "rules", &files[0], &files[1]]);
    assert_eq!((code, errors.as_str()), (Some(0), ""));
}

#[test]
fn configurations_are_checked_for_their_program() {
    let dir = tempfile::tempdir().expect("a folder");
    let check = |name: &str, text: &str, more: &[&str]| {
        std::fs::write(dir.path().join(name), text).expect("a file");
        let args = [&["check", "config", name], more].concat();
        read(sonde(&args).current_dir(dir.path()).output().expect("it runs"))
    };
    std::fs::write(dir.path().join("r.yml"), "groups:\n- {name: a, rulez: []}\n").expect("a file");
    let (code, text, _) = check("c.yml", "query: {timeout: 1m}\n", &[]);
    assert_eq!((code, text.as_str()), (Some(0), "c.yml: a good configuration of a collector, with 2 rule files\n"));
    let (code, _, errors) = check("c.yml", "rules: {files: [r.yml]}\n", &[]);
    assert_eq!(code, Some(1));
    assert_eq!(errors, "error: r.yml:2: unknown key \"rulez\" in a group; did you mean \"rules\"?\n");
    let (code, _, errors) = check("c.yml", "query:\n  timeot: 1m\n", &[]);
    assert_eq!(code, Some(1));
    assert!(errors.starts_with("error: c.yml:2:") && errors.contains("timeout"), "{errors}");
    let (code, text, _) = check("a.yml", "host: {interval: 1s}\n", &[]);
    assert_eq!((code, text.as_str()), (Some(0), "a.yml: a good configuration of an agent\n"));
    let (code, _, errors) = check("a.yml", "host: {interval: 1s}\n", &["--for", "collector"]);
    assert_eq!(code, Some(1));
    assert!(errors.contains("a.yml:1:") && errors.contains("host"), "{errors}");
}

/// A server that answers one request with a body, and gives back what it was asked.
fn serve_once(status: &'static str, body: &'static str) -> (String, std::thread::JoinHandle<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let url = format!("http://{}", listener.local_addr().expect("an address"));
    let server = std::thread::spawn(move || {
        let (stream, _) = listener.accept().expect("a request");
        let mut reader = BufReader::new(stream.try_clone().expect("a second handle"));
        let (mut head, mut length) = (String::new(), 0);
        loop {
            let mut line = String::new();
            reader.read_line(&mut line).expect("a line");
            if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
                length = value.trim().parse().expect("a length");
            }
            if line == "\r\n" {
                break;
            }
            head.push_str(&line);
        }
        let mut form = vec![0; length];
        reader.read_exact(&mut form).expect("a body");
        let mut stream = stream;
        write!(stream, "HTTP/1.1 {status}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}", body.len())
            .expect("an answer");
        format!("{} {}", head.lines().next().unwrap_or_default(), String::from_utf8_lossy(&form))
    });
    (url, server)
}

#[test]
fn answers_are_shown_in_each_form() {
    const VECTOR: &str = r#"{"status":"success","data":{"resultType":"vector","result":[{"metric":{"__name__":"up","job":"a"},"value":[1700000000,"1"]}]},"warnings":["be careful"]}"#;
    for (output, expected) in [
        ("table", "METRIC  job  VALUE\nup      a        1\n"),
        ("csv", "__name__,job,time,value\nup,a,2023-11-14T22:13:20Z,1\n"),
    ] {
        let (url, server) = serve_once("200 OK", VECTOR);
        let (code, text, errors) = run(&["query", "up", "--url", &url, "-o", output, "--time", "1700000000"]);
        assert_eq!((code, text.as_str(), errors.as_str()), (Some(0), expected, "warning: be careful\n"));
        let asked = server.join().expect("no panic");
        assert_eq!(asked, "POST /api/v1/query HTTP/1.1 query=up&time=1700000000.000");
    }
    let (url, _) = serve_once("200 OK", VECTOR);
    let (_, text, _) = run(&["query", "up", "--url", &url, "-o", "json"]);
    let json: serde_json::Value = serde_json::from_str(&text).expect("JSON");
    assert_eq!(json["result"][0]["metric"]["job"], "a");
}

#[test]
fn a_range_is_a_chart() {
    const MATRIX: &str = r#"{"status":"success","data":{"resultType":"matrix","result":[{"metric":{"job":"a"},"values":[[1700000000,"1"],[1700000060,"2"]]}]}}"#;
    let (url, server) = serve_once("200 OK", MATRIX);
    let args = ["query", "--range", "2m", "--step", "1m", "x", "--url", &url, "--time", "1700000099"];
    let (code, text, _) = run(&args);
    assert_eq!(code, Some(0));
    assert!(text.starts_with("{job=\"a\"}\n") && text.contains('┤') && text.ends_with("last 2  step 1m\n"), "{text}");
    let asked = server.join().expect("no panic");
    assert_eq!(asked, "POST /api/v1/query_range HTTP/1.1 query=x&start=1699999920.000&end=1700000040.000&step=60.000");
}

#[test]
fn what_goes_wrong_is_one_sentence_and_a_hint() {
    let (code, text, errors) = run(&["query", "sum(", "--url", "http://127.0.0.1:1"]);
    assert_eq!((code, text.as_str()), (Some(1), ""));
    assert!(errors.starts_with("error: the expression is not PromQL: ") && errors.contains("\n  sum(\n"), "{errors}");
    let (code, _, errors) = run(&["query", "up", "--url", "http://127.0.0.1:1"]);
    assert_eq!(code, Some(1));
    assert_eq!(
        errors,
        "error: no answer from http://127.0.0.1:1: Connection refused (os error 111)\n\
         Is a collector running there? `sonde up` starts one here; --url asks another one.\n"
    );
    let body = r#"{"status":"error","errorType":"execution","error":"query processing would load too many samples into memory in query execution"}"#;
    let (url, _) = serve_once("422 Unprocessable Entity", body);
    let (code, _, errors) = run(&["query", "up", "--url", &url]);
    assert_eq!(code, Some(1));
    assert_eq!(
        errors,
        "error: query processing would load too many samples into memory in query execution (execution)\n"
    );
    let (code, _, errors) = run(&["query", "up", "-o", "chart"]);
    assert_eq!((code, errors.lines().next()), (Some(1), Some("error: a chart needs a range")));
}

#[test]
fn a_port_in_use_is_told_with_the_command_that_would_start() {
    let dir = tempfile::tempdir().expect("a folder");
    let taken = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = taken.local_addr().expect("an address").to_string();
    for command in ["up", "collector"] {
        let args = [command, "--listen", &address, "--otlp-grpc-listen", "off", "--otlp-http-listen", "off"];
        let (code, text, errors) = read(sonde(&args).current_dir(dir.path()).output().expect("it runs"));
        assert_eq!((code, text.as_str()), (Some(1), ""));
        let first = format!("error: --listen {address}: the port is in use by another program");
        let mut lines = errors.lines();
        assert_eq!(lines.next(), Some(first.as_str()), "{errors}");
        let other = lines.next().expect("a hint");
        let start = format!("This would start: {} {command} --listen 127.0.0.1:", env!("CARGO_BIN_EXE_sonde"));
        assert!(
            other.starts_with(&start) && other.ends_with(" --otlp-grpc-listen off --otlp-http-listen off"),
            "{errors}"
        );
    }
}

#[test]
fn nothing_starts_with_a_configuration_that_is_no_good() {
    let dir = tempfile::tempdir().expect("a folder");
    let file = |name: &str, text: &str| std::fs::write(dir.path().join(name), text).expect("a file");
    file("c.yml", "rules:\n  files: [r.yml]\n");
    file("r.yml", "groups:\n- name: a\n  rules:\n  - {alert: A, expr: 'sum('}\n  - {alert: B, for: 5m}\n");
    file("a.yml", "hosts: {}\n");
    file("bad.yml", "storage:\n  retension: 1d\n");
    let told = |args: &[&str]| {
        let (code, text, errors) = read(sonde(args).current_dir(dir.path()).output().expect("it runs"));
        assert_eq!((code, text.as_str()), (Some(1), ""), "{errors}");
        errors
    };
    let ports = ["--listen", "127.0.0.1:0", "--otlp-grpc-listen", "off", "--otlp-http-listen", "off"];
    let errors = told(&[&["up", "--config", "c.yml"], &ports[..]].concat());
    assert_eq!(errors.lines().count(), 2, "{errors}");
    assert!(
        errors.contains("r.yml:4: could not parse expression") && errors.contains("r.yml:5: field 'expr'"),
        "{errors}"
    );
    let errors = told(&[&["collector", "--config", "bad.yml"], &ports[..]].concat());
    assert!(errors.starts_with("error: bad.yml:2:") && errors.contains("retention"), "{errors}");
    let errors = told(&[&["up", "--agent-config", "a.yml"], &ports[..]].concat());
    assert!(errors.contains("a.yml:1:") && errors.contains("host"), "{errors}");
    let errors = told(&["agent", "--config", "missing.yml"]);
    assert!(errors.starts_with("error: ") && errors.contains("missing.yml"), "{errors}");
    assert!(!dir.path().join("sonde-data").exists(), "nothing was made");
}

/// Certificates are made for a team, are private where they must be, and nothing is written over.
#[test]
fn certificates_are_made_and_none_is_written_over() {
    use std::os::unix::fs::PermissionsExt;

    let dir = tempfile::tempdir().expect("a folder");
    let path = |name: &str| dir.path().join("tls").join(name);
    let run = |args: &[&str]| read(sonde(args).current_dir(dir.path()).output().expect("it runs"));
    let init = run(&["certs", "init", "tls"]);
    assert_eq!((init.0, init.2.as_str()), (Some(0), ""));
    let server = run(&["certs", "create", "--ca", "tls", "--host", "collector.example.org", "--host", "127.0.0.1"]);
    assert_eq!((server.0, server.2.as_str()), (Some(0), ""));
    assert!(server.1.contains("/tls/collector.example.org.pem\n"), "{}", server.1);
    let agent = run(&["certs", "create", "--ca", "tls", "--client", "web-1", "--days", "30"]);
    assert_eq!((agent.0, agent.2.as_str()), (Some(0), ""));
    for (name, mode) in
        [("ca.pem", 0o644), ("ca.key", 0o600), ("web-1.key", 0o600), ("collector.example.org.key", 0o600)]
    {
        let metadata = std::fs::metadata(path(name)).expect(name);
        assert_eq!(metadata.permissions().mode() & 0o777, mode, "{name}");
    }
    let key = std::fs::read(path("web-1.key")).expect("a key");
    for (args, told) in [
        (&["certs", "init", "tls"][..], "error: tls/ca.key is there already"),
        (&["certs", "create", "--ca", "tls", "--client", "web-1"], "error: tls/web-1.key is there already"),
        (&["certs", "create", "--ca", "nothing", "--client", "a"], "error: nothing/ca.key: cannot be read"),
        (&["certs", "create", "--ca", "tls", "--client", "a/b"], "error: \"a/b\" cannot be the name of a file"),
        (&["certs", "create", "--ca", "tls", "--host", "a b"], "error: \"a b\" is neither a DNS name nor an address"),
    ] {
        let (code, text, errors) = run(args);
        assert_eq!((code, text.as_str()), (Some(1), ""), "{args:?}");
        assert!(errors.starts_with(told), "{errors}");
    }
    assert_eq!(std::fs::read(path("web-1.key")).expect("a key"), key);
    assert_eq!(run(&["certs", "create", "--ca", "tls"]).0, Some(2));
}
