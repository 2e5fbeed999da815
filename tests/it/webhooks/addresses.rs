//! Where webhooks may not go: the server does not become a manager's way into private networks.

use std::time::Duration;

use serde_json::json;

use super::receiver::{Receiver, Reply};
use super::{Desk, with_receiver};
use crate::harness::{TestApp, eventually};

#[tokio::test]
async fn a_url_that_leads_inside_is_refused_when_it_is_set() {
    let (app, _receiver, names, url) = with_receiver().await;
    names.point("inside.example", "10.1.2.3");
    names.point("metadata.example", "169.254.169.254");
    let desk = Desk::new(&app).await;
    let (webhook, _) = desk.webhook_for(&url, &["call.created"]).await;
    for wrong in [
        "http://inside.example/",
        "http://metadata.example/latest",
        "http://169.254.169.254/",
        "http://[::1]/",
        "http://[::ffff:10.0.0.1]/",
        "http://127.0.0.2/",
    ] {
        let errors = json!({"errors": {"url": ["must not lead to a private or reserved address"]}});
        let body = json!({"url": wrong, "events": ["call.created"]});
        let refused = desk.manager.client.post("/api/v1/webhooks", body).await.expect(422);
        assert_eq!(refused.body, errors, "{wrong}");
        let path = format!("/api/v1/webhooks/{webhook}");
        let refused = desk.manager.client.put(&path, json!({"url": wrong})).await.expect(422);
        assert_eq!(refused.body, errors, "{wrong}");
    }
}

#[tokio::test]
async fn plain_http_and_this_machine_are_refused_by_default() {
    let app = TestApp::start().await;
    let desk = Desk::new(&app).await;
    for (url, fault) in [
        ("http://8.8.8.8/", "must begin with https://"),
        ("https://127.0.0.1/", "must not lead to a private or reserved address"),
        ("https://ana:secret@8.8.8.8/", "must not hold a user name or password"),
        ("8.8.8.8", "is not a URL"),
    ] {
        let body = json!({"url": url, "events": ["call.created"]});
        let refused = desk.manager.client.post("/api/v1/webhooks", body).await.expect(422);
        assert_eq!(refused.body, json!({"errors": {"url": [fault]}}), "{url}");
    }
}

#[tokio::test]
async fn a_name_that_moves_inside_is_not_followed() {
    let (app, receiver, names, url) = with_receiver().await;
    // The same port at an address that is not allowed.
    let inside = Receiver::start_at(format!("127.0.0.2:{}", receiver.addr.port()).parse().unwrap()).await;
    let desk = Desk::new(&app).await;
    let (webhook, _) = desk.webhook_for(&url, &["call.created"]).await;
    desk.join(&app, "Maria").await;
    receiver.wait_for(1).await;
    names.point("hooks.example", "127.0.0.2");
    desk.join(&app, "Bruno").await;
    let refused = eventually("an attempt is refused", async || {
        let pending = desk.deliveries(&app, &webhook, "status=pending").await;
        pending.into_iter().find(|delivery| delivery["error"].is_string())
    })
    .await;
    assert_eq!(refused["error"], "the URL must not lead to a private or reserved address");
    assert_eq!(refused["response"], json!(null));
    assert!(inside.hits().is_empty());
    // Back where it was, it is told what it missed.
    names.point("hooks.example", "127.0.0.1");
    app.advance(Duration::from_secs(10)).await;
    receiver.wait_for(2).await;
    assert!(inside.hits().is_empty());
}

#[tokio::test]
async fn a_test_goes_nowhere_else_either() {
    let (app, receiver, names, url) = with_receiver().await;
    let inside = Receiver::start_at(format!("127.0.0.2:{}", receiver.addr.port()).parse().unwrap()).await;
    receiver.answer(Reply::Redirect(inside.url("hooks.example")));
    let desk = Desk::new(&app).await;
    let (webhook, _) = desk.webhook_for(&url, &["call.created"]).await;
    let path = format!("/api/v1/webhooks/{webhook}/test");
    let answer = desk.manager.client.post(&path, json!({})).await.expect(200);
    assert_eq!(answer.body["data"]["response"]["status"], 307);
    assert_eq!(answer.data("status"), "dead");
    names.point("hooks.example", "127.0.0.2");
    let answer = desk.manager.client.post(&path, json!({})).await.expect(200);
    assert_eq!(answer.data("error"), "the URL must not lead to a private or reserved address");
    assert!(inside.hits().is_empty());
}
