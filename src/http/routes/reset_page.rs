//! Owns the page behind the link of a mail that lets somebody choose a new password. What choosing does is `password_reset`'s.
//! Opening it changes nothing, because programs that check mails open every link in them.

use axum::Router;
use axum::extract::{Form, Query, State};
use axum::http::HeaderMap;
use axum::http::header::ACCEPT_LANGUAGE;
use axum::response::Response;
use axum::routing::get;
use serde::Deserialize;

use super::auth::TOKEN_CHARS_MAX;
use super::password_reset::{ResetRequest, choose};
use crate::auth::passwords::fault_of_new;
use crate::domain::locale::Locale;
use crate::http::error::ApiError;
use crate::http::logins::TagOf;
use crate::http::pages::password_reset::{Told, show};
use crate::http::state::AppState;

/// `/reset-password`.
pub fn routes() -> Router<AppState> {
    Router::new().route("/reset-password", get(open).post(send))
}

#[derive(Deserialize)]
struct Link {
    #[serde(default)]
    token: String,
}

#[derive(Deserialize)]
struct Choice {
    token: String,
    password: String,
}

/// The language that the browser asks for first.
fn language(headers: &HeaderMap) -> Locale {
    let asked = headers.get(ACCEPT_LANGUAGE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    Locale::closest(asked.split([',', ';']).next().unwrap_or_default())
}

async fn open(Query(Link { token }): Query<Link>, headers: HeaderMap) -> Result<Response, ApiError> {
    let told = if token.is_empty() { Told::LinkGone } else { Told::Choose };
    show(language(&headers), told, &token)
}

async fn send(
    State(state): State<AppState>,
    tag: TagOf,
    headers: HeaderMap,
    Form(Choice { token, password }): Form<Choice>,
) -> Result<Response, ApiError> {
    let told = if fault_of_new(&password).is_some() {
        Told::Unfit
    } else if token.len() > TOKEN_CHARS_MAX || token.contains('\0') {
        Told::LinkGone
    } else {
        match choose(&state, &tag, ResetRequest { token: token.clone(), password }).await {
            Ok(()) => Told::Done,
            Err(ApiError::Invalid(_)) => Told::LinkGone,
            Err(ApiError::TooManyRequests { .. } | ApiError::Unavailable { .. }) => Told::Later,
            Err(error) => return Err(error),
        }
    };
    show(language(&headers), told, &token)
}
