//! `/api/v1/calls/:call_id/tags`.

use serde_json::{Value, json};
use vez::domain::role::Role;

use super::{NOBODY, each};
use crate::harness::TestApp;
use crate::harness::builders::Member;

async fn tag(member: &Member, name: &str) -> String {
    member.client.post("/api/v1/tags", json!({"name": name})).await.expect(201).id().to_owned()
}

async fn usage(member: &Member, tag: &str) -> Value {
    member.client.get(&format!("/api/v1/tags/{tag}")).await.expect(200).body["data"]["usage_count"].clone()
}

#[tokio::test]
async fn a_call_is_tagged_once_however_often_it_is_asked() {
    let app = TestApp::start().await;
    let company = app.company("acme").await;
    let line = company.department("Suporte").await;
    let agent = company.agent("Ana", &[line]).await;
    let link = company.link(line).await;
    let call = app.client().join(&link, "Maria").await.expect(200).data("call_id").to_owned();
    let (vip, billing) = (tag(&agent, "vip").await, tag(&agent, "Billing").await);
    let path = format!("/api/v1/calls/{call}/tags");
    assert_eq!(agent.client.get(&path).await.expect(200).body, json!({"data": []}));
    for _ in 0..2 {
        let tags = agent.client.post(&path, json!({"tag_id": vip})).await.expect(201).body;
        assert_eq!(
            (each(&tags["data"], "id"), each(&tags["data"], "usage_count")),
            (vec![&json!(vip)], vec![&json!(1)])
        );
    }
    let both = agent.client.post(&path, json!({"tag_ids": [billing, vip]})).await.expect(201).body;
    assert_eq!(each(&both["data"], "name"), ["Billing", "vip"]);
    assert_eq!(agent.client.get(&path).await.expect(200).body, both);
    // It stays with the call through its life, which is written by others.
    for action in ["assign", "start", "complete"] {
        agent.client.act(&call, action).await.expect(200);
    }
    assert_eq!(agent.client.get(&path).await.expect(200).body, both);
    let one = format!("{path}/{vip}");
    assert_eq!(agent.client.delete(&one).await.expect(200).body, json!({"data": {"id": vip}}));
    agent.client.delete(&one).await.expect_error(404, "Not found");
    assert_eq!((usage(&agent, &vip).await, usage(&agent, &billing).await), (json!(0), json!(1)));
}

#[tokio::test]
async fn what_names_no_tag_changes_nothing() {
    let app = TestApp::start().await;
    let company = app.company("acme").await;
    let line = company.department("Suporte").await;
    let agent = company.agent("Ana", &[line]).await;
    let link = company.link(line).await;
    let call = app.client().join(&link, "Maria").await.expect(200).data("call_id").to_owned();
    let vip = tag(&agent, "vip").await;
    let path = format!("/api/v1/calls/{call}/tags");
    for (body, errors) in [
        (json!({}), json!({"tag_id": ["can't be blank"]})),
        (json!({"tag_ids": []}), json!({"tag_id": ["can't be blank"]})),
        (json!({"tag_id": "x"}), json!({"tag_id": ["is invalid"]})),
        (json!({"tag_ids": [vip, NOBODY]}), json!({"tag_id": ["does not exist"]})),
    ] {
        assert_eq!(agent.client.post(&path, body).await.expect(422).body, json!({"errors": errors}));
    }
    assert_eq!(agent.client.get(&path).await.expect(200).body, json!({"data": []}));
}

#[tokio::test]
async fn a_call_has_at_most_fifty_tags() {
    let app = TestApp::start().await;
    let company = app.company("acme").await;
    let line = company.department("Suporte").await;
    let agent = company.agent("Ana", &[line]).await;
    let link = company.link(line).await;
    let call = app.client().join(&link, "Maria").await.expect(200).data("call_id").to_owned();
    let mut tags = Vec::new();
    for number in 0..51 {
        tags.push(tag(&agent, &format!("tag {number}")).await);
    }
    let path = format!("/api/v1/calls/{call}/tags");
    agent.client.post(&path, json!({"tag_ids": tags[..50]})).await.expect(201);
    let refused = agent.client.post(&path, json!({"tag_id": tags[50]})).await.expect(422);
    assert_eq!(refused.body["errors"]["code"], "too_many_tags");
    assert_eq!(agent.client.get(&path).await.expect(200).body["data"].as_array().unwrap().len(), 50);
}

#[tokio::test]
async fn an_attendant_tags_only_calls_he_sees() {
    let app = TestApp::start().await;
    let company = app.company("acme").await;
    let (line, other) = (company.department("Suporte").await, company.department("Other").await);
    let stranger = company.agent("Stranger", &[other]).await;
    let boss = company.user("Boss", Role::Supervisor).await;
    let link = company.link(line).await;
    let call = app.client().join(&link, "Maria").await.expect(200).data("call_id").to_owned();
    let vip = tag(&stranger, "vip").await;
    let path = format!("/api/v1/calls/{call}/tags");
    boss.client.post(&path, json!({"tag_id": vip})).await.expect(201);
    stranger.client.get(&path).await.expect_error(404, "Not found");
    stranger.client.post(&path, json!({"tag_id": vip})).await.expect_error(404, "Not found");
    stranger.client.delete(&format!("{path}/{vip}")).await.expect_error(404, "Not found");
    assert_eq!(usage(&boss, &vip).await, 1);
}

#[tokio::test]
async fn a_deleted_tag_is_gone_from_calls_and_links() {
    let app = TestApp::start().await;
    let company = app.company("acme").await;
    let line = company.department("Suporte").await;
    let boss = company.user("Boss", Role::Supervisor).await;
    let vip = tag(&boss, "vip").await;
    let body = json!({"department_id": line, "tag_ids": [vip]});
    let link = boss.client.post("/api/v1/access-links", body).await.expect(201);
    let call = app.client().join(link.data("token"), "Maria").await.expect(200).data("call_id").to_owned();
    boss.client.delete(&format!("/api/v1/tags/{vip}")).await.expect(200);
    let path = format!("/api/v1/calls/{call}/tags");
    assert_eq!(boss.client.get(&path).await.expect(200).body, json!({"data": []}));
    let shown = boss.client.get(&format!("/api/v1/access-links/{}", link.id())).await.expect(200);
    assert_eq!(shown.body["data"]["tag_ids"], json!([]));
    app.client().join(link.data("token"), "Bia").await.expect(200);
}
