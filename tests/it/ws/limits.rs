//! What one client may ask of a socket, and how it ends when it asks for more.

use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};
use vez::domain::role::Role;

use crate::harness::{PATIENCE, TestApp, eventually};
use crate::people::reason;

/// A socket without a client's manners.
struct Raw(WebSocketStream<MaybeTlsStream<TcpStream>>);

impl Raw {
    async fn connect(app: &TestApp, token: &str) -> Self {
        let url = format!("ws://{}/socket/websocket?token={token}&vsn=2.0.0", app.addr());
        Self(connect_async(url).await.unwrap().0)
    }

    async fn send(&mut self, text: &str) {
        self.0.send(Message::text(text)).await.unwrap();
    }

    /// The next text frame, or the code the socket was closed with.
    async fn next(&mut self) -> Result<Value, u16> {
        loop {
            match timeout(PATIENCE, self.0.next()).await.expect("an answer in time") {
                Some(Ok(Message::Text(text))) => return Ok(serde_json::from_str(&text).unwrap()),
                Some(Ok(Message::Close(Some(frame)))) => return Err(frame.code.into()),
                Some(Ok(Message::Ping(_) | Message::Pong(_))) => {}
                other => panic!("{other:?}"),
            }
        }
    }

    async fn closed_with(&mut self) -> u16 {
        loop {
            if let Err(code) = self.next().await {
                return code;
            }
        }
    }
}

async fn supervised() -> (TestApp, String) {
    let app = TestApp::start().await;
    let token = app.company("acme").await.user("Boss", Role::Supervisor).await.token;
    (app, token)
}

#[tokio::test]
async fn a_heartbeat_is_answered_and_a_frame_that_is_none_ends_the_socket() {
    let (app, token) = supervised().await;
    let mut raw = Raw::connect(&app, &token).await;
    raw.send(r#"[null,"1","phoenix","heartbeat",{}]"#).await;
    assert_eq!(raw.next().await, Ok(json!([null, "1", "phoenix", "phx_reply", { "status": "ok", "response": {} }])));
    raw.send(r#"[null,"2","queue:x"]"#).await;
    let answer = raw.next().await;
    assert_eq!(answer.as_ref().unwrap()[4]["response"]["reason"], "malformed_frame", "{answer:?}");
    raw.send("this is no frame").await;
    assert_eq!(raw.closed_with().await, 1003);
    app.stop().await;
}

#[tokio::test]
async fn a_frame_that_is_too_large_ends_the_socket() {
    let (app, token) = supervised().await;
    let mut raw = Raw::connect(&app, &token).await;
    let frame = format!(r#"[null,"1","phoenix","heartbeat",{{"x":"{}"}}]"#, "x".repeat(70 * 1024));
    // The server may close before it has read all of it.
    let _ = raw.0.send(Message::text(frame)).await;
    assert_eq!(raw.closed_with().await, 1009);
    app.stop().await;
}

#[tokio::test]
async fn a_client_that_sends_too_fast_is_refused_and_then_cut_off() {
    let app = TestApp::builder().rate_limit().start().await;
    let token = app.company("acme").await.user("Boss", Role::Supervisor).await.token;
    let mut raw = Raw::connect(&app, &token).await;
    for index in 0..60 {
        raw.0.feed(Message::text(format!(r#"[null,"{index}","phoenix","heartbeat",{{}}]"#))).await.unwrap();
    }
    raw.0.flush().await.unwrap();
    for index in 0..60 {
        let answer = raw.next().await.unwrap();
        let reason = &answer[4]["response"]["reason"];
        assert_eq!(reason == "rate_limited", index >= 50, "{index}: {answer}");
    }
    for index in 0..400 {
        // Sending fails once the server has had enough.
        let _ = raw.0.feed(Message::text(format!(r#"[null,"{index}","phoenix","heartbeat",{{}}]"#))).await;
    }
    let _ = raw.0.flush().await;
    assert_eq!(raw.closed_with().await, 4008);
    app.stop().await;
}

#[tokio::test]
async fn a_socket_joins_only_so_many_topics() {
    let app = TestApp::builder().config(|config| config.limits.topics_per_socket_max = 3).start().await;
    let company = app.company("acme").await;
    let token = company.user("Boss", Role::Supervisor).await.token;
    let mut lines = Vec::new();
    for name in ["One", "Two", "Three", "Four"] {
        lines.push(company.department(name).await);
    }
    let socket = app.socket(&token).await;
    let mut joined = Vec::new();
    for line in &lines[..3] {
        joined.push(socket.join(&format!("queue:{line}"), Value::Null).await.unwrap());
    }
    let refused = socket.join(&format!("queue:{}", lines[3]), Value::Null).await;
    assert_eq!(reason(refused.map(|topic| topic.reply)), "too_many_topics");
    // Leaving one makes room.
    joined.pop().unwrap().leave().await;
    socket.join(&format!("queue:{}", lines[3]), Value::Null).await.unwrap();
    app.stop().await;
}

#[tokio::test]
async fn a_device_that_answers_no_ping_is_away() {
    let (app, token) = supervised().await;
    // This one never reads, so it never answers.
    let mut raw = Raw::connect(&app, &token).await;
    raw.send(r#"[null,"1","phoenix","heartbeat",{}]"#).await;
    eventually("the socket is known", async || (app.app.hub().socket_count() == 1).then_some(())).await;
    app.live_through(Duration::from_secs(25)).await;
    assert_eq!(app.app.hub().socket_count(), 1, "two pings may stay unanswered");
    app.live_through(Duration::from_secs(10)).await;
    eventually("the socket is given up", async || (app.app.hub().socket_count() == 0).then_some(())).await;
    app.stop().await;
}
