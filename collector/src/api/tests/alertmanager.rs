//! Scripts of requests against Alertmanager's API, with a clock that the script sets.

use super::*;

/// Plays a script; see the head of `fixtures/silences.txt` for its language.
async fn play(fixture: &Fixture, script: &str) {
    let mut ids: Vec<String> = Vec::new();
    let mut request = None;
    for line in script.lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
        let (sign, rest) = line.split_once(' ').unwrap_or((line, ""));
        match sign {
            "@" => fixture.clock.set_wall(rest.trim().parse::<i64>().expect("seconds") * 1_000),
            ">" => request = Some(rest.to_owned()),
            "<" | "<~" => {
                let request = fill(request.as_deref().expect("a request before its answer"), &ids);
                let (status, body) = send(fixture, &request).await;
                let (expected_status, expected) = rest.split_once(' ').unwrap_or((rest, ""));
                assert_eq!(status.to_string(), expected_status, "{request}\n{body}");
                learn(&body, expected, &mut ids);
                let expected = fill(expected, &ids);
                if sign == "<" {
                    assert_eq!(body.trim_end(), expected, "{request}");
                } else {
                    assert!(body.contains(&expected), "{request}\n{body}\nhas no\n{expected}");
                }
            }
            other => panic!("no such sign: {other}"),
        }
    }
}

async fn send(fixture: &Fixture, request: &str) -> (u16, String) {
    let mut words = request.splitn(3, ' ');
    let (method, path) = (words.next().expect("a method"), words.next().expect("a path"));
    let body = words.next().unwrap_or_default().to_owned();
    let request = Request::builder().method(method).uri(path).header("content-type", "application/json");
    fixture.answer(request.body(Body::from(body)).expect("a request")).await
}

/// Takes up the id of a silence that has just been made.
fn learn(body: &str, expected: &str, ids: &mut Vec<String>) {
    let next = format!("{{\"silenceID\":\"${}\"}}", ids.len() + 1);
    if expected == next {
        let json: serde_json::Value = serde_json::from_str(body).expect("JSON");
        ids.push(json["silenceID"].as_str().expect("an id").to_owned());
    }
}

fn fill(text: &str, ids: &[String]) -> String {
    ids.iter().enumerate().fold(text.to_owned(), |text, (i, id)| text.replace(&format!("${}", i + 1), id))
}

#[tokio::test]
async fn silences_are_made_changed_and_ended() {
    play(&Fixture::open(), include_str!("../fixtures/silences.txt")).await;
}

/// A receiver for everything, one more for pages at night, and an inhibition.
const NOTIFY: &str = r#"
notify:
  route:
    receiver: hook
    group_by: [alertname]
    routes:
    - {matchers: [severity=page], receiver: pager, continue: true, mute_time_intervals: [always]}
    - {receiver: hook}
  receivers:
  - {name: hook, webhooks: [{url: 'http://127.0.0.1:1/'}]}
  - {name: pager, webhooks: [{url: 'http://127.0.0.1:1/'}]}
  time_intervals:
  - {name: always, time_intervals: [{}]}
  inhibit_rules:
  - {source_matchers: [alertname=Down], target_matchers: [alertname=Slow], equal: [host]}
"#;

#[tokio::test]
async fn alerts_of_other_senders_are_taken_shown_and_kept_quiet() {
    let config = Config::parse(NOTIFY, "test.yml").expect("a configuration");
    let setup = crate::settings::notify_setup(&config, &Flags::default()).expect("a setup");
    let fixture = Fixture::open_with(config, Flags::default());
    fixture.server.notifier.configure(setup);
    play(&fixture, include_str!("../fixtures/alerts.txt")).await;
}

#[tokio::test]
async fn before_the_store_is_open_nothing_is_silenced() {
    let fixture = Fixture::new(Config::default(), Flags::default());
    let silence = r#"{"matchers":[{"name":"a","value":"b","isRegex":false}],"startsAt":"1970-01-01T00:00:30Z","endsAt":"1970-01-01T01:00:00Z","createdBy":"me","comment":"c"}"#;
    let alerts = r#"POST /api/v2/alerts [{"labels":{"a":"b"}}]"#.to_owned();
    let silences = ["GET /api/v2/silences".to_owned(), format!("POST /api/v2/silences {silence}")];
    for request in silences.into_iter().chain(["GET /api/v2/alerts".to_owned(), alerts]) {
        let (status, body) = send(&fixture, &request).await;
        assert_eq!(status, 503, "{request}: {body}");
    }
}

#[tokio::test]
async fn only_json_is_taken() {
    let fixture = Fixture::open();
    let request = Request::post("/api/v2/silences").header("content-type", "text/plain").body(Body::from("{}"));
    let (status, body) = fixture.answer(request.expect("a request")).await;
    let expected =
        r#"{"code":415,"message":"unsupported media type \"text/plain\", only [application/json] are allowed"}"#;
    assert_eq!((status, body.trim_end()), (415, expected));
}

#[tokio::test]
async fn lists_of_alerts_wait_for_their_turn_like_queries() {
    let mut config = Config::default();
    (config.query.concurrency, config.query.queue) = (1, 0);
    let fixture = Fixture::open_with(config, Flags::default());
    let (release, held) = std::sync::mpsc::sync_channel::<()>(1);
    let (server, mut running) = (Arc::clone(&fixture.server), tokio::task::JoinSet::new());
    let hold = move |_: crate::query::Expired<'_>| held.recv().is_ok();
    running.spawn(async move { server.queries.run(std::time::Duration::MAX, hold).await });
    while fixture.server.queries.running() == 0 {
        tokio::task::yield_now().await;
    }
    let paths = ["/api/v2/alerts", "/api/v2/alerts/groups", "/api/v1/alerts/history"];
    for path in paths {
        let (status, body) = send(&fixture, &format!("GET {path}")).await;
        assert!(status == 503 && body.contains("too many queries wait"), "{path}: {status} {body}");
    }
    drop(release);
    running.join_next().await.expect("it runs").expect("no panic").expect("it had its turn");
    for path in paths {
        assert_eq!(send(&fixture, &format!("GET {path}")).await.0, 200, "{path}");
    }
}
