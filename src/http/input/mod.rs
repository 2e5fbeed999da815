//! Owns the reading of requests: bodies whose faults are collected field by field, query and path parameters. It knows
//! no resource; each route says which fields it takes.
//!
//! What cannot be read at all is 400; a body's fields that are wrong are 422, all of them at once; fields nobody asks
//! for are ignored. Texts are trimmed; one with a NUL, which Postgres cannot store, is refused.
//!
//! Every reader also describes itself: run over nothing it notes what it would take, which becomes the API's description.
//!
//! - `body`: JSON bodies as a whole
//! - `fields`, `lists`, `formats`: the fields of a body
//! - `params`: query and path parameters, pages
//! - `dates`, `ranges`: days of a company's calendar, ranges of them
//! - `notes`, `describe`: what readers say of themselves

mod body;
mod dates;
mod describe;
mod fields;
mod formats;
mod lists;
mod notes;
mod params;
mod ranges;

pub use body::{Body, Input, parse, whole_body};
pub use dates::DayOrTime;
pub use describe::body_schema;
pub(crate) use describe::described_bodies;
pub use fields::Fields;
pub use params::{Ids, PAGE_MAX, Params, Query, QueryInput};
pub use ranges::{DateRange, Span, day_of};

use super::error::Text;
use crate::domain::clock::Timestamp;

/// Most characters of a name of a person, department or link's customer.
pub const NAME_CHARS_MAX: usize = 200;
/// Most characters of an email address (RFC 5321's path limit).
pub const EMAIL_CHARS_MAX: usize = 254;
/// Most characters of a telephone number with its punctuation.
pub const PHONE_CHARS_MAX: usize = 40;
/// Most characters of a free text: a description, a reason, a comment.
pub const TEXT_CHARS_MAX: usize = 2_000;
/// Most characters of a word: a slug, a skill.
pub const WORD_CHARS_MAX: usize = 100;

fn text_fault(text: &str, chars_max: usize) -> Option<Text> {
    if text.contains('\0') {
        return Some("must not contain a NUL character".into());
    }
    // Bytes bound characters from above, so most texts are never counted.
    if text.len() > chars_max && text.chars().count() > chars_max {
        return Some(format!("should be at most {chars_max} character(s)").into());
    }
    None
}

/// Reads an ISO 8601 time with its offset.
fn time_of(text: &str) -> Option<Timestamp> {
    let time = chrono::DateTime::parse_from_rfc3339(text).ok()?.to_utc();
    is_storable(time).then(|| Timestamp::from(time))
}

/// Whether a date's year is one that Postgres and our microseconds can hold.
fn is_storable(date: impl chrono::Datelike) -> bool {
    (1970..=9999).contains(&date.year())
}
