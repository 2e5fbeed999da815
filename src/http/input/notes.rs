//! Owns what a reader of input says of itself: run over nothing, it notes each field it would take, and those notes become the
//! description of the API. So a field, its bounds and their description are written once, where the field is read.

use std::ops::RangeInclusive;

use utoipa::openapi::schema::{ArrayBuilder, KnownFormat, Schema, SchemaFormat, SchemaType, Type};
use utoipa::openapi::{ObjectBuilder, RefOr};

use crate::domain::words::Word;

/// One field or parameter.
#[derive(Clone)]
pub struct Note {
    pub name: &'static str,
    pub required: bool,
    pub schema: Schema,
}

/// The notes of one reader.
#[derive(Clone, Default)]
pub struct Notes(Vec<Note>);

impl Notes {
    /// Notes a field; the first note of a name stands, since readers are built of readers.
    pub fn add(&mut self, name: &'static str, required: bool, schema: ObjectBuilder) {
        self.add_schema(name, required, Schema::Object(schema.build()));
    }

    /// As `add`, for what is no plain value.
    pub fn add_schema(&mut self, name: &'static str, required: bool, schema: Schema) {
        if self.0.iter().all(|note| note.name != name) {
            self.0.push(Note { name, required, schema });
        }
    }

    /// In the order they were taken.
    pub fn into_inner(self) -> Vec<Note> {
        self.0
    }
}

/// Of a field that may be left out, null says the same.
fn of_type(kind: Type, required: bool) -> ObjectBuilder {
    let kind = if required { SchemaType::new(kind) } else { SchemaType::from_iter([kind, Type::Null]) };
    ObjectBuilder::new().schema_type(kind)
}

/// A text of at most `chars_max` characters.
pub fn text(required: bool, chars_max: usize) -> ObjectBuilder {
    let least = required.then_some(1);
    of_type(Type::String, required).min_length(least).max_length(Some(chars_max))
}

/// A text of a known format.
pub fn formatted(required: bool, format: KnownFormat) -> ObjectBuilder {
    of_type(Type::String, required).format(Some(SchemaFormat::KnownFormat(format)))
}

/// A whole number within `range`.
pub fn integer(required: bool, range: &RangeInclusive<i64>) -> ObjectBuilder {
    of_type(Type::Integer, required).minimum(Some(*range.start())).maximum(Some(*range.end()))
}

/// True or false.
pub fn boolean() -> ObjectBuilder {
    of_type(Type::Boolean, false)
}

/// One word of a list.
pub fn word<W: Word>(required: bool) -> ObjectBuilder {
    let words = W::WORDS.iter().map(|word| serde_json::Value::from(*word));
    let null = (!required).then_some(serde_json::Value::Null);
    of_type(Type::String, required).enum_values(Some(words.chain(null)))
}

/// A list of at most `count_max` such things.
pub fn list(item: Schema, count_max: usize) -> Schema {
    Schema::Array(ArrayBuilder::new().items(RefOr::T(item)).max_items(Some(count_max)).build())
}

/// A list of at least one and at most `count_max` such things.
pub fn filled_list(item: Schema, count_max: usize) -> Schema {
    Schema::Array(ArrayBuilder::new().items(RefOr::T(item)).min_items(Some(1)).max_items(Some(count_max)).build())
}

/// An object of any texts, at most `count_max` of them.
pub fn texts(count_max: usize, chars_max: usize) -> ObjectBuilder {
    let value = ObjectBuilder::new().schema_type(Type::String).max_length(Some(chars_max));
    of_type(Type::Object, false)
        .additional_properties(Some(Schema::Object(value.build())))
        .max_properties(Some(count_max))
}
