//! `/health/*` and `/metrics`.

use serde_json::json;

use crate::harness::TestApp;

#[tokio::test]
async fn a_served_application_is_live_and_ready() {
    let app = TestApp::start().await;
    let live = app.client().get("/health/live").await;
    assert_eq!((live.status, &live.body["status"]), (200, &json!("ok")), "{live:?}");
    let ready = app.client().get("/health/ready").await;
    assert_eq!(ready.status, 200, "{ready:?}");
}
