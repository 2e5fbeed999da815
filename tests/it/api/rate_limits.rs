//! How often one address or account may ask; the clock is moved by hand.

use std::time::Duration;

use serde_json::json;
use vez::domain::role::Role;

use crate::harness::TestApp;
use crate::harness::builders::PASSWORD;
use crate::harness::client::{Answer, send};
use reqwest::Method;

/// The seconds of a refusal.
fn retry_after(answer: &Answer) -> Duration {
    assert_eq!((answer.status, &answer.body), (429, &json!({"errors": {"detail": "Too many requests"}})));
    Duration::from_secs(answer.header("retry-after").unwrap().parse().unwrap())
}

#[tokio::test]
async fn an_account_is_tried_five_times_a_minute() {
    // Without the lock after wrong passwords, which has tests of its own.
    let app = TestApp::builder().rate_limit().config(|config| config.auth.lockout_failures = 0).start().await;
    let company = app.company("acme").await;
    let (ana, bob) = (company.user("Ana", Role::Attendant).await, company.user("Bob", Role::Attendant).await);
    let log_in = async |email: &str, password: &str| {
        app.client().post("/api/auth/login", json!({"email": email, "password": password, "tenant": "acme"})).await
    };
    for _ in 0..5 {
        log_in(&ana.email, "wrong").await.expect(401);
    }
    // A right password does not help, nor does another spelling; another account is not touched.
    let wait = retry_after(&log_in(&ana.email, PASSWORD).await);
    retry_after(&log_in(&ana.email.to_uppercase(), PASSWORD).await);
    assert!((1..=60).contains(&wait.as_secs()), "{wait:?}");
    log_in(&bob.email, PASSWORD).await.expect(200);
    app.advance(wait).await;
    log_in(&ana.email, PASSWORD).await.expect(200);
    retry_after(&log_in(&ana.email, PASSWORD).await);
}

#[tokio::test]
async fn refreshing_and_logging_out_are_limited_too() {
    let app = TestApp::builder().rate_limit().start().await;
    let company = app.company("acme").await;
    let ana = company.user("Ana", Role::Attendant).await;
    let body = json!({"email": ana.email, "password": PASSWORD, "tenant": "acme"});
    let mut pair = app.client().post("/api/auth/login", body).await.expect(200);
    for _ in 0..5 {
        let body = json!({"refresh_token": pair.data("refresh_token")});
        pair = app.client().post("/api/auth/refresh", body).await.expect(200);
    }
    let body = json!({"refresh_token": pair.data("refresh_token")});
    let wait = retry_after(&app.client().post("/api/auth/refresh", body.clone()).await);
    app.advance(wait).await;
    // The refusal did not spend the token.
    app.client().post("/api/auth/refresh", body).await.expect(200);
    for _ in 0..5 {
        ana.client.post("/api/auth/logout", json!({})).await.expect(200);
    }
    retry_after(&ana.client.post("/api/auth/logout", json!({})).await);
}

#[tokio::test]
async fn codes_and_forgotten_passwords_are_limited_too() {
    let app = TestApp::builder().rate_limit().config(|config| config.auth.lockout_failures = 0).start().await;
    let company = app.company("acme").await;
    let ana = company.user("Ana", Role::Attendant).await;
    let forgot = async |email: &str| {
        app.client().post("/api/auth/forgot-password", json!({"email": email, "tenant": "acme"})).await
    };
    let reset = async |token: &str| {
        app.client().post("/api/auth/reset-password", json!({"token": token, "password": "a better horse"})).await
    };
    for _ in 0..5 {
        forgot("nobody@acme.example").await.expect(200);
        reset("guessed").await.expect(422);
        // An unfinished enrolment: each code is wrong.
        ana.client.post("/api/v1/users/me/mfa/confirm", json!({"code": "000000"})).await.expect(422);
    }
    retry_after(&forgot("Nobody@acme.example").await);
    retry_after(&reset("guessed").await);
    retry_after(&ana.client.post("/api/v1/users/me/mfa/confirm", json!({"code": "000000"})).await);
    forgot("somebody@acme.example").await.expect(200);

    // A login that waits for its code: by the user, whichever token he has.
    sqlx::query("UPDATE users SET mfa_enabled = true").execute(app.app.store().system()).await.unwrap();
    app.advance(Duration::from_secs(60)).await;
    let body = json!({"email": ana.email, "password": PASSWORD, "tenant": "acme"});
    let asked = app.client().post("/api/auth/login", body).await.expect(200);
    let verify = async || {
        let body = json!({"mfa_token": asked.data("mfa_token"), "code": "000000"});
        app.client().post("/api/auth/mfa/verify", body).await
    };
    for _ in 0..5 {
        verify().await.expect(401);
    }
    retry_after(&verify().await);
}

#[tokio::test]
async fn one_address_cannot_try_many_accounts() {
    let app = TestApp::builder().rate_limit().config(|config| config.limits.auth_address_per_minute = 24).start().await;
    let mut answers = Vec::new();
    for number in 0..30 {
        let body = json!({"email": format!("u{number}@acme.example"), "password": "x", "tenant": "acme"});
        answers.push(app.client().post("/api/auth/login", body).await);
    }
    let refused = answers.iter().position(|answer| answer.status == 429).unwrap();
    retry_after(&answers[refused]);
    assert_eq!(refused, 24);
}

#[tokio::test]
async fn public_endpoints_share_thirty_a_minute_for_each_address() {
    let app = TestApp::builder().rate_limit().config(|config| {
        config.server.trusted_proxies = vec!["127.0.0.1".to_owned()];
    });
    let app = app.start().await;
    let company = app.company("acme").await;
    let line = company.department("Support").await;
    let link = company.link(line).await;
    let ana = company.agent("Ana", &[line]).await;
    let from = async |address: &str, path: String| {
        send(app.client().request(Method::GET, &path).header("x-forwarded-for", address)).await
    };
    let joined = app.client().join(&link, "Maria").await.expect(200);
    let paths = [format!("/api/v1/call/{link}/validate"), format!("/api/v1/call/status/{}", joined.data("call_id"))];
    for number in 0..30 {
        from("203.0.113.1", paths[number % 2].clone()).await.expect(200);
    }
    let refused = from("203.0.113.1", paths[0].clone()).await;
    let wait = retry_after(&refused);
    // Not other addresses, not the staff.
    from("203.0.113.2", paths[0].clone()).await.expect(200);
    for _ in 0..40 {
        ana.client.get("/api/v1/calls").await.expect(200);
    }
    app.advance(wait).await;
    from("203.0.113.1", paths[0].clone()).await.expect(200);
    app.advance(Duration::from_secs(60)).await;
    for _ in 0..30 {
        from("203.0.113.1", paths[0].clone()).await.expect(200);
    }
}

#[tokio::test]
async fn limits_can_be_turned_off() {
    let app = TestApp::start().await;
    for _ in 0..100 {
        app.client().get("/api/v1/call/nowhere/validate").await.expect(404);
    }
}
