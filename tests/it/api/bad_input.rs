//! What no route can use: the answers that all of them share.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use axum::Router;
use axum::routing::get;
use reqwest::Method;
use serde_json::json;
use vez::domain::role::Role;

use super::NOBODY;
use crate::harness::TestApp;
use crate::harness::client::send;

/// A body one byte larger than the server takes.
const TOO_LARGE_BYTES: usize = 1024 * 1024 + 1;

#[tokio::test]
async fn json_that_cannot_be_read_is_a_bad_request() {
    let app = TestApp::start().await;
    let company = app.company("acme").await;
    let line = company.department("Support").await;
    let link = company.link(line).await;
    let boss = company.user("Boss", Role::Owner).await;
    let deep = "[".repeat(10_000);
    for (method, path) in [
        (Method::POST, "/api/auth/login".to_owned()),
        (Method::POST, "/api/auth/refresh".to_owned()),
        (Method::POST, format!("/api/v1/call/{link}/join")),
        (Method::POST, format!("/api/v1/call/evaluate/{NOBODY}")),
        (Method::POST, "/api/v1/departments".to_owned()),
        (Method::PUT, format!("/api/v1/departments/{line}")),
        (Method::POST, format!("/api/v1/departments/{line}/users")),
        (Method::POST, "/api/v1/access-links".to_owned()),
        (Method::POST, format!("/api/v1/calls/{NOBODY}/assign")),
    ] {
        let client = if path.contains("/call/") { app.client() } else { boss.client.clone() };
        for body in ["{", "{\"name\": }", "nothing", "{\"a\": \"\u{1}\"}", deep.as_str()] {
            let answer = send(client.request(method.clone(), &path).body(body.to_owned())).await.expect(400);
            assert!(answer.detail().starts_with("Malformed JSON"), "{path}: {answer:?}");
        }
        let latin = send(client.request(method.clone(), &path).body(b"{\"name\": \"Jo\xe3o\"}".to_vec())).await;
        assert_eq!(latin.status, 400, "{path}: {latin:?}");
        for body in ["[]", "7", "null", "\"text\""] {
            let answer = send(client.request(method.clone(), &path).body(body)).await;
            answer.expect_error(400, "The request body must be a JSON object");
        }
    }
}

#[tokio::test]
async fn a_body_over_a_mebibyte_is_too_large_however_it_is_sent() {
    let app = TestApp::start().await;
    let company = app.company("acme").await;
    let line = company.department("Support").await;
    let path = format!("/api/v1/call/{}/join", company.link(line).await);
    let boss = company.user("Boss", Role::Owner).await;
    for (client, path) in [(app.client(), path.as_str()), (boss.client.clone(), "/api/v1/departments")] {
        // Larger ones, too: the answer must reach a client that is still sending.
        for bytes in [TOO_LARGE_BYTES, 8 * TOO_LARGE_BYTES] {
            let request = client.request(Method::POST, path).body(vec![b' '; bytes]);
            send(request).await.expect_error(413, "The request body is too large");
        }
        let fits = vec![b' '; TOO_LARGE_BYTES - 1];
        send(client.request(Method::POST, path).body(fits)).await.expect(422);
    }
}

#[tokio::test]
async fn unknown_paths_and_methods_are_in_the_envelope() {
    let app = TestApp::start().await;
    let boss = app.company("acme").await.user("Boss", Role::Owner).await;
    for path in ["/", "/api", "/api/v1", "/api/v1/nothing", "/api/v2/calls", "/api/v1/calls/x/y/z", "/%00", "/socket"] {
        app.client().get(path).await.expect_error(404, "Not found");
        boss.client.post(path, json!({})).await.expect_error(404, "Not found");
    }
    for (method, path) in [
        (Method::GET, "/api/auth/login".to_owned()),
        (Method::DELETE, "/api/v1/calls".to_owned()),
        (Method::PUT, format!("/api/v1/access-links/{NOBODY}")),
        (Method::POST, "/health/live".to_owned()),
    ] {
        send(boss.client.request(method, &path)).await.expect_error(405, "Method not allowed");
    }
}

#[tokio::test]
async fn texts_that_cannot_be_kept_are_named() {
    let app = TestApp::start().await;
    let company = app.company("acme").await;
    let line = company.department("Support").await;
    let boss = company.user("Boss", Role::Owner).await;
    let nul = json!(["must not contain a NUL character"]);
    let department = json!({"name": "a\u{0}b", "description": "\u{0}", "identifier": "x\u{0}"});
    let answer = boss.client.post("/api/v1/departments", department).await.expect(422);
    assert_eq!(answer.body, json!({"errors": {"name": nul, "description": nul, "identifier": nul}}));
    let link = json!({"department_id": line, "customer_name": "\u{0}", "customer_phone": "\u{0}"});
    let answer = boss.client.post("/api/v1/access-links", link).await.expect(422);
    assert_eq!(answer.body, json!({"errors": {"customer_name": nul, "customer_phone": nul}}));
    let link = json!({"department_id": line, "required_skills": ["\u{0}"]});
    let answer = boss.client.post("/api/v1/access-links", link).await.expect(422);
    assert_eq!(answer.body, json!({"errors": {"required_skills": ["is invalid"]}}));
    let login = json!({"email": "\u{0}", "password": "a\u{0}", "tenant": "\u{0}"});
    let answer = app.client().post("/api/auth/login", login).await.expect(422);
    assert_eq!(answer.body, json!({"errors": {"email": nul, "password": nul, "tenant": nul}}));
    for (field, most) in [("name", 200), ("description", 2_000), ("identifier", 100)] {
        let mut body = json!({"name": "Support"});
        body[field] = json!("x".repeat(most + 1));
        let answer = boss.client.post("/api/v1/departments", body).await.expect(422);
        let fault = format!("should be at most {most} character(s)");
        assert_eq!(answer.body, json!({"errors": {field: [fault]}}));
    }
}

#[tokio::test]
async fn a_panic_is_answered_and_the_server_lives() {
    let broken = Arc::new(AtomicBool::new(true));
    let switch = broken.clone();
    let route = get(async move || {
        assert!(!switch.load(Ordering::Relaxed), "this route is broken");
        "whole"
    });
    let app = TestApp::builder().routes(Router::new().route("/broken", route)).start().await;
    let request = app.client().request(Method::GET, "/broken").header("x-request-id", "r-1");
    let answer = send(request).await.expect(500);
    assert_eq!(answer.body, json!({"errors": {"detail": "Internal server error", "request_id": "r-1"}}));
    assert_eq!(answer.header("x-request-id"), Some("r-1"));
    let answer = app.client().get("/broken").await.expect(500);
    assert_eq!(answer.header("x-request-id"), answer.body["errors"]["request_id"].as_str());
    broken.store(false, Ordering::Relaxed);
    app.client().get("/broken").await.expect(200);
    app.client().get("/health/ready").await.expect(200);
}
