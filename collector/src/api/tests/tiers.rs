//! Queries over what only a downsampled tier has any more.

use std::time::Duration;

use super::*;
use crate::rule_store::StoreForRules;
use crate::rules::RuleStore;

const HOUR: i64 = 3_600_000;
const DAY: i64 = 24 * HOUR;
/// Between two samples.
const EVERY: i64 = 150_000;

fn config() -> Config {
    let text = "storage: {retention: 2d, lateness: 1h, tiers: [{step: 30m, keep: 5d}, {step: 2h, keep: 90d}]}\n";
    Config::parse(text, "test.yml").expect("valid")
}

/// What a gauge shows at a time.
fn gauge(t: i64) -> f64 {
    ((t / EVERY * 37) % 1_001) as f64
}

/// A collector that has lived for eight days; `gone` is a series of the first of them.
async fn old() -> Fixture {
    let fixture = Fixture::open_with(config(), Flags::default());
    let db = Arc::clone(&fixture.server.core().expect("open").db);
    let mut last = 0;
    while last < 8 * DAY {
        fixture.clock.advance(Duration::from_secs(3600));
        let now = fixture.server.clock.now_ms();
        let times = || (last / EVERY + 1..=now / EVERY).map(|i| i * EVERY);
        let of = |value: fn(i64) -> f64| times().map(|t| (t, value(t))).collect::<Vec<_>>();
        let mut all = vec![
            series(&[("__name__", "gauge"), ("job", "a")], &of(gauge)),
            series(&[("__name__", "calls_total"), ("job", "a")], &of(|t| (t / 1000) as f64)),
        ];
        if now < DAY {
            all.push(series(&[("__name__", "gone"), ("job", "old")], &of(|_| 1.0)));
        }
        assert_eq!(fixture.write(&super::of(all)).await.0, 204);
        last = now / EVERY * EVERY;
        db.maintain(now).expect("maintenance works");
    }
    (0..20).for_each(|_| db.maintain(fixture.server.clock.now_ms()).expect("maintenance works"));
    assert!(db.status().block_min_time.expect("blocks") > 4 * DAY, "the store itself has dropped the old days");
    fixture
}

/// The values of the one series of an answer, and its whole text.
async fn ask(fixture: &Fixture, path: &str) -> (Vec<(i64, f64)>, String) {
    let (status, text) = fixture.get(path).await;
    assert_eq!(status, 200, "{path}: {text}");
    let answer: serde_json::Value = serde_json::from_str(&text).expect("JSON");
    let result = answer["data"]["result"].as_array().expect("a list");
    assert!(result.len() <= 1, "{text}");
    let values = match result.first() {
        None => Vec::new(),
        Some(one) if one["values"].is_array() => one["values"].as_array().cloned().unwrap_or_default(),
        Some(one) => vec![one["value"].clone()],
    };
    let value = |v: &serde_json::Value| {
        let t = (v[0].as_f64().expect("a time") * 1e3) as i64;
        (t, v[1].as_str().and_then(|text| text.parse().ok()).expect("a number"))
    };
    (values.iter().map(value).collect(), text)
}

fn range(query: &str, from: i64, to: i64, step: i64, more: &str) -> String {
    let [from, to, step] = [from, to, step].map(|ms| ms / 1000);
    format!("/api/v1/query_range?query={query}&start={from}&end={to}&step={step}{more}")
}

#[tokio::test]
async fn old_and_new_are_one_answer() {
    let fixture = old().await;
    let end = 8 * DAY;
    // A graph of the whole time has no gap at a lookback of five minutes, whatever it was read from.
    let all = range("gauge", 2 * HOUR, end, HOUR, "");
    for _ in 0..2 {
        let (values, text) = ask(&fixture, &all).await;
        let expected: Vec<(i64, f64)> = (2..=8 * 24).map(|hour| (hour * HOUR, gauge(hour * HOUR))).collect();
        let at_ends =
            |values: &[(i64, f64)]| values.iter().copied().filter(|(t, _)| t % (2 * HOUR) == 0).collect::<Vec<_>>();
        assert_eq!(at_ends(&values), at_ends(&expected), "at the end of a step it is the value of that time");
        assert_eq!(values.len(), expected.len(), "between them it is an older one");
        for step in ["30m", "2h"] {
            assert!(
                text.contains(&format!("were read from the {step} tier, which keeps a few of each {step}")),
                "{text}"
            );
        }
        assert!(!text.contains("\"warnings\""), "{text}");
    }
    let new = range("gauge", end - DAY, end, 60_000, "");
    assert!(!ask(&fixture, &new).await.1.contains("tier"), "what the store has is read from nowhere else");

    // Over whole steps extremes and growth are those of all samples.
    for hour in [12, 40, 90] {
        let (from, to) = (hour * HOUR, (hour + 4) * HOUR);
        let seen = || (from / EVERY + 1..=to / EVERY).map(|i| gauge(i * EVERY));
        for (query, expected) in [
            ("max_over_time(gauge[4h])", seen().fold(f64::MIN, f64::max)),
            ("min_over_time(gauge[4h])", seen().fold(f64::MAX, f64::min)),
            ("increase(calls_total[4h])", 4.0 * 3600.0),
            ("resets(calls_total[4h])", 0.0),
        ] {
            let (values, text) = ask(&fixture, &format!("/api/v1/query?query={query}&time={}", to / 1000)).await;
            assert!((values[0].1 - expected).abs() < 1e-6, "{query} at {to}: {values:?}, not {expected}");
            assert!(text.contains("tier") && !text.contains("\"warnings\""), "{text}");
        }
    }
    let average = format!("/api/v1/query?query=avg_over_time(gauge[4h])&time={}", 2 * DAY / 1000);
    assert!(ask(&fixture, &average).await.1.contains("avg_over_time needs all samples"));
}

#[tokio::test]
async fn who_asks_says_how_coarse_it_may_be() {
    let fixture = old().await;
    let (end, old) = (8 * DAY, 3 * DAY);
    let none = ask(&fixture, &range("gauge", old, old + DAY, HOUR, "&max_source_resolution=raw")).await;
    assert!(none.0.is_empty() && !none.1.contains("tier"), "{}", none.1);
    let count =
        |more: &str| format!("/api/v1/query?query=count_over_time(gauge[4h])&time={}{more}", (end - DAY) / 1000);
    let exact = ask(&fixture, &count("")).await.0[0].1;
    let (coarse, text) = ask(&fixture, &count("&max_source_resolution=1h")).await;
    assert!(exact == 96.0 && coarse[0].1 < 40.0, "{exact} {coarse:?}");
    assert!(
        text.contains("were read from the 30m tier") && text.contains("count_over_time needs all samples"),
        "{text}"
    );
    let (status, text) = fixture.get("/api/v1/query?query=up&max_source_resolution=-5m").await;
    assert!(status == 400 && text.contains("max_source_resolution"), "{text}");
}

#[tokio::test]
async fn listings_know_tiers_and_rules_do_not() {
    let fixture = old().await;
    let names = "/api/v1/label/__name__/values?start=0&end=90000";
    assert!(fixture.get(names).await.1.contains("\"gone\""));
    assert!(!fixture.get("/api/v1/label/__name__/values?start=600000").await.1.contains("\"gone\""));
    let (_, text) = fixture.get("/api/v1/series?match[]=gone&start=0&end=90000").await;
    assert!(text.contains("\"job\":\"old\""), "{text}");
    let (_, text) = fixture.get("/api/v1/labels?match[]=gone&start=0&end=90000").await;
    assert!(text.contains("\"__name__\",\"job\""), "{text}");
    let (values, _) = ask(&fixture, "/api/v1/query?query=gone&time=43200").await;
    assert_eq!(values, [(43_200_000, 1.0)]);

    let server = &fixture.server;
    let db = Arc::clone(&server.core().expect("open").db);
    let rules = StoreForRules::new(db, server.clock.clone(), Arc::clone(&server.config));
    let gone = sonde_promql::parse("count_over_time(gauge[4h])").expect("valid");
    let value = rules.query(&gone, 2 * DAY).expect("an answer");
    assert_eq!(value.value, sonde_promql::Value::Vector(Vec::new()));
    assert!(value.annotations.is_empty());
}
