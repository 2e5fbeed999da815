//! Owns reports on their way out over HTTP: their headers, their bodies, and what is answered when there is none. What is in
//! them is `reports`'.

use axum::body::Body;
use axum::http::header::{CONTENT_DISPOSITION, CONTENT_TYPE};
use axum::http::{HeaderName, HeaderValue};
use axum::response::Response;

use super::error::ApiError;
use crate::reports::stream::ReportStream;
use crate::reports::{Format, RETRY_AFTER_SECONDS, ReportError};

/// Has a proxy in front of us pass the bytes on as they come (nginx's word for it).
const UNBUFFERED: HeaderName = HeaderName::from_static("x-accel-buffering");

/// 200 with a report as a file to save. It has no length; when it breaks off, so does the chunked body.
pub fn download(report: ReportStream, content_type: &'static str, name: &str) -> Result<Response, ApiError> {
    let mut response = Response::new(Body::from_stream(report));
    let disposition = HeaderValue::from_str(&format!("attachment; filename=\"{name}\"")).map_err(ApiError::internal)?;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    headers.insert(CONTENT_DISPOSITION, disposition);
    headers.insert(UNBUFFERED, HeaderValue::from_static("no"));
    Ok(response)
}

/// The content type of a table's file.
pub fn content_type(format: Format) -> &'static str {
    match format {
        Format::Csv => "text/csv; charset=utf-8",
        Format::Ndjson => "application/x-ndjson",
    }
}

impl From<ReportError> for ApiError {
    fn from(error: ReportError) -> Self {
        match error {
            ReportError::CompanyBusy => ApiError::TooManyRequests { retry_after_seconds: RETRY_AFTER_SECONDS },
            ReportError::Busy => {
                ApiError::Unavailable { retry_after_seconds: RETRY_AFTER_SECONDS, cause: error.to_string() }
            }
            ReportError::Store(error) => error.into(),
            other => ApiError::internal(other),
        }
    }
}
