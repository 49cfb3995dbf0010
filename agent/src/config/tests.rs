//! What may stand in the file, and what the agent says of what may not.

use sonde_runtime::load;

use super::*;

#[test]
fn an_empty_file_gives_defaults_that_hold() {
    let config: Config = load("", "agent.yml").unwrap();
    assert_eq!(config, Config::default());
    config.check().unwrap();
}

#[test]
fn every_key_can_be_set() {
    let text = "
data_dir: /var/lib/sonde
collector: {endpoint: 'https://collector:4317', tls: {ca_file: a, server_name: b, cert_file: c, key_file: d}, headers: {authorization: Bearer x}, compress: false, timeout: 3s,
            connect_timeout: 1s, max_in_flight: 2, retry_initial: 100ms, retry_max: 1m}
queue: {max_bytes: 64MiB, max_trace_bytes: 64MiB, min_free: 0B}
host: {interval: 1s, slow_interval: 1s, receivers: [cpu, connections], root: /host, per_cpu: true, disk_exclude: ['sda*'],
       filesystem_exclude_types: [nfs], filesystem_exclude_mounts: [/boot], network_exclude: []}
otlp: {grpc_listen: '127.0.0.1:14317', http_listen: 'off', max_body: 1MiB,
       tls: {cert_file: c, key_file: d, client_ca_file: e, min_version: TLS13}, add_host_attributes: false, insecure: true}
scrape: [{job: node, urls: ['http://h:9100/metrics'], interval: 5s, timeout: 5s, labels: {team: a},
          honor_timestamps: false, max_body: 1MiB, max_samples: 10}]
resource_attributes: {deployment.environment.name: prod}
telemetry: {interval: 1s, log_format: json, log_filter: debug}
shutdown_drain: 1s
";
    let config: Config = load(text, "agent.yml").unwrap();
    config.check().unwrap();
    assert_eq!(config.otlp.grpc_listen.address().unwrap().port(), 14_317);
    assert_eq!(config.host.receivers, [HostReceiver::Cpu, HostReceiver::Connections]);
    assert_eq!(config.agent_dir(), Path::new("/var/lib/sonde/agent"));
}

#[test]
fn values_that_cannot_work_are_named() {
    for (text, message) in [
        ("collector: {endpoint: 'localhost'}", "collector.endpoint: `localhost` is no URL; write http://HOST:4317"),
        (
            "otlp: {grpc_listen: '127.0.0.1:4317'}",
            "otlp.grpc_listen: 127.0.0.1:4317 is also collector.endpoint: the agent would send to itself; \
             give it another address",
        ),
        (
            "otlp: {http_listen: '0.0.0.0:4318'}",
            "otlp.http_listen: 0.0.0.0:4318 can be reached from other machines: set otlp.tls.cert_file, key_file and \
             client_ca_file, listen on 127.0.0.1, or say `insecure: true`",
        ),
        (
            "otlp: {http_listen: '0.0.0.0:4318', tls: {cert_file: c}}",
            "otlp.tls: a certificate needs its private key: set both cert_file and key_file",
        ),
        (
            "collector: {endpoint: 'https://c:4317', tls: {cert_file: c}}",
            "collector.tls: a certificate needs its private key: set both cert_file and key_file, or neither",
        ),
        (
            "collector: {endpoint: 'http://c:4317', tls: {ca_file: c}}",
            "collector.tls: collector.endpoint is http://c:4317, where nothing is encrypted; write https://HOST:4317",
        ),
        (
            "collector: {token_file: a, enrol_token_file: b}",
            "collector: only one of token_file, enrol_token_file and a header `authorization` can say who this agent is",
        ),
        ("host: {interval: 1m}", "host.slow_interval: 15s is shorter than 1m"),
        ("host: {receivers: [cpu, cpu]}", "host.receivers: cpu stands there twice"),
        ("queue: {max_bytes: 1KiB}", "queue.max_bytes (in bytes): 1024 is not between 1048576 and 17592186044416"),
        ("scrape: [{job: a, urls: [b]}]", "scrape[0].urls: `b` is no URL; write http://HOST:PORT/metrics"),
        (
            "scrape: [{job: a, urls: ['http://b/m'], interval: 1s}]",
            "scrape[0].timeout: 10s is longer than the interval of 1s",
        ),
        (
            "scrape: [{job: a, urls: [], labels: {job: b}}]",
            "scrape[0].labels: `job` is no label name that a sample may be given",
        ),
    ] {
        let config: Config = load(text, "agent.yml").unwrap();
        assert_eq!(config.check().unwrap_err().to_string(), message, "{text}");
    }
}

#[test]
fn mistyped_words_are_recognised() {
    for (text, message) in [
        ("host:\n  recievers: []\n", "agent.yml:2:3: unknown key `recievers`, did you mean `receivers`?"),
        ("host:\n  receivers: [cpu, memori]\n", "agent.yml:2:20: unknown value `memori`, did you mean `memory`?"),
        ("otlp:\n  grpc_listen: 4317\n", "agent.yml:2:16: `4317` is no address; write off or as in 127.0.0.1:4317"),
    ] {
        let error = load::<Config>(text, "agent.yml").unwrap_err();
        assert_eq!(error.to_string(), message, "{text}");
    }
}

#[test]
fn every_key_is_in_the_reference_with_its_default() {
    let reference = include_str!("../../../docs/config-agent.md");
    let scrape = r#"{"job": "J", "urls": []}"#;
    let config: Config = load(&format!("scrape: [{scrape}]"), "agent.yml").unwrap();
    let mut defaults = serde_json::to_value(config).unwrap();
    let scrape = defaults["scrape"][0].take();
    defaults["scrape"] = scrape;
    let row = |key: &str, default: &serde_json::Value| {
        let text = default.as_str().map_or_else(|| default.to_string(), str::to_owned);
        let row = format!("| `{key}` | `{text}` |");
        let required = format!("| `{key}` | required |");
        assert!(reference.contains(&row) || reference.contains(&required), "no row {row}");
    };
    for (key, value) in defaults.as_object().unwrap() {
        match value.as_object().filter(|_| key != "resource_attributes") {
            Some(section) => {
                assert!(reference.contains(&format!("## {key}")), "no section {key}");
                section.iter().for_each(|(key, default)| row(key, default));
            }
            None => row(key, value),
        }
    }
}
