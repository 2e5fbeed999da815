//! `/api/v1/appointments/*` for staff.

use std::time::Duration;

use serde_json::{Value, json};
use vez::domain::ids::DepartmentId;
use vez::domain::role::Role;

use super::{NOBODY, each, keys};
use crate::harness::builders::{Company, Member};
use crate::harness::client::Answer;
use crate::harness::{TestApp, eventually};

/// `minutes` from the start of the test's clock, 12:00 UTC on 2 June 2025.
fn at(app: &TestApp, minutes: u64) -> String {
    app.now().plus_seconds(minutes * 60).to_string()
}

/// A body of a new appointment.
fn body(department: DepartmentId, scheduled_at: &str) -> Value {
    json!({"appointment": {"title": "Presentation meeting", "scheduled_at": scheduled_at, "duration_minutes": 45,
        "department_id": department, "customer_name": "Roberto Lima", "customer_email": "roberto@email.com",
        "customer_phone": "+5511966665544"}})
}

/// The same with other fields.
fn with(mut body: Value, fields: Value) -> Value {
    for (name, value) in fields.as_object().unwrap() {
        body["appointment"][name] = value.clone();
    }
    body
}

async fn make(member: &Member, body: Value) -> Answer {
    member.client.post("/api/v1/appointments", body).await
}

async fn act(member: &Member, id: &str, action: &str) -> Answer {
    member.client.post(&format!("/api/v1/appointments/{id}/{action}"), json!({})).await
}

async fn world(company: &Company<'_>) -> (DepartmentId, Member) {
    let line = company.department("Suporte Técnico").await;
    (line, company.agent("Joao Silva", &[line]).await)
}

#[tokio::test]
async fn an_appointment_is_made_for_the_caller_with_a_customer_and_a_link() {
    let app = TestApp::start().await;
    let acme = app.company("acme").await;
    let (line, joao) = world(&acme).await;
    let made = make(&joao, body(line, &at(&app, 120))).await.expect(201);
    let now = app.now().to_string();
    let data = &made.body["data"];
    let mut expected = json!({"id": made.id(), "title": "Presentation meeting", "description": null,
        "status": "scheduled", "scheduled_at": "2025-06-02T14:00:00Z", "duration_minutes": 45, "department_id": line,
        "department_name": "Suporte Técnico", "user_id": joao.id, "user_name": "Joao Silva",
        "customer_id": data["customer_id"], "customer_name": "Roberto Lima", "customer_email": "roberto@email.com",
        "customer_phone": "+5511966665544", "notes": null, "inserted_at": now, "updated_at": now,
        "cancellation_reason": null, "locale": "pt-BR", "link_id": data["link_id"], "join_url": data["join_url"]});
    assert_eq!(*data, expected);
    let path = format!("/api/v1/appointments/{}", made.id());
    assert_eq!(joao.client.get(&path).await.expect(200).body["data"], expected);

    let token = made.data("join_url").rsplit('/').next().unwrap().to_owned();
    let valid = app.client().get(&format!("/api/v1/call/{token}/validate")).await.expect(200);
    assert_eq!(valid.data("department_name"), "Suporte Técnico");

    // Known by his address the next time, whatever its case; the agent's language unless said otherwise.
    let again = with(
        body(line, &at(&app, 240)),
        json!({"customer_email": "ROBERTO@email.com", "customer_name": "R. Lima", "locale": "fr",
            "duration_minutes": null, "notes": "VIP"}),
    );
    let again = make(&joao, again).await.expect(201);
    assert_eq!(again.body["data"]["customer_id"], data["customer_id"]);
    assert_eq!(again.body["data"]["duration_minutes"], 30);
    assert_eq!((again.data("customer_name"), again.data("locale"), again.data("notes")), ("R. Lima", "fr", "VIP"));
    // Named by his id, he needs no name.
    let named = json!({"title": "Third", "scheduled_at": at(&app, 360), "department_id": line,
        "customer_id": data["customer_id"]});
    let named = make(&joao, named).await.expect(201);
    assert_eq!(named.data("customer_name"), "Roberto Lima");
    expected["customer_id"] = named.body["data"]["customer_id"].clone();
    assert_eq!(expected["customer_id"], data["customer_id"]);
}

#[tokio::test]
async fn a_wrong_appointment_is_refused_field_by_field_and_changes_nothing() {
    let app = TestApp::start().await;
    let acme = app.company("acme").await;
    let (line, joao) = world(&acme).await;
    let (other, theirs) = {
        let umbrella = app.company("umbrella").await;
        let (line, agent) = world(&umbrella).await;
        (line, agent)
    };
    let cases = [
        (
            json!({}),
            json!({"title": ["can't be blank"], "scheduled_at": ["can't be blank"],
            "department_id": ["can't be blank"], "customer_name": ["can't be blank"]}),
        ),
        (body(line, &app.now().to_string()), json!({"scheduled_at": ["must be in the future"]})),
        (body(line, "tomorrow"), json!({"scheduled_at": ["is invalid"]})),
        (body(other, &at(&app, 60)), json!({"department_id": ["does not exist"]})),
        (with(body(line, &at(&app, 60)), json!({"user_id": theirs.id})), json!({"user_id": ["does not exist"]})),
        (with(body(line, &at(&app, 60)), json!({"customer_id": NOBODY})), json!({"customer_id": ["does not exist"]})),
        (
            with(body(line, &at(&app, 60)), json!({"duration_minutes": 0})),
            json!({"duration_minutes": ["must be greater than or equal to 1"]}),
        ),
        (
            with(body(line, &at(&app, 60)), json!({"customer_email": "nobody"})),
            json!({"customer_email": ["has invalid format"]}),
        ),
        (with(body(line, &at(&app, 60)), json!({"locale": "de"})), json!({"locale": ["is invalid"]})),
    ];
    for (body, errors) in cases {
        let refused = make(&joao, body.clone()).await.expect(422);
        assert_eq!(refused.body, json!({"errors": errors}), "{body}");
    }
    let list = joao.client.get("/api/v1/appointments").await.expect(200);
    assert_eq!(list.body["meta"]["total_count"], 0);
    let customers = joao.client.get("/api/v1/customers").await.expect(200);
    assert_eq!(customers.body["meta"]["total_count"], 0);
    assert!(app.mails().is_empty());
}

#[tokio::test]
async fn an_agent_is_never_in_two_appointments_at_once() {
    let app = TestApp::start().await;
    let acme = app.company("acme").await;
    let (line, joao) = world(&acme).await;
    let ana = acme.agent("Ana", &[line]).await;
    // 13:00 to 13:45.
    let first = make(&joao, body(line, &at(&app, 60))).await.expect(201);
    let conflict = json!({"errors": {"scheduled_at": ["conflicts with another appointment"]}});
    for minutes in [30, 59, 60, 61, 104] {
        assert_eq!(make(&joao, body(line, &at(&app, minutes))).await.expect(422).body, conflict, "{minutes}");
    }
    // One may begin when another ends; another agent has his own calendar.
    make(&joao, body(line, &at(&app, 105))).await.expect(201);
    make(&joao, body(line, &at(&app, 15))).await.expect(201);
    make(&joao, with(body(line, &at(&app, 60)), json!({"user_id": ana.id}))).await.expect(201);

    let ask = async |query: String| {
        joao.client.get(&format!("/api/v1/appointments/conflicts?{query}")).await.expect(200).body["data"].clone()
    };
    let free = ask(format!("user_id={}&scheduled_at={}", joao.id, at(&app, 300))).await;
    assert_eq!(free, json!({"has_conflicts": false, "conflicts": []}));
    let whole = format!("user_id={}&scheduled_at={}&duration_minutes=45", joao.id, at(&app, 60));
    let found = ask(whole.clone()).await;
    assert_eq!((&found["has_conflicts"], each(&found["conflicts"], "id")), (&json!(true), vec![&json!(first.id())]));
    assert_eq!(ask(format!("{whole}&exclude_id={}", first.id())).await["has_conflicts"], false);
    for query in ["", "user_id=7", "user_id=00000000-0000-4000-8000-000000000000"] {
        joao.client.get(&format!("/api/v1/appointments/conflicts?{query}")).await.expect(400);
    }

    // What is over does not conflict.
    act(&joao, first.id(), "cancel").await.expect(200);
    make(&joao, body(line, &at(&app, 60))).await.expect(201);
}

#[tokio::test]
async fn of_many_who_want_the_same_time_at_once_one_gets_it() {
    let app = TestApp::start().await;
    let acme = app.company("acme").await;
    let (line, joao) = world(&acme).await;
    let wish = body(line, &at(&app, 60));
    let mut tries = tokio::task::JoinSet::new();
    for _ in 0..8 {
        let (joao, wish) = (joao.clone(), wish.clone());
        tries.spawn(async move { make(&joao, wish).await.status });
    }
    let mut statuses = tries.join_all().await;
    statuses.sort_unstable();
    assert_eq!(statuses, [201, 422, 422, 422, 422, 422, 422, 422]);
}

#[tokio::test]
async fn the_statuses_follow_their_rules() {
    let app = TestApp::start().await;
    let acme = app.company("acme").await;
    let (line, joao) = world(&acme).await;
    let closed = |status: &str| json!({"errors": {"code": "appointment_closed", "detail": format!("The appointment is {status} and stays so")}});
    for (number, (action, status)) in
        [("complete", "completed"), ("cancel", "cancelled"), ("no-show", "no_show")].into_iter().enumerate()
    {
        for confirmed_first in [false, true] {
            let start = 60 + 200 * number as u64 + if confirmed_first { 100 } else { 0 };
            let made = make(&joao, body(line, &at(&app, start))).await.expect(201);
            if confirmed_first {
                assert_eq!(act(&joao, made.id(), "confirm").await.expect(200).data("status"), "confirmed");
                assert_eq!(act(&joao, made.id(), "confirm").await.expect(200).data("status"), "confirmed");
            }
            assert_eq!(act(&joao, made.id(), action).await.expect(200).data("status"), status);
            // Again is the same; everything else comes too late.
            assert_eq!(act(&joao, made.id(), action).await.expect(200).data("status"), status);
            for other in ["confirm", "complete", "cancel", "no-show"].into_iter().filter(|other| *other != action) {
                assert_eq!(act(&joao, made.id(), other).await.expect(422).body, closed(status), "{status} {other}");
            }
            let path = format!("/api/v1/appointments/{}", made.id());
            let moved = joao.client.put(&path, json!({"scheduled_at": at(&app, 5_000)})).await.expect(422);
            assert_eq!(moved.body, closed(status));
            let noted = joao.client.put(&path, json!({"appointment": {"notes": "He called back"}})).await.expect(200);
            assert_eq!((noted.data("notes"), noted.data("status")), ("He called back", status));
        }
    }
    for action in ["confirm", "complete", "cancel", "no-show"] {
        act(&joao, NOBODY, action).await.expect_error(404, "Not found");
    }
}

#[tokio::test]
async fn cancelling_keeps_the_reason_tells_the_customer_and_closes_the_link() {
    let app = TestApp::start().await;
    let acme = app.company("acme").await;
    let (line, joao) = world(&acme).await;
    let made = make(&joao, with(body(line, &at(&app, 60)), json!({"locale": "en"}))).await.expect(201);
    let token = made.data("join_url").rsplit('/').next().unwrap().to_owned();
    app.until_mails(1).await;
    let path = format!("/api/v1/appointments/{}/cancel", made.id());
    let cancelled = joao.client.post(&path, json!({"reason": "Customer requested rescheduling"})).await.expect(200);
    assert_eq!(cancelled.data("cancellation_reason"), "Customer requested rescheduling");
    app.client().get(&format!("/api/v1/call/{token}/validate")).await.expect(404);
    let mails = app.until_mails(2).await;
    assert_eq!(mails[1].subject, "Appointment cancelled: Presentation meeting");
    assert!(mails[1].text.contains("Reason: Customer requested rescheduling"), "{}", mails[1].text);
    app.advance(Duration::from_secs(3_600)).await;
    assert_eq!(app.mails().len(), 2, "nobody is reminded of a cancelled appointment");
}

#[tokio::test]
async fn moving_an_appointment_checks_again_and_asks_the_customer_again() {
    let app = TestApp::start().await;
    let acme = app.company("acme").await;
    let (line, joao) = world(&acme).await;
    let ana = acme.agent("Ana", &[line]).await;
    let made = make(&joao, body(line, &at(&app, 60))).await.expect(201);
    make(&joao, body(line, &at(&app, 200))).await.expect(201);
    act(&joao, made.id(), "confirm").await.expect(200);
    let path = format!("/api/v1/appointments/{}", made.id());
    let put = async |fields: Value| joao.client.put(&path, json!({"appointment": fields})).await;

    let conflict = json!({"errors": {"scheduled_at": ["conflicts with another appointment"]}});
    assert_eq!(put(json!({"scheduled_at": at(&app, 190)})).await.expect(422).body, conflict);
    let past = put(json!({"scheduled_at": "2025-06-02T11:00:00Z"})).await.expect(422).body;
    assert_eq!(past, json!({"errors": {"scheduled_at": ["must be in the future"]}}));
    for (field, value) in [("user_id", json!(NOBODY)), ("department_id", json!(NOBODY)), ("customer_id", json!(NOBODY))]
    {
        let mut fields = json!({});
        fields[field] = value;
        assert_eq!(put(fields).await.expect(422).body["errors"][field], json!(["does not exist"]));
    }
    let same = joao.client.get(&path).await.expect(200);
    assert_eq!((same.data("status"), same.data("scheduled_at")), ("confirmed", "2025-06-02T13:00:00Z"));

    // Its own time is no conflict, and what is absent stays.
    let moved = put(json!({"scheduled_at": at(&app, 75), "description": "Bring papers"})).await.expect(200);
    assert_eq!((moved.data("status"), moved.data("scheduled_at")), ("scheduled", "2025-06-02T13:15:00Z"));
    assert_eq!((moved.data("description"), moved.data("title")), ("Bring papers", "Presentation meeting"));
    // The first one's mail, the second one's, and the news.
    assert_eq!(app.until_mails(3).await.len(), 3);
    // Texts alone are no news to the customer.
    assert_eq!(put(json!({"description": null})).await.expect(200).body["data"]["description"], json!(null));
    // Another agent, told; and the one who lost it is the caller himself.
    let given = put(json!({"user_id": ana.id})).await.expect(200);
    assert_eq!(given.data("user_name"), "Ana");
    assert_eq!(app.until_mails(4).await.len(), 4);
    let told = ana.client.get("/api/v1/notifications").await.expect(200).body;
    assert_eq!(each(&told["data"], "type"), ["appointment_rescheduled"]);
    joao.client.put(&format!("/api/v1/appointments/{NOBODY}"), json!({})).await.expect_error(404, "Not found");
}

#[tokio::test]
async fn the_list_is_filtered_sorted_and_paged() {
    let app = TestApp::start().await;
    let acme = app.company("acme").await;
    let (line, joao) = world(&acme).await;
    let sales = acme.department("Sales").await;
    let ana = acme.agent("Ana", &[sales]).await;
    let titled = |department, minutes, title: &str| with(body(department, &at(&app, minutes)), json!({"title": title}));
    // 13:00, 14:00, and 03:30 UTC of the next day: half past midnight in São Paulo.
    let first = make(&joao, titled(line, 60, "first")).await.expect(201);
    make(&ana, titled(sales, 120, "second")).await.expect(201);
    make(&joao, titled(line, 930, "third")).await.expect(201);
    act(&joao, first.id(), "confirm").await.expect(200);
    let titles = async |query: &str| {
        let list = joao.client.get(&format!("/api/v1/appointments?{query}")).await.expect(200).body;
        each(&list["data"], "title").iter().map(|title| title.as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(titles("").await, ["first", "second", "third"]);
    assert_eq!(titles("sort_by=title&sort_order=desc&page_size=2").await, ["third", "second"]);
    assert_eq!(titles("page_size=2&page=2").await, ["third"]);
    assert_eq!(titles("status=confirmed").await, ["first"]);
    assert_eq!(titles(&format!("user_id={}", ana.id)).await, ["second"]);
    assert_eq!(titles(&format!("department_id={line}")).await, ["first", "third"]);
    assert_eq!(titles("date_from=2025-06-03").await, ["third"]);
    assert_eq!(titles("date_to=2025-06-02").await, ["first", "second"]);
    assert_eq!(titles("date_from=2025-06-02T13:30:00Z&date_to=2025-06-02T14:00:00Z").await, ["second"]);
    assert_eq!(titles("user_id=00000000-0000-4000-8000-000000000000").await, [] as [&str; 0]);
    for bad in ["status=open", "date_from=soon", "sort_by=color", "user_id=7", "page_size=101"] {
        let field = bad.split('=').next().unwrap();
        let refused = joao.client.get(&format!("/api/v1/appointments?{bad}")).await;
        refused.expect_error(400, &format!("The parameter {field} is invalid"));
    }
    let list = joao.client.get("/api/v1/appointments?page_size=2").await.expect(200).body;
    assert_eq!(list["meta"], json!({"current_page": 1, "page_size": 2, "total_pages": 2, "total_count": 3}));
    assert!(keys(&list["data"][0]).contains(&"cancellation_reason"));
}

#[tokio::test]
async fn the_same_creation_sent_twice_is_one_appointment_and_one_mail() {
    let app = TestApp::start().await;
    let acme = app.company("acme").await;
    let (line, joao) = world(&acme).await;
    let wish = body(line, &at(&app, 60));
    let send = async || {
        let request = joao.client.request(reqwest::Method::POST, "/api/v1/appointments").json(&wish);
        crate::harness::client::send(request.header("Idempotency-Key", "k-1")).await.expect(201)
    };
    let (first, second) = (send().await, send().await);
    assert_eq!(first.body, second.body);
    app.until_mails(1).await;
    eventually("the list to hold one", async || {
        let list = joao.client.get("/api/v1/appointments").await.expect(200).body;
        (list["meta"]["total_count"] == 1).then_some(())
    })
    .await;
    assert_eq!(app.mails().len(), 1);
}

#[tokio::test]
async fn another_company_sees_and_changes_nothing() {
    let app = TestApp::start().await;
    let acme = app.company("acme").await;
    let (line, joao) = world(&acme).await;
    let made = make(&joao, body(line, &at(&app, 60))).await.expect(201);
    let umbrella = app.company("umbrella").await;
    let thief = umbrella.user("Thief", Role::Owner).await;
    let path = format!("/api/v1/appointments/{}", made.id());
    thief.client.get(&path).await.expect_error(404, "Not found");
    thief.client.put(&path, json!({"title": "Mine"})).await.expect_error(404, "Not found");
    for action in ["confirm", "cancel", "complete", "no-show"] {
        act(&thief, made.id(), action).await.expect_error(404, "Not found");
    }
    let found = thief
        .client
        .get(&format!("/api/v1/appointments/conflicts?user_id={}&scheduled_at={}", joao.id, at(&app, 60)))
        .await
        .expect(200);
    assert_eq!(found.body["data"]["has_conflicts"], false);
}

#[tokio::test]
async fn an_appointment_follows_its_customer_through_a_merge_and_forgets_him_with_his_erasure() {
    let app = TestApp::start().await;
    let acme = app.company("acme").await;
    let (line, joao) = world(&acme).await;
    let boss = acme.user("Boss", Role::Supervisor).await;
    let made = make(&joao, body(line, &at(&app, 60))).await.expect(201);
    let survivor = joao.client.post("/api/v1/customers", json!({"name": "Roberto de Lima"})).await.expect(201);
    let merge = json!({"customer_id": survivor.id(), "duplicate_ids": [made.data("customer_id")]});
    boss.client.post("/api/v1/customers/merge", merge).await.expect(200);
    let path = format!("/api/v1/appointments/{}", made.id());
    assert_eq!(joao.client.get(&path).await.expect(200).data("customer_id"), survivor.id());

    joao.client.delete(&format!("/api/v1/customers/{}", survivor.id())).await.expect(200);
    let shown = joao.client.get(&path).await.expect(200);
    assert_eq!(shown.data("customer_name"), "");
    assert_eq!(shown.body["data"]["customer_email"], json!(null));
}

#[tokio::test]
async fn webhooks_hear_of_everything_that_happens_to_an_appointment_and_the_trail_names_who_did_it() {
    let app = TestApp::start().await;
    let acme = app.company("acme").await;
    let (line, joao) = world(&acme).await;
    let boss = acme.user("Boss", Role::Manager).await;
    let events: Vec<String> = ["created", "updated", "confirmed", "cancelled", "completed", "no_show"]
        .into_iter()
        .map(|event| format!("appointment.{event}"))
        .collect();
    let hook = json!({"url": "https://hooks.example.com/vez", "events": events});
    let hook = boss.client.post("/api/v1/webhooks", hook).await.expect(201);
    for (number, last) in ["cancel", "complete", "no-show"].into_iter().enumerate() {
        let made = make(&joao, body(line, &at(&app, 60 + 100 * number as u64))).await.expect(201);
        let path = format!("/api/v1/appointments/{}", made.id());
        joao.client.put(&path, json!({"notes": "x"})).await.expect(200);
        act(&joao, made.id(), "confirm").await.expect(200);
        act(&joao, made.id(), "confirm").await.expect(200);
        act(&joao, made.id(), last).await.expect(200);
        let trail = boss.client.get(&format!("/api/v1/audit?object_id={}", made.id())).await.expect(200).body;
        let users = each(&trail["data"], "user_id");
        assert!(users.len() >= 3 && users.iter().all(|user| **user == json!(joao.id)), "{trail}");
        assert!(!trail.to_string().contains("roberto@email.com"), "{trail}");
    }
    let path = format!("/api/v1/webhooks/{}/deliveries?page_size=100", hook.id());
    let list = boss.client.get(&path).await.expect(200).body;
    let mut told: Vec<String> =
        each(&list["data"], "event").iter().map(|event| event.as_str().unwrap().to_owned()).collect();
    told.sort();
    let mut expected: Vec<String> = Vec::new();
    for (event, times) in
        [("cancelled", 1), ("completed", 1), ("confirmed", 3), ("created", 3), ("no_show", 1), ("updated", 3)]
    {
        expected.extend(std::iter::repeat_n(format!("appointment.{event}"), times));
    }
    assert_eq!(told, expected);
}
