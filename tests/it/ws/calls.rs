//! `call:`: what the customer is told, how he ends it, and what happens when one side is away.

use std::time::Duration;

use serde_json::{Value, json};
use vez::domain::role::Role;

use crate::harness::TestApp;
use crate::harness::socket::Topic;
use crate::people::{at_work, customer, device, text};

/// One agent's lease, in seconds; then the deadlines that begin when it is lost.
const LEASE: u64 = 15;
const ASSIGNED: u64 = 15;
const ACTIVE: u64 = 120;

async fn position(topic: &mut Topic, position: u32) -> Value {
    topic.expect_where("queue_position", |push| push["position"] == position).await
}

#[tokio::test]
async fn a_customer_hears_his_place_leaves_and_everybody_behind_moves_up() {
    let app = TestApp::start().await;
    let company = app.company("acme").await;
    let line = company.department("Line").await;
    let boss = company.user("Boss", Role::Supervisor).await;
    let link = company.link(line).await;
    let mut queue = app.topic(&boss.token, &format!("queue:{line}")).await;
    let mut first = customer(&app, &link, "First").await;
    let second = customer(&app, &link, "Second").await;
    let mut third = customer(&app, &link, "Third").await;
    assert_eq!(third.topic.reply["position"], 3);
    assert_eq!((&third.topic.reply["status"], &third.topic.reply["phase"]), (&json!("queued"), &json!("waiting")));
    assert_eq!(third.topic.reply["department_name"], "Line");
    second.topic.push("leave", Value::Null).await.unwrap();
    // Leaving twice is leaving.
    second.topic.push("leave", Value::Null).await.unwrap();
    position(&mut third.topic, 2).await;
    let left = queue.expect("customer_left").await;
    assert_eq!(
        (&left["call_id"], &left["reason"], &left["queue_size"]),
        (&json!(second.call), &json!("left"), &json!(2))
    );
    first.topic.push("leave", Value::Null).await.unwrap();
    let ended = first.topic.expect("call_ended").await;
    assert_eq!(ended, json!({ "status": "missed", "end_reason": "left", "can_evaluate": false }));
    position(&mut third.topic, 1).await;
    app.stop().await;
}

#[tokio::test]
async fn either_side_ends_a_running_call() {
    let app = TestApp::start().await;
    let company = app.company("acme").await;
    let line = company.department("Line").await;
    let ana = company.agent("Ana", &[line]).await;
    let link = company.link(line).await;
    let mut desk = at_work(&app, &ana, line).await;

    let mut maria = customer(&app, &link, "Maria").await;
    let call = desk.take_next().await;
    let mut agent_side = desk.socket.join(&maria.call_topic(), Value::Null).await.unwrap();
    maria.topic.expect("call_started").await;
    maria.topic.push("end", Value::Null).await.unwrap();
    let ended = maria.topic.expect("call_ended").await;
    assert_eq!(ended, json!({ "status": "completed", "end_reason": "completed", "can_evaluate": true }));
    agent_side.expect("call_ended").await;
    // It is the agent's call no more: his channel is closed, the customer's is not.
    agent_side.until_closed().await;
    maria.topic.push("end", Value::Null).await.unwrap();
    assert_eq!(desk.own.expect("wrap_up").await["call_id"], json!(call));
    desk.own.push("wrap_up_end", Value::Null).await.unwrap();

    let mut joao = customer(&app, &link, "Joao").await;
    desk.take_next().await;
    let agent_side = desk.socket.join(&joao.call_topic(), Value::Null).await.unwrap();
    agent_side.push("end", Value::Null).await.unwrap();
    assert_eq!(joao.end_reason().await, "completed");
    app.stop().await;
}

#[tokio::test]
async fn an_agent_who_goes_away_and_comes_back_in_time_keeps_the_call() {
    let app = TestApp::start().await;
    let company = app.company("acme").await;
    let line = company.department("Line").await;
    let ana = company.agent("Ana", &[line]).await;
    let link = company.link(line).await;
    let mut desk = at_work(&app, &ana, line).await;
    let mut maria = customer(&app, &link, "Maria").await;
    let call = desk.take_next().await;
    drop(desk);
    app.live_through(Duration::from_secs(LEASE + 1)).await;
    let away = maria.topic.expect("agent_away").await;
    let until: chrono::DateTime<chrono::Utc> = text(&away["until"]).parse().unwrap();
    let left = until.timestamp() - app.now().to_utc().timestamp();
    assert!((ACTIVE as i64 - 3..=ACTIVE as i64).contains(&left), "{left} s are left");
    app.live_through(Duration::from_secs(60)).await;

    let (token, _) = company.log_in(ana.id, ana.role).await;
    let socket = app.socket(&token).await;
    let own = socket.join(&ana.topic(), Value::Null).await.unwrap();
    assert_eq!(own.reply["calls"][0]["call_id"], json!(call));
    maria.topic.expect("agent_back").await;
    app.live_through(Duration::from_secs(ACTIVE)).await;
    own.push("complete", json!({ "call_id": call })).await.unwrap();
    assert_eq!(maria.end_reason().await, "completed");
    app.stop().await;
}

#[tokio::test]
async fn a_call_whose_agent_stays_away_goes_back_to_its_place() {
    let app = TestApp::start().await;
    let company = app.company("acme").await;
    let line = company.department("Line").await;
    let (ana, bia) = (company.agent("Ana", &[line]).await, company.agent("Bia", &[line]).await);
    let link = company.link(line).await;
    let mut desk = at_work(&app, &ana, line).await;
    let mut maria = customer(&app, &link, "Maria").await;
    let offer = desk.offer().await;
    desk.accept(&offer).await.unwrap();
    let mut behind = customer(&app, &link, "Behind").await;
    assert_eq!(behind.topic.reply["position"], 1);
    // A device on the call's topic does not hold the lease.
    let watching = app.socket(&ana.token).await;
    let mut former = watching.join(&maria.call_topic(), Value::Null).await.unwrap();
    drop(desk);
    app.live_through(Duration::from_secs(LEASE + 1)).await;
    maria.topic.expect("agent_away").await;
    app.live_through(Duration::from_secs(ASSIGNED + 1)).await;
    let returned = maria.topic.expect("call_returned_to_queue").await;
    assert_eq!(returned, json!({ "position": 1, "reason": "agent_lost" }));
    position(&mut behind.topic, 2).await;
    former.until_closed().await;
    let mut next = at_work(&app, &bia, line).await;
    assert_eq!(text(&next.offer().await["call_id"]), maria.call);
    app.stop().await;
}

#[tokio::test]
async fn while_the_agent_is_away_the_customer_may_ask_for_another() {
    let app = TestApp::start().await;
    let company = app.company("acme").await;
    let line = company.department("Line").await;
    let (ana, bia) = (company.agent("Ana", &[line]).await, company.agent("Bia", &[line]).await);
    let link = company.link(line).await;
    let mut desk = at_work(&app, &ana, line).await;
    let mut maria = customer(&app, &link, "Maria").await;
    desk.take_next().await;
    // While he is there, leaving a running call is not the word for it.
    assert_eq!(maria.topic.refused("leave", Value::Null).await, "wrong_state");
    drop(desk);
    app.live_through(Duration::from_secs(LEASE + 1)).await;
    maria.topic.expect("agent_away").await;
    maria.topic.push("leave", Value::Null).await.unwrap();
    let returned = maria.topic.expect("call_returned_to_queue").await;
    assert_eq!(returned["reason"], "customer_asked");
    let mut next = at_work(&app, &bia, line).await;
    assert_eq!(next.take_next().await, maria.call);
    next.complete(&maria.call).await;
    let ended = maria.topic.expect("call_ended").await;
    assert_eq!(ended["can_evaluate"], true);
    // Started twice, told once.
    let started = maria.topic.passed.iter().filter(|(event, _)| event == "call_started").count();
    assert!(started <= 2, "{:?}", maria.topic.passed);
    app.stop().await;
}

#[tokio::test]
async fn a_customer_who_goes_away_keeps_the_place_is_passed_over_and_may_come_back() {
    let app = TestApp::start().await;
    let company = app.company("acme").await;
    let line = company.department("Line").await;
    let ana = company.agent("Ana", &[line]).await;
    let link = company.link(line).await;
    let mut desk = device(&app, &ana, line).await;
    let mut queue = desk.socket.join(&format!("queue:{line}"), Value::Null).await.unwrap();
    let maria = customer(&app, &link, "Maria").await;
    let behind = customer(&app, &link, "Behind").await;
    let (call, token, name) = (maria.call.clone(), maria.token.clone(), maria.call_topic());
    app.live_through(Duration::from_secs(11)).await;
    drop(maria);
    let away = queue.expect("customer_presence").await;
    assert_eq!((&away["call_id"], &away["presence"]), (&json!(call), &json!("away")));
    desk.set_status("available").await;
    assert_eq!(desk.take_next().await, behind.call);
    let page = app.topic(&token, &name).await;
    assert_eq!(page.reply["position"], 1);
    assert_eq!(queue.expect("customer_presence").await["presence"], "present");
    desk.complete(&behind.call).await;
    desk.own.push("wrap_up_end", Value::Null).await.unwrap();
    let offer = desk.offer().await;
    assert_eq!(offer["call_id"], json!(call));
    // Away during the offer withdraws it, and the agent is not to blame.
    drop(page);
    assert_eq!(desk.own.expect("offer_withdrawn").await["reason"], "customer_left");
    app.live_through(Duration::from_secs(62)).await;
    let left = queue.expect("customer_left").await;
    assert_eq!((&left["call_id"], &left["reason"]), (&json!(call), &json!("abandoned")));
    app.stop().await;
}

#[tokio::test]
async fn an_assigned_call_that_is_not_started_goes_to_somebody_else() {
    let app = TestApp::start().await;
    let company = app.company("acme").await;
    let line = company.department("Line").await;
    let (ana, bia) = (company.agent("Ana", &[line]).await, company.agent("Bia", &[line]).await);
    let link = company.link(line).await;
    let mut slow = at_work(&app, &ana, line).await;
    let mut maria = customer(&app, &link, "Maria").await;
    let offer = slow.offer().await;
    slow.accept(&offer).await.unwrap();
    let mut former = slow.socket.join(&maria.call_topic(), Value::Null).await.unwrap();
    app.live_through(Duration::from_secs(61)).await;
    let returned = maria.topic.expect("call_returned_to_queue").await;
    assert_eq!(returned, json!({ "position": 1, "reason": "not_started" }));
    former.until_closed().await;
    let mut quick = at_work(&app, &bia, line).await;
    assert_eq!(quick.take_next().await, maria.call);
    assert_eq!(slow.own.refused("start", json!({ "call_id": maria.call })).await, "not_your_call");
    app.stop().await;
}
