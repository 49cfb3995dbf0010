//! The host receivers on the host that runs the test.

#![cfg(target_os = "linux")]

use std::time::Duration;

use super::*;
use crate::payload::tests::lines;

fn config() -> HostConfig {
    HostConfig { receivers: HostReceiver::ALL.to_vec(), ..HostConfig::default() }
}

#[tokio::test]
async fn this_host_gives_every_metric_of_the_issue() {
    let mut host = Host::new(config(), 0);
    let reading = Slow::new(config()).read(Duration::from_secs(20)).await.unwrap();
    host.collect(1, Some(&reading));
    let collection = host.collect(2, Some(&reading));
    assert_eq!(collection.failed, []);
    let lines = lines(&collection.payload);
    for name in [
        "system.cpu.time",
        "system.cpu.logical.count",
        "system.memory.usage",
        "system.memory.limit",
        "system.paging.faults",
        "system.filesystem.usage",
        "system.filesystem.limit",
        "system.network.io",
        "system.cpu.load_average.1m",
        "system.uptime",
        "system.process.count",
        "system.process.created",
        "system.network.connection.count",
    ] {
        assert!(lines.iter().any(|line| line.starts_with(&format!("{name}{{"))), "{name} not in {lines:#?}");
    }
    assert!(host.boot_ns > 1_500_000_000_000_000_000, "{}", host.boot_ns);
}

#[tokio::test]
async fn what_is_not_asked_for_is_not_read() {
    let config = HostConfig { receivers: vec![HostReceiver::Load], ..HostConfig::default() };
    let reading = Slow::new(config.clone()).read(Duration::from_secs(20)).await.unwrap();
    assert!(reading.filesystems.is_empty() && reading.processes.is_none());
    let collection = Host::new(config, 0).collect(1, Some(&reading));
    assert_eq!(collection.payload.points(), 3);
}

#[test]
fn a_file_that_is_not_there_is_an_error_that_names_it() {
    let error = Source::new().read("/proc/none").unwrap_err();
    assert!(error.to_string().starts_with("/proc/none: "), "{error}");
    let error = Source::new().parse("/proc/loadavg", |_| None::<()>).unwrap_err();
    assert_eq!(error, ReadError::Malformed { path: "/proc/loadavg".into() });
}
