//! Owns the answer to everything that goes wrong: one error type, one table of statuses, Voki's `errors` envelope. It
//! decides no rule; it words what routes, the queue and the store report.

use std::borrow::Cow;
use std::collections::BTreeMap;

use axum::Json;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;

use crate::actors::handle::{CallError, Rejection};
use crate::auth::PasswordError;
use crate::domain::plan::PlanExceeded;
use crate::store::StoreError;

/// A text of an error: usually one of ours, sometimes made for the occasion.
pub type Text = Cow<'static, str>;

/// When a client may try again while nothing better is known, in seconds.
const RETRY_AFTER_SECONDS: u64 = 2;

/// What is wrong with the fields of a body, all of it at once: `{"email": ["can't be blank"]}`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct FieldErrors(BTreeMap<Text, Vec<Text>>);

impl FieldErrors {
    /// Notes one more fault of `field`.
    pub fn add(&mut self, field: impl Into<Text>, fault: impl Into<Text>) {
        self.0.entry(field.into()).or_default().push(fault.into());
    }

    /// A single fault.
    pub fn of(field: impl Into<Text>, fault: impl Into<Text>) -> Self {
        let mut errors = Self::default();
        errors.add(field, fault);
        errors
    }

    /// Whether something is wrong with `field`.
    pub fn has(&self, field: &str) -> bool {
        self.0.contains_key(field)
    }

    /// Whether nothing is wrong.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// Everything a request can be refused for.
#[derive(Debug)]
pub enum ApiError {
    /// 400: not JSON, or a wrong query or path parameter.
    BadRequest(Text),
    /// 400: query parameters that are wrong together; the fault stands at one of them.
    BadParameters(FieldErrors),
    /// 401: no token, or one that is not believed.
    Unauthorized(Text),
    /// 403: the role does not reach.
    Forbidden,
    /// 403: the company's plan does not reach.
    PlanLimit(Text),
    /// 404: unknown or foreign; which of both is never told.
    NotFound(Text),
    /// 410: it was there and is kept no more; `code` is for programs, `detail` for people.
    Gone { code: &'static str, detail: Text },
    /// 405: the path exists, the method does not.
    MethodNotAllowed,
    /// 408: the body did not come in time.
    Timeout,
    /// 413: the body is too large.
    TooLarge,
    /// The answer that the same `Idempotency-Key` had before.
    Answered { status: u16, body: Vec<u8> },
    /// 422: faults of body fields.
    Invalid(FieldErrors),
    /// 422: faults of some items of a list in the body, each named by its place, from 0.
    InvalidItems { field: &'static str, items: Vec<(usize, FieldErrors)> },
    /// 422: the state of things does not allow it; `code` is for programs, `detail` for people.
    Rejected { code: &'static str, detail: Text },
    /// 429, with the seconds until the next try.
    TooManyRequests { retry_after_seconds: u64 },
    /// 503: the store or the queue cannot answer now; nothing was changed.
    Unavailable { retry_after_seconds: u64, cause: String },
    /// 500: a fault of this server; `fault` is for the log, the client gets the request's id.
    Internal { fault: String },
}

/// What `ApiError::NotFound` says where no resource words it better.
pub const NOT_FOUND: &str = "Not found";
/// What `ApiError::Unauthorized` says where no resource words it better.
pub const UNAUTHORIZED: &str = "Unauthorized";

impl ApiError {
    /// 404 in the usual words.
    pub fn not_found() -> Self {
        ApiError::NotFound(Cow::Borrowed(NOT_FOUND))
    }

    /// 401 in the usual words.
    pub fn unauthorized() -> Self {
        ApiError::Unauthorized(Cow::Borrowed(UNAUTHORIZED))
    }

    /// 500, for the log.
    pub fn internal(fault: impl std::fmt::Display) -> Self {
        ApiError::Internal { fault: fault.to_string() }
    }

    /// 503, for the log, with the usual time to wait.
    pub fn unavailable(cause: impl std::fmt::Display) -> Self {
        ApiError::Unavailable { retry_after_seconds: RETRY_AFTER_SECONDS, cause: cause.to_string() }
    }

    /// 422 for one field.
    pub fn field(field: &'static str, fault: impl Into<Text>) -> Self {
        ApiError::Invalid(FieldErrors::of(field, fault))
    }

    /// What is said of it: a sentence for people.
    pub fn detail(&self) -> Text {
        match self {
            ApiError::BadRequest(detail)
            | ApiError::Unauthorized(detail)
            | ApiError::PlanLimit(detail)
            | ApiError::NotFound(detail)
            | ApiError::Gone { detail, .. }
            | ApiError::Rejected { detail, .. } => detail.clone(),
            ApiError::Forbidden => "Forbidden".into(),
            ApiError::MethodNotAllowed => "Method not allowed".into(),
            ApiError::Timeout => "The request body took too long".into(),
            ApiError::TooLarge => "The request body is too large".into(),
            ApiError::BadParameters(_) => "The parameters are invalid".into(),
            ApiError::Invalid(_) | ApiError::InvalidItems { .. } => "The request body is invalid".into(),
            ApiError::TooManyRequests { .. } => "Too many requests".into(),
            ApiError::Unavailable { .. } => UNAVAILABLE_DETAIL.into(),
            ApiError::Internal { .. } | ApiError::Answered { .. } => INTERNAL_DETAIL.into(),
        }
    }

    /// The status.
    pub fn status(&self) -> StatusCode {
        match self {
            ApiError::BadRequest(_) | ApiError::BadParameters(_) => StatusCode::BAD_REQUEST,
            ApiError::Unauthorized(_) => StatusCode::UNAUTHORIZED,
            ApiError::Forbidden | ApiError::PlanLimit(_) => StatusCode::FORBIDDEN,
            ApiError::NotFound(_) => StatusCode::NOT_FOUND,
            ApiError::Gone { .. } => StatusCode::GONE,
            ApiError::MethodNotAllowed => StatusCode::METHOD_NOT_ALLOWED,
            ApiError::Timeout => StatusCode::REQUEST_TIMEOUT,
            ApiError::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            ApiError::Answered { status, .. } => StatusCode::from_u16(*status).unwrap_or(StatusCode::OK),
            ApiError::Invalid(_) | ApiError::InvalidItems { .. } | ApiError::Rejected { .. } => {
                StatusCode::UNPROCESSABLE_ENTITY
            }
            ApiError::TooManyRequests { .. } => StatusCode::TOO_MANY_REQUESTS,
            ApiError::Unavailable { .. } => StatusCode::SERVICE_UNAVAILABLE,
            ApiError::Internal { .. } => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }
}

impl From<StoreError> for ApiError {
    /// What no route words better: a key that is taken is worded by the route that wrote it, so here it is a fault.
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Unavailable(_)
            | StoreError::Fenced
            | StoreError::BeingMigrated
            | StoreError::OwnedElsewhere { .. } => ApiError::unavailable(error),
            StoreError::CompanyBusy => ApiError::TooManyRequests { retry_after_seconds: RETRY_AFTER_SECONDS },
            // Class 22 is data that cannot be stored, whatever it is; the edge should have refused it, yet the client
            // is the one who can change it.
            StoreError::Refused { ref code, .. } if code.starts_with("22") => {
                ApiError::Rejected { code: "not_storable", detail: "A value cannot be stored".into() }
            }
            other => ApiError::internal(other),
        }
    }
}

impl From<CallError> for ApiError {
    fn from(error: CallError) -> Self {
        match error {
            CallError::Rejected(rejection @ Rejection::PlanLimit) => ApiError::PlanLimit(rejection.to_string().into()),
            // An agent of another company and one who does not exist are answered alike, as every unknown id.
            CallError::Rejected(Rejection::UnknownAgent) => ApiError::not_found(),
            CallError::Rejected(rejection) => {
                ApiError::Rejected { code: rejection.code(), detail: rejection.to_string().into() }
            }
            CallError::NotFound => ApiError::not_found(),
            CallError::StorageUnavailable { retry_after_seconds } => {
                ApiError::Unavailable { retry_after_seconds, cause: "the record cannot be written".to_owned() }
            }
            CallError::Overloaded { retry_after_seconds } => {
                ApiError::Unavailable { retry_after_seconds, cause: "the queue is overloaded".to_owned() }
            }
            CallError::Failed => ApiError::internal("the queue failed on this command"),
        }
    }
}

impl From<PlanExceeded> for ApiError {
    fn from(exceeded: PlanExceeded) -> Self {
        ApiError::PlanLimit(exceeded.to_string().into())
    }
}

impl From<PasswordError> for ApiError {
    fn from(error: PasswordError) -> Self {
        match error {
            PasswordError::Overloaded => ApiError::unavailable(error),
            PasswordError::Failed => ApiError::internal(error),
        }
    }
}

/// The `errors` object of everything but field faults.
#[derive(Clone, Debug, Serialize)]
pub struct ErrorDetail {
    /// A sentence for people.
    pub detail: Text,
    /// A word for programs, of refusals by the queue or the plan.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub code: Option<&'static str>,
    /// Of faults of this server: what to name when asking about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub request_id: Option<String>,
}

/// What is wrong with one item of a list.
#[derive(Clone, Debug, Serialize)]
pub struct ItemErrors {
    /// Its place in the list, from 0.
    pub index: usize,
    pub errors: FieldErrors,
}

/// The envelope: `{"errors": ...}`.
#[derive(Clone, Debug, Serialize)]
pub struct Errors<T> {
    pub errors: T,
}

/// Rides on a 5xx answer to the request log, which writes it down once with the request's id and puts that id into the
/// body.
#[derive(Clone, Debug)]
pub struct Fault(pub String);

/// The body of an answer that carries nothing but a sentence.
pub fn detail_body(detail: Text, code: Option<&'static str>, request_id: Option<String>) -> Errors<ErrorDetail> {
    Errors { errors: ErrorDetail { detail, code, request_id } }
}

/// What clients are told of a fault of this server.
pub const INTERNAL_DETAIL: &str = "Internal server error";
/// What clients are told while the store or the queue cannot answer.
pub const UNAVAILABLE_DETAIL: &str = "Temporarily unavailable, please try again";

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let status = self.status();
        let plain = (status, Json(detail_body(self.detail(), None, None)));
        match self {
            ApiError::Answered { body, .. } => {
                (status, [(header::CONTENT_TYPE, "application/json")], body).into_response()
            }
            ApiError::BadParameters(errors) | ApiError::Invalid(errors) => {
                (status, Json(Errors { errors })).into_response()
            }
            ApiError::InvalidItems { field, items } => {
                let items = items.into_iter().map(|(index, errors)| ItemErrors { index, errors }).collect::<Vec<_>>();
                (status, Json(Errors { errors: BTreeMap::from([(field, items)]) })).into_response()
            }
            ApiError::Gone { code, detail } | ApiError::Rejected { code, detail } => {
                (status, Json(detail_body(detail, Some(code), None))).into_response()
            }
            ApiError::PlanLimit(detail) => {
                (status, Json(detail_body(detail, Some("plan_limit"), None))).into_response()
            }
            ApiError::Unauthorized(_) => {
                // RFC 9110 has every 401 say how to do better.
                (status, [(header::WWW_AUTHENTICATE, "Bearer")], plain.1).into_response()
            }
            ApiError::TooManyRequests { retry_after_seconds } => {
                with_retry_after(plain.into_response(), retry_after_seconds)
            }
            ApiError::Unavailable { retry_after_seconds, cause } => {
                let mut response = with_retry_after(plain.into_response(), retry_after_seconds);
                response.extensions_mut().insert(Fault(cause));
                response
            }
            ApiError::Internal { fault } => {
                let mut response = plain.into_response();
                response.extensions_mut().insert(Fault(fault));
                response
            }
            _ => plain.into_response(),
        }
    }
}

fn with_retry_after(mut response: Response, seconds: u64) -> Response {
    // Zero would invite an immediate retry, which is what the answer asks not to do.
    response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds.max(1)));
    response
}

/// Answers a handler's panic; the request log adds the request's id.
pub fn answer_panic(panic: Box<dyn std::any::Any + Send>) -> Response {
    let said = panic
        .downcast_ref::<&'static str>()
        .map(|text| (*text).to_owned())
        .or_else(|| panic.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "a panic without a text".to_owned());
    ApiError::Internal { fault: format!("panic: {said}") }.into_response()
}

/// Answers a path that no route has.
pub async fn unknown_path() -> ApiError {
    ApiError::not_found()
}

/// Answers a method that the path does not take.
pub async fn unknown_method() -> ApiError {
    ApiError::MethodNotAllowed
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use http_body_util::BodyExt;
    use serde_json::{Value, json};

    use super::*;

    async fn parts(error: ApiError) -> (u16, Option<String>, Value) {
        let response = error.into_response();
        let status = response.status().as_u16();
        let retry = response.headers().get(header::RETRY_AFTER).map(|value| value.to_str().unwrap().to_owned());
        let body = response.into_body().collect().await.unwrap().to_bytes();
        (status, retry, serde_json::from_slice(&body).unwrap())
    }

    #[tokio::test]
    async fn every_error_has_its_status_and_envelope() {
        let mut fields = FieldErrors::of("email", "can't be blank");
        fields.add("name", "must be at least 2 characters");
        let rejected = ApiError::Rejected { code: "queue_full", detail: "The queue is full.".into() };
        let plain = |text: &str| json!({"errors": {"detail": text}});
        let table = [
            (ApiError::BadRequest("no".into()), 400, None, plain("no")),
            (ApiError::unauthorized(), 401, None, plain("Unauthorized")),
            (ApiError::Forbidden, 403, None, plain("Forbidden")),
            (
                ApiError::PlanLimit("full".into()),
                403,
                None,
                json!({"errors": {"detail": "full", "code": "plan_limit"}}),
            ),
            (ApiError::not_found(), 404, None, plain("Not found")),
            (ApiError::MethodNotAllowed, 405, None, plain("Method not allowed")),
            (ApiError::Timeout, 408, None, plain("The request body took too long")),
            (ApiError::TooLarge, 413, None, plain("The request body is too large")),
            (
                ApiError::Invalid(fields),
                422,
                None,
                json!({"errors": {"email": ["can't be blank"], "name": ["must be at least 2 characters"]}}),
            ),
            (rejected, 422, None, json!({"errors": {"detail": "The queue is full.", "code": "queue_full"}})),
            (ApiError::TooManyRequests { retry_after_seconds: 7 }, 429, Some("7"), plain("Too many requests")),
            (
                ApiError::Unavailable { retry_after_seconds: 0, cause: "db".into() },
                503,
                Some("1"),
                plain(UNAVAILABLE_DETAIL),
            ),
            (ApiError::internal("secret"), 500, None, plain(INTERNAL_DETAIL)),
        ];
        for (error, status, retry, body) in table {
            let name = format!("{error:?}");
            assert_eq!(parts(error).await, (status, retry.map(str::to_owned), body), "{name}");
        }
    }

    #[test]
    fn errors_of_the_queue_and_the_store_have_their_status() {
        let of = |error: ApiError| error.status().as_u16();
        assert_eq!(of(CallError::Rejected(Rejection::QueueFull).into()), 422);
        assert_eq!(of(CallError::Rejected(Rejection::PlanLimit).into()), 403);
        assert_eq!(of(CallError::NotFound.into()), 404);
        assert_eq!(of(CallError::StorageUnavailable { retry_after_seconds: 3 }.into()), 503);
        assert_eq!(of(CallError::Overloaded { retry_after_seconds: 3 }.into()), 503);
        assert_eq!(of(CallError::Failed.into()), 500);
        assert_eq!(of(StoreError::Fenced.into()), 503);
        assert_eq!(of(StoreError::Conflict { constraint: "x".into() }.into()), 500);
        let refused = |code: &str| StoreError::Refused { code: code.into(), message: String::new() };
        assert_eq!(of(refused("22021").into()), 422);
        assert_eq!(of(refused("42601").into()), 500);
        assert_eq!(of(PasswordError::Overloaded.into()), 503);
    }

    #[test]
    fn faults_ride_along_for_the_log_only() {
        let response = answer_panic(Box::new("it broke"));
        assert_eq!(response.extensions().get::<Fault>().unwrap().0, "panic: it broke");
    }
}
