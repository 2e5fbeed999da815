//! `GET /api/v1/call/:token/validate`.

use std::time::Duration;

use serde_json::json;

use super::{NO_SUCH_LINK, Scene};
use crate::harness::{TestApp, eventually};

#[tokio::test]
async fn a_link_shows_the_department_and_its_line() {
    let app = TestApp::start().await;
    let scene = Scene::new(&app).await;
    let path = format!("/api/v1/call/{}/validate", scene.link);
    let shown = app.client().get(&path).await.expect(200);
    assert_eq!(
        shown.body,
        json!({"data": {
            "valid": true, "department_name": "Suporte", "company_name": "Company acme", "company_logo_url": null,
            "primary_color": "#6366f1", "queue_size": 0, "estimated_wait_time": null, "online_agents": 0,
            "customer_name": null,
        }})
    );
    app.client().join(&scene.link, "Maria").await.expect(200);
    let _agent = app.topic(&scene.agent.token, &scene.agent.topic()).await;
    eventually("the line and the agent are counted", async || {
        let seen = app.client().get(&path).await.expect(200);
        (seen.body["data"]["queue_size"] == 1 && seen.body["data"]["online_agents"] == 1).then_some(())
    })
    .await;
}

#[tokio::test]
async fn links_that_lead_nowhere_are_all_alike() {
    let app = TestApp::start().await;
    let scene = Scene::new(&app).await;
    let at = app.now().plus_seconds(60);
    let (_, expiring) = scene.company.link_with(scene.line, |link| link.expires_at = Some(at)).await;
    let validate = async |token: &str| app.client().get(&format!("/api/v1/call/{token}/validate")).await;
    validate(&expiring).await.expect(200);
    app.advance(Duration::from_secs(60)).await;
    let long = "x".repeat(500);
    for token in [expiring.as_str(), "nothing", "abc%20def", "%C3%A9", long.as_str(), "a.b"] {
        validate(token).await.expect_error(404, NO_SUCH_LINK);
    }
}

#[tokio::test]
async fn a_used_link_is_valid_while_its_call_is_open() {
    let app = TestApp::start().await;
    let scene = Scene::new(&app).await;
    let (_, link) = scene.company.link_with(scene.line, |link| link.max_uses = Some(1)).await;
    let path = format!("/api/v1/call/{link}/validate");
    let joined = app.client().join(&link, "Maria").await.expect(200);
    // The link's row is believed for some seconds.
    app.advance(Duration::from_secs(5)).await;
    app.client().get(&path).await.expect(200);
    scene.serve(joined.data("call_id")).await;
    app.client().get(&path).await.expect_error(404, NO_SUCH_LINK);
}
