//! A stop in order and a start on the same database: the order of the line, the agents as they were, deadlines moved by
//! the time nobody served; and no second server beside a running one.

use std::time::Duration;

use serde_json::{Value, json};
use sqlx::{Connection as _, PgConnection};
use vez::app::{App, Parts};
use vez::store::departments::DepartmentChange;

use crate::harness::TestApp;
use crate::harness::socket::Topic;
use crate::people::{Customer, at_work, customer, device, text};

/// How long nobody serves.
const GAP: Duration = Duration::from_secs(600);

/// Joins the call's topic anew, as the page does when the server is back.
async fn reconnect(app: &TestApp, customer: &Customer) -> Topic {
    app.topic(&customer.token, &customer.call_topic()).await
}

#[tokio::test]
async fn after_a_restart_the_line_and_the_agents_are_as_they_were() {
    let app = TestApp::start().await;
    let company = app.company("acme").await;
    let line = company.department("Line").await;
    let names = ["Ana", "Bia", "Caio", "Dora"];
    let mut agents = Vec::new();
    for name in names {
        agents.push(company.agent(name, &[line]).await);
    }
    let link = company.link(line).await;
    let sooner = company.link_with(line, |link| link.priority = 5).await.1;

    // Ana talks, Bia has accepted and not started, Caio is in wrap-up, Dora is paused.
    let mut ana = at_work(&app, &agents[0], line).await;
    let talking = customer(&app, &link, "Talking").await;
    assert_eq!(ana.take_next().await, talking.call);
    let mut bia = at_work(&app, &agents[1], line).await;
    let assigned = customer(&app, &link, "Assigned").await;
    let offer = bia.offer().await;
    bia.accept(&offer).await.unwrap();
    let mut caio = at_work(&app, &agents[2], line).await;
    let done = customer(&app, &link, "Done").await;
    let call = caio.take_next().await;
    caio.complete(&call).await;
    assert_eq!(call, done.call);
    let wrap_up = caio.own.expect("wrap_up").await;
    let dora = device(&app, &agents[3], line).await;
    dora.presence.push("set_status", json!({ "status": "paused", "reason": "lunch" })).await.unwrap();

    let mut waiting = Vec::new();
    for (link, name) in [(&link, "W1"), (&link, "W2"), (&sooner, "VIP"), (&link, "W3")] {
        app.advance(Duration::from_secs(1)).await;
        waiting.push(customer(&app, link, name).await);
    }
    let order = [2, 0, 1, 3];
    for (place, index) in order.into_iter().enumerate() {
        let answer = app.client().status(&waiting[index].call).await.expect(200);
        assert_eq!(answer.body["data"]["position"], place + 1);
    }
    let (tenant_calls, before) = (agents.clone(), app.now());
    drop((ana, bia, caio, dora));
    let ends_at = chrono_of(&wrap_up["ends_at"]);

    let app = app.restart_after(GAP).await;
    assert!(app.now() >= before + GAP);
    let mut pages = Vec::new();
    for (place, index) in order.into_iter().enumerate() {
        let page = reconnect(&app, &waiting[index]).await;
        assert_eq!(page.reply["position"], place + 1, "{}", page.reply);
        pages.push(page);
    }
    // Nobody clicks anything: the agents' pages connect, and show what was.
    let mut desks = Vec::new();
    for agent in &tenant_calls {
        let socket = app.socket(&agent.token).await;
        desks.push(socket.join(&agent.topic(), Value::Null).await.unwrap());
    }
    let shown: Vec<(&Value, &Value)> = desks.iter().map(|own| (&own.reply["status"], &own.reply["activity"])).collect();
    let expected = [("available", "in_call"), ("available", "in_call"), ("available", "wrap_up"), ("paused", "idle")];
    for (shown, (status, activity)) in shown.into_iter().zip(expected) {
        assert_eq!(shown, (&json!(status), &json!(activity)));
    }
    assert_eq!(desks[0].reply["calls"][0]["call_id"], json!(talking.call));
    assert_eq!(desks[1].reply["calls"][0]["call_id"], json!(assigned.call));
    assert_eq!(desks[3].reply["pause_reason"], json!("lunch"));
    let moved = chrono_of(&desks[2].reply["wrap_ups"][0]["ends_at"]);
    let by = (moved - ends_at).num_seconds();
    assert!((GAP.as_secs() as i64 - 2..=GAP.as_secs() as i64 + 2).contains(&by), "moved by {by} s");

    // And they go on: the assigned call starts, the running one ends, whoever is free is offered the first in line.
    let talking_topic = reconnect(&app, &talking).await;
    assert_eq!(talking_topic.reply["phase"], "active");
    // The reply to the accept may have been lost with the server: asked again, it says the same.
    let again = desks[1].push("accept", json!({ "offer_id": offer["offer_id"] })).await.unwrap();
    assert_eq!(again["call"]["id"], json!(assigned.call));
    desks[1].push("start", json!({ "call_id": assigned.call })).await.unwrap();
    desks[0].push("complete", json!({ "call_id": talking.call })).await.unwrap();
    desks[0].push("wrap_up_end", json!({ "call_id": talking.call })).await.unwrap();
    let next = desks[0].expect("call_offered").await;
    assert_eq!(text(&next["call_id"]), waiting[2].call);
    app.stop().await;
}

#[tokio::test]
async fn deadlines_stand_still_while_nobody_serves() {
    let app = TestApp::start().await;
    let company = app.company("acme").await;
    // A restart leaves everybody at least the grace, so it is kept out of the way here.
    let change = DepartmentChange {
        max_wait_time: Some(Some(60)),
        reconnect_grace_seconds: Some(5),
        ..DepartmentChange::default()
    };
    let line = company.department_with("Line", change).await.id;
    let link = company.link(line).await;
    let patient = customer(&app, &link, "Patient").await;
    app.live_through(Duration::from_secs(30)).await;

    let app = app.restart_after(GAP).await;
    let mut topic = reconnect(&app, &patient).await;
    assert_eq!(topic.reply["phase"], "waiting", "{}", topic.reply);
    // 30 of his 60 s are left, whatever the wall clock says.
    app.live_through(Duration::from_secs(27)).await;
    topic.expect_no("call_ended", Duration::from_millis(100)).await;
    app.live_through(Duration::from_secs(5)).await;
    assert_eq!(topic.expect("call_ended").await["end_reason"], "timed_out");
    app.stop().await;
}

#[tokio::test]
async fn who_does_not_come_back_after_a_restart_has_the_whole_grace() {
    let app = TestApp::start().await;
    let company = app.company("acme").await;
    let line = company.department("Line").await;
    let link = company.link(line).await;
    let gone = customer(&app, &link, "Gone").await;
    let app = app.restart_after(GAP).await;
    let supervisor_view = || async { crate::record::end_reason(&app, &gone.call).await };
    app.live_through(Duration::from_secs(55)).await;
    assert_eq!(supervisor_view().await, None);
    app.live_through(Duration::from_secs(10)).await;
    crate::harness::eventually("the place is given up", async || {
        supervisor_view().await.filter(|end| end == "abandoned")
    })
    .await;
    app.stop().await;
}

#[tokio::test]
async fn a_second_server_on_the_same_database_waits_and_then_says_who_is_there() {
    let app = TestApp::start().await;
    let mut config = app.config().clone();
    config.server.port = 0;
    // The second one is newer: it must not change the schema under the first.
    let forget = "DELETE FROM _sqlx_migrations WHERE version = (SELECT max(version) FROM _sqlx_migrations)";
    let mut admin = PgConnection::connect(config.database.connection_url().unwrap()).await.unwrap();
    sqlx::raw_sql(forget).execute(&mut admin).await.unwrap();
    let Err(error) = App::start(config, Parts::real()).await else { panic!("two servers on one database") };
    let text = format!("{error:#}");
    assert!(text.contains("another Vez serves this database"), "{text}");
    assert!(text.contains(&format!("process {}", std::process::id())), "{text}");
    // The first one did not notice.
    let company = app.company("acme").await;
    let line = company.department("Line").await;
    app.client().join(&company.link(line).await, "Maria").await.expect(200);
    app.stop().await;
}

fn chrono_of(value: &Value) -> chrono::DateTime<chrono::Utc> {
    text(value).parse().unwrap()
}
