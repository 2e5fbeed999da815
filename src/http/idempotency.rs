//! Owns `Idempotency-Key` at the edge: reading it, what makes two requests the same, and the answer given again. Where answers
//! are kept is the store's.

use std::sync::Arc;

use axum::Json;
use axum::body::Body;
use axum::extract::Request;
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderMap, HeaderName, Method, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use sha2::{Digest, Sha256};

use super::caller::Staff;
use super::envelope::{Created, Data};
use super::error::ApiError;
use super::input::whole_body;
use super::state::AppState;
use crate::store::{Work, idempotency};

/// The header.
pub static IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");
/// Longest key; a UUID has 36 characters.
pub const KEY_CHARS_MAX: usize = 255;

/// The key of a request, and what the request was.
#[derive(Clone, Debug)]
pub struct IdempotencyKey {
    pub key: Arc<str>,
    /// SHA-256 of method, path and body.
    pub fingerprint: [u8; 32],
}

/// Middleware: of a POST with a key and no file, takes the fingerprint and puts both where `Staff` finds them.
pub async fn read_key(request: Request, next: Next) -> Response {
    match fingerprinted(request).await {
        Ok(request) => next.run(request).await,
        Err(refused) => refused.into_response(),
    }
}

async fn fingerprinted(request: Request) -> Result<Request, ApiError> {
    // Files are streamed, and never a second time by themselves.
    if request.method() != Method::POST || is_form_with_file(request.headers()) {
        return Ok(request);
    }
    let Some(key) = key_of(request.headers())? else { return Ok(request) };
    let (parts, body) = request.into_parts();
    let bytes = whole_body(Request::from_parts(parts.clone(), body)).await?;
    let mut hash = Sha256::new();
    for part in [parts.method.as_str().as_bytes(), parts.uri.path().as_bytes(), &bytes] {
        hash.update(part.len().to_be_bytes());
        hash.update(part);
    }
    let mut request = Request::from_parts(parts, Body::from(bytes));
    request.extensions_mut().insert(IdempotencyKey { key, fingerprint: hash.finalize().into() });
    Ok(request)
}

/// Whether the body is a form as uploads take it. Whatever else a body calls itself, it is read as JSON: curl, for one, names
/// another type unless it is told.
fn is_form_with_file(headers: &HeaderMap) -> bool {
    let Some(kind) = headers.get(CONTENT_TYPE) else { return false };
    let essence = kind.as_bytes().split(|byte| *byte == b';').next().unwrap_or_default();
    essence.trim_ascii().eq_ignore_ascii_case(b"multipart/form-data")
}

fn key_of(headers: &HeaderMap) -> Result<Option<Arc<str>>, ApiError> {
    let Some(value) = headers.get(&IDEMPOTENCY_KEY) else { return Ok(None) };
    let key = value.to_str().unwrap_or_default().trim();
    if key.is_empty() || key.len() > KEY_CHARS_MAX {
        return Err(ApiError::BadRequest(
            format!("The Idempotency-Key must have 1 to {KEY_CHARS_MAX} visible characters").into(),
        ));
    }
    Ok(Some(Arc::from(key)))
}

impl AppState {
    /// Opens a change by `staff`.
    pub async fn work(&self, staff: &Staff) -> Result<Work, ApiError> {
        Ok(self.store.work(staff.tenant, self.clock.now(), Some(&staff.author())).await?)
    }

    /// Opens the making of something by `staff`. When the request's key was used before, its answer is the error: the same
    /// answer for the same request, 422 for another one.
    pub async fn creation(&self, staff: &Staff) -> Result<Work, ApiError> {
        let mut work = self.work(staff).await?;
        let Some(IdempotencyKey { key, fingerprint }) = &staff.key else { return Ok(work) };
        let Some(kept) = idempotency::take(&mut work, staff.user, key, fingerprint).await? else { return Ok(work) };
        if kept.fingerprint != fingerprint {
            let detail = "This Idempotency-Key was used for another request";
            return Err(ApiError::Rejected { code: "idempotency_key_reused", detail: detail.into() });
        }
        let body = self.seal.open(&context(staff, key), &kept.answer);
        let body = body.ok_or_else(|| ApiError::internal("a kept answer cannot be opened"))?;
        Err(ApiError::Answered { status: kept.status, body })
    }

    /// Commits what was made, with the answer under the request's key, and answers 201.
    pub async fn created<T: Serialize>(&self, work: Work, staff: &Staff, made: T) -> Result<Created<T>, ApiError> {
        self.keep_and_commit(work, staff, StatusCode::CREATED, &Data { data: &made }).await?;
        Ok(Created(made))
    }

    /// As `created`, for an answer of another shape and status.
    pub async fn answered<T: Serialize>(
        &self,
        work: Work,
        staff: &Staff,
        status: StatusCode,
        answer: T,
    ) -> Result<Response, ApiError> {
        self.keep_and_commit(work, staff, status, &answer).await?;
        Ok((status, Json(answer)).into_response())
    }

    async fn keep_and_commit(
        &self,
        mut work: Work,
        staff: &Staff,
        status: StatusCode,
        answer: &impl Serialize,
    ) -> Result<(), ApiError> {
        if let Some(IdempotencyKey { key, .. }) = &staff.key {
            let body = serde_json::to_vec(answer).map_err(ApiError::internal)?;
            let sealed = self.seal.seal(&context(staff, key), &body, &self.ids);
            idempotency::keep(&mut work, staff.user, key, status.as_u16(), &sealed).await?;
        }
        Ok(work.commit().await?)
    }
}

fn context(staff: &Staff, key: &str) -> String {
    format!("answer {} {} {key}", staff.tenant, staff.user)
}
