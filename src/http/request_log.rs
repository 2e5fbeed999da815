//! Owns the id of each request, the one line written about it, and its metrics. It writes the matched path, never the
//! raw one: tokens stand in those.

use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, OnceLock};

use axum::Json;
use axum::extract::{MatchedPath, Request, State};
use axum::http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use axum::http::{Extensions, HeaderMap, HeaderName, HeaderValue, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use super::error::{Fault, INTERNAL_DETAIL, UNAVAILABLE_DETAIL, detail_body};
use super::foreign_errors::Worded;
use super::rate_limit::RateLimits;
use crate::domain::clock::Clock;
use crate::domain::ids::{IdSource, TenantId};

/// The header that carries a request's id in and out.
pub static REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
/// Longest id we take over from a client or proxy; others get one of ours.
const REQUEST_ID_BYTES_MAX: usize = 64;

/// What is known of a request besides itself; rides in its extensions.
#[derive(Clone, Debug)]
pub struct Tag {
    pub request_id: Arc<str>,
    /// The client's address, behind believed proxies.
    pub address: IpAddr,
    tenant: Arc<OnceLock<TenantId>>,
}

impl Tag {
    /// The tag of a request; a nameless one when it came past the middleware (a test of one handler).
    pub fn of(extensions: &Extensions) -> Tag {
        extensions.get::<Tag>().cloned().unwrap_or_else(|| Tag {
            request_id: Arc::from(""),
            address: IpAddr::V6(Ipv6Addr::UNSPECIFIED),
            tenant: Arc::default(),
        })
    }

    /// Says whose request it turned out to be.
    pub fn set_tenant(&self, tenant: TenantId) {
        // The first word stands: a request belongs to one company.
        let _ = self.tenant.set(tenant);
    }
}

/// Middleware around everything: gives the request its id and tag, then writes one line and the metrics.
pub async fn log_request(
    State(clock): State<Clock>,
    State(ids): State<IdSource>,
    State(limits): State<RateLimits>,
    mut request: Request,
    next: Next,
) -> Response {
    let started_at = clock.now();
    let request_id = id_of(request.headers()).unwrap_or_else(|| ids.uuid(started_at).to_string().into());
    let tag = Tag {
        request_id: request_id.clone(),
        address: limits.client_address(request.extensions(), request.headers()),
        tenant: Arc::default(),
    };
    request.extensions_mut().insert(tag.clone());
    let method = request.method().clone();
    let matched = request.extensions().get::<MatchedPath>().cloned();
    let path = matched.as_ref().map_or("unmatched", MatchedPath::as_str);

    let response = next.run(request).await;

    let elapsed = clock.now().since(started_at);
    let status = response.status();
    let fault = response.extensions().get::<Fault>().map(|fault| fault.0.clone());
    let tenant = tag.tenant.get().map(ToString::to_string);
    let (tenant, millis) = (tenant.as_deref(), elapsed.as_secs_f64() * 1_000.0);
    macro_rules! line {
        ($level:ident) => {
            tracing::$level!(target: "vez::request", request_id = &*request_id, %method, path, status = status.as_u16(),
                duration_ms = millis, tenant, fault, "request")
        };
    }
    match status {
        StatusCode::SERVICE_UNAVAILABLE => line!(warn),
        status if status.is_server_error() => line!(error),
        _ if path.starts_with("/health") || path == "/metrics" => line!(debug),
        _ => line!(info),
    }
    let labels =
        [("method", method_label(&method)), ("path", path.to_owned()), ("status", status.as_u16().to_string())];
    metrics::counter!("vez_http_requests_total", &labels).increment(1);
    metrics::histogram!("vez_http_request_seconds", "path" => path.to_owned()).record(elapsed.as_secs_f64());

    with_id(response, fault.is_some(), &request_id)
}

/// Puts the id into the header and, where this server is at fault, into the body; what else the answer says stays.
fn with_id(mut response: Response, at_fault: bool, request_id: &str) -> Response {
    let status = response.status();
    if at_fault && response.extensions().get::<Worded>().is_none() {
        let detail = if status == StatusCode::SERVICE_UNAVAILABLE { UNAVAILABLE_DETAIL } else { INTERNAL_DETAIL };
        let named = Json(detail_body(detail.into(), None, Some(request_id.to_owned()))).into_response();
        let (kind, body) = (named.headers().get(CONTENT_TYPE).cloned(), named.into_body());
        *response.body_mut() = body;
        response.headers_mut().remove(CONTENT_LENGTH);
        if let Some(kind) = kind {
            response.headers_mut().insert(CONTENT_TYPE, kind);
        }
    }
    if let Ok(id) = HeaderValue::from_str(request_id) {
        response.headers_mut().insert(REQUEST_ID.clone(), id);
    }
    response
}

/// The id the client sent, when it is one that can stand in a log line.
fn id_of(headers: &HeaderMap) -> Option<Arc<str>> {
    let id = headers.get(&REQUEST_ID)?.to_str().ok()?;
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    ((1..=REQUEST_ID_BYTES_MAX).contains(&id.len()) && id.bytes().all(plain)).then(|| Arc::from(id))
}

/// The method as a label; made-up ones share one, so that nobody grows our metrics.
fn method_label(method: &axum::http::Method) -> String {
    match method.as_str() {
        known @ ("GET" | "HEAD" | "POST" | "PUT" | "PATCH" | "DELETE" | "OPTIONS") => known.to_owned(),
        _ => "other".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use http_body_util::BodyExt;

    use super::super::error::ApiError;
    use super::*;

    #[test]
    fn only_plain_ids_are_taken_over() {
        let id = |text: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(REQUEST_ID.clone(), HeaderValue::from_str(text).unwrap());
            id_of(&headers)
        };
        assert_eq!(id("a-1_B.2").as_deref(), Some("a-1_B.2"));
        assert_eq!(id("a b"), None);
        assert_eq!(id(""), None);
        assert_eq!(id(&"x".repeat(65)), None);
    }

    #[tokio::test]
    async fn a_fault_is_answered_with_the_requests_id_and_a_refusal_as_it_is() {
        let response = with_id(ApiError::unavailable("db").into_response(), true, "r1");
        assert_eq!(response.headers()["x-request-id"], "r1");
        assert_eq!(response.headers()["retry-after"], "2");
        let body = response.into_body().collect().await.unwrap().to_bytes();
        assert_eq!(
            serde_json::from_slice::<serde_json::Value>(&body).unwrap(),
            serde_json::json!({"errors": {"detail": UNAVAILABLE_DETAIL, "request_id": "r1"}})
        );
        let response = with_id(ApiError::not_found().into_response(), false, "r1");
        let body = response.into_body().collect().await.unwrap().to_bytes();
        assert_eq!(&body[..], br#"{"errors":{"detail":"Not found"}}"#);
    }
}
