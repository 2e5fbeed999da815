//! Owns JSON bodies: reading one, and its fields with everything that is wrong with them.

use std::ops::RangeInclusive;
use std::time::Duration;

use axum::body::Bytes;
use axum::extract::{FromRequest, Request};
use axum::http::StatusCode;
use serde_json::{Map, Value};
use uuid::Uuid;

use super::{EMAIL_CHARS_MAX, WORD_CHARS_MAX, text_fault, time_of};
use crate::domain::clock::Timestamp;
use crate::http::error::{ApiError, FieldErrors, Text};

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

    async fn from_request(request: Request, state: &S) -> Result<Self, ApiError> {
        let read = Bytes::from_request(request, state);
        let bytes = tokio::time::timeout(Duration::from_secs(BODY_SECONDS_MAX), read)
            .await
            .map_err(|_| ApiError::Timeout)?
            .map_err(|rejection| match rejection.status() {
                StatusCode::PAYLOAD_TOO_LARGE => ApiError::TooLarge,
                _ => ApiError::BadRequest("The request body could not be read".into()),
            })?;
        parse(&bytes).map(Body)
    }
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
    let mut fields = Fields { object, errors: FieldErrors::default() };
    let read = T::read(&mut fields);
    if fields.errors.is_empty() { Ok(read) } else { Err(ApiError::Invalid(fields.errors)) }
}

/// The fields of one body, and what was found wrong with them.
#[derive(Debug)]
pub struct Fields {
    object: Map<String, Value>,
    errors: FieldErrors,
}

impl Fields {
    /// Notes a fault that only the route can see.
    pub fn fault(&mut self, field: &'static str, fault: impl Into<Text>) {
        self.errors.add(field, fault);
    }

    /// A text of at most `chars_max` characters, trimmed; absent, null and blank are `None`.
    pub fn text(&mut self, field: &'static str, chars_max: usize) -> Option<String> {
        let value = self.present(field)?;
        let Value::String(text) = value else {
            self.fault(field, "is invalid");
            return None;
        };
        let text = text.trim();
        if let Some(fault) = text_fault(text, chars_max) {
            self.fault(field, fault);
            return None;
        }
        (!text.is_empty()).then(|| text.to_owned())
    }

    /// As `text`, and it must be there. The empty text returned when it is not is never used.
    pub fn required_text(&mut self, field: &'static str, chars_max: usize) -> String {
        let faults_before = self.errors.clone();
        let text = self.text(field, chars_max);
        if text.is_none() && self.errors == faults_before {
            self.fault(field, "can't be blank");
        }
        text.unwrap_or_default()
    }

    /// A text taken as it is, untrimmed: a password.
    pub fn required_secret(&mut self, field: &'static str, chars_max: usize) -> String {
        match self.present(field) {
            Some(Value::String(text)) if !text.is_empty() => match text_fault(&text, chars_max) {
                None => return text,
                Some(fault) => self.fault(field, fault),
            },
            None | Some(Value::String(_)) => self.fault(field, "can't be blank"),
            Some(_) => self.fault(field, "is invalid"),
        }
        String::new()
    }

    /// An email address: something before and after one `@`, no blanks. The mail itself is the real test.
    pub fn email(&mut self, field: &'static str) -> Option<String> {
        let email = self.text(field, EMAIL_CHARS_MAX)?;
        let well_formed = email.split_once('@').is_some_and(|(user, host)| {
            !user.is_empty() && !host.is_empty() && !host.contains('@') && !email.contains(char::is_whitespace)
        });
        if !well_formed {
            self.fault(field, "has invalid format");
            return None;
        }
        Some(email)
    }

    /// A whole number within `range`; absent and null are `None`.
    pub fn integer(&mut self, field: &'static str, range: RangeInclusive<i64>) -> Option<i64> {
        self.patch_integer(field, range).flatten()
    }

    /// A whole number within `range`, and it must be there.
    pub fn required_integer(&mut self, field: &'static str, range: RangeInclusive<i64>) -> i64 {
        match self.patch_integer(field, range.clone()) {
            Some(Some(number)) => number,
            Some(None) => {
                self.fault(field, "can't be blank");
                *range.start()
            }
            None => {
                if !self.object.contains_key(field) {
                    self.fault(field, "can't be blank");
                }
                *range.start()
            }
        }
    }

    /// For partial updates: `None` absent (or at fault), `Some(None)` null, else the number.
    pub fn patch_integer(&mut self, field: &'static str, range: RangeInclusive<i64>) -> Option<Option<i64>> {
        let value = self.object.get(field)?;
        if value.is_null() {
            return Some(None);
        }
        match value.as_i64() {
            Some(number) if number < *range.start() => {
                self.fault(field, format!("must be greater than or equal to {}", range.start()));
                None
            }
            Some(number) if number > *range.end() => {
                self.fault(field, format!("must be less than or equal to {}", range.end()));
                None
            }
            Some(number) => Some(Some(number)),
            None => {
                self.fault(field, "is invalid");
                None
            }
        }
    }

    /// As `patch_integer` for a number that cannot be null.
    pub fn patch_required_integer(&mut self, field: &'static str, range: RangeInclusive<i64>) -> Option<i64> {
        match self.patch_integer(field, range)? {
            Some(number) => Some(number),
            None => {
                self.fault(field, "can't be blank");
                None
            }
        }
    }

    /// For partial updates: `None` absent (or at fault), `Some(None)` null or blank, else the text.
    pub fn patch_text(&mut self, field: &'static str, chars_max: usize) -> Option<Option<String>> {
        if !self.object.contains_key(field) {
            return None;
        }
        Some(self.text(field, chars_max))
    }

    /// As `patch_text` for a text that cannot be blank.
    pub fn patch_required_text(&mut self, field: &'static str, chars_max: usize) -> Option<String> {
        self.object.contains_key(field).then(|| self.required_text(field, chars_max))
    }

    /// True or false; absent and null are `None`.
    pub fn boolean(&mut self, field: &'static str) -> Option<bool> {
        match self.present(field)? {
            Value::Bool(value) => Some(value),
            _ => {
                self.fault(field, "is invalid");
                None
            }
        }
    }

    /// An id; absent and null are `None`.
    pub fn id<T: From<Uuid>>(&mut self, field: &'static str) -> Option<T> {
        self.patch_id(field).flatten()
    }

    /// An id that must be there; the nil id returned when it is not is never used.
    pub fn required_id<T: From<Uuid>>(&mut self, field: &'static str) -> T {
        let absent = matches!(self.object.get(field), None | Some(Value::Null));
        if absent {
            self.fault(field, "can't be blank");
        }
        self.id(field).unwrap_or_else(|| T::from(Uuid::nil()))
    }

    /// For partial updates: `None` absent (or at fault), `Some(None)` null, else the id.
    pub fn patch_id<T: From<Uuid>>(&mut self, field: &'static str) -> Option<Option<T>> {
        let value = self.object.get(field)?;
        if value.is_null() {
            return Some(None);
        }
        match value.as_str().and_then(|text| Uuid::parse_str(text).ok()) {
            Some(id) => Some(Some(T::from(id))),
            None => {
                self.fault(field, "is invalid");
                None
            }
        }
    }

    /// One word of a fixed list, read by `parse`; absent and null are `None`.
    pub fn word<T>(&mut self, field: &'static str, parse: impl FnOnce(&str) -> Option<T>) -> Option<T> {
        let value = self.present(field)?;
        let word = value.as_str().and_then(parse);
        if word.is_none() {
            self.fault(field, "is invalid");
        }
        word
    }

    /// A time in ISO 8601 with its offset; absent and null are `None`.
    pub fn time(&mut self, field: &'static str) -> Option<Timestamp> {
        let value = self.present(field)?;
        let time = value.as_str().and_then(time_of);
        if time.is_none() {
            self.fault(field, "is invalid");
        }
        time
    }

    /// A list of short texts, sorted and without doubles; absent and null are empty.
    pub fn words(&mut self, field: &'static str, count_max: usize) -> Vec<String> {
        let Some(value) = self.present(field) else { return Vec::new() };
        let Value::Array(items) = value else {
            self.fault(field, "is invalid");
            return Vec::new();
        };
        if items.len() > count_max {
            self.fault(field, format!("should have at most {count_max} item(s)"));
            return Vec::new();
        }
        let mut words = Vec::with_capacity(items.len());
        for item in &items {
            match item.as_str().map(str::trim) {
                Some(text) if !text.is_empty() && text_fault(text, WORD_CHARS_MAX).is_none() => {
                    words.push(text.to_owned());
                }
                _ => {
                    self.fault(field, "is invalid");
                    return Vec::new();
                }
            }
        }
        words.sort_unstable();
        words.dedup();
        words
    }

    fn present(&mut self, field: &'static str) -> Option<Value> {
        self.object.get(field).filter(|value| !value.is_null()).cloned()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

    use serde_json::json;

    use super::*;

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
