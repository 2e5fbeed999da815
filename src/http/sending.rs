//! Owns files on their way out over HTTP: ranges (RFC 9110, section 14) and the headers that have a browser save a file and
//! never run or show it. Who may have which file is the route's to say; who takes nothing of it is cut by `app`, as all are.

use std::ops::Range;

use axum::Json;
use axum::body::Body;
use axum::http::header::{
    ACCEPT_RANGES, CONTENT_DISPOSITION, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_SECURITY_POLICY, CONTENT_TYPE, ETAG,
    IF_RANGE, RANGE, X_CONTENT_TYPE_OPTIONS,
};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::{IntoResponse as _, Response};
use futures_util::TryStreamExt as _;

use super::error::{ApiError, detail_body};
use crate::files::{Key, Place, PlaceError, name};

/// For whatever opens a download as a page after all: it may load and run nothing.
const NOTHING_RUNS: HeaderValue = HeaderValue::from_static("sandbox; default-src 'none'");

/// What is said of a range that lies outside.
pub const OUTSIDE_DETAIL: &str = "The range lies outside the file";

/// A file to send.
#[derive(Debug)]
pub struct Outgoing<'a> {
    pub key: Key,
    pub name: &'a str,
    pub content_type: &'a str,
    /// Bytes.
    pub size: u64,
}

/// Answers with the file, or the part of it that was asked for.
pub async fn send(place: &Place, file: Outgoing<'_>, asked: &HeaderMap) -> Result<Response, ApiError> {
    // Files never change, so the id says which version it is.
    let etag = format!("\"{}\"", file.key.id);
    let (status, range) = match wanted(asked, &etag, file.size) {
        Wanted::Whole => (StatusCode::OK, 0..file.size),
        Wanted::Part(range) => (StatusCode::PARTIAL_CONTENT, range),
        Wanted::Nothing => {
            let body = detail_body(OUTSIDE_DETAIL.into(), None, None);
            let mut response = (StatusCode::RANGE_NOT_SATISFIABLE, Json(body)).into_response();
            response.headers_mut().insert(CONTENT_RANGE, header(&format!("bytes */{}", file.size))?);
            return Ok(response);
        }
    };
    let bytes = place.read(file.key, range.clone()).await?;
    let bytes = bytes.inspect_err(|error| tracing::warn!(%error, "a download broke off"));
    let mut response = Response::new(Body::from_stream(bytes));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, header(file.content_type)?);
    headers.insert(CONTENT_LENGTH, HeaderValue::from(range.end - range.start));
    headers.insert(CONTENT_DISPOSITION, header(&name::disposition(file.name))?);
    headers.insert(CONTENT_SECURITY_POLICY, NOTHING_RUNS);
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(ACCEPT_RANGES, HeaderValue::from_static("bytes"));
    headers.insert(ETAG, header(&etag)?);
    if status == StatusCode::PARTIAL_CONTENT {
        let content_range = format!("bytes {}-{}/{}", range.start, range.end - 1, file.size);
        headers.insert(CONTENT_RANGE, header(&content_range)?);
    }
    Ok(response)
}

fn header(text: &str) -> Result<HeaderValue, ApiError> {
    HeaderValue::from_str(text).map_err(ApiError::internal)
}

#[derive(Debug, PartialEq, Eq)]
enum Wanted {
    Whole,
    Part(Range<u64>),
    /// What was asked for lies outside.
    Nothing,
}

/// Which bytes are asked for. A range that cannot be read, one of other units, several at once, and one that is meant for
/// another version are all answered with the whole file, as the RFC allows or demands.
fn wanted(asked: &HeaderMap, etag: &str, size: u64) -> Wanted {
    let Some(ranges) = asked.get(RANGE).and_then(|range| range.to_str().ok()) else { return Wanted::Whole };
    if asked.get(IF_RANGE).is_some_and(|version| version.as_bytes() != etag.as_bytes()) {
        return Wanted::Whole;
    }
    let Some((unit, range)) = ranges.split_once('=') else { return Wanted::Whole };
    let Some((first, last)) = range.trim().split_once('-') else { return Wanted::Whole };
    // More digits than a u64 has are a number beyond any file.
    let number = |text: &str| match text {
        text if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) => {
            Some(text.parse().unwrap_or(u64::MAX))
        }
        _ => None,
    };
    let range = match (first, number(first), number(last)) {
        _ if !unit.trim().eq_ignore_ascii_case("bytes") => return Wanted::Whole,
        ("", None, Some(count)) => size.saturating_sub(count)..size,
        (_, Some(first), None) if last.is_empty() => first..size,
        (_, Some(first), Some(last)) if first <= last => first..size.min(last.saturating_add(1)),
        _ => return Wanted::Whole,
    };
    if range.start < range.end { Wanted::Part(range) } else { Wanted::Nothing }
}

impl From<PlaceError> for ApiError {
    fn from(error: PlaceError) -> Self {
        match error {
            PlaceError::Gone => ApiError::internal(error),
            PlaceError::Failed(_) => ApiError::unavailable(error),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;

    #[test]
    fn ranges_are_read_as_the_rfc_says() {
        let table = [
            ("bytes=0-0", Wanted::Part(0..1)),
            ("bytes=0-9", Wanted::Part(0..10)),
            ("bytes=2-5", Wanted::Part(2..6)),
            ("Bytes=2-", Wanted::Part(2..10)),
            ("bytes=-3", Wanted::Part(7..10)),
            ("bytes=-30", Wanted::Part(0..10)),
            ("bytes=5-99999999999999999999999", Wanted::Part(5..10)),
            ("bytes=10-", Wanted::Nothing),
            ("bytes=99999999999999999999999-", Wanted::Nothing),
            ("bytes=-0", Wanted::Nothing),
            ("bytes=5-2", Wanted::Whole),
            ("bytes=a-2", Wanted::Whole),
            ("bytes=+1-2", Wanted::Whole),
            ("bytes=-", Wanted::Whole),
            ("bytes=", Wanted::Whole),
            ("bytes=0-1,4-5", Wanted::Whole),
            ("lines=0-1", Wanted::Whole),
            ("0-1", Wanted::Whole),
        ];
        for (range, expected) in table {
            let mut asked = HeaderMap::new();
            asked.insert(RANGE, HeaderValue::from_static(range));
            assert_eq!(wanted(&asked, "\"a\"", 10), expected, "{range}");
        }
    }

    #[test]
    fn a_range_of_another_version_is_the_whole_file() {
        let mut asked = HeaderMap::new();
        asked.insert(RANGE, HeaderValue::from_static("bytes=2-5"));
        for (version, expected) in [
            ("\"a\"", Wanted::Part(2..6)),
            ("\"b\"", Wanted::Whole),
            ("W/\"a\"", Wanted::Whole),
            ("Sat, 29 Oct 1994 19:43:31 GMT", Wanted::Whole),
        ] {
            asked.insert(IF_RANGE, HeaderValue::from_str(version).unwrap());
            assert_eq!(wanted(&asked, "\"a\"", 10), expected, "{version}");
        }
    }
}
