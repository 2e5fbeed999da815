//! The REST endpoints a caller needs: login, the public call endpoints, calls, departments, access links.
//!
//! It turns answers into small structs or plain JSON and errors into [`RestError`]. It must not retry: whether
//! a repeated command is right is the caller's knowledge.

use std::sync::Arc;

use bytes::Bytes;
use http_body_util::Full;
use hyper::{Method, Request};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::pool::{Answer, NoAnswer, Pool};

/// Connections kept to the server. More would not be faster: a join waits for a group commit that holds every
/// join of that moment.
pub const POOL_SIZE: usize = 64;

/// Why a REST call did not give what was asked.
#[derive(Debug, thiserror::Error)]
pub enum RestError {
    #[error(transparent)]
    NoAnswer(#[from] NoAnswer),
    #[error("HTTP {status}: {detail}")]
    Refused { status: u16, detail: String, retry_after_seconds: Option<u64> },
    #[error("an answer that is not as promised ({what}): {cause}")]
    Malformed { what: String, cause: serde_json::Error },
    #[error("{0}: only http://HOST[:PORT] addresses can be tested")]
    Address(String),
}

impl RestError {
    /// Whether the same command may succeed a little later: the server said so, or was not reached.
    #[must_use]
    pub fn is_passing(&self) -> bool {
        match self {
            Self::NoAnswer(_) => true,
            Self::Refused { status, .. } => matches!(status, 429 | 502 | 503),
            Self::Malformed { .. } | Self::Address(_) => false,
        }
    }

    /// The HTTP status of a refusal.
    #[must_use]
    pub fn status(&self) -> Option<u16> {
        match self {
            Self::Refused { status, .. } => Some(*status),
            _ => None,
        }
    }
}

/// `{"data": ...}`, as every successful answer is wrapped.
#[derive(Debug, Deserialize)]
struct Envelope<T> {
    data: T,
}

/// What a login gives.
#[derive(Debug, Clone, Deserialize)]
pub struct Login {
    pub access_token: String,
    pub refresh_token: String,
    pub user: LoggedIn,
}

#[derive(Debug, Clone, Deserialize)]
pub struct LoggedIn {
    pub id: String,
    pub role: String,
}

/// What a customer gets for joining. Times and waits that the tester does not judge are left out.
#[derive(Debug, Clone, Deserialize)]
pub struct Joined {
    pub call_id: String,
    pub websocket_token: String,
    #[serde(default)]
    pub position: Option<u64>,
    /// The call's number, when the server tells it here already.
    #[serde(default)]
    pub protocol: Option<u64>,
}

/// The public status of a call.
#[derive(Debug, Clone, Deserialize)]
pub struct Status {
    pub status: String,
    #[serde(default)]
    pub phase: Option<String>,
    #[serde(default)]
    pub position: Option<u64>,
}

/// A REST client for one server; cheap to clone.
#[derive(Debug, Clone)]
pub struct Rest {
    pool: Arc<Pool>,
}

impl Rest {
    /// `base_url` is `http://host[:port]`, with or without a trailing slash.
    ///
    /// # Errors
    /// When the address is of another kind.
    pub fn new(base_url: &str) -> Result<Self, RestError> {
        Self::with_connections(base_url, POOL_SIZE)
    }

    /// As [`Rest::new`], with another number of connections at most.
    ///
    /// # Errors
    /// As [`Rest::new`].
    pub fn with_connections(base_url: &str, connections: usize) -> Result<Self, RestError> {
        let authority = base_url
            .strip_prefix("http://")
            .map(|rest| rest.trim_end_matches('/'))
            .filter(|authority| !authority.is_empty() && !authority.contains('/'))
            .ok_or_else(|| RestError::Address(base_url.to_owned()))?;
        let authority = if authority.contains(':') { authority.to_owned() } else { format!("{authority}:80") };
        Ok(Self { pool: Arc::new(Pool::new(authority, connections)) })
    }

    /// `host:port` of the server, for sockets.
    #[must_use]
    pub fn authority(&self) -> &str {
        self.pool.authority()
    }

    /// `POST /api/auth/login`.
    ///
    /// # Errors
    /// 401 for wrong credentials, 422 for missing ones, 429 above the limit.
    pub async fn login(&self, tenant: &str, email: &str, password: &str) -> Result<Login, RestError> {
        let body = json!({ "tenant": tenant, "email": email, "password": password }).to_string();
        self.data(Method::POST, "/api/auth/login", None, None, Some(body)).await
    }

    /// `POST /api/v1/call/:token/join`; the same `join_key` gives the same call.
    ///
    /// # Errors
    /// 404 for an unknown link, 422 when the queue is full, 503 while nothing can be kept.
    pub async fn join(&self, link_token: &str, name: &str, join_key: &str) -> Result<Joined, RestError> {
        let body = json!({ "name": name, "join_key": join_key }).to_string();
        let path = format!("/api/v1/call/{link_token}/join");
        self.data(Method::POST, &path, None, Some(join_key), Some(body)).await
    }

    /// `GET /api/v1/call/status/:call_id`. Polling it keeps the customer present.
    ///
    /// # Errors
    /// 404 for an unknown call.
    pub async fn status(&self, call_id: &str) -> Result<Status, RestError> {
        self.data(Method::GET, &format!("/api/v1/call/status/{call_id}"), None, None, None).await
    }

    /// `POST /api/v1/call/evaluate/:call_id` with a rating from 1 to 5.
    ///
    /// # Errors
    /// 422 before the end, outside 1 to 5, or when already rated.
    pub async fn evaluate(&self, call_id: &str, rating: u8, websocket_token: Option<&str>) -> Result<Value, RestError> {
        let body = json!({ "rating": rating }).to_string();
        let path = format!("/api/v1/call/evaluate/{call_id}");
        self.data(Method::POST, &path, websocket_token, None, Some(body)).await
    }

    /// `GET /api/v1/calls/:id`.
    ///
    /// # Errors
    /// 404 for an unknown call.
    pub async fn call(&self, access_token: &str, call_id: &str) -> Result<Value, RestError> {
        self.data(Method::GET, &format!("/api/v1/calls/{call_id}"), Some(access_token), None, None).await
    }

    /// One page of `GET /api/v1/calls`; `query` starts without `?`. The answer is the page's rows.
    ///
    /// # Errors
    /// 400 for a wrong query.
    pub async fn calls(&self, access_token: &str, query: &str) -> Result<Vec<Value>, RestError> {
        self.data(Method::GET, &format!("/api/v1/calls?{query}"), Some(access_token), None, None).await
    }

    /// `POST /api/v1/calls/:id/{assign,start,complete}`.
    ///
    /// # Errors
    /// 422 in a wrong state.
    pub async fn act_on_call(&self, access_token: &str, call_id: &str, action: &str) -> Result<Value, RestError> {
        let path = format!("/api/v1/calls/{call_id}/{action}");
        self.data(Method::POST, &path, Some(access_token), None, Some("{}".to_owned())).await
    }

    /// Any other endpoint that answers with the `data` envelope.
    ///
    /// # Errors
    /// As the endpoint says.
    pub async fn value(
        &self,
        method: Method,
        path: &str,
        access_token: &str,
        body: Option<Value>,
    ) -> Result<Value, RestError> {
        self.data(method, path, Some(access_token), None, body.map(|body| body.to_string())).await
    }

    /// `GET path` without credentials: only whether it answered 200.
    pub async fn is_ok(&self, path: &str) -> bool {
        matches!(self.answer(Method::GET, path, None, None, None).await, Ok(answer) if answer.status == 200)
    }

    async fn data<T: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        bearer: Option<&str>,
        idempotency_key: Option<&str>,
        body: Option<String>,
    ) -> Result<T, RestError> {
        let answer = self.answer(method, path, bearer, idempotency_key, body).await?;
        if !(200..300).contains(&answer.status) {
            return Err(refusal(&answer));
        }
        serde_json::from_slice::<Envelope<T>>(&answer.body)
            .map(|envelope| envelope.data)
            .map_err(|cause| RestError::Malformed { what: path.to_owned(), cause })
    }

    async fn answer(
        &self,
        method: Method,
        path: &str,
        bearer: Option<&str>,
        idempotency_key: Option<&str>,
        body: Option<String>,
    ) -> Result<Answer, RestError> {
        let mut request = Request::builder().method(method).uri(path).header("host", self.pool.authority());
        if let Some(token) = bearer {
            request = request.header("authorization", format!("Bearer {token}"));
        }
        if let Some(key) = idempotency_key {
            request = request.header("idempotency-key", key);
        }
        if body.is_some() {
            request = request.header("content-type", "application/json");
        }
        let request = request.body(Full::new(body.map(Bytes::from).unwrap_or_default())).map_err(NoAnswer::Request)?;
        Ok(self.pool.send(request).await?)
    }
}

/// Reads `{"errors": {"detail": ...}}` or `{"errors": {field: [...]}}` into one line.
fn refusal(answer: &Answer) -> RestError {
    let errors =
        serde_json::from_slice::<Value>(&answer.body).ok().and_then(|mut body| body.get_mut("errors").map(Value::take));
    let detail = match errors {
        Some(errors) => errors.get("detail").and_then(Value::as_str).map_or_else(|| errors.to_string(), str::to_owned),
        None => String::from_utf8_lossy(&answer.body).chars().take(200).collect(),
    };
    RestError::Refused { status: answer.status, detail, retry_after_seconds: answer.retry_after_seconds }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test may stop at the first surprise")]
    use super::*;

    #[test]
    fn an_address_is_a_host_with_or_without_a_port() {
        assert_eq!(Rest::new("http://127.0.0.1:4000/").unwrap().authority(), "127.0.0.1:4000");
        assert_eq!(Rest::new("http://vez.test").unwrap().authority(), "vez.test:80");
        assert!(Rest::new("https://vez.test").is_err());
        assert!(Rest::new("http://vez.test/path").is_err());
    }

    #[test]
    fn both_error_envelopes_become_one_line() {
        let answer = |body: &'static str| Answer { status: 422, retry_after_seconds: None, body: Bytes::from(body) };
        assert_eq!(refusal(&answer(r#"{"errors":{"detail":"Queue is full"}}"#)).to_string(), "HTTP 422: Queue is full");
        assert!(refusal(&answer(r#"{"errors":{"name":["can't be blank"]}}"#)).to_string().contains("can't be blank"));
    }
}
