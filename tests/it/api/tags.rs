//! `/api/v1/tags/*`.

use serde_json::{Value, json};
use vez::domain::role::Role;

use super::{NOBODY, each};
use crate::harness::TestApp;
use crate::harness::builders::Member;

async fn tag(member: &Member, name: &str, parent: Option<&str>) -> String {
    let body = json!({"tag": {"name": name, "parent_id": parent}});
    member.client.post("/api/v1/tags", body).await.expect(201).id().to_owned()
}

#[tokio::test]
async fn a_tag_is_made_shown_changed_and_deleted() {
    let app = TestApp::start().await;
    let company = app.company("acme").await;
    let (agent, boss) = (company.user("Agent", Role::Attendant).await, company.user("Boss", Role::Supervisor).await);
    let made = agent.client.post("/api/v1/tags", json!({"tag": {"name": "Billing"}})).await.expect(201);
    let mut expected = json!({"data": {"id": made.id(), "name": "Billing", "color": "#6b7280", "parent_id": null,
        "usage_count": 0, "inserted_at": app.now().to_string()}});
    assert_eq!(made.body, expected);
    let path = format!("/api/v1/tags/{}", made.id());
    assert_eq!(agent.client.get(&path).await.expect(200).body, expected);
    expected["data"]["color"] = json!("#3b82f6");
    assert_eq!(agent.client.put(&path, json!({"color": "#3B82F6"})).await.expect(200).body, expected);
    agent.client.delete(&path).await.expect_error(403, "Forbidden");
    assert_eq!(boss.client.delete(&path).await.expect(200).body, json!({"data": {"id": made.id()}}));
    boss.client.get(&path).await.expect_error(404, "Not found");
    boss.client.delete(&path).await.expect_error(404, "Not found");
    boss.client.put(&path, json!({"name": "x"})).await.expect_error(404, "Not found");
}

#[tokio::test]
async fn a_bad_tag_is_told_its_faults() {
    let app = TestApp::start().await;
    let agent = app.company("acme").await.user("Agent", Role::Attendant).await;
    tag(&agent, "Billing", None).await;
    for (body, errors) in [
        (json!({}), json!({"name": ["can't be blank"]})),
        (json!({"name": "x", "color": "blue"}), json!({"color": ["is invalid"]})),
        (json!({"name": "x", "color": "#12345"}), json!({"color": ["is invalid"]})),
        (json!({"name": "x", "color": "#12345g"}), json!({"color": ["is invalid"]})),
        (json!({"name": "x", "parent_id": NOBODY}), json!({"parent_id": ["does not exist"]})),
        (json!({"name": "BILLING"}), json!({"name": ["has already been taken"]})),
    ] {
        assert_eq!(agent.client.post("/api/v1/tags", body).await.expect(422).body, json!({"errors": errors}));
    }
}

#[tokio::test]
async fn the_list_has_fifty_to_a_page_and_is_searched() {
    let app = TestApp::start().await;
    let agent = app.company("acme").await.user("Agent", Role::Attendant).await;
    for number in 0..51 {
        tag(&agent, &format!("tag {number:02}"), None).await;
    }
    let list = async |query: &str| agent.client.get(&format!("/api/v1/tags?{query}")).await.expect(200).body;
    let all = list("").await;
    assert_eq!(all["meta"], json!({"current_page": 1, "page_size": 50, "total_pages": 2, "total_count": 51}));
    assert_eq!((&all["data"][0]["name"], &all["data"][49]["name"]), (&json!("tag 00"), &json!("tag 49")));
    assert_eq!(each(&list("page=2").await["data"], "name"), ["tag 50"]);
    assert_eq!(each(&list("search=TAG 1&page_size=2&sort_order=desc").await["data"], "name"), ["tag 19", "tag 18"]);
}

/// A tree as names: `a(b,c(d))`.
fn told(nodes: &Value) -> String {
    let told = nodes.as_array().unwrap().iter().map(|node| {
        let below = told(&node["children"]);
        let name = node["name"].as_str().unwrap();
        if below.is_empty() { name.to_owned() } else { format!("{name}({below})") }
    });
    told.collect::<Vec<_>>().join(",")
}

#[tokio::test]
async fn the_tree_is_nested_and_never_a_circle() {
    let app = TestApp::start().await;
    let company = app.company("acme").await;
    let boss = company.user("Boss", Role::Supervisor).await;
    let root = tag(&boss, "root", None).await;
    let left = tag(&boss, "left", Some(&root)).await;
    let right = tag(&boss, "Right", Some(&root)).await;
    let leaf = tag(&boss, "leaf", Some(&right)).await;
    let tree = async || boss.client.get("/api/v1/tags/tree").await.expect(200).body["data"].clone();
    assert_eq!(told(&tree().await), "root(left,Right(leaf))");
    assert_eq!(tree().await[0]["color"], "#6b7280");
    let put = async |id: &str, parent: Value| {
        boss.client.put(&format!("/api/v1/tags/{id}"), json!({"parent_id": parent})).await
    };
    let circle = json!({"errors": {"parent_id": ["must not be the tag itself or below it"]}});
    for below in [&root, &left, &leaf] {
        assert_eq!(put(&root, json!(below)).await.expect(422).body, circle);
    }
    assert_eq!(told(&tree().await), "root(left,Right(leaf))");
    put(&right, json!(null)).await.expect(200);
    put(&right, json!(left)).await.expect(200);
    assert_eq!(told(&tree().await), "root(left(Right(leaf)))");
    // Two who exchange places at the same moment do not make a circle either.
    put(&right, json!(null)).await.expect(200);
    put(&left, json!(null)).await.expect(200);
    let (one, two) = tokio::join!(put(&right, json!(left)), put(&left, json!(right)));
    assert_eq!(one.status + two.status, 200 + 422, "{one:?} {two:?}");
}

#[tokio::test]
async fn the_tree_has_at_most_five_levels() {
    let app = TestApp::start().await;
    let boss = app.company("acme").await.user("Boss", Role::Supervisor).await;
    let mut chain: Vec<String> = Vec::new();
    for level in 1..=5 {
        chain.push(tag(&boss, &format!("level {level}"), chain.last().map(String::as_str)).await);
    }
    let deep = json!({"errors": {"parent_id": ["tags may stand at most 5 levels deep"]}});
    let body = json!({"name": "too deep", "parent_id": chain[4]});
    assert_eq!(boss.client.post("/api/v1/tags", body).await.expect(422).body, deep);
    // What stands below a tag moves with it.
    let pair = tag(&boss, "pair", None).await;
    tag(&boss, "below", Some(&pair)).await;
    let path = format!("/api/v1/tags/{pair}");
    assert_eq!(boss.client.put(&path, json!({"parent_id": chain[3]})).await.expect(422).body, deep);
    boss.client.put(&path, json!({"parent_id": chain[2]})).await.expect(200);
}

#[tokio::test]
async fn a_tag_with_others_below_it_is_not_deleted() {
    let app = TestApp::start().await;
    let boss = app.company("acme").await.user("Boss", Role::Supervisor).await;
    let root = tag(&boss, "root", None).await;
    let leaf = tag(&boss, "leaf", Some(&root)).await;
    let refused = boss.client.delete(&format!("/api/v1/tags/{root}")).await.expect(422);
    assert_eq!(refused.body["errors"]["code"], "tag_has_children");
    boss.client.delete(&format!("/api/v1/tags/{leaf}")).await.expect(200);
    boss.client.delete(&format!("/api/v1/tags/{root}")).await.expect(200);
}
