//! What managers see and do: webhooks and their deliveries by the API.

use serde_json::{Value, json};
use standardwebhooks::Webhook;
use vez::domain::role::Role;
use vez::store::tenants::Plan;

use super::receiver::Reply;
use super::{Desk, with_receiver};
use crate::harness::{TestApp, eventually};

const URL: &str = "https://hooks.example.com/vez";

#[tokio::test]
async fn a_webhook_is_made_shown_changed_and_deleted() {
    let app = TestApp::start().await;
    let desk = Desk::new(&app).await;
    let client = &desk.manager.client;
    let body = json!({"webhook": {"url": URL, "events": ["call.missed", "call.completed", "call.missed"],
        "description": "CRM"}});
    let made = client.post("/api/v1/webhooks", body).await.expect(201);
    assert_eq!(made.body["data"]["events"], json!(["call.completed", "call.missed"]));
    assert_eq!(made.body["data"]["active"], true);
    assert!(made.data("secret").starts_with("whsec_"));
    let path = format!("/api/v1/webhooks/{}", made.id());
    let mut masked = made.body.clone();
    masked["data"]["secret"] = json!("********");
    assert_eq!(client.get(&path).await.expect(200).body, masked);
    let listed = client.get("/api/v1/webhooks").await.expect(200);
    assert_eq!(listed.body["data"], json!([masked["data"]]));
    assert_eq!(listed.body["meta"]["total_count"], 1);

    let changed = client.put(&path, json!({"webhook": {"events": ["call.created"], "description": null}})).await;
    assert_eq!(changed.clone().expect(200).body["data"]["events"], json!(["call.created"]));
    assert_eq!(changed.body["data"]["description"], json!(null));
    assert_eq!(changed.data("url"), URL, "what is absent stays");

    let gone = client.delete(&path).await.expect(200);
    assert_eq!(gone.body, json!({"data": {"id": made.id()}}));
    for answer in [client.get(&path).await, client.delete(&path).await, client.put(&path, json!({})).await] {
        answer.expect_error(404, "Not found");
    }
}

#[tokio::test]
async fn faults_are_named_field_by_field() {
    let app = TestApp::start().await;
    let desk = Desk::new(&app).await;
    let refused = desk.manager.client.post("/api/v1/webhooks", json!({})).await.expect(422);
    assert_eq!(refused.body, json!({"errors": {"url": ["can't be blank"], "events": ["can't be blank"]}}));
    let body = json!({"url": 7, "events": ["call.created", "call.unknown"], "secret": "short", "active": "yes"});
    let refused = desk.manager.client.post("/api/v1/webhooks", body).await.expect(422);
    assert_eq!(
        refused.body,
        json!({"errors": {"url": ["is invalid"], "events": ["is invalid"], "active": ["is invalid"],
            "secret": ["should be at least 16 character(s)"]}})
    );
    let body = json!({"url": URL, "events": ["call.created"], "secret": "whsec_this is no base64"});
    let refused = desk.manager.client.post("/api/v1/webhooks", body).await.expect(422);
    assert_eq!(refused.body, json!({"errors": {"secret": ["must be base64 after whsec_"]}}));
}

#[tokio::test]
async fn webhooks_are_for_managers_on_plans_that_have_them() {
    let app = TestApp::start().await;
    let desk = Desk::new(&app).await;
    let supervisor = desk.company.user("Sol", Role::Supervisor).await;
    let body = json!({"url": URL, "events": ["call.created"]});
    for client in [&desk.agent.client, &supervisor.client] {
        client.get("/api/v1/webhooks").await.expect(403);
        client.post("/api/v1/webhooks", body.clone()).await.expect(403);
    }
    for (plan, status) in [(Plan::Free, 403), (Plan::Basic, 403), (Plan::Advanced, 201), (Plan::Professional, 201)] {
        let company = app.company_on(&format!("on-{}", plan.as_str()), plan).await;
        let manager = company.user("Mia", Role::Manager).await;
        let answer = manager.client.post("/api/v1/webhooks", body.clone()).await.expect(status);
        if status == 403 {
            assert!(answer.detail().contains("webhooks"), "{answer:?}");
        }
    }
}

#[tokio::test]
async fn another_companys_webhooks_do_not_exist() {
    let (app, receiver, _names, url) = with_receiver().await;
    let desk = Desk::new(&app).await;
    let (webhook, _) = desk.webhook_for(&url, &["call.created"]).await;
    desk.join(&app, "Maria").await;
    receiver.wait_for(1).await;
    let delivery = eventually("it is listed", async || desk.deliveries(&app, &webhook, "").await.pop()).await;
    let delivery = delivery["id"].as_str().unwrap();
    let other = app.company("globex").await;
    let client = other.user("Zoe", Role::Owner).await.client;
    let path = format!("/api/v1/webhooks/{webhook}");
    for answer in [
        client.get(&path).await,
        client.put(&path, json!({"active": false})).await,
        client.delete(&path).await,
        client.get(&format!("{path}/deliveries")).await,
        client.get(&format!("{path}/deliveries/{delivery}")).await,
        client.post(&format!("{path}/deliveries/{delivery}/replay"), json!({})).await,
        client.post(&format!("{path}/replay"), json!({})).await,
        client.post(&format!("{path}/test"), json!({})).await,
        client.post(&format!("{path}/rotate-secret"), json!({})).await,
    ] {
        answer.expect_error(404, "Not found");
    }
    assert_eq!(client.get("/api/v1/webhooks").await.expect(200).body["data"], json!([]));
    // A delivery is not found under another webhook of the same company either.
    let (second, _) = desk.webhook_for(&url, &["call.created"]).await;
    let path = format!("/api/v1/webhooks/{second}/deliveries/{delivery}");
    desk.manager.client.get(&path).await.expect_error(404, "Not found");
}

#[tokio::test]
async fn a_test_is_sent_at_once_and_answers_with_what_came_of_it() {
    let (app, receiver, _names, url) = with_receiver().await;
    let desk = Desk::new(&app).await;
    let (webhook, secret) = desk.webhook_for(&url, &["call.created"]).await;
    let path = format!("/api/v1/webhooks/{webhook}");
    desk.manager.client.put(&path, json!({"active": false})).await.expect(200);
    let answer = desk.manager.client.post(&format!("{path}/test"), json!({})).await.expect(200);
    assert_eq!(answer.data("status"), "delivered");
    assert_eq!(answer.body["data"]["response"]["status"], 200);
    assert_eq!(answer.body["data"]["response"]["body"], "ok");
    assert_eq!(answer.body["data"]["response"]["headers"]["x-answered-by"], "receiver");
    let hits = receiver.hits();
    assert_eq!((hits.len(), hits[0].event().as_str()), (1, "webhook.test"));
    assert_eq!(answer.body["data"]["request"]["body"], hits[0].body);
    assert_eq!(answer.body["data"]["request"]["headers"]["webhook-signature"], hits[0].header("webhook-signature"));
    Webhook::new(&secret).unwrap().verify(hits[0].body.as_bytes(), &hits[0].headers).unwrap();

    receiver.answer(Reply::Silence);
    let answer = desk.manager.client.post(&format!("{path}/test"), json!({})).await.expect(200);
    assert_eq!(answer.data("status"), "dead");
    assert_eq!(answer.data("error"), "no answer within 1 s");
    assert!(answer.body["data"]["duration_ms"].as_i64().unwrap() >= 900);
    let listed = desk.deliveries(&app, &webhook, "event=webhook.test").await;
    assert_eq!(listed.len(), 2, "tests are listed");
    app.advance(std::time::Duration::from_secs(60)).await;
    assert_eq!(receiver.hits().len(), 2, "and made once");
}

#[tokio::test]
async fn deliveries_are_listed_with_request_response_and_duration() {
    let (app, receiver, _names, url) = with_receiver().await;
    let desk = Desk::new(&app).await;
    let (webhook, _) = desk.webhook(&url).await;
    desk.whole_call(&app, "Maria").await;
    let all = eventually("all five", async || {
        Some(desk.deliveries(&app, &webhook, "status=delivered").await).filter(|all| all.len() == 5)
    })
    .await;
    let events: Vec<&Value> = all.iter().map(|delivery| &delivery["event"]).collect();
    assert_eq!(events[0], "call.completed", "the newest first: {events:?}");
    let first = &all[0];
    let hit = receiver.hits().into_iter().find(|hit| hit.event() == "call.completed").unwrap();
    assert_eq!(first["event_id"], hit.header("webhook-id"));
    assert_eq!(first["request"]["url"], json!(url));
    assert_eq!(first["request"]["body"], hit.body);
    assert_eq!(first["response"]["status"], 200);
    assert!(first["duration_ms"].as_i64().is_some());
    assert_eq!((&first["attempts"], &first["error"]), (&json!(1), &json!(null)));
    let path = format!("/api/v1/webhooks/{webhook}/deliveries");
    let page = desk.manager.client.get(&format!("{path}?page_size=2&page=3")).await.expect(200);
    assert_eq!(page.body["data"].as_array().unwrap().len(), 1);
    assert_eq!(page.body["meta"]["total_count"], 5);
    desk.manager.client.get(&format!("{path}?status=nonsense")).await.expect(400);
    assert_eq!(desk.deliveries(&app, &webhook, "status=dead").await, Vec::<Value>::new());
    assert_eq!(desk.deliveries(&app, &webhook, "event=call.started").await.len(), 1);
}

#[tokio::test]
async fn a_delivered_one_is_replayed_with_the_same_id() {
    let (app, receiver, _names, url) = with_receiver().await;
    let desk = Desk::new(&app).await;
    let (webhook, _) = desk.webhook_for(&url, &["call.created"]).await;
    desk.join(&app, "Maria").await;
    let delivery =
        eventually("delivered", async || desk.deliveries(&app, &webhook, "status=delivered").await.pop()).await;
    let path = format!("/api/v1/webhooks/{webhook}");
    let replay = format!("{path}/deliveries/{}/replay", delivery["id"].as_str().unwrap());
    desk.manager.client.put(&path, json!({"active": false})).await.expect(200);
    let refused = desk.manager.client.post(&replay, json!({})).await.expect(422);
    assert_eq!(refused.body["errors"]["code"], "webhook_inactive");
    desk.manager.client.put(&path, json!({"active": true})).await.expect(200);
    let answer = desk.manager.client.post(&replay, json!({})).await.expect(200);
    assert_eq!(answer.data("status"), "pending");
    let hits = receiver.wait_for(2).await;
    assert_eq!(hits[0].header("webhook-id"), hits[1].header("webhook-id"));
    assert_eq!(hits[0].body, hits[1].body);
}

#[tokio::test]
async fn a_company_has_a_bounded_number_of_webhooks() {
    let app = TestApp::start().await;
    let desk = Desk::new(&app).await;
    for _ in 0..20 {
        desk.webhook_for(URL, &["call.created"]).await;
    }
    let body = json!({"url": URL, "events": ["call.created"]});
    let refused = desk.manager.client.post("/api/v1/webhooks", body).await.expect(422);
    assert_eq!(refused.body["errors"]["code"], "too_many_webhooks");
}

#[tokio::test]
async fn the_same_key_makes_one_webhook() {
    let app = TestApp::start().await;
    let desk = Desk::new(&app).await;
    let make = async || {
        let request = desk.manager.client.request(reqwest::Method::POST, "/api/v1/webhooks");
        let body = json!({"url": URL, "events": ["call.created"]});
        crate::harness::client::send(request.header("idempotency-key", "once").json(&body)).await.expect(201)
    };
    let (first, second) = (make().await, make().await);
    assert_eq!(first.body, second.body, "the secret, too");
    assert_eq!(desk.manager.client.get("/api/v1/webhooks").await.body["meta"]["total_count"], 1);
}
