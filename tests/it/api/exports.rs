//! `/api/v1/export/*`: who may have what, which rows are in the files, and that their figures are those of the lists.

use std::time::Duration;

use serde_json::{Value, json};
use vez::domain::role::Role;

use super::NOBODY;
use super::exported::{CALLS_HEADER, CUSTOMERS_HEADER, Call, LINKS_HEADER, file, put, time};
use crate::harness::TestApp;

#[tokio::test]
async fn a_call_is_exported_as_voki_shows_it() {
    let app = TestApp::start().await;
    let company = app.company("acme").await;
    let line = company.department("Suporte Técnico").await;
    let agent = company.agent("João Silva", &[line]).await;
    let boss = company.user("Boss", Role::Supervisor).await;
    let link = company.link(line).await;
    let contacts = json!({"name": "Carlos Ferreira", "email": "carlos@email.com"});
    let joined = app.client().post(&format!("/api/v1/call/{link}/join"), contacts).await.expect(200);
    let call = joined.data("call_id");
    app.advance(Duration::from_millis(12_900)).await;
    agent.client.act(call, "assign").await.expect(200);
    app.advance(Duration::from_secs(5)).await;
    agent.client.act(call, "start").await.expect(200);
    let started = app.now();
    app.advance(Duration::from_millis(34_100)).await;
    agent.client.act(call, "complete").await.expect(200);
    let completed = app.now();
    let customer = app.client_of(joined.data("websocket_token"));
    customer.post(&format!("/api/v1/call/evaluate/{call}"), json!({"rating": 5})).await.expect(200);
    let other = app.client().join(&link, "Ana").await.expect(200);

    let calls = file(&boss.client, "calls.csv?date_from=2025-06-01&date_to=2025-06-02").await;
    assert_eq!(calls.content_type, "text/csv; charset=utf-8");
    assert_eq!(calls.disposition, "attachment; filename=\"calls_2025-06-01_2025-06-02.csv\"");
    let (started, completed) = (started.to_string(), completed.to_string());
    assert_eq!(
        calls.text,
        format!(
            "{CALLS_HEADER}{call},completed,Suporte Técnico,João Silva,Carlos Ferreira,carlos@email.com,35,12,5,{started},\
             {completed}\r\n{},queued,Suporte Técnico,,Ana,,,,,,\r\n",
            other.data("call_id")
        )
    );

    let lines = file(&boss.client, "calls.csv?format=ndjson").await;
    assert_eq!(lines.content_type, "application/x-ndjson");
    assert_eq!(lines.disposition, "attachment; filename=\"calls_2025-05-03_2025-06-02.ndjson\"");
    let expected = json!([
        {"id": call, "status": "completed", "department": "Suporte Técnico", "attendant": "João Silva",
         "customer_name": "Carlos Ferreira", "customer_email": "carlos@email.com", "duration": 35, "wait_time": 12,
         "rating": 5, "started_at": started, "completed_at": completed},
        {"id": other.data("call_id"), "status": "queued", "department": "Suporte Técnico", "attendant": null,
         "customer_name": "Ana", "customer_email": null, "duration": null, "wait_time": null, "rating": null,
         "started_at": null, "completed_at": null}]);
    assert_eq!(Value::from(lines.objects()), expected);
    // The same figures and names as in the list.
    let list = boss.client.get("/api/v1/calls?sort_order=asc").await.expect(200).body;
    let same = [
        ("department", "department_name"),
        ("attendant", "user_name"),
        ("duration", "duration"),
        ("wait_time", "wait_time"),
        ("rating", "rating"),
        ("started_at", "started_at"),
        ("completed_at", "completed_at"),
    ];
    for (index, object) in lines.objects().iter().enumerate() {
        for (column, field) in same {
            assert_eq!(object[column], list["data"][index][field], "{column}");
        }
    }
}

#[tokio::test]
async fn a_range_is_of_whole_days_of_the_companys_zone() {
    let app = TestApp::start().await;
    let company = app.company("acme").await;
    let line = company.department("Suporte").await;
    let boss = company.user("Boss", Role::Supervisor).await;
    // The last and first moments of 1 February in São Paulo, and those beside them; one over the midnight; 2024 and 2017,
    // when 15 October began at one o'clock.
    let joins = [
        "2026-02-01T02:59:59Z",
        "2026-02-01T03:00:00Z",
        "2026-02-02T02:59:59Z",
        "2026-02-02T03:00:00Z",
        "2024-03-01T12:00:00Z",
        "2017-10-15T02:59:59Z",
        "2017-10-15T03:00:00Z",
    ];
    let mut ids = Vec::new();
    for (number, join) in joins.iter().enumerate() {
        let ended = Call { status: "missed", completed: Some(120), ..Call::waiting(line, time(join)) };
        ids.push(put(&app, company.tenant, number as i64 + 1, &ended).await.to_string());
    }
    let of = async |query: &str| file(&boss.client, &format!("calls.csv?{query}")).await.ids(CALLS_HEADER);
    assert_eq!(of("date_from=2026-02-01&date_to=2026-02-01").await, ids[1..3]);
    assert_eq!(of("date_from=2026-01-31&date_to=2026-01-31").await, ids[..1]);
    assert_eq!(of("date_from=2017-10-15&date_to=2017-10-15").await, ids[6..]);
    assert_eq!(of("date_from=2017-10-14&date_to=2017-10-14").await, ids[5..6]);
    // Moments may be given, too, with any offset.
    assert_eq!(of("date_from=2026-02-01T00:00:00-03:00&date_to=2026-02-02T02:59:58Z").await, ids[1..2]);
    // Two years, the oldest first; an empty range; the default, which has none of them.
    assert_eq!(of("date_from=2024-02-03&date_to=2026-02-02").await, [&ids[4..5], &ids[..4]].concat());
    assert_eq!(of("date_from=2020-01-01&date_to=2020-12-31").await, [] as [String; 0]);
    assert_eq!(of("").await, [] as [String; 0]);
    // Without a beginning it begins 30 days before its end.
    assert_eq!(of("date_to=2026-03-03").await, ids[1..4]);
    assert_eq!(of("date_to=2026-03-04").await, ids[3..4]);
}

#[tokio::test]
async fn a_range_that_ends_before_it_begins_is_refused() {
    let app = TestApp::start().await;
    let boss = app.company("acme").await.user("Boss", Role::Supervisor).await;
    let expected = json!({"errors": {"date_from": ["must not be after date_to"]}});
    for query in [
        "date_from=2026-02-02&date_to=2026-02-01",
        "date_from=2025-06-03",
        "date_from=2026-02-01T12:00:01Z&date_to=2026-02-01T12:00:00Z",
    ] {
        let answer = boss.client.get(&format!("/api/v1/export/calls.csv?{query}")).await.expect(400);
        assert_eq!(answer.body, expected, "{query}");
    }
    for (query, name) in [
        ("date_from=yesterday", "date_from"),
        ("date_to=2026-02-30", "date_to"),
        ("status=ringing", "status"),
        ("department_id=7", "department_id"),
        ("format=xlsx", "format"),
    ] {
        let path = format!("/api/v1/export/calls.csv?{query}");
        boss.client.get(&path).await.expect_error(400, &format!("The parameter {name} is invalid"));
    }
    for path in ["links.csv?status=gone", "links.csv?department_id=x", "links.csv?format=pdf", "customers.csv?format="]
    {
        let answer = boss.client.get(&format!("/api/v1/export/{path}")).await;
        assert_eq!(answer.status, if path.ends_with('=') { 200 } else { 400 }, "{path}: {answer:?}");
    }
}

#[tokio::test]
async fn calls_are_filtered_by_status_and_department() {
    let app = TestApp::start().await;
    let company = app.company("acme").await;
    let (line, other) = (company.department("Suporte").await, company.department("Vendas").await);
    let boss = company.user("Boss", Role::Supervisor).await;
    let mut ids = Vec::new();
    for (number, (department, status)) in
        [(line, "missed"), (line, "completed"), (other, "missed"), (other, "cancelled"), (other, "queued")]
            .into_iter()
            .enumerate()
    {
        let call = Call { status, ..Call::waiting(department, app.now().plus_seconds(number as u64)) };
        ids.push(put(&app, company.tenant, number as i64 + 1, &call).await.to_string());
    }
    let of = async |query: &str| file(&boss.client, &format!("calls.csv?{query}")).await.ids(CALLS_HEADER);
    assert_eq!(of("").await, ids);
    assert_eq!(of("status=missed").await, [ids[0].clone(), ids[2].clone()]);
    assert_eq!(of("status=queued").await, ids[4..]);
    assert_eq!(of(&format!("department_id={other}")).await, ids[2..]);
    assert_eq!(of(&format!("department_id={line}&status=completed")).await, ids[1..2]);
    assert_eq!(of("status=active").await, [] as [String; 0]);
    assert_eq!(of(&format!("department_id={NOBODY}")).await, [] as [String; 0]);
}

#[tokio::test]
async fn another_companys_rows_never_appear() {
    let app = TestApp::start().await;
    let (mine, theirs) = (app.company("acme").await, app.company("other").await);
    let mut tables = Vec::new();
    for company in [&mine, &theirs] {
        let line = company.department(&format!("Line of {}", company.slug)).await;
        let boss = company.user("Boss", Role::Supervisor).await;
        let link = company.link(line).await;
        app.client().join(&link, &format!("Customer of {}", company.slug)).await.expect(200);
        tables.push((line, boss));
    }
    let (department, _) = &tables[1];
    let boss = &tables[0].1;
    for (path, header) in
        [("calls.csv", CALLS_HEADER), ("customers.csv", CUSTOMERS_HEADER), ("links.csv", LINKS_HEADER)]
    {
        let all = file(&boss.client, path).await;
        assert_eq!(all.rows(header).len(), 1, "{path}: {}", all.text);
        assert!(!all.text.contains("other"), "{path}: {}", all.text);
        if path != "customers.csv" {
            let foreign = file(&boss.client, &format!("{path}?department_id={department}")).await;
            assert_eq!(foreign.text, header, "{path}");
        }
    }
}

#[tokio::test]
async fn attendants_export_nothing() {
    let app = TestApp::start().await;
    let company = app.company("acme").await;
    let agent = company.agent("Ana", &[]).await;
    for path in ["calls.csv", "customers.csv", "links.csv"] {
        agent.client.get(&format!("/api/v1/export/{path}")).await.expect_error(403, "Forbidden");
        app.client().get(&format!("/api/v1/export/{path}")).await.expect_error(401, "Unauthorized");
    }
}

#[tokio::test]
async fn customers_have_the_figures_of_their_list() {
    let app = TestApp::start().await;
    let company = app.company("acme").await;
    let line = company.department("Suporte").await;
    let agent = company.agent("Ana", &[line]).await;
    let boss = company.user("Boss", Role::Supervisor).await;
    let link = company.link(line).await;
    let body = json!({"name": "Carlos Ferreira", "email": "carlos@email.com", "phone": "+5511999998888",
        "document": "123.456.789-00"});
    let carlos = boss.client.post("/api/v1/customers", body).await.expect(201);
    app.advance(Duration::from_secs(1)).await;
    boss.client.post("/api/v1/customers", json!({"name": "Nobody"})).await.expect(201);
    app.advance(Duration::from_secs(1)).await;
    let join = async |email: &str| {
        let contacts = json!({"name": "Carlos", "email": email});
        let joined = app.client().post(&format!("/api/v1/call/{link}/join"), contacts).await.expect(200);
        app.advance(Duration::from_secs(5)).await;
        joined.data("call_id").to_owned()
    };
    // The call that joined last is not the one that started last.
    let (first, second) = (join("carlos@email.com").await, join("carlos@email.com").await);
    for action in ["assign", "start", "complete"] {
        agent.client.act(&second, action).await.expect(200);
    }
    app.advance(Duration::from_secs(20)).await;
    for action in ["assign", "start", "complete"] {
        agent.client.act(&first, action).await.expect(200);
    }
    app.advance(Duration::from_secs(20)).await;
    // Somebody else, who turns out to be Carlos while he waits, and somebody who joined once.
    join("c.ferreira@work.example").await;
    join("ana@email.com").await;
    let list = boss.client.get("/api/v1/customers?search=c.ferreira").await.expect(200).body;
    let body = json!({"customer_id": carlos.id(), "duplicate_ids": [list["data"][0]["id"]]});
    boss.client.post("/api/v1/customers/merge", body).await.expect(200);

    let customers = file(&boss.client, "customers.csv?format=ndjson").await;
    assert_eq!(customers.disposition, "attachment; filename=\"customers_2025-06-02.ndjson\"");
    let list = boss.client.get("/api/v1/customers?sort_by=inserted_at").await.expect(200).body;
    assert_eq!(customers.objects().len(), 3);
    for (object, listed) in customers.objects().iter().zip(list["data"].as_array().unwrap()) {
        for (column, field) in [
            ("id", "id"),
            ("name", "name"),
            ("email", "email"),
            ("phone", "phone"),
            ("document", "document"),
            ("call_count", "call_count"),
            ("last_call_at", "last_call_at"),
            ("created_at", "inserted_at"),
        ] {
            assert_eq!(object[column], listed[field], "{column} of {listed}");
        }
    }
    assert_eq!(customers.objects()[0]["call_count"], 3);
    assert_eq!(customers.objects()[1]["last_call_at"], Value::Null);
    let rows = file(&boss.client, "customers.csv").await;
    let last = customers.objects()[0]["last_call_at"].as_str().unwrap().to_owned();
    assert_eq!(
        rows.rows(CUSTOMERS_HEADER)[0],
        format!(
            "{},Carlos Ferreira,carlos@email.com,+5511999998888,123.456.789-00,3,{last},{}",
            carlos.id(),
            carlos.data("inserted_at")
        )
    );
}

#[tokio::test]
async fn links_have_the_statuses_of_their_list() {
    let app = TestApp::start().await;
    let company = app.company("acme").await;
    let (line, other) = (company.department("Suporte Técnico").await, company.department("Vendas").await);
    let boss = company.user("Boss", Role::Supervisor).await;
    let customer =
        boss.client.post("/api/v1/customers", json!({"name": "Bia", "email": "bia@x.example"})).await.expect(201);
    let make = async |fields: Value| {
        let made = boss.client.post("/api/v1/access-links", fields).await.expect(201);
        app.advance(Duration::from_secs(1)).await;
        made
    };
    let tomorrow = app.now().plus_seconds(86_400).to_string();
    let used = make(json!({"department_id": line, "single_use": true, "customer_name": "Carlos Ferreira",
        "customer_email": "carlos@email.com", "expires_at": tomorrow}))
    .await;
    let cancelled = make(json!({"department_id": line})).await;
    let expired = make(json!({"department_id": other, "expires_at": app.now().plus_seconds(60).to_string()})).await;
    let active = make(json!({"department_id": other, "customer_id": customer.id()})).await;
    app.client().join(used.data("token"), "Carlos").await.expect(200);
    let used_at = app.now().to_string();
    boss.client.act_on_link(cancelled.id(), "cancel").await.expect(200);
    app.advance(Duration::from_secs(120)).await;

    let all = file(&boss.client, "links.csv").await;
    assert_eq!(all.content_type, "text/csv; charset=utf-8");
    assert_eq!(all.disposition, "attachment; filename=\"links_2025-06-02.csv\"");
    let rows = all.rows(LINKS_HEADER);
    assert_eq!(
        rows[0],
        format!(
            "{},{},used,Suporte Técnico,Carlos Ferreira,carlos@email.com,{tomorrow},{used_at},{}",
            used.id(),
            used.data("token"),
            used.data("inserted_at")
        )
    );
    assert_eq!(
        rows[1],
        format!(
            "{},{},cancelled,Suporte Técnico,,,,,{}",
            cancelled.id(),
            cancelled.data("token"),
            cancelled.data("inserted_at")
        )
    );
    assert_eq!(
        rows[3],
        format!(
            "{},{},active,Vendas,Bia,bia@x.example,,,{}",
            active.id(),
            active.data("token"),
            active.data("inserted_at")
        )
    );
    for (status, link) in [("used", &used), ("cancelled", &cancelled), ("expired", &expired), ("active", &active)] {
        let some = file(&boss.client, &format!("links.csv?status={status}")).await;
        assert_eq!(some.ids(LINKS_HEADER), [link.id()], "{status}");
        assert_eq!(some.rows(LINKS_HEADER)[0].split(',').nth(2), Some(status));
    }
    let some = file(&boss.client, &format!("links.csv?department_id={other}")).await;
    assert_eq!(some.ids(LINKS_HEADER), [expired.id(), active.id()]);
    let objects = file(&boss.client, "links.csv?format=ndjson&status=active").await.objects();
    assert_eq!(objects[0]["token"], active.body["data"]["token"]);
    assert_eq!(objects[0]["expires_at"], Value::Null);
}
