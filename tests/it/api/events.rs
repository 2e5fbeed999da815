//! The event feed: `/api/v1/events` in pages and as a stream, what it keeps, and the timelines that come from it.

use std::time::Duration;

use reqwest::Method;
use reqwest::header::CONTENT_TYPE;
use serde_json::{Value, json};
use vez::domain::ids::TenantId;
use vez::domain::role::Role;
use vez::store::{LISTENERS_PER_COMPANY_MAX, feed};

use crate::harness::client::{Client, send};
use crate::harness::{PATIENCE, TestApp, eventually};

const EVENTS: &str = "/api/v1/events";
/// Customers of whom each joins and leaves.
const CUSTOMERS: usize = 8;

/// One event of a stream.
#[derive(Clone, Debug, PartialEq)]
struct Event {
    id: i64,
    kind: String,
    data: Value,
}

/// An open stream.
struct Stream {
    response: reqwest::Response,
    text: String,
    /// Comments that came.
    signs: usize,
}

impl Stream {
    /// Opens it; panics unless it is one.
    async fn open(client: &Client, query: &str, last: Option<i64>) -> Self {
        let response = ask(client, query, last).await;
        assert_eq!(response.status(), 200);
        assert_eq!(response.headers()[CONTENT_TYPE], "text/event-stream");
        Self { response, text: String::new(), signs: 0 }
    }

    /// The next event; `None` once the stream is over.
    async fn next(&mut self) -> Option<Event> {
        loop {
            while let Some((block, rest)) = self.text.split_once("\n\n") {
                let (block, rest) = (block.to_owned(), rest.to_owned());
                self.text = rest;
                let field = |name: &str| block.lines().find_map(|line| line.strip_prefix(&format!("{name}: ")));
                match (field("id"), field("event"), field("data")) {
                    (Some(id), Some(kind), Some(data)) => {
                        let data = serde_json::from_str(data).unwrap();
                        return Some(Event { id: id.parse().unwrap(), kind: kind.to_owned(), data });
                    }
                    _ => self.signs += usize::from(block == ":"),
                }
            }
            let chunk = tokio::time::timeout(PATIENCE, self.response.chunk()).await.expect("news of the stream");
            match chunk.ok().flatten() {
                Some(bytes) => self.text.push_str(std::str::from_utf8(&bytes).unwrap()),
                None => return None,
            }
        }
    }

    async fn take(&mut self, count: usize) -> Vec<Event> {
        let mut events = Vec::new();
        while events.len() < count {
            events.push(self.next().await.expect("the stream goes on"));
        }
        events
    }
}

async fn ask(client: &Client, query: &str, last: Option<i64>) -> reqwest::Response {
    let request = client.request(Method::GET, &format!("{EVENTS}{query}")).header("Accept", "text/event-stream");
    let request = match last {
        Some(last) => request.header("Last-Event-ID", last.to_string()),
        None => request,
    };
    request.send().await.unwrap()
}

/// Somebody joins by the link and leaves again: two facts.
async fn visit(app: &TestApp, tenant: TenantId, link: &str, name: &str) -> String {
    let joined = app.client().join(link, name).await.expect(200);
    let call = joined.data("call_id").to_owned();
    app.app.queues().leave(tenant, call.parse().unwrap()).await.unwrap();
    call
}

/// Throws away the facts of the company up to this number, as if they were old.
async fn forget(app: &TestApp, tenant: TenantId, upto: i64) {
    sqlx::query("UPDATE events SET at = '2001-01-01' WHERE tenant_id = $1 AND seq <= $2")
        .bind(tenant.0)
        .bind(upto)
        .execute(app.app.store().system())
        .await
        .unwrap();
    assert!(feed::sweep(app.app.store(), app.now() - Duration::from_secs(86_400)).await.unwrap() > 0);
}

fn seqs(page: &Value) -> Vec<i64> {
    page["data"].as_array().unwrap().iter().map(|fact| fact["seq"].as_i64().unwrap()).collect()
}

#[tokio::test]
async fn pages_follow_each_other_without_gaps_and_show_no_other_companys_facts() {
    let app = TestApp::start().await;
    let company = app.company("acme").await;
    let supervisor = company.user("Sergio", Role::Supervisor).await;
    let empty = supervisor.client.get(EVENTS).await.expect(200).body;
    let meta = json!({"after": 0, "has_more": false, "oldest_seq": 1, "last_seq": 0});
    assert_eq!(empty, json!({"data": [], "meta": meta}));

    let line = company.department("Line").await;
    let link = company.link(line).await;
    let other = app.company("other").await;
    let others = other.link(other.department("Line").await).await;
    let mut calls = Vec::new();
    for name in ["Ana", "Bia", "Caio"] {
        calls.push(visit(&app, company.tenant, &link, name).await);
        visit(&app, other.tenant, &others, "Zoe").await;
    }
    let first = supervisor.client.get(&format!("{EVENTS}?limit=4")).await.expect(200).body;
    assert_eq!(seqs(&first), [1, 2, 3, 4]);
    assert_eq!(first["meta"], json!({"after": 4, "has_more": true, "oldest_seq": 1, "last_seq": 6}));
    let joined = &first["data"][0];
    assert_eq!((&joined["kind"], &joined["call_id"]), (&json!("call_joined"), &json!(calls[0])));
    assert_eq!(joined["department_id"], json!(line));
    assert_eq!(joined["at"], "2025-06-02T12:00:00.000000Z");
    assert_eq!(first["data"][1]["data"]["end_reason"], "left");
    let rest = supervisor.client.get(&format!("{EVENTS}?after=4&limit=1000")).await.expect(200).body;
    assert_eq!((seqs(&rest), &rest["meta"]["has_more"]), (vec![5, 6], &json!(false)));
    let told: Vec<&Value> = first["data"].as_array().unwrap().iter().chain(rest["data"].as_array().unwrap()).collect();
    assert!(told.iter().all(|fact| calls.iter().any(|call| fact["call_id"] == json!(call))));
    let end = supervisor.client.get(&format!("{EVENTS}?after=6")).await.expect(200).body;
    assert_eq!((seqs(&end).len(), &end["meta"]["after"]), (0, &json!(6)));

    for query in ["?after=-1", "?after=x", "?limit=0", "?limit=1001"] {
        assert_eq!(supervisor.client.get(&format!("{EVENTS}{query}")).await.status, 400, "{query}");
    }
    let request = supervisor.client.request(Method::GET, EVENTS).header("Accept", "text/event-stream");
    send(request.header("Last-Event-ID", "x")).await.expect_error(400, "The header Last-Event-ID is invalid");
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stream_tells_everything_once_in_order_whoever_writes_at_the_same_time() {
    let app = TestApp::start().await;
    let company = app.company("acme").await;
    let supervisor = company.user("Sergio", Role::Supervisor).await;
    let link = company.link(company.department("Line").await).await;
    let other = app.company("other").await;
    let others = other.link(other.department("Line").await).await;
    let mut stream = Stream::open(&supervisor.client, "", None).await;
    let visits = (0..CUSTOMERS).map(|number| {
        let (app, link, others, tenant, other_tenant) = (&app, &link, &others, company.tenant, other.tenant);
        async move {
            visit(app, tenant, link, &format!("Customer {number}")).await;
            visit(app, other_tenant, others, "Zoe").await;
        }
    });
    let heard = async { stream.take(2 * CUSTOMERS).await };
    let (_, heard) = tokio::join!(futures_util::future::join_all(visits), heard);
    let ids: Vec<i64> = heard.iter().map(|event| event.id).collect();
    assert_eq!(ids, (1..=2 * CUSTOMERS as i64).collect::<Vec<_>>());
    // The page says the same.
    let page = supervisor.client.get(EVENTS).await.expect(200).body;
    let told: Vec<Value> = heard.iter().map(|event| event.data.clone()).collect();
    assert_eq!(page["data"], json!(told));
    assert!(heard.iter().all(|event| event.data["kind"] == json!(event.kind)));
    app.stop().await;
}

#[tokio::test]
async fn whoever_lost_his_connection_goes_on_where_he_was() {
    let app = TestApp::start().await;
    let company = app.company("acme").await;
    let supervisor = company.user("Sergio", Role::Supervisor).await;
    let link = company.link(company.department("Line").await).await;
    let mut stream = Stream::open(&supervisor.client, "", None).await;
    visit(&app, company.tenant, &link, "Ana").await;
    let last = stream.take(2).await[1].id;
    drop(stream);
    eventually("the listener is gone", async || (listeners(&app) == 0).then_some(())).await;
    visit(&app, company.tenant, &link, "Bia").await;
    // The header wins over the parameter that the page was first opened with.
    let mut again = Stream::open(&supervisor.client, "?after=0", Some(last)).await;
    visit(&app, company.tenant, &link, "Caio").await;
    let ids: Vec<i64> = again.take(4).await.iter().map(|event| event.id).collect();
    assert_eq!(ids, [3, 4, 5, 6]);
    let mut later = Stream::open(&supervisor.client, "?after=5", None).await;
    assert_eq!(later.next().await.unwrap().id, 6);
    app.stop().await;
}

fn listeners(app: &TestApp) -> usize {
    app.app.store().bells().feed.listeners()
}

#[tokio::test]
async fn a_quiet_stream_shows_that_it_lives_and_what_other_processes_wrote() {
    let app = TestApp::start().await;
    let company = app.company("acme").await;
    let supervisor = company.user("Sergio", Role::Supervisor).await;
    let mut stream = Stream::open(&supervisor.client, "", None).await;
    eventually("the stream sleeps", async || (listeners(&app) == 1).then_some(())).await;
    tokio::time::sleep(Duration::from_millis(100)).await;
    // Written without a bell.
    let mut tx = app.app.store().tenant_tx(company.tenant).await.unwrap();
    let event = vez::domain::record::RecordEvent {
        kind: "call_rated",
        at: app.now(),
        call_id: None,
        department_id: None,
        user_id: None,
        data: Value::Null,
    };
    vez::store::events::append(&mut tx, company.tenant, &[event]).await.unwrap();
    tx.commit().await.unwrap();
    app.advance(Duration::from_secs(15)).await;
    let told = stream.next().await.unwrap();
    assert_eq!((told.id, told.kind.as_str(), stream.signs), (1, "call_rated", 1));
    app.stop().await;
}

#[tokio::test]
async fn a_cursor_that_is_too_old_is_told_so_and_the_oldest_fact_named() {
    let app = TestApp::start().await;
    let company = app.company("acme").await;
    let supervisor = company.user("Sergio", Role::Supervisor).await;
    let link = company.link(company.department("Line").await).await;
    let mut calls = Vec::new();
    for name in ["Ana", "Bia", "Caio"] {
        calls.push(visit(&app, company.tenant, &link, name).await);
    }
    let timeline = async |call: &str| supervisor.client.get(&format!("/api/v1/calls/{call}/events")).await;
    forget(&app, company.tenant, 3).await;
    let too_old = json!({"errors": {
        "detail": "Events up to 3 are not kept any more; the oldest is 4", "code": "cursor_too_old"}});
    for after in [0, 1, 2] {
        let answer = supervisor.client.get(&format!("{EVENTS}?after={after}")).await.expect(410);
        assert_eq!(answer.body, too_old, "{after}");
        let stream = ask(&supervisor.client, "", Some(after)).await;
        assert_eq!(stream.status(), 410, "{after}");
        assert_eq!(stream.json::<Value>().await.unwrap(), too_old);
    }
    // Who has the last one that is gone misses nothing; who has none begins with what there is.
    for query in ["?after=3", ""] {
        let page = supervisor.client.get(&format!("{EVENTS}{query}")).await.expect(200).body;
        assert_eq!((seqs(&page), &page["meta"]["oldest_seq"]), (vec![4, 5, 6], &json!(4)), "{query}");
        assert_eq!(Stream::open(&supervisor.client, query, None).await.next().await.unwrap().id, 4);
    }
    // A number that was never given out, as after a backup was put back.
    let beyond = supervisor.client.get(&format!("{EVENTS}?after=7")).await.expect(410);
    assert_eq!(beyond.detail(), "There is no event 7; the newest is 6, the oldest 4");
    // Half a story is none.
    let gone =
        json!({"errors": {"detail": "What happened to this call is not kept any more", "code": "events_too_old"}});
    assert_eq!(timeline(&calls[0]).await.expect(410).body, gone);
    assert_eq!(timeline(&calls[1]).await.expect(410).body, gone);
    timeline(&calls[2]).await.expect(200);
    forget(&app, company.tenant, 6).await;
    let none = supervisor.client.get(EVENTS).await.expect(200).body;
    assert_eq!(none["meta"], json!({"after": 6, "has_more": false, "oldest_seq": 7, "last_seq": 6}));
    supervisor.client.get(&format!("{EVENTS}?after=5")).await.expect(410);
    supervisor.client.get(&format!("{EVENTS}?after=6")).await.expect(200);
    app.stop().await;
}

#[tokio::test]
async fn housekeeping_keeps_facts_for_their_days_and_the_feed_goes_on() {
    let app = TestApp::builder().config(|config| config.feed.event_retention_days = 30).start().await;
    let company = app.company("acme").await;
    let supervisor = company.user("Sergio", Role::Supervisor).await;
    let link = company.link(company.department("Line").await).await;
    visit(&app, company.tenant, &link, "Ana").await;
    app.advance(Duration::from_secs(31 * 86_400)).await;
    let (token, _) = company.log_in(supervisor.id, Role::Supervisor).await;
    let client = app.client_of(&token);
    let oldest = eventually("the facts are thrown away", async || {
        let page = client.get(EVENTS).await.expect(200).body;
        page["meta"]["oldest_seq"].as_i64().filter(|oldest| *oldest > 1)
    })
    .await;
    assert_eq!(oldest, 3);
    visit(&app, company.tenant, &link, "Bia").await;
    assert_eq!(seqs(&client.get(EVENTS).await.expect(200).body), [3, 4]);
    app.stop().await;
}

#[tokio::test]
async fn streams_end_with_the_login_the_role_and_the_token() {
    let app = TestApp::start().await;
    let company = app.company("acme").await;
    let owner = company.user("Olga", Role::Owner).await;
    let supervisor = company.user("Sergio", Role::Supervisor).await;
    let (second, _) = company.log_in(supervisor.id, Role::Supervisor).await;
    let mut first = Stream::open(&supervisor.client, "", None).await;
    let mut other = Stream::open(&app.client_of(&second), "", None).await;
    supervisor.client.post("/api/auth/logout", json!({})).await.expect(200);
    assert_eq!(first.next().await, None, "its login is over");
    eventually("the other login listens on", async || (listeners(&app) == 1).then_some(())).await;
    let path = format!("/api/v1/users/{}", supervisor.id);
    owner.client.put(&path, json!({"user": {"role": "attendant"}})).await.expect(200);
    assert_eq!(other.next().await, None, "the role is another");

    let made = json!({"api_token": {"name": "CRM", "role": "supervisor"}});
    let mut streams = Vec::new();
    for _ in 0..2 {
        let made = owner.client.post("/api/v1/api-tokens", made.clone()).await.expect(201);
        let stream = Stream::open(&app.client_of(made.data("token")), "", None).await;
        streams.push((made.id().to_owned(), stream));
    }
    owner.client.delete(&format!("/api/v1/api-tokens/{}", streams[0].0)).await.expect(200);
    assert_eq!(streams[0].1.next().await, None, "it was revoked");
    // By somebody else's process: noticed when the stream next looks.
    sqlx::query("DELETE FROM api_tokens WHERE id = $1::uuid")
        .bind(&streams[1].0)
        .execute(app.app.store().system())
        .await
        .unwrap();
    app.live_through(Duration::from_secs(31)).await;
    assert_eq!(streams[1].1.next().await, None, "it is gone");
    assert_eq!(listeners(&app), 0);
    app.stop().await;
}

#[tokio::test]
async fn listeners_are_bounded_for_each_company() {
    let app = TestApp::start().await;
    let supervisor = app.company("acme").await.user("Sergio", Role::Supervisor).await;
    let other = app.company("other").await.user("Olga", Role::Owner).await;
    let mut streams = Vec::new();
    for _ in 0..LISTENERS_PER_COMPANY_MAX {
        streams.push(Stream::open(&supervisor.client, "", None).await);
    }
    let refused = ask(&supervisor.client, "", None).await;
    assert_eq!(refused.status(), 429);
    assert!(refused.headers().contains_key("retry-after"));
    supervisor.client.get(EVENTS).await.expect(200);
    Stream::open(&other.client, "", None).await;
    streams.pop();
    eventually("its place is free", async || (listeners(&app) < LISTENERS_PER_COMPANY_MAX).then_some(())).await;
    Stream::open(&supervisor.client, "", None).await;
    app.stop().await;
}

#[tokio::test]
async fn a_reader_who_does_not_read_is_let_go() {
    let app = TestApp::start().await;
    let company = app.company("acme").await;
    let supervisor = company.user("Sergio", Role::Supervisor).await;
    // More than all buffers between here and there hold.
    let facts = 20_000;
    sqlx::query(
        "INSERT INTO events (tenant_id, seq, kind, at, data)
         SELECT $1, seq, 'call_rated', $3, jsonb_build_object('filler', repeat('x', 2000)) FROM generate_series(1, $2) AS seq",
    )
    .bind(company.tenant.0)
    .bind(facts)
    .bind(app.now().to_utc())
    .execute(app.app.store().system())
    .await
    .unwrap();
    sqlx::query("UPDATE tenant_counters SET event_seq = $2 WHERE tenant_id = $1")
        .bind(company.tenant.0)
        .bind(i64::from(facts))
        .execute(app.app.store().system())
        .await
        .unwrap();
    let stream = Stream::open(&supervisor.client, "", None).await;
    eventually("the stream has begun", async || (listeners(&app) == 1).then_some(())).await;
    // He reads nothing; that he is stuck shows only in that time passes.
    eventually("he is let go", async || {
        app.advance(Duration::from_secs(31)).await;
        (listeners(&app) == 0).then_some(())
    })
    .await;
    drop(stream);
    app.stop().await;
}

#[tokio::test]
async fn a_server_that_stops_ends_its_streams_at_once() {
    let app = TestApp::start().await;
    let supervisor = app.company("acme").await.user("Sergio", Role::Supervisor).await;
    let mut stream = Stream::open(&supervisor.client, "", None).await;
    let (ended, ()) = tokio::join!(stream.next(), app.stop());
    assert_eq!(ended, None);
}
