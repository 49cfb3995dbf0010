//! Targets, of which the collector knows by their series.

use super::*;

const NOW: (i64, f64) = (60_000, 1.0);

#[tokio::test]
async fn targets_are_told_with_what_is_known_of_them() {
    let fixture = Fixture::open();
    let of_node = |name: &'static str, more: &[(&'static str, &'static str)], value: f64| {
        let mut labels = vec![("__name__", name), ("instance", "h:9100"), ("job", "node"), ("team", "x")];
        labels.extend(more);
        labels.sort_unstable();
        series(&labels, &[(60_000, value)])
    };
    let info = [
        ("scrape_url", "http://h:9100/metrics?a=b"),
        ("scrape_interval", "15s"),
        ("scrape_timeout", "10s"),
        ("scrape_error", "timeout"),
    ];
    let mut request = of(vec![
        of_node("up", &[], 0.0),
        of_node("scrape_duration_seconds", &[], 0.25),
        of_node("scrape_target_info", &info, 1.0),
        of_node("node_load_total", &[], 3.0),
        of_node("latency_bucket", &[("le", "1")], 3.0),
        series(&[("__name__", "up"), ("instance", "b"), ("job", "a")], &[NOW]),
        // This one was removed.
        series(&[("__name__", "up"), ("instance", "c"), ("job", "a")], &[(45_000, 1.0), (60_000, stale())]),
    ]);
    let metadata = |name: &str, kind| MetricMetadata {
        kind,
        metric_family_name: name.into(),
        help: format!("Of {name}."),
        ..MetricMetadata::default()
    };
    request.metadata = vec![metadata("node_load_total", 1), metadata("latency", 3), metadata("other", 2)];
    assert_eq!(fixture.write(&request).await, (204, String::new()));

    let (_, text) = fixture.get("/api/v1/targets").await;
    let first = r#"{"discoveredLabels":{"job":"a"},"labels":{"instance":"b","job":"a"},"scrapePool":"a","scrapeUrl":"","globalUrl":"","lastError":"","lastScrape":"1970-01-01T00:01:00Z","lastScrapeDuration":0,"health":"up","scrapeInterval":"","scrapeTimeout":""}"#;
    let second = concat!(
        r#"{"discoveredLabels":{"__address__":"h:9100","__metrics_path__":"/metrics?a=b","__scheme__":"http","#,
        r#""__scrape_interval__":"15s","__scrape_timeout__":"10s","job":"node"},"#,
        r#""labels":{"instance":"h:9100","job":"node","team":"x"},"scrapePool":"node","#,
        r#""scrapeUrl":"http://h:9100/metrics?a=b","globalUrl":"http://h:9100/metrics?a=b","lastError":"timeout","#,
        r#""lastScrape":"1970-01-01T00:01:00Z","lastScrapeDuration":0.25,"health":"down","scrapeInterval":"15s","scrapeTimeout":"10s"}"#
    );
    let rest = r#""droppedTargets":[],"droppedTargetCounts":{"a":0,"node":0}"#;
    let expected = format!(r#"{{"status":"success","data":{{"activeTargets":[{first},{second}],{rest}}}}}"#);
    assert_eq!(text, expected);

    let agent = sonde_model::AgentId([7; 16]);
    let batch = sonde_model::BatchId { agent, epoch: 1, signal: sonde_model::Signal::Metrics, seq: 3 };
    fixture.server.core().expect("a store").ingest.agents().saw(batch, 60_000);
    let (_, text) = fixture.get("/api/v1/targets?scrapePool=sonde-agent").await;
    assert!(text.contains(r#""labels":{"agent":"07070707070707070707070707070707","job":"sonde-agent"},"#), "{text}");
    assert!(
        text.contains(r#""lastError":"","lastScrape":"1970-01-01T00:01:00Z","lastScrapeDuration":0,"health":"up""#)
    );
    fixture.clock.advance(std::time::Duration::from_secs(301));
    let (_, text) = fixture.get("/api/v1/targets").await;
    assert!(text.matches("scrapePool").count() == 1 && text.contains(r#""health":"down""#), "{text}");
    let (_, text) = fixture.get("/api/v1/scrape_pools").await;
    assert_eq!(text, r#"{"status":"success","data":{"scrapePools":["sonde-agent"]}}"#);
    fixture.clock.set_wall(60_000);

    let (_, text) = fixture.get("/api/v1/targets/metadata?match_target=%7Bjob=%22node%22%7D").await;
    let target = r#""target":{"instance":"h:9100","job":"node","team":"x"}"#;
    let entry = |name: &str, kind: &str| {
        format!(r#"{{{target},"metric":"{name}","type":"{kind}","help":"Of {name}.","unit":""}}"#)
    };
    let expected = format!("[{},{}]", entry("latency", "histogram"), entry("node_load_total", "counter"));
    assert_eq!(text, format!(r#"{{"status":"success","data":{expected}}}"#));
    let (_, text) = fixture.get("/api/v1/targets/metadata?metric=node_load_total").await;
    let entry = format!(r#"[{{{target},"type":"counter","help":"Of node_load_total.","unit":""}}]"#);
    assert_eq!(text, format!(r#"{{"status":"success","data":{entry}}}"#));
    let (_, text) = fixture.get("/api/v1/targets/metadata?limit=0").await;
    assert_eq!(text, r#"{"status":"success","data":[]}"#);
}

/// It asks the store once for each target, for which there may be no time.
#[tokio::test]
async fn metadata_of_targets_ends_in_time() {
    let mut config = Config::default();
    config.query.timeout = sonde_runtime::config::Duration::from_secs(0);
    let fixture = Fixture::open_with(config, Flags::default());
    let up = series(&[("__name__", "up"), ("instance", "b"), ("job", "a")], &[NOW]);
    assert_eq!(fixture.write(&of(vec![up])).await.0, 204);
    let (status, text) = fixture.get("/api/v1/targets/metadata").await;
    assert!(status == 503 && text.contains("timeout"), "{status} {text}");
}

fn stale() -> f64 {
    sonde_model::stale_nan()
}
