//! What staff write about a call and say in it: `/notes`, `/manager-notes`, `/messages`, `/events`.

use serde_json::json;
use vez::domain::role::Role;

use super::NOBODY;
use crate::harness::TestApp;
use crate::people::{at_work, customer};

#[tokio::test]
async fn notes_are_one_text_for_all_who_see_the_call() {
    let app = TestApp::start().await;
    let company = app.company("acme").await;
    let (sales, other) = (company.department("Sales").await, company.department("Other").await);
    let (ana, bia) = (company.agent("Ana", &[sales]).await, company.agent("Bia", &[other]).await);
    let call = app.client().join(&company.link(sales).await, "Maria").await.expect(200);
    let path = format!("/api/v1/calls/{}/notes", call.data("call_id"));
    assert_eq!(ana.client.get(&path).await.expect(200).body["data"]["notes"], json!(null));
    ana.client.put(&path, json!({ "notes": "Liga amanhã" })).await.expect(200);
    // What is absent stays, null takes it away.
    assert_eq!(ana.client.put(&path, json!({})).await.expect(200).data("notes"), "Liga amanhã");
    ana.client.put(&path, json!({ "notes": null })).await.expect(200);
    assert_eq!(ana.client.get(&path).await.expect(200).body["data"]["notes"], json!(null));
    // Completing may say them, too.
    let id = call.data("call_id");
    ana.client.act(id, "assign").await.expect(200);
    ana.client.act(id, "start").await.expect(200);
    ana.client.post(&format!("/api/v1/calls/{id}/complete"), json!({ "notes": "Resolvido" })).await.expect(200);
    assert_eq!(ana.client.get(&path).await.expect(200).data("notes"), "Resolvido");
    bia.client.get(&path).await.expect(404);
    bia.client.put(&path, json!({ "notes": "x" })).await.expect(404);
    app.stop().await;
}

#[tokio::test]
async fn supervisors_notes_are_theirs_alone() {
    let app = TestApp::start().await;
    let company = app.company("acme").await;
    let sales = company.department("Sales").await;
    let ana = company.agent("Ana", &[sales]).await;
    let sue = company.user("Sue", Role::Supervisor).await;
    let call = app.client().join(&company.link(sales).await, "Maria").await.expect(200);
    let path = format!("/api/v1/calls/{}/manager-notes", call.data("call_id"));
    ana.client.get(&path).await.expect(403);
    ana.client.post(&path, json!({ "manager_notes": "x" })).await.expect(403);
    sue.client.post(&path, json!({})).await.expect(422);
    let written = sue.client.post(&path, json!({ "manager_notes": "Bom atendimento" })).await.expect(200);
    assert_eq!(sue.client.get(&path).await.expect(200).body, written.body);
    sue.client.post(&format!("/api/v1/calls/{NOBODY}/manager-notes"), json!({ "notes": "x" })).await.expect(404);
    app.stop().await;
}

#[tokio::test]
async fn an_agent_without_a_socket_speaks_to_the_customers_device() {
    let app = TestApp::start().await;
    let company = app.company("acme").await;
    let sales = company.department("Sales").await;
    let (ana, bia) = (company.agent("Ana", &[sales]).await, company.agent("Bia", &[sales]).await);
    let mut desk = at_work(&app, &ana, sales).await;
    let mut maria = customer(&app, &company.link(sales).await, "Maria").await;
    let path = format!("/api/v1/calls/{}/messages", maria.call);
    let early = ana.client.post(&path, json!({ "text": "Olá" })).await.expect(422);
    assert_eq!(early.body["errors"]["code"], "not_your_call");
    assert_eq!(desk.take_next().await, maria.call);
    let said = ana.client.post(&path, json!({ "text": "Olá" })).await.expect(201);
    assert_eq!((said.data("sender"), said.data("text")), ("agent", "Olá"));
    let heard = maria.topic.expect("message").await;
    assert_eq!((&heard["text"], &heard["sent_at"]), (&json!("Olá"), &said.body["data"]["sent_at"]));
    bia.client.post(&path, json!({ "text": "Oi" })).await.expect(422);
    ana.client.post(&path, json!({ "text": "" })).await.expect(422);
    ana.client.post(&path, json!({ "text": "Tudo bem?" })).await.expect(201);
    let page = ana.client.get(&format!("{path}?page_size=1&page=2")).await.expect(200).body;
    assert_eq!((&page["data"][0]["text"], &page["meta"]["total_count"]), (&json!("Tudo bem?"), &json!(2)));
    app.stop().await;
}
