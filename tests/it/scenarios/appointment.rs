//! The life of an appointment from the mail to the completed call: reminders once each, whatever happens in between, and
//! completion by the call.

use std::time::Duration;

use serde_json::{Value, json};

use crate::harness::builders::Member;
use crate::harness::{TestApp, eventually};

const HOUR: Duration = Duration::from_secs(3_600);

/// An appointment so many seconds from now; its answer.
async fn make(app: &TestApp, agent: &Member, department: &str, seconds: u64, email: &str) -> Value {
    let body = json!({"title": "Retorno", "scheduled_at": app.now().plus_seconds(seconds).to_string(),
        "department_id": department, "customer_name": "Carlos", "customer_email": email});
    agent.client.post("/api/v1/appointments", body).await.expect(201).body["data"].clone()
}

async fn status_of(agent: &Member, appointment: &Value) -> String {
    let path = format!("/api/v1/appointments/{}", appointment["id"].as_str().unwrap());
    agent.client.get(&path).await.expect(200).data("status").to_owned()
}

fn link_token(appointment: &Value) -> &str {
    appointment["join_url"].as_str().unwrap().rsplit('/').next().unwrap()
}

#[tokio::test]
async fn agent_and_customer_are_reminded_a_day_and_a_quarter_of_an_hour_before_once_each() {
    let app = TestApp::start().await;
    let acme = app.company("acme").await;
    let line = acme.department("Support").await;
    let ana = acme.agent("Ana", &[line]).await;
    let appointment = make(&app, &ana, &line.to_string(), 48 * 3_600, "carlos@email.com").await;
    app.until_mails(1).await;

    app.advance(HOUR * 24 - Duration::from_secs(1)).await;
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert_eq!(app.mails().len(), 1, "not before its time");
    let (token, _) = acme.log_in(ana.id, ana.role).await;
    let mut socket = app.topic(&token, &ana.topic()).await;
    app.advance(Duration::from_secs(1)).await;
    let reminder = socket.expect("appointment_reminder").await;
    assert_eq!(reminder["appointment_id"], appointment["id"]);
    assert_eq!((&reminder["title"], &reminder["customer_name"]), (&json!("Retorno"), &json!("Carlos")));
    assert_eq!(reminder["scheduled_at"], appointment["scheduled_at"]);
    assert_eq!(socket.expect("new_notification").await["type"], "appointment_reminder");
    let mails = app.until_mails(2).await;
    assert!(mails[1].text.contains("Lembramos"), "{}", mails[1].text);
    drop(socket);

    // The server is away at the second one's time, and back before the appointment.
    app.advance(HOUR * 23).await;
    let app = app.restart_after(Duration::from_secs(50 * 60)).await;
    assert_eq!(app.until_mails(3).await.len(), 3);
    let app = app.restart_after(Duration::from_secs(60)).await;
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert_eq!(app.mails().len(), 3, "once each, whatever happens");
}

#[tokio::test]
async fn a_moved_appointment_is_reminded_of_at_its_new_time_and_a_missed_one_not_at_all() {
    let app = TestApp::start().await;
    let acme = app.company("acme").await;
    let line = acme.department("Support").await;
    let ana = acme.agent("Ana", &[line]).await;
    let appointment = make(&app, &ana, &line.to_string(), 2 * 3_600, "carlos@email.com").await;
    let path = format!("/api/v1/appointments/{}", appointment["id"].as_str().unwrap());
    let later = app.now().plus_seconds(4 * 3_600).to_string();
    ana.client.put(&path, json!({"scheduled_at": later})).await.expect(200);
    app.until_mails(2).await;
    app.advance(HOUR * 3).await;
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert_eq!(app.mails().len(), 2, "the old time's reminder is gone");
    app.advance(HOUR - Duration::from_secs(15 * 60)).await;
    assert_eq!(app.until_mails(3).await.len(), 3);

    // Nobody served when it was due, and then it was too late.
    let ana = Member { client: app.client_of(&acme.log_in(ana.id, ana.role).await.0), ..ana };
    make(&app, &ana, &line.to_string(), 4 * 3_600, "late@email.com").await;
    app.until_mails(4).await;
    let app = app.restart_after(HOUR * 5).await;
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert_eq!(app.mails().len(), 4);
}

#[tokio::test]
async fn the_call_joined_by_the_link_completes_the_appointment() {
    let app = TestApp::start().await;
    let acme = app.company("acme").await;
    let line = acme.department("Support").await;
    let ana = acme.agent("Ana", &[line]).await;
    let appointment = make(&app, &ana, &line.to_string(), 1_800, "carlos@email.com").await;
    let customer = appointment["customer_id"].clone();

    // Another call of the same customer is another matter.
    let other = app.client().join(&acme.link(line).await, "Carlos").await.expect(200);
    serve(&ana, other.data("call_id")).await;
    let joined = app.client().join(link_token(&appointment), "Carlos").await.expect(200);
    let call = joined.data("call_id").to_owned();
    assert_eq!(status_of(&ana, &appointment).await, "scheduled");
    app.advance(Duration::from_secs(20)).await;
    serve(&ana, &call).await;
    eventually("the appointment to be completed", async || {
        (status_of(&ana, &appointment).await == "completed").then_some(())
    })
    .await;
    let call = ana.client.get(&format!("/api/v1/calls/{call}")).await.expect(200);
    assert_eq!(call.body["data"]["customer_id"], customer);
}

#[tokio::test]
async fn from_its_time_on_whoever_comes_by_an_appointment_stands_where_he_would_have_stood_then() {
    let app = TestApp::start().await;
    let acme = app.company("acme").await;
    let line = acme.department("Support").await;
    let ana = acme.agent("Ana", &[line]).await;
    // 12:30 to 13:00, and 13:00 to 13:30.
    let punctual = make(&app, &ana, &line.to_string(), 1_800, "carlos@email.com").await;
    let missed = make(&app, &ana, &line.to_string(), 3_600, "late@email.com").await;
    let walk_in = acme.link(line).await;
    let join = async |token: &str| app.client().join(token, "X").await.expect(200).data("call_id").to_owned();
    let position = async |call: &str| app.client().status(call).await.expect(200).body["data"]["position"].clone();
    app.advance(Duration::from_secs(20 * 60)).await;
    let before = join(&walk_in).await;
    app.advance(Duration::from_secs(15 * 60)).await;
    let after = join(&walk_in).await;
    // Five minutes past its time, and behind whoever was there before that.
    let due = join(link_token(&punctual)).await;
    assert_eq!((position(&before).await, position(&due).await, position(&after).await), (json!(1), json!(2), json!(3)));
    // Who missed his appointment altogether comes as anybody.
    app.advance(Duration::from_secs(56 * 60)).await;
    let other = join(&walk_in).await;
    let late = join(link_token(&missed)).await;
    assert!(position(&late).await.as_u64() > position(&other).await.as_u64());
}

#[tokio::test]
async fn a_call_long_before_the_time_does_not_complete_it() {
    let app = TestApp::start().await;
    let acme = app.company("acme").await;
    let line = acme.department("Support").await;
    let ana = acme.agent("Ana", &[line]).await;
    let appointment = make(&app, &ana, &line.to_string(), 5 * 3_600, "carlos@email.com").await;
    let joined = app.client().join(link_token(&appointment), "Carlos").await.expect(200);
    serve(&ana, joined.data("call_id")).await;
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert_eq!(status_of(&ana, &appointment).await, "scheduled");
}

#[tokio::test]
async fn cancelling_sends_away_who_waits_by_the_link() {
    let app = TestApp::start().await;
    let acme = app.company("acme").await;
    let line = acme.department("Support").await;
    let ana = acme.agent("Ana", &[line]).await;
    let appointment = make(&app, &ana, &line.to_string(), 1_800, "carlos@email.com").await;
    let joined = app.client().join(link_token(&appointment), "Carlos").await.expect(200);
    let path = format!("/api/v1/appointments/{}/cancel", appointment["id"].as_str().unwrap());
    ana.client.post(&path, json!({})).await.expect(200);
    let call = joined.data("call_id").to_owned();
    eventually("the call to end", async || {
        (app.client().status(&call).await.expect(200).data("status") == "cancelled").then_some(())
    })
    .await;
}

/// Takes a call, runs it, completes it.
async fn serve(agent: &Member, call: &str) {
    for action in ["assign", "start", "complete"] {
        agent.client.act(call, action).await.expect(200);
    }
}
