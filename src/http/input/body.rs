//! Owns JSON bodies: reading one whole. Its fields are `fields`'.

use std::time::Duration;

use axum::body::Bytes;
use axum::extract::{FromRequest, Request};
use axum::http::StatusCode;
use serde_json::{Map, Value};

use super::fields::Fields;
use crate::http::error::{ApiError, FieldErrors};

/// How long a client may take to send a body. Slower ones would hold memory and a connection for nothing.
const BODY_SECONDS_MAX: u64 = 10;

/// A body that can be read from JSON fields.
pub trait Input: Sized {
    /// The key under which Voki wraps this resource's fields; flat bodies are taken too.
    const WRAPPER: Option<&'static str> = None;

    /// Takes the fields; faults are noted in `fields`, and then the returned value is not used.
    fn read(fields: &mut Fields) -> Self;
}

/// Extracts a JSON body. An absent body reads as `{}`, so that required fields are named one by one.
#[derive(Debug)]
pub struct Body<T>(pub T);

impl<S: Send + Sync, T: Input> FromRequest<S> for Body<T> {
    type Rejection = ApiError;

    async fn from_request(request: Request, _: &S) -> Result<Self, ApiError> {
        parse(&whole_body(request).await?).map(Body)
    }
}

/// Reads a request's body whole, within its bounds of size and time.
pub async fn whole_body(request: Request) -> Result<Bytes, ApiError> {
    tokio::time::timeout(Duration::from_secs(BODY_SECONDS_MAX), Bytes::from_request(request, &()))
        .await
        .map_err(|_| ApiError::Timeout)?
        .map_err(|rejection| match rejection.status() {
            StatusCode::PAYLOAD_TOO_LARGE => ApiError::TooLarge,
            _ => ApiError::BadRequest("The request body could not be read".into()),
        })
}

/// Reads `bytes` as a body.
pub fn parse<T: Input>(bytes: &[u8]) -> Result<T, ApiError> {
    let value = if bytes.iter().all(u8::is_ascii_whitespace) {
        Value::Object(Map::new())
    } else {
        // The parser's own words name the line and column and quote nothing of the body.
        serde_json::from_slice(bytes)
            .map_err(|error| ApiError::BadRequest(format!("Malformed JSON: {error}").into()))?
    };
    let Value::Object(mut object) = value else {
        return Err(ApiError::BadRequest("The request body must be a JSON object".into()));
    };
    if let Some(wrapper) = T::WRAPPER
        && let Some(Value::Object(_)) = object.get(wrapper)
        && let Some(Value::Object(inner)) = object.remove(wrapper)
    {
        object = inner;
    }
    read_object(object).map_err(ApiError::Invalid)
}

pub(super) fn read_object<T: Input>(object: Map<String, Value>) -> Result<T, FieldErrors> {
    let mut fields = Fields { object, errors: FieldErrors::default(), notes: None };
    let read = T::read(&mut fields);
    if fields.errors.is_empty() { Ok(read) } else { Err(fields.errors) }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

    use serde_json::json;
    use uuid::Uuid;

    use super::*;
    use crate::domain::clock::Timestamp;

    #[derive(Debug, PartialEq)]
    struct Everything {
        name: String,
        email: Option<String>,
        size: Option<Option<i64>>,
        rating: i64,
        id: Option<Uuid>,
        skills: Vec<String>,
        on: Option<bool>,
        at: Option<Timestamp>,
    }

    impl Input for Everything {
        const WRAPPER: Option<&'static str> = Some("thing");
        fn read(fields: &mut Fields) -> Self {
            Self {
                name: fields.required_text("name", 5),
                email: fields.email("email"),
                size: fields.patch_integer("size", 1..=10),
                rating: fields.required_integer("rating", 1..=5),
                id: fields.id("id"),
                skills: fields.words("skills", 2),
                on: fields.boolean("on"),
                at: fields.time("at"),
            }
        }
    }

    fn faults(body: Value) -> Value {
        match parse::<Everything>(body.to_string().as_bytes()) {
            Err(ApiError::Invalid(errors)) => serde_json::to_value(errors).unwrap(),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_good_body_is_read_wrapped_and_flat() {
        let fields = json!({"name": " Ana ", "email": "ana@example.com", "size": null, "rating": 5,
            "id": "00000000-0000-0000-0000-000000000001", "skills": ["pt", "en"], "on": true,
            "at": "2026-02-15T11:30:00-03:00", "unknown": [1]});
        let flat = parse::<Everything>(fields.to_string().as_bytes()).unwrap();
        let wrapped = parse::<Everything>(json!({"thing": fields}).to_string().as_bytes()).unwrap();
        assert_eq!(flat, wrapped);
        assert_eq!(flat.name, "Ana");
        assert_eq!(flat.size, Some(None));
        assert_eq!(flat.skills, ["en", "pt"]);
        assert_eq!(flat.at.unwrap().to_string(), "2026-02-15T14:30:00Z");
    }

    #[test]
    fn every_fault_is_told_at_once() {
        assert_eq!(faults(json!({})), json!({"name": ["can't be blank"], "rating": ["can't be blank"]}));
        assert_eq!(
            faults(json!({"name": "too long", "email": "nobody", "size": 11, "rating": 0, "id": 7,
                "skills": ["a", "b", "c"], "on": "yes", "at": "yesterday"})),
            json!({"name": ["should be at most 5 character(s)"], "email": ["has invalid format"],
                "size": ["must be less than or equal to 10"], "rating": ["must be greater than or equal to 1"],
                "id": ["is invalid"], "skills": ["should have at most 2 item(s)"], "on": ["is invalid"],
                "at": ["is invalid"]})
        );
        assert_eq!(
            faults(json!({"name": "a\u{0}b", "rating": 4.5})),
            json!({"name": ["must not contain a NUL character"], "rating": ["is invalid"]})
        );
        assert_eq!(
            faults(json!({"name": ["x"], "rating": null, "skills": [""]})),
            json!({"name": ["is invalid"], "rating": ["can't be blank"], "skills": ["is invalid"]})
        );
    }

    #[test]
    fn what_is_no_object_is_a_bad_request() {
        for body in ["{", "[]", "7", "null", "\"x\"", "\u{feff}{}"] {
            assert!(matches!(parse::<Everything>(body.as_bytes()), Err(ApiError::BadRequest(_))), "{body}");
        }
    }
}
