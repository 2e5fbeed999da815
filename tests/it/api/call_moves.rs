//! `POST /api/v1/calls/:id/transfer` and `/cancel`: who may, what is refused, and that a refusal changes nothing.

use serde_json::{Value, json};
use vez::domain::role::Role;
use vez::store::departments::DepartmentChange;

use super::NOBODY;
use crate::harness::TestApp;
use crate::harness::builders::Member;
use crate::harness::client::Answer;

async fn transfer(by: &Member, call: &str, body: Value) -> Answer {
    by.client.post(&format!("/api/v1/calls/{call}/transfer"), body).await
}

async fn show(by: &Member, call: &str) -> Value {
    by.client.get(&format!("/api/v1/calls/{call}")).await.expect(200).body
}

#[tokio::test]
async fn a_transfer_names_a_department_or_an_agent_who_can_take_it() {
    let app = TestApp::start().await;
    let company = app.company("acme").await;
    let (sales, billing) = (company.department("Sales").await, company.department("Billing").await);
    let sue = company.user("Sue", Role::Supervisor).await;
    let (ana, bia) = (company.agent("Ana", &[sales]).await, company.agent("Bia", &[billing]).await);
    let call = app.client().join(&company.link(sales).await, "Maria").await.expect(200);
    let call = call.data("call_id");
    let before = show(&sue, call).await;

    let refused = [
        (json!({}), "department_id", "can't be blank"),
        (json!({ "department_id": NOBODY }), "department_id", "does not exist"),
        (json!({ "user_id": NOBODY }), "user_id", "does not exist"),
        (json!({ "department_id": sales, "user_id": bia.id }), "user_id", "does not serve this department"),
        (json!({ "user_id": sue.id }), "user_id", "serves no department"),
    ];
    for (body, field, fault) in refused {
        let answer = transfer(&sue, call, body).await.expect(422);
        assert_eq!(answer.body["errors"][field][0], fault);
    }
    // A waiting call is nobody's, so only a supervisor moves it.
    let answer = transfer(&ana, call, json!({ "department_id": billing })).await.expect(422);
    assert_eq!(answer.body["errors"]["code"], "not_your_call");
    transfer(&bia, call, json!({ "department_id": billing })).await.expect(404);
    transfer(&sue, NOBODY, json!({ "department_id": billing })).await.expect(404);
    assert_eq!(show(&sue, call).await, before, "a refusal changes nothing");

    // Where nobody is named but an agent, the call goes where he is.
    let moved = transfer(&sue, call, json!({ "user_id": bia.id })).await.expect(200);
    assert_eq!(moved.data("department_id"), billing.to_string());
    assert_eq!(moved.body, show(&bia, call).await, "the command and the record say the same");
    app.stop().await;
}

#[tokio::test]
async fn a_department_that_is_full_or_closed_is_given_no_calls() {
    let app = TestApp::start().await;
    let company = app.company("acme").await;
    let sales = company.department("Sales").await;
    let small = DepartmentChange { max_queue_size: Some(Some(1)), ..DepartmentChange::default() };
    let small = company.department_with("Small", small).await.id;
    let closed = DepartmentChange { active: Some(false), ..DepartmentChange::default() };
    let closed = company.department_with("Closed", closed).await.id;
    let sue = company.user("Sue", Role::Supervisor).await;
    app.client().join(&company.link(small).await, "First").await.expect(200);
    let call = app.client().join(&company.link(sales).await, "Maria").await.expect(200);
    let call = call.data("call_id");
    for (department, code) in [(small, "queue_full"), (closed, "department_inactive")] {
        let answer = transfer(&sue, call, json!({ "department_id": department })).await.expect(422);
        assert_eq!(answer.body["errors"]["code"], code);
    }
    assert_eq!(show(&sue, call).await["data"]["department_id"], json!(sales));
    app.stop().await;
}

#[tokio::test]
async fn a_supervisor_cancels_a_call_that_was_not_started_and_says_why() {
    let app = TestApp::start().await;
    let company = app.company("acme").await;
    let sales = company.department("Sales").await;
    let (sue, max) = (company.user("Sue", Role::Supervisor).await, company.user("Max", Role::Manager).await);
    let ana = company.agent("Ana", &[sales]).await;
    let link = company.link(sales).await;
    let call = app.client().join(&link, "Maria").await.expect(200);
    let call = call.data("call_id");
    let cancel = |by: &Member, call: &str, body: Value| {
        let (client, path) = (by.client.clone(), format!("/api/v1/calls/{call}/cancel"));
        async move { client.post(&path, body).await }
    };
    cancel(&ana, call, json!({})).await.expect(403);
    let done = cancel(&sue, call, json!({ "reason": "Duplicada" })).await.expect(200);
    assert_eq!((done.data("status"), done.data("end_reason")), ("cancelled", "withdrawn"));
    assert_eq!(done.data("cancel_reason"), "Duplicada");
    // Twice is once, and the first reason stays.
    assert_eq!(cancel(&sue, call, json!({ "reason": "Outra" })).await.expect(200).body, done.body);

    let talking = app.client().join(&link, "Joana").await.expect(200);
    let talking = talking.data("call_id");
    ana.client.act(talking, "assign").await.expect(200);
    ana.client.act(talking, "start").await.expect(200);
    let answer = cancel(&sue, talking, json!({})).await.expect(422);
    assert_eq!(answer.body["errors"]["code"], "wrong_state");

    // Who did it to whose call is in the trail.
    let trail =
        max.client.get(&format!("/api/v1/audit?object=call&object_id={call}&action=call_ended")).await.expect(200).body;
    let acts: Vec<&Value> = trail["data"].as_array().unwrap().iter().map(|entry| &entry["action"]).collect();
    assert!(acts.contains(&&json!("call_ended")), "{trail}");
    assert!(trail["data"].as_array().unwrap().iter().all(|entry| entry["user_id"] == json!(sue.id)), "{trail}");
    app.stop().await;
}
