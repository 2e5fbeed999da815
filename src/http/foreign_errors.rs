//! Owns the errors of the few routes that speak another product's format: Evolux's `{"meta": {"status", "message"}}` and
//! FastAPI's `{"detail": ...}`, which is Burki's. What went wrong and its status are `error`'s to say; here it is only put
//! into another shape.

use axum::Json;
use axum::http::header::{CONTENT_LENGTH, CONTENT_TYPE, WWW_AUTHENTICATE};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use utoipa::ToSchema;

use super::error::ApiError;
use crate::store::StoreError;

/// Rides on an answer whose body is in another product's shape: the request's id is then in the header alone.
#[derive(Clone, Copy, Debug)]
pub struct Worded;

/// The same error with another body.
fn reworded(error: ApiError, body: impl FnOnce(StatusCode, String) -> Response) -> Response {
    let (status, detail) = (error.status(), error.detail().into_owned());
    let (mut parts, _) = error.into_response().into_parts();
    // `Retry-After` and what the log is told stay.
    parts.headers.remove(CONTENT_TYPE);
    parts.headers.remove(CONTENT_LENGTH);
    parts.extensions.insert(Worded);
    let mut response = body(status, detail);
    response.headers_mut().extend(parts.headers);
    response.extensions_mut().extend(parts.extensions);
    *response.status_mut() = status;
    response
}

/// What Evolux says of an answer, good or bad.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct EvoluxMeta {
    /// The status of HTTP once more.
    #[schema(example = 200)]
    pub status: u16,
    #[schema(example = "OK")]
    pub message: String,
}

/// Evolux's body of an error.
#[derive(Clone, Debug, Serialize)]
pub struct EvoluxRefusal {
    pub meta: EvoluxMeta,
}

/// An error as Evolux's clients read it. Its messages are sentences with a full stop, as in their "Missing token."
#[derive(Debug)]
pub struct EvoluxError(pub ApiError);

impl<E: Into<ApiError>> From<E> for EvoluxError {
    fn from(error: E) -> Self {
        Self(error.into())
    }
}

impl IntoResponse for EvoluxError {
    fn into_response(self) -> Response {
        reworded(self.0, |status, detail| {
            let message = if detail.ends_with('.') { detail } else { detail + "." };
            Json(EvoluxRefusal { meta: EvoluxMeta { status: status.as_u16(), message } }).into_response()
        })
    }
}

/// What Burki says to whoever is not let in, whether the key is missing or wrong.
pub const BURKI_UNAUTHORIZED: &str = "Authentication required. Provide a valid API key or login session.";

/// One parameter that FastAPI cannot take.
#[derive(Clone, Debug, Serialize)]
pub struct FastApiFault {
    /// Where it stands: `["query", "format"]`.
    pub loc: [&'static str; 2],
    /// A sentence for people.
    pub msg: &'static str,
    /// A word for programs.
    #[serde(rename = "type")]
    pub kind: &'static str,
}

/// FastAPI's body of an error; of wrong parameters it has a list of [`FastApiFault`] instead of a sentence.
#[derive(Clone, Debug, Serialize)]
pub struct FastApiRefusal<T> {
    pub detail: T,
}

/// An error as Burki's clients read it.
#[derive(Debug)]
pub enum BurkiError {
    /// 422: parameters that cannot be taken, all of them at once.
    Parameters(Vec<FastApiFault>),
    Other(ApiError),
}

impl From<ApiError> for BurkiError {
    fn from(error: ApiError) -> Self {
        Self::Other(error)
    }
}

impl From<StoreError> for BurkiError {
    fn from(error: StoreError) -> Self {
        Self::Other(error.into())
    }
}

impl IntoResponse for BurkiError {
    fn into_response(self) -> Response {
        match self {
            BurkiError::Parameters(detail) => {
                (StatusCode::UNPROCESSABLE_ENTITY, Json(FastApiRefusal { detail })).into_response()
            }
            BurkiError::Other(error) => reworded(error, |status, detail| {
                if status == StatusCode::UNAUTHORIZED {
                    let detail = BURKI_UNAUTHORIZED;
                    let scheme = [(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"))];
                    return (scheme, Json(FastApiRefusal { detail })).into_response();
                }
                Json(FastApiRefusal { detail }).into_response()
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use http_body_util::BodyExt;
    use serde_json::{Value, json};

    use super::super::error::{Fault, UNAVAILABLE_DETAIL};
    use super::*;

    async fn body(response: Response) -> Value {
        assert_eq!(response.headers()[CONTENT_TYPE], "application/json");
        serde_json::from_slice(&response.into_body().collect().await.unwrap().to_bytes()).unwrap()
    }

    #[tokio::test]
    async fn evoluxs_errors_repeat_their_status() {
        let response = EvoluxError::from(ApiError::BadRequest("Missing token".into())).into_response();
        assert_eq!(response.status(), 400);
        assert_eq!(body(response).await, json!({"meta": {"status": 400, "message": "Missing token."}}));
    }

    #[tokio::test]
    async fn what_the_log_and_the_client_need_besides_the_body_stays() {
        let error = || ApiError::Unavailable { retry_after_seconds: 7, cause: "db".into() };
        for response in [EvoluxError(error()).into_response(), BurkiError::Other(error()).into_response()] {
            assert_eq!(response.status(), 503);
            assert_eq!(response.headers()["retry-after"], "7");
            assert_eq!(response.extensions().get::<Fault>().unwrap().0, "db");
        }
        assert_eq!(body(BurkiError::Other(error()).into_response()).await, json!({"detail": UNAVAILABLE_DETAIL}));
    }

    #[tokio::test]
    async fn burkis_errors_are_fastapis() {
        let response = BurkiError::from(ApiError::unauthorized()).into_response();
        assert_eq!(
            (response.status().as_u16(), &response.headers()[WWW_AUTHENTICATE]),
            (401, &"Bearer".parse().unwrap())
        );
        assert_eq!(body(response).await, json!({"detail": BURKI_UNAUTHORIZED}));
        let fault = FastApiFault { loc: ["query", "format"], msg: "no", kind: "string_pattern_mismatch" };
        let response = BurkiError::Parameters(vec![fault]).into_response();
        assert_eq!(response.status(), 422);
        let expected =
            json!({"detail": [{"loc": ["query", "format"], "msg": "no", "type": "string_pattern_mismatch"}]});
        assert_eq!(body(response).await, expected);
    }
}
