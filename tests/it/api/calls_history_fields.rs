//! `GET /api/v1/dialer/calls_history`: what its fields say, and where `download_audio` leads.

use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};
use vez::domain::role::Role;

use super::call_files::{Part, record, set_company, webm};
use super::calls_history::{PATH, app_at, get, refusal};
use super::past_calls::{PastCall, change, numbers};
use crate::harness::TestApp;

#[tokio::test]
async fn a_call_that_nobody_answered_has_nulls_and_zeros() {
    let app = TestApp::start().await;
    let company = app.company("acme").await;
    let line = company.department("Suporte").await;
    let boss = company.user("Boss", Role::Supervisor).await;
    let joined = app.client().join(&company.link(line).await, "Maria").await.expect(200);
    app.advance(Duration::from_secs(40)).await;
    boss.client.post(&format!("/api/v1/calls/{}/cancel", joined.data("call_id")), json!({})).await.expect(200);
    assert_eq!(get(&boss.client, "").await.expect(200).body["pagination"]["total"], 0, "failures have to be asked for");
    let answer = get(&boss.client, "contact_status=error").await.expect(200).body;
    let call = &answer["data"][0];
    let expected = json!({"answer_time": null, "classification": "-", "hangup_cause": "Call rejected",
        "uuid": joined.data("call_id"), "campaign": {"id": 1, "name": "Suporte"}, "talking_duration": 0, "trunk_name": "web",
        "start_time": "2025-06-02T12:00:00+00:00", "end_by": "Agent", "agent": null, "billable_duration": 0.0,
        "subscriber": {"external_id": null, "number": null, "name": "Maria"}, "survey": {"csat": null, "nps": null},
        "end_time": "2025-06-02T12:00:40+00:00", "outcome": "-", "id": 1, "custom_fields": {}, "download_audio": null});
    assert_eq!(call, &expected);
}

#[tokio::test]
async fn words_for_every_end() {
    let app = app_at("2024-01-02T15:00:00Z").await;
    let company = app.company("acme").await;
    let line = company.department("Suporte").await;
    let agent = company.agent("Ana", &[line]).await;
    let boss = company.user("Boss", Role::Supervisor).await;
    let times = ["2024-01-02T12:00:00Z", "2024-01-02T12:00:10Z", "2024-01-02T12:00:20Z"];
    let ends = [
        ("left", false, "Originator cancel", "Subscriber"),
        ("abandoned", false, "Originator cancel", "Subscriber"),
        ("never_connected", false, "Subscriber absent", "Subscriber"),
        ("timed_out", false, "No answer", "System"),
        ("withdrawn", false, "Call rejected", "Agent"),
        ("link_cancelled", false, "Call rejected", "Agent"),
        ("system_error", false, "Normal temporary failure", "System"),
        ("customer_lost", true, "Media timeout", "Subscriber"),
        ("agent_lost", true, "Media timeout", "Agent"),
        ("completed", true, "Normal clearing", "Agent"),
    ];
    for (number, (reason, answered, _, _)) in (1..).zip(ends) {
        let call = if answered {
            PastCall::answered(number, line, agent.id, times)
        } else {
            PastCall::missed(number, line, times[0], times[2])
        };
        PastCall { end_reason: Some(reason), ..call }.put(&app, &company).await;
    }
    let list = get(&boss.client, "contact_status=both").await.expect(200).body;
    assert_eq!(numbers(&list["data"]), (1..=10).rev().collect::<Vec<i64>>(), "of one moment, the last number first");
    for (call, (reason, _, cause, by)) in list["data"].as_array().unwrap().iter().rev().zip(ends) {
        assert_eq!((&call["hangup_cause"], &call["end_by"]), (&json!(cause), &json!(by)), "{reason}");
    }
    // Once the facts are pruned, nobody knows who hung up.
    change(&app, "DELETE FROM events").await;
    let list = get(&boss.client, "contact_status=both").await.expect(200).body;
    assert_eq!((&list["data"][0]["end_by"], &list["data"][1]["end_by"]), (&json!("-"), &json!("Agent")));
}

#[tokio::test]
async fn tags_are_outcomes_and_ratings_are_told() {
    let app = app_at("2024-01-02T15:00:00Z").await;
    let company = app.company("acme").await;
    let line = company.department("Suporte").await;
    let agent = company.agent("Ana", &[line]).await;
    let boss = company.user("Boss", Role::Supervisor).await;
    let times = ["2024-01-02T12:00:00Z", "2024-01-02T12:00:10Z", "2024-01-02T12:00:20Z"];
    let call = PastCall { rating: Some(4), ..PastCall::answered(1, line, agent.id, times) };
    let call = call.put(&app, &company).await;
    let tag = async |name: &str, parent: Value| {
        let body = json!({"name": name, "parent_id": parent});
        boss.client.post("/api/v1/tags", body).await.expect(201).id().to_owned()
    };
    let sale = tag("Venda", Value::Null).await;
    let (lost, vip) = (tag("Não interessado", json!(sale)).await, tag("VIP", Value::Null).await);
    for id in [lost, vip] {
        boss.client.post(&format!("/api/v1/calls/{call}/tags"), json!({ "tag_id": id })).await;
    }
    let list = get(&boss.client, "").await.expect(200).body;
    let call = &list["data"][0];
    assert_eq!(
        (&call["outcome"], &call["classification"]),
        (&json!("Não interessado, VIP"), &json!("Venda")),
        "{call}"
    );
    assert_eq!(call["survey"], json!({"csat": 4, "nps": null}));
}

#[tokio::test]
async fn a_recording_is_where_the_history_says() {
    let app = TestApp::start().await;
    let company = app.company("acme").await;
    set_company(&app, company.tenant, "recording_enabled = true").await;
    let line = company.department("Suporte").await;
    let agent = company.agent("Ana", &[line]).await;
    let owner = company.user("Owner", Role::Owner).await;
    let link = json!({"department_id": line, "name": "Totem", "custom_fields": {"site": "www"}});
    let link = owner.client.post("/api/v1/access-links", link).await.expect(201);
    assert_eq!(link.data("name"), "Totem");
    let body = json!({"name": "Maria", "phone": "+55 84 99999-9999"});
    let joined = app.client().post(&format!("/api/v1/call/{}/join", link.data("token")), body).await.expect(200);
    let call = joined.data("call_id");
    for action in ["assign", "start"] {
        agent.client.act(call, action).await.expect(200);
    }
    app.advance(Duration::from_secs(30)).await;
    let bytes = webm(5_000);
    record(&agent.client, call, &[Part::file("a.webm", "video/webm", &bytes)]).await.expect(201);
    agent.client.act(call, "complete").await.expect(200);
    let body = json!({"name": "Evolux", "role": "supervisor"});
    let token = owner.client.post("/api/v1/api-tokens", body).await.expect(201).data("token").to_owned();
    let ask = async |path: &str, range: &str| {
        let request = app.client().request(Method::GET, path).header("token", &token);
        let request = if range.is_empty() { request } else { request.header("range", range) };
        request.send().await.unwrap()
    };
    let list: Value = ask(PATH, "").await.json().await.unwrap();
    let shown = &list["data"][0];
    assert_eq!((&shown["trunk_name"], &shown["subscriber"]["number"]), (&json!("Totem"), &json!("5584999999999")));
    assert_eq!(shown["custom_fields"], json!({}), "no campaign was named");
    assert_eq!(
        (&shown["talking_duration"], &shown["billable_duration"]),
        (&json!(30), &json!(45.0)),
        "15 s of wrap-up"
    );
    let named: Value = ask(&format!("{PATH}?campaign_id=1"), "").await.json().await.unwrap();
    assert_eq!(named["data"][0]["custom_fields"], json!({"site": "www"}));

    let url = shown["download_audio"].as_str().unwrap();
    assert_eq!(url, format!("http://{}/api/v1/dialer/call/1/recording", app.addr()));
    let path = "/api/v1/dialer/call/1/recording";
    let whole = ask(path, "").await;
    assert_eq!((whole.status().as_u16(), &whole.headers()["content-type"]), (200, &"video/webm".parse().unwrap()));
    assert_eq!(whole.bytes().await.unwrap(), bytes);
    let part = ask(path, "bytes=100-199").await;
    assert_eq!((part.status().as_u16(), &part.bytes().await.unwrap()[..]), (206, &bytes[100..200]));
    let outside = ask(path, "bytes=5000-").await;
    assert_eq!(
        (outside.status().as_u16(), &outside.headers()["content-range"]),
        (416, &"bytes */5000".parse().unwrap())
    );
    assert_eq!(outside.json::<Value>().await.unwrap(), refusal(416, "The range lies outside the file."));
    for missing in ["2", "0", "-1", "x", "99999999999999999999", call] {
        let answer = ask(&format!("/api/v1/dialer/call/{missing}/recording"), "").await;
        assert_eq!(answer.status(), 404, "{missing}");
        assert_eq!(answer.json::<Value>().await.unwrap(), refusal(404, "Recording not found."), "{missing}");
    }
    let stranger = app.company("other").await.user("Stranger", Role::Owner).await;
    assert_eq!(stranger.client.get(path).await.expect(404).body, refusal(404, "Recording not found."));
}
