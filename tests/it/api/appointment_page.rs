//! `/api/v1/appointment/:token`: what a customer does by the link in his mail.

use reqwest::Method;
use serde_json::json;

use super::keys;
use crate::harness::TestApp;
use crate::harness::builders::{Company, Member};
use crate::harness::client::send;

/// An agent, his appointment's id, and the path of the customer's page as the mail says it.
async fn invited(app: &TestApp, company: &Company<'_>) -> (Member, String, String) {
    let line = company.department("Support").await;
    let agent = company.agent("Ana", &[line]).await;
    let body = json!({"title": "Retorno <b>", "scheduled_at": app.now().plus_seconds(7_200).to_string(),
        "department_id": line, "customer_name": "Carlos", "customer_email": "carlos@email.com", "locale": "en",
        "notes": "Difficult", "description": "Secret"});
    let made = agent.client.post("/api/v1/appointments", body).await.expect(201);
    let mails = app.until_mails(1).await;
    let url = mails.last().unwrap().link("/appointment/").to_owned();
    let path = url.strip_prefix(&format!("http://{}", app.addr())).unwrap().to_owned();
    assert_eq!(mails.last().unwrap().link("/call/"), made.data("join_url"));
    (agent, made.id().to_owned(), path)
}

#[tokio::test]
async fn looking_changes_nothing_and_tells_no_more_than_the_customer_needs() {
    let app = TestApp::start().await;
    let acme = app.company("acme").await;
    let (agent, id, path) = invited(&app, &acme).await;
    let seen = app.client().get(&path).await.expect(200);
    assert_eq!(
        keys(&seen.body["data"]),
        [
            "agent_name",
            "can_cancel",
            "can_confirm",
            "company_name",
            "customer_name",
            "department_name",
            "duration_minutes",
            "join_url",
            "locale",
            "scheduled_at",
            "status",
            "time_zone",
            "title"
        ]
    );
    assert_eq!((seen.data("status"), seen.data("company_name")), ("scheduled", "Company acme"));
    let html = send(app.client().request(Method::GET, &path).header("Accept", "text/html,*/*")).await.expect(200);
    let page = html.body.as_str().unwrap();
    assert!(page.contains("Retorno &lt;b&gt;") && !page.contains("Retorno <b>"), "{page}");
    assert!(page.contains("2 June 2025, 11:00 (America") && page.contains("method=\"post\""), "{page}");
    assert!(html.header("content-security-policy").unwrap().starts_with("default-src 'none'"));
    assert_eq!(html.header("referrer-policy"), Some("no-referrer"));
    let shown = agent.client.get(&format!("/api/v1/appointments/{id}")).await.expect(200);
    assert_eq!(shown.data("status"), "scheduled");
}

#[tokio::test]
async fn the_customer_confirms_and_later_cancels_and_his_agent_is_told() {
    let app = TestApp::start().await;
    let acme = app.company("acme").await;
    let (agent, id, path) = invited(&app, &acme).await;
    let mut socket = app.topic(&agent.token, &agent.topic()).await;
    // As a browser's form sends it: no body, not JSON.
    let form = app.client().request(Method::POST, &format!("{path}/confirm?scheduled_at=2025-06-02T14:00:00Z"));
    let form = form.header("Content-Type", "application/x-www-form-urlencoded").header("Accept", "text/html");
    let html = send(form).await.expect(200);
    assert!(html.body.as_str().unwrap().contains("Confirmed."), "{html:?}");
    assert_eq!(socket.expect("new_notification").await["type"], "appointment_confirmed");
    // Again is fine, and no news.
    app.client().post(&format!("{path}/confirm"), json!({})).await.expect(200);
    let cancelled = app.client().post(&format!("{path}/cancel"), json!({})).await.expect(200);
    assert_eq!(cancelled.data("status"), "cancelled");
    assert_eq!(
        (&cancelled.body["data"]["can_confirm"], &cancelled.body["data"]["can_cancel"]),
        (&json!(false), &json!(false))
    );
    assert_eq!(socket.expect("new_notification").await["type"], "appointment_cancelled");
    let late = app.client().post(&format!("{path}/confirm"), json!({})).await.expect(422);
    assert_eq!(late.body["errors"]["code"], "appointment_closed");
    let shown = agent.client.get(&format!("/api/v1/appointments/{id}")).await.expect(200);
    assert_eq!(shown.data("status"), "cancelled");
    let kept = agent.client.get("/api/v1/notifications").await.expect(200).body;
    assert_eq!(kept["meta"]["total_count"], 2);
}

#[tokio::test]
async fn who_looked_at_an_old_time_does_not_confirm_the_new_one() {
    let app = TestApp::start().await;
    let acme = app.company("acme").await;
    let (agent, id, path) = invited(&app, &acme).await;
    let moved = json!({"scheduled_at": "2025-06-02T20:00:00Z"});
    agent.client.put(&format!("/api/v1/appointments/{id}"), moved).await.expect(200);
    let old = app.client().post(&format!("{path}/confirm?scheduled_at=2025-06-02T14:00:00Z"), json!({})).await;
    assert_eq!(old.expect(422).body["errors"]["code"], "appointment_moved");
    // The first mail's link still leads to the appointment as it is now.
    assert_eq!(app.client().get(&path).await.expect(200).data("scheduled_at"), "2025-06-02T20:00:00Z");
    let new = app.client().post(&format!("{path}/confirm?scheduled_at=2025-06-02T20:00:00Z"), json!({})).await;
    assert_eq!(new.expect(200).data("status"), "confirmed");
}

#[tokio::test]
async fn a_token_that_is_not_ours_leads_nowhere() {
    let app = TestApp::start().await;
    let acme = app.company("acme").await;
    let (.., path) = invited(&app, &acme).await;
    let (folder, token) = path.rsplit_once('/').unwrap();
    let (cut, swapped) = (&token[..token.len() - 1], token.chars().rev().collect::<String>());
    for bad in ["x", cut, swapped.as_str(), &"a".repeat(200)] {
        app.client().get(&format!("{folder}/{bad}")).await.expect_error(404, "Invalid appointment link");
        let decision = format!("{folder}/{bad}/cancel");
        app.client().post(&decision, json!({})).await.expect_error(404, "Invalid appointment link");
    }
}
