//! Owns the fields of a body: one reader for each kind of value, with the faults it can have. Which fields a body has, its own
//! reader says.

use std::ops::RangeInclusive;

use serde_json::{Map, Value};
use utoipa::openapi::ObjectBuilder;
use utoipa::openapi::schema::{KnownFormat, SchemaFormat};
use uuid::Uuid;

use super::body::Input;
use super::notes::{self, Notes};
use super::{EMAIL_CHARS_MAX, text_fault, time_of};
use crate::domain::clock::Timestamp;
use crate::domain::words::Word;
use crate::http::error::{FieldErrors, Text};

/// The fields of one body, and what was found wrong with them. A reader takes all of its fields whatever their values are:
/// it also runs over nothing, to say which ones there are.
pub struct Fields {
    pub(super) object: Map<String, Value>,
    pub(super) errors: FieldErrors,
    /// Only while the API is described.
    pub(super) notes: Option<Notes>,
}

impl Fields {
    /// The fields that `T` takes.
    pub fn of<T: Input>() -> Vec<notes::Note> {
        let mut fields = Fields { object: Map::new(), errors: FieldErrors::default(), notes: Some(Notes::default()) };
        let _ = T::read(&mut fields);
        fields.notes.map(Notes::into_inner).unwrap_or_default()
    }

    pub(super) fn note(&mut self, field: &'static str, required: bool, schema: impl FnOnce() -> ObjectBuilder) {
        if let Some(notes) = &mut self.notes {
            notes.add(field, required, schema());
        }
    }

    /// Notes a fault that only the route can see.
    pub fn fault(&mut self, field: &'static str, fault: impl Into<Text>) {
        self.errors.add(field, fault);
    }

    /// Whether a field is at fault already.
    pub fn has_fault(&self, field: &str) -> bool {
        self.errors.has(field)
    }

    /// Whether nothing was found wrong so far.
    pub fn faultless(&self) -> bool {
        self.errors.is_empty()
    }

    /// A text of at most `chars_max` characters, trimmed; absent, null and blank are `None`.
    pub fn text(&mut self, field: &'static str, chars_max: usize) -> Option<String> {
        self.note(field, false, || notes::text(false, chars_max));
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

    /// As `text`, of at least so many characters.
    pub fn long_text(&mut self, field: &'static str, chars: RangeInclusive<usize>) -> Option<String> {
        self.note(field, false, || notes::text(false, *chars.end()).min_length(Some(*chars.start())));
        let text = self.text(field, *chars.end())?;
        if text.chars().count() < *chars.start() {
            self.fault(field, format!("should be at least {} character(s)", chars.start()));
        }
        Some(text)
    }

    /// As `text`, and it must be there. The empty text returned when it is not is never used.
    pub fn required_text(&mut self, field: &'static str, chars_max: usize) -> String {
        self.note(field, true, || notes::text(true, chars_max));
        let faults_before = self.errors.clone();
        let text = self.text(field, chars_max);
        if text.is_none() && self.errors == faults_before {
            self.fault(field, "can't be blank");
        }
        text.unwrap_or_default()
    }

    /// A text taken as it is, untrimmed: a password.
    pub fn required_secret(&mut self, field: &'static str, chars_max: usize) -> String {
        self.note(field, true, || {
            notes::text(true, chars_max).format(Some(SchemaFormat::KnownFormat(KnownFormat::Password)))
        });
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

    /// As `required_secret`, and it may be absent.
    pub fn secret(&mut self, field: &'static str, chars_max: usize) -> Option<String> {
        self.note(field, false, || {
            notes::text(false, chars_max).format(Some(SchemaFormat::KnownFormat(KnownFormat::Password)))
        });
        match self.present(field)? {
            Value::String(text) if text.is_empty() => {}
            Value::String(text) => match text_fault(&text, chars_max) {
                None => return Some(text),
                Some(fault) => self.fault(field, fault),
            },
            _ => self.fault(field, "is invalid"),
        }
        None
    }

    /// An email address: something before and after one `@`, no blanks. The mail itself is the real test.
    pub fn email(&mut self, field: &'static str) -> Option<String> {
        self.note(field, false, || notes::formatted(false, KnownFormat::Email).max_length(Some(EMAIL_CHARS_MAX)));
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
        self.note(field, true, || notes::integer(true, &range));
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
        self.note(field, false, || notes::integer(false, &range));
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
        self.note(field, false, || notes::integer(true, &range));
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
        self.note(field, false, || notes::text(false, chars_max));
        if !self.object.contains_key(field) {
            return None;
        }
        Some(self.text(field, chars_max))
    }

    /// As `patch_text` for a text that cannot be blank.
    pub fn patch_required_text(&mut self, field: &'static str, chars_max: usize) -> Option<String> {
        self.note(field, false, || notes::text(true, chars_max));
        self.object.contains_key(field).then(|| self.required_text(field, chars_max))
    }

    /// True or false; absent and null are `None`.
    pub fn boolean(&mut self, field: &'static str) -> Option<bool> {
        self.note(field, false, notes::boolean);
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
        self.note(field, true, || notes::formatted(true, KnownFormat::Uuid));
        let absent = matches!(self.object.get(field), None | Some(Value::Null));
        if absent {
            self.fault(field, "can't be blank");
        }
        self.id(field).unwrap_or_else(|| T::from(Uuid::nil()))
    }

    /// For partial updates: `None` absent (or at fault), `Some(None)` null, else the id.
    pub fn patch_id<T: From<Uuid>>(&mut self, field: &'static str) -> Option<Option<T>> {
        self.note(field, false, || notes::formatted(false, KnownFormat::Uuid));
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

    /// One word of a fixed list; absent and null are `None`.
    pub fn word<W: Word>(&mut self, field: &'static str) -> Option<W> {
        self.note(field, false, || notes::word::<W>(false));
        let value = self.present(field)?;
        let word = value.as_str().and_then(W::read);
        if word.is_none() {
            self.fault(field, "is invalid");
        }
        word
    }

    /// As `word`, and it must be there; what is returned when it is not is never used.
    pub fn required_word<W: Word>(&mut self, field: &'static str, unused: W) -> W {
        self.note(field, true, || notes::word::<W>(true));
        if self.present(field).is_none() {
            self.fault(field, "can't be blank");
        }
        self.word(field).unwrap_or(unused)
    }

    /// As `email`, and it must be there.
    pub fn required_email(&mut self, field: &'static str) -> String {
        self.note(field, true, || notes::formatted(true, KnownFormat::Email).max_length(Some(EMAIL_CHARS_MAX)));
        let missing = self.present(field).is_none_or(|value| value.as_str().is_some_and(|text| text.trim().is_empty()));
        if missing {
            self.fault(field, "can't be blank");
        }
        self.email(field).unwrap_or_default()
    }

    /// For partial updates: `None` absent (or at fault), `Some(None)` null or blank, else the address.
    pub fn patch_email(&mut self, field: &'static str) -> Option<Option<String>> {
        let email = self.email(field);
        self.object.contains_key(field).then_some(email)
    }

    /// A time in ISO 8601 with its offset; absent and null are `None`.
    pub fn time(&mut self, field: &'static str) -> Option<Timestamp> {
        self.note(field, false, || notes::formatted(false, KnownFormat::DateTime));
        let value = self.present(field)?;
        let time = value.as_str().and_then(time_of);
        if time.is_none() {
            self.fault(field, "is invalid");
        }
        time
    }

    /// A time in ISO 8601 that must be there.
    pub fn required_time(&mut self, field: &'static str) -> Timestamp {
        self.note(field, true, || notes::formatted(true, KnownFormat::DateTime));
        if self.present(field).is_none() {
            self.fault(field, "can't be blank");
        }
        self.time(field).unwrap_or_default()
    }

    /// For partial updates: `None` absent (or at fault), `Some(None)` null, else the time.
    pub fn patch_time(&mut self, field: &'static str) -> Option<Option<Timestamp>> {
        let time = self.time(field);
        self.object.contains_key(field).then_some(time)
    }

    pub(super) fn present(&mut self, field: &'static str) -> Option<Value> {
        self.object.get(field).filter(|value| !value.is_null()).cloned()
    }
}
