//! `/api/auth/*`: logging in, staying logged in, logging out.

use std::time::Duration;

use serde_json::{Value, json};

use super::keys;
use crate::harness::TestApp;
use crate::harness::builders::{Member, PASSWORD};
use crate::harness::client::{Answer, Client, send};
use crate::harness::socket::try_connect;
use vez::domain::role::Role;
use vez_loadtests::client::frames::Vsn;

async fn log_in(client: &Client, member: &Member, tenant: &str) -> Answer {
    client.post("/api/auth/login", json!({"email": member.email, "password": PASSWORD, "tenant": tenant})).await
}

async fn refresh(client: &Client, token: &str) -> Answer {
    client.post("/api/auth/refresh", json!({ "refresh_token": token })).await
}

#[tokio::test]
async fn a_login_serves_clients_of_both_of_vokis_documents() {
    let app = TestApp::start().await;
    let company = app.company("acme").await;
    let ana = company.user("Ana", Role::Manager).await;
    let answer = log_in(&app.client(), &ana, "acme").await.expect(200);
    assert_eq!(keys(&answer.body), ["access_token", "data", "refresh_token", "user"]);
    let mut bare = answer.body.clone();
    let enveloped = bare.as_object_mut().unwrap().remove("data").unwrap();
    assert_eq!(bare, enveloped, "both shapes say the same");
    assert_eq!(
        answer.body["user"],
        json!({"id": ana.id, "name": "Ana", "email": ana.email, "role": "manager", "avatar_url": null,
               "mfa_enabled": false})
    );
    let me = app.client_of(answer.data("access_token")).get("/api/v1/users/me").await.expect(200);
    assert_eq!(me.id(), ana.id.to_string());
    assert_eq!(answer.header("cache-control"), Some("no-store"));
}

#[tokio::test]
async fn an_address_is_the_same_in_any_case() {
    let app = TestApp::start().await;
    let company = app.company("acme").await;
    let ana = company.user("Ana", Role::Attendant).await;
    let body = json!({"email": ana.email.to_uppercase(), "password": PASSWORD, "tenant": "acme"});
    app.client().post("/api/auth/login", body).await.expect(200);
}

#[tokio::test]
async fn every_refused_login_sounds_alike() {
    let app = TestApp::start().await;
    let company = app.company("acme").await;
    app.company("other").await;
    let ana = company.user("Ana", Role::Attendant).await;
    let gone = company.user("Gone", Role::Attendant).await;
    company.deactivate(gone.id).await;
    for (email, password, tenant) in [
        (ana.email.as_str(), "wrong horse", "acme"),
        ("nobody@acme.example", PASSWORD, "acme"),
        (gone.email.as_str(), PASSWORD, "acme"),
        (ana.email.as_str(), PASSWORD, "other"),
        (ana.email.as_str(), PASSWORD, "nowhere"),
    ] {
        let body = json!({"email": email, "password": password, "tenant": tenant});
        app.client().post("/api/auth/login", body).await.expect_error(401, "Invalid credentials");
    }
}

#[tokio::test]
async fn a_login_names_every_missing_field() {
    let app = TestApp::start().await;
    let answer = app.client().post("/api/auth/login", json!({})).await.expect(422);
    let blank = json!(["can't be blank"]);
    assert_eq!(answer.body, json!({"errors": {"email": blank, "password": blank, "tenant": blank}}));
    let answer = app.client().post("/api/auth/login", json!({"email": 1, "password": [], "tenant": {}})).await;
    let invalid = json!(["is invalid"]);
    assert_eq!(answer.expect(422).body, json!({"errors": {"email": invalid, "password": invalid, "tenant": invalid}}));
}

#[tokio::test]
async fn an_access_token_lives_fifteen_minutes() {
    let app = TestApp::start().await;
    let ana = app.company("acme").await.user("Ana", Role::Attendant).await;
    app.advance(Duration::from_secs(15 * 60 - 1)).await;
    ana.client.get("/api/v1/users/me").await.expect(200);
    app.advance(Duration::from_secs(1)).await;
    ana.client.get("/api/v1/users/me").await.expect_error(401, "Unauthorized");
}

#[tokio::test]
async fn a_refresh_token_is_good_once_and_a_second_use_ends_the_login() {
    let app = TestApp::start().await;
    let company = app.company("acme").await;
    let ana = company.user("Ana", Role::Attendant).await;
    let client = app.client();
    let first = log_in(&client, &ana, "acme").await.expect(200);
    let second = refresh(&client, first.data("refresh_token")).await.expect(200);
    assert_ne!(first.data("refresh_token"), second.data("refresh_token"));
    assert_eq!(first.body["user"], second.body["user"]);
    app.client_of(second.data("access_token")).get("/api/v1/users/me").await.expect(200);

    let mut socket = app.topic(second.data("access_token"), &ana.topic()).await;
    refresh(&client, first.data("refresh_token")).await.expect_error(401, "Unauthorized");
    refresh(&client, second.data("refresh_token")).await.expect_error(401, "Unauthorized");
    socket.until_closed().await;
    // Another login of the same user goes on.
    let other = log_in(&client, &ana, "acme").await.expect(200);
    refresh(&client, other.data("refresh_token")).await.expect(200);
}

#[tokio::test]
async fn a_refresh_token_used_by_two_at_once_serves_one_of_them_at_most() {
    let app = TestApp::start().await;
    let company = app.company("acme").await;
    let ana = company.user("Ana", Role::Attendant).await;
    let client = app.client();
    let login = log_in(&client, &ana, "acme").await.expect(200);
    let token = login.data("refresh_token");
    let (one, two) = tokio::join!(refresh(&client, token), refresh(&client, token));
    let mut statuses = [one.status, two.status];
    statuses.sort_unstable();
    assert_eq!(statuses, [200, 401]);
}

#[tokio::test]
async fn a_refresh_token_lives_seven_days_and_only_as_what_it_is() {
    let app = TestApp::start().await;
    let company = app.company("acme").await;
    let ana = company.user("Ana", Role::Attendant).await;
    let client = app.client();
    let login = log_in(&client, &ana, "acme").await.expect(200);
    for wrong in [login.data("access_token"), "x", "a.b.c"] {
        refresh(&client, wrong).await.expect_error(401, "Unauthorized");
    }
    app.client_of(login.data("refresh_token")).get("/api/v1/users/me").await.expect_error(401, "Unauthorized");
    app.advance(Duration::from_secs(7 * 24 * 3_600 - 1)).await;
    let fresh = refresh(&client, login.data("refresh_token")).await.expect(200);
    app.advance(Duration::from_secs(7 * 24 * 3_600)).await;
    refresh(&client, fresh.data("refresh_token")).await.expect_error(401, "Unauthorized");
    refresh(&client, "").await.expect(422);
}

#[tokio::test]
async fn a_deactivated_user_is_out_at_the_next_refresh() {
    let app = TestApp::start().await;
    let company = app.company("acme").await;
    let ana = company.user("Ana", Role::Attendant).await;
    let login = log_in(&app.client(), &ana, "acme").await.expect(200);
    company.deactivate(ana.id).await;
    refresh(&app.client(), login.data("refresh_token")).await.expect_error(401, "Unauthorized");
    ana.client.get("/api/v1/users/me").await.expect_error(401, "Unauthorized");
}

#[tokio::test]
async fn a_logout_ends_the_login_and_its_sockets() {
    let app = TestApp::start().await;
    let company = app.company("acme").await;
    let ana = company.user("Ana", Role::Attendant).await;
    let client = app.client();
    let login = log_in(&client, &ana, "acme").await.expect(200);
    let other = log_in(&client, &ana, "acme").await.expect(200);
    let mut socket = app.topic(login.data("access_token"), &ana.topic()).await;
    let mut kept = app.topic(other.data("access_token"), &ana.topic()).await;
    let bearer = app.client_of(login.data("access_token"));
    for _ in 0..2 {
        let answer = bearer.post("/api/auth/logout", Value::Object(Default::default())).await.expect(200);
        assert_eq!(answer.body, json!({"data": {"logged_out": true}}));
    }
    socket.until_closed().await;
    refresh(&client, login.data("refresh_token")).await.expect_error(401, "Unauthorized");
    refresh(&client, other.data("refresh_token")).await.expect(200);
    kept.expect_no("phx_close", Duration::from_millis(50)).await;
}

#[tokio::test]
async fn a_logout_takes_a_refresh_token_and_no_body_at_all() {
    let app = TestApp::start().await;
    let company = app.company("acme").await;
    let ana = company.user("Ana", Role::Attendant).await;
    let client = app.client();
    let login = log_in(&client, &ana, "acme").await.expect(200);
    app.advance(Duration::from_secs(3_600)).await;
    let body = json!({"refresh_token": login.data("refresh_token")});
    client.post("/api/auth/logout", body).await.expect(200);
    refresh(&client, login.data("refresh_token")).await.expect_error(401, "Unauthorized");
    client.post("/api/auth/logout", json!({})).await.expect_error(401, "Unauthorized");
    let (token, _) = company.log_in(ana.id, ana.role).await;
    send(app.client_of(&token).request(reqwest::Method::POST, "/api/auth/logout")).await.expect(200);
}

#[tokio::test]
async fn an_ended_login_is_out_at_once_and_stays_out_after_a_restart() {
    let app = TestApp::start().await;
    let company = app.company("acme").await;
    let ana = company.user("Ana", Role::Attendant).await;
    let out = log_in(&app.client(), &ana, "acme").await.expect(200);
    let stolen = log_in(&app.client(), &ana, "acme").await.expect(200);
    let kept = log_in(&app.client(), &ana, "acme").await.expect(200);
    app.client_of(out.data("access_token")).post("/api/auth/logout", json!({})).await.expect(200);
    // A refresh token used twice ends its login, access tokens included.
    let fresh = refresh(&app.client(), stolen.data("refresh_token")).await.expect(200);
    refresh(&app.client(), stolen.data("refresh_token")).await.expect(401);
    let ended = [out.data("access_token"), stolen.data("access_token"), fresh.data("access_token")];
    for token in ended {
        app.client_of(token).get("/api/v1/calls").await.expect_error(401, "Unauthorized");
        assert!(try_connect(app.addr(), token, Vsn::V2).await.is_err());
    }
    let app = app.restart_after(Duration::from_secs(60)).await;
    for token in ended {
        app.client_of(token).get("/api/v1/calls").await.expect_error(401, "Unauthorized");
    }
    app.client_of(kept.data("access_token")).get("/api/v1/calls").await.expect(200);
}

#[tokio::test]
async fn an_account_waits_longer_with_each_wrong_password_whether_or_not_it_exists() {
    let app = TestApp::start().await;
    let company = app.company("acme").await;
    let ana = company.user("Ana", Role::Attendant).await;
    let bob = company.user("Bob", Role::Attendant).await;
    let try_with = async |email: &str, password: &str| {
        app.client().post("/api/auth/login", json!({"email": email, "password": password, "tenant": "acme"})).await
    };
    for wait in [0, 0, 0, 0, 30, 60, 120, 240, 480, 900, 900] {
        for email in [ana.email.as_str(), "nobody@acme.example"] {
            try_with(email, "wrong horse").await.expect_error(401, "Invalid credentials");
            if wait > 0 {
                let refused = try_with(&email.to_uppercase(), PASSWORD).await.expect_error(429, "Too many requests");
                assert_eq!(refused.header("retry-after"), Some(wait.to_string().as_str()), "{email}");
            }
        }
        try_with(&bob.email, PASSWORD).await.expect(200);
        app.advance(Duration::from_secs(wait)).await;
    }
    // Being right forgets it all.
    try_with(&ana.email, PASSWORD).await.expect(200);
    for _ in 0..4 {
        try_with(&ana.email, "wrong horse").await.expect(401);
    }
    try_with(&ana.email, PASSWORD).await.expect(200);
}

#[tokio::test]
async fn guesses_at_once_are_counted_before_they_are_answered() {
    let app = TestApp::start().await;
    let company = app.company("acme").await;
    let ana = company.user("Ana", Role::Attendant).await;
    let client = app.client();
    let guess = async |number: usize| {
        let body = json!({"email": ana.email, "password": format!("guess {number}"), "tenant": "acme"});
        client.post("/api/auth/login", body).await.status
    };
    let statuses = futures_util::future::join_all((0..20).map(guess)).await;
    assert_eq!(statuses.iter().filter(|status| **status == 401).count(), 5, "{statuses:?}");
    assert_eq!(statuses.iter().filter(|status| **status == 429).count(), 15, "{statuses:?}");
}
