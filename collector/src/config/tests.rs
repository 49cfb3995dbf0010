use super::*;

/// Parses `text` and gives the error's text, or "" where there is none.
fn error_of(text: &str) -> String {
    Config::parse(text, "test.yml").err().map(|e| e.to_string()).unwrap_or_default()
}

#[test]
fn an_empty_file_is_the_default() {
    assert_eq!(Config::parse("", "test.yml").expect("valid"), Config::default());
    assert_eq!(Config::parse("storage: {retention: 15d}\n", "test.yml").expect("valid"), Config::default());
}

#[test]
fn values_have_units_and_limits() {
    let config = Config::parse(
        "ingest:\n  max_body: 1MiB\nquery:\n  timeout: 30s\nnotify:\n  webhooks:\n    - url: http://127.0.0.1:5001/\n",
        "test.yml",
    )
    .expect("valid");
    assert_eq!((config.ingest.max_body, config.query.timeout), (ByteSize::mib(1), Duration::from_secs(30)));
    assert_eq!(config.notify.webhooks[0].name, "webhook");
    for (text, part) in [
        ("query: {timeout: 0}", "query.timeout must be greater than 0"),
        ("query: {timeout: 10}", "10"),
        ("quary: {}", "quary"),
        ("telemetry: {interval: 5ms}", "telemetry.interval must be 0"),
        ("derive: {interval: 0}", "derive.interval must be at least 100ms"),
        ("derive: {span_metrics: {max_label_sets: 0}}", "derive.span_metrics.max_label_sets must be from 1"),
        ("derive: {service_graph: {max_pairs: 1000000}}", "derive.service_graph.max_pairs must be from 1"),
        ("ingest: {max_body: 1GiB}", "ingest.max_decoded_body"),
        ("tls: {cert_file: c}", "tls.key_file is missing"),
        ("notify: {webhooks: [{url: 'https://x', tls_config: {cert_file: c}}]}", "notify.webhooks[0].tls_config needs"),
        ("tls: {key_file: k}", "tls.cert_file is missing"),
        ("tls: {cert_file: c, key_file: k, client_ca_file: a}", "tls.client_auth is none"),
        ("tls: {cert_file: c, key_file: k, client_auth: required}", "tls.client_ca_file is missing"),
        ("tls: {cert_file: c, key_file: k, client_auth: always}", "unknown value `always`"),
        ("tls: {min_version: TLS11}", "unknown value `TLS11`"),
        ("notify: {webhooks: [{url: 'ftp://x'}]}", "notify.webhooks[0].url"),
        ("notify: {webhooks: [{url: 'http://x'}, {url: 'http://y'}]}", "notify.webhooks[1].name"),
    ] {
        assert!(error_of(text).contains(part), "{text}: {}", error_of(text));
    }
}

#[test]
fn every_key_is_in_the_reference_with_its_default() {
    let reference = include_str!("../../../docs/config-collector.md");
    let defaults = serde_json::to_value(Config::default()).expect("plain data");
    for (section, keys) in defaults.as_object().expect("sections") {
        assert!(reference.contains(&format!("## {section}")), "no section {section}");
        for (key, default) in leaves("", keys) {
            let text =
                default.as_str().filter(|t| !t.is_empty()).map(str::to_owned).unwrap_or_else(|| default.to_string());
            let row = format!("| `{key}` | `{text}` |");
            assert!(reference.contains(&row), "no row {row} in section {section}");
        }
    }
}

/// The keys of a section with their values; those of a section within it with its name in front.
fn leaves(prefix: &str, keys: &serde_json::Value) -> Vec<(String, serde_json::Value)> {
    let of = |(key, value): (&String, &serde_json::Value)| match value {
        serde_json::Value::Object(inner) if !inner.is_empty() => leaves(&format!("{prefix}{key}."), value),
        _ => vec![(format!("{prefix}{key}"), value.clone())],
    };
    keys.as_object().into_iter().flatten().flat_map(of).collect()
}

#[test]
fn a_reload_knows_what_needs_a_restart() {
    let old = Config::default();
    let mut new = old.clone();
    new.query.timeout = Duration::from_secs(1);
    assert!(old.needs_restart(&new).is_empty());
    new.tls = TlsConfig { cert_file: "c".into(), key_file: "k".into(), ..TlsConfig::default() };
    assert_eq!(old.needs_restart(&new), ["tls (on or off)"]);
    let (mut renewed, other) = (new.clone(), new.clone());
    renewed.tls.cert_file = "d".into();
    assert!(other.needs_restart(&renewed).is_empty());
    new.tls = TlsConfig::default();
    new.storage.retention = Duration::from_secs(1);
    new.storage.retention_classes = classes("a", "1d");
    assert!(old.needs_restart(&new).is_empty());
    new.storage.max_series = 1;
    new.query.concurrency = 1;
    let storage = "storage (but for retention and retention_classes)";
    assert_eq!(old.needs_restart(&new), [storage, "query.concurrency"]);
}

fn classes(job: &str, keep: &str) -> Vec<RetentionClassConfig> {
    let text = format!("storage: {{retention_classes: [{{match: '{{job=\"{job}\"}}', keep: {keep}}}]}}\n");
    Config::parse(&text, "test.yml").expect("valid").storage.retention_classes
}

#[test]
fn classes_of_retention_are_read_and_faults_are_told() {
    let read = classes("a", "30d");
    assert_eq!(
        (read[0].keep, read[0].selector.matchers()),
        (Duration::from_secs(30 * 86_400), &[sonde_model::Matcher::equal("job", "a")][..],)
    );
    for (text, fault) in [
        ("match: '{job=}', keep: 1d", "unexpected"),
        ("match: '{job=~\".*\"}', keep: 1d", "selects everything"),
        ("match: '{job=\"a\"}', keep: 0s", "keep must be greater than 0"),
        ("match: '{job=\"a\"}'", "keep"),
        ("match: '{job=\"a\"}', keep: 1d, step: 5m", "step"),
    ] {
        let text = format!("storage: {{retention_classes: [{{{text}}}]}}\n");
        let error = Config::parse(&text, "test.yml").expect_err("a fault").to_string();
        assert!(error.contains(fault), "{text}: {error}");
    }
}
