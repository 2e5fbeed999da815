//! Receivers that are down, slow or wrong: everything committed arrives in the end, in order for each call, and nobody else
//! waits for it.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde_json::json;
use vez::actors::webhooks::RETRIES;

use super::receiver::{Hit, Receiver, Reply};
use super::{Desk, builder, with_receiver};
use crate::harness::{TestApp, eventually};

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// Moves the clock past the pause after so many failures, jitter included.
async fn pass_pause(app: &TestApp, failures: usize) {
    app.advance(RETRIES[failures - 1].mul_f64(1.2) + Duration::from_secs(1)).await;
}

/// Moves the clock on until `done` says so.
async fn live_until(app: &TestApp, what: &str, mut done: impl AsyncFnMut() -> bool) {
    for _ in 0..2_000 {
        if done().await {
            return;
        }
        app.advance(Duration::from_secs(20)).await;
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    panic!("never: {what}");
}

/// Events by subject in the order of their first arrival; each id counts once.
fn first_arrivals(hits: &[Hit]) -> BTreeMap<String, Vec<String>> {
    let mut seen = BTreeSet::new();
    let mut told: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for hit in hits {
        if seen.insert(hit.header("webhook-id").to_owned()) {
            told.entry(hit.subject()).or_default().push(hit.event());
        }
    }
    told
}

#[tokio::test]
async fn a_receiver_that_is_down_gets_everything_in_order_once_it_is_back() {
    let (app, mut receiver, _names, url) = with_receiver().await;
    let desk = Desk::new(&app).await;
    let (webhook, _) = desk.webhook(&url).await;
    receiver.stop().await;
    let calls = [desk.whole_call(&app, "Maria").await, desk.whole_call(&app, "Bruno").await];
    eventually("a first attempt", async || {
        let tried = desk.deliveries(&app, &webhook, "status=pending").await;
        tried.iter().any(|delivery| delivery["attempts"] == 1 && delivery["error"].is_string()).then_some(())
    })
    .await;
    receiver.come_back().await;
    live_until(&app, "all 10 events", async || first_arrivals(&receiver.hits()).values().flatten().count() == 10).await;
    let told = first_arrivals(&receiver.hits());
    for call in calls {
        assert_eq!(told[&call], ["call.created", "call.assigned", "call.started", "call.completed"]);
    }
    let delivered = desk.deliveries(&app, &webhook, "status=delivered").await;
    eventually("all are noted", async || {
        (desk.deliveries(&app, &webhook, "status=delivered").await.len() == 10).then_some(())
    })
    .await;
    assert!(delivered.iter().all(|delivery| delivery["response"]["status"] == 200));
}

#[tokio::test]
async fn wrong_answers_are_tried_again_with_the_same_id_and_body() {
    let (app, receiver, _names, url) = with_receiver().await;
    let elsewhere = Receiver::start().await;
    let desk = Desk::new(&app).await;
    let wrong = [
        Reply::Status(500),
        Reply::Status(404),
        Reply::Status(304),
        Reply::Raw(b"this is no HTTP\r\n\r\n"),
        Reply::Raw(b"HTTP/1.1 200"),
        Reply::Raw(b""),
        Reply::Redirect(elsewhere.url("hooks.example")),
    ];
    let count = wrong.len();
    for reply in wrong {
        receiver.answer_next(reply);
    }
    desk.webhook_for(&url, &["call.created"]).await;
    desk.join(&app, "Maria").await;
    for failures in 1..=count {
        receiver.wait_for(failures).await;
        assert_eq!(receiver.hits().len(), failures, "no attempt before its time");
        settle(&app, &desk, failures).await;
        pass_pause(&app, failures).await;
    }
    let hits = receiver.wait_for(count + 1).await;
    assert!(
        hits.iter().all(|hit| hit.body == hits[0].body && hit.header("webhook-id") == hits[0].header("webhook-id"))
    );
    let stamps: Vec<&str> = hits.iter().map(|hit| hit.header("webhook-timestamp")).collect();
    assert!(stamps.windows(2).all(|pair| pair[0] < pair[1]), "each attempt says when it was made: {stamps:?}");
    assert!(elsewhere.hits().is_empty(), "redirects are not followed");
}

/// Waits until that many attempts are noted, so that the next pause has begun.
async fn settle(app: &TestApp, desk: &Desk<'_>, attempts: usize) {
    let client = desk.manager_again(app).await;
    let webhook = client.get("/api/v1/webhooks").await.expect(200).body["data"][0]["id"].as_str().unwrap().to_owned();
    eventually("the attempt is noted", async || {
        let first = &desk.deliveries(app, &webhook, "").await[0];
        let over = first["next_attempt_at"].is_string() || first["finished_at"].is_string();
        (first["attempts"] == attempts && over).then_some(())
    })
    .await;
}

#[tokio::test]
async fn an_answer_without_an_end_counts_by_its_status() {
    let (app, receiver, _names, url) = with_receiver().await;
    receiver.answer(Reply::Endless);
    let desk = Desk::new(&app).await;
    let (webhook, _) = desk.webhook_for(&url, &["call.created"]).await;
    desk.join(&app, "Maria").await;
    let delivered =
        eventually("it is delivered", async || desk.deliveries(&app, &webhook, "status=delivered").await.pop()).await;
    let body = delivered["response"]["body"].as_str().unwrap();
    assert!(body.starts_with("more") && body.len() <= 2_048, "{} bytes are kept", body.len());
}

#[tokio::test]
async fn a_slow_receiver_does_not_delay_another() {
    let (app, slow, names, slow_url) = with_receiver().await;
    let quick = Receiver::start().await;
    names.point("quick.example", "127.0.0.1");
    slow.answer(Reply::Silence);
    let desk = Desk::new(&app).await;
    desk.webhook(&slow_url).await;
    desk.webhook(&quick.url("quick.example")).await;
    for index in 0..20 {
        desk.join(&app, &format!("Customer {index}")).await;
    }
    // The slow one keeps its connections for a second each; the quick one has all of it long before.
    quick.wait_for(40).await;
    assert!(slow.hits().len() < 40);
}

#[tokio::test]
async fn one_call_that_is_refused_holds_back_no_other_call() {
    let (app, receiver, _names, url) = with_receiver().await;
    let desk = Desk::new(&app).await;
    desk.webhook_for(&url, &["call.created", "call.completed"]).await;
    receiver.answer_next(Reply::Status(500));
    let stuck = desk.whole_call(&app, "Maria").await;
    receiver.wait_for(1).await;
    let other = desk.whole_call(&app, "Bruno").await;
    let hits = receiver.wait_for(3).await;
    let told = |subject: &str| hits.iter().filter(|hit| hit.subject() == subject).map(Hit::event).collect::<Vec<_>>();
    assert_eq!(told(&stuck), ["call.created"], "its next event waits");
    assert_eq!(told(&other), ["call.created", "call.completed"]);
}

#[tokio::test]
async fn after_a_day_it_is_dead_and_can_be_replayed() {
    let (app, receiver, _names, url) = with_receiver().await;
    receiver.answer(Reply::Status(503));
    let desk = Desk::new(&app).await;
    let (webhook, _) = desk.webhook_for(&url, &["call.created", "call.completed"]).await;
    let call = desk.whole_call(&app, "Maria").await;
    let began = app.now();
    for failures in 1..=RETRIES.len() {
        receiver.wait_for(failures).await;
        settle_first(&app, &desk, &webhook, failures).await;
        pass_pause(&app, failures).await;
    }
    receiver.wait_for(RETRIES.len() + 1).await;
    let dead = eventually("it is given up", async || desk.deliveries(&app, &webhook, "status=dead").await.pop()).await;
    assert_eq!(dead["event"], "call.created");
    assert_eq!(dead["attempts"], RETRIES.len() + 1);
    let lasted = app.now().since(began);
    assert!((DAY.mul_f64(0.9)..DAY.mul_f64(1.3)).contains(&lasted), "{lasted:?}");
    let detail_path = format!("/api/v1/webhooks/{webhook}/deliveries/{}", dead["id"].as_str().unwrap());
    let client = desk.manager_again(&app).await;
    let detail = client.get(&detail_path).await.expect(200);
    assert_eq!(detail.body["data"]["attempts_made"].as_array().unwrap().len(), RETRIES.len() + 1);
    // The next event of the call had waited for it, and is tried now.
    receiver.wait_for(RETRIES.len() + 2).await;
    assert_eq!(receiver.hits().last().unwrap().event(), "call.completed");

    receiver.answer(Reply::Status(204));
    client.post(&format!("{detail_path}/replay"), json!({})).await.expect(200);
    live_until(&app, "both are delivered", async || {
        desk.deliveries(&app, &webhook, "status=delivered").await.len() == 2
    })
    .await;
    assert!(receiver.hits().iter().all(|hit| hit.subject() == call));
}

async fn settle_first(app: &TestApp, desk: &Desk<'_>, webhook: &str, attempts: usize) {
    eventually("the attempt is noted", async || {
        let all = desk.deliveries(app, webhook, "event=call.created").await;
        let first = &all[0];
        let over = first["next_attempt_at"].is_string() || first["finished_at"].is_string();
        (first["attempts"] == attempts && over).then_some(())
    })
    .await;
}

#[tokio::test]
async fn all_that_is_dead_is_replayed_by_one_call() {
    let (app, receiver, _names, url) = with_receiver().await;
    receiver.answer(Reply::Status(500));
    let desk = Desk::new(&app).await;
    let (webhook, _) = desk.webhook_for(&url, &["call.created"]).await;
    for name in ["Maria", "Bruno", "Carla"] {
        desk.join(&app, name).await;
    }
    for _ in 0..400 {
        if desk.deliveries(&app, &webhook, "status=dead").await.len() == 3 {
            break;
        }
        app.advance(Duration::from_secs(30 * 60)).await;
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    receiver.answer(Reply::Status(200));
    let client = desk.manager_again(&app).await;
    let answer = client.post(&format!("/api/v1/webhooks/{webhook}/replay"), json!({})).await.expect(200);
    assert_eq!(answer.body, json!({"data": {"replayed": 3}}));
    eventually("all are delivered", async || {
        (desk.deliveries(&app, &webhook, "status=delivered").await.len() == 3).then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_restart_loses_nothing_that_waits_or_was_under_way() {
    let (app, receiver, names, url) = with_receiver().await;
    receiver.answer(Reply::Silence);
    let desk = Desk::new(&app).await;
    let (tenant, slug, manager, line) =
        (desk.company.tenant, desk.company.slug.clone(), desk.manager.clone(), desk.line);
    let (agent, link) = (desk.agent.clone(), desk.link.clone());
    let (webhook, _) = desk.webhook(&url).await;
    let call = desk.whole_call(&app, "Maria").await;
    // Both lines (the call's and the customer's) have sent their first one, and wait for an answer.
    receiver.wait_for(2).await;
    drop(desk);
    let app = app.restart().await;
    receiver.answer(Reply::Status(200));
    let company = app.company_of(tenant, &slug);
    let desk = Desk { company, line, agent, manager, link };
    live_until(&app, "all five events", async || desk.deliveries(&app, &webhook, "status=delivered").await.len() == 5)
        .await;
    let told = first_arrivals(&receiver.hits());
    assert_eq!(told[&call], ["call.created", "call.assigned", "call.started", "call.completed"]);
    drop(names);
}

#[tokio::test]
async fn a_webhook_that_fails_for_days_is_switched_off_and_its_managers_are_told() {
    let (app, receiver, _names, url) = with_receiver().await;
    receiver.answer(Reply::Status(500));
    let desk = Desk::new(&app).await;
    let (webhook, _) = desk.webhook_for(&url, &["call.created"]).await;
    let path = format!("/api/v1/webhooks/{webhook}");
    desk.join(&app, "Maria").await;
    receiver.wait_for(1).await;
    let mut active = true;
    for _ in 0..12 {
        desk.join(&app, "Maria").await;
        app.advance(DAY / 2).await;
        tokio::time::sleep(Duration::from_millis(150)).await;
        let client = desk.manager_again(&app).await;
        active = client.get(&path).await.expect(200).body["data"]["active"] == true;
        if !active {
            break;
        }
    }
    assert!(!active, "it is still on after six days");
    let client = desk.manager_again(&app).await;
    let shown = client.get(&path).await.expect(200);
    assert!(shown.body["data"]["disabled_at"].is_string());
    let notices =
        vez::store::notifications::unread(app.app.store(), desk.company.tenant, desk.manager.id).await.unwrap();
    assert_eq!(notices.len(), 1);
    assert_eq!(notices[0].kind, "webhook_disabled");
    assert!(notices[0].body.contains(&url));
    let mails = app.until_mails(1).await;
    assert!(mails[0].to.contains(&desk.manager.email) && mails[0].text.contains(&url), "{mails:?}");

    // Switched on again it begins anew.
    receiver.answer(Reply::Status(200));
    let shown = client.put(&path, json!({"active": true})).await.expect(200);
    assert_eq!(shown.body["data"]["failing_since"], json!(null));
    let before = receiver.hits().len();
    desk.join(&app, "Bruno").await;
    receiver.wait_for(before + 1).await;
}

#[tokio::test]
async fn what_is_old_is_forgotten() {
    let (app, receiver, _names, url) = with_receiver().await;
    let desk = Desk::new(&app).await;
    let (webhook, _) = desk.webhook_for(&url, &["call.created"]).await;
    desk.join(&app, "Maria").await;
    receiver.wait_for(1).await;
    app.advance(DAY * 29).await;
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert_eq!(desk.deliveries(&app, &webhook, "").await.len(), 1);
    app.advance(DAY * 2).await;
    eventually("it is gone", async || desk.deliveries(&app, &webhook, "").await.is_empty().then_some(())).await;
}

#[tokio::test]
async fn a_busy_hour_with_a_bad_receiver_arrives_whole_and_in_order() {
    let names = super::receiver::Names::default();
    names.point("hooks.example", "127.0.0.1");
    let app = builder(&names).start().await;
    let receiver = Receiver::start().await;
    for index in 0..30 {
        receiver.answer_next(match index % 5 {
            0 => Reply::Status(500),
            1 => Reply::Raw(b"HTTP/1.1 2"),
            2 => Reply::Slow(Duration::from_millis(1_200)),
            _ => Reply::Status(200),
        });
    }
    let desk = Desk::new(&app).await;
    desk.webhook(&receiver.url("hooks.example")).await;
    let mut calls = Vec::new();
    for index in 0..12 {
        calls.push(desk.whole_call(&app, &format!("Customer {index}")).await);
    }
    live_until(&app, "60 events", async || first_arrivals(&receiver.hits()).values().flatten().count() == 60).await;
    let told = first_arrivals(&receiver.hits());
    for call in calls {
        assert_eq!(told[&call], ["call.created", "call.assigned", "call.started", "call.completed"], "{call}");
    }
}
