//! `presence:`: who is there, what he chose, what he is doing; and who may choose for whom.

use std::time::Duration;

use serde_json::{Value, json};
use vez::domain::role::Role;

use crate::harness::TestApp;
use crate::harness::builders::Member;
use crate::harness::socket::Topic;
use crate::people::{at_work, customer, device, reason};

/// The next difference in which an agent comes or changes; his meta.
async fn comes(app: &TestApp, presence: &mut Topic, agent: &Member) -> Value {
    // Differences are merged for a quarter of a second.
    app.live_through(Duration::from_secs(1)).await;
    let id = agent.id.to_string();
    let diff = presence.expect_where("presence_diff", |diff| diff["joins"].get(&id).is_some()).await;
    let metas = diff["joins"][&id]["metas"].as_array().unwrap().clone();
    assert_eq!(metas.len(), 1, "{diff}");
    metas[0].clone()
}

#[tokio::test]
async fn presence_shows_who_is_there_and_forgets_who_has_left() {
    let app = TestApp::start().await;
    let company = app.company("acme").await;
    let line = company.department("Line").await;
    let other = company.department("Other").await;
    let ana = company.agent("Ana", &[line]).await;
    let boss = company.user("Boss", Role::Supervisor).await;
    let link = company.link(line).await;
    let watching = app.socket(&boss.token).await;
    let mut presence = watching.join(&format!("presence:{line}"), Value::Null).await.unwrap();
    assert_eq!(presence.expect("presence_state").await, json!({}));
    let mut elsewhere = watching.join(&format!("presence:{other}"), Value::Null).await.unwrap();

    // Connected, and what he chose last: nothing yet.
    let mut desk = device(&app, &ana, line).await;
    let meta = comes(&app, &mut presence, &ana).await;
    assert_eq!((&meta["name"], &meta["status"], &meta["activity"]), (&json!("Ana"), &json!("offline"), &json!("idle")));
    desk.set_status("available").await;
    assert_eq!(comes(&app, &mut presence, &ana).await["status"], "available");
    let lunch = json!({ "status": "paused", "reason": "lunch" });
    desk.presence.push("set_status", lunch).await.unwrap();
    let meta = comes(&app, &mut presence, &ana).await;
    assert_eq!((&meta["status"], &meta["pause_reason"]), (&json!("paused"), &json!("lunch")));
    desk.set_status("available").await;
    comes(&app, &mut presence, &ana).await;
    let maria = customer(&app, &link, "Maria").await;
    desk.take_next().await;
    let mut activity = comes(&app, &mut presence, &ana).await["activity"].clone();
    if activity == "offered" {
        activity = comes(&app, &mut presence, &ana).await["activity"].clone();
    }
    assert_eq!(activity, "in_call");
    desk.complete(&maria.call).await;
    assert_eq!(comes(&app, &mut presence, &ana).await["activity"], "wrap_up");

    // A newcomer sees the same at once.
    let mut late = app.topic(&boss.token, &format!("presence:{line}")).await;
    let state = late.expect("presence_state").await;
    assert_eq!(state[ana.id.to_string()]["metas"][0]["name"], "Ana");

    // Gone is who does not come back within the lease's 15 s.
    drop(desk);
    app.live_through(Duration::from_secs(10)).await;
    late.expect_no("presence_diff", Duration::from_millis(50)).await;
    app.live_through(Duration::from_secs(8)).await;
    let id = ana.id.to_string();
    late.expect_where("presence_diff", |diff| diff["leaves"].get(&id).is_some()).await;
    elsewhere.expect_no("presence_diff", Duration::from_millis(50)).await;
    app.stop().await;
}

#[tokio::test]
async fn a_supervisor_may_choose_for_an_agent_who_is_told_by_whom() {
    let app = TestApp::start().await;
    let company = app.company("acme").await;
    let line = company.department("Line").await;
    let (ana, bia) = (company.agent("Ana", &[line]).await, company.agent("Bia", &[line]).await);
    let boss = company.user("Boss", Role::Supervisor).await;
    let mut desk = at_work(&app, &ana, line).await;
    desk.own.expect("status_changed").await;
    let pause = json!({ "status": "paused", "user_id": ana.id });

    let colleague = device(&app, &bia, line).await;
    assert_eq!(reason(colleague.presence.push("set_status", pause.clone()).await), "forbidden");
    let presence = app.topic(&boss.token, &format!("presence:{line}")).await;
    presence.push("set_status", pause).await.unwrap();
    let told = desk.own.expect("status_changed").await;
    assert_eq!(
        (&told["status"], &told["cause"], &told["by"]),
        (&json!("paused"), &json!("supervisor"), &json!("Boss"))
    );
    let nobody = json!({ "status": "paused", "user_id": app.ids().uuid(app.now()) });
    assert_eq!(reason(presence.push("set_status", nobody).await), "unknown_agent");
    app.stop().await;
}
