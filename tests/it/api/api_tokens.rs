//! Personal API tokens: `/api/v1/api-tokens`, and what they open.

use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};
use vez::domain::role::Role;
use vez_loadtests::client::frames::Vsn;

use super::{each, keys};
use crate::harness::TestApp;
use crate::harness::builders::Member;
use crate::harness::client::{Answer, send};
use crate::harness::socket::try_connect;

const TOKENS: &str = "/api/v1/api-tokens";

async fn create(member: &Member, name: &str, role: &str) -> Answer {
    member.client.post(TOKENS, json!({"api_token": {"name": name, "role": role}})).await
}

async fn role_is(app: &TestApp, user: &Member, role: Role) {
    sqlx::query("UPDATE users SET role = $2 WHERE id = $1")
        .bind(user.id.0)
        .bind(role.as_str())
        .execute(app.app.store().system())
        .await
        .unwrap();
}

#[tokio::test]
async fn a_token_is_shown_once_and_acts_with_its_role() {
    let app = TestApp::start().await;
    let company = app.company("acme").await;
    let manager = company.user("Marina", Role::Manager).await;
    let made = create(&manager, "CRM", "attendant").await.expect(201);
    let token = made.data("token").to_owned();
    assert!(token.starts_with("vez_") && token.len() == 47, "{token}");
    let mut shown = made.body["data"].clone();
    shown.as_object_mut().unwrap().remove("token");
    assert_eq!(
        shown,
        json!({"id": made.id(), "name": "CRM", "role": "attendant", "hint": &token[..8], "user_id": manager.id,
            "user_name": "Marina", "expires_at": null, "last_used_at": null, "inserted_at": app.now().to_string()})
    );
    let path = format!("{TOKENS}/{}", made.id());
    assert_eq!(manager.client.get(&path).await.expect(200).body, json!({ "data": shown }));

    let client = app.client_of(&token);
    client.get("/api/v1/calls").await.expect(200);
    assert_eq!(client.get("/api/v1/users/me").await.expect(200).id(), manager.id.to_string());
    client.get("/api/v1/departments").await.expect_error(403, "Forbidden");
    let with = async |slug: &str| send(client.request(Method::GET, "/api/v1/calls").header("X-Tenant", slug)).await;
    with("acme").await.expect(200);
    with("other").await.expect_error(401, "Unauthorized");
    app.client_of(&token.replace("vez_", "vex_")).get("/api/v1/calls").await.expect_error(401, "Unauthorized");
    // The role at most; what it may do, it may.
    let supervisor = create(&manager, "Wallboard", "supervisor").await.expect(201);
    app.client_of(supervisor.data("token")).get("/api/v1/departments").await.expect(200);
}

#[tokio::test]
async fn tokens_are_listed_in_pages_and_kept_from_other_companies() {
    let app = TestApp::start().await;
    let manager = app.company("acme").await.user("Marina", Role::Manager).await;
    let stranger = app.company("other").await.user("Stranger", Role::Manager).await;
    let mut ids = Vec::new();
    for name in ["b", "A", "c"] {
        app.advance(Duration::from_secs(1)).await;
        ids.push(json!(create(&manager, name, "attendant").await.expect(201).id()));
    }
    let newest = manager.client.get(TOKENS).await.expect(200);
    assert_eq!(each(&newest.body["data"], "name"), [&json!("c"), &json!("A"), &json!("b")]);
    assert_eq!(newest.body["meta"]["total_count"], 3);
    let named = manager.client.get(&format!("{TOKENS}?sort_by=name&sort_order=asc&page_size=2")).await.expect(200);
    assert_eq!(each(&named.body["data"], "id"), [&ids[1], &ids[0]]);
    assert!(newest.body["data"][0].get("token").is_none());
    assert_eq!(stranger.client.get(TOKENS).await.expect(200).body["data"], json!([]));
}

#[tokio::test]
async fn a_role_above_ones_own_and_a_time_that_is_over_are_refused() {
    let app = TestApp::start().await;
    let manager = app.company("acme").await.user("Marina", Role::Manager).await;
    let above = create(&manager, "CRM", "owner").await.expect(422);
    assert_eq!(above.body, json!({"errors": {"role": ["must not be above your own"]}}));
    let body = json!({"api_token": {"name": "CRM", "role": "manager", "expires_at": app.now().to_string()}});
    let over = manager.client.post(TOKENS, body).await.expect(422);
    assert_eq!(over.body, json!({"errors": {"expires_at": ["must be in the future"]}}));
    let blank = manager.client.post(TOKENS, json!({})).await.expect(422);
    assert_eq!(keys(&blank.body["errors"]), ["name", "role"]);
}

#[tokio::test]
async fn a_revoked_token_is_refused_at_once() {
    let app = TestApp::start().await;
    let company = app.company("acme").await;
    let manager = company.user("Marina", Role::Manager).await;
    let other = company.user("Otto", Role::Manager).await;
    let made = create(&manager, "CRM", "attendant").await.expect(201);
    let client = app.client_of(made.data("token"));
    client.get("/api/v1/calls").await.expect(200);
    let path = format!("{TOKENS}/{}", made.id());
    assert_eq!(other.client.delete(&path).await.expect(200).body, json!({"data": {"id": made.id()}}));
    client.get("/api/v1/calls").await.expect_error(401, "Unauthorized");
    manager.client.get(&path).await.expect_error(404, "Not found");
    manager.client.delete(&path).await.expect_error(404, "Not found");
}

#[tokio::test]
async fn a_token_ends_on_time() {
    let app = TestApp::start().await;
    let manager = app.company("acme").await.user("Marina", Role::Manager).await;
    let expires_at = app.now().plus_seconds(5).to_string();
    let body = json!({"name": "CRM", "role": "attendant", "expires_at": expires_at});
    let made = manager.client.post(TOKENS, body).await.expect(201);
    let client = app.client_of(made.data("token"));
    app.advance(Duration::from_secs(4)).await;
    client.get("/api/v1/calls").await.expect(200);
    app.advance(Duration::from_secs(1)).await;
    client.get("/api/v1/calls").await.expect_error(401, "Unauthorized");
}

#[tokio::test]
async fn a_token_stops_when_whom_it_acts_for_may_not_any_more() {
    let app = TestApp::start().await;
    let company = app.company("acme").await;
    let manager = company.user("Marina", Role::Manager).await;
    let low = create(&manager, "Low", "attendant").await.expect(201);
    let high = create(&manager, "High", "manager").await.expect(201);
    let (low, high) = (app.client_of(low.data("token")), app.client_of(high.data("token")));
    let both = async |low_status: u16, high_status: u16| {
        // Long enough for what was looked up before to be forgotten.
        app.advance(Duration::from_secs(10)).await;
        low.get("/api/v1/calls").await.expect(low_status);
        high.get("/api/v1/calls").await.expect(high_status);
    };
    both(200, 200).await;
    role_is(&app, &manager, Role::Supervisor).await;
    both(200, 401).await;
    role_is(&app, &manager, Role::Manager).await;
    both(200, 200).await;
    company.deactivate(manager.id).await;
    both(401, 401).await;
}

#[tokio::test]
async fn its_use_is_noted_to_the_minute() {
    let app = TestApp::start().await;
    let manager = app.company("acme").await.user("Marina", Role::Manager).await;
    let made = create(&manager, "CRM", "attendant").await.expect(201);
    let client = app.client_of(made.data("token"));
    let path = format!("{TOKENS}/{}", made.id());
    let used = async || manager.client.get(&path).await.expect(200).body["data"]["last_used_at"].clone();
    assert_eq!(used().await, Value::Null);
    client.get("/api/v1/calls").await.expect(200);
    let first = json!(app.now().to_string());
    assert_eq!(used().await, first);
    app.advance(Duration::from_secs(59)).await;
    client.get("/api/v1/calls").await.expect(200);
    assert_eq!(used().await, first);
    app.advance(Duration::from_secs(10)).await;
    client.get("/api/v1/calls").await.expect(200);
    assert_eq!(used().await, json!(app.now().to_string()));
}

#[tokio::test]
async fn tokens_make_no_tokens_and_touch_no_second_factor_and_open_no_socket() {
    let app = TestApp::start().await;
    let manager = app.company("acme").await.user("Marina", Role::Manager).await;
    let made = create(&manager, "CRM", "manager").await.expect(201);
    let client = app.client_of(made.data("token"));
    client.get(TOKENS).await.expect(200);
    let body = json!({"name": "More", "role": "attendant"});
    client.post(TOKENS, body).await.expect_error(403, "Forbidden");
    client.post("/api/v1/users/me/mfa", json!({})).await.expect_error(403, "Forbidden");
    client.post("/api/v1/users/me/mfa/recovery-codes", json!({"code": "1"})).await.expect_error(403, "Forbidden");
    client.delete("/api/v1/users/me/mfa").await.expect_error(403, "Forbidden");
    client.post("/api/auth/logout", json!({})).await.expect_error(401, "Unauthorized");
    assert!(try_connect(app.addr(), made.data("token"), Vsn::V2).await.is_err());
}

#[tokio::test]
async fn the_trail_names_the_token_and_never_shows_it() {
    let app = TestApp::start().await;
    let manager = app.company("acme").await.user("Marina", Role::Manager).await;
    let made = create(&manager, "CRM", "manager").await.expect(201);
    let client = app.client_of(made.data("token"));
    client.post("/api/v1/sectors", json!({"name": "Sales"})).await.expect(201);
    let trail = manager.client.get("/api/v1/audit").await.expect(200).body;
    let text = trail.to_string();
    assert!(text.contains("api_token") && text.contains("sector"), "{text}");
    assert!(!text.contains(made.data("token")), "{text}");
    let kept: Vec<String> = sqlx::query_scalar("SELECT row_to_json(t)::text FROM api_tokens t")
        .fetch_all(app.app.store().system())
        .await
        .unwrap();
    assert!(kept.iter().all(|row| !row.contains(&made.data("token")[8..])), "{kept:?}");
    let by_token: Vec<uuid::Uuid> = sqlx::query_scalar("SELECT token_id FROM audit WHERE token_id IS NOT NULL")
        .fetch_all(app.app.store().system())
        .await
        .unwrap();
    assert_eq!(by_token.iter().map(ToString::to_string).collect::<Vec<_>>(), [made.id()]);
}
