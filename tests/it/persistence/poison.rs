//! A row the record refuses: its tenant hears so and restarts from the record, the others notice nothing.

use std::time::Duration;

use futures_util::future::join_all;
use serde_json::{Value, json};
use vez::actors::handle::{CallError, NewCall};
use vez::domain::call::Caller;
use vez::domain::ids::DepartmentId;

use crate::harness::builders::Company;
use crate::harness::{TestApp, eventually};
use crate::people::{at_work, customer, device, text};
use crate::record;

/// A name that got past the edge and that Postgres cannot hold.
async fn join_poisoned(app: &TestApp, company: &Company<'_>, department: DepartmentId) -> CallError {
    let new = NewCall {
        link_id: None,
        link_uses: None,
        caller: Caller {
            customer_id: app.ids().next(app.now()),
            name: "Mallory\0".into(),
            email: None,
            phone: None,
            reason: None,
        },
        priority: 0,
        due_at: None,
        requirements: Vec::new(),
        join_key: None,
    };
    app.app.queues().join(company.tenant, department, new).await.unwrap_err()
}

#[tokio::test]
async fn a_poison_row_stops_only_its_own_tenant_which_restarts_from_the_record() {
    let app = TestApp::start().await;
    let (sick, well) = (app.company("sick").await, app.company("well").await);
    let (sick_line, well_line) = (sick.department("Line").await, well.department("Line").await);
    let (ana, bia) = (sick.agent("Ana", &[sick_line]).await, sick.agent("Bia", &[sick_line]).await);
    let watcher = well.agent("Wanda", &[well_line]).await;
    let (sick_link, well_link) = (sick.link(sick_line).await, well.link(well_line).await);

    // Ana talks to the first customer, Bia is there and paused, the second customer waits.
    let mut ana_desk = at_work(&app, &ana, sick_line).await;
    let mut talking = customer(&app, &sick_link, "Talking").await;
    assert_eq!(ana_desk.take_next().await, talking.call);
    let mut bia_desk = device(&app, &bia, sick_line).await;
    bia_desk.set_status("paused").await;
    let mut waiting = customer(&app, &sick_link, "Waiting").await;
    let mut neighbour = customer(&app, &well_link, "Neighbour").await;
    let well_watch = device(&app, &watcher, well_line).await;
    let line = format!("queue:{well_line}");
    let before = well_watch.socket.join(&line, Value::Null).await.unwrap();

    let client = app.client();
    let others = join_all((0..40).map(|index| {
        let (client, link) = (client.clone(), well_link.clone());
        async move { client.join(&link, &format!("Other {index}")).await.expect(200) }
    }));
    let (refused, _) = tokio::join!(join_poisoned(&app, &sick, sick_line), others);
    assert_eq!(refused, CallError::Failed);

    // The sick tenant serves again, with everybody where he was, and its own sockets told.
    let after = eventually("the restarted tenant takes a join", async || {
        let answer = app.client().join(&sick_link, "Later").await;
        (answer.status == 200).then_some(answer)
    })
    .await;
    assert_eq!(after.body["data"]["position"], 2);
    let resync = waiting.topic.expect("resync").await;
    assert_eq!((&resync["phase"], &resync["position"]), (&json!("waiting"), &json!(1)));
    let resync = ana_desk.own.expect("resync").await;
    assert_eq!((&resync["status"], &resync["activity"]), (&json!("available"), &json!("in_call")));
    assert_eq!(resync["calls"][0]["call_id"], json!(talking.call));
    let resync = bia_desk.own.expect("resync").await;
    assert_eq!(resync["status"], json!("paused"));
    ana_desk.complete(&talking.call).await;
    assert_eq!(talking.end_reason().await, "completed");
    bia_desk.set_status("available").await;
    assert_eq!(text(&bia_desk.offer().await["call_id"]), waiting.call);

    // The neighbour heard nothing of it: same life of the queue, no resync.
    let again = app.socket(&watcher.token).await.join(&line, Value::Null).await.unwrap();
    assert_eq!(again.reply["epoch"], before.reply["epoch"]);
    neighbour.topic.expect_no("resync", Duration::from_millis(200)).await;

    let names = record::customer_names(&app, sick.tenant).await;
    assert_eq!(names, ["Talking", "Waiting", "Later"]);
    app.stop().await;
}

#[tokio::test]
async fn a_tenant_that_is_poisoned_again_and_again_still_serves_in_between() {
    let app = TestApp::start().await;
    let company = app.company("sick").await;
    let line = company.department("Line").await;
    let link = company.link(line).await;
    let waiting = customer(&app, &link, "Waiting").await;
    for round in 1..=4 {
        let refused = eventually("the tenant is up to refuse the poison", async || {
            Some(join_poisoned(&app, &company, line).await).filter(|refused| *refused == CallError::Failed)
        });
        refused.await;
        let answer = eventually("the restarted tenant answers", async || {
            Some(app.client().status(&waiting.call).await).filter(|answer| answer.status == 200)
        });
        assert_eq!(answer.await.body["data"]["position"], 1, "round {round}");
    }
    app.stop().await;
}
