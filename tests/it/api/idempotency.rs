//! `Idempotency-Key` on POSTs that create.

use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use vez::domain::role::Role;

use super::call_files::{Part, form, png, waiting};
use crate::harness::TestApp;
use crate::harness::builders::Member;
use crate::harness::client::{Answer, send};

const PATH: &str = "/api/v1/sectors";

async fn create(boss: &Member, key: &str, body: Value) -> Answer {
    send(boss.client.request(Method::POST, PATH).header("Idempotency-Key", key).json(&body)).await
}

async fn count(boss: &Member) -> Value {
    boss.client.get(PATH).await.expect(200).body["meta"]["total_count"].clone()
}

#[tokio::test]
async fn the_same_key_and_body_have_the_same_answer_and_do_nothing_twice() {
    let app = TestApp::start().await;
    let boss = app.company("acme").await.user("Boss", Role::Supervisor).await;
    let first = create(&boss, "order-1", json!({"name": "Vendas"})).await.expect(201);
    app.advance(Duration::from_secs(60)).await;
    let again = create(&boss, "order-1", json!({"name": "Vendas"})).await.expect(201);
    assert_eq!(again.body, first.body);
    assert_eq!(again.header("content-type"), Some("application/json"));
    assert_eq!(count(&boss).await, 1);
    assert_ne!(create(&boss, "order-2", json!({"name": "Vendas"})).await.expect(201).body, first.body);
}

#[tokio::test]
async fn the_same_key_with_another_body_is_refused() {
    let app = TestApp::start().await;
    let boss = app.company("acme").await.user("Boss", Role::Supervisor).await;
    create(&boss, "order-1", json!({"name": "Vendas"})).await.expect(201);
    let other = create(&boss, "order-1", json!({"name": "Suporte"})).await.expect(422);
    assert_eq!(other.body["errors"]["code"], "idempotency_key_reused");
    assert_eq!(count(&boss).await, 1);
}

#[tokio::test]
async fn a_key_is_forgotten_after_a_day_and_belongs_to_one_user() {
    let app = TestApp::start().await;
    let company = app.company("acme").await;
    let (boss, other) = (company.user("Boss", Role::Supervisor).await, company.user("Other", Role::Supervisor).await);
    let first = create(&boss, "order-1", json!({"name": "Vendas"})).await.expect(201);
    assert_ne!(create(&other, "order-1", json!({"name": "Vendas"})).await.expect(201).body, first.body);
    app.advance(Duration::from_secs(24 * 60 * 60)).await;
    let (token, _) = company.log_in(boss.id, Role::Supervisor).await;
    let later = app.client_of(&token).request(Method::POST, PATH).header("Idempotency-Key", "order-1");
    assert_ne!(send(later.json(&json!({"name": "Vendas"}))).await.expect(201).body, first.body);
}

#[tokio::test]
async fn a_refused_request_leaves_its_key_free() {
    let app = TestApp::start().await;
    let boss = app.company("acme").await.user("Boss", Role::Supervisor).await;
    create(&boss, "order-1", json!({"name": ""})).await.expect(422);
    create(&boss, "order-1", json!({"name": "Vendas"})).await.expect(201);
}

#[tokio::test]
async fn of_many_at_once_one_creates_and_all_hear_the_same() {
    let app = TestApp::start().await;
    let boss = app.company("acme").await.user("Boss", Role::Supervisor).await;
    let answers =
        futures_util::future::join_all((0..8).map(|_| create(&boss, "order-1", json!({"name": "Vendas"})))).await;
    for answer in &answers {
        assert_eq!((answer.status, &answer.body), (201, &answers[0].body));
    }
    assert_eq!(count(&boss).await, 1);
}

#[tokio::test]
async fn a_key_that_is_none_is_a_bad_request() {
    let app = TestApp::start().await;
    let boss = app.company("acme").await.user("Boss", Role::Supervisor).await;
    for key in ["", &"k".repeat(256)] {
        create(&boss, key, json!({"name": "Vendas"})).await.expect(400);
    }
    assert_eq!(count(&boss).await, 0);
}

#[tokio::test]
async fn a_body_is_what_it_is_whatever_content_type_it_names() {
    let app = TestApp::start().await;
    let boss = app.company("acme").await.user("Boss", Role::Supervisor).await;
    // What curl says of every `-d`, nothing at all, and what is not even text.
    for (made, kind) in
        [Some("application/x-www-form-urlencoded"), None, Some("text/plain"), Some("\u{e9}")].iter().enumerate()
    {
        let key = format!("order-{made}");
        let create = async || {
            let request = boss.client.request(Method::POST, PATH).header("Idempotency-Key", &key);
            let request = request.body(r#"{"name": "Vendas"}"#);
            send(match kind {
                Some(kind) => request.header("content-type", *kind),
                None => request,
            })
            .await
            .expect(201)
        };
        let first = create().await;
        assert_eq!(create().await.body, first.body, "{kind:?}");
        assert_eq!(count(&boss).await, made + 1, "{kind:?}");
    }
}

#[tokio::test]
async fn uploads_take_no_key_and_are_not_held_in_memory_for_one() {
    let app = TestApp::builder().config(|config| config.server.body_bytes_max = 10_000).start().await;
    let company = app.company("acme").await;
    let line = company.department("Suporte").await;
    let ana = company.agent("Ana", &[line]).await;
    let call = waiting(&app, &company, line).await;
    let (kind, body) = form(&[Part::file("a.png", "image/png", &png(50_000))]);
    let attach = async |kind: &str| {
        let request = ana.client.request(Method::POST, &format!("/api/v1/calls/{call}/upload"));
        send(request.header("Idempotency-Key", "order-1").header("content-type", kind).body(body.clone())).await
    };
    let first = attach(&kind).await.expect(201).id().to_owned();
    assert_ne!(attach(&kind.replace("multipart/form-data", "Multipart/Form-Data")).await.expect(201).id(), first);
}

/// Real time: the patience with a body is not the clock's.
#[tokio::test]
async fn a_body_that_does_not_come_is_waited_for_no_longer_with_a_key() {
    let app = TestApp::start().await;
    let mut connection = tokio::net::TcpStream::connect(app.addr()).await.unwrap();
    let head = format!("POST {PATH} HTTP/1.1\r\nHost: x\r\nIdempotency-Key: order-1\r\nContent-Length: 100\r\n\r\n{{");
    connection.write_all(head.as_bytes()).await.unwrap();
    let mut answer = [0; 12];
    tokio::time::timeout(crate::harness::PATIENCE, connection.read_exact(&mut answer)).await.unwrap().unwrap();
    assert_eq!(&answer, b"HTTP/1.1 408");
}
