//! `GET /api/v1/call/turn-credentials`.

use serde_json::{Value, json};
use vez::config::{Config, Secret};

use crate::harness::TestApp;

const PATH: &str = "/api/v1/call/turn-credentials";

fn with_turn(config: &mut Config) {
    config.turn.turn_urls = vec!["turn:relay.example:3478".into(), "turns:relay.example:5349".into()];
    config.turn.turn_secret = Some(Secret::from("north"));
    config.turn.stun_urls = vec!["stun:stun.example".into()];
    config.turn.turn_ttl_seconds = 600;
}

#[tokio::test]
async fn where_no_relay_is_configured_everybody_is_told_the_stun_servers() {
    let app = TestApp::start().await;
    let company = app.company("acme").await;
    let line = company.department("Suporte").await;
    let joined = app.client().join(&company.link(line).await, "Maria").await.expect(200);
    let customer = app.client_of(joined.data("websocket_token"));
    for client in [app.client(), customer] {
        let data = client.get(PATH).await.expect(200).body["data"].clone();
        assert_eq!(data["ice_servers"], json!([{"urls": ["stun:stun.l.google.com:19302"]}]));
        assert_eq!((&data["username"], &data["credential"]), (&Value::Null, &Value::Null));
    }
}

#[tokio::test]
async fn relay_credentials_are_for_open_calls_and_staff() {
    let app = TestApp::builder().config(with_turn).start().await;
    let company = app.company("acme").await;
    let line = company.department("Suporte").await;
    let agent = company.agent("Ana", &[line]).await;
    let joined = app.client().join(&company.link(line).await, "Maria").await.expect(200);
    let (call, token) = (joined.data("call_id"), joined.data("websocket_token"));
    let expiry = app.now().micros() / 1_000_000 + 600;
    let by_bearer = app.client_of(token).get(PATH).await.expect(200).body["data"].clone();
    let by_query = app.client().get(&format!("{PATH}?token={token}")).await.expect(200).body["data"].clone();
    assert_eq!(by_bearer, by_query);
    assert_eq!(by_bearer["username"], format!("{expiry}:{call}"));
    assert_eq!(by_bearer["ttl"], 600);
    assert_eq!(by_bearer["urls"], json!(["turn:relay.example:3478", "turns:relay.example:5349"]));
    let relay =
        json!({"urls": by_bearer["urls"], "username": by_bearer["username"], "credential": by_bearer["credential"]});
    assert_eq!(by_bearer["ice_servers"], json!([{"urls": ["stun:stun.example"]}, relay]));
    let staff = agent.client.get(PATH).await.expect(200).body["data"].clone();
    assert_eq!(staff["username"], format!("{expiry}:{}", agent.id));

    let stun = json!([{"urls": ["stun:stun.example"]}]);
    assert_eq!(app.client().get(PATH).await.expect(200).body["data"]["ice_servers"], stun);
    for action in ["assign", "start", "complete"] {
        agent.client.act(call, action).await.expect(200);
    }
    assert_eq!(
        app.client_of(token).get(PATH).await.expect(200).body["data"]["ice_servers"],
        stun,
        "the call has ended"
    );
    app.client_of("nonsense").get(PATH).await.expect_error(401, "Unauthorized");
    app.client().get(&format!("{PATH}?token=nonsense")).await.expect_error(401, "Unauthorized");
}

#[tokio::test]
async fn an_ended_login_opens_no_relay() {
    let app = TestApp::builder().config(with_turn).start().await;
    let company = app.company("acme").await;
    let (ana, bia) = (company.agent("Ana", &[]).await, company.agent("Bia", &[]).await);
    ana.client.post("/api/auth/logout", json!({})).await.expect(200);
    ana.client.get(PATH).await.expect_error(401, "Unauthorized");
    app.client().get(&format!("{PATH}?token={}", ana.token)).await.expect_error(401, "Unauthorized");
    bia.client.get(PATH).await.expect(200).data("credential");
}

#[tokio::test]
async fn it_counts_among_the_public_requests() {
    let app = TestApp::builder().rate_limit().start().await;
    for _ in 0..30 {
        app.client().get(PATH).await.expect(200);
    }
    assert!(app.client().get(PATH).await.expect(429).header("retry-after").is_some());
}
