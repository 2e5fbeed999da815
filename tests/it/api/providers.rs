//! `/api/v1/providers/*`.

use serde_json::json;
use vez::domain::role::Role;

use super::{NOBODY, each};
use crate::harness::TestApp;

#[tokio::test]
async fn a_provider_is_made_shown_changed_and_deleted() {
    let app = TestApp::start().await;
    let boss = app.company("acme").await.user("Boss", Role::Manager).await;
    let body = json!({"service_provider": {"name": "Clínica Sul", "document": "98.765.432/0001-10",
        "email": "contato@sul.example", "phone": "+5511999998888"}});
    let made = boss.client.post("/api/v1/providers", body).await.expect(201);
    let now = app.now().to_string();
    let mut expected = json!({"data": {"id": made.id(), "name": "Clínica Sul", "document": "98.765.432/0001-10",
        "email": "contato@sul.example", "phone": "+5511999998888", "active": true, "user_count": 0,
        "inserted_at": now, "updated_at": now}});
    assert_eq!(made.body, expected);
    let path = format!("/api/v1/providers/{}", made.id());
    assert_eq!(boss.client.get(&path).await.expect(200).body, expected);
    expected["data"]["phone"] = json!(null);
    expected["data"]["active"] = json!(false);
    assert_eq!(boss.client.put(&path, json!({"phone": "", "active": false})).await.expect(200).body, expected);
    assert_eq!(boss.client.delete(&path).await.expect(200).body, json!({"data": {"id": made.id()}}));
    boss.client.get(&path).await.expect_error(404, "Not found");
    boss.client.delete(&path).await.expect_error(404, "Not found");
    let nameless = boss.client.post("/api/v1/providers", json!({"service_provider": {"email": "x"}})).await.expect(422);
    assert_eq!(nameless.body, json!({"errors": {"name": ["can't be blank"], "email": ["has invalid format"]}}));
}

#[tokio::test]
async fn supervisors_look_and_managers_change() {
    let app = TestApp::start().await;
    let company = app.company("acme").await;
    let (manager, supervisor) = (company.user("Mia", Role::Manager).await, company.user("Sue", Role::Supervisor).await);
    let made = manager.client.post("/api/v1/providers", json!({"name": "Sul"})).await.expect(201);
    let path = format!("/api/v1/providers/{}", made.id());
    supervisor.client.get("/api/v1/providers").await.expect(200);
    supervisor.client.get(&path).await.expect(200);
    supervisor.client.get(&format!("{path}/users")).await.expect(200);
    supervisor.client.put(&path, json!({"name": "Norte"})).await.expect_error(403, "Forbidden");
    supervisor.client.post(&format!("{path}/users"), json!({"user_id": supervisor.id})).await.expect(403);
    supervisor.client.delete(&path).await.expect_error(403, "Forbidden");
}

#[tokio::test]
async fn the_list_is_searched_filtered_sorted_and_paged() {
    let app = TestApp::start().await;
    let boss = app.company("acme").await.user("Boss", Role::Manager).await;
    for (name, document) in [("Sul", "111"), ("norte", "222"), ("Leste", "333")] {
        let body = json!({"service_provider": {"name": name, "document": document, "active": name != "Leste"}});
        boss.client.post("/api/v1/providers", body).await.expect(201);
    }
    let names = async |query: &str| {
        let list = boss.client.get(&format!("/api/v1/providers?{query}")).await.expect(200).body;
        each(&list["data"], "name").iter().map(|name| name.as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(names("").await, ["Leste", "norte", "Sul"]);
    assert_eq!(names("sort_order=desc&page_size=1&page=2").await, ["norte"]);
    assert_eq!(names("search=22").await, ["norte"]);
    assert_eq!(names("active=false").await, ["Leste"]);
}

#[tokio::test]
async fn people_belong_to_a_provider_until_it_or_they_go() {
    let app = TestApp::start().await;
    let company = app.company("acme").await;
    let boss = company.user("Boss", Role::Manager).await;
    let ana = company.agent("Ana", &[]).await;
    let made = boss.client.post("/api/v1/providers", json!({"name": "Sul"})).await.expect(201);
    let path = format!("/api/v1/providers/{}", made.id());
    let users = format!("{path}/users");
    let member = json!({"data": {"service_provider_id": made.id(), "user_id": ana.id}});
    assert_eq!(boss.client.post(&users, json!({"user_id": ana.id})).await.expect(201).body, member);
    assert_eq!(
        boss.client.post(&users, json!({"user_id": ana.id})).await.expect(200).body,
        member,
        "again changes nothing"
    );
    let nobody = boss.client.post(&users, json!({"user_id": NOBODY})).await.expect(422);
    assert_eq!(nobody.body, json!({"errors": {"user_id": ["does not exist"]}}));
    let listed = boss.client.get(&users).await.expect(200).body;
    assert_eq!((each(&listed["data"], "name"), &listed["meta"]["total_count"]), (vec![&json!("Ana")], &json!(1)));
    assert_eq!(boss.client.get(&path).await.expect(200).body["data"]["user_count"], 1);
    for _ in 0..2 {
        assert_eq!(boss.client.delete(&format!("{users}/{}", ana.id)).await.expect(200).body, member);
    }
    boss.client.delete(&format!("{users}/{NOBODY}")).await.expect_error(404, "Not found");
    boss.client.post(&users, json!({"user_id": ana.id})).await.expect(201);
    boss.client.delete(&path).await.expect(200);
    boss.client.get(&format!("/api/v1/users/{}", ana.id)).await.expect(200);
}
