//! `/api/v1/users/me`.

use serde_json::json;

use crate::harness::TestApp;
use crate::harness::builders::PASSWORD;
use crate::harness::client::send;
use reqwest::Method;

#[tokio::test]
async fn a_user_sees_himself_and_his_departments_by_name() {
    let app = TestApp::start().await;
    let company = app.company("acme").await;
    let sales = company.department("Vendas").await;
    let support = company.department("Suporte").await;
    company.department("Financeiro").await;
    let ana = company.agent_with("Ana", &[sales, support], 2, &["pt", "vip"]).await;
    let me = ana.client.get("/api/v1/users/me").await.expect(200);
    assert_eq!(
        me.body,
        json!({"data": {
            "id": ana.id, "name": "Ana", "email": "ana@acme.example", "role": "attendant", "active": true,
            "avatar_url": null, "mfa_enabled": false, "locale": "pt-BR",
            "inserted_at": "2025-06-02T12:00:00Z", "updated_at": "2025-06-02T12:00:00Z",
            "number": 1, "capacity": 2, "skills": ["pt", "vip"],
            "departments": [{"id": support, "name": "Suporte"}, {"id": sales, "name": "Vendas"}],
        }})
    );
}

#[tokio::test]
async fn the_tenant_header_may_be_absent_but_not_wrong() {
    let app = TestApp::start().await;
    let company = app.company("acme").await;
    app.company("other").await;
    let ana = company.agent("Ana", &[]).await;
    let asking = |slug: &str| ana.client.request(Method::GET, "/api/v1/users/me").header("x-tenant", slug);
    send(asking("acme")).await.expect(200);
    for wrong in ["other", "nowhere", "", "ACME", &company.tenant.to_string()] {
        send(asking(wrong)).await.expect_error(401, "Unauthorized");
    }
}

#[tokio::test]
async fn only_a_good_access_token_stands_for_somebody() {
    let app = TestApp::start().await;
    let company = app.company("acme").await;
    let line = company.department("Support").await;
    let joined = app.client().join(&company.link(line).await, "Maria").await.expect(200);
    let ana = company.agent("Ana", &[line]).await;
    let (head, signature) = ana.token.rsplit_once('.').unwrap();
    let forged = format!("{head}.{}", signature.chars().rev().collect::<String>());
    for wrong in [joined.data("websocket_token"), forged.as_str(), "x", "eyJhbGciOiJub25lIn0.e30."] {
        app.client_of(wrong).get("/api/v1/users/me").await.expect_error(401, "Unauthorized");
    }
    app.client().get("/api/v1/users/me").await.expect_error(401, "Unauthorized");
    let basic = app.client().request(Method::GET, "/api/v1/users/me").header("authorization", "Basic YTpi");
    send(basic).await.expect_error(401, "Unauthorized");
}

#[tokio::test]
async fn a_user_changes_his_name_locale_and_picture_and_nothing_else() {
    let app = TestApp::start().await;
    let company = app.company("acme").await;
    let ana = company.agent("Ana", &[]).await;
    let mut expected = ana.client.get("/api/v1/users/me").await.expect(200).body;
    let body = json!({"user": {"name": "Ana Lima", "locale": "fr", "avatar_url": "https://acme.example/ana.png",
        "role": "owner", "email": "other@acme.example", "active": false, "capacity": 9}});
    let changed = ana.client.put("/api/v1/users/me", body).await.expect(200).body;
    expected["data"]["name"] = json!("Ana Lima");
    expected["data"]["locale"] = json!("fr");
    expected["data"]["avatar_url"] = json!("https://acme.example/ana.png");
    assert_eq!(changed, expected);
    assert_eq!(ana.client.get("/api/v1/users/me").await.expect(200).body, expected);
}

#[tokio::test]
async fn a_new_password_needs_the_present_one_and_ends_the_other_logins() {
    let app = TestApp::start().await;
    let company = app.company("acme").await;
    let ana = company.agent("Ana", &[]).await;
    let (elsewhere, _) = company.log_in(ana.id, ana.role).await;
    let (mut here, mut there) = (app.topic(&ana.token, &ana.topic()).await, app.topic(&elsewhere, &ana.topic()).await);
    let put = async |body| ana.client.put("/api/v1/users/me", body).await;
    let blank = put(json!({"password": "quite another one"})).await.expect(422);
    assert_eq!(blank.body, json!({"errors": {"current_password": ["can't be blank"]}}));
    let wrong = put(json!({"password": "quite another one", "current_password": "wrong"})).await.expect(422);
    assert_eq!(wrong.body, json!({"errors": {"current_password": ["is invalid"]}}));
    let short = put(json!({"password": "short", "current_password": PASSWORD})).await.expect(422);
    assert_eq!(short.body, json!({"errors": {"password": ["should be at least 8 character(s)"]}}));
    put(json!({"password": "quite another one", "current_password": PASSWORD})).await.expect(200);
    there.until_closed().await;
    here.expect_no("phx_close", std::time::Duration::from_millis(200)).await;
    let login = async |password: &str| {
        let body = json!({"email": ana.email, "password": password, "tenant": "acme"});
        app.client().post("/api/auth/login", body).await.status
    };
    assert_eq!((login(PASSWORD).await, login("quite another one").await), (401, 200));
}
