//! `POST /api/v1/call/evaluate/:call_id`.

use std::time::Duration;

use serde_json::{Value, json};
use vez::store::events;

use super::super::NOBODY;
use super::Scene;
use crate::harness::TestApp;
use crate::harness::client::{Answer, Client};

async fn rate(client: &Client, call: &str, body: Value) -> Answer {
    client.post(&format!("/api/v1/call/evaluate/{call}"), body).await
}

#[tokio::test]
async fn a_call_is_rated_once_after_its_end() {
    let app = TestApp::start().await;
    let scene = Scene::new(&app).await;
    let joined = app.client().join(&scene.link, "Maria").await.expect(200);
    let call = joined.data("call_id");
    let body = json!({"rating": 4, "comment": "Ótimo"});
    let client = app.client();
    for action in ["assign", "start", "complete"] {
        let early = rate(&client, call, body.clone()).await.expect(422);
        assert_eq!(early.body["errors"]["code"], "not_ended");
        scene.agent.client.act(call, action).await.expect(200);
    }
    let rated = json!({"data": {"call_id": call, "rating": 4, "comment": "Ótimo"}});
    assert_eq!(rate(&client, call, body.clone()).await.expect(200).body, rated);
    assert_eq!(rate(&client, call, body).await.expect(200).body, rated, "the same again is fine");
    for other in [json!({"rating": 5}), json!({"rating": 4, "comment": "Not so good"})] {
        let refused = rate(&client, call, other).await.expect(422);
        assert_eq!(refused.body["errors"]["code"], "already_rated");
    }
    let shown = scene.agent.client.get(&format!("/api/v1/calls/{call}")).await.expect(200);
    assert_eq!((&shown.body["data"]["rating"], shown.data("rating_comment")), (&json!(4), "Ótimo"));
}

#[tokio::test]
async fn two_ratings_at_once_are_one() {
    let app = TestApp::start().await;
    let scene = Scene::new(&app).await;
    let joined = app.client().join(&scene.link, "Maria").await.expect(200);
    scene.serve(joined.data("call_id")).await;
    let client = app.client();
    let ratings = (1..=5).map(|rating| rate(&client, joined.data("call_id"), json!({ "rating": rating })));
    let mut statuses: Vec<u16> =
        futures_util::future::join_all(ratings).await.into_iter().map(|answer| answer.status).collect();
    statuses.sort_unstable();
    assert_eq!(statuses, [200, 422, 422, 422, 422]);
}

#[tokio::test]
async fn a_rating_is_one_to_five_and_a_comment_a_text() {
    let app = TestApp::start().await;
    let scene = Scene::new(&app).await;
    let joined = app.client().join(&scene.link, "Maria").await.expect(200);
    let call = joined.data("call_id");
    scene.serve(call).await;
    let long = "x".repeat(2_001);
    for (body, errors) in [
        (json!({}), json!({"rating": ["can't be blank"]})),
        (json!({"rating": null}), json!({"rating": ["can't be blank"]})),
        (json!({"rating": 0}), json!({"rating": ["must be greater than or equal to 1"]})),
        (json!({"rating": 6}), json!({"rating": ["must be less than or equal to 5"]})),
        (json!({"rating": 4.5}), json!({"rating": ["is invalid"]})),
        (json!({"rating": "4", "comment": 1}), json!({"rating": ["is invalid"], "comment": ["is invalid"]})),
        (json!({"rating": 4, "comment": "\u{0}"}), json!({"comment": ["must not contain a NUL character"]})),
        (json!({"rating": 4, "comment": long}), json!({"comment": ["should be at most 2000 character(s)"]})),
    ] {
        assert_eq!(
            rate(&app.client(), call, body.clone()).await.expect(422).body,
            json!({ "errors": errors }),
            "{body}"
        );
    }
    rate(&app.client(), call, json!({"rating": 1})).await.expect(200);
}

#[tokio::test]
async fn rating_closes_a_day_after_the_end() {
    let app = TestApp::start().await;
    let scene = Scene::new(&app).await;
    let mut calls = Vec::new();
    for name in ["Maria", "Bia"] {
        let joined = app.client().join(&scene.link, name).await.expect(200);
        calls.push(joined.data("call_id").to_owned());
        scene.serve(&calls[calls.len() - 1]).await;
        // The wrap-up of the first call ends.
        app.advance(Duration::from_secs(15)).await;
        if calls.len() == 1 {
            // And the second call ends so much later.
            scene.agent.client.act(&calls[0], "complete").await.expect(200);
        }
    }
    app.advance(Duration::from_secs(24 * 3_600 - 16)).await;
    let late = rate(&app.client(), &calls[0], json!({"rating": 5})).await.expect(422);
    assert_eq!(late.body["errors"]["code"], "rating_closed");
    rate(&app.client(), &calls[1], json!({"rating": 5})).await.expect(200);
}

#[tokio::test]
async fn a_token_sent_must_be_that_calls_own() {
    let app = TestApp::start().await;
    let scene = Scene::new(&app).await;
    let maria = app.client().join(&scene.link, "Maria").await.expect(200);
    let bia = app.client().join(&scene.link, "Bia").await.expect(200);
    let call = maria.data("call_id");
    scene.serve(call).await;
    for wrong in [bia.data("websocket_token"), scene.agent.token.as_str(), "x"] {
        rate(&app.client_of(wrong), call, json!({"rating": 5})).await.expect_error(401, "Unauthorized");
    }
    rate(&app.client_of(maria.data("websocket_token")), call, json!({"rating": 5})).await.expect(200);
    // Rated with the token is verified, without it is not.
    scene.agent.client.act(bia.data("call_id"), "assign").await.expect(422);
    app.advance(Duration::from_secs(15)).await;
    app.client().status(bia.data("call_id")).await.expect(200);
    scene.serve(bia.data("call_id")).await;
    rate(&app.client(), bia.data("call_id"), json!({"rating": 4})).await.expect(200);
    for (call, verified) in [(call, true), (bia.data("call_id"), false)] {
        let facts = events::of_call(app.app.store(), scene.company.tenant, call.parse().unwrap()).await.unwrap();
        let rated = facts.iter().find(|fact| fact.kind == "call_rated").unwrap();
        assert_eq!(rated.data["verified"], verified);
    }
}

#[tokio::test]
async fn whoever_left_may_rate_too_and_a_call_of_nowhere_may_not() {
    let app = TestApp::start().await;
    let scene = Scene::new(&app).await;
    let joined = app.client().join(&scene.link, "Maria").await.expect(200);
    let topic = app.topic(joined.data("websocket_token"), &joined.call_topic()).await;
    topic.push("leave", Value::Null).await.unwrap();
    rate(&app.client(), joined.data("call_id"), json!({"rating": 1})).await.expect(200);
    rate(&app.client(), NOBODY, json!({"rating": 1})).await.expect_error(404, "Not found");
    rate(&app.client(), "x", json!({"rating": 1})).await.expect_error(404, "Not found");
}
