//! `/api/v1/departments/*`.

use serde_json::json;
use vez::domain::role::Role;

use super::{NOBODY, each};
use crate::harness::TestApp;
use crate::harness::client::send;
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
        "routing_strategy": "fewest_calls",
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
        "routing_strategy": "random", "active": "yes", "description": 7, "sector_id": "x",
    });
    let expected = json!({"errors": {
        "name": ["can't be blank"], "identifier": ["has invalid format"],
        "max_queue_size": ["must be less than or equal to 1000000"],
        "max_wait_time": ["must be greater than or equal to 1"],
        "offer_timeout_seconds": ["must be greater than or equal to 1"],
        "wrap_up_seconds": ["must be greater than or equal to 0"],
        "reconnect_grace_seconds": ["must be less than or equal to 86400"],
        "routing_strategy": ["is invalid"], "active": ["is invalid"], "description": ["is invalid"],
        "sector_id": ["is invalid"],
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
    client.post(&format!("{known}/users"), json!({"user_id": NOBODY})).await.expect_error(404, "Not found");
    client.delete(&format!("{known}/users/{NOBODY}")).await.expect_error(404, "Not found");
    client.delete(&format!("{unknown}/users/{}", boss.id)).await.expect_error(404, "Not found");
    let blank = client.post(&format!("{known}/users"), json!({})).await.expect(422);
    assert_eq!(blank.body, json!({"errors": {"user_id": ["can't be blank"]}}));
    let patch = send(client.request(Method::PATCH, &known).json(&json!({}))).await;
    patch.expect_error(405, "Method not allowed");
}
