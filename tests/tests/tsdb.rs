//! `sonde tsdb`, imports, backfill, deletes and snapshots, on the real binary.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use serde_json::Value;
use sonde_proto::remote_write::{Label, Sample, TimeSeries, WriteRequest, compress, encode as encode_write};
use sonde_tests::{Sonde, Spawn, Tool, encode, free_port, now_ms, post, post_form, sonde_binary, tool, wait_for};

const PATIENCE: Duration = Duration::from_secs(30);
const DAY_MS: i64 = 86_400_000;
const OPENMETRICS: (&str, &str) = ("content-type", "application/openmetrics-text; version=1.0.0; charset=utf-8");

/// Runs `sonde tsdb` and gives exit code, stdout and stderr.
fn tsdb(args: &[&str]) -> (Option<i32>, String, String) {
    let output = Command::new(sonde_binary()).arg("tsdb").args(args).output().expect("it runs");
    let text = |bytes| String::from_utf8(bytes).expect("UTF-8");
    (output.status.code(), text(output.stdout), text(output.stderr))
}

fn good(args: &[&str]) -> String {
    let (code, text, errors) = tsdb(args);
    assert_eq!(code, Some(0), "{args:?}: {text}{errors}");
    text
}

fn path(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}

/// A page of several days, with everything that can be in one; the times are within the retention.
fn page(now: i64) -> String {
    let mut page = String::from("# HELP requests Requests \\\"that\\\" came.\n# TYPE requests counter\n");
    let seconds = |ms: i64| format!("{}.{:03}", ms / 1000, ms % 1000);
    let times: Vec<i64> = (0..400).map(|i| now - 10 * DAY_MS + i * 1_800_000).collect();
    for job in ["api", "näher\\n\\\"quoted\\\""] {
        for (i, t) in times.iter().enumerate() {
            // Counted since the first sample of a hundred, with an exemplar now and then.
            let start = if i % 100 > 0 { format!(" st@{}", seconds(times[i / 100 * 100])) } else { String::new() };
            let exemplar = match i % 50 {
                7 => format!(" # {{trace_id=\"{i}\",user=\"a \\\"b\\\"\"}} {i}.5 {}", seconds(*t - 1_500)),
                _ => String::new(),
            };
            page += &format!("requests_total{{job=\"{job}\"}} {} {}{start}{exemplar}\n", i * 3, seconds(*t));
        }
    }
    page += "# TYPE temperature gauge\n# UNIT temperature_celsius celsius\n";
    for (i, t) in times.iter().enumerate() {
        let value = match i % 50 {
            0 => "NaN".to_owned(),
            1 => "+Inf".to_owned(),
            2 => "-Inf".to_owned(),
            3 => "1e-300".to_owned(),
            4 => "-0".to_owned(),
            _ => format!("{}", (i as f64 * 0.7).sin() * 20.0),
        };
        page += &format!("temperature_celsius{{room=\"a\"}} {value} {}\n", seconds(*t));
    }
    for (i, t) in times.iter().enumerate().take(250) {
        page += &format!(
            "sizes{{job=\"api\"}} {{count:{},sum:{},schema:2,zero_threshold:0.001,zero_count:1,positive_spans:[-2:2,1:1],positive_buckets:[1,2,{}]}} {}\n",
            4 + i,
            i as f64 * 1.5,
            i,
            seconds(*t)
        );
    }
    page + "# EOF\n"
}

fn send(sonde: &Sonde, route: &str, headers: &[(&str, &str)], body: &str) -> (u16, String) {
    let reply = post(&sonde.url(route), headers, body.as_bytes().to_vec()).expect("an answer");
    (reply.status, reply.text())
}

fn admin(sonde: &Sonde, call: &str, fields: &[(&str, &str)]) -> Value {
    let reply = post_form(&sonde.url(&format!("/api/v1/admin/tsdb/{call}")), fields).expect("an answer");
    assert!(matches!(reply.status, 200 | 204), "{call}: {} {}", reply.status, reply.text());
    if reply.status == 200 { reply.json() } else { Value::Null }
}

/// Every sample of a metric, as the API gives them.
fn all_of(sonde: &Sonde, selector: &str) -> Value {
    let query = encode(&format!("{selector}[20d]"));
    sonde.get(&format!("/api/v1/query?query={query}")).json()["data"]["result"].clone()
}

fn bytes_of(dir: &Path) -> u64 {
    let entries = std::fs::read_dir(dir).expect("a folder");
    entries.flatten().map(|e| e.metadata().map_or(0, |m| m.len())).sum()
}

#[test]
fn what_is_exported_can_be_imported_and_is_the_same() {
    let root = tempfile::tempdir().expect("a folder");
    let now = now_ms();
    let [first, second, third] = ["one", "two", "three"].map(|name| path(&root.path().join(name)));
    let file = |name: &str| path(&root.path().join(name));
    std::fs::write(file("page.om"), page(now)).expect("a file");
    let (code, _, told) = tsdb(&["import", "--data-dir", &first, &file("page.om")]);
    assert_eq!((code, told.trim()), (Some(0), "1,450 samples stored, 0 were there already"));
    // Again, it changes nothing but who came last.
    assert_eq!(tsdb(&["import", "--data-dir", &first, &file("page.om")]).0, Some(0));
    let exported = good(&["export", &first]);
    assert!(
        exported.contains("# HELP requests Requests \\\"that\\\" came.\n# TYPE requests counter\nrequests_total{"),
        "{exported:.300}"
    );
    assert_eq!(exported.lines().filter(|line| !line.starts_with('#')).count(), 1450);
    assert_eq!(exported.lines().filter(|line| line.contains(" # {trace_id=\"")).count(), 2 * 8);
    assert!(!exported.contains("st@"), "others do not read it");
    good(&["verify", &first]);

    // OpenMetrics, compressed, into another store, and out again.
    good(&["export", &first, "-o", &file("all.om.zst")]);
    good(&["import", "--data-dir", &second, &file("all.om.zst")]);
    assert_eq!(good(&["export", &second]), exported, "export, import, export");
    // JSON lines, compressed, into a third.
    good(&["export", &first, "--format", "jsonl", "-o", &file("all.jsonl.gz")]);
    good(&["import", "--data-dir", &third, &file("all.jsonl.gz")]);
    let lines = good(&["export", &first, "--format", "jsonl"]);
    assert_eq!(good(&["export", &third, "--format", "jsonl"]), lines, "export, import, export");
    let line: Value = serde_json::from_str(lines.lines().next().expect("a line")).expect("JSON");
    assert_eq!(line["metric"]["__name__"], "requests_total");
    assert_eq!(line["values"].as_array().map(Vec::len), Some(400));
    assert_eq!(
        (line["starts"][100].as_i64(), line["starts"][101].as_i64()),
        (Some(0), line["timestamps"][100].as_i64())
    );
    assert_eq!(line["exemplars"].as_array().map(Vec::len), Some(8));
    // With the start timestamps, in a form that is our own.
    good(&["export", &first, "--start-timestamps", "-o", &file("starts.om")]);
    let with_starts = std::fs::read_to_string(file("starts.om")).expect("the file");
    assert_eq!(with_starts.lines().filter(|line| line.contains(" st@")).count(), 2 * 4 * 99);
    let fifth = file("five");
    good(&["import", "--data-dir", &fifth, &file("starts.om")]);
    assert_eq!(good(&["export", &fifth, "--start-timestamps"]), with_starts, "export, import, export");
    assert_eq!(
        good(&["export", &third, "--start-timestamps", "--match", "requests_total"]).matches(" st@").count(),
        2 * 4 * 99
    );
    // Samples are the same, metadata are not in JSON lines.
    let samples = |text: &str| text.lines().filter(|l| !l.starts_with('#')).map(str::to_owned).collect::<Vec<_>>();
    let mut of_third = samples(&good(&["export", &third]));
    let mut of_first = samples(&exported);
    of_third.sort();
    of_first.sort();
    assert_eq!(of_third, of_first);

    // A selection, and labels of one's own.
    let from = format!("{}", (now - 9 * DAY_MS) / 1000);
    let some =
        good(&["export", &first, "--match", "requests_total{job=\"api\"}", "--match", "nothing", "--from", &from]);
    assert_eq!(samples(&some).len(), 400 - 48, "{some:.200}");
    std::fs::write(file("some.om"), &some).expect("a file");
    let fourth = file("four");
    good(&["import", "--data-dir", &fourth, "--label", "job=other", "--label", "site=lab", &file("some.om")]);
    assert!(good(&["export", &fourth]).contains("requests_total{job=\"other\",site=\"lab\"} 144 "));

    let inspected: Value = serde_json::from_str(&good(&["inspect", &first, "-o", "json"])).expect("JSON");
    let of_blocks: u64 =
        inspected["blocks"].as_array().expect("blocks").iter().filter_map(|b| b["samples"].as_u64()).sum();
    assert_eq!(of_blocks, 1450, "{inspected:#}");
    assert_eq!(inspected["metrics"].as_array().map(Vec::len), Some(3));
    let text = good(&["inspect", &first]);
    assert!(text.contains("timestamps") && text.contains("requests_total") && text.contains("1,450 samples"), "{text}");

    // What is wrong is told with its line; what came before is there.
    std::fs::write(file("bad.om"), "a 1 1.5\nb{ 2\n# EOF\n").expect("a file");
    let (code, _, told) = tsdb(&["import", "--data-dir", &fourth, &file("bad.om")]);
    assert!(code == Some(1) && told.contains("bad.om:2: "), "{told}");
    std::fs::write(file("timeless.om"), "a 1\n# EOF\n").expect("a file");
    let (code, _, told) = tsdb(&["import", "--data-dir", &fourth, &file("timeless.om")]);
    assert!(code == Some(1) && told.contains("timeless.om:1: the sample has no timestamp"), "{told}");
    std::fs::write(file("old.om"), "old 1 1.5\n# EOF\n").expect("a file");
    let (code, _, told) = tsdb(&["import", "--data-dir", &fourth, &file("old.om")]);
    assert!(code == Some(1) && told.contains("1 sample was refused: 1 older than the retention"), "{told}");
    let (code, _, told) = tsdb(&["export", &file("nowhere")]);
    assert!(code == Some(1) && told.contains("no metrics store lies there"), "{told}");
}

#[test]
fn other_tools_read_what_is_exported() {
    let Some(promtool) = tool(Tool::Promtool, "blocks of exported OpenMetrics") else { return };
    let root = tempfile::tempdir().expect("a folder");
    let file = |name: &str| path(&root.path().join(name));
    std::fs::write(file("page.om"), page(now_ms())).expect("a file");
    good(&["import", "--data-dir", &file("data"), &file("page.om")]);
    // Prometheus's text format of this release knows no native histograms.
    good(&["export", &file("data"), "--match", "{__name__!=\"sizes\"}", "-o", &file("all.om")]);
    let blocks = file("blocks");
    let output = Command::new(&promtool)
        .args(["tsdb", "create-blocks-from", "openmetrics", &file("all.om"), &blocks])
        .output()
        .expect("promtool");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    // It wants to see a log, too.
    std::fs::create_dir(Path::new(&blocks).join("wal")).expect("a folder");
    let dumped = Command::new(&promtool).args(["tsdb", "dump", &blocks]).output().expect("promtool");
    let text = String::from_utf8_lossy(&dumped.stdout).into_owned();
    assert_eq!(text.lines().filter(|line| line.starts_with('{')).count(), 1200, "{text:.500}");
}

#[test]
fn pages_are_imported_over_http() {
    let dir = tempfile::tempdir().expect("a folder");
    let sonde = Sonde::collector(dir.path(), &[]);
    let now = now_ms();
    let import = "/api/v1/import/prometheus";
    // Times of its own, of the request, and of the clock.
    assert_eq!(send(&sonde, import, &[], &format!("a{{b=\"1\"}} 1.5 {now}\n")), (204, String::new()));
    let route = format!("{import}?timestamp={}&extra_label=site%3Dlab&extra_label=b%3D2", now - 1_000);
    assert_eq!(send(&sonde, &route, &[], "# TYPE a gauge\n# HELP a what it is\na{b=\"1\"} 2\n").0, 204);
    assert_eq!(send(&sonde, import, &[OPENMETRICS], "c 3\n# EOF\n").0, 204);
    assert_eq!(sonde.value("a{b=\"1\"}"), Ok(1.5));
    assert_eq!(sonde.value("a{b=\"2\",site=\"lab\"}"), Ok(2.0));
    wait_for("the sample of now", PATIENCE, || {
        sonde.value("c").and_then(|v| if v == 3.0 { Ok(()) } else { Err(v.to_string()) })
    });
    assert_eq!(sonde.get("/api/v1/metadata?metric=a").json()["data"]["a"][0]["help"], "what it is");
    assert!(sonde.own_metric("sonde_import_samples_total") >= 3.0);

    // Refused one by one; the rest is kept.
    let page = format!("late 1 {}\nfine 2 {now}\nahead 3 {}\n", now - 20 * DAY_MS, now + DAY_MS);
    let (status, told) = send(&sonde, import, &[], &page);
    assert_eq!(status, 400);
    assert!(told.contains("2 samples were refused") && told.contains("1 were stored"), "{told}");
    assert_eq!(sonde.value("fine"), Ok(2.0));
    // What is no page, and from where on.
    let (status, told) = send(&sonde, import, &[], &format!("before 1 {now}\nbroken{{ 1\n"));
    assert!(status == 400 && told.contains("line 2: "), "{status} {told}");
    for (headers, body, expected) in [
        (vec![("content-encoding", "br")], "a 1\n", 415),
        (vec![("content-encoding", "gzip")], "a 1\n", 400),
        (vec![("content-encoding", "zstd")], "a 1\n", 400),
        (vec![OPENMETRICS], "a 1\n", 400),
    ] {
        assert_eq!(send(&sonde, import, &headers, body).0, expected, "{headers:?}");
    }
    assert_eq!(send(&sonde, &format!("{import}?timestamp=x"), &[], "a 1\n").0, 400);
    assert_eq!(send(&sonde, &format!("{import}?extra_label=x"), &[], "a 1\n").0, 400);

    // Its own page, compressed, and much of it: more than is held at once.
    let mut page = sonde.get("/metrics").text();
    for i in 0..120_000 {
        page +=
            &format!("many{{n=\"{}\",text=\"some text to make lines longer\"}} {i} {}\n", i % 400, now - 120_000 + i);
    }
    let sent = path(&dir.path().join("page.txt"));
    std::fs::write(&sent, &page).expect("a file");
    for (program, ending, encoding) in [("gzip", "gz", "gzip"), ("zstd", "zst", "zstd")] {
        let packed = Command::new(program).args(["-k", "-q", &sent]).status();
        if !packed.is_ok_and(|status| status.success()) {
            continue;
        }
        let body = std::fs::read(format!("{sent}.{ending}")).expect("it was packed");
        let route = format!("{import}?extra_label=packed%3D{encoding}");
        let reply = post(&sonde.url(&route), &[("content-encoding", encoding)], body).expect("an answer");
        assert_eq!(reply.status, 204, "{encoding}: {}", reply.text());
        let count = format!("count(count_over_time(many{{packed=\"{encoding}\"}}[5m]))");
        assert_eq!(sonde.value(&count), Ok(400.0), "{encoding}");
        let sum = format!("sum(count_over_time(many{{packed=\"{encoding}\"}}[5m]))");
        assert_eq!(sonde.value(&sum), Ok(120_000.0), "{encoding}");
    }
    assert_eq!(send(&sonde, import, &[], &page).0, 204);
    assert!(!sonde.server.output().contains("panicked"));
}

#[test]
fn an_import_leaves_in_the_log_what_is_not_sent_on_yet() {
    let dir = tempfile::tempdir().expect("a folder");
    let folder = |name: &str| {
        let folder = dir.path().join(name);
        std::fs::create_dir(&folder).expect("a folder");
        folder
    };
    let receiver = Sonde::collector(&folder("receiver"), &[]);
    let sender = folder("sender");
    let config = path(&sender.join("sonde.yml"));
    let to = |url: &str| {
        let queue = "queue_config: {batch_send_deadline: 100ms, max_backoff: 500ms}";
        let text = format!(
            "remote_write: [{{url: '{url}', name: other, {queue}}}]\n\
             telemetry: {{interval: 0s}}\n"
        );
        std::fs::write(&config, text).expect("a configuration");
    };
    to(&format!("http://127.0.0.1:{}/nobody", free_port()));
    let mut sonde = Sonde::collector(&sender, &["--config", &config]);
    let position = sender.join("data/tsdb/remote_write/other.position");
    wait_for("a position", PATIENCE, || if position.exists() { Ok(()) } else { Err("none".to_owned()) });
    let now = now_ms();
    assert_eq!(send(&sonde, "/api/v1/import/prometheus", &[], &format!("kept 7 {now}\n")).0, 204);
    assert_eq!(sonde.server.stop(), Some(0));
    let file = path(&sender.join("page.om"));
    std::fs::write(&file, page(now)).expect("a file");
    good(&["import", "--data-dir", &path(&sender.join("data")), &file]);
    to(&receiver.url("/api/v1/write"));
    sonde.restart();
    let value = wait_for("the sample at the receiver", PATIENCE, || receiver.value("kept"));
    assert_eq!(value, 7.0);
    assert_eq!(sonde.own_metric("sonde_remote_write_out_skipped_records_total"), 0.0);
}

#[test]
fn the_page_of_a_real_prometheus_is_imported() {
    let Some(prometheus) = tool(Tool::Prometheus, "import of Prometheus's own page") else { return };
    let dir = tempfile::tempdir().expect("a folder");
    let sonde = Sonde::collector(dir.path(), &[]);
    std::fs::write(dir.path().join("prometheus.yml"), "global: {}\n").expect("a file");
    let address = format!("127.0.0.1:{}", free_port());
    let listen = format!("--web.listen-address={address}");
    let mut server =
        Spawn::program(prometheus, dir.path(), "prometheus", &["--config.file=prometheus.yml", &listen]).start();
    server.ready(&format!("http://{address}/-/ready"));
    let accept = [("accept", "application/openmetrics-text; version=1.0.0")];
    let url = format!("http://{address}/metrics");
    for headers in [&accept[..], &[]] {
        let page = sonde_tests::request("GET", &url, headers, Vec::new()).expect("a page");
        let content_type = page.header("content-type").expect("it says what it is").to_owned();
        let (status, told) = send(
            &sonde,
            "/api/v1/import/prometheus?extra_label=job%3Dp",
            &[("content-type", &content_type)],
            &page.text(),
        );
        assert_eq!((status, told.as_str()), (204, ""), "{content_type}");
    }
    let version = wait_for("its version", PATIENCE, || sonde.value("prometheus_build_info{job=\"p\"}"));
    assert_eq!(version, 1.0);
    assert!(sonde.value("count({job=\"p\"})").expect("a number") > 300.0);
}

#[test]
fn samples_of_any_age_are_taken_where_that_is_asked_for() {
    let dir = tempfile::tempdir().expect("a folder");
    let sonde = Sonde::collector(dir.path(), &[]);
    let now = now_ms();
    let body = |value: f64, timestamp| {
        let label = |name: &str, value: &str| Label { name: name.to_owned(), value: value.to_owned() };
        let series = TimeSeries {
            labels: vec![label("__name__", "old"), label("by", "remote write")],
            samples: vec![Sample { value, timestamp }],
            ..TimeSeries::default()
        };
        compress(&encode_write(&WriteRequest { timeseries: vec![series], metadata: vec![] })).expect("it packs")
    };
    let write = |route: &str, value, timestamp| {
        let headers = [("content-type", "application/x-protobuf"), ("content-encoding", "snappy")];
        post(&sonde.url(route), &headers, body(value, timestamp)).expect("an answer").status
    };
    assert_eq!(write("/api/v1/write", 1.0, now), 204);
    assert_eq!(write("/api/v1/write", 2.0, now - 3 * DAY_MS), 400, "beyond the lateness");
    assert_eq!(write("/api/v1/backfill/write", 2.0, now - 3 * DAY_MS), 204);
    assert_eq!(write("/api/v1/backfill/write", 3.0, now - 30 * DAY_MS), 400, "beyond the retention");
    let text = format!("old{{by=\"text\"}} 4 {now}\nold{{by=\"text\"}} 5 {}\n", now - 5 * DAY_MS);
    assert_eq!(send(&sonde, "/api/v1/import/prometheus", &[], &text).0, 400);
    assert_eq!(send(&sonde, "/api/v1/backfill/prometheus", &[], &text).0, 204);
    assert_eq!(sonde.value("old offset 3d"), Ok(2.0));
    assert_eq!(sonde.value("old{by=\"text\"} offset 5d"), Ok(5.0));
    assert_eq!(sonde.value("sum(count_over_time(old[10d]))"), Ok(4.0));
}

#[test]
fn a_delete_survives_a_kill_and_a_snapshot_is_a_store() {
    let dir = tempfile::tempdir().expect("a folder");
    let mut sonde = Sonde::collector(dir.path(), &[]);
    let now = now_ms();
    assert_eq!(send(&sonde, "/api/v1/backfill/prometheus", &[OPENMETRICS], &page(now)), (204, String::new()));
    let mut noise = String::new();
    for n in 0..200 {
        for i in 0..60 {
            let value =
                f64::from_bits(0x3ff0_0000_0000_0000 + (n * 77_777 + i * 1_234_567u64).wrapping_mul(0x9e37_79b9));
            noise += &format!("noise{{n=\"{n}\"}} {value} {}\n", now - 3 * DAY_MS + i as i64 * 15_000);
        }
    }
    assert_eq!(send(&sonde, "/api/v1/backfill/prometheus", &[], &noise).0, 204);
    admin(&sonde, "flush", &[]);
    admin(&sonde, "compact", &[]);
    let blocks = dir.path().join("data/tsdb/blocks");
    let (before, kept) =
        (bytes_of(&blocks), all_of(&sonde, "{__name__=~\"requests_total|temperature_celsius|sizes\"}"));
    assert_eq!(kept.as_array().map(Vec::len), Some(4));

    admin(&sonde, "delete_series", &[("match[]", "noise")]);
    sonde.server.kill();
    sonde.restart();
    assert_eq!(all_of(&sonde, "noise"), Value::Array(vec![]), "a delete survives a kill");
    admin(&sonde, "clean_tombstones", &[]);
    let after = bytes_of(&blocks);
    assert!(after < before / 2, "{before} bytes before, {after} after");
    let data = admin(&sonde, "snapshot", &[])["data"].clone();
    let snapshot = PathBuf::from(data["directory"].as_str().expect("a directory"));
    assert!(snapshot.ends_with(data["name"].as_str().expect("a name")));
    let by_tool =
        Command::new(sonde_binary()).args(["tsdb", "snapshot", "--url", &sonde.base]).output().expect("it runs");
    assert!(by_tool.status.success(), "{}", String::from_utf8_lossy(&by_tool.stderr));
    let second = PathBuf::from(String::from_utf8_lossy(&by_tool.stdout).trim());
    // While it runs nobody else may look; a snapshot may be looked at.
    let (code, _, told) = tsdb(&["verify", &path(&dir.path().join("data"))]);
    assert!(code == Some(1) && told.contains("in use by another process"), "{told}");
    for copy in [&snapshot, &second] {
        good(&["verify", &path(copy)]);
    }
    sonde.server.kill();
    sonde.restart();
    let kept_now = all_of(&sonde, "{__name__=~\"requests_total|temperature_celsius|sizes\"}");
    assert_eq!((kept_now, all_of(&sonde, "noise")), (kept.clone(), Value::Array(vec![])));
    sonde.server.kill();
    good(&["verify", &path(&dir.path().join("data"))]);

    // The snapshot is the data directory of a collector with the same answers.
    let other = tempfile::tempdir().expect("a folder");
    std::fs::create_dir(other.path().join("data")).expect("a folder");
    std::fs::rename(snapshot.join("tsdb"), other.path().join("data/tsdb")).expect("it moves");
    let mut copy = Sonde::collector(other.path(), &[]);
    assert_eq!(all_of(&copy, "{__name__=~\"requests_total|temperature_celsius|sizes\"}"), kept);
    admin(&copy, "flush", &[]);
    assert_eq!(copy.server.stop(), Some(0));

    damaged(&other.path().join("data"), copy, &kept);
}

/// One byte of a block: the tool says so, a start sets the block aside, the rest answers.
fn damaged(data: &Path, mut sonde: Sonde, kept: &Value) {
    let blocks = data.join("tsdb/blocks");
    let mut files: Vec<PathBuf> = std::fs::read_dir(&blocks).expect("a folder").flatten().map(|e| e.path()).collect();
    files.sort();
    assert!(files.len() > 2, "{files:?}");
    let victim = files[1].clone();
    let mut bytes = std::fs::read(&victim).expect("it is there");
    let at = bytes.len() / 3;
    bytes[at] ^= 1;
    std::fs::write(&victim, &bytes).expect("it is ours");
    let (code, text, _) = tsdb(&["verify", &path(data)]);
    assert_eq!(code, Some(3), "{text}");
    let found: Value = serde_json::from_str(&tsdb(&["verify", &path(data), "-o", "json"]).1).expect("JSON");
    let damage = &found["damage"][0];
    let range = |i: usize| damage["range"][i].as_u64().expect("a range") as usize;
    assert!(damage["path"].as_str() == victim.to_str() && range(0) <= at && at < range(1), "{found:#}");
    assert!(text.contains(&format!("bytes {} to {}", range(0), range(1))), "{text}");
    sonde.restart();
    // The block is set aside when the damage is met; until then a query over it says so.
    wait_for("the block to be set aside", PATIENCE, || {
        let answered = sonde.get(&format!("/api/v1/query?query={}", encode("{__name__=~\".+\"}[20d]")));
        let aside = victim.with_extension("block.damaged");
        if aside.exists() { Ok(()) } else { Err(answered.text().chars().take(200).collect()) }
    });
    let left = all_of(&sonde, "{__name__=~\"requests_total|temperature_celsius|sizes\"}");
    let samples = |result: &Value| {
        let of = |s: &Value, key: &str| s[key].as_array().map_or(0, Vec::len);
        result.as_array().map_or(0, |all| all.iter().map(|s| of(s, "values") + of(s, "histograms")).sum::<usize>())
    };
    let (left, all) = (samples(&left), samples(kept));
    assert!(left < all && left > all / 2, "{left} of {all}");
    assert_eq!(sonde.server.stop(), Some(0));
    let (code, text, _) = tsdb(&["verify", &path(data)]);
    assert!(code == Some(0) && text.contains("set aside"), "{text}");
}
