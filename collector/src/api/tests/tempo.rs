//! Tempo's API over HTTP: whatever is asked of it.

use super::*;

/// Whatever is asked of Tempo's API: an answer, or a sentence with a status that blames the right side.
#[tokio::test]
async fn garbage_is_refused_by_every_path_of_tempo() {
    let fixture = Fixture::open();
    let paths = [
        "/api/traces/{}",
        "/api/v2/traces/{}",
        "/api/v2/traces/1?q={}",
        "/api/v2/traces/1?q=%7B%7D&match_depth={}&keep_hierarchy=true&ancestor_depth={}",
        "/api/search?q={}",
        "/api/search?tags={}",
        "/api/search?minDuration={}",
        "/api/search?limit={}",
        "/api/search?spss={}",
        "/api/search?start={}&end={}",
        "/api/search/tags?scope={}",
        "/api/v2/search/tags?q={}&limit={}",
        "/api/search/tag/{}/values",
        "/api/v2/search/tag/{}/values?q={}",
        "/api/metrics/query?q={}",
        "/api/metrics/query_range?q=%7B%7D%7Crate()&step={}",
    ];
    let deep = "(".repeat(5_000);
    let long = "a".repeat(20_000);
    let garbage = [
        "%7B",
        "%22",
        "%00",
        "-1",
        "NaN",
        "99999999999999999999",
        "%F0%9F%92%A5",
        "%ff",
        "a%3D%22",
        "1e308s",
        ".",
        &deep,
        &long,
    ];
    for path in paths {
        for text in garbage {
            let asked = path.replace("{}", text);
            let (status, answer) = fixture.get(&asked).await;
            let told = format!("{path} with {}: {status} {answer:.200}", &text[..text.len().min(40)]);
            assert!(matches!(status, 200 | 400 | 404 | 501), "{told}");
            assert!(status == 200 || status == 404 || !answer.is_empty(), "{told}");
        }
    }
    assert_eq!(fixture.get("/api/echo").await, (200, "echo\n".to_owned()));
    assert_eq!(fixture.get("/ready").await, (200, "ready\n".to_owned()));
}

/// Before the store is open: not yet, and when to come again.
#[tokio::test]
async fn tempo_says_that_the_span_store_is_being_opened() {
    let fixture = Fixture::new(Config::default(), Flags::default());
    for path in ["/api/search?q=%7B%7D", "/api/v2/traces/1", "/api/search/tags", "/ready"] {
        assert_eq!(fixture.get(path).await.0, 503, "{path}");
    }
}
