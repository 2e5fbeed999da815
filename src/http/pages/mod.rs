//! Owns the few pages this server shows itself, where no app of somebody's own stands in front, and what holds for all of them:
//! they need nothing from elsewhere (no script, no picture, no font), and what they may do is what their forms do.

use axum::http::HeaderValue;
use axum::http::header::{CONTENT_SECURITY_POLICY, REFERRER_POLICY};
use axum::response::{Html, IntoResponse, Response};
use minijinja::value::Serde;
use minijinja::{Environment, UndefinedBehavior};
use serde::Serialize;

use super::error::ApiError;

pub mod appointment;
pub mod password_reset;

/// Styles of its own, forms to ourselves, nothing else, and in nobody's frame.
const POLICY: HeaderValue = HeaderValue::from_static(
    "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
);
/// The address holds a token.
const NO_REFERRER: HeaderValue = HeaderValue::from_static("no-referrer");

/// A page made of a template, whose `name` ends in `.html`, which turns escaping on.
fn page(name: &str, template: &str, filled: &impl Serialize) -> Result<Response, ApiError> {
    let mut environment = Environment::new();
    environment.set_undefined_behavior(UndefinedBehavior::Strict);
    let html = environment.render_named_str(name, template, Serde(filled)).map_err(ApiError::internal)?;
    let mut response = Html(html).into_response();
    response.headers_mut().insert(CONTENT_SECURITY_POLICY, POLICY);
    response.headers_mut().insert(REFERRER_POLICY, NO_REFERRER);
    Ok(response)
}
