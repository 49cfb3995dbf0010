//! Requests that web pages of elsewhere make a browser send.

use super::*;

fn from_page(origin: &str, host: &str) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for (name, value) in [("origin", origin), ("host", host)] {
        headers.insert(name, value.parse().expect("a value"));
    }
    headers
}

#[tokio::test]
async fn pages_of_elsewhere_change_nothing() {
    let open = Fixture::open("", Flags::default());
    let ours = from_page("http://127.0.0.1:9090", "127.0.0.1:9090");
    let evil = from_page("https://evil.example.org", "127.0.0.1:9090");
    let rebound = from_page("http://rebound.example.org:9090", "rebound.example.org:9090");
    for (headers, expected) in [
        (ours, Outcome::Through),
        (evil.clone(), Outcome::Refused(Reason::Origin)),
        (rebound, Outcome::Refused(Reason::Origin)),
    ] {
        for path in ["/-/reload", "/v1/metrics", "/api/v1/write", "/api/v1/otlp/v1/traces"] {
            let outcome = open.outcome(Surface::Main, "POST", path, headers.clone()).await;
            assert_eq!(outcome, expected, "{path} {headers:?}");
        }
        assert_eq!(open.outcome(Surface::OtlpHttp, "POST", "/v1/traces", headers.clone()).await, expected);
        // Reading is the business of api.cors_origin.
        assert_eq!(open.outcome(Surface::Main, "POST", "/api/v1/query", headers).await, Outcome::Through);
    }

    let asked = Fixture::open("auth: {required: always}", Flags::default());
    let (admin, _) = asked.token(Role::Admin, None).await;
    let with = |value: String| {
        let mut headers = evil.clone();
        headers.insert("authorization", value.parse().expect("a value"));
        headers
    };
    // A password is sent by the browser itself, a bearer token is not.
    let bearer = with(format!("Bearer {admin}"));
    assert_eq!(asked.outcome(Surface::Main, "POST", "/-/reload", bearer).await, Outcome::Through);
    let basic = with(format!("Basic {}", super::callers::base64(&format!(":{admin}"))));
    assert_eq!(asked.outcome(Surface::Main, "POST", "/-/reload", basic).await, Outcome::Refused(Reason::Origin));
}

#[tokio::test]
async fn browsers_may_ask_whether_they_may_ask() {
    let fixture = Fixture::open("auth: {required: always}", Flags::default());
    let mut headers = from_page("https://grafana.example.org", "127.0.0.1:9090");
    headers.insert("access-control-request-method", "GET".parse().expect("a value"));
    let response = fixture.ask(Surface::Main, "OPTIONS", "/api/v1/query", headers).await;
    assert_eq!(response.status(), 200);
    assert!(response.headers().contains_key("access-control-allow-headers"), "{response:?}");
}
