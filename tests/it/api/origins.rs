//! Which web pages of other hosts may call from a browser.

use reqwest::{Method, RequestBuilder};

use crate::harness::TestApp;
use crate::harness::client::send;

const OURS: &str = "https://app.acme.example";

fn asks(request: RequestBuilder, origin: &str) -> RequestBuilder {
    request
        .header("origin", origin)
        .header("access-control-request-method", "PUT")
        .header("access-control-request-headers", "authorization,x-tenant,content-type,idempotency-key")
}

#[tokio::test]
async fn only_named_origins_are_let_through_a_browser() {
    let app = TestApp::builder().config(|config| config.server.origins = vec![OURS.to_owned()]).start().await;
    let ask = async |origin| send(asks(app.client().request(Method::OPTIONS, "/api/v1/departments/1"), origin)).await;
    let allowed = ask(OURS).await.expect(200);
    assert_eq!(allowed.header("access-control-allow-origin"), Some(OURS));
    let headers = allowed.header("access-control-allow-headers").unwrap().to_owned();
    for header in ["authorization", "x-tenant", "content-type", "idempotency-key"] {
        assert!(headers.contains(header), "{headers}");
    }
    assert!(allowed.header("access-control-allow-methods").unwrap().contains("PUT"));
    assert_eq!(allowed.header("access-control-allow-credentials"), None);
    assert_eq!(ask("https://evil.example").await.header("access-control-allow-origin"), None);
    let answer = send(app.client().request(Method::GET, "/health/live").header("origin", OURS)).await.expect(200);
    assert_eq!(answer.header("access-control-allow-origin"), Some(OURS));
}
