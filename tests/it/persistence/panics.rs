//! A queue that panics: it restarts from what is committed, nobody is lost, sockets stay, and a call that brings it down
//! again and again is taken out.

use std::collections::HashSet;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::{Value, json};
use sqlx::Connection as _;
use sqlx::postgres::PgConnection;
use vez::actors::Probes;
use vez::queue::Command;

use crate::harness::{TestApp, eventually};
use crate::people::{at_work, customer, device, reason, text};
use crate::record;

/// Calls whose leaving brings the queue down.
#[derive(Clone, Default)]
struct Cursed(Arc<Mutex<HashSet<String>>>);

impl Cursed {
    fn probes(&self) -> Probes {
        let cursed = self.clone();
        let before_command = move |command: &Command| {
            if let Command::Leave { call } = command {
                assert!(!cursed.0.lock().unwrap().contains(&call.to_string()), "this test wants a panic here");
            }
        };
        Probes { before_command: Some(Arc::new(before_command)), ..Probes::default() }
    }

    fn curse(&self, call: &str) {
        self.0.lock().unwrap().insert(call.to_owned());
    }

    fn lift(&self) {
        self.0.lock().unwrap().clear();
    }
}

#[tokio::test]
async fn a_queue_that_panics_comes_back_with_everybody_in_place() {
    let cursed = Cursed::default();
    let app = TestApp::builder().probes(cursed.probes()).start().await;
    let company = app.company("acme").await;
    let line = company.department("Line").await;
    let (ana, bia) = (company.agent("Ana", &[line]).await, company.agent("Bia", &[line]).await);
    let link = company.link(line).await;

    let mut ana_desk = at_work(&app, &ana, line).await;
    let mut talking = customer(&app, &link, "Talking").await;
    assert_eq!(ana_desk.take_next().await, talking.call);
    let mut bia_desk = at_work(&app, &bia, line).await;
    let mut offered = customer(&app, &link, "Offered").await;
    let offer = bia_desk.offer().await;
    assert_eq!(offer["call_id"], json!(offered.call));
    let mut queue = bia_desk.socket.join(&format!("queue:{line}"), Value::Null).await.unwrap();
    let mut behind = Vec::new();
    for name in ["First", "Second", "Third"] {
        behind.push(customer(&app, &link, name).await);
    }
    // Everybody is known to the watcher before the fall.
    queue.expect_where("customer_joined", |push| push["call_id"] == json!(behind[2].call)).await;

    cursed.curse(&behind[1].call);
    let refused = reason(behind[1].topic.push("leave", Value::Null).await);
    assert_eq!(refused, "overloaded");
    cursed.lift();

    // The offer that stood is withdrawn without a miss, and the same customer is offered again: he is still first.
    let withdrawn = bia_desk.own.expect("offer_withdrawn").await;
    assert_eq!((&withdrawn["offer_id"], &withdrawn["reason"]), (&offer["offer_id"], &json!("restarted")));
    let offer = bia_desk.offer().await;
    assert_eq!(offer["call_id"], json!(offered.call));
    let resync = queue.expect("resync").await;
    let places: Vec<String> = resync["waiting"].as_array().unwrap().iter().map(|call| text(&call["call_id"])).collect();
    let mut expected = vec![offered.call.clone()];
    expected.extend(behind.iter().map(|customer| customer.call.clone()));
    assert_eq!(places, expected);
    assert_eq!(resync["active"][0]["call_id"], json!(talking.call));

    // Everybody goes on over the sockets he has.
    for (index, customer) in behind.iter_mut().enumerate() {
        let resync = customer.topic.expect("resync").await;
        assert_eq!(resync["position"], json!(index + 2));
    }
    bia_desk.accept(&offer).await.unwrap();
    offered.topic.expect("call_assigned").await;
    ana_desk.complete(&talking.call).await;
    assert_eq!(talking.end_reason().await, "completed");
    // Now leaving works, and all places behind move up.
    behind[1].topic.push("leave", Value::Null).await.unwrap();
    assert_eq!(behind[1].end_reason().await, "left");
    assert_eq!(behind[2].topic.expect_where("queue_position", |push| push["position"] == 2).await["position"], 2);
    app.stop().await;
}

#[tokio::test]
async fn after_three_panics_in_a_minute_the_call_last_touched_ends() {
    let cursed = Cursed::default();
    let app = TestApp::builder().probes(cursed.probes()).start().await;
    let company = app.company("acme").await;
    let line = company.department("Line").await;
    let link = company.link(line).await;
    let mut first = customer(&app, &link, "First").await;
    let mut fatal = customer(&app, &link, "Fatal").await;
    let mut last = customer(&app, &link, "Last").await;
    cursed.curse(&fatal.call);
    for _ in 0..3 {
        assert_eq!(reason(fatal.topic.push("leave", Value::Null).await), "overloaded");
        // The others ask meanwhile, so that the call last touched before the panic is not the only one ever touched.
        eventually("the queue is back", async || {
            let answers = [app.client().status(&first.call).await, app.client().status(&last.call).await];
            answers.iter().all(|answer| answer.status == 200).then_some(())
        })
        .await;
        // Each life tells everybody where he stands, at most once a second.
        app.live_through(Duration::from_secs(2)).await;
    }
    // By an event, or by the full state in its place.
    let told = loop {
        let (event, push) = fatal.topic.next().await.unwrap();
        if matches!(event.as_str(), "call_ended" | "resync") && push["end_reason"].is_string() {
            break push;
        }
    };
    assert_eq!((&told["status"], &told["end_reason"]), (&json!("cancelled"), &json!("system_error")));
    assert_eq!(app.client().status(&last.call).await.expect(200).body["data"]["position"], 2);
    last.topic.push("leave", Value::Null).await.unwrap();
    first.topic.push("leave", Value::Null).await.unwrap();
    assert_eq!((first.end_reason().await, last.end_reason().await), ("left".into(), "left".into()));
    let row = record::calls(&app, company.tenant).await.into_iter().find(|row| row.id.to_string() == fatal.call);
    let row = row.unwrap();
    assert_eq!((row.status.as_str(), row.end_reason.as_deref()), ("cancelled", Some("system_error")));
    app.stop().await;
}

#[tokio::test]
async fn what_was_committed_but_not_yet_told_is_told_by_the_next_life() {
    let cursed = Cursed::default();
    let app = TestApp::builder().probes(cursed.probes()).start().await;
    let company = app.company("acme").await;
    let line = company.department("Line").await;
    let ana = company.agent("Ana", &[line]).await;
    let link = company.link(line).await;
    let mut desk = at_work(&app, &ana, line).await;
    let mut taken = customer(&app, &link, "Taken").await;
    let offer = desk.offer().await;
    let leaving = customer(&app, &link, "Leaving").await;
    let mut phone = device(&app, &ana, line).await;

    // Somebody holds the table, so that the accept is applied and its commit has to wait.
    let mut blocker = PgConnection::connect(app.config().database.connection_url().unwrap()).await.unwrap();
    sqlx::raw_sql("BEGIN; LOCK TABLE calls IN SHARE ROW EXCLUSIVE MODE").execute(&mut blocker).await.unwrap();
    cursed.curse(&leaving.call);
    let (accepted, ()) = tokio::join!(desk.accept(&offer), async {
        // His other device hears at once that the offer is gone; the reply waits for the commit.
        assert_eq!(phone.own.expect("offer_withdrawn").await["reason"], "taken");
        assert_eq!(reason(leaving.topic.push("leave", Value::Null).await), "overloaded");
        cursed.lift();
        sqlx::raw_sql("COMMIT").execute(&mut blocker).await.unwrap();
    });
    // The reply died with the queue; the command may be repeated.
    assert_eq!(reason(accepted), "overloaded");
    let reply = eventually("the accept repeated", async || desk.accept(&offer).await.ok()).await;
    assert_eq!(reply["call"]["id"], json!(taken.call));
    let resync = taken.topic.expect("resync").await;
    assert_eq!((&resync["phase"], &resync["agent_name"]), (&json!("assigned"), &json!("Ana")));
    desk.start(&taken.call).await;
    taken.topic.expect("call_started").await;
    app.live_through(Duration::from_secs(2)).await;
    app.stop().await;
}
