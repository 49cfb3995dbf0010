//! What the world does to a server: full disks, damaged files, hostile payloads. The rest goes on.

use std::io::{BufRead, BufReader, Seek, SeekFrom, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use sonde_tests::{Point, Sonde, encode, metrics_request, not_run, now_ms, post, request, wait_for};

const PROTOBUF: (&str, &str) = ("content-type", "application/x-protobuf");
const JSON: (&str, &str) = ("content-type", "application/json");

/// A hostile request: what it is, path, headers, body, and the status that it must get.
type Hostile = (&'static str, &'static str, Vec<(&'static str, &'static str)>, Vec<u8>, u16);

#[test]
fn hostile_payloads_get_a_clear_answer_and_a_counter() {
    let dir = tempfile::tempdir().expect("a folder");
    let sonde = Sonde::collector(dir.path(), &[]);
    let good = metrics_request("good", &[gauge("good.gauge", now_ms(), 1.0)]);
    let mut truncated = good.clone();
    truncated.truncate(good.len() - 3);
    let deep_json = format!("{}1{}", "{\"resourceMetrics\":[".repeat(10_000), "]}".repeat(10_000)).into_bytes();
    // Key-value lists within each other, 10,000 deep: each level is field 6 of an attribute's value.
    let mut deep = Vec::new();
    for _ in 0..10_000 {
        let mut outer = vec![0x0a];
        varint(&mut outer, deep.len() as u64);
        outer.append(&mut deep);
        deep = outer;
    }
    let snappy_bomb = vec![0xff, 0xff, 0xff, 0xff, 0x0f, 0x00];
    let remote_write = vec![PROTOBUF, ("content-encoding", "snappy")];
    let cases: Vec<Hostile> = vec![
        ("truncated protobuf", "/v1/metrics", vec![PROTOBUF], truncated, 400),
        ("nested protobuf", "/v1/metrics", vec![PROTOBUF], deep, 400),
        ("nested JSON", "/v1/metrics", vec![JSON], deep_json, 400),
        ("truncated JSON", "/v1/metrics", vec![JSON], b"{\"resourceMetrics\":[".to_vec(), 400),
        ("not gzip", "/v1/metrics", vec![PROTOBUF, ("content-encoding", "gzip")], good.clone(), 400),
        ("unknown type", "/v1/metrics", vec![("content-type", "text/plain")], good.clone(), 415),
        ("logs", "/v1/logs", vec![PROTOBUF], good.clone(), 404),
        ("not snappy", "/api/v1/write", remote_write.clone(), b"garbage".to_vec(), 400),
        ("snappy bomb", "/api/v1/write", remote_write.clone(), snappy_bomb, 400),
        ("empty remote write body", "/api/v1/write", vec![PROTOBUF, ("content-encoding", "gzip")], vec![], 415),
    ];
    for (what, path, headers, body, status) in cases {
        let reply = post(&sonde.url(path), &headers, body).unwrap_or_else(|e| panic!("{what}: {e}"));
        assert!(reply.status == status, "{what}: {} {}", reply.status, reply.text());
        assert!(!reply.body.is_empty(), "{what}: the answer says what is wrong");
    }
    assert!(oversized(&sonde).starts_with("HTTP/1.1 413 "), "a body is refused by its length alone");
    let deep_query = format!("{}1{}", "(".repeat(10_000), ")".repeat(10_000));
    let body = format!("query={}", encode(&deep_query)).into_bytes();
    let form = [("content-type", "application/x-www-form-urlencoded")];
    let reply = request("POST", &sonde.url("/api/v1/query"), &form, body).expect("an answer");
    assert_eq!((reply.status, reply.json()["errorType"].as_str()), (400, Some("bad_data")), "{}", reply.text());

    let reply = post(&sonde.url("/v1/metrics"), &[PROTOBUF], good).expect("an answer");
    assert_eq!(reply.status, 200, "the rest goes on: {}", reply.text());
    assert_eq!(sonde.value("good_gauge"), Ok(1.0));
    assert!(sonde.own_metric("sonde_otlp_requests_refused_total") >= 5.0, "{}", sonde.get("/metrics").text());
    assert!(!sonde.server.output().contains("panicked"), "{}", sonde.server.output());
}

#[test]
fn a_damaged_segment_costs_what_it_held_and_is_reported() {
    let dir = tempfile::tempdir().expect("a folder");
    let mut sonde = Sonde::collector(dir.path(), &[]);
    for n in 0..400 {
        push(&sonde, &format!("damage.before{n}"), 1.0).expect("taken");
    }
    sonde.server.kill();
    let segment = newest_segment(&dir.path().join("data"));
    // The log writes zeros ahead of itself: the middle of what it holds is before them.
    let written = std::fs::read(&segment).expect("a segment").iter().rposition(|b| *b != 0).expect("records");
    let middle = written as u64 / 2;
    let mut file = std::fs::OpenOptions::new().write(true).open(&segment).expect("a segment");
    file.seek(SeekFrom::Start(middle)).and_then(|_| file.write_all(&[0x55; 64])).expect("damage");
    drop(file);

    sonde.restart();
    let left = sonde.value("count({__name__=~\"damage_before.*\"})").expect("what is left");
    assert!((300.0..400.0).contains(&left), "{left} of 400 are left");
    let output = sonde.server.output();
    assert!(output.contains("damage") || output.contains("corrupt"), "the lost range is reported: {output}");
    assert!(sonde.own_metric("sonde_tsdb_wal_damaged_ranges_total") >= 1.0, "{}", sonde.get("/metrics").text());
    push(&sonde, "damage.after", 2.0).expect("the rest goes on");
    assert_eq!(sonde.value("damage_after"), Ok(2.0));
}

#[test]
fn a_full_disk_refuses_and_recovers() {
    let dir = tempfile::tempdir().expect("a folder");
    let data = dir.path().join("data");
    let Some(_mount) = SmallDisk::mount(&data) else {
        not_run("a full disk", "no small file system can be mounted here (it needs root)");
        return;
    };
    let mut sonde = Sonde::collector(dir.path(), &[]);
    push(&sonde, "disk.first", 1.0).expect("taken");
    let ballast = data.join("ballast");
    let filled = std::fs::write(&ballast, vec![1; 64 << 20]);
    assert!(filled.is_err(), "the disk is full");

    let refusal = wait_for("a refusal", Duration::from_secs(30), || {
        let many: Vec<Point> = (0..2_000).map(|n| gauge(&format!("disk.many{n}"), now_ms(), 1.0)).collect();
        let reply = post(&sonde.url("/v1/metrics"), &[PROTOBUF], metrics_request("disk", &many))?;
        if reply.status == 200 { Err("still taken".to_owned()) } else { Ok(reply) }
    });
    assert!(matches!(refusal.status, 429 | 500 | 503), "{} {}", refusal.status, refusal.text());
    assert!(refusal.status == 500 || refusal.header("retry-after").is_some(), "{:?}", refusal.headers);
    assert_eq!(sonde.value("disk_first"), Ok(1.0), "queries go on");

    std::fs::remove_file(&ballast).expect("space again");
    wait_for("recovery", Duration::from_secs(30), || push(&sonde, "disk.after", 3.0));
    sonde.server.kill();
    sonde.restart();
    assert_eq!((sonde.value("disk_first"), sonde.value("disk_after")), (Ok(1.0), Ok(3.0)));
    assert!(!sonde.server.output().contains("panicked"), "{}", sonde.server.output());
}

fn gauge(metric: &str, timestamp: i64, value: f64) -> Point {
    Point { metric: metric.to_owned(), attributes: Vec::new(), timestamp, value, delta: false }
}

fn push(sonde: &Sonde, metric: &str, value: f64) -> Result<(), String> {
    let body = metrics_request("test", &[gauge(metric, now_ms(), value)]);
    let reply = post(&sonde.url("/v1/metrics"), &[PROTOBUF], body)?;
    if reply.status == 200 { Ok(()) } else { Err(format!("{} {}", reply.status, reply.text())) }
}

fn varint(into: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        into.push(value as u8 | 0x80);
        value >>= 7;
    }
    into.push(value as u8);
}

/// The largest WAL segment below the data directory.
fn newest_segment(data: &Path) -> PathBuf {
    let wal = data.join("tsdb/wal");
    let files = std::fs::read_dir(&wal).unwrap_or_else(|e| panic!("{}: {e}", wal.display()));
    let files = files.map(|e| e.expect("an entry").path()).filter(|p| p.is_file());
    files.max_by_key(|p| std::fs::metadata(p).map_or(0, |m| m.len())).expect("a segment")
}

/// The status line for a request that announces 10 GiB and sends none of them.
fn oversized(sonde: &Sonde) -> String {
    let mut stream = TcpStream::connect(sonde.base.trim_start_matches("http://")).expect("a connection");
    let head = "POST /v1/metrics HTTP/1.1\r\nhost: sonde\r\ncontent-type: application/x-protobuf\r\n";
    write!(stream, "{head}content-length: 10737418240\r\n\r\n").expect("the head is sent");
    let mut line = String::new();
    BufReader::new(stream).read_line(&mut line).expect("an answer");
    line
}

/// A file system of 32 MiB, unmounted at the end.
struct SmallDisk(PathBuf);

impl SmallDisk {
    fn mount(at: &Path) -> Option<Self> {
        std::fs::create_dir_all(at).expect("a mount point");
        let status = Command::new("mount").args(["-t", "tmpfs", "-o", "size=32m", "tmpfs"]).arg(at).status();
        status.is_ok_and(|s| s.success()).then(|| SmallDisk(at.to_path_buf()))
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // Lazily: the server may hold files open until it is killed.
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}
