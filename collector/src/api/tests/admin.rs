//! The calls of the administrator on the store.

use super::*;

#[tokio::test]
async fn admin_calls_answer_when_the_work_is_done() {
    let flags = Flags { enable_admin_api: true, ..Flags::default() };
    let fixture = Fixture::open_with(Config::default(), flags);
    assert_eq!(fixture.write(&data()).await.0, 204);
    for call in ["flush", "compact"] {
        let request = Request::post(format!("/api/v1/admin/tsdb/{call}")).body(Body::empty()).expect("a request");
        assert_eq!(fixture.answer(request).await, (204, String::new()));
    }
    let (_, status) = fixture.get("/api/v1/status/tsdb").await;
    assert!(status.contains(r#""blockStats":{"numBlocks":1,"numSamples":21,"#), "{status}");
    assert!(status.contains(r#""seriesCountByMetricName":[{"name":"http_requests_total","value":"#), "{status}");
    assert_eq!(fixture.get("/api/v1/status/tsdb?limit=10001").await.0, 400);
    let (_, answer) = fixture.get("/api/v1/query?query=sum(http_requests_total)").await;
    assert!(answer.contains(r#"[60,"120"]"#), "{answer}");
}

#[tokio::test]
async fn series_are_deleted_and_a_snapshot_is_made() {
    let flags = Flags { enable_admin_api: true, ..Flags::default() };
    let fixture = Fixture::open_with(Config::default(), flags);
    assert_eq!(fixture.write(&data()).await.0, 204);
    let call = async |call: &str| {
        let request = Request::post(format!("/api/v1/admin/tsdb/{call}")).body(Body::empty()).expect("a request");
        fixture.answer(request).await
    };
    let (status, answer) = call("delete_series").await;
    assert!(status == 400 && answer.contains("match[]"), "{status} {answer}");
    assert_eq!(call("delete_series?match[]=%7Ba%3D%22%22%7D").await.0, 400, "that would be everything");
    assert_eq!(call("delete_series?match[]=http_requests_total&start=0&end=50").await, (204, String::new()));
    assert_eq!(call("clean_tombstones").await, (204, String::new()));
    let (_, answer) = fixture.get("/api/v1/query?query=count_over_time(http_requests_total[1h])&time=3600").await;
    assert!(answer.contains(r#""result":["#) && !answer.contains("error"), "{answer}");
    let (status, answer) = call("snapshot").await;
    assert_eq!(status, 200, "{answer}");
    assert!(answer.contains(r#""data":{"name":"19700101T000100Z-"#), "{answer}");
}
