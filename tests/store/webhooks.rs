//! The outbox of webhooks: written with the change, each fact as it stood, and worked through line by line.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use uuid::Uuid;
use vez::domain::call::{CallSnapshot, EndReason, Phase};
use vez::domain::record::Entry;
use vez::domain::webhook::Event;
use vez::store::Store;
use vez::store::record::TenantBatch;
use vez::store::webhooks::{self, Endpoint, Finished, NewAttempt, NewWebhook, Taken, Verdict};

use crate::scratch;
use crate::world::{World, batch_id, writer};

/// The owner's epoch in these tests: the first one of a database.
async fn epoch(store: &Store) -> i64 {
    sqlx::query_scalar("SELECT owner_epoch FROM ownership").fetch_one(store.system()).await.unwrap()
}

async fn webhook(world: &World, events: &[Event], active: bool) -> Endpoint {
    let mut work = world.store.work(world.tenant, world.now, None).await.unwrap();
    let new = NewWebhook {
        id: world.ids.uuid(world.now),
        url: "https://hooks.example.com/".to_owned(),
        events: events.to_vec(),
        active,
        description: None,
        secret: "sealed".to_owned(),
    };
    let made = webhooks::create(&mut work, new).await.unwrap().unwrap();
    work.commit().await.unwrap();
    Endpoint { tenant: world.tenant, webhook: made.id }
}

/// A change of a call, as the actor hands it over.
fn entry(world: &World, kind: &'static str, call: &CallSnapshot) -> Entry {
    let mut entry = Entry {
        call: Some(Arc::new(call.clone())),
        events: vec![world.event(kind, Some(call))],
        new_customer: kind == "call_joined",
        ..Entry::default()
    };
    entry.tell(true, &"Suporte".into());
    entry
}

/// A batch of several changes of one call, of which only the newest row is written.
fn batch(entries: Vec<Entry>) -> TenantBatch {
    let newest = entries.last().unwrap().call.clone().unwrap();
    TenantBatch {
        new_customers: entries.iter().filter(|entry| entry.new_customer).map(|_| newest.caller.clone()).collect(),
        events: entries.iter().flat_map(|entry| entry.events.clone()).collect(),
        told: entries.iter().flat_map(|entry| entry.told.clone()).collect(),
        calls: vec![newest],
        ..TenantBatch::default()
    }
}

async fn take(world: &World, endpoint: Endpoint) -> Vec<Taken> {
    webhooks::place_new(&world.store, 100).await.unwrap();
    webhooks::take_due(&world.store, epoch(&world.store).await, world.now, &[(endpoint, 100)]).await.unwrap()
}

fn finished(taken: &Taken, world: &World, verdict: Verdict) -> Finished {
    let attempt = NewAttempt {
        at: world.now,
        duration_ms: 7,
        url: taken.target.url.clone(),
        request_headers: json!({}),
        response_status: Some(if verdict == Verdict::Delivered { 200 } else { 500 }),
        response_headers: Some(json!({})),
        response_body: Some("ok".to_owned()),
        error: None,
    };
    Finished {
        endpoint: taken.endpoint,
        delivery: taken.delivery,
        subject: taken.subject,
        number: taken.number,
        attempt,
        verdict,
    }
}

async fn finish(world: &World, taken: &Taken, verdict: Verdict) -> Vec<Endpoint> {
    let days_ago = world.now - Duration::from_secs(5 * 24 * 60 * 60);
    webhooks::finish(&world.store, &[finished(taken, world, verdict)], world.now, days_ago).await.unwrap()
}

#[tokio::test]
async fn changes_that_share_a_batch_are_told_as_each_was() {
    let (store, options) = scratch::store().await;
    let world = World::new(&store, "a").await;
    let mut writer = writer(&store, &options).await;
    let all = webhook(&world, Event::ALL, true).await;
    let joined = world.call(1);
    let assigned = world.next(&joined, |call| {
        call.phase = Phase::Assigned;
        call.user_id = Some(world.user);
    });
    let started = world.next(&assigned, |call| {
        call.phase = Phase::Active;
        call.started_at = Some(call.joined_at.plus_seconds(10));
    });
    let ended = world.next(&started, |call| {
        call.phase = Phase::Ended;
        call.end_reason = Some(EndReason::Completed);
        call.ended_at = Some(call.joined_at.plus_seconds(70));
    });
    let entries = [("call_joined", &joined), ("call_assigned", &assigned), ("call_started", &started)]
        .into_iter()
        .chain([("call_resumed", &started), ("call_ended", &ended)])
        .map(|(kind, call)| entry(&world, kind, call))
        .collect();
    writer.commit(batch_id(), &world.batch(batch(entries))).await.unwrap();

    let mut told = Vec::new();
    loop {
        let taken = take(&world, all).await;
        if taken.is_empty() {
            break;
        }
        for one in taken {
            finish(&world, &one, Verdict::Delivered).await;
            let data: Value = serde_json::from_str(&one.message.data).unwrap();
            told.push((one.message.event.clone(), data["status"].clone(), data["user_id"].clone()));
        }
    }
    told.retain(|(event, ..)| event != "customer.created");
    let user = json!(world.user);
    assert_eq!(
        told,
        [
            ("call.created".to_owned(), json!("queued"), Value::Null),
            ("call.assigned".to_owned(), json!("queued"), user.clone()),
            ("call.started".to_owned(), json!("active"), user.clone()),
            ("call.completed".to_owned(), json!("completed"), user),
        ]
    );
}

#[tokio::test]
async fn only_who_wants_to_hear_is_told_and_known_customers_are_no_news() {
    let (store, options) = scratch::store().await;
    let (world, other) = (World::new(&store, "a").await, World::new(&store, "b").await);
    let mut writer = writer(&store, &options).await;
    let joins = webhook(&world, &[Event::CallCreated, Event::CustomerCreated], true).await;
    let ends = webhook(&world, &[Event::CallMissed], true).await;
    let off = webhook(&world, &[Event::CallCreated], false).await;
    let first = world.call(1);
    let again = CallSnapshot { caller: first.caller.clone(), ..world.call(2) };
    for call in [&first, &again] {
        writer.commit(batch_id(), &world.batch(batch(vec![entry(&world, "call_joined", call)]))).await.unwrap();
    }
    // A company without webhooks may be told of needlessly, and nothing is kept.
    let elsewhere = other.call(1);
    writer.commit(batch_id(), &other.batch(batch(vec![entry(&other, "call_joined", &elsewhere)]))).await.unwrap();

    let events: Vec<String> = take(&world, joins).await.into_iter().map(|taken| taken.message.event).collect();
    assert_eq!(events.iter().filter(|event| *event == "customer.created").count(), 1, "{events:?}");
    assert_eq!(events.len(), 3);
    assert!(take(&world, ends).await.is_empty());
    assert!(take(&world, off).await.is_empty());
    let kept: i64 = sqlx::query_scalar("SELECT count(*) FROM webhook_events").fetch_one(store.system()).await.unwrap();
    assert_eq!(kept, 3);
}

#[tokio::test]
async fn a_line_moves_when_its_first_one_is_delivered_or_dead() {
    let (store, options) = scratch::store().await;
    let world = World::new(&store, "a").await;
    let mut writer = writer(&store, &options).await;
    let endpoint = webhook(&world, &[Event::CallCreated, Event::CallAssigned, Event::CallMissed], true).await;
    let call = world.call(1);
    let later = world.next(&call, |call| call.phase = Phase::Assigned);
    let gone = world.next(&later, |call| {
        call.phase = Phase::Ended;
        call.end_reason = Some(EndReason::Left);
    });
    for (kind, call) in [("call_joined", &call), ("call_assigned", &later), ("call_ended", &gone)] {
        writer.commit(batch_id(), &world.batch(batch(vec![entry(&world, kind, call)]))).await.unwrap();
    }
    let first = take(&world, endpoint).await;
    assert_eq!(first.len(), 1, "only the first of the line");
    assert_eq!(take(&world, endpoint).await.len(), 0, "while it is under way, nothing");
    let later = world.now.plus_seconds(60);
    finish(&world, &first[0], Verdict::Again(later)).await;
    assert_eq!(take(&world, endpoint).await.len(), 0, "while it waits, nothing");
    assert_eq!(webhooks::next_due(&store, &[endpoint]).await.unwrap(), [(endpoint, later)]);
    let own = epoch(&store).await;
    let again = webhooks::take_due(&store, own, later, &[(endpoint, 100)]).await.unwrap();
    assert_eq!((again[0].delivery, again[0].number, again[0].failures), (first[0].delivery, 2, 1));
    finish(&world, &again[0], Verdict::Dead).await;
    let second = take(&world, endpoint).await;
    assert_eq!(second[0].message.event, "call.assigned");

    // Whoever comes after a crash makes it due again; another process takes nothing.
    assert_eq!(webhooks::recover(&store).await.unwrap(), 1);
    assert!(webhooks::take_due(&store, own - 1, later, &[(endpoint, 100)]).await.unwrap().is_empty());
    let second = take(&world, endpoint).await;
    assert_eq!((second[0].message.event.as_str(), second[0].number), ("call.assigned", 2));
    finish(&world, &second[0], Verdict::Delivered).await;
    assert_eq!(take(&world, endpoint).await[0].message.event, "call.missed");
}

#[tokio::test]
async fn failing_days_count_from_the_last_success() {
    let (store, options) = scratch::store().await;
    let mut world = World::new(&store, "a").await;
    let mut writer = writer(&store, &options).await;
    let endpoint = webhook(&world, &[Event::CallCreated], true).await;
    for number in 1..=4 {
        let call = world.call(number);
        writer.commit(batch_id(), &world.batch(batch(vec![entry(&world, "call_joined", &call)]))).await.unwrap();
    }
    let taken = take(&world, endpoint).await;
    assert_eq!(finish(&world, &taken[0], Verdict::Dead).await, []);
    world.now = world.now.plus_seconds(3 * 24 * 60 * 60);
    assert_eq!(finish(&world, &taken[1], Verdict::Delivered).await, []);
    world.now = world.now.plus_seconds(3 * 24 * 60 * 60);
    assert_eq!(finish(&world, &taken[2], Verdict::Dead).await, [], "six days ago, but three since the success");
    world.now = world.now.plus_seconds(5 * 24 * 60 * 60);
    assert_eq!(finish(&world, &taken[3], Verdict::Dead).await, [endpoint]);
}

#[tokio::test]
async fn what_is_emitted_goes_with_its_transaction() {
    let (store, options) = scratch::store().await;
    let world = World::new(&store, "a").await;
    let _owner = writer(&store, &options).await;
    let endpoint = webhook(&world, &[Event::AppointmentCreated], true).await;
    let subject: Uuid = world.ids.uuid(world.now);
    for commits in [false, true] {
        let mut work = store.work(world.tenant, world.now, None).await.unwrap();
        let data = json!({"id": subject, "kept": commits});
        webhooks::emit(&mut work, Event::AppointmentCreated, subject, &data).await.unwrap();
        webhooks::emit(&mut work, Event::AppointmentCancelled, subject, &data).await.unwrap();
        if commits {
            work.commit().await.unwrap();
        }
    }
    let taken = take(&world, endpoint).await;
    assert_eq!(taken.len(), 1);
    assert_eq!(taken[0].message.data, format!(r#"{{"id":"{subject}","kept":true}}"#));
    assert_eq!(taken[0].subject, subject);
}

#[tokio::test]
async fn who_is_erased_is_in_no_webhook_and_what_waits_goes_out_without_him() {
    let (store, options) = scratch::store().await;
    let world = World::new(&store, "a").await;
    let mut writer = writer(&store, &options).await;
    let all = webhook(&world, Event::ALL, true).await;
    let (joined, other) = (world.call(1), world.call(2));
    let told = batch(vec![entry(&world, "call_joined", &joined)]);
    writer.commit(batch_id(), &world.batch(told)).await.unwrap();
    // One is delivered, and the answer repeats it; the other facts wait.
    let sent = take(&world, all).await;
    assert!(sent.iter().any(|taken| taken.message.data.contains("Carlos")));
    finish(&world, &sent[0], Verdict::Delivered).await;
    let ended = world.completed(&joined, world.now.plus_seconds(60));
    writer.commit(batch_id(), &world.batch(batch(vec![entry(&world, "call_ended", &ended)]))).await.unwrap();
    writer.commit(batch_id(), &world.batch(batch(vec![entry(&world, "call_joined", &other)]))).await.unwrap();
    let shown = async || -> Vec<(String, String)> {
        sqlx::query_as("SELECT event, data::text FROM webhook_events WHERE subject_id IN ($1, $2) ORDER BY seq")
            .bind(joined.id.0)
            .bind(joined.caller.customer_id.0)
            .fetch_all(store.system())
            .await
            .unwrap()
    };
    let before = shown().await;
    let mut work = world.work().await;
    let erased = vez::store::customer_erasure::erase(&mut work, joined.caller.customer_id).await.unwrap();
    assert_eq!(erased, vez::store::customer_erasure::Erased::Done);
    work.commit().await.unwrap();
    let after = shown().await;
    assert_eq!(before.len(), after.len());
    for ((event, was), (_, is)) in before.iter().zip(&after) {
        for his in ["Carlos", "carlos1@", "+55119", "Não liga"] {
            assert!(was.contains("Carlos") && !is.contains(his), "{his} in {event}: {is}");
        }
        let keys = |text: &str| -> Vec<String> {
            serde_json::from_str::<serde_json::Map<String, Value>>(text)
                .unwrap()
                .into_iter()
                .map(|(key, _)| key)
                .collect()
        };
        assert_eq!(keys(was), keys(is));
        let value: Value = serde_json::from_str(is).unwrap();
        let name = if event.starts_with("customer") { "name" } else { "customer_name" };
        assert_eq!((&value[name], value["id"].is_string()), (&json!(""), true), "{is}");
    }
    let answers: i64 = sqlx::query_scalar("SELECT count(*) FROM webhook_attempts WHERE response_body IS NOT NULL")
        .fetch_one(store.system())
        .await
        .unwrap();
    assert_eq!(answers, 0);
    // It still goes out, and what is somebody else's is whole.
    finish(&world, &sent[1], Verdict::Delivered).await;
    let rest = take(&world, all).await;
    assert!(rest.iter().any(|taken| taken.subject == joined.id.0 && !taken.message.data.contains("Carlos")));
    assert!(rest.iter().any(|taken| taken.subject == other.id.0 && taken.message.data.contains("Carlos")));
}

#[tokio::test]
async fn what_was_taken_by_a_statement_whose_answer_was_lost_is_due_again() {
    let (store, options) = scratch::store().await;
    let world = World::new(&store, "a").await;
    let mut writer = writer(&store, &options).await;
    let endpoint = webhook(&world, Event::ALL, true).await;
    for number in 1..=2 {
        let joined = batch(vec![entry(&world, "call_joined", &world.call(number))]);
        writer.commit(batch_id(), &world.batch(joined)).await.unwrap();
    }
    let taken = take(&world, endpoint).await;
    let (ours, lost) = taken.split_at(1);
    assert!(!lost.is_empty());
    let due = webhooks::recover_lost(&store, &[ours[0].delivery]).await.unwrap();
    assert_eq!(due.len(), lost.len());
    assert!(due.iter().all(|(found, _)| *found == endpoint));
    let mut again: Vec<_> = take(&world, endpoint).await.iter().map(|taken| taken.delivery).collect();
    let mut expected: Vec<_> = lost.iter().map(|taken| taken.delivery).collect();
    again.sort_unstable();
    expected.sort_unstable();
    assert_eq!(again, expected);
}
