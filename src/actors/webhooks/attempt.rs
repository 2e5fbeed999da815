//! Owns one attempt: the request as it is sent, and the answer as far as it is kept. Whether and when there is another one is
//! the deliverer's business.

use std::error::Error as _;
use std::time::Duration;

use reqwest::header::{CONTENT_TYPE, HeaderMap, USER_AGENT};
use reqwest::redirect::Policy;
use serde_json::{Map, Value};
use uuid::Uuid;

use super::signature;
use super::targets::{Refusal, Targets};
use crate::auth::Seal;
use crate::domain::clock::Clock;
use crate::domain::webhook::body;
use crate::store::webhooks::{Message, NewAttempt, Target};

/// Bytes of an answer's body that are kept: an error's text fits, and nobody needs more of it.
const BODY_KEPT_BYTES: usize = 2 * 1024;
/// Bytes of an answer's header values that are kept.
const HEADERS_KEPT_BYTES: usize = 4 * 1024;
/// Characters kept of why there is no answer.
const ERROR_CHARS_MAX: usize = 300;
/// What deliveries call themselves.
const AGENT: &str = concat!("Vez-Webhooks/", env!("CARGO_PKG_VERSION"));
/// What a webhook's secret is sealed for.
pub fn seal_context(webhook: Uuid) -> String {
    format!("webhook {webhook}")
}

/// Makes attempts. Cheap to clone.
#[derive(Clone)]
pub struct Sender {
    http: reqwest::Client,
    targets: Targets,
    seal: Seal,
    clock: Clock,
    within: Duration,
}

impl Sender {
    /// Who sends to `targets` and waits so long for each answer.
    ///
    /// Every attempt opens a connection of its own, because that is when addresses are looked at; TLS sessions are resumed.
    /// Proxies of the environment are not used: they would connect for us, unseen. Redirects are not followed.
    pub fn new(targets: Targets, seal: Seal, clock: Clock, within: Duration) -> Result<Self, reqwest::Error> {
        let http = reqwest::Client::builder()
            .dns_resolver(targets.clone())
            .no_proxy()
            .redirect(Policy::none())
            .referer(false)
            .http1_only()
            .pool_max_idle_per_host(0)
            .timeout(within)
            .build()?;
        Ok(Self { http, targets, seal, clock, within })
    }

    /// Where it may send to.
    pub fn targets(&self) -> &Targets {
        &self.targets
    }

    /// Sends `message` and says what came of it: whether it was delivered, and what to keep of the attempt.
    pub async fn attempt(&self, message: &Message, target: &Target) -> (bool, NewAttempt) {
        let at = self.clock.now();
        let body = body(&message.event, message.at, &message.data);
        let began = Clock::patience(Duration::ZERO);
        let mut attempt = NewAttempt {
            at,
            duration_ms: 0,
            url: target.url.clone(),
            request_headers: Value::Object(Map::new()),
            response_status: None,
            response_headers: None,
            response_body: None,
            error: None,
        };
        let Some(secret) = self.open(target.webhook, &target.secret) else {
            attempt.error = Some("the secret cannot be read: set another one".to_owned());
            return (false, attempt);
        };
        let former = target.former_secret.as_deref().and_then(|sealed| self.open(target.webhook, sealed));
        let signed = signature::headers(message.id, at, &body, &secret, former.as_deref());
        let mut sent =
            vec![(CONTENT_TYPE.as_str(), "application/json".to_owned()), (USER_AGENT.as_str(), AGENT.into())];
        sent.extend(signed);
        attempt.request_headers =
            Value::Object(sent.iter().map(|(name, value)| ((*name).to_owned(), value.clone().into())).collect());
        let delivered = match self.targets.parse(&target.url) {
            Ok(url) => {
                let mut request = self.http.post(url).body(body);
                for (name, value) in sent {
                    request = request.header(name, value);
                }
                self.send(request, &mut attempt).await
            }
            Err(refusal) => {
                attempt.error = Some(format!("the URL {refusal}"));
                false
            }
        };
        let took = Clock::patience(Duration::ZERO).duration_since(began);
        attempt.duration_ms = i32::try_from(took.as_millis()).unwrap_or(i32::MAX);
        (delivered, attempt)
    }

    /// The status decides. A body that does not end, or ends too soon, is kept as far as it came.
    async fn send(&self, request: reqwest::RequestBuilder, attempt: &mut NewAttempt) -> bool {
        let mut response = match request.send().await {
            Ok(response) => response,
            Err(error) => {
                attempt.error = Some(self.why(&error));
                return false;
            }
        };
        let status = response.status();
        attempt.response_status = i16::try_from(status.as_u16()).ok();
        attempt.response_headers = Some(headers(response.headers()));
        let mut kept = Vec::new();
        while kept.len() < BODY_KEPT_BYTES
            && let Ok(Some(chunk)) = response.chunk().await
        {
            let room = BODY_KEPT_BYTES - kept.len();
            kept.extend_from_slice(&chunk[..chunk.len().min(room)]);
        }
        attempt.response_body = Some(storable(&String::from_utf8_lossy(&kept)));
        status.is_success()
    }

    fn open(&self, webhook: Uuid, sealed: &str) -> Option<String> {
        String::from_utf8(self.seal.open(&seal_context(webhook), sealed)?).ok()
    }

    fn why(&self, error: &reqwest::Error) -> String {
        let mut cause = error.source();
        let mut last = None;
        while let Some(inner) = cause {
            if let Some(refusal) = inner.downcast_ref::<Refusal>() {
                return format!("the URL {refusal}");
            }
            last = Some(inner.to_string());
            cause = inner.source();
        }
        let what = if error.is_timeout() {
            return format!("no answer within {} s", self.within.as_secs());
        } else if error.is_connect() {
            "no connection"
        } else {
            "no answer that can be read"
        };
        let text = last.map_or_else(|| what.to_owned(), |cause| format!("{what}: {cause}"));
        storable(&text.chars().take(ERROR_CHARS_MAX).collect::<String>())
    }
}

/// Names and values as JSON, up to a bound.
fn headers(headers: &HeaderMap) -> Value {
    let mut kept: Map<String, Value> = Map::new();
    let mut bytes = 0;
    for (name, value) in headers {
        bytes += name.as_str().len() + value.len();
        if bytes > HEADERS_KEPT_BYTES {
            break;
        }
        kept.insert(name.as_str().to_owned(), String::from_utf8_lossy(value.as_bytes()).into());
    }
    Value::Object(kept)
}

/// Postgres keeps no NUL characters.
fn storable(text: &str) -> String {
    text.replace('\0', "\u{fffd}")
}
