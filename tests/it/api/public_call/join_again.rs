//! `POST /api/v1/call/:token/join` once more: the same call, for as long as it counts.

use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};
use vez::domain::role::Role;

use super::{NO_SUCH_LINK, Scene};
use crate::harness::TestApp;
use crate::harness::client::{Answer, send};

/// How long after its end a call is found again.
const DAY: Duration = Duration::from_secs(24 * 3_600);

async fn join(app: &TestApp, link: &str, key: &str) -> Answer {
    app.client().post(&format!("/api/v1/call/{link}/join"), json!({"name": "Maria", "join_key": key})).await
}

async fn join_by_header(app: &TestApp, link: &str, key: &str) -> Answer {
    let request = app.client().request(Method::POST, &format!("/api/v1/call/{link}/join"));
    send(request.header("idempotency-key", key).json(&json!({"name": "Maria"}))).await
}

#[tokio::test]
async fn the_same_key_is_the_same_call_with_a_fresh_token() {
    let app = TestApp::start().await;
    let scene = Scene::new(&app).await;
    app.client().join(&scene.link, "Bia").await.expect(200);
    let first = join(&app, &scene.link, "k").await.expect(200);
    app.advance(Duration::from_secs(7)).await;
    let again = join(&app, &scene.link, "k").await.expect(200);
    let by_header = join_by_header(&app, &scene.link, "k").await.expect(200);
    for answer in [&again, &by_header] {
        let data = &answer.body["data"];
        assert_eq!(answer.data("call_id"), first.data("call_id"));
        assert_eq!((&data["resumed"], &data["position"], &data["protocol"]), (&json!(true), &json!(2), &json!(2)));
        assert_ne!(answer.data("websocket_token"), first.data("websocket_token"));
        app.topic(answer.data("websocket_token"), &first.call_topic()).await;
    }
    assert_ne!(join(&app, &scene.link, "other").await.data("call_id"), first.data("call_id"));
    let elsewhere = scene.company.link(scene.line).await;
    assert_ne!(join(&app, &elsewhere, "k").await.data("call_id"), first.data("call_id"), "a key is the link's own");
}

#[tokio::test]
async fn the_same_key_at_the_same_moment_is_one_call() {
    let app = TestApp::start().await;
    let scene = Scene::new(&app).await;
    let joins: Vec<_> = (0..8).map(|_| join(&app, &scene.link, "k")).collect();
    let answers = futures_util::future::join_all(joins).await;
    for answer in &answers {
        assert_eq!(answer.clone().expect(200).data("call_id"), answers[0].data("call_id"));
    }
    assert_eq!(answers.iter().filter(|answer| answer.body["data"]["resumed"] == false).count(), 1);
}

#[tokio::test]
async fn a_repeated_join_is_answered_although_nobody_else_gets_in() {
    let app = TestApp::start().await;
    let scene = Scene::new(&app).await;
    let boss = scene.company.user("Boss", Role::Supervisor).await;
    let first = join(&app, &scene.link, "k").await.expect(200);
    let change = json!({"active": false, "max_queue_size": 1});
    boss.client.put(&format!("/api/v1/departments/{}", scene.line), change).await.expect(200);
    join(&app, &scene.link, "other").await.expect(422);
    assert_eq!(join(&app, &scene.link, "k").await.expect(200).data("call_id"), first.data("call_id"));
}

#[tokio::test]
async fn a_key_finds_its_call_for_a_day_after_its_end() {
    let app = TestApp::start().await;
    let scene = Scene::new(&app).await;
    let first = join(&app, &scene.link, "k").await.expect(200);
    scene.serve(first.data("call_id")).await;
    for wait in [Duration::ZERO, DAY - Duration::from_secs(1)] {
        app.advance(wait).await;
        let again = join(&app, &scene.link, "k").await.expect(200);
        let data = &again.body["data"];
        assert_eq!(again.data("call_id"), first.data("call_id"));
        assert_eq!(
            (&data["status"], &data["position"], &data["queue_size"]),
            (&json!("completed"), &Value::Null, &Value::Null)
        );
        app.topic(again.data("websocket_token"), &first.call_topic()).await;
    }
    app.advance(Duration::from_secs(1)).await;
    let later = join(&app, &scene.link, "k").await.expect(200);
    assert_ne!(later.data("call_id"), first.data("call_id"));
    assert_eq!((later.data("status"), &later.body["data"]["resumed"]), ("queued", &json!(false)));
    // And from now on the key means the new one.
    assert_eq!(join(&app, &scene.link, "k").await.expect(200).data("call_id"), later.data("call_id"));
}

#[tokio::test]
async fn a_single_use_link_is_one_call_whatever_the_key() {
    let app = TestApp::start().await;
    let scene = Scene::new(&app).await;
    let at = app.now().plus_seconds(60);
    let (_, link) = scene
        .company
        .link_with(scene.line, |link| {
            link.max_uses = Some(1);
            link.expires_at = Some(at);
        })
        .await;
    let first = app.client().join(&link, "Maria").await.expect(200);
    assert_eq!(app.client().join(&link, "Maria").await.expect(200).data("call_id"), first.data("call_id"));
    assert_eq!(join(&app, &link, "k").await.expect(200).data("call_id"), first.data("call_id"));
    scene.serve(first.data("call_id")).await;
    // A link that was used in time does not expire under its call.
    app.advance(DAY - Duration::from_secs(1)).await;
    let again = app.client().join(&link, "Maria").await.expect(200);
    assert_eq!((again.data("call_id"), again.data("status")), (first.data("call_id"), "completed"));
    app.advance(Duration::from_secs(1)).await;
    app.client().join(&link, "Maria").await.expect_error(404, NO_SUCH_LINK);
    join(&app, &link, "k").await.expect_error(404, NO_SUCH_LINK);
}

#[tokio::test]
async fn whoever_joined_in_time_comes_back_although_the_link_is_over() {
    let app = TestApp::start().await;
    let scene = Scene::new(&app).await;
    let boss = scene.company.user("Boss", Role::Supervisor).await;
    let at = app.now().plus_seconds(5);
    let (_, expiring) = scene.company.link_with(scene.line, |link| link.expires_at = Some(at)).await;
    let (id, cancelled) = scene.company.link_with(scene.line, |_| {}).await;
    let maria = join(&app, &expiring, "k").await.expect(200);
    let bia = join(&app, &cancelled, "k").await.expect(200);
    scene.agent.client.act(bia.data("call_id"), "assign").await.expect(200);
    boss.client.post(&format!("/api/v1/access-links/{id}/cancel"), json!({})).await.expect(200);
    app.advance(Duration::from_secs(5)).await;
    for (link, joined, phase) in [(&expiring, &maria, "queued"), (&cancelled, &bia, "queued")] {
        let again = join(&app, link, "k").await.expect(200);
        assert_eq!((again.data("call_id"), again.data("status")), (joined.data("call_id"), phase));
        join(&app, link, "other").await.expect_error(404, NO_SUCH_LINK);
        app.client().join(link, "Ivo").await.expect_error(404, NO_SUCH_LINK);
    }
}

#[tokio::test]
async fn two_at_one_single_use_link_are_one_call() {
    let app = TestApp::start().await;
    let scene = Scene::new(&app).await;
    let (_, link) = scene.company.link_with(scene.line, |link| link.max_uses = Some(1)).await;
    let client = app.client();
    let answers = futures_util::future::join_all((0..6).map(|_| client.join(&link, "Maria"))).await;
    for answer in &answers {
        assert_eq!(answer.clone().expect(200).data("call_id"), answers[0].data("call_id"));
    }
}

#[tokio::test]
async fn a_refused_join_leaves_a_single_use_link_unused() {
    let app = TestApp::start().await;
    let scene = Scene::new(&app).await;
    let boss = scene.company.user("Boss", Role::Supervisor).await;
    let (_, link) = scene.company.link_with(scene.line, |link| link.max_uses = Some(1)).await;
    let path = format!("/api/v1/departments/{}", scene.line);
    boss.client.put(&path, json!({"active": false})).await.expect(200);
    app.client().join(&link, "Maria").await.expect(422);
    boss.client.put(&path, json!({"active": true})).await.expect(200);
    app.client().join(&link, "Maria").await.expect(200);
}

#[tokio::test]
async fn joining_again_is_a_sign_of_life_and_survives_a_restart() {
    let app = TestApp::start().await;
    let scene = Scene::new(&app).await;
    let link = scene.link.clone();
    let first = join(&app, &link, "k").await.expect(200);
    drop(scene);
    let app = app.restart().await;
    let again = join(&app, &link, "k").await.expect(200);
    assert_eq!((again.data("call_id"), &again.body["data"]["position"]), (first.data("call_id"), &json!(1)));
}

#[tokio::test]
async fn a_key_that_cannot_be_read_is_refused() {
    let app = TestApp::start().await;
    let scene = Scene::new(&app).await;
    let long = "k".repeat(201);
    join_by_header(&app, &scene.link, &long).await.expect_error(400, "The header Idempotency-Key is invalid");
    let request = app.client().request(Method::POST, &format!("/api/v1/call/{}/join", scene.link));
    let bytes = request.header("idempotency-key", &b"\xff"[..]).json(&json!({"name": "Maria"}));
    send(bytes).await.expect_error(400, "The header Idempotency-Key is invalid");
    // A blank key names nothing.
    let one = join_by_header(&app, &scene.link, "").await.expect(200);
    let two = join_by_header(&app, &scene.link, "").await.expect(200);
    assert_ne!(one.data("call_id"), two.data("call_id"));
}
