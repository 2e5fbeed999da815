//! Owns query and path parameters: pages, sorting, words, and days of a company's calendar.

use std::collections::HashMap;
use std::str::FromStr;

use axum::extract::{FromRequestParts, Path, Query};
use axum::http::request::Parts;

use super::{WORD_CHARS_MAX, is_storable, text_fault, time_of};
use crate::domain::clock::Timestamp;
use crate::http::error::ApiError;
use crate::store::{PAGE_SIZE_MAX, Page, Sort, SortOrder};

/// Extracts the query string.
#[derive(Debug)]
pub struct Params(HashMap<String, String>);

impl<S: Send + Sync> FromRequestParts<S> for Params {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        Query::<HashMap<String, String>>::from_request_parts(parts, state)
            .await
            .map(|Query(params)| Self(params))
            .map_err(|_| ApiError::BadRequest("The query string could not be read".into()))
    }
}

/// Rows of a page when nobody says otherwise (Voki's lists; its tags have 50).
pub const PAGE_SIZE: u32 = 20;
/// The last page that can be asked for; further back an export serves better than an offset.
pub const PAGE_MAX: u32 = 1_000_000;

impl Params {
    /// The parameter as it came, blank ones as absent.
    pub fn text(&self, name: &'static str, chars_max: usize) -> Result<Option<&str>, ApiError> {
        match self.0.get(name).map(|text| text.trim()).filter(|text| !text.is_empty()) {
            Some(text) if text_fault(text, chars_max).is_some() => Err(wrong(name)),
            text => Ok(text),
        }
    }

    /// A parameter read by its type's own parser: an id, a number.
    pub fn parsed<T: FromStr>(&self, name: &'static str) -> Result<Option<T>, ApiError> {
        self.text(name, WORD_CHARS_MAX)?.map(|text| text.parse().map_err(|_| wrong(name))).transpose()
    }

    /// One word of a fixed list.
    pub fn word<T>(&self, name: &'static str, parse: impl FnOnce(&str) -> Option<T>) -> Result<Option<T>, ApiError> {
        self.text(name, WORD_CHARS_MAX)?.map(|text| parse(text).ok_or_else(|| wrong(name))).transpose()
    }

    /// `page` and `page_size`.
    pub fn page(&self) -> Result<Page, ApiError> {
        let within = |name, default: u32, max: u32| match self.parsed::<u32>(name)? {
            None => Ok(default),
            Some(number) if (1..=max).contains(&number) => Ok(number),
            Some(_) => Err(wrong(name)),
        };
        Ok(Page::new(within("page", 1, PAGE_MAX)?, within("page_size", PAGE_SIZE, PAGE_SIZE_MAX)?))
    }

    /// `sort_by` and `sort_order`; `field` reads a name of the list's whitelist.
    pub fn sort<F>(
        &self,
        field: impl FnOnce(&str) -> Option<F>,
        default: F,
        default_order: SortOrder,
    ) -> Result<Sort<F>, ApiError> {
        let order = self.word("sort_order", |word| match word {
            "asc" => Some(SortOrder::Asc),
            "desc" => Some(SortOrder::Desc),
            _ => None,
        })?;
        Ok(Sort::by(self.word("sort_by", field)?.unwrap_or(default), order.unwrap_or(default_order)))
    }

    /// A moment, or a whole day of the company's own calendar.
    pub fn day_or_time(&self, name: &'static str) -> Result<Option<DayOrTime>, ApiError> {
        self.word(name, |text| {
            text.parse().ok().filter(|day: &chrono::NaiveDate| is_storable(*day)).map(DayOrTime::Day).or_else(|| {
                // A `+` of the offset arrives as a blank when the client did not escape it.
                time_of(text).or_else(|| time_of(&text.replace(' ', "+"))).map(DayOrTime::Time)
            })
        })
    }
}

/// One end of a range of dates.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DayOrTime {
    Day(chrono::NaiveDate),
    Time(Timestamp),
}

impl DayOrTime {
    /// The first moment that belongs to it, in `zone`.
    pub fn start(self, zone: chrono_tz::Tz) -> Timestamp {
        match self {
            DayOrTime::Time(time) => time,
            DayOrTime::Day(day) => midnight(day, zone),
        }
    }

    /// The first moment after it, in `zone`; a moment given to the second includes that second.
    pub fn end(self, zone: chrono_tz::Tz) -> Timestamp {
        match self {
            DayOrTime::Time(time) => time.plus_seconds(1),
            DayOrTime::Day(day) => midnight(day.succ_opt().unwrap_or(day), zone),
        }
    }
}

/// The first moment of `day` in `zone`. Where clocks skip midnight, the day begins at the first minute they show.
fn midnight(day: chrono::NaiveDate, zone: chrono_tz::Tz) -> Timestamp {
    use chrono::TimeZone as _;
    // No zone skips more than three hours; quarters of an hour meet every known change.
    (0..=12)
        .filter_map(|quarter| day.and_hms_opt(quarter / 4, quarter % 4 * 15, 0))
        .find_map(|local| zone.from_local_datetime(&local).earliest())
        .map_or_else(|| Timestamp::from(day.and_time(chrono::NaiveTime::MIN).and_utc()), |at| at.to_utc().into())
}

fn wrong(name: &str) -> ApiError {
    ApiError::BadRequest(format!("The parameter {name} is invalid").into())
}

/// Extracts the ids of the path; one that is none is 400.
#[derive(Debug)]
pub struct Ids<T>(pub T);

impl<S: Send + Sync, T: serde::de::DeserializeOwned + Send> FromRequestParts<S> for Ids<T> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        Path::<T>::from_request_parts(parts, state)
            .await
            .map(|Path(ids)| Self(ids))
            .map_err(|_| ApiError::BadRequest("An id in the path is invalid".into()))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;

    #[test]
    fn query_parameters_have_defaults_and_bounds() {
        let params = |pairs: &[(&str, &str)]| {
            Params(pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect())
        };
        assert_eq!(params(&[]).page().unwrap(), Page::new(1, 20));
        assert_eq!(params(&[("page", "3"), ("page_size", "50")]).page().unwrap(), Page::new(3, 50));
        let sort =
            |pairs: &[(&str, &str)]| params(pairs).sort(|word| (word == "name").then_some(1), 0, SortOrder::Desc);
        assert_eq!(sort(&[]).unwrap(), Sort::by(0, SortOrder::Desc));
        assert_eq!(sort(&[("sort_by", "name"), ("sort_order", "asc")]).unwrap(), Sort::by(1, SortOrder::Asc));
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

    #[test]
    fn a_bare_date_is_the_companys_whole_day() {
        let zone = chrono_tz::America::Sao_Paulo;
        let day = DayOrTime::Day("2026-02-01".parse().unwrap());
        assert_eq!(day.start(zone).to_string(), "2026-02-01T03:00:00Z");
        assert_eq!(day.end(zone).to_string(), "2026-02-02T03:00:00Z");
        // In 2017 São Paulo's clocks skipped from 23:59 on 14 October to 01:00.
        let skipped = DayOrTime::Day("2017-10-15".parse().unwrap());
        assert_eq!(skipped.start(zone).to_string(), "2017-10-15T03:00:00Z");
    }
}
