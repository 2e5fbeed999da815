//! Clients who hang up before they are answered: what they began to change is carried through.

use serde_json::json;
use sqlx::{Connection as _, PgConnection};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use vez::domain::role::Role;

use crate::harness::{TestApp, eventually};

#[tokio::test]
async fn a_deactivation_ends_sockets_and_tokens_although_its_sender_is_gone() {
    let app = TestApp::start().await;
    let company = app.company("acme").await;
    let boss = company.user("Boss", Role::Manager).await;
    let ana = company.agent("Ana", &[]).await;
    let mut own = app.topic(&ana.token, &ana.topic()).await;
    // Her row is held, so that the request stands still in the middle of its transaction.
    let mut holding = app.app.store().system().begin().await.unwrap();
    sqlx::query("SELECT id FROM users WHERE id = $1 FOR UPDATE").bind(ana.id.0).execute(&mut *holding).await.unwrap();
    let mut owner = PgConnection::connect(app.config().database.connection_url().unwrap()).await.unwrap();

    let body = json!({"active": false}).to_string();
    let request = format!(
        "PUT /api/v1/users/{} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {}\r\nContent-Length: {}\r\n\r\n{body}",
        ana.id,
        boss.token,
        body.len()
    );
    let mut connection = TcpStream::connect(app.addr()).await.unwrap();
    connection.write_all(request.as_bytes()).await.unwrap();
    eventually("the request waits for the row", async || {
        let waiting: i64 = sqlx::query_scalar(
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'",
        )
        .fetch_one(&mut owner)
        .await
        .unwrap();
        (waiting > 0).then_some(())
    })
    .await;
    connection.shutdown().await.unwrap();
    // The server closes its side once it has noticed, and answers nothing.
    let mut answer = Vec::new();
    connection.read_to_end(&mut answer).await.unwrap();
    assert_eq!(answer, b"");

    holding.rollback().await.unwrap();
    own.until_closed().await;
    ana.client.get("/api/v1/notifications").await.expect_error(401, "Unauthorized");
    let shown = boss.client.get(&format!("/api/v1/users/{}", ana.id)).await.expect(200);
    assert_eq!(shown.body["data"]["active"], false);
}
