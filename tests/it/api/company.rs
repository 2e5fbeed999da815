//! `/api/v1/company`.

use std::time::Duration;

use serde_json::json;
use vez::domain::role::Role;
use vez::store::tenants::Plan;

use crate::harness::TestApp;
use crate::people::{at_work, customer};

const PATH: &str = "/api/v1/company";

#[tokio::test]
async fn the_company_has_vokis_fields_and_its_time_zone() {
    let app = TestApp::start().await;
    let company = app.company_on("acme", Plan::Professional).await;
    let boss = company.user("Boss", Role::Manager).await;
    let shown = boss.client.get(PATH).await.expect(200);
    let now = app.now().to_string();
    let expected = json!({"data": {
        "id": company.tenant, "name": "Company acme", "slug": "acme", "document": null, "document_type": null,
        "email": null, "phone": null, "logo_url": null, "primary_color": "#6366f1", "max_concurrent_calls": 10,
        "recording_enabled": false, "transcription_enabled": false, "mfa_required": false, "plan": "professional",
        "stripe_customer_id": null, "stripe_subscription_id": null, "inserted_at": now, "updated_at": now,
        "time_zone": "America/Sao_Paulo",
    }});
    assert_eq!(shown.body, expected);
}

#[tokio::test]
async fn a_change_is_partial_and_leaves_slug_and_plan() {
    let app = TestApp::start().await;
    let boss = app.company_on("acme", Plan::Professional).await.user("Boss", Role::Manager).await;
    let mut expected = boss.client.get(PATH).await.expect(200).body;
    let body = json!({"company": {"name": "Acme S.A.", "slug": "other", "plan": "enterprise", "max_concurrent_calls": 99,
        "email": "contato@acme.example", "phone": "+5511999998888", "logo_url": "https://acme.example/logo.png",
        "primary_color": "#3B82F6", "recording_enabled": true, "transcription_enabled": true,
        "time_zone": "Europe/Lisbon", "document": "12.345.678/0001-90", "document_type": "cnpj"}});
    let changed = boss.client.put(PATH, body).await.expect(200).body;
    for (name, value) in [
        ("name", json!("Acme S.A.")),
        ("email", json!("contato@acme.example")),
        ("phone", json!("+5511999998888")),
        ("logo_url", json!("https://acme.example/logo.png")),
        ("primary_color", json!("#3b82f6")),
        ("recording_enabled", json!(true)),
        ("transcription_enabled", json!(true)),
        ("time_zone", json!("Europe/Lisbon")),
        ("document", json!("12.345.678/0001-90")),
        ("document_type", json!("cnpj")),
    ] {
        expected["data"][name] = value;
    }
    assert_eq!(changed, expected);
    assert_eq!(boss.client.get(PATH).await.expect(200).body, expected);
    expected["data"]["logo_url"] = json!(null);
    assert_eq!(boss.client.put(PATH, json!({"logo_url": null})).await.expect(200).body, expected);
}

#[tokio::test]
async fn wrong_fields_are_named_and_change_nothing() {
    let app = TestApp::start().await;
    let boss = app.company("acme").await.user("Boss", Role::Manager).await;
    let before = boss.client.get(PATH).await.expect(200).body;
    let wrong = json!({"company": {"name": " ", "email": "x", "logo_url": "http://acme.example/logo.png",
        "primary_color": "blue", "time_zone": "Mars/Olympus", "document_type": "ssn", "recording_enabled": "yes"}});
    let expected = json!({"errors": {"name": ["can't be blank"], "email": ["has invalid format"],
        "logo_url": ["must be an https address"], "primary_color": ["has invalid format"],
        "time_zone": ["is no time zone"], "document_type": ["is invalid"], "recording_enabled": ["is invalid"]}});
    assert_eq!(boss.client.put(PATH, wrong).await.expect(422).body, expected);
    assert_eq!(boss.client.get(PATH).await.expect(200).body, before);
}

#[tokio::test]
async fn recording_and_transcription_need_a_plan_that_has_them() {
    let app = TestApp::start().await;
    let free = app.company_on("acme", Plan::Free).await.user("Boss", Role::Manager).await;
    let refused = "Plan limit reached: the free plan does not include recording";
    free.client.put(PATH, json!({"name": "New", "recording_enabled": true})).await.expect_plan_limit(refused);
    assert_eq!(free.client.get(PATH).await.data("name"), "Company acme", "all of it or nothing");
    free.client.put(PATH, json!({"recording_enabled": false})).await.expect(200);
    let basic = app.company_on("other", Plan::Basic).await.user("Boss", Role::Manager).await;
    basic.client.put(PATH, json!({"recording_enabled": true})).await.expect(200);
    let refused = "Plan limit reached: the basic plan does not include transcription";
    basic.client.put(PATH, json!({"transcription_enabled": true})).await.expect_plan_limit(refused);
}

#[tokio::test]
async fn in_a_new_time_zone_the_day_turns_at_its_midnight() {
    let app = TestApp::start().await;
    // The clock started at noon UTC. Half a minute before one it is ten in the morning in São Paulo, and on Norfolk Island
    // the day ends.
    app.advance(Duration::from_secs(59 * 60 + 30)).await;
    let company = app.company("acme").await;
    let boss = company.user("Boss", Role::Manager).await;
    let line = company.department("Support").await;
    let ana = company.agent("Ana", &[line]).await;
    let link = company.link(line).await;
    let mut desk = at_work(&app, &ana, line).await;
    let _waiting = customer(&app, &link, "Maria").await;
    let call = desk.take_next().await;
    desk.complete(&call).await;
    boss.client.put(PATH, json!({"time_zone": "Pacific/Norfolk"})).await.expect(200);
    let mut wallboard = app.topic(&boss.token, &format!("tenant:{}", company.tenant)).await;
    let answered = |push: &serde_json::Value| push["average_wait_time"] == 0;
    if !answered(&wallboard.reply) {
        app.live_through(Duration::from_secs(2)).await;
        wallboard.expect_where("dashboard", answered).await;
    }
    app.live_through(Duration::from_secs(35)).await;
    wallboard.expect_where("dashboard", |push| push["average_wait_time"].is_null()).await;
}
