//! `/api/v1/access-links/*`.

use std::time::Duration;

use serde_json::{Value, json};
use vez::domain::role::Role;

use super::{NOBODY, each};
use crate::harness::TestApp;

#[tokio::test]
async fn a_link_has_vokis_fields_and_ours() {
    let app = TestApp::start().await;
    let company = app.company("acme").await;
    let boss = company.user("Boss", Role::Supervisor).await;
    let line = company.department("Suporte").await;
    let body = json!({"access_link": {
        "department_id": line, "customer_name": "Maria", "customer_email": "maria@example.com",
        "customer_phone": "+5511999998888", "expires_at": "2025-06-03T09:00:00-03:00", "single_use": true,
        "priority": 7, "required_skills": ["vip", "pt", "pt"],
    }});
    let made = boss.client.post("/api/v1/access-links", body).await.expect(201);
    let token = made.data("token").to_owned();
    assert!(token.len() >= 12 && token.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte)));
    assert_eq!(made.data("url"), format!("http://{}/call/{token}", app.addr()));
    let mut shown = made.body.clone();
    for (field, stand_in) in [("id", "an id"), ("department_id", "an id"), ("token", "a token"), ("url", "a url")] {
        shown["data"][field] = json!(stand_in);
    }
    insta::assert_json_snapshot!("access_link", shown);
    let path = format!("/api/v1/access-links/{}", made.id());
    assert_eq!(boss.client.get(&path).await.expect(200).body, made.body);
}

#[tokio::test]
async fn a_flat_body_with_a_department_alone_will_do() {
    let app = TestApp::start().await;
    let company = app.company("acme").await;
    let boss = company.user("Boss", Role::Supervisor).await;
    let line = company.department("Suporte").await;
    let made = boss.client.post("/api/v1/access-links", json!({"department_id": line})).await.expect(201);
    let data = &made.body["data"];
    assert_eq!((&data["single_use"], &data["expires_at"], &data["priority"]), (&json!(false), &Value::Null, &json!(0)));
}

#[tokio::test]
async fn a_bad_link_is_told_all_its_faults() {
    let app = TestApp::start().await;
    let company = app.company("acme").await;
    let boss = company.user("Boss", Role::Supervisor).await;
    let line = company.department("Suporte").await;
    let create = async |body: Value| boss.client.post("/api/v1/access-links", body).await;
    let wrong = json!({"customer_email": "nowhere", "priority": 11, "single_use": "no", "expires_at": "soon",
        "required_skills": "pt", "customer_name": "x".repeat(201)});
    assert_eq!(
        create(wrong).await.expect(422).body,
        json!({"errors": {
            "department_id": ["can't be blank"], "customer_email": ["has invalid format"],
            "priority": ["must be less than or equal to 10"], "single_use": ["is invalid"], "expires_at": ["is invalid"],
            "required_skills": ["is invalid"], "customer_name": ["should be at most 200 character(s)"],
        }})
    );
    let past = create(json!({"department_id": line, "expires_at": "2025-06-02T12:00:00Z"})).await.expect(422);
    assert_eq!(past.body, json!({"errors": {"expires_at": ["must be in the future"]}}));
    let nowhere = create(json!({"department_id": NOBODY})).await.expect(422);
    assert_eq!(nowhere.body, json!({"errors": {"department_id": ["does not exist"]}}));
    assert_eq!(boss.client.get("/api/v1/access-links").await.expect(200).body["meta"]["total_count"], 0);
}

#[tokio::test]
async fn a_list_shows_the_newest_first_and_narrows_by_status_and_department() {
    let app = TestApp::start().await;
    let company = app.company("acme").await;
    let boss = company.user("Boss", Role::Supervisor).await;
    let (line, other) = (company.department("Support").await, company.department("Other").await);
    let in_an_hour = app.now().plus_seconds(3_600);
    let mut expected = Vec::new();
    for (name, department, change) in
        [("active", line, 0), ("used", line, 1), ("expired", line, 2), ("cancelled", other, 3)]
    {
        let (id, token) = company
            .link_with(department, |link| {
                link.customer_name = Some(name.to_owned());
                link.max_uses = (change == 1).then_some(1);
                link.expires_at = (change == 2).then_some(in_an_hour);
            })
            .await;
        match change {
            1 => _ = app.client().join(&token, "Maria").await.expect(200),
            3 => _ = boss.client.post(&format!("/api/v1/access-links/{id}/cancel"), json!({})).await.expect(200),
            _ => {}
        }
        expected.insert(0, name);
        app.advance(Duration::from_secs(1)).await;
    }
    app.advance(Duration::from_secs(3_600)).await;
    let (token, _) = company.log_in(boss.id, boss.role).await;
    let client = app.client_of(&token);
    let list = async |query: &str| client.get(&format!("/api/v1/access-links{query}")).await.expect(200).body;
    let all = list("").await;
    assert_eq!(each(&all["data"], "customer_name"), expected);
    assert_eq!(each(&all["data"], "status"), expected);
    for status in expected {
        assert_eq!(each(&list(&format!("?status={status}")).await["data"], "customer_name"), [status]);
    }
    assert_eq!(each(&list(&format!("?department_id={other}")).await["data"], "status"), ["cancelled"]);
    assert_eq!(list(&format!("?department_id={NOBODY}")).await["meta"]["total_count"], 0);
    client.get("/api/v1/access-links?status=gone").await.expect_error(400, "The parameter status is invalid");
    client
        .get("/api/v1/access-links?department_id=7")
        .await
        .expect_error(400, "The parameter department_id is invalid");
}

#[tokio::test]
async fn cancelling_ends_those_who_wait_through_the_link_and_nobody_else() {
    let app = TestApp::start().await;
    let company = app.company("acme").await;
    let boss = company.user("Boss", Role::Supervisor).await;
    let line = company.department("Support").await;
    let (id, token) = company.link_with(line, |_| {}).await;
    let other = company.link(line).await;
    let maria = app.client().join(&token, "Maria").await.expect(200);
    let bia = app.client().join(&other, "Bia").await.expect(200);
    let path = format!("/api/v1/access-links/{id}/cancel");
    for _ in 0..2 {
        assert_eq!(boss.client.post(&path, json!({})).await.expect(200).data("status"), "cancelled");
    }
    let ended = app.client().status(maria.data("call_id")).await.expect(200);
    assert_eq!((ended.data("status"), ended.data("phase")), ("cancelled", "ended"));
    assert_eq!(app.client().status(bia.data("call_id")).await.expect(200).body["data"]["position"], 1);
    for path in ["validate", "join"] {
        let path = format!("/api/v1/call/{token}/{path}");
        let answer = match path.ends_with("join") {
            true => app.client().post(&path, json!({"name": "Ivo"})).await,
            false => app.client().get(&path).await,
        };
        answer.expect_error(404, "Invalid or expired access link");
    }
}

#[tokio::test]
async fn a_link_that_was_used_up_stays_used() {
    let app = TestApp::start().await;
    let company = app.company("acme").await;
    let boss = company.user("Boss", Role::Supervisor).await;
    let line = company.department("Support").await;
    let (id, token) = company.link_with(line, |link| link.max_uses = Some(1)).await;
    let joined = app.client().join(&token, "Maria").await.expect(200);
    let refused = boss.client.post(&format!("/api/v1/access-links/{id}/cancel"), json!({})).await.expect(422);
    assert_eq!(refused.body["errors"]["code"], "link_used");
    let shown = boss.client.get(&format!("/api/v1/access-links/{id}")).await.expect(200);
    assert_eq!((shown.data("status"), shown.data("call_id")), ("used", joined.data("call_id")));
    assert_eq!(app.client().status(joined.data("call_id")).await.data("status"), "queued");
}

#[tokio::test]
async fn ids_of_nothing_are_not_found() {
    let app = TestApp::start().await;
    let boss = app.company("acme").await.user("Boss", Role::Supervisor).await;
    boss.client.get(&format!("/api/v1/access-links/{NOBODY}")).await.expect_error(404, "Not found");
    let cancel = format!("/api/v1/access-links/{NOBODY}/cancel");
    boss.client.post(&cancel, json!({})).await.expect_error(404, "Not found");
}
