//! Forgotten passwords: `POST /api/auth/forgot-password` and `POST /api/auth/reset-password`.

use std::path::Path;
use std::time::Duration;

use serde_json::{Value, json};
use vez::domain::role::Role;

use crate::harness::builders::PASSWORD;
use crate::harness::client::Answer;
use crate::harness::{TestApp, eventually};

const NEW: &str = "a much better horse";

async fn forgot(app: &TestApp, email: &str, tenant: &str) -> Answer {
    app.client().post("/api/auth/forgot-password", json!({"email": email, "tenant": tenant})).await
}

async fn reset(app: &TestApp, token: &str, password: &str) -> Answer {
    app.client().post("/api/auth/reset-password", json!({"token": token, "password": password})).await
}

async fn log_in(app: &TestApp, email: &str, password: &str) -> Answer {
    app.client().post("/api/auth/login", json!({"email": email, "password": password, "tenant": "acme"})).await
}

/// How many mails there are, sent or not.
async fn mail_count(app: &TestApp) -> i64 {
    sqlx::query_scalar("SELECT count(*) FROM mails").fetch_one(app.app.store().system()).await.unwrap()
}

/// The links of all mails, on their way or sent, as a person would find them.
async fn links(app: &TestApp) -> Vec<String> {
    let waiting: Vec<Value> = sqlx::query_scalar("SELECT message FROM mails WHERE message IS NOT NULL")
        .fetch_all(app.app.store().system())
        .await
        .unwrap();
    let mut links: Vec<String> =
        waiting.iter().filter_map(|message| message["url"].as_str()).map(str::to_owned).collect();
    read_links(&app.config().database.data_dir, &mut links);
    links.sort();
    links.dedup();
    links
}

fn read_links(folder: &Path, links: &mut Vec<String>) {
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() {
            read_links(&path, links);
        } else if path.extension().is_some_and(|extension| extension == "eml") {
            // Undoes quoted-printable as far as links need it.
            let text = std::fs::read_to_string(&path).unwrap_or_default().replace("=\r\n", "").replace("=3D", "=");
            let link = |word: &str| word.contains("/reset-password?token=").then(|| word.to_owned());
            links.extend(text.split(['"', '<', '>', ' ', '\r', '\n']).filter_map(link));
        }
    }
}

/// Asks for a link and finds its token in the mail.
async fn token(app: &TestApp, email: &str) -> String {
    let before = links(app).await;
    forgot(app, email, "acme").await.expect(200);
    let link =
        eventually("a mail with a link", async || links(app).await.into_iter().find(|link| !before.contains(link)));
    let link = link.await;
    let (base, token) = link.split_once("/reset-password?token=").unwrap();
    assert_eq!(base, "http://127.0.0.1:4000", "not what a request claims");
    token.to_owned()
}

#[tokio::test]
async fn a_mailed_link_sets_a_new_password_once() {
    let app = TestApp::start().await;
    let company = app.company("acme").await;
    let ana = company.user("Ana", Role::Attendant).await;
    let token = token(&app, &ana.email.to_uppercase()).await;
    assert_eq!(
        reset(&app, &token, "short").await.expect(422).body,
        json!({"errors": {"password": ["should be at least 8 character(s)"]}})
    );
    assert_eq!(
        reset(&app, &token, "password123").await.expect(422).body,
        json!({"errors": {"password": ["is too common"]}})
    );
    let changed = reset(&app, &token, NEW).await.expect(200);
    assert_eq!(changed.body, json!({"data": {"password_changed": true}}));
    log_in(&app, &ana.email, PASSWORD).await.expect_error(401, "Invalid credentials");
    log_in(&app, &ana.email, NEW).await.expect(200);
    assert_eq!(
        reset(&app, &token, PASSWORD).await.expect(422).body,
        json!({"errors": {"token": ["is invalid or has expired"]}})
    );
}

#[tokio::test]
async fn the_mailed_address_is_a_page_that_sets_the_password() {
    let app = TestApp::start().await;
    let company = app.company("acme").await;
    let ana = company.user("Ana", Role::Attendant).await;
    let token = token(&app, &ana.email).await;
    let browser = reqwest::Client::new();
    let page = format!("http://{}/reset-password", app.addr());
    let read = async |answer: reqwest::Response| {
        assert_eq!(answer.status(), 200);
        for (name, value) in [("referrer-policy", "no-referrer"), ("cache-control", "no-store")] {
            assert_eq!(answer.headers()[name], value);
        }
        answer.text().await.unwrap()
    };
    let open = async || {
        let asked = browser.get(format!("{page}?token={token}")).header("accept-language", "en-GB,en;q=0.9,pt;q=0.1");
        read(asked.send().await.unwrap()).await
    };
    let choose = async |token: &str, password: &str| {
        let form = format!("token={token}&password={}", password.replace(' ', "+"));
        let sent = browser.post(&page).header("content-type", "application/x-www-form-urlencoded").body(form);
        read(sent.header("accept-language", "en").send().await.unwrap()).await
    };
    // Programs that check mails open the link first; that spends nothing.
    for _ in 0..2 {
        let html = open().await;
        assert!(html.contains(&format!(r#"name="token" value="{token}""#)) && html.contains("New password"), "{html}");
    }
    assert!(choose(&token, "short").await.contains("too short"));
    assert!(choose("%22%3E%3Cscript%3E", NEW).await.contains("used already"));
    let done = choose(&token, NEW).await;
    assert!(done.contains("was changed") && !done.contains("<form"), "{done}");
    log_in(&app, &ana.email, NEW).await.expect(200);
    assert!(choose(&token, "another fine horse").await.contains("used already"), "once");
}

#[tokio::test]
async fn the_answer_does_not_tell_whether_there_is_an_account() {
    let app = TestApp::start().await;
    let company = app.company("acme").await;
    let ana = company.user("Ana", Role::Attendant).await;
    let gone = company.user("Gone", Role::Attendant).await;
    company.deactivate(gone.id).await;
    for (email, tenant) in [
        (ana.email.as_str(), "acme"),
        (gone.email.as_str(), "acme"),
        ("nobody@acme.example", "acme"),
        (ana.email.as_str(), "nowhere"),
    ] {
        let answer = forgot(&app, email, tenant).await.expect(200);
        assert_eq!(answer.body, json!({"data": {"requested": true}}), "{email} {tenant}");
    }
    eventually("the mail", async || (mail_count(&app).await == 1).then_some(())).await;
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert_eq!(mail_count(&app).await, 1);
    let blank = json!(["can't be blank"]);
    let answer = app.client().post("/api/auth/forgot-password", json!({})).await.expect(422);
    assert_eq!(answer.body, json!({"errors": {"email": blank, "tenant": blank}}));
}

#[tokio::test]
async fn a_link_is_good_for_an_hour() {
    let app = TestApp::start().await;
    let company = app.company("acme").await;
    let ana = company.user("Ana", Role::Attendant).await;
    let old = token(&app, &ana.email).await;
    app.advance(Duration::from_secs(3_599)).await;
    let young = token(&app, &ana.email).await;
    app.advance(Duration::from_secs(1)).await;
    for wrong in [old.as_str(), "x", "%", &"y".repeat(43)] {
        reset(&app, wrong, NEW).await.expect(422);
    }
    reset(&app, &young, NEW).await.expect(200);
}

#[tokio::test]
async fn a_new_password_ends_every_login_and_every_other_link() {
    let app = TestApp::start().await;
    let company = app.company("acme").await;
    let ana = company.user("Ana", Role::Attendant).await;
    let bob = company.user("Bob", Role::Attendant).await;
    let login = log_in(&app, &ana.email, PASSWORD).await.expect(200);
    let mut socket = app.topic(login.data("access_token"), &ana.topic()).await;
    let (one, two) = (token(&app, &ana.email).await, token(&app, &ana.email).await);
    let (first, second) = tokio::join!(reset(&app, &one, NEW), reset(&app, &two, NEW));
    let mut statuses = [first.status, second.status];
    statuses.sort_unstable();
    assert_eq!(statuses, [200, 422], "{first:?} {second:?}");
    assert!(socket.until_closed().await.contains("logged_out"));
    for client in [&ana.client, &app.client_of(login.data("access_token"))] {
        client.get("/api/v1/calls").await.expect_error(401, "Unauthorized");
    }
    let refresh = json!({"refresh_token": login.data("refresh_token")});
    app.client().post("/api/auth/refresh", refresh).await.expect_error(401, "Unauthorized");
    bob.client.get("/api/v1/calls").await.expect(200);
    let fresh = log_in(&app, &ana.email, NEW).await.expect(200);
    app.client_of(fresh.data("access_token")).get("/api/v1/calls").await.expect(200);
}

#[tokio::test]
async fn a_new_password_ends_the_lock_and_a_login_that_waits_for_its_code() {
    let app = TestApp::start().await;
    let company = app.company("acme").await;
    let ana = company.user("Ana", Role::Attendant).await;
    sqlx::query("UPDATE tenants SET mfa_required = true").execute(app.app.store().system()).await.unwrap();
    let asked = log_in(&app, &ana.email, PASSWORD).await.expect(200);
    for _ in 0..5 {
        log_in(&app, &ana.email, "wrong horse").await.expect(401);
    }
    log_in(&app, &ana.email, PASSWORD).await.expect(429);
    let token = token(&app, &ana.email).await;
    reset(&app, &token, NEW).await.expect(200);
    log_in(&app, &ana.email, NEW).await.expect(200);
    let waiting = app.client_of(asked.data("mfa_token"));
    waiting.post("/api/v1/users/me/mfa", json!({})).await.expect_error(401, "Unauthorized");
}

#[tokio::test]
async fn a_password_changed_in_another_way_ends_the_link() {
    let app = TestApp::start().await;
    let company = app.company("acme").await;
    let ana = company.user("Ana", Role::Attendant).await;
    let token = token(&app, &ana.email).await;
    let hash = app.app.passwords().hash("by her manager".to_owned()).await.unwrap();
    sqlx::query("UPDATE users SET password_hash = $1").bind(hash).execute(app.app.store().system()).await.unwrap();
    reset(&app, &token, NEW).await.expect(422);
    log_in(&app, &ana.email, "by her manager").await.expect(200);
}

#[tokio::test]
async fn nobodys_mailbox_is_flooded() {
    let app = TestApp::start().await;
    let company = app.company("acme").await;
    let ana = company.user("Ana", Role::Attendant).await;
    for _ in 0..5 {
        token(&app, &ana.email).await;
    }
    forgot(&app, &ana.email, "acme").await.expect(200);
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert_eq!(mail_count(&app).await, 5);
    app.advance(Duration::from_secs(3_600)).await;
    token(&app, &ana.email).await;
}
