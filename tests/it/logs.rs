//! What is written into logs, at the lowest level and by every library: never a password, a token, a secret, a link, an
//! address, a number or a text that somebody sent.

use std::io;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::routing::post;
use reqwest::Method;
use serde_json::{Value, json};
use sqlx::Connection as _;
use sqlx::postgres::PgConnection;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::util::SubscriberInitExt as _;
use vez::domain::role::Role;

use crate::api::call_files::{Part, attach, record, set_company, webm};
use crate::harness::builders::PASSWORD;
use crate::harness::client::send;
use crate::harness::{TestApp, eventually};

/// Everything that was written.
#[derive(Clone, Default)]
struct Written(Arc<Mutex<Vec<u8>>>);

impl io::Write for Written {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'writer> MakeWriter<'writer> for Written {
    type Writer = Self;

    fn make_writer(&'writer self) -> Self {
        self.clone()
    }
}

impl Written {
    fn text(&self) -> String {
        String::from_utf8_lossy(&self.0.lock().unwrap()).into_owned()
    }
}

/// What must not be found, each with what it is.
#[derive(Default)]
struct Secrets(Vec<(&'static str, String)>);

impl Secrets {
    fn add(&mut self, what: &'static str, secret: impl Into<String>) -> String {
        let secret = secret.into();
        assert!(secret.len() >= 6, "{what} could be found by accident");
        self.0.push((what, secret.clone()));
        secret
    }

    fn assert_unwritten(&self, written: &str) {
        for (what, secret) in &self.0 {
            // Anybody's token is as good in part: its signature alone is looked for, too.
            let parts = [secret.as_str(), secret.rsplit('.').next().unwrap()];
            for part in parts.into_iter().filter(|part| part.len() >= 6) {
                if let Some(at) = written.find(part) {
                    let start = written[..at].rfind('\n').map_or(0, |start| start + 1);
                    let line: String = written[start..].chars().take(1_500).collect();
                    panic!("{what} was written: {line}");
                }
            }
        }
    }
}

async fn panics() -> &'static str {
    panic!("this test wants a panic here")
}

#[tokio::test]
async fn nothing_secret_or_personal_is_written_at_any_level() {
    let written = Written::default();
    // This thread's alone: everything of the application runs on it, whatever other tests do meanwhile.
    let _guard = vez::telemetry::json_lines("trace", written.clone()).set_default();
    // With a single subscriber in the process, `tracing` takes a thread without one for its word that nobody listens, and
    // the other tests' threads have none.
    let _another = tracing::Dispatch::new(vez::telemetry::json_lines("off", io::sink));
    let mut secrets = Secrets::default();
    let key = secrets.add("the key of the bucket", "AKIA-nobody-may-read-this");
    let app = TestApp::builder()
        .config(move |config| config.auth.jwt_secret = Some(format!("{key}-and-it-is-long-enough-for-a-key").into()))
        .routes(Router::new().route("/boom", post(panics)))
        .start()
        .await;
    let company = app.company("acme").await;
    set_company(&app, company.tenant, "recording_enabled = true, transcription_enabled = true").await;
    let line = company.department("Suporte").await;
    let ana = company.agent("Ana Nomequeninguemtem", &[line]).await;
    secrets.add("everybody's password", PASSWORD);
    secrets.add("a mail address of staff", ana.email.as_str());
    secrets.add("an access token", ana.token.as_str());

    // Logging in, wrongly and well; refreshing; logging out.
    let typed = secrets.add("a wrong password", "hunter2-wrong-password");
    let guessed = secrets.add("a guessed address", "guessed.person@nowhere.example");
    let login = |email: &str, password: &str| json!({"email": email, "password": password, "company": "acme", "tenant": "acme"});
    for (email, password) in [(ana.email.as_str(), typed.as_str()), (guessed.as_str(), typed.as_str())] {
        app.client().post("/api/auth/login", login(email, password)).await;
    }
    let in_query = format!("/api/auth/login?email={guessed}&password={typed}");
    app.client().post(&in_query, json!({})).await;
    let answer = app.client().post("/api/auth/login", login(&ana.email, PASSWORD)).await.expect(200);
    secrets.add("an access token", answer.data("access_token"));
    let refresh = secrets.add("a refresh token", answer.data("refresh_token"));
    let refreshed = app.client().post("/api/auth/refresh", json!({"refresh_token": refresh})).await;
    if refreshed.status == 200 {
        let refresh = secrets.add("a refresh token", refreshed.data("refresh_token"));
        app.client().post("/api/auth/logout", json!({"refresh_token": refresh})).await;
    }
    app.client().post("/api/auth/forgot-password", json!({"email": ana.email, "tenant": "acme"})).await;

    // Joining, waiting, talking.
    let link = secrets.add("the token of a link", company.link(line).await);
    let name = secrets.add("a customer's name", "Mariana Sobrenomesecreto");
    let mail = secrets.add("a customer's address", "mariana.sobrenome@mail.example");
    let phone = secrets.add("a customer's number", "+5584999990123");
    let reason = secrets.add("a customer's reason", "my invoice is wrong again");
    let join_key = secrets.add("a join key", "idempotent-join-key-4711");
    let body = json!({"name": name, "email": mail, "phone": phone, "reason": reason});
    app.client().get(&format!("/api/v1/call/{link}/validate")).await.expect(200);
    let request = app.client().request(Method::POST, &format!("/api/v1/call/{link}/join"));
    let joined = send(request.header("idempotency-key", &join_key).json(&body)).await.expect(200);
    let call = joined.data("call_id").to_owned();
    let token = secrets.add("a customer's token", joined.data("websocket_token"));
    let customer = app.topic(&token, &joined.call_topic()).await;
    let desk = app.socket(&ana.token).await;
    let _own = desk.join(&ana.topic(), Value::Null).await.unwrap();
    ana.client.act(&call, "assign").await.expect(200);
    ana.client.act(&call, "start").await.expect(200);
    let said = secrets.add("a chat message", "the secret of my heart is 42");
    let _ = customer.push("chat", json!({"text": said, "body": said, "message": said})).await;
    let description = secrets.add("a session description", "v=0 candidate 203.0.113.77");
    let _ = customer.push("offer", json!({"sdp": description})).await;

    // Files and what was said.
    let file_name = secrets.add("a file's name", "exame de sangue da Mariana.txt");
    let content = secrets.add("a file's content", "hemoglobina 13,5 g/dL");
    attach(&ana.client, &call, &file_name, "text/plain", content.as_bytes()).await.expect(201);
    attach(&ana.client, &call, &file_name, "image/png", content.as_bytes()).await.expect(422);
    let recording = webm(400);
    record(&ana.client, &call, &[Part::file(&file_name, "video/webm", &recording)]).await.expect(201);
    let said = secrets.add("a transcript", "eu nunca disse isso a ninguem");
    ana.client.put(&format!("/api/v1/calls/{call}/transcript"), json!({"text": said})).await.expect(200);

    // Errors of every sort, and a panic.
    let boss = company.user("Boss", Role::Owner).await;
    secrets.add("an access token", boss.token.as_str());
    let broken = format!("{{\"password\": \"{typed}\", \"email\": \"{mail}\"");
    for path in ["/api/auth/login", "/api/v1/sectors", "/boom", "/api/v1/nothing"] {
        let request = boss.client.request(Method::POST, path).header("content-type", "application/json");
        send(request.body(broken.clone())).await;
    }
    boss.client.post("/api/v1/sectors", json!({"name": [typed], "description": {"a": mail}})).await.expect(422);
    boss.client.get(&format!("/api/v1/calls?search={mail}&status={reason}")).await.expect(400);
    app.client().get(&format!("/api/v1/call/{link}x/validate")).await.expect(404);
    app.client().get(&format!("/api/v1/unknown/{link}")).await.expect(404);
    app.client_of(&format!("{typed}.x.y")).get("/api/v1/users/me").await.expect(401);
    // The database refuses a value, and a statement.
    let mut database = PgConnection::connect(app.config().database.connection_url().unwrap()).await.unwrap();
    sqlx::raw_sql("ALTER TABLE sectors ADD CONSTRAINT never CHECK (name = '')").execute(&mut database).await.unwrap();
    boss.client.post("/api/v1/sectors", json!({"name": said})).await.expect(500);
    sqlx::raw_sql("ALTER TABLE sectors RENAME TO gone").execute(&mut database).await.unwrap();
    boss.client.post("/api/v1/sectors", json!({"name": said})).await.expect(500);
    ana.client.act(&call, "complete").await.expect(200);
    app.advance(Duration::from_secs(60)).await;

    eventually("everything was written", async || written.text().contains("this test wants a panic").then_some(()))
        .await;
    let config = app.config().clone();
    tracing::info!(?config, "settings");
    let text = written.text();
    let ours = text.lines().filter(|line| line.contains("vez::")).count();
    assert!(ours > 25, "too little was written to prove anything: {ours}");
    assert!(text.contains("/api/v1/call/{token}/join"), "requests are written by the path of their route");
    secrets.assert_unwritten(&text);
    app.stop().await;
}
