//! `/api/v1/audit`: what staff did.

use reqwest::Method;
use serde_json::{Value, json};
use vez::domain::role::Role;

use super::each;
use crate::harness::TestApp;
use crate::harness::client::send;
use crate::people::{at_work, customer};

#[tokio::test]
async fn each_change_names_who_did_what_to_which_object() {
    let app = TestApp::start().await;
    let company = app.company("acme").await;
    let (boss, manager) = (company.user("Boss", Role::Supervisor).await, company.user("Manager", Role::Manager).await);
    let body = json!({"name": "Vendas"});
    let made =
        send(boss.client.request(Method::POST, "/api/v1/sectors").header("X-Request-Id", "r-7").json(&body)).await;
    let path = format!("/api/v1/sectors/{}", made.id());
    boss.client.put(&path, json!({"name": "Sales"})).await.expect(200);
    // What changes nothing is no change.
    boss.client.put(&path, json!({"name": "Sales"})).await.expect(200);
    boss.client.delete(&path).await.expect(200);
    let list =
        manager.client.get(&format!("/api/v1/audit?object=sector&object_id={}", made.id())).await.expect(200).body;
    assert_eq!(list["meta"]["total_count"], 3);
    assert_eq!(each(&list["data"], "action"), ["deleted", "updated", "created"]);
    for entry in list["data"].as_array().unwrap() {
        assert_eq!(
            (entry["user_name"].as_str(), entry["at"].as_str(), entry["token_id"].clone()),
            (Some("Boss"), Some(app.now().to_string().as_str()), Value::Null)
        );
    }
    assert_eq!(list["data"][1]["changes"], json!({"name": ["Vendas", "Sales"]}));
    assert_eq!(list["data"][2]["request_id"], "r-7");
}

#[tokio::test]
async fn secrets_and_personal_data_are_not_kept() {
    let app = TestApp::start().await;
    let company = app.company("acme").await;
    let manager = company.user("Manager", Role::Manager).await;
    let line = company.department("Support").await;
    let link = json!({"department_id": line, "customer_email": "secret@example.com"});
    let made = manager.client.post("/api/v1/access-links", link).await.expect(201);
    let list = manager.client.get("/api/v1/audit?object=access_link").await.expect(200);
    // The token of the link and whom it is for are hidden.
    let text = list.body.to_string();
    assert!(!text.contains("secret@example.com") && !text.contains(made.data("token")), "{text}");
}

#[tokio::test]
async fn only_managers_read_it_and_only_their_own() {
    let app = TestApp::start().await;
    let acme = app.company("acme").await;
    let boss = acme.user("Boss", Role::Supervisor).await;
    boss.client.post("/api/v1/sectors", json!({"name": "Vendas"})).await.expect(201);
    boss.client.get("/api/v1/audit").await.expect_error(403, "Forbidden");
    let stranger = app.company("other").await.user("Stranger", Role::Manager).await;
    assert_eq!(stranger.client.get("/api/v1/audit").await.expect(200).body["data"], json!([]));
}

#[tokio::test]
async fn days_and_actions_narrow_it() {
    let app = TestApp::start().await;
    let manager = app.company("acme").await.user("Manager", Role::Manager).await;
    manager.client.post("/api/v1/sectors", json!({"name": "Vendas"})).await.expect(201);
    let count = async |query: &str| {
        let list = manager.client.get(&format!("/api/v1/audit?object=sector&{query}")).await.expect(200);
        list.body["meta"]["total_count"].as_i64().unwrap()
    };
    // The manual clock stands on 2 June 2025.
    assert_eq!(count("date_from=2025-06-02&date_to=2025-06-02&action=created").await, 1);
    assert_eq!(count("date_to=2025-06-01").await, 0);
    assert_eq!(count("action=deleted").await, 0);
    manager.client.get("/api/v1/audit?action=stolen").await.expect(400);
}

#[tokio::test]
async fn what_an_agent_notes_over_his_socket_is_on_the_trail() {
    let app = TestApp::start().await;
    let company = app.company("acme").await;
    let line = company.department("Support").await;
    let (ana, manager) = (company.agent("Ana", &[line]).await, company.user("Manager", Role::Manager).await);
    let mut desk = at_work(&app, &ana, line).await;
    let maria = customer(&app, &company.link(line).await, "Maria").await;
    assert_eq!(desk.take_next().await, maria.call);
    desk.own.push("complete", json!({"call_id": maria.call, "notes": "Resolvido"})).await.unwrap();
    let notes = format!("/api/v1/calls/{}/notes", maria.call);
    assert_eq!(ana.client.get(&notes).await.expect(200).data("notes"), "Resolvido");
    let list =
        manager.client.get(&format!("/api/v1/audit?object=call&object_id={}", maria.call)).await.expect(200).body;
    assert_eq!(list["meta"]["total_count"], 1, "{list}");
    let entry = &list["data"][0];
    assert_eq!((&entry["action"], &entry["user_id"]), (&json!("updated"), &json!(ana.id)));
    assert_eq!(entry["at"], app.now().to_string());
    assert!(!list.to_string().contains("Resolvido"), "{list}");
}
