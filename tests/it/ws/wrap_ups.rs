//! The time after a call: told, extended, ended early, and what was chosen to happen after it.

use std::time::Duration;

use serde_json::{Value, json};

use crate::harness::TestApp;
use crate::people::{at_work, customer, reason, text};

#[tokio::test]
async fn a_wrap_up_keeps_the_agent_free_until_it_ends_by_itself() {
    let app = TestApp::start().await;
    let company = app.company("acme").await;
    let line = company.department("Line").await;
    let ana = company.agent("Ana", &[line]).await;
    let link = company.link(line).await;
    let mut desk = at_work(&app, &ana, line).await;
    let first = customer(&app, &link, "First").await;
    let second = customer(&app, &link, "Second").await;
    assert_eq!(desk.take_next().await, first.call);
    desk.complete(&first.call).await;
    let told = desk.own.expect("wrap_up").await;
    assert_eq!(told["call_id"], json!(first.call));
    app.live_through(Duration::from_secs(13)).await;
    desk.own.expect_no("call_offered", Duration::from_millis(50)).await;
    app.live_through(Duration::from_secs(3)).await;
    assert_eq!(text(&desk.offer().await["call_id"]), second.call);
    app.stop().await;
}

#[tokio::test]
async fn a_wrap_up_is_extended_and_ended_by_the_agent() {
    let app = TestApp::start().await;
    let company = app.company("acme").await;
    let line = company.department("Line").await;
    let ana = company.agent("Ana", &[line]).await;
    let link = company.link(line).await;
    let mut desk = at_work(&app, &ana, line).await;
    assert_eq!(reason(desk.own.push("wrap_up_end", Value::Null).await), "no_wrap_up");
    let first = customer(&app, &link, "First").await;
    let second = customer(&app, &link, "Second").await;
    desk.take_next().await;
    desk.complete(&first.call).await;
    let told: chrono::DateTime<chrono::Utc> = text(&desk.own.expect("wrap_up").await["ends_at"]).parse().unwrap();

    let reply = desk.own.push("wrap_up_extend", json!({ "seconds": 60 })).await.unwrap();
    let extended: chrono::DateTime<chrono::Utc> = text(&reply["ends_at"]).parse().unwrap();
    assert_eq!((extended - told).num_seconds(), 60);
    assert_eq!(desk.own.expect("wrap_up").await["ends_at"], reply["ends_at"]);
    let too_long = desk.own.push("wrap_up_extend", json!({ "seconds": 3_600 })).await;
    assert_eq!(reason(too_long), "wrap_up_too_long");
    app.live_through(Duration::from_secs(30)).await;
    desk.own.expect_no("call_offered", Duration::from_millis(50)).await;
    desk.own.push("wrap_up_end", json!({ "call_id": first.call })).await.unwrap();
    assert_eq!(text(&desk.offer().await["call_id"]), second.call);
    app.stop().await;
}

#[tokio::test]
async fn a_status_for_after_the_call_waits_for_the_call_and_its_wrap_up() {
    let app = TestApp::start().await;
    let company = app.company("acme").await;
    let line = company.department("Line").await;
    let ana = company.agent("Ana", &[line]).await;
    let link = company.link(line).await;
    let mut desk = at_work(&app, &ana, line).await;
    desk.own.expect("status_changed").await;
    let first = customer(&app, &link, "First").await;
    let _second = customer(&app, &link, "Second").await;
    desk.take_next().await;
    let lunch = json!({ "status": "paused", "reason": "lunch", "after_call": true });
    desk.presence.push("set_status", lunch).await.unwrap();
    let told = desk.own.expect("status_changed").await;
    assert_eq!(told["status"], "available", "he is in a call: {told}");
    desk.complete(&first.call).await;
    desk.own.expect("wrap_up").await;
    desk.own.expect_no("status_changed", Duration::from_millis(50)).await;
    app.live_through(Duration::from_secs(16)).await;
    let told = desk.own.expect("status_changed").await;
    assert_eq!((&told["status"], &told["pause_reason"]), (&json!("paused"), &json!("lunch")));
    app.live_through(Duration::from_secs(5)).await;
    desk.own.expect_no("call_offered", Duration::from_millis(50)).await;
    app.stop().await;
}
