//! Two companies on one server never see each other.

use serde_json::{Value, json};
use vez::domain::role::Role;

use super::{NOBODY, each};
use crate::harness::TestApp;
use crate::harness::builders::PASSWORD;

#[tokio::test]
async fn lists_hold_ones_own() {
    let app = TestApp::start().await;
    let mut bosses = Vec::new();
    for slug in ["acme", "other"] {
        let company = app.company(slug).await;
        let line = company.department(&format!("Line of {slug}")).await;
        let link = company.link(line).await;
        app.client().join(&link, &format!("Customer of {slug}")).await.expect(200);
        bosses.push((slug, company.user("Boss", Role::Owner).await));
    }
    for (slug, boss) in &bosses {
        for (path, field, value) in [
            ("/api/v1/departments", "name", format!("Line of {slug}")),
            ("/api/v1/access-links", "department_name", format!("Line of {slug}")),
            ("/api/v1/calls", "customer_name", format!("Customer of {slug}")),
        ] {
            let list = boss.client.get(path).await.expect(200).body;
            assert_eq!(
                (each(&list["data"], field), &list["meta"]["total_count"]),
                (vec![&json!(value)], &json!(1)),
                "{path}"
            );
        }
    }
    // Numbers start at one for each.
    for (_, boss) in &bosses {
        assert_eq!(boss.client.get("/api/v1/calls").await.body["data"][0]["protocol"], 1);
    }
}

#[tokio::test]
async fn what_is_unique_is_so_in_one_company() {
    let app = TestApp::start().await;
    let (acme, other) = (app.company("acme").await, app.company("other").await);
    for company in [&acme, &other] {
        let boss = company.user("Boss", Role::Supervisor).await;
        let made = boss.client.post("/api/v1/departments", json!({"name": "Sales", "identifier": "sales"})).await;
        assert_eq!(made.expect(201).body["data"]["number"], 1);
        let body = json!({"email": boss.email, "password": PASSWORD, "tenant": company.slug});
        app.client().post("/api/auth/login", body).await.expect(200);
    }
}

#[tokio::test]
async fn foreign_ids_in_bodies_and_filters_are_ids_of_nothing() {
    let app = TestApp::start().await;
    let (acme, other) = (app.company("acme").await, app.company("other").await);
    let (line, foreign) = (acme.department("Support").await, other.department("Support").await);
    let stranger = other.agent("Stranger", &[foreign]).await;
    let boss = acme.user("Boss", Role::Owner).await;
    let link = acme.link(line).await;
    let joined = app.client().join(&link, "Maria").await.expect(200);
    let assign = format!("/api/v1/calls/{}/assign", joined.data("call_id"));
    let users = format!("/api/v1/departments/{line}/users");
    for body in [json!({"user_id": stranger.id}), json!({"user_id": NOBODY})] {
        boss.client.post(&assign, body.clone()).await.expect_error(404, "Not found");
        let refused = boss.client.post(&users, body).await.expect(422);
        assert_eq!(refused.body, json!({"errors": {"user_id": ["does not exist"]}}));
    }
    for filter in [format!("department_id={foreign}"), format!("user_id={}", stranger.id)] {
        let list = boss.client.get(&format!("/api/v1/calls?{filter}")).await.expect(200).body;
        assert_eq!(list["meta"]["total_count"], 0);
    }
}

#[tokio::test]
async fn topics_of_another_company_are_refused_like_topics_of_nothing() {
    let app = TestApp::start().await;
    let (acme, other) = (app.company("acme").await, app.company("other").await);
    let line = other.department("Support").await;
    let agent = other.agent("Agent", &[line]).await;
    let joined = app.client().join(&other.link(line).await, "Maria").await.expect(200);
    let boss = acme.user("Boss", Role::Owner).await;
    let socket = app.socket(&boss.token).await;
    for (kind, id) in [
        ("queue", line.to_string()),
        ("presence", line.to_string()),
        ("notification", agent.id.to_string()),
        ("call", joined.data("call_id").to_owned()),
        ("tenant", other.tenant.to_string()),
    ] {
        let of_another = socket.join(&format!("{kind}:{id}"), Value::Null).await.unwrap_err().to_string();
        let of_nothing = socket.join(&format!("{kind}:{NOBODY}"), Value::Null).await.unwrap_err().to_string();
        assert_eq!(of_another, of_nothing, "{kind}");
        assert!(of_another.starts_with("unauthorized"), "{kind}: {of_another}");
    }
}
