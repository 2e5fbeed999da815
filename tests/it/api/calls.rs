//! `/api/v1/calls/*`: what staff see of calls and do to them.

use std::time::Duration;

use serde_json::{Value, json};
use vez::domain::role::Role;
use vez::store::departments::{self, DepartmentChange};
use vez::store::tenants::Plan;

use super::{NOBODY, each};
use crate::harness::TestApp;
use crate::harness::builders::Member;
use crate::harness::client::Answer;

async fn assign(by: &Member, call: &str, to: &Member) -> Answer {
    by.client.post(&format!("/api/v1/calls/{call}/assign"), json!({"user_id": to.id})).await
}

/// That the call is as it was: a refusal changes nothing.
async fn show(by: &Member, call: &str) -> Value {
    by.client.get(&format!("/api/v1/calls/{call}")).await.expect(200).body
}

#[tokio::test]
async fn a_call_has_vokis_fields_and_ours() {
    let app = TestApp::start().await;
    let company = app.company("acme").await;
    let line = company.department("Suporte").await;
    let ana = company.agent("Ana", &[line]).await;
    let link = company.link(line).await;
    let body = json!({"name": "Carlos", "email": "carlos@email.com", "phone": "+5511988887777", "reason": "Não liga"});
    let joined = app.client().post(&format!("/api/v1/call/{link}/join"), body).await.expect(200);
    let call = joined.data("call_id");
    app.advance(Duration::from_secs(8)).await;
    ana.client.act(call, "assign").await.expect(200);
    app.advance(Duration::from_secs(4)).await;
    ana.client.act(call, "start").await.expect(200);
    app.advance(Duration::from_secs(30)).await;
    let done = ana.client.act(call, "complete").await.expect(200);
    assert_eq!(show(&ana, call).await, done.body, "the command and the record say the same");
    let mut shown = done.body.clone();
    for path in [
        "/data/id",
        "/data/department_id",
        "/data/user_id",
        "/data/customer_id",
        "/data/link_id",
        "/data/last_offer/offer_id",
        "/data/last_offer/user_id",
    ] {
        *shown.pointer_mut(path).unwrap() = json!("an id");
    }
    insta::assert_json_snapshot!("call", shown);
}

#[tokio::test]
async fn the_same_command_by_the_same_agent_is_answered_alike() {
    let app = TestApp::start().await;
    let company = app.company("acme").await;
    let line = company.department("Suporte").await;
    let ana = company.agent("Ana", &[line]).await;
    let joined = app.client().join(&company.link(line).await, "Maria").await.expect(200);
    let call = joined.data("call_id");
    for (action, phase) in [("assign", "assigned"), ("start", "active"), ("complete", "ended")] {
        let first = ana.client.act(call, action).await.expect(200);
        assert_eq!(first.data("phase"), phase);
        app.advance(Duration::from_secs(1)).await;
        assert_eq!(ana.client.act(call, action).await.expect(200).body, first.body, "{action}");
    }
    // Also once the queue has forgotten the call and only the record knows it.
    app.advance(Duration::from_secs(10 * 60)).await;
    let before = show(&ana, call).await;
    assert_eq!(ana.client.act(call, "complete").await.expect(200).body, before);
}

#[tokio::test]
async fn a_supervisor_completes_for_another_and_twice_is_once() {
    let app = TestApp::start().await;
    let company = app.company("acme").await;
    let line = company.department("Suporte").await;
    let ana = company.agent("Ana", &[line]).await;
    let (boss, other) = (company.user("Boss", Role::Supervisor).await, company.user("Other", Role::Supervisor).await);
    let joined = app.client().join(&company.link(line).await, "Maria").await.expect(200);
    let call = joined.data("call_id");
    ana.client.act(call, "assign").await.expect(200);
    assert_eq!(boss.client.act(call, "complete").await.expect(422).body["errors"]["code"], "not_your_call");
    ana.client.act(call, "start").await.expect(200);
    assert_eq!(boss.client.act(call, "start").await.expect(422).body["errors"]["code"], "not_your_call");
    let done = boss.client.act(call, "complete").await.expect(200);
    assert_eq!((done.data("user_name"), done.data("end_reason")), ("Ana", "completed"));
    assert_eq!(boss.client.act(call, "complete").await.expect(200).body, done.body);
    let late = other.client.act(call, "complete").await.expect(422);
    assert_eq!(late.body["errors"]["code"], "call_ended");
    assert_eq!(show(&boss, call).await, done.body);
    // After a restart only the record knows who it was.
    let app = app.restart().await;
    let (boss, other) = (app.client_of(&boss.token), app.client_of(&other.token));
    assert_eq!(boss.act(call, "complete").await.expect(200).body, done.body);
    assert_eq!(other.act(call, "complete").await.expect(422).body["errors"]["code"], "call_ended");
}

#[tokio::test]
async fn commands_in_a_wrong_state_change_nothing() {
    let app = TestApp::start().await;
    let company = app.company("acme").await;
    let line = company.department("Suporte").await;
    let (ana, bob) = (company.agent("Ana", &[line]).await, company.agent("Bob", &[line]).await);
    let joined = app.client().join(&company.link(line).await, "Maria").await.expect(200);
    let call = joined.data("call_id");
    let refused = async |by: &Member, action: &str, code: &str| {
        let before = show(&ana, call).await;
        let answer = by.client.act(call, action).await.expect(422);
        assert_eq!(
            (answer.body["errors"]["code"].as_str(), answer.detail().is_empty()),
            (Some(code), false),
            "{action}"
        );
        assert_eq!(show(&ana, call).await, before, "{by} {action}");
    };
    refused(&ana, "start", "not_your_call").await;
    refused(&ana, "complete", "not_started").await;
    ana.client.act(call, "assign").await.expect(200);
    refused(&ana, "complete", "not_started").await;
    for action in ["start", "complete"] {
        refused(&bob, action, "not_your_call").await;
    }
    refused(&bob, "assign", "already_taken").await;
    ana.client.act(call, "start").await.expect(200);
    for action in ["start", "complete"] {
        refused(&bob, action, "not_your_call").await;
    }
    ana.client.act(call, "complete").await.expect(200);
    for action in ["assign", "start", "complete"] {
        refused(&bob, action, "call_ended").await;
    }
    refused(&ana, "start", "call_ended").await;
}

#[tokio::test]
async fn an_assignment_needs_a_free_slot_a_membership_and_somebody_who_is_there() {
    let app = TestApp::start().await;
    let company = app.company("acme").await;
    let (line, other) = (company.department("Suporte").await, company.department("Other").await);
    let boss = company.user("Boss", Role::Supervisor).await;
    let (ana, eve) = (company.agent("Ana", &[line]).await, company.agent("Eve", &[other]).await);
    let link = company.link(line).await;
    let maria = app.client().join(&link, "Maria").await.expect(200);
    let bia = app.client().join(&link, "Bia").await.expect(200);
    let bia = bia.data("call_id");
    let taken = assign(&boss, maria.data("call_id"), &ana).await.expect(200);
    assert_eq!((taken.data("user_name"), taken.data("phase")), ("Ana", "assigned"));
    assert_eq!(assign(&boss, bia, &ana).await.expect(422).body["errors"]["code"], "no_free_slot");
    assert_eq!(assign(&boss, bia, &eve).await.expect(422).body["errors"]["code"], "not_in_department");
    let unknown = json!({"user_id": NOBODY});
    boss.client.post(&format!("/api/v1/calls/{bia}/assign"), unknown).await.expect_error(404, "Not found");
    let wrong = boss.client.post(&format!("/api/v1/calls/{bia}/assign"), json!({"user_id": 7})).await.expect(422);
    assert_eq!(wrong.body, json!({"errors": {"user_id": ["is invalid"]}}));
    assert_eq!(show(&boss, bia).await["data"]["phase"], "waiting");
    // Only a supervisor chooses somebody else.
    let bob = company.agent("Bob", &[line]).await;
    assign(&ana, bia, &bob).await.expect_error(403, "Forbidden");
    assign(&bob, bia, &bob).await.expect(200);
}

#[tokio::test]
async fn two_agents_who_grab_one_customer_are_told_apart() {
    let app = TestApp::start().await;
    let company = app.company("acme").await;
    let line = company.department("Suporte").await;
    let joined = app.client().join(&company.link(line).await, "Maria").await.expect(200);
    let call = joined.data("call_id");
    let mut agents = Vec::new();
    for number in 0..5 {
        agents.push(company.agent(&format!("Agent {number}"), &[line]).await);
    }
    let answers = futures_util::future::join_all(agents.iter().map(|agent| agent.client.act(call, "assign"))).await;
    assert_eq!(answers.iter().filter(|answer| answer.status == 200).count(), 1, "{answers:?}");
    for answer in answers.iter().filter(|answer| answer.status != 200) {
        assert_eq!(answer.clone().expect(422).body["errors"]["code"], "already_taken");
    }
}

#[tokio::test]
async fn a_plan_bounds_the_calls_at_once() {
    let app = TestApp::start().await;
    let company = app.company_on("acme", Plan::Free).await;
    let line = company.department("Suporte").await;
    let (ana, bob) = (company.agent("Ana", &[line]).await, company.agent("Bob", &[line]).await);
    let link = company.link(line).await;
    let maria = app.client().join(&link, "Maria").await.expect(200);
    let bia = app.client().join(&link, "Bia").await.expect(200);
    ana.client.act(maria.data("call_id"), "assign").await.expect(200);
    let over = bob.client.act(bia.data("call_id"), "assign").await;
    over.expect_plan_limit("The company's plan allows no more concurrent calls.");
    for action in ["start", "complete"] {
        ana.client.act(maria.data("call_id"), action).await.expect(200);
    }
    bob.client.act(bia.data("call_id"), "assign").await.expect(200);
}

#[tokio::test]
async fn an_attendant_sees_the_calls_of_his_departments_alone() {
    let app = TestApp::start().await;
    let company = app.company("acme").await;
    let (line, other) = (company.department("Suporte").await, company.department("Other").await);
    let (ana, eve) = (company.agent("Ana", &[line]).await, company.agent("Eve", &[other]).await);
    let nowhere = company.agent("Nobody", &[]).await;
    let boss = company.user("Boss", Role::Supervisor).await;
    let (mine, theirs) = (company.link(line).await, company.link(other).await);
    let maria = app.client().join(&mine, "Maria").await.expect(200);
    let bia = app.client().join(&theirs, "Bia").await.expect(200);
    for (who, names) in [(&ana, vec!["Maria"]), (&eve, vec!["Bia"]), (&nowhere, vec![]), (&boss, vec!["Bia", "Maria"])]
    {
        let list = who.client.get("/api/v1/calls").await.expect(200).body;
        assert_eq!(each(&list["data"], "customer_name"), names, "{who}");
        assert_eq!(list["meta"]["total_count"], names.len(), "{who}");
    }
    let foreign = bia.data("call_id");
    ana.client.get(&format!("/api/v1/calls/{foreign}")).await.expect_error(404, "Not found");
    for action in ["assign", "start", "complete"] {
        ana.client.act(foreign, action).await.expect_error(404, "Not found");
        ana.client.act(NOBODY, action).await.expect_error(404, "Not found");
    }
    let filtered = ana.client.get(&format!("/api/v1/calls?department_id={other}")).await.expect(200).body;
    assert_eq!(filtered["meta"]["total_count"], 0);
    // Who took a call goes on seeing it when he serves its department no longer.
    ana.client.act(maria.data("call_id"), "assign").await.expect(200);
    let mut work = company.work().await;
    departments::remove_user(&mut work, line, ana.id).await.unwrap();
    work.commit().await.unwrap();
    show(&ana, maria.data("call_id")).await;
    let list = ana.client.get("/api/v1/calls").await.expect(200).body;
    assert_eq!(each(&list["data"], "customer_name"), ["Maria"]);
}

#[tokio::test]
async fn a_list_is_narrowed_sorted_and_paged() {
    let app = TestApp::start().await;
    let company = app.company("acme").await;
    let change = DepartmentChange { wrap_up_seconds: Some(0), ..Default::default() };
    let line = company.department_with("Suporte", change).await.id;
    let other = company.department("Other").await;
    let ana = company.agent("Ana", &[line]).await;
    let boss = company.user("Boss", Role::Supervisor).await;
    let (link, elsewhere) = (company.link(line).await, company.link(other).await);
    let mut calls = Vec::new();
    for (name, link) in [("Carla", &link), ("Ana 100%", &link), ("Bia", &elsewhere)] {
        let body =
            json!({"name": name, "email": format!("{}@example.com", name.to_lowercase().replace([' ', '%'], ""))});
        let joined = app.client().post(&format!("/api/v1/call/{link}/join"), body).await.expect(200);
        calls.push(joined.data("call_id").to_owned());
        app.advance(Duration::from_secs(2)).await;
    }
    for action in ["assign", "start", "complete"] {
        ana.client.act(&calls[0], action).await.expect(200);
    }
    ana.client.act(&calls[1], "assign").await.expect(200);
    let list = async |query: &str| {
        let body = boss.client.get(&format!("/api/v1/calls?{query}")).await.expect(200).body;
        body["data"].as_array().unwrap().iter().map(|call| call["customer_name"].as_str().unwrap().to_owned()).collect()
    };
    let table: [(&str, &[&str]); 19] = [
        ("", &["Bia", "Ana 100%", "Carla"]),
        ("sort_order=asc", &["Carla", "Ana 100%", "Bia"]),
        ("sort_by=customer_name&sort_order=asc", &["Ana 100%", "Bia", "Carla"]),
        ("sort_by=status&sort_order=asc&page_size=1", &["Carla"]),
        ("sort_by=completed_at&page_size=1", &["Carla"]),
        ("page=2&page_size=2", &["Carla"]),
        ("status=completed", &["Carla"]),
        ("status=queued", &["Bia", "Ana 100%"]),
        ("status=active", &[]),
        ("phase=assigned", &["Ana 100%"]),
        (&format!("department_id={other}"), &["Bia"]),
        (&format!("user_id={}", ana.id), &["Ana 100%", "Carla"]),
        ("search=100%25", &["Ana 100%"]),
        ("search=CARLA%40", &["Carla"]),
        ("search=_", &[]),
        ("date_from=2025-06-02&date_to=2025-06-02", &["Bia", "Ana 100%", "Carla"]),
        ("date_to=2025-06-01", &[]),
        ("date_from=2025-06-02T12:00:02Z", &["Bia", "Ana 100%"]),
        ("date_from=2025-06-02T09:00:02-03:00&date_to=2025-06-02T12:00:02Z", &["Ana 100%"]),
    ];
    for (query, names) in table {
        let found: Vec<String> = list(query).await;
        assert_eq!(found, names, "{query}");
    }
}

#[tokio::test]
async fn a_wrong_query_is_named() {
    let app = TestApp::start().await;
    let company = app.company("acme").await;
    let ana = company.agent("Ana", &[]).await;
    for (query, name) in [
        ("page=0", "page"),
        ("page=x", "page"),
        ("page_size=101", "page_size"),
        ("page_size=-1", "page_size"),
        ("sort_by=secret", "sort_by"),
        ("sort_order=up", "sort_order"),
        ("status=ringing", "status"),
        ("phase=x", "phase"),
        ("department_id=7", "department_id"),
        ("user_id=me", "user_id"),
        ("date_from=yesterday", "date_from"),
        ("date_to=2025-02-30", "date_to"),
        ("date_from=-200000-01-01", "date_from"),
        ("date_to=%2B200000-01-01", "date_to"),
        ("date_to=0001-01-01T00:00:00Z", "date_to"),
        ("search=%00", "search"),
    ] {
        let answer = ana.client.get(&format!("/api/v1/calls?{query}")).await;
        answer.expect_error(400, &format!("The parameter {name} is invalid"));
    }
}
