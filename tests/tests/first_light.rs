//! What a newcomer sees: one command, and within 15 seconds this host's metrics.

use std::net::TcpListener;
use std::time::Duration;

use rustix::process::Signal;
use sonde_tests::{Sonde, Spawn, Stopwatch, free_port, wait_for};

/// One expression for each part of the host.
const HOST: [&str; 10] = [
    "sum by (cpu_mode) (system_cpu_time_seconds_total)",
    "system_memory_usage_bytes",
    "system_paging_faults_total",
    "system_disk_io_bytes_total",
    "system_filesystem_usage_bytes",
    "system_network_io_bytes_total",
    "{__name__=~\"system_cpu_load_average_.*\"}",
    "system_uptime_seconds",
    "system_process_count",
    "sonde_agent_queue_bytes",
];

#[test]
fn one_command_shows_this_host_within_15_seconds() {
    let dir = tempfile::tempdir().expect("a folder");
    let start = Stopwatch::start();
    let mut sonde = Sonde::up(dir.path(), &[]);
    for expr in HOST {
        wait_for(expr, Duration::from_secs(15), || match sonde.query(expr)? {
            samples if samples.is_empty() => Err("no samples".to_owned()),
            _ => Ok(()),
        });
    }
    let took = start.elapsed();
    assert!(took < Duration::from_secs(15), "host metrics were queryable after {took:?} only");
    assert!(sonde.server.output().contains(&sonde.base), "it says where to look: {}", sonde.server.output());

    let page = sonde.get("/");
    assert_eq!((page.status, page.header("content-type")), (200, Some("text/html; charset=utf-8")));
    assert!(page.text().contains("<form"), "the page has a query box");

    let before = sonde.value("count(count_over_time(system_uptime_seconds[1h]))").expect("an uptime");
    sonde.server.signal(Signal::INT);
    assert_eq!(
        sonde.server.wait(Duration::from_secs(30)),
        Some(0),
        "Ctrl-C ends it in order: {}",
        sonde.server.output()
    );
    sonde.restart();
    let after = wait_for("the data of before", Duration::from_secs(10), || {
        sonde.value("count(count_over_time(system_uptime_seconds[1h]))")
    });
    assert!(after >= before, "{after} series of {before} are there after a restart");
}

#[test]
fn a_port_in_use_is_named_with_the_way_out() {
    let dir = tempfile::tempdir().expect("a folder");
    let taken = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = taken.local_addr().expect("an address").to_string();
    let data = dir.path().join("data").to_string_lossy().into_owned();
    let [grpc, http] = [(); 2].map(|()| format!("127.0.0.1:{}", free_port()));
    let args =
        ["up", "--data-dir", &data, "--listen", &address, "--otlp-grpc-listen", &grpc, "--otlp-http-listen", &http];
    let mut server = Spawn::sonde(dir.path(), "up", &args).start();
    let code = server.wait(Duration::from_secs(20));
    let output = server.output();
    assert!(code.is_some_and(|c| c != 0), "it fails: {output}");
    assert!(output.contains(&address) && output.contains("--listen"), "it names the port and the flag: {output}");
    assert!(!output.contains("panicked"), "{output}");
}
