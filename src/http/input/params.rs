//! Owns query and path parameters: pages, sorting, words, ids, times.

use std::collections::HashMap;
use std::ops::RangeInclusive;

use axum::extract::{self, FromRequestParts, Path};
use axum::http::request::Parts;
use utoipa::openapi::ObjectBuilder;
use utoipa::openapi::schema::{KnownFormat, SchemaFormat, Type};
use uuid::Uuid;

use super::dates::DayOrTime;
use super::notes::{Note, Notes};
use super::{WORD_CHARS_MAX, text_fault, time_of};
use crate::domain::clock::Timestamp;
use crate::domain::words::Word;
use crate::http::error::ApiError;
use crate::store::{PAGE_SIZE_MAX, Page, Sort, SortOrder};

/// A query string that can be read from parameters.
pub trait QueryInput: Sized {
    /// Takes the parameters, all of them whatever their values are: it also runs over nothing, to say which ones there are.
    fn read(params: &mut Params) -> Result<Self, ApiError>;
}

/// Extracts and reads the query string.
#[derive(Debug)]
pub struct Query<T>(pub T);

impl<S: Send + Sync, T: QueryInput> FromRequestParts<S> for Query<T> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        T::read(&mut Params::from_request_parts(parts, state).await?).map(Query)
    }
}

/// The parameters of a query string.
pub struct Params {
    /// The values of each name, in order; where one is asked for, it is the last.
    values: HashMap<String, Vec<String>>,
    /// Only while the API is described.
    notes: Option<Notes>,
}

impl<S: Send + Sync> FromRequestParts<S> for Params {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        let extract::Query(pairs) = extract::Query::<Vec<(String, String)>>::from_request_parts(parts, state)
            .await
            .map_err(|_| ApiError::BadRequest("The query string could not be read".into()))?;
        let mut values: HashMap<String, Vec<String>> = HashMap::new();
        for (name, value) in pairs {
            values.entry(name).or_default().push(value);
        }
        Ok(Self { values, notes: None })
    }
}

/// Rows of a page when nobody says otherwise (Voki's lists).
pub const PAGE_SIZE: u32 = 20;
/// The last page that can be asked for; further back an export serves better than an offset.
pub const PAGE_MAX: u32 = 1_000_000;

impl Params {
    /// The parameters that `T` takes.
    pub fn of<T: QueryInput>() -> Vec<Note> {
        let mut params = Self { values: HashMap::new(), notes: Some(Notes::default()) };
        let _ = T::read(&mut params);
        params.notes.map(Notes::into_inner).unwrap_or_default()
    }

    fn note(&mut self, name: &'static str, required: bool, schema: impl FnOnce() -> ObjectBuilder) {
        if let Some(notes) = &mut self.notes {
            notes.add(name, required, schema());
        }
    }

    fn raw(&self, name: &'static str, chars_max: usize) -> Result<Option<&str>, ApiError> {
        match self
            .values
            .get(name)
            .and_then(|values| values.last())
            .map(|text| text.trim())
            .filter(|text| !text.is_empty())
        {
            Some(text) if text_fault(text, chars_max).is_some() => Err(wrong(name)),
            text => Ok(text),
        }
    }

    fn read<T>(&self, name: &'static str, parse: impl FnOnce(&str) -> Option<T>) -> Result<Option<T>, ApiError> {
        self.raw(name, WORD_CHARS_MAX)?.map(|text| parse(text).ok_or_else(|| wrong(name))).transpose()
    }

    /// A parameter that must be there; without it the request is 400, and while the API is described nothing is refused.
    fn demand<T>(&self, name: &'static str, value: Option<T>) -> Result<T, ApiError> {
        value.ok_or_else(|| ApiError::BadRequest(format!("The parameter {name} is missing").into()))
    }

    /// The parameter as it came, blank ones as absent.
    pub fn text(&mut self, name: &'static str, chars_max: usize) -> Result<Option<String>, ApiError> {
        self.note(name, false, || plain(Type::String).max_length(Some(chars_max)));
        Ok(self.raw(name, chars_max)?.map(str::to_owned))
    }

    /// An id.
    pub fn id<T: From<Uuid>>(&mut self, name: &'static str) -> Result<Option<T>, ApiError> {
        self.note(name, false, || formatted(KnownFormat::Uuid));
        Ok(self.read(name, |text| Uuid::parse_str(text).ok())?.map(T::from))
    }

    /// An id that must be there.
    pub fn required_id<T: From<Uuid>>(&mut self, name: &'static str) -> Result<T, ApiError> {
        self.note(name, true, || formatted(KnownFormat::Uuid));
        let id = self.id(name)?;
        if self.notes.is_some() { Ok(T::from(Uuid::nil())) } else { self.demand(name, id) }
    }

    /// A whole number within `range`.
    pub fn integer(&mut self, name: &'static str, range: RangeInclusive<i64>) -> Result<Option<i64>, ApiError> {
        self.note(name, false, || plain(Type::Integer).minimum(Some(*range.start())).maximum(Some(*range.end())));
        self.read(name, |text| text.parse().ok().filter(|number| range.contains(number)))
    }

    /// A whole number of at least 1; one above `max` is taken as `max`.
    pub fn at_most(&mut self, name: &'static str, default: u32, max: u32) -> Result<u32, ApiError> {
        self.note(name, false, || plain(Type::Integer).minimum(Some(1)).default(Some(default.into())));
        let number = self.read(name, |text| text.parse::<u64>().ok().filter(|number| *number >= 1))?;
        Ok(number.map_or(default, |number| u32::try_from(number).unwrap_or(max).min(max)))
    }

    /// Whole numbers, each in a parameter of the same name, at most `count_max` of them.
    pub fn integers(&mut self, name: &'static str, count_max: usize) -> Result<Vec<i64>, ApiError> {
        if let Some(notes) = &mut self.notes {
            notes.add_schema(name, false, super::notes::list(plain(Type::Integer).build().into(), count_max));
        }
        let given = self.values.get(name).into_iter().flatten().map(|text| text.trim()).filter(|text| !text.is_empty());
        let numbers = given.map(str::parse).collect::<Result<Vec<i64>, _>>().map_err(|_| wrong(name))?;
        if numbers.len() > count_max { Err(wrong(name)) } else { Ok(numbers) }
    }

    /// `true` or `false`.
    pub fn boolean(&mut self, name: &'static str) -> Result<Option<bool>, ApiError> {
        self.note(name, false, || plain(Type::Boolean));
        self.read(name, |text| text.parse().ok())
    }

    /// One word of a fixed list.
    pub fn word<W: Word>(&mut self, name: &'static str) -> Result<Option<W>, ApiError> {
        self.note(name, false, || plain(Type::String).enum_values(Some(W::WORDS.iter().copied())));
        self.read(name, W::read)
    }

    /// A time in ISO 8601.
    pub fn time(&mut self, name: &'static str) -> Result<Option<Timestamp>, ApiError> {
        self.note(name, false, || formatted(KnownFormat::DateTime));
        self.read(name, time_of_query)
    }

    /// A time in ISO 8601 that must be there.
    pub fn required_time(&mut self, name: &'static str) -> Result<Timestamp, ApiError> {
        self.note(name, true, || formatted(KnownFormat::DateTime));
        let time = self.read(name, time_of_query)?;
        if self.notes.is_some() { Ok(Timestamp::default()) } else { self.demand(name, time) }
    }

    /// `page` and `page_size`.
    pub fn page(&mut self) -> Result<Page, ApiError> {
        self.page_of(PAGE_SIZE)
    }

    /// As `page`, with another size when nobody says which.
    pub fn page_of(&mut self, default_size: u32) -> Result<Page, ApiError> {
        let mut within = |name, default: u32, max: u32| {
            self.note(name, false, || {
                let range = plain(Type::Integer).minimum(Some(1)).maximum(Some(max));
                range.default(Some(default.into()))
            });
            let number = self.read(name, |text| text.parse().ok().filter(|number| (1..=max).contains(number)))?;
            Ok::<u32, ApiError>(number.unwrap_or(default))
        };
        let page = within("page", 1, PAGE_MAX);
        let size = within("page_size", default_size, PAGE_SIZE_MAX);
        Ok(Page::new(page?, size?))
    }

    /// `sort_by` (a word of `F`) and `sort_order`.
    pub fn sort<F: Word>(&mut self, default: F, default_order: SortOrder) -> Result<Sort<F>, ApiError> {
        let field = self.word("sort_by");
        let order = self.word("sort_order");
        Ok(Sort::by(field?.unwrap_or(default), order?.unwrap_or(default_order)))
    }

    /// A whole day of the company's own calendar, or a moment; without an offset it is what the company's clocks show.
    pub fn day_or_time(&mut self, name: &'static str) -> Result<Option<DayOrTime>, ApiError> {
        self.note(name, false, || {
            day("A day of the company's calendar, or a time in ISO 8601; one without an offset is the company's own time.")
        });
        self.read(name, DayOrTime::read)
    }

    /// As `day_or_time`; a time without an offset is UTC.
    pub fn day_or_utc_time(&mut self, name: &'static str) -> Result<Option<DayOrTime>, ApiError> {
        self.note(name, false, || {
            day("A day of the company's calendar, or a time in ISO 8601; one without an offset is UTC.")
        });
        self.read(name, |text| DayOrTime::read(text).map(DayOrTime::in_utc))
    }
}

fn day(description: &str) -> ObjectBuilder {
    plain(Type::String).description(Some(description))
}

/// A `+` of the offset arrives as a blank when the client did not escape it.
fn time_of_query(text: &str) -> Option<Timestamp> {
    time_of(text).or_else(|| time_of(&text.replace(' ', "+")))
}

fn plain(kind: Type) -> ObjectBuilder {
    ObjectBuilder::new().schema_type(kind)
}

fn formatted(format: KnownFormat) -> ObjectBuilder {
    plain(Type::String).format(Some(SchemaFormat::KnownFormat(format)))
}

fn wrong(name: &str) -> ApiError {
    ApiError::BadRequest(format!("The parameter {name} is invalid").into())
}

/// Extracts the ids of the path; a text that is no id names nothing, so it is 404 like an unknown one.
#[derive(Debug)]
pub struct Ids<T>(pub T);

impl<S: Send + Sync, T: serde::de::DeserializeOwned + Send> FromRequestParts<S> for Ids<T> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        Path::<T>::from_request_parts(parts, state).await.map(|Path(ids)| Self(ids)).map_err(|_| ApiError::not_found())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;
    use crate::domain::call::Phase as Field;

    #[test]
    fn query_parameters_have_defaults_and_bounds() {
        let params = |pairs: &[(&str, &str)]| {
            let values = pairs.iter().map(|(name, value)| ((*name).to_owned(), vec![(*value).to_owned()])).collect();
            Params { values, notes: None }
        };
        assert_eq!(params(&[]).page().unwrap(), Page::new(1, 20));
        assert_eq!(params(&[("page", "3"), ("page_size", "50")]).page().unwrap(), Page::new(3, 50));
        let sort = |pairs: &[(&str, &str)]| params(pairs).sort(Field::Waiting, SortOrder::Desc);
        assert_eq!(sort(&[]).unwrap(), Sort::by(Field::Waiting, SortOrder::Desc));
        assert_eq!(
            sort(&[("sort_by", "active"), ("sort_order", "asc")]).unwrap(),
            Sort::by(Field::Active, SortOrder::Asc)
        );
        let bads = [
            ("page", "0"),
            ("page", "x"),
            ("page_size", "101"),
            ("page_size", "-1"),
            ("sort_order", "up"),
            ("sort_by", "x"),
        ];
        for bad in bads {
            let refused = params(&[bad]).page().err().or_else(|| sort(&[bad]).err());
            assert!(matches!(refused, Some(ApiError::BadRequest(_))), "{bad:?}");
        }
    }
}
