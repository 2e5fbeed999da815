//! `/api/v1/departments/*`.

use serde_json::json;
use vez::domain::ids::DepartmentId;
use vez::domain::role::Role;

use super::call_files::{Part, record, set_company, started, webm};
use super::{NOBODY, each};
use crate::harness::TestApp;
use crate::harness::client::send;
use crate::people::{at_work, customer};
use reqwest::Method;

#[tokio::test]
async fn a_department_has_vokis_fields_and_ours() {
    let app = TestApp::start().await;
    let boss = app.company("acme").await.user("Boss", Role::Supervisor).await;
    let body = json!({"department": {"name": "Suporte Técnico"}});
    let made = boss.client.post("/api/v1/departments", body).await.expect(201);
    let mut shown = made.body.clone();
    shown["data"]["id"] = json!("an id");
    insta::assert_json_snapshot!("department", shown);
    let path = format!("/api/v1/departments/{}", made.id());
    assert_eq!(boss.client.get(&path).await.expect(200).body, made.body);
}

#[tokio::test]
async fn a_body_may_be_wrapped_or_flat_and_sets_everything() {
    let app = TestApp::start().await;
    let boss = app.company("acme").await.user("Boss", Role::Supervisor).await;
    let fields = json!({
        "name": "Vendas", "identifier": "vendas_br", "description": "All sales", "active": false, "max_queue_size": 1_000_000,
        "max_wait_time": 300, "offer_timeout_seconds": 9, "wrap_up_seconds": 0, "reconnect_grace_seconds": 86_400,
        "routing_strategy": "fewest_calls", "mode": "pull", "weight": -10, "service_level_seconds": 3_600,
    });
    let made = boss.client.post("/api/v1/departments", fields.clone()).await.expect(201);
    for (name, value) in fields.as_object().unwrap() {
        assert_eq!(&made.body["data"][name], value, "{name}");
    }
}

#[tokio::test]
async fn an_identifier_is_made_of_the_name_and_unique() {
    let app = TestApp::start().await;
    let boss = app.company("acme").await.user("Boss", Role::Supervisor).await;
    let create = async |body| boss.client.post("/api/v1/departments", body).await;
    assert_eq!(create(json!({"name": "Ações 24h"})).await.expect(201).data("identifier"), "acoes-24h");
    assert_eq!(create(json!({"name": "Ações 24h"})).await.expect(201).data("identifier"), "acoes-24h-2");
    let taken = json!({"errors": {"identifier": ["has already been taken"]}});
    let other = create(json!({"name": "Other", "identifier": "acoes-24h"})).await.expect(422);
    assert_eq!(other.body, taken);
    let third = create(json!({"name": "Third"})).await.expect(201);
    let path = format!("/api/v1/departments/{}", third.id());
    assert_eq!(boss.client.put(&path, json!({"identifier": "acoes-24h"})).await.expect(422).body, taken);
    assert_eq!(boss.client.get(&path).await.data("identifier"), "third");
}

#[tokio::test]
async fn an_update_changes_what_it_names_and_nothing_else() {
    let app = TestApp::start().await;
    let company = app.company("acme").await;
    let boss = company.user("Boss", Role::Supervisor).await;
    let line = company.department("Support").await;
    let path = format!("/api/v1/departments/{line}");
    let before = boss.client.get(&path).await.expect(200).body;
    let after = boss.client.put(&path, json!({"department": {"max_queue_size": 3, "wrap_up_seconds": 5}})).await;
    let mut expected = before.clone();
    expected["data"]["max_queue_size"] = json!(3);
    expected["data"]["wrap_up_seconds"] = json!(5);
    assert_eq!(after.expect(200).body, expected);
    expected["data"]["max_queue_size"] = json!(null);
    assert_eq!(boss.client.put(&path, json!({"max_queue_size": null})).await.expect(200).body, expected);
    assert_eq!(boss.client.put(&path, json!({})).await.expect(200).body, expected);
    assert_eq!(boss.client.get(&path).await.expect(200).body, expected);
}

#[tokio::test]
async fn settings_out_of_bounds_are_named_all_at_once_and_change_nothing() {
    let app = TestApp::start().await;
    let company = app.company("acme").await;
    let boss = company.user("Boss", Role::Supervisor).await;
    let line = company.department("Support").await;
    let path = format!("/api/v1/departments/{line}");
    let before = boss.client.get(&path).await.body;
    let wrong = json!({
        "name": " ", "identifier": "Not A Slug", "max_queue_size": 1_000_001, "max_wait_time": 0,
        "offer_timeout_seconds": 0, "wrap_up_seconds": -1, "reconnect_grace_seconds": 86_401,
        "routing_strategy": "random", "active": "yes", "description": 7, "sector_id": "x", "mode": "shove",
        "weight": 11, "service_level_seconds": 0,
    });
    let expected = json!({"errors": {
        "name": ["can't be blank"], "identifier": ["has invalid format"],
        "max_queue_size": ["must be less than or equal to 1000000"],
        "max_wait_time": ["must be greater than or equal to 1"],
        "offer_timeout_seconds": ["must be greater than or equal to 1"],
        "wrap_up_seconds": ["must be greater than or equal to 0"],
        "reconnect_grace_seconds": ["must be less than or equal to 86400"],
        "routing_strategy": ["is invalid"], "active": ["is invalid"], "description": ["is invalid"],
        "sector_id": ["is invalid"], "mode": ["is invalid"], "weight": ["must be less than or equal to 10"],
        "service_level_seconds": ["must be greater than or equal to 1"],
    }});
    assert_eq!(boss.client.put(&path, wrong).await.expect(422).body, expected);
    assert_eq!(boss.client.get(&path).await.body, before);
    let nameless = boss.client.post("/api/v1/departments", json!({"description": "x"})).await.expect(422);
    assert_eq!(nameless.body, json!({"errors": {"name": ["can't be blank"]}}));
}

#[tokio::test]
async fn a_list_is_paged_sorted_searched_and_filtered() {
    let app = TestApp::start().await;
    let company = app.company("acme").await;
    let boss = company.user("Boss", Role::Supervisor).await;
    for name in ["Beta", "alpha", "100% Gamma", "Delta"] {
        company.department(name).await;
    }
    let list = async |query: &str| boss.client.get(&format!("/api/v1/departments{query}")).await.expect(200).body;
    let all = list("").await;
    assert_eq!(each(&all["data"], "name"), ["100% Gamma", "alpha", "Beta", "Delta"]);
    assert_eq!(all["meta"], json!({"current_page": 1, "page_size": 20, "total_pages": 1, "total_count": 4}));
    let second = list("?page=2&page_size=3").await;
    assert_eq!(each(&second["data"], "name"), ["Delta"]);
    assert_eq!(second["meta"], json!({"current_page": 2, "page_size": 3, "total_pages": 2, "total_count": 4}));
    assert_eq!(each(&list("?page=9").await["data"], "name"), [""; 0]);
    assert_eq!(each(&list("?sort_order=desc&page_size=1").await["data"], "name"), ["Delta"]);
    assert_eq!(each(&list("?search=0%25").await["data"], "name"), ["100% Gamma"]);
    assert_eq!(each(&list("?search=LT").await["data"], "name"), ["Delta"]);
    assert_eq!(list("?active=false").await["meta"]["total_count"], 0);
}

#[tokio::test]
async fn members_come_and_go() {
    let app = TestApp::start().await;
    let company = app.company("acme").await;
    let boss = company.user("Boss", Role::Supervisor).await;
    let ana = company.agent("Ana", &[]).await;
    let line = company.department("Support").await;
    let users = format!("/api/v1/departments/{line}/users");
    let body = json!({"user_id": ana.id});
    let member = json!({"data": {"department_id": line, "user_id": ana.id}});
    assert_eq!(boss.client.post(&users, body.clone()).await.expect(201).body, member);
    assert_eq!(boss.client.post(&users, body).await.expect(200).body, member, "again changes nothing");
    let listed = boss.client.get(&users).await.expect(200).body;
    assert_eq!((each(&listed["data"], "name"), &listed["meta"]["total_count"]), (vec![&json!("Ana")], &json!(1)));
    assert!(!listed.to_string().contains("argon2"), "no hash is shown");
    let shown = boss.client.get(&format!("/api/v1/departments/{line}")).await.expect(200).body;
    assert_eq!(shown["data"]["user_count"], 1);

    let mut queue = app.topic(&ana.token, &format!("queue:{line}")).await;
    let one = format!("{users}/{}", ana.id);
    for _ in 0..2 {
        assert_eq!(boss.client.delete(&one).await.expect(200).body, member, "again is fine");
    }
    queue.until_closed().await;
    assert_eq!(boss.client.get(&users).await.expect(200).body["meta"]["total_count"], 0);
}

#[tokio::test]
async fn a_member_added_by_rest_is_offered_calls_at_once() {
    let app = TestApp::start().await;
    let company = app.company("acme").await;
    let boss = company.user("Boss", Role::Supervisor).await;
    let (line, other) = (company.department("Support").await, company.department("Other").await);
    let ana = company.agent("Ana", &[other]).await;
    let joined = app.client().join(&company.link(line).await, "Maria").await.expect(200);
    let mut notices = app.topic(&ana.token, &ana.topic()).await;
    let presence = app.topic(&ana.token, &format!("presence:{other}")).await;
    presence.push("set_status", json!({"status": "available"})).await.unwrap();
    let users = format!("/api/v1/departments/{line}/users");
    boss.client.post(&users, json!({"user_id": ana.id})).await.expect(201);
    let offer = notices.expect("call_offered").await;
    assert_eq!(offer["call_id"], joined.body["data"]["call_id"]);
}

#[tokio::test]
async fn ids_of_nothing_are_not_found() {
    let app = TestApp::start().await;
    let company = app.company("acme").await;
    let boss = company.user("Boss", Role::Supervisor).await;
    let line = company.department("Support").await;
    let known = format!("/api/v1/departments/{line}");
    let unknown = format!("/api/v1/departments/{NOBODY}");
    let client = &boss.client;
    client.get(&unknown).await.expect_error(404, "Not found");
    client.put(&unknown, json!({"name": "x"})).await.expect_error(404, "Not found");
    client.get(&format!("{unknown}/users")).await.expect_error(404, "Not found");
    client.post(&format!("{unknown}/users"), json!({"user_id": boss.id})).await.expect_error(404, "Not found");
    let nobody = client.post(&format!("{known}/users"), json!({"user_id": NOBODY})).await.expect(422);
    assert_eq!(nobody.body, json!({"errors": {"user_id": ["does not exist"]}}));
    client.delete(&unknown).await.expect_error(404, "Not found");
    client.delete(&format!("{known}/users/{NOBODY}")).await.expect_error(404, "Not found");
    client.delete(&format!("{unknown}/users/{}", boss.id)).await.expect_error(404, "Not found");
    let blank = client.post(&format!("{known}/users"), json!({})).await.expect(422);
    assert_eq!(blank.body, json!({"errors": {"user_id": ["can't be blank"]}}));
    let patch = send(client.request(Method::PATCH, &known).json(&json!({}))).await;
    patch.expect_error(405, "Method not allowed");
}

#[tokio::test]
async fn a_sector_must_be_one_of_the_company() {
    let app = TestApp::start().await;
    let boss = app.company("acme").await.user("Boss", Role::Supervisor).await;
    let stranger = app.company("other").await.user("Boss", Role::Supervisor).await;
    let foreign = stranger.client.post("/api/v1/sectors", json!({"name": "Sales"})).await.expect(201);
    let unknown = json!({"errors": {"sector_id": ["does not exist"]}});
    for sector in [foreign.id(), NOBODY] {
        let body = json!({"department": {"name": "Support", "sector_id": sector}});
        assert_eq!(boss.client.post("/api/v1/departments", body).await.expect(422).body, unknown);
    }
    let mine = boss.client.post("/api/v1/sectors", json!({"name": "Sales"})).await.expect(201);
    let body = json!({"department": {"name": "Support", "sector_id": mine.id()}});
    let made = boss.client.post("/api/v1/departments", body).await.expect(201);
    assert_eq!(made.data("sector_id"), mine.id());
    let path = format!("/api/v1/departments/{}", made.id());
    assert_eq!(boss.client.put(&path, json!({"sector_id": foreign.id()})).await.expect(422).body, unknown);
    assert_eq!(
        boss.client.put(&path, json!({"sector_id": null})).await.expect(200).body["data"]["sector_id"],
        json!(null)
    );
}

#[tokio::test]
async fn a_department_with_calls_in_it_stays_and_takes_joins_as_before() {
    let app = TestApp::start().await;
    let company = app.company("acme").await;
    let boss = company.user("Boss", Role::Supervisor).await;
    let line = company.department("Support").await;
    let link = company.link(line).await;
    app.client().join(&link, "Maria").await.expect(200);
    let path = format!("/api/v1/departments/{line}");
    let refused =
        json!({"errors": {"code": "has_open_calls", "detail": "Calls wait in this department or are under way"}});
    assert_eq!(boss.client.delete(&path).await.expect(422).body, refused);
    assert_eq!(boss.client.get(&path).await.expect(200).body["data"]["active"], true);
    app.client().join(&link, "Carlos").await.expect(200);
}

#[tokio::test]
async fn a_deleted_department_is_gone_but_for_the_history_of_its_calls() {
    let app = TestApp::start().await;
    let company = app.company("acme").await;
    let boss = company.user("Boss", Role::Supervisor).await;
    let sector = boss.client.post("/api/v1/sectors", json!({"name": "Sales"})).await.expect(201);
    let line = company.department("Support").await;
    let path = format!("/api/v1/departments/{line}");
    boss.client.put(&path, json!({"sector_id": sector.id()})).await.expect(200);
    let link = company.link(line).await;
    let ana = company.agent("Ana", &[line]).await;
    let mut desk = at_work(&app, &ana, line).await;
    let maria = customer(&app, &link, "Maria").await;
    desk.take_next().await;
    desk.complete(&maria.call).await;
    let wallboard = format!("tenant:{}", company.tenant);
    assert_eq!(app.topic(&boss.token, &wallboard).await.reply["departments"].as_array().unwrap().len(), 1);
    let mut queue = app.topic(&boss.token, &format!("queue:{line}")).await;

    assert_eq!(boss.client.delete(&path).await.expect(200).body, json!({"data": {"id": line}}));
    queue.until_closed().await;
    boss.client.get(&path).await.expect_error(404, "Not found");
    boss.client.put(&path, json!({"active": true})).await.expect_error(404, "Not found");
    boss.client.delete(&path).await.expect_error(404, "Not found");
    boss.client.get(&format!("{path}/users")).await.expect_error(404, "Not found");
    boss.client.post(&format!("{path}/users"), json!({"user_id": ana.id})).await.expect_error(404, "Not found");
    assert_eq!(boss.client.get("/api/v1/departments").await.expect(200).body["meta"]["total_count"], 0);
    assert_eq!(ana.client.get("/api/v1/users/me").await.expect(200).body["data"]["departments"], json!([]));
    let sector = boss.client.get(&format!("/api/v1/sectors/{}", sector.id())).await.expect(200).body;
    assert_eq!(sector["data"]["department_count"], 0);
    assert_eq!(app.topic(&boss.token, &wallboard).await.reply["departments"], json!([]));
    let gone = app.socket(&boss.token).await.join(&format!("queue:{line}"), json!(null)).await;
    assert!(gone.is_err(), "its topic is none any more");
    // Its link leads nowhere, as soon as nobody remembers it.
    app.advance(std::time::Duration::from_secs(4)).await;
    app.client().join(&link, "Carlos").await.expect(404);
    // The call has happened.
    let call = boss.client.get(&format!("/api/v1/calls/{}", maria.call)).await.expect(200);
    assert_eq!(call.data("department_name"), "Support");
    // The name is free again.
    let again = boss.client.post("/api/v1/departments", json!({"name": "Support"})).await.expect(201);
    assert_eq!(again.data("identifier"), "support");

    let tenant = company.tenant;
    let app = app.restart().await;
    let boss = app.client_of(&app.company_of(tenant, "acme").log_in(boss.id, boss.role).await.0);
    assert_eq!(boss.get("/api/v1/departments").await.expect(200).body["meta"]["total_count"], 1);
    assert_eq!(boss.get(&format!("/api/v1/calls/{}", maria.call)).await.data("department_name"), "Support");
}

#[tokio::test]
async fn of_a_join_and_a_deletion_at_once_one_comes_first() {
    let app = TestApp::start_real_clock().await;
    let company = app.company("acme").await;
    let boss = company.user("Boss", Role::Supervisor).await;
    for round in 0..8 {
        let line = company.department(&format!("Line {round}")).await;
        let link = company.link(line).await;
        let path = format!("/api/v1/departments/{line}");
        let (client, deleted) = (app.client(), boss.client.delete(&path));
        let (joined, deleted) = tokio::join!(client.join(&link, "Maria"), deleted);
        // Whoever was told that he waits does so in a department that is there.
        assert_ne!((joined.status, deleted.status), (200, 200), "{joined:?} {deleted:?}");
    }
}

#[tokio::test]
async fn a_department_with_recordings_or_appointments_stays() {
    let app = TestApp::start().await;
    let company = app.company("acme").await;
    let boss = company.user("Boss", Role::Supervisor).await;
    let refusal = async |line: &DepartmentId| {
        let answer = boss.client.delete(&format!("/api/v1/departments/{line}")).await.expect(422);
        answer.body["errors"]["code"].as_str().unwrap().to_owned()
    };
    let line = company.department("Recorded").await;
    let ana = company.agent("Ana", &[line]).await;
    set_company(&app, company.tenant, "recording_enabled = true").await;
    let call = started(&app, &company, line, &ana).await;
    let bytes = webm(20_000);
    record(&ana.client, &call, &[Part::file("call.webm", "video/webm", &bytes)]).await.expect(201);
    assert_eq!(refusal(&line).await, "has_open_calls");
    ana.client.act(&call, "complete").await.expect(200);
    assert_eq!(refusal(&line).await, "has_recordings");

    let line = company.department("Visited").await;
    let bia = company.agent("Bia", &[line]).await;
    let at = app.now().plus_seconds(86_400).to_string();
    let appointment = json!({"appointment": {"title": "Visit", "scheduled_at": at, "department_id": line,
        "customer_name": "Maria", "customer_email": "maria@example.com"}});
    let made = bia.client.post("/api/v1/appointments", appointment).await.expect(201);
    assert_eq!(refusal(&line).await, "has_appointments");
    bia.client.post(&format!("/api/v1/appointments/{}/cancel", made.id()), json!({"reason": "x"})).await.expect(200);
    boss.client.delete(&format!("/api/v1/departments/{line}")).await.expect(200);
}
