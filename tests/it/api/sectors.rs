//! `/api/v1/sectors/*`: the model of a resource's tests.

use serde_json::json;
use vez::domain::role::Role;

use super::{NOBODY, each};
use crate::harness::TestApp;

#[tokio::test]
async fn a_sector_is_made_shown_changed_and_deleted() {
    let app = TestApp::start().await;
    let boss = app.company("acme").await.user("Boss", Role::Supervisor).await;
    let body = json!({"sector": {"name": "Vendas", "description": "All sales"}});
    let made = boss.client.post("/api/v1/sectors", body).await.expect(201);
    let now = app.now().to_string();
    let mut expected = json!({"data": {"id": made.id(), "name": "Vendas", "description": "All sales", "active": true,
        "department_count": 0, "inserted_at": now, "updated_at": now}});
    assert_eq!(made.body, expected);
    let path = format!("/api/v1/sectors/{}", made.id());
    assert_eq!(boss.client.get(&path).await.expect(200).body, expected);
    expected["data"]["description"] = json!(null);
    expected["data"]["active"] = json!(false);
    let change = json!({"description": null, "active": false});
    assert_eq!(boss.client.put(&path, change).await.expect(200).body, expected);
    assert_eq!(boss.client.delete(&path).await.expect(200).body, json!({"data": {"id": made.id()}}));
    boss.client.get(&path).await.expect_error(404, "Not found");
    boss.client.delete(&path).await.expect_error(404, "Not found");
}

#[tokio::test]
async fn the_list_is_searched_filtered_sorted_and_paged() {
    let app = TestApp::start().await;
    let boss = app.company("acme").await.user("Boss", Role::Supervisor).await;
    for name in ["Vendas", "suporte", "Vendas externas"] {
        boss.client.post("/api/v1/sectors", json!({"sector": {"name": name}})).await.expect(201);
    }
    let names = async |query: &str| {
        let list = boss.client.get(&format!("/api/v1/sectors?{query}")).await.expect(200).body;
        each(&list["data"], "name").iter().map(|name| name.as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(names("").await, ["suporte", "Vendas", "Vendas externas"]);
    assert_eq!(names("sort_order=desc&page_size=1").await, ["Vendas externas"]);
    assert_eq!(names("search=vendas").await, ["Vendas", "Vendas externas"]);
    assert_eq!(names("active=false").await, [] as [&str; 0]);
    boss.client.get("/api/v1/sectors?sort_by=color").await.expect_error(400, "The parameter sort_by is invalid");
}

#[tokio::test]
async fn a_sector_counts_its_departments_and_leaves_them_without_one() {
    let app = TestApp::start().await;
    let boss = app.company("acme").await.user("Boss", Role::Supervisor).await;
    let sector = boss.client.post("/api/v1/sectors", json!({"name": "Vendas"})).await.expect(201);
    let body = json!({"department": {"name": "Externas", "sector_id": sector.id()}});
    let department = boss.client.post("/api/v1/departments", body).await.expect(201);
    let path = format!("/api/v1/sectors/{}", sector.id());
    assert_eq!(boss.client.get(&path).await.expect(200).body["data"]["department_count"], 1);
    boss.client.delete(&path).await.expect(200);
    let path = format!("/api/v1/departments/{}", department.id());
    assert_eq!(boss.client.get(&path).await.expect(200).body["data"]["sector_id"], json!(null));
}

#[tokio::test]
async fn what_is_wrong_is_told_and_changes_nothing() {
    let app = TestApp::start().await;
    let boss = app.company("acme").await.user("Boss", Role::Supervisor).await;
    let blank = json!({"errors": {"name": ["can't be blank"]}});
    assert_eq!(boss.client.post("/api/v1/sectors", json!({"sector": {"name": " "}})).await.expect(422).body, blank);
    let made = boss.client.post("/api/v1/sectors", json!({"name": "Vendas"})).await.expect(201);
    let path = format!("/api/v1/sectors/{}", made.id());
    assert_eq!(boss.client.put(&path, json!({"name": ""})).await.expect(422).body, blank);
    assert_eq!(boss.client.get(&path).await.expect(200).body, made.body);
    boss.client.put(&format!("/api/v1/sectors/{NOBODY}"), json!({"name": "x"})).await.expect_error(404, "Not found");
}
