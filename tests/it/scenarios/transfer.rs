//! Customers who are given from department to department and from agent to agent: the place, the devices, who is told
//! what, and a server that stops in between.

use std::time::Duration;

use serde_json::{Value, json};

use crate::harness::TestApp;
use crate::harness::builders::Member;
use crate::harness::client::Answer;
use crate::people::{at_work, customer, text};

async fn transfer(by: &Member, call: &str, body: Value) -> Answer {
    by.client.post(&format!("/api/v1/calls/{call}/transfer"), body).await
}

#[tokio::test]
async fn a_transferred_customer_keeps_his_place_and_hears_where_he_is() {
    let app = TestApp::start().await;
    let company = app.company("acme").await;
    let (sales, billing) = (company.department("Sales").await, company.department("Billing").await);
    let (ana, bia) = (company.agent("Ana", &[sales]).await, company.agent("Bia", &[billing]).await);
    let mut seller = at_work(&app, &ana, sales).await;
    let mut line = seller.socket.join(&format!("queue:{sales}"), Value::Null).await.unwrap();
    let mut maria = customer(&app, &company.link(sales).await, "Maria").await;
    assert_eq!(seller.take_next().await, maria.call);
    let mut talk = seller.socket.join(&maria.call_topic(), Value::Null).await.unwrap();
    app.advance(Duration::from_secs(5)).await;
    let later = customer(&app, &company.link(billing).await, "Later").await;
    app.advance(Duration::from_secs(5)).await;

    let body = json!({ "department_id": billing, "reason": "Segunda via" });
    let moved = transfer(&ana, &maria.call, body.clone()).await.expect(200).body;
    assert_eq!(moved["data"]["status"], "queued");
    assert_eq!((&moved["data"]["department_name"], &moved["data"]["user_id"]), (&json!("Billing"), &Value::Null));
    assert_eq!(moved["data"]["transfer"]["count"], 1);
    assert_eq!(moved["data"]["transfer"]["reason"], "Segunda via");

    // The customer stands before who came later, the agent wraps up, and the call has left his screen.
    let told = maria.topic.expect("call_transferred").await;
    assert_eq!((&told["department_name"], &told["position"]), (&json!("Billing"), &json!(1)));
    assert_eq!(app.client().status(&later.call).await.expect(200).body["data"]["position"], 2);
    assert_eq!(seller.own.expect("wrap_up").await["call_id"], json!(maria.call));
    assert_eq!(line.expect("call_transferred").await["to_department_id"], json!(billing));
    talk.until_closed().await;
    // It is nothing of Ana's any more.
    transfer(&ana, &maria.call, body).await.expect(404);

    // The same device goes on in the new line: nobody is taken for away.
    app.live_through(Duration::from_secs(90)).await;
    let mut clerk = at_work(&app, &bia, billing).await;
    assert_eq!(clerk.take_next().await, maria.call);
    maria.topic.expect("call_started").await;
    let done = bia.client.act(&maria.call, "complete").await.expect(200);
    assert_eq!(done.data("department_id"), billing.to_string());

    let events = bia.client.get(&format!("/api/v1/calls/{}/events", maria.call)).await.expect(200).body;
    let kinds: Vec<String> = events["data"].as_array().unwrap().iter().map(|event| text(&event["kind"])).collect();
    let wanted = [
        "call_joined",
        "call_assigned",
        "call_started",
        "call_transferred",
        "call_assigned",
        "call_resumed",
        "call_ended",
    ];
    assert_eq!(kinds, wanted);
    assert_eq!(events["data"][3]["data"]["to_department_id"], json!(billing));
    app.stop().await;
}

#[tokio::test]
async fn a_call_given_to_an_agent_is_offered_to_him_alone_and_then_to_all() {
    let app = TestApp::start().await;
    let company = app.company("acme").await;
    let line = company.department("Line").await;
    let (ana, bia, caio) = (
        company.agent("Ana", &[line]).await,
        company.agent("Bia", &[line]).await,
        company.agent("Caio", &[line]).await,
    );
    let mut first = at_work(&app, &ana, line).await;
    let mut maria = customer(&app, &company.link(line).await, "Maria").await;
    assert_eq!(first.take_next().await, maria.call);
    let mut free = at_work(&app, &caio, line).await;
    let mut named = at_work(&app, &bia, line).await;

    transfer(&ana, &maria.call, json!({ "user_id": bia.id })).await.expect(200);
    // Asked again, it is the same wish.
    transfer(&ana, &maria.call, json!({ "user_id": bia.id })).await.expect(200);
    assert_eq!(maria.topic.expect("call_returned_to_queue").await["reason"], "transferred");
    let offer = named.offer().await;
    assert_eq!(offer["call_id"], json!(maria.call));
    named.own.push("decline", json!({ "offer_id": offer["offer_id"] })).await.unwrap();
    // Caio was free all the time.
    assert_eq!(free.offer().await["call_id"], json!(maria.call));
    app.stop().await;
}

#[tokio::test]
async fn a_transfer_survives_a_restart_where_it_went() {
    let app = TestApp::start().await;
    let company = app.company("acme").await;
    let (sales, billing) = (company.department("Sales").await, company.department("Billing").await);
    let (ana, bia) = (company.agent("Ana", &[sales]).await, company.agent("Bia", &[billing]).await);
    let link = company.link(sales).await;
    let mut seller = at_work(&app, &ana, sales).await;
    let maria = customer(&app, &link, "Maria").await;
    assert_eq!(seller.take_next().await, maria.call);
    transfer(&ana, &maria.call, json!({ "department_id": billing })).await.expect(200);
    drop(seller);

    // Nobody waits until the new queue has heard of it.
    let app = app.restart_after(Duration::from_secs(5)).await;
    let page = app.topic(&maria.token, &maria.call_topic()).await;
    assert_eq!((&page.reply["department_name"], &page.reply["position"]), (&json!("Billing"), &json!(1)));
    // The wrap-up of who gave it away is in nobody's row but his own.
    let socket = app.socket(&ana.token).await;
    let desk = socket.join(&ana.topic(), Value::Null).await.unwrap();
    assert_eq!(desk.reply["wrap_ups"][0]["call_id"], json!(maria.call));
    let mut clerk = at_work(&app, &bia, billing).await;
    assert_eq!(clerk.offer().await["call_id"], json!(maria.call));
    app.stop().await;
}

#[tokio::test]
async fn a_customer_who_comes_back_by_his_key_finds_the_call_where_it_went() {
    let app = TestApp::start().await;
    let company = app.company("acme").await;
    let (sales, billing) = (company.department("Sales").await, company.department("Billing").await);
    let sue = company.user("Sue", vez::domain::role::Role::Supervisor).await;
    let link = company.link(sales).await;
    let join = async || {
        let body = json!({ "name": "Maria", "join_key": "tab" });
        app.client().post(&format!("/api/v1/call/{link}/join"), body).await.expect(200)
    };
    let first = join().await;
    transfer(&sue, first.data("call_id"), json!({ "department_id": billing })).await.expect(200);
    let again = join().await;
    assert_eq!(again.data("call_id"), first.data("call_id"));
    assert_eq!(again.body["data"]["resumed"], true);
    app.stop().await;
}
