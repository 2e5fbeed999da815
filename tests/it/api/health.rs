//! `/health/*` and `/metrics`.

use serde_json::json;

use crate::harness::TestApp;

#[tokio::test]
async fn a_served_application_is_live_and_ready() {
    let app = TestApp::start().await;
    for path in ["/health/live", "/health/ready"] {
        assert_eq!(app.client().get(path).await.expect(200).body, json!({"status": "ok"}), "{path}");
    }
}

#[tokio::test]
async fn metrics_are_in_prometheus_format_and_name_no_token() {
    let app = TestApp::start().await;
    let company = app.company("acme").await;
    let line = company.department("Support").await;
    let link = company.link(line).await;
    let joined = app.client().join(&link, "Maria").await.expect(200);
    app.client().status(joined.data("call_id")).await.expect(200);
    app.client().get(&format!("/nowhere/{link}")).await.expect(404);
    let answer = app.client().get("/metrics").await.expect(200);
    assert!(answer.header("content-type").unwrap().starts_with("text/plain"), "{:?}", answer.headers);
    let text = answer.body.as_str().unwrap();
    let line = text.lines().find(|line| line.contains("/api/v1/call/{token}/join")).unwrap_or_else(|| panic!("{text}"));
    assert!(line.starts_with("vez_http_request"), "{line}");
    assert!(!text.contains(&link) && !text.contains(joined.data("call_id")), "{text}");
}
