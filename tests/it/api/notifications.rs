//! `/api/v1/notifications/*`: a user's own notices.

use std::time::Duration;

use serde_json::json;
use vez::domain::role::Role;

use super::{NOBODY, each};
use crate::harness::TestApp;

#[tokio::test]
async fn a_user_lists_and_reads_his_own_notices_alone() {
    let app = TestApp::start().await;
    let acme = app.company("acme").await;
    let (ana, bia) = (acme.user("Ana", Role::Attendant).await, acme.user("Bia", Role::Manager).await);
    let mut ids = Vec::new();
    for title in ["one", "two", "three"] {
        ids.push(acme.notification(ana.id, title).await.to_string());
        app.advance(Duration::from_secs(1)).await;
    }
    acme.notification(bia.id, "other").await;

    let list = ana.client.get("/api/v1/notifications").await.expect(200).body;
    assert_eq!(each(&list["data"], "title"), ["three", "two", "one"]);
    assert_eq!(list["meta"]["total_count"], 3);
    assert_eq!(list["data"][2]["type"], "note");
    assert_eq!(list["data"][2]["read_at"], json!(null));

    let read_at = app.now().to_string();
    let path = format!("/api/v1/notifications/{}/read", ids[1]);
    let read = ana.client.post(&path, json!({})).await.expect(200);
    assert_eq!((read.id(), read.data("read_at")), (ids[1].as_str(), read_at.as_str()));
    app.advance(Duration::from_secs(5)).await;
    // The time of the first reading stays.
    assert_eq!(ana.client.post(&path, json!({})).await.expect(200).data("read_at"), read_at);
    let unread = ana.client.get("/api/v1/notifications?unread=true&page_size=1").await.expect(200).body;
    assert_eq!((each(&unread["data"], "title"), &unread["meta"]["total_count"]), (vec![&json!("three")], &json!(2)));
    let read = ana.client.get("/api/v1/notifications?unread=false").await.expect(200).body;
    assert_eq!(each(&read["data"], "title"), ["two"]);

    for (client, id) in [(&bia.client, ids[0].as_str()), (&ana.client, NOBODY)] {
        client.post(&format!("/api/v1/notifications/{id}/read"), json!({})).await.expect_error(404, "Not found");
    }
    let all = ana.client.post("/api/v1/notifications/read-all", json!({})).await.expect(200);
    assert_eq!(all.body, json!({"data": {"read_count": 2}}));
    let unread = ana.client.get("/api/v1/notifications?unread=true").await.expect(200).body;
    assert_eq!(unread["meta"]["total_count"], 0);
    let others = bia.client.get("/api/v1/notifications?unread=true").await.expect(200).body;
    assert_eq!(others["meta"]["total_count"], 1);
}

#[tokio::test]
async fn a_bad_question_is_refused() {
    let app = TestApp::start().await;
    let ana = app.company("acme").await.user("Ana", Role::Attendant).await;
    ana.client.get("/api/v1/notifications?unread=maybe").await.expect_error(400, "The parameter unread is invalid");
    app.client().get("/api/v1/notifications").await.expect_error(401, "Unauthorized");
}
