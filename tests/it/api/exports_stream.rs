//! Exports on their way: the first byte before the first row, who goes away, what fails on the way, how many at once.
//!
//! A restrictive policy of the test's own makes the database slow, or fail at one row.

use std::time::Duration;

use futures_util::StreamExt as _;
use reqwest::{Method, Response};
use sqlx::{AssertSqlSafe, Connection as _, PgConnection};
use vez::domain::role::Role;
use vez::reports::STREAMS_PER_COMPANY_MAX;

use super::exported::{CALLS_HEADER, file, put_many};
use crate::harness::builders::Member;
use crate::harness::{TestApp, eventually};

/// Reading a row takes ten minutes.
const SLOW: &str = "pg_sleep(600) IS NOT NULL";
/// Reading this call fails.
const FAILING: &str = "CASE WHEN number = 19500 THEN 1 / (number - 19500) = 1 ELSE true END";

/// A connection as the owner of the database, who sees what everybody runs.
async fn owner(app: &TestApp) -> PgConnection {
    PgConnection::connect(app.config().database.connection_url().unwrap()).await.unwrap()
}

/// Lets rows of `table` be read only where this holds.
async fn restrict(app: &TestApp, table: &str, condition: &str) {
    let statement = format!("CREATE POLICY slow ON {table} AS RESTRICTIVE FOR SELECT TO vez_app USING ({condition})");
    sqlx::raw_sql(AssertSqlSafe(statement)).execute(&mut owner(app).await).await.unwrap();
}

/// How many reports of this test's database have a statement in this state.
async fn reports(app: &TestApp, state: &str) -> i64 {
    sqlx::query_scalar(
        "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND state LIKE $1
         AND (query LIKE 'FETCH %' OR query LIKE 'DECLARE report%')",
    )
    .bind(state)
    .fetch_one(&mut owner(app).await)
    .await
    .unwrap()
}

/// Returns once no report holds anything in the database.
async fn until_none(app: &TestApp) {
    let none = async || (reports(app, "active").await + reports(app, "idle in%").await == 0).then_some(());
    eventually("no report holds anything", none).await;
}

async fn ask(boss: &Member) -> Response {
    boss.client.request(Method::GET, "/api/v1/export/calls.csv").send().await.unwrap()
}

#[tokio::test]
async fn the_header_comes_at_once_and_a_client_that_goes_away_cancels_the_query() {
    let app = TestApp::start().await;
    let company = app.company("acme").await;
    let line = company.department("Suporte").await;
    let boss = company.user("Boss", Role::Supervisor).await;
    put_many(&app, company.tenant, line, 10, app.now()).await;
    restrict(&app, "departments", SLOW).await;
    let mut response = ask(&boss).await;
    assert_eq!(response.status(), 200);
    assert_eq!(response.chunk().await.unwrap().unwrap(), CALLS_HEADER.as_bytes());
    eventually("the query runs", async || (reports(&app, "active").await == 1).then_some(())).await;
    drop(response);
    let within = Duration::from_secs(5);
    tokio::time::timeout(within, until_none(&app)).await.expect("cancelled too late");
}

#[tokio::test]
async fn a_failure_midway_breaks_the_body() {
    let app = TestApp::start().await;
    let company = app.company("acme").await;
    let line = company.department("Suporte").await;
    let boss = company.user("Boss", Role::Supervisor).await;
    put_many(&app, company.tenant, line, 20_000, app.now()).await;
    let whole = file(&boss.client, "calls.csv").await;
    assert_eq!(whole.rows(CALLS_HEADER).len(), 20_000);
    restrict(&app, "calls", FAILING).await;
    for format in ["csv", "ndjson"] {
        let path = format!("/api/v1/export/calls.csv?format={format}");
        let response = boss.client.request(Method::GET, &path).send().await.unwrap();
        assert_eq!(response.status(), 200);
        let (mut read, mut failed) = (Vec::new(), false);
        let mut body = response.bytes_stream();
        while let Some(bytes) = body.next().await {
            match bytes {
                Ok(bytes) => read.extend(bytes),
                Err(_) => failed = true,
            }
        }
        assert!(failed, "the body of {format} came to its end");
        // What came is the beginning of the file; what was on its way is lost with the connection.
        assert!(read.len() > 32 * 1024, "{} bytes", read.len());
        assert!(format != "csv" || whole.text.as_bytes().starts_with(&read));
    }
    // Nothing of it stays, and the server serves on.
    until_none(&app).await;
    assert_eq!(file(&boss.client, "calls.csv?date_to=2024-01-01").await.text, CALLS_HEADER);
}

#[tokio::test]
async fn a_company_runs_ten_at_once_and_others_still_theirs() {
    let app = TestApp::start().await;
    let company = app.company("acme").await;
    let line = company.department("Suporte").await;
    let boss = company.user("Boss", Role::Supervisor).await;
    let other = app.company("other").await.user("Boss", Role::Supervisor).await;
    put_many(&app, company.tenant, line, 10, app.now()).await;
    restrict(&app, "departments", SLOW).await;
    let mut held = Vec::new();
    for _ in 0..STREAMS_PER_COMPANY_MAX {
        let response = ask(&boss).await;
        assert_eq!(response.status(), 200);
        held.push(response);
    }
    let refused = boss.client.get("/api/v1/export/links.csv").await.expect(429);
    assert_eq!(refused.detail(), "Too many requests");
    assert_eq!(refused.header("retry-after"), Some("10"));
    assert_eq!(ask(&other).await.status(), 200);
    // They take turns: one of them asks, another one that found little does so in the second lane, eight wait.
    eventually("one asks", async || (reports(&app, "active").await > 0).then_some(())).await;
    assert!((1..=2).contains(&reports(&app, "active").await));
    drop(held);
    eventually("a place is free again", async || {
        let response = ask(&boss).await;
        (response.status() == 200).then_some(())
    })
    .await;
}

#[tokio::test]
async fn whole_batches_end_and_a_server_that_stops_breaks_off() {
    let app = TestApp::start().await;
    let company = app.company("acme").await;
    let line = company.department("Suporte").await;
    let boss = company.user("Boss", Role::Supervisor).await;
    put_many(&app, company.tenant, line, 3_000, app.now()).await;
    // Exactly three batches: the last one is found by an empty fourth.
    assert_eq!(file(&boss.client, "calls.csv").await.rows(CALLS_HEADER).len(), 3_000);
    let objects = file(&boss.client, "calls.csv?format=ndjson").await.objects();
    assert_eq!(objects.len(), 3_000);
    assert_eq!(objects[2_999]["customer_name"], "Customer 3000");
    // A server that stops breaks off what runs, and stops in time.
    restrict(&app, "departments", SLOW).await;
    let mut response = ask(&boss).await;
    assert_eq!(response.chunk().await.unwrap().unwrap(), CALLS_HEADER.as_bytes());
    tokio::time::timeout(Duration::from_secs(15), app.stop()).await.unwrap();
    assert!(response.chunk().await.is_err());
}
