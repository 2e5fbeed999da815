//! What is told, in which order, and how a receiver knows that it was us.

use std::time::Duration;

use base64::Engine as _;
use hmac::{Hmac, KeyInit as _, Mac as _};
use serde_json::json;
use sha2::Sha256;
use standardwebhooks::Webhook;

use super::receiver::Hit;
use super::{Desk, with_receiver};

/// Voki's signature, computed here by hand.
fn voki_signature(secret: &str, body: &str) -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).unwrap();
    mac.update(body.as_bytes());
    let hex: String = mac.finalize().into_bytes().iter().map(|byte| format!("{byte:02x}")).collect();
    format!("sha256={hex}")
}

fn events_about(hits: &[Hit], subject: &str) -> Vec<String> {
    hits.iter().filter(|hit| hit.subject() == subject).map(Hit::event).collect()
}

#[tokio::test]
async fn a_call_is_told_in_order_and_each_event_as_it_was() {
    let (app, receiver, _names, url) = with_receiver().await;
    let desk = Desk::new(&app).await;
    desk.webhook(&url).await;
    let call = desk.join(&app, "Maria").await;
    app.advance(Duration::from_secs(8)).await;
    desk.agent.client.act(&call, "assign").await.expect(200);
    app.advance(Duration::from_secs(4)).await;
    desk.agent.client.act(&call, "start").await.expect(200);
    app.advance(Duration::from_secs(30)).await;
    let done = desk.agent.client.act(&call, "complete").await.expect(200);

    let hits = receiver.wait_for(5).await;
    assert_eq!(events_about(&hits, &call), ["call.created", "call.assigned", "call.started", "call.completed"]);
    let of = |event: &str| hits.iter().find(|hit| hit.event() == event).unwrap().json();
    let created = of("call.created");
    assert_eq!(created["data"]["status"], "queued");
    assert_eq!(created["data"]["user_id"], json!(null));
    assert_eq!(created["data"]["customer_name"], "Maria");
    assert_eq!(created["data"]["department_name"], "Suporte");
    let assigned = of("call.assigned");
    assert_eq!(assigned["data"]["phase"], "assigned");
    assert_eq!(assigned["data"]["user_id"], json!(desk.agent.id));
    assert_eq!(assigned["data"]["wait_time"], 8);
    assert_eq!(assigned["data"]["started_at"], json!(null));
    assert_eq!(of("call.started")["data"]["status"], "active");
    let completed = of("call.completed");
    assert_eq!(completed["data"], done.body["data"], "the call as the API shows it");
    assert_eq!(completed["timestamp"], done.body["data"]["completed_at"]);
    let customer = of("customer.created");
    assert_eq!(customer["data"]["id"], done.body["data"]["customer_id"]);
    assert_eq!(customer["data"]["name"], "Maria");

    let hit = &hits[0];
    assert_eq!(hit.path, "/hooks?a=b");
    assert_eq!(hit.header("content-type"), "application/json");
    assert!(hit.header("user-agent").starts_with("Vez-Webhooks/"));
    assert!(hit.body.starts_with(r#"{"event": "c"#), "as Voki writes it: {}", hit.body);
}

#[tokio::test]
async fn whoever_leaves_is_missed_and_whoever_is_taken_out_is_cancelled() {
    let (app, receiver, _names, url) = with_receiver().await;
    let desk = Desk::new(&app).await;
    desk.webhook_for(&url, &["call.missed", "call.cancelled"]).await;
    let supervisor = desk.company.user("Sol", vez::domain::role::Role::Supervisor).await;
    let (link_id, link) = desk.company.link_with(desk.line, |_| {}).await;
    let cancelled = app.client().join(&link, "Bruno").await.expect(200).data("call_id").to_owned();
    supervisor.client.act_on_link(&link_id.to_string(), "cancel").await.expect(200);
    let missed = desk.join(&app, "Maria").await;
    // Nobody ever connected a device: after the grace the call has ended.
    app.live_through(Duration::from_secs(90)).await;
    let hits = receiver.wait_for(2).await;
    assert_eq!(events_about(&hits, &cancelled), ["call.cancelled"]);
    assert_eq!(events_about(&hits, &missed), ["call.missed"]);
}

#[tokio::test]
async fn the_authors_of_standard_webhooks_believe_the_signature() {
    let (app, receiver, _names, url) = with_receiver().await;
    let desk = Desk::new(&app).await;
    let (_, secret) = desk.webhook(&url).await;
    assert!(secret.starts_with("whsec_"));
    desk.whole_call(&app, "Maria").await;
    let hits = receiver.wait_for(5).await;
    let theirs = Webhook::new(&secret).unwrap();
    for hit in &hits {
        theirs.verify(hit.body.as_bytes(), &hit.headers).unwrap();
        assert_eq!(hit.header("x-voki-signature"), voki_signature(&secret, &hit.body));
    }
    let mut ids: Vec<&str> = hits.iter().map(|hit| hit.header("webhook-id")).collect();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), 5, "each event has an id of its own");
}

#[tokio::test]
async fn a_secret_of_ones_own_signs_too() {
    let (app, receiver, _names, url) = with_receiver().await;
    let desk = Desk::new(&app).await;
    let key = base64::engine::general_purpose::STANDARD.encode([7u8; 24]);
    for secret in ["a plain text, with blanks", key.as_str(), &format!("whsec_{key}")] {
        let body = json!({"url": url, "events": ["call.created"], "secret": secret});
        let made = desk.manager.client.post("/api/v1/webhooks", body).await.expect(201);
        assert_eq!(made.data("secret"), secret);
    }
    desk.join(&app, "Maria").await;
    let hits = receiver.wait_for(3).await;
    for secret in ["a plain text, with blanks", key.as_str(), &format!("whsec_{key}")] {
        let theirs = Webhook::new(secret).or_else(|_| Webhook::from_bytes(secret.as_bytes().to_vec())).unwrap();
        let believed = hits.iter().filter(|hit| {
            theirs.verify(hit.body.as_bytes(), &hit.headers).is_ok()
                && hit.header("x-voki-signature") == voki_signature(secret, &hit.body)
        });
        assert_eq!(believed.count(), 1, "{secret}");
    }
    let ids: Vec<&str> = hits.iter().map(|hit| hit.header("webhook-id")).collect();
    assert!(ids.iter().all(|id| *id == ids[0]), "one event has one id for every webhook: {ids:?}");
}

#[tokio::test]
async fn both_secrets_sign_for_a_day_after_a_rotation() {
    let (app, receiver, _names, url) = with_receiver().await;
    let desk = Desk::new(&app).await;
    let (webhook, old) = desk.webhook_for(&url, &["call.created"]).await;
    let path = format!("/api/v1/webhooks/{webhook}/rotate-secret");
    let rotated = desk.manager.client.post(&path, json!({})).await.expect(200);
    let new = rotated.data("secret").to_owned();
    assert_ne!(new, old);
    desk.join(&app, "Maria").await;
    let hits = receiver.wait_for(1).await;
    for secret in [&old, &new] {
        Webhook::new(secret).unwrap().verify(hits[0].body.as_bytes(), &hits[0].headers).unwrap();
    }
    assert_eq!(hits[0].header("x-voki-signature"), voki_signature(&new, &hits[0].body));

    app.advance(Duration::from_secs(24 * 60 * 60)).await;
    desk.join(&app, "Bruno").await;
    let hits = receiver.wait_for(2).await;
    // Their `verify` compares with the real time, which has not moved.
    let signed = |secret: &str| {
        let seconds = hits[1].header("webhook-timestamp").parse().unwrap();
        Webhook::new(secret).unwrap().sign(hits[1].header("webhook-id"), seconds, hits[1].body.as_bytes()).unwrap()
    };
    assert_eq!(hits[1].header("webhook-signature"), signed(&new));
    assert_ne!(hits[1].header("webhook-signature"), signed(&old));
}

#[tokio::test]
async fn only_what_was_asked_for_is_told_and_only_while_active() {
    let (app, receiver, _names, url) = with_receiver().await;
    let desk = Desk::new(&app).await;
    let (webhook, _) = desk.webhook_for(&url, &["call.completed"]).await;
    let path = format!("/api/v1/webhooks/{webhook}");
    let first = desk.whole_call(&app, "Maria").await;
    receiver.wait_for(1).await;
    desk.manager.client.put(&path, json!({"active": false})).await.expect(200);
    desk.whole_call(&app, "Bruno").await;
    desk.manager.client.put(&path, json!({"active": true})).await.expect(200);
    let third = desk.whole_call(&app, "Carla").await;
    let hits = receiver.wait_for(2).await;
    let told: Vec<String> = hits.iter().map(Hit::subject).collect();
    assert_eq!(told, [first, third]);
    assert!(hits.iter().all(|hit| hit.event() == "call.completed"));
}

#[tokio::test]
async fn a_known_customer_is_not_told_of_as_new() {
    let (app, receiver, _names, url) = with_receiver().await;
    let desk = Desk::new(&app).await;
    desk.webhook_for(&url, &["customer.created", "call.created"]).await;
    for _ in 0..2 {
        let body = json!({"name": "Maria", "email": "maria@example.com"});
        app.client().post(&format!("/api/v1/call/{}/join", desk.link), body).await.expect(200);
    }
    let hits = receiver.wait_for(3).await;
    let count = |event: &str| hits.iter().filter(|hit| hit.event() == event).count();
    assert_eq!((count("customer.created"), count("call.created")), (1, 2));
}

#[tokio::test]
async fn other_companies_hear_nothing() {
    let (app, receiver, _names, url) = with_receiver().await;
    let desk = Desk::new(&app).await;
    desk.webhook(&url).await;
    let other = app.company("globex").await;
    let line = other.department("Vendas").await;
    app.client().join(&other.link(line).await, "Zoe").await.expect(200);
    let call = desk.join(&app, "Maria").await;
    let hits = receiver.wait_for(2).await;
    assert_eq!(events_about(&hits, &call), ["call.created"]);
    assert!(hits.iter().all(|hit| !hit.body.contains("Zoe")));
}

#[tokio::test]
async fn customers_whom_staff_make_are_told_of_as_the_api_shows_them() {
    let (app, receiver, _names, url) = with_receiver().await;
    let desk = Desk::new(&app).await;
    desk.webhook_for(&url, &["customer.created"]).await;
    let made = desk.agent.client.post("/api/v1/customers", json!({"name": "Carlos"})).await.expect(201);
    // What was refused is not told.
    desk.agent.client.post("/api/v1/customers", json!({"name": ""})).await.expect(422);
    let hits = receiver.wait_for(1).await;
    assert_eq!((hits.len(), &hits[0].json()["data"]), (1, &made.body["data"]));
}
