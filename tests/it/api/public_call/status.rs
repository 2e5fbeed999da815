//! `GET /api/v1/call/status/:call_id`.

use std::time::Duration;

use serde_json::{Value, json};

use super::super::NOBODY;
use super::Scene;
use crate::harness::{TestApp, eventually};

#[tokio::test]
async fn a_call_is_told_at_every_step() {
    let app = TestApp::start().await;
    let scene = Scene::new(&app).await;
    let joined = app.client().join(&scene.link, "Maria").await.expect(200);
    let call = joined.data("call_id");
    let status = async || app.client().status(call).await.expect(200).body["data"].clone();
    assert_eq!(
        status().await,
        json!({"call_id": call, "protocol": 1, "status": "queued", "phase": "waiting", "position": 1, "queue_size": 1,
               "estimated_wait_time": null, "estimated_wait_time_p90": null, "department_name": "Suporte",
               "agent_name": null})
    );
    let step = |seen: &Value| (seen["status"].clone(), seen["phase"].clone(), seen["position"].clone());
    let at = |status, phase| (json!(status), json!(phase), Value::Null);
    scene.agent.client.act(call, "assign").await.expect(200);
    let seen = status().await;
    assert_eq!((step(&seen), &seen["agent_name"]), (at("queued", "assigned"), &json!("Ana")));
    scene.agent.client.act(call, "start").await.expect(200);
    assert_eq!(step(&status().await), at("active", "active"));
    scene.agent.client.act(call, "complete").await.expect(200);
    let seen = status().await;
    assert_eq!((step(&seen), &seen["agent_name"]), (at("completed", "ended"), &json!("Ana")));
    assert_eq!(seen["queue_size"], Value::Null);
}

#[tokio::test]
async fn asking_keeps_the_customer_in_line() {
    let app = TestApp::start().await;
    let scene = Scene::new(&app).await;
    let maria = app.client().join(&scene.link, "Maria").await.expect(200);
    let bia = app.client().join(&scene.link, "Bia").await.expect(200);
    // Present for 30 s after each question, then away for at most 60 s more: Maria asks, Bia does not.
    for _ in 0..4 {
        app.live_through(Duration::from_secs(25)).await;
        app.client().status(maria.data("call_id")).await.expect(200);
    }
    assert_eq!(app.client().status(maria.data("call_id")).await.data("phase"), "waiting");
    let gone = eventually("Bia, who never came, has lost her place", async || {
        let seen = app.client().get(&format!("/api/v1/call/status/{}", bia.data("call_id"))).await.expect(200);
        (seen.data("phase") == "ended").then_some(seen)
    })
    .await;
    assert_eq!(gone.data("status"), "missed");
}

#[tokio::test]
async fn a_call_of_nowhere_is_not_found() {
    let app = TestApp::start().await;
    app.client().status(NOBODY).await.expect_error(404, "Not found");
    app.client().status("7").await.expect_error(404, "Not found");
}
