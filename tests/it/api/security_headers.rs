//! What every answer tells browsers, whatever it answers.

use axum::Router;
use axum::routing::get;
use reqwest::Method;
use serde_json::json;
use vez::domain::role::Role;

use crate::harness::TestApp;
use crate::harness::client::{Answer, send};

const OURS: &str = "https://app.acme.example";

/// Answers of every sort: good, empty-handed, refused, broken, a page, a preflight.
async fn answers(app: &TestApp) -> Vec<(&'static str, Answer)> {
    let boss = app.company("acme").await.user("Boss", Role::Supervisor).await;
    let client = app.client();
    vec![
        ("json", boss.client.get("/api/v1/users/me").await.expect(200)),
        ("created", boss.client.post("/api/v1/sectors", json!({"name": "Sales"})).await.expect(201)),
        ("not found", boss.client.get("/api/v1/nothing").await.expect(404)),
        ("wrong method", boss.client.delete("/api/v1/users/me").await.expect(405)),
        ("unauthorized", client.get("/api/v1/users/me").await.expect(401)),
        ("invalid", client.post("/api/auth/login", json!({})).await.expect(422)),
        ("malformed", send(client.request(Method::POST, "/api/auth/login").body("{")).await.expect(400)),
        ("fault", client.get("/boom").await.expect(500)),
        ("health", client.get("/health/live").await.expect(200)),
        ("description", client.get("/api/openapi.json").await.expect(200)),
        ("page", client.get("/docs/").await.expect(200)),
        ("preflight", preflight(app, "/api/v1/users/me", OURS).await),
    ]
}

async fn preflight(app: &TestApp, path: &str, origin: &str) -> Answer {
    let request = app.client().request(Method::OPTIONS, path).header("origin", origin);
    send(
        request
            .header("access-control-request-method", "GET")
            .header("access-control-request-headers", "authorization,range,if-range,x-request-id"),
    )
    .await
}

async fn panics() -> &'static str {
    panic!("this test wants a panic here")
}

fn boom() -> Router<vez::http::AppState> {
    Router::new().route("/boom", get(panics))
}

#[tokio::test]
async fn every_answer_is_guarded() {
    let app = TestApp::builder().routes(boom()).start().await;
    for (name, answer) in answers(&app).await {
        assert_eq!(answer.header("x-content-type-options"), Some("nosniff"), "{name}");
        assert_eq!(answer.header("referrer-policy"), Some("no-referrer"), "{name}");
        let permissions = answer.header("permissions-policy").unwrap();
        assert!(permissions.contains("camera=(self)") && permissions.contains("microphone=(self)"), "{name}");
        assert!(permissions.contains("geolocation=()"), "{name}");
        let policy = answer.header("content-security-policy").unwrap();
        if name == "page" {
            assert!(policy.contains("script-src 'self';") && policy.contains("frame-ancestors 'self'"), "{policy}");
        } else {
            assert_eq!(policy, "default-src 'none'; frame-ancestors 'none'", "{name}");
        }
        assert_eq!(answer.header("strict-transport-security"), None, "{name}: nobody said that we have https");
        assert!(answer.header("x-request-id").is_some(), "{name}");
        assert_eq!(answer.header("server"), None, "{name}");
    }
}

#[tokio::test]
async fn https_is_for_good_where_the_world_comes_by_it() {
    let https = |url: &str| {
        let url = url.to_owned();
        TestApp::builder().routes(boom()).config(move |config| config.server.public_url = Some(url)).start()
    };
    let app = https("https://queue.acme.example").await;
    for (name, answer) in answers(&app).await {
        assert_eq!(answer.header("strict-transport-security"), Some("max-age=31536000"), "{name}");
    }
    let app = https("http://queue.acme.example").await;
    let answer = app.client().get("/health/live").await;
    assert_eq!(answer.header("strict-transport-security"), None);
}

#[tokio::test]
async fn the_page_of_the_api_runs_nothing_inline() {
    let app = TestApp::start().await;
    let page = app.client().get("/docs/").await.expect(200);
    let text = page.body.as_str().unwrap();
    // Else its own policy would break it.
    for script in text.split("<script").skip(1) {
        assert!(script.split('>').next().unwrap().contains("src="), "an inline script: {script:.80}");
    }
    assert!(!text.contains(" onload=") && !text.contains(" onclick="));
}

#[tokio::test]
async fn answers_that_a_browser_may_read_say_so_even_when_they_fail() {
    let app =
        TestApp::builder().routes(boom()).config(|config| config.server.origins = vec![OURS.to_owned()]).start().await;
    let allowed = preflight(&app, "/api/v1/calls/1/recording/download", OURS).await.expect(200);
    assert_eq!(allowed.header("access-control-allow-origin"), Some(OURS));
    let headers = allowed.header("access-control-allow-headers").unwrap();
    for header in ["authorization", "range", "if-range", "x-request-id"] {
        assert!(headers.contains(header), "{headers}");
    }
    let foreign = preflight(&app, "/api/v1/users/me", "https://evil.example").await;
    assert_eq!(foreign.header("access-control-allow-origin"), None);
    for path in ["/health/live", "/api/v1/users/me", "/nothing", "/boom"] {
        let ask = async |origin| send(app.client().request(Method::GET, path).header("origin", origin)).await;
        let answer = ask(OURS).await;
        assert_eq!(answer.header("access-control-allow-origin"), Some(OURS), "{path}");
        assert_eq!(answer.header("access-control-allow-credentials"), None, "{path}");
        let exposed = answer.header("access-control-expose-headers").unwrap();
        for header in ["content-disposition", "content-range", "etag", "retry-after", "x-request-id"] {
            assert!(exposed.contains(header), "{path}: {exposed}");
        }
        assert_eq!(ask("https://evil.example").await.header("access-control-allow-origin"), None, "{path}");
    }
    // Pages of ours may stand in a frame of an origin that may call us.
    let page = app.client().get("/docs/").await;
    assert!(page.header("content-security-policy").unwrap().ends_with(&format!("frame-ancestors 'self' {OURS}")));
}

#[tokio::test]
async fn a_request_keeps_the_id_it_came_with_if_that_is_plain() {
    let app = TestApp::builder().routes(boom()).start().await;
    let ask =
        async |id: &str, path: &str| send(app.client().request(Method::GET, path).header("x-request-id", id)).await;
    for path in ["/health/live", "/api/v1/users/me", "/nothing", "/boom"] {
        assert_eq!(ask("trace-7_a.B", path).await.header("x-request-id"), Some("trace-7_a.B"), "{path}");
        for odd in ["two words", &"x".repeat(65), "semi;colon"] {
            let answer = ask(odd, path).await;
            let id = answer.header("x-request-id").unwrap();
            assert!(id != odd && uuid::Uuid::parse_str(id).is_ok(), "{path}: {id}");
        }
    }
    assert_eq!(ask("trace-7", "/boom").await.body["errors"]["request_id"], "trace-7");
}
