//! Owns the fields of a body that hold several values: words, ids, objects, texts by name. Each has a bound on its number.

use serde_json::Value;
use utoipa::openapi::schema::{KnownFormat, Schema};
use uuid::Uuid;

use super::body::{Input, read_object};
use super::fields::Fields;
use super::{WORD_CHARS_MAX, describe, notes, text_fault};
use crate::domain::words::Word;
use crate::http::error::FieldErrors;

/// Most items of a list of known words, doubles included.
const LIST_MAX: usize = 100;

impl Fields {
    /// A list of short texts, sorted and without doubles; absent and null are empty.
    pub fn words(&mut self, field: &'static str, count_max: usize) -> Vec<String> {
        if let Some(notes) = &mut self.notes {
            let word = notes::text(true, WORD_CHARS_MAX).build();
            notes.add_schema(field, false, notes::list(Schema::Object(word), count_max));
        }
        let Some(items) = self.array(field, count_max) else { return Vec::new() };
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

    /// For partial updates: as `words`, `None` when absent; null is the empty list.
    pub fn patch_words(&mut self, field: &'static str, count_max: usize) -> Option<Vec<String>> {
        let words = self.words(field, count_max);
        self.object.contains_key(field).then_some(words)
    }

    /// A list of words of a fixed list, without doubles, in that list's order; `None` when absent, null is empty.
    pub fn patch_known_words<W: Word + PartialEq>(&mut self, field: &'static str) -> Option<Vec<W>> {
        if let Some(notes) = &mut self.notes {
            let word = notes::word::<W>(true).build();
            notes.add_schema(field, false, notes::list(Schema::Object(word), LIST_MAX));
        }
        let present = self.object.contains_key(field);
        let items = self.array(field, LIST_MAX)?;
        let known = |item: &Value| item.as_str().is_some_and(|text| W::WORDS.contains(&text));
        if !items.iter().all(known) {
            self.fault(field, "is invalid");
            return None;
        }
        let given = |word: &&&'static str| items.iter().any(|item| item.as_str() == Some(**word));
        present.then(|| W::WORDS.iter().filter(given).filter_map(|word| W::read(word)).collect())
    }

    /// As `patch_known_words`, and there must be one.
    pub fn required_known_words<W: Word + PartialEq>(&mut self, field: &'static str) -> Vec<W> {
        if let Some(notes) = &mut self.notes {
            let word = notes::word::<W>(true).build();
            notes.add_schema(field, true, notes::list(Schema::Object(word), LIST_MAX));
        }
        let faults_before = self.errors.clone();
        let words = self.patch_known_words(field).unwrap_or_default();
        if words.is_empty() && self.errors == faults_before {
            self.fault(field, "can't be blank");
        }
        words
    }

    /// A list of ids, without doubles, in the order given; `None` when absent, null is the empty list.
    pub fn patch_ids<T: From<Uuid>>(&mut self, field: &'static str, count_max: usize) -> Option<Vec<T>> {
        if let Some(notes) = &mut self.notes {
            let id = notes::formatted(true, KnownFormat::Uuid).build();
            notes.add_schema(field, false, notes::list(Schema::Object(id), count_max));
        }
        let present = self.object.contains_key(field);
        let items = self.array(field, count_max)?;
        let mut ids: Vec<Uuid> = Vec::with_capacity(items.len());
        for item in &items {
            match item.as_str().and_then(|text| Uuid::parse_str(text).ok()) {
                Some(id) if ids.contains(&id) => {}
                Some(id) => ids.push(id),
                None => {
                    self.fault(field, "is invalid");
                    return None;
                }
            }
        }
        present.then(|| ids.into_iter().map(T::from).collect())
    }

    /// As `patch_ids`, and at least one must be there.
    pub fn required_ids<T: From<Uuid>>(&mut self, field: &'static str, count_max: usize) -> Vec<T> {
        if let Some(notes) = &mut self.notes {
            let id = notes::formatted(true, KnownFormat::Uuid).build();
            notes.add_schema(field, true, notes::filled_list(Schema::Object(id), count_max));
        }
        let faults_before = self.errors.clone();
        let ids = self.patch_ids(field, count_max).unwrap_or_default();
        if ids.is_empty() && self.errors == faults_before {
            self.fault(field, "can't be blank");
        }
        ids
    }

    /// As `items`, and at least one must be there.
    pub fn required_items<T: Input>(&mut self, field: &'static str, count_max: usize) -> Vec<Result<T, FieldErrors>> {
        if let Some(notes) = &mut self.notes {
            notes.add_schema(field, true, notes::filled_list(describe::fields_schema::<T>(), count_max));
        }
        let faults_before = self.errors.clone();
        let items = self.items(field, count_max);
        if items.is_empty() && self.errors == faults_before {
            self.fault(field, "can't be blank");
        }
        items
    }

    /// A list of objects, each read by `T` and with its own faults; absent and null are empty.
    pub fn items<T: Input>(&mut self, field: &'static str, count_max: usize) -> Vec<Result<T, FieldErrors>> {
        self.read_items(field, true, count_max)
    }

    /// For partial updates: as `items`, `None` when absent; null is the empty list.
    pub fn patch_items<T: Input>(
        &mut self,
        field: &'static str,
        count_max: usize,
    ) -> Option<Vec<Result<T, FieldErrors>>> {
        let items = self.read_items(field, false, count_max);
        self.object.contains_key(field).then_some(items)
    }

    fn read_items<T: Input>(
        &mut self,
        field: &'static str,
        required: bool,
        count_max: usize,
    ) -> Vec<Result<T, FieldErrors>> {
        if let Some(notes) = &mut self.notes {
            notes.add_schema(field, required, notes::list(describe::fields_schema::<T>(), count_max));
        }
        let items = self.array(field, count_max).unwrap_or_default();
        let read_item = |item| match item {
            Value::Object(object) => read_object(object),
            _ => Err(FieldErrors::of("detail", "must be an object")),
        };
        items.into_iter().map(read_item).collect()
    }

    /// An object of short texts (numbers and booleans are taken as their text), in the order of their names; `None` when
    /// absent, null is the empty object.
    pub fn patch_texts(
        &mut self,
        field: &'static str,
        count_max: usize,
        chars_max: usize,
    ) -> Option<Vec<(String, String)>> {
        self.note(field, false, || notes::texts(count_max, chars_max));
        let value = self.object.get(field)?.clone();
        let entries = match value {
            Value::Null => return Some(Vec::new()),
            Value::Object(entries) if entries.len() <= count_max => entries,
            Value::Object(_) => {
                self.fault(field, format!("should have at most {count_max} item(s)"));
                return None;
            }
            _ => {
                self.fault(field, "is invalid");
                return None;
            }
        };
        let mut texts = Vec::with_capacity(entries.len());
        for (name, value) in entries {
            let text = match value {
                Value::String(text) => text,
                Value::Number(number) => number.to_string(),
                Value::Bool(value) => value.to_string(),
                _ => {
                    self.fault(field, "is invalid");
                    return None;
                }
            };
            if let Some(fault) = text_fault(&name, WORD_CHARS_MAX).or_else(|| text_fault(&text, chars_max)) {
                self.fault(field, fault);
                return None;
            }
            texts.push((name, text));
        }
        texts.sort_unstable();
        Some(texts)
    }

    fn array(&mut self, field: &'static str, count_max: usize) -> Option<Vec<Value>> {
        match self.present(field) {
            None => Some(Vec::new()),
            Some(Value::Array(items)) if items.len() <= count_max => Some(items),
            Some(Value::Array(_)) => {
                self.fault(field, format!("should have at most {count_max} item(s)"));
                None
            }
            Some(_) => {
                self.fault(field, "is invalid");
                None
            }
        }
    }
}
