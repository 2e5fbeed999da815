//! A foreign transaction that holds the row a company's batches need: the others go on, the company itself is told to try again,
//! and afterwards everything is written once.

use std::collections::BTreeSet;
use std::time::Duration;

use futures_util::future::{join, join_all};
use serde_json::json;
use sqlx::{Connection as _, PgConnection};
use tokio::time::sleep;
use vez::domain::clock::Clock;
use vez::store::departments::DepartmentChange;

use crate::harness::TestApp;
use crate::people::at_work;
use crate::record;

/// How long the row is held.
const HELD: Duration = Duration::from_secs(5);
/// The others wait once for the lock, and then a tenth of a second now and then.
const OTHERS_WAIT_MAX: Duration = Duration::from_secs(2);
/// The company itself hears something by then (RULES.md says 3 s; the rest is this machine's).
const ANSWERED_WITHIN: Duration = Duration::from_millis(3_500);
/// Customers of the company concerned.
const JOINS: usize = 6;
/// Longer than it takes to find out that nothing can be written.
const OFFER_SECONDS: u32 = 5;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_holds_a_companys_row_stops_only_that_company() {
    // One writer for both.
    let app = TestApp::builder().real_clock().config(|config| config.database.writer_shards = 1).start().await;
    let (held, free) = (app.company("held").await, app.company("free").await);
    let held_link = held.link(held.department("Line").await).await;
    let free_link = free.link(free.department("Line").await).await;
    // The first join of each reserves numbers, which takes the same row.
    app.client().join(&held_link, "First").await.expect(200);
    app.client().join(&free_link, "First").await.expect(200);

    let mut blocker = PgConnection::connect(app.config().database.connection_url().unwrap()).await.unwrap();
    let mut holding = blocker.begin().await.unwrap();
    sqlx::query("SELECT FROM tenant_counters WHERE tenant_id = $1 FOR UPDATE")
        .bind(held.tenant.0)
        .execute(&mut *holding)
        .await
        .unwrap();
    let until = Clock::patience(HELD);
    let concerned = join_all((0..JOINS).map(|index| {
        let (client, path) = (app.client(), format!("/api/v1/call/{held_link}/join"));
        async move {
            let body = json!({ "name": format!("Held {index}"), "join_key": format!("key-{index}") });
            let mut refused = 0;
            loop {
                let began = Clock::patience(Duration::ZERO);
                let answer = client.post(&path, body.clone()).await;
                assert!(began.elapsed() < ANSWERED_WITHIN, "answered after {:?}", began.elapsed());
                if answer.status == 200 {
                    return (answer.data("call_id").to_owned(), refused);
                }
                assert_eq!(answer.status, 503, "{answer:?}");
                assert!(answer.header("retry-after").is_some(), "{answer:?}");
                refused += 1;
                sleep(Duration::from_millis(200)).await;
            }
        }
    }));
    let others = async {
        let mut joined = 0;
        while !Clock::is_out(until) {
            let began = Clock::patience(Duration::ZERO);
            app.client().join(&free_link, &format!("Free {joined}")).await.expect(200);
            assert!(began.elapsed() < OTHERS_WAIT_MAX, "waited for {:?}", began.elapsed());
            joined += 1;
            sleep(Duration::from_millis(50)).await;
        }
        app.client().get("/health/ready").await.expect(200);
        holding.rollback().await.unwrap();
        joined
    };
    let (concerned, others) = join(concerned, others).await;
    assert!(others > 10, "{others}");
    assert!(concerned.iter().any(|(_, refused)| *refused > 0), "{concerned:?}");

    for (company, expected) in [(&held, JOINS + 1), (&free, others + 1)] {
        let rows = record::calls(&app, company.tenant).await;
        assert_eq!(rows.len(), expected);
        let events = record::events(&app, company.tenant).await;
        assert!(events.iter().zip(1..).all(|(event, seq)| event.seq == seq), "{events:?}");
        let joins: Vec<_> = events.iter().filter(|event| event.kind == "call_joined").map(|e| e.call_id).collect();
        assert_eq!(joins.len(), expected, "{events:?}");
        assert_eq!(joins.iter().collect::<BTreeSet<_>>().len(), expected);
    }
    let rows = record::calls(&app, held.tenant).await;
    let known: BTreeSet<String> = rows.iter().map(|row| row.id.to_string()).collect();
    assert!(concerned.iter().all(|(call, _)| known.contains(call)), "{concerned:?}");
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_is_blamed_for_what_he_could_not_accept_meanwhile() {
    let app = TestApp::builder().real_clock().start().await;
    let company = app.company("acme").await;
    let hurry = DepartmentChange { offer_timeout_seconds: Some(OFFER_SECONDS), ..DepartmentChange::default() };
    let line = company.department_with("Line", hurry).await.id;
    let agent = company.agent("Ana", &[line]).await;
    let link = company.link(line).await;
    // Reserves numbers, which takes the same row.
    let first = app.client().join(&link, "First").await.expect(200).data("call_id").to_owned();
    let mut desk = at_work(&app, &agent, line).await;
    let offer = desk.offer().await;
    assert_eq!(offer["call_id"], json!(first));

    let mut blocker = PgConnection::connect(app.config().database.connection_url().unwrap()).await.unwrap();
    let mut holding = blocker.begin().await.unwrap();
    sqlx::query("SELECT FROM tenant_counters WHERE tenant_id = $1 FOR UPDATE")
        .bind(company.tenant.0)
        .execute(&mut *holding)
        .await
        .unwrap();
    // Something has to be written before it shows that it cannot be.
    app.client().post(&format!("/api/v1/call/{link}/join"), json!({"name": "Second"})).await.expect(503);
    let withdrawn = desk.own.expect("offer_withdrawn").await;
    assert_eq!((&withdrawn["offer_id"], &withdrawn["reason"]), (&offer["offer_id"], &json!("restarted")));
    // The offer would have run out by now.
    sleep(Duration::from_secs(OFFER_SECONDS.into())).await;
    holding.rollback().await.unwrap();

    // He is asked again without a click, and what came before is served before.
    assert_eq!(desk.take_next().await, first);
    let misses: i16 = sqlx::query_scalar("SELECT misses FROM agents WHERE user_id = $1")
        .bind(agent.id.0)
        .fetch_one(app.app.store().system())
        .await
        .unwrap();
    assert_eq!(misses, 0);
    app.stop().await;
}
