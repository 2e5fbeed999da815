//! Speaks REST: a request, its answer as a status, headers and JSON. It expects nothing; tests do.

use std::net::SocketAddr;

use reqwest::header::HeaderMap;
use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};

use super::PATIENCE;

/// A client of one application; cheap to clone.
#[derive(Clone, Debug)]
pub struct Client {
    http: reqwest::Client,
    base: String,
    token: Option<String>,
}

/// An answer.
#[derive(Clone, Debug)]
pub struct Answer {
    pub status: u16,
    pub headers: HeaderMap,
    /// `Null` when the body is empty, a string when it is no JSON.
    pub body: Value,
}

impl Answer {
    /// `data.{name}` as text; panics when it is none.
    pub fn data(&self, name: &str) -> &str {
        self.body["data"][name].as_str().unwrap_or_else(|| panic!("no text data.{name} in {self:?}"))
    }

    /// `data.id` as text.
    pub fn id(&self) -> &str {
        self.data("id")
    }

    /// The topic of the call that a join answered.
    pub fn call_topic(&self) -> String {
        format!("call:{}", self.data("call_id"))
    }

    /// `errors.detail` as text.
    pub fn detail(&self) -> &str {
        self.body["errors"]["detail"].as_str().unwrap_or_else(|| panic!("no errors.detail in {self:?}"))
    }

    /// A header as text.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().unwrap())
    }

    /// Panics unless the status is `status`.
    #[track_caller]
    pub fn expect(self, status: u16) -> Self {
        assert_eq!(self.status, status, "{self:?}");
        self
    }

    /// Panics unless it is the plain error with this status and sentence.
    #[track_caller]
    pub fn expect_error(self, status: u16, detail: &str) -> Self {
        assert_eq!((self.status, &self.body), (status, &json!({"errors": {"detail": detail}})), "{self:?}");
        self
    }

    /// Panics unless it says in this sentence that the company's plan does not reach.
    #[track_caller]
    pub fn expect_plan_limit(self, detail: &str) -> Self {
        let body = json!({"errors": {"detail": detail, "code": "plan_limit"}});
        assert_eq!((self.status, &self.body), (403, &body), "{self:?}");
        self
    }
}

impl Client {
    pub fn new(addr: SocketAddr) -> Self {
        let http = reqwest::Client::builder().timeout(PATIENCE).build().unwrap();
        Self { http, base: format!("http://{addr}"), token: None }
    }

    /// The same with a bearer token.
    pub fn with_token(&self, token: &str) -> Self {
        Self { token: Some(token.to_owned()), ..self.clone() }
    }

    /// A request to fill in further: headers, a body that is no JSON. `path` starts with `/`.
    pub fn request(&self, method: Method, path: &str) -> RequestBuilder {
        let request = self.http.request(method, format!("{}{path}", self.base));
        match &self.token {
            Some(token) => request.bearer_auth(token),
            None => request,
        }
    }

    pub async fn get(&self, path: &str) -> Answer {
        send(self.request(Method::GET, path)).await
    }

    pub async fn post(&self, path: &str, body: Value) -> Answer {
        send(self.request(Method::POST, path).json(&body)).await
    }

    pub async fn put(&self, path: &str, body: Value) -> Answer {
        send(self.request(Method::PUT, path).json(&body)).await
    }

    pub async fn delete(&self, path: &str) -> Answer {
        send(self.request(Method::DELETE, path)).await
    }

    /// Takes a place in line through a link.
    pub async fn join(&self, link_token: &str, name: &str) -> Answer {
        self.post(&format!("/api/v1/call/{link_token}/join"), json!({ "name": name })).await
    }

    /// `GET /api/v1/call/status/{call}`.
    pub async fn status(&self, call: &str) -> Answer {
        self.get(&format!("/api/v1/call/status/{call}")).await
    }

    /// `POST /api/v1/access-links/{link}/{action}`.
    pub async fn act_on_link(&self, link: &str, action: &str) -> Answer {
        self.post(&format!("/api/v1/access-links/{link}/{action}"), json!({})).await
    }

    /// `POST /api/v1/calls/{call}/{action}` without a body's worth of wishes.
    pub async fn act(&self, call: &str, action: &str) -> Answer {
        self.post(&format!("/api/v1/calls/{call}/{action}"), json!({})).await
    }
}

/// Sends a request and reads its answer whole.
pub async fn send(request: RequestBuilder) -> Answer {
    let response = request.send().await.unwrap();
    let (status, headers) = (response.status().as_u16(), response.headers().clone());
    let text = response.text().await.unwrap();
    let body = match text.as_str() {
        "" => Value::Null,
        text => serde_json::from_str(text).unwrap_or_else(|_| Value::String(text.to_owned())),
    };
    Answer { status, headers, body }
}
