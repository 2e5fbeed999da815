//! `/api/v1/access-links/batch`, and what links give the calls joined through them.

use serde_json::{Value, json};
use vez::domain::role::Role;

use super::public_call::NO_SUCH_LINK;
use super::{NOBODY, each};
use crate::harness::TestApp;

const BATCH: &str = "/api/v1/access-links/batch";

#[tokio::test]
async fn a_thousand_links_are_made_at_once_in_their_order() {
    let app = TestApp::start().await;
    let company = app.company("acme").await;
    let boss = company.user("Boss", Role::Supervisor).await;
    let line = company.department("Suporte").await;
    let links: Vec<Value> = (0..1_000)
        .map(|number| json!({"department_id": line, "customer_name": format!("customer {number}")}))
        .collect();
    let made = boss.client.post(BATCH, json!({"links": links})).await.expect(201).body;
    let made = made["data"].as_array().unwrap();
    assert_eq!(made.len(), 1_000);
    for (number, link) in made.iter().enumerate() {
        assert_eq!(link["customer_name"], format!("customer {number}"));
    }
    let mut tokens: Vec<&str> = made.iter().map(|link| link["token"].as_str().unwrap()).collect();
    tokens.sort_unstable();
    tokens.dedup();
    assert_eq!(tokens.len(), 1_000);
    let list = boss.client.get("/api/v1/access-links?search=customer%2099").await.expect(200).body;
    assert_eq!(list["meta"]["total_count"], 11);
    app.client().join(made[999]["token"].as_str().unwrap(), "Maria").await.expect(200);

    let links: Vec<Value> = (0..1_001).map(|_| json!({"department_id": line})).collect();
    let many = boss.client.post(BATCH, json!({"links": links})).await.expect(422).body;
    assert_eq!(many, json!({"errors": {"links": ["should have at most 1000 item(s)"]}}));
    for body in [json!({}), json!({"links": []})] {
        let none = boss.client.post(BATCH, body).await.expect(422).body;
        assert_eq!(none, json!({"errors": {"links": ["can't be blank"]}}));
    }
}

#[tokio::test]
async fn a_batch_with_a_wrong_link_makes_none_and_names_every_fault() {
    let app = TestApp::start().await;
    let company = app.company("acme").await;
    let boss = company.user("Boss", Role::Supervisor).await;
    let line = company.department("Suporte").await;
    let links = json!([
        {"department_id": line},
        {"priority": 11},
        "a link",
        {"department_id": NOBODY, "customer_id": NOBODY, "tag_ids": [NOBODY]},
        {"department_id": line, "expires_at": "2020-01-01T00:00:00Z"},
        {"department_id": line, "single_use": true, "max_uses": 2},
    ]);
    let refused = boss.client.post(BATCH, json!({"links": links})).await.expect(422).body;
    let missing = json!(["does not exist"]);
    assert_eq!(
        refused,
        json!({"errors": {"links": [
            {"index": 1, "errors": {"department_id": ["can't be blank"], "priority": ["must be less than or equal to 10"]}},
            {"index": 2, "errors": {"detail": ["must be an object"]}},
            {"index": 3, "errors": {"department_id": missing, "customer_id": missing, "tag_ids": missing}},
            {"index": 4, "errors": {"expires_at": ["must be in the future"]}},
            {"index": 5, "errors": {"max_uses": ["must be 1 for a single-use link"]}},
        ]}})
    );
    let list = boss.client.get("/api/v1/access-links").await.expect(200).body;
    assert_eq!(list["meta"]["total_count"], 0);
}

#[tokio::test]
async fn a_batch_sent_again_under_its_key_makes_no_more_links() {
    let app = TestApp::start().await;
    let company = app.company("acme").await;
    let boss = company.user("Boss", Role::Supervisor).await;
    let line = company.department("Suporte").await;
    let send = async || {
        let request = boss.client.request(reqwest::Method::POST, BATCH).header("idempotency-key", "campaign-7");
        let request = request.header("content-type", "application/json");
        crate::harness::client::send(request.body(json!({"links": [{"department_id": line}]}).to_string())).await
    };
    let first = send().await.expect(201).body;
    assert_eq!(send().await.expect(201).body, first);
    assert_eq!(boss.client.get("/api/v1/access-links").await.expect(200).body["meta"]["total_count"], 1);
}

#[tokio::test]
async fn a_link_is_used_as_often_as_it_may_be() {
    let app = TestApp::start().await;
    let company = app.company("acme").await;
    let boss = company.user("Boss", Role::Supervisor).await;
    let line = company.department("Suporte").await;
    let body = json!({"department_id": line, "max_uses": 3});
    let made = boss.client.post("/api/v1/access-links", body).await.expect(201);
    let path = format!("/api/v1/access-links/{}", made.id());
    let state = async || {
        let link = boss.client.get(&path).await.expect(200).body["data"].clone();
        (link["status"].as_str().unwrap().to_owned(), link["use_count"].as_i64().unwrap(), link["used_at"].is_null())
    };
    let token = made.data("token");
    let join = async |key: &str| {
        app.client().post(&format!("/api/v1/call/{token}/join"), json!({"name": "Maria", "join_key": key})).await
    };
    // All at once: three get in, whoever comes again takes no further use.
    let all = futures_util::future::join_all(["a", "b", "c", "d", "e", "a"].map(join)).await;
    let joined: Vec<_> = all.iter().filter(|answer| answer.status == 200).collect();
    let mut calls: Vec<&str> = joined.iter().map(|answer| answer.data("call_id")).collect();
    calls.sort_unstable();
    calls.dedup();
    assert_eq!(calls.len(), 3, "{all:?}");
    for refused in all.iter().filter(|answer| answer.status != 200) {
        refused.clone().expect_error(404, NO_SUCH_LINK);
    }
    assert_eq!(state().await, ("used".to_owned(), 3, false));
    app.advance(std::time::Duration::from_secs(4)).await;
    join("f").await.expect_error(404, NO_SUCH_LINK);
    app.client().get(&format!("/api/v1/call/{token}/validate")).await.expect_error(404, NO_SUCH_LINK);
    let again = all.iter().position(|answer| answer.status == 200).unwrap();
    let key = ["a", "b", "c", "d", "e", "a"][again];
    assert_eq!(join(key).await.expect(200).data("call_id"), all[again].data("call_id"));
    assert_eq!(state().await.1, 3);
    let refused = boss.client.post(&format!("{path}/cancel"), json!({})).await.expect(422);
    assert_eq!(refused.body["errors"]["code"], "link_used");
}

#[tokio::test]
async fn uses_survive_a_restart() {
    let app = TestApp::start().await;
    let company = app.company("acme").await;
    let line = company.department("Suporte").await;
    let (_, token) = company.link_with(line, |link| link.max_uses = Some(2)).await;
    app.client().join(&token, "Maria").await.expect(200);
    let app = app.restart().await;
    app.client().join(&token, "Bia").await.expect(200);
    app.client().join(&token, "Ana").await.expect_error(404, NO_SUCH_LINK);
}

#[tokio::test]
async fn a_link_that_was_used_in_part_can_be_cancelled() {
    let app = TestApp::start().await;
    let company = app.company("acme").await;
    let boss = company.user("Boss", Role::Supervisor).await;
    let line = company.department("Suporte").await;
    let (id, token) = company.link_with(line, |link| link.max_uses = Some(2)).await;
    let call = app.client().join(&token, "Maria").await.expect(200).data("call_id").to_owned();
    let cancelled = boss.client.post(&format!("/api/v1/access-links/{id}/cancel"), json!({})).await.expect(200);
    assert_eq!((cancelled.data("status"), &cancelled.body["data"]["use_count"]), ("cancelled", &json!(1)));
    let ended = boss.client.get(&format!("/api/v1/calls/{call}")).await.expect(200);
    assert_eq!(ended.data("end_reason"), "link_cancelled");
}

#[tokio::test]
async fn a_link_gives_its_calls_customer_tags_and_priority() {
    let app = TestApp::start().await;
    let company = app.company("acme").await;
    let boss = company.user("Boss", Role::Supervisor).await;
    let line = company.department("Suporte").await;
    let customer = json!({"name": "Carlos Ferreira", "email": "carlos@email.com", "phone": "+5511999998888"});
    let customer = boss.client.post("/api/v1/customers", customer).await.expect(201);
    let other = json!({"name": "Maria", "email": "maria@email.com"});
    boss.client.post("/api/v1/customers", other).await.expect(201);
    let tag = boss.client.post("/api/v1/tags", json!({"name": "vip"})).await.expect(201);
    let body = json!({"access_link": {"department_id": line, "customer_id": customer.id(), "tag_ids": [tag.id()],
        "priority": 3, "custom_fields": {"order": 4711, "plan": "gold"}}});
    let link = boss.client.post("/api/v1/access-links", body).await.expect(201);
    let data = &link.body["data"];
    assert_eq!((link.data("customer_name"), link.data("customer_email")), ("Carlos Ferreira", "carlos@email.com"));
    assert_eq!(
        (&data["custom_fields"], &data["tag_ids"]),
        (&json!({"order": "4711", "plan": "gold"}), &json!([tag.id()]))
    );
    let shown = app.client().get(&format!("/api/v1/call/{}/validate", link.data("token"))).await.expect(200);
    assert_eq!(shown.data("customer_name"), "Carlos Ferreira");

    // He is himself whatever he types, and what he leaves out is known.
    let path = format!("/api/v1/call/{}/join", link.data("token"));
    let contacts = json!({"name": "Carlos", "email": "maria@email.com"});
    let call = app.client().post(&path, contacts).await.expect(200).data("call_id").to_owned();
    let seen = boss.client.get(&format!("/api/v1/calls/{call}")).await.expect(200);
    assert_eq!((seen.data("customer_id"), seen.data("customer_phone")), (customer.id(), "+5511999998888"));
    assert_eq!(seen.body["data"]["priority"], 3);
    let tags = boss.client.get(&format!("/api/v1/calls/{call}/tags")).await.expect(200).body;
    assert_eq!(each(&tags["data"], "name"), ["vip"]);
    let fields = boss.client.get(&format!("/api/v1/calls/{call}/custom-fields")).await.expect(200).body;
    assert_eq!(fields, json!({"data": {"order": "4711", "plan": "gold"}}));
}

#[tokio::test]
async fn custom_fields_are_few_and_short() {
    let app = TestApp::start().await;
    let company = app.company("acme").await;
    let boss = company.user("Boss", Role::Supervisor).await;
    let line = company.department("Suporte").await;
    let many: serde_json::Map<String, Value> = (0..21).map(|number| (format!("f{number}"), json!("x"))).collect();
    for (fields, fault) in [
        (json!(many), "should have at most 20 item(s)"),
        (json!({"long": "x".repeat(501)}), "should be at most 500 character(s)"),
        (json!({"nested": {}}), "is invalid"),
        (json!(["x"]), "is invalid"),
    ] {
        let body = json!({"department_id": line, "custom_fields": fields});
        let refused = boss.client.post("/api/v1/access-links", body).await.expect(422).body;
        assert_eq!(refused, json!({"errors": {"custom_fields": [fault]}}));
    }
}
