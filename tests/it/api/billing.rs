//! `/api/v1/billing/plan`, and what plans allow.

use std::time::Duration;

use serde_json::{Value, json};
use vez::domain::role::Role;
use vez::store::plans;
use vez::store::tenants::Plan;

use crate::harness::TestApp;
use crate::harness::builders::Company;
use crate::people::{at_work, customer};

async fn put_on(company: &Company<'_>, plan: Plan) {
    let mut work = company.work().await;
    plans::lock(&mut work).await.unwrap();
    plans::set(&mut work, plan).await.unwrap();
    work.commit().await.unwrap();
}

#[tokio::test]
async fn the_plan_is_shown_with_what_is_used_of_it() {
    let app = TestApp::start().await;
    let company = app.company_on("acme", Plan::Professional).await;
    let boss = company.user("Boss", Role::Manager).await;
    let line = company.department("Support").await;
    let ana = company.agent("Ana", &[line]).await;
    app.client().join(&company.link(line).await, "Maria").await.expect(200);
    boss.client.put(&format!("/api/v1/users/{}", ana.id), json!({"active": false})).await.expect(200);
    let shown = boss.client.get("/api/v1/billing/plan").await.expect(200);
    let expected = json!({"data": {
        "plan": "professional", "status": "active", "max_concurrent_calls": 10, "max_users": 50, "max_departments": 20,
        "recording_enabled": true, "transcription_enabled": true, "analytics_enabled": true, "webhooks_enabled": true,
        "current_period_start": "2025-06-01T03:00:00Z", "current_period_end": "2025-07-01T03:00:00Z",
        "usage": {"active_users": 1, "active_departments": 1, "calls_this_month": 1, "recording_storage_mb": 0},
    }});
    assert_eq!(shown.body, expected);
    put_on(&company, Plan::Enterprise).await;
    let shown = boss.client.get("/api/v1/billing/plan").await.expect(200).body;
    assert_eq!((&shown["data"]["plan"], &shown["data"]["max_users"]), (&json!("enterprise"), &Value::Null));
}

#[tokio::test]
async fn the_free_plan_allows_two_active_users() {
    let app = TestApp::start().await;
    let company = app.company_on("acme", Plan::Free).await;
    let boss = company.user("Boss", Role::Manager).await;
    let create = async |name: &str, active: bool| {
        let email = format!("{}@acme.example", name.to_lowercase());
        let user = json!({"name": name, "email": email, "password": "a long enough one", "active": active});
        boss.client.post("/api/v1/users", json!({ "user": user })).await
    };
    let ana = create("Ana", true).await.expect(201);
    let refused = "Plan limit reached: the free plan allows 2 users";
    create("Bia", true).await.expect_plan_limit(refused);
    let bia = create("Bia", false).await.expect(201);
    let of = |made: &crate::harness::client::Answer| format!("/api/v1/users/{}", made.id());
    boss.client.put(&of(&bia), json!({"active": true})).await.expect_plan_limit(refused);
    boss.client.put(&of(&bia), json!({"name": "Beatriz"})).await.expect(200);
    boss.client.put(&of(&ana), json!({"active": true, "name": "Ana Lima"})).await.expect(200);
    boss.client.put(&of(&ana), json!({"active": false})).await.expect(200);
    boss.client.put(&of(&bia), json!({"active": true})).await.expect(200);
}

#[tokio::test]
async fn the_free_plan_allows_one_active_department() {
    let app = TestApp::start().await;
    let company = app.company_on("acme", Plan::Free).await;
    let boss = company.user("Boss", Role::Supervisor).await;
    let create = async |body: Value| boss.client.post("/api/v1/departments", body).await;
    let first = create(json!({"name": "Support"})).await.expect(201);
    let refused = "Plan limit reached: the free plan allows 1 department";
    create(json!({"name": "Sales"})).await.expect_plan_limit(refused);
    let second = create(json!({"name": "Sales", "active": false})).await.expect(201);
    let path = format!("/api/v1/departments/{}", second.id());
    boss.client.put(&path, json!({"active": true})).await.expect_plan_limit(refused);
    boss.client.delete(&format!("/api/v1/departments/{}", first.id())).await.expect(200);
    boss.client.put(&path, json!({"active": true})).await.expect(200);
}

#[tokio::test]
async fn two_at_once_do_not_pass_a_limit_together() {
    let app = TestApp::start().await;
    let company = app.company_on("acme", Plan::Free).await;
    let boss = company.user("Boss", Role::Manager).await;
    let create = |name: &'static str| {
        let client = boss.client.clone();
        let body = json!({"name": name, "email": format!("{name}@acme.example"), "password": "a long enough one"});
        async move { client.post("/api/v1/users", body).await.status }
    };
    let mut statuses: [u16; 4] = tokio::join!(create("ana"), create("bia"), create("cat"), create("dora")).into();
    statuses.sort_unstable();
    assert_eq!(statuses, [201, 403, 403, 403]);
}

#[tokio::test]
async fn a_running_company_obeys_a_new_plan_within_seconds() {
    let app = TestApp::start().await;
    let company = app.company_on("acme", Plan::Free).await;
    let line = company.department("Support").await;
    let link = company.link(line).await;
    let (ana, bia) = (company.agent("Ana", &[line]).await, company.agent("Bia", &[line]).await);
    let (mut first, mut second) = (at_work(&app, &ana, line).await, at_work(&app, &bia, line).await);
    let _maria = customer(&app, &link, "Maria").await;
    let offer = tokio::select! {
        offer = first.offer() => offer,
        offer = second.offer() => offer,
    };
    let waiting = customer(&app, &link, "Carlos").await;
    // As the command line does: another process writes the row, and nobody tells this one.
    put_on(&company, Plan::Basic).await;
    app.live_through(Duration::from_secs(11)).await;
    let other = tokio::select! {
        offer = first.offer() => offer,
        offer = second.offer() => offer,
    };
    assert_ne!(other["offer_id"], offer["offer_id"]);
    assert_eq!(other["call_id"], json!(waiting.call));
}
