//! Owns logging in, staying logged in and logging out. Passwords, tokens and their storage are elsewhere.
//!
//! An unknown company, an unknown user, a wrong password and a deactivated user are answered alike and after the same
//! work, so that nobody learns which of them it was.

use std::net::IpAddr;

use axum::extract::State;
use axum::http::HeaderMap;
use axum::routing::post;
use axum::{Json, Router};
use serde::Serialize;

use crate::auth::tokens::Bearer;
use crate::auth::{Tokens, Use, sha256_hex};
use crate::domain::ids::{SessionId, TenantId, UserId};
use crate::domain::role::Role;
use crate::http::caller::bearer;
use crate::http::envelope::Data;
use crate::http::error::ApiError;
use crate::http::input::{Body, EMAIL_CHARS_MAX, Fields, Input, WORD_CHARS_MAX};
use crate::http::request_log::Tag;
use crate::http::state::AppState;
use crate::live::hub::Login;
use crate::store::sessions::Rotated;
use crate::store::users::User;
use crate::store::{sessions, tenants, users};

/// Longest password that is hashed; hashing time grows with it.
const PASSWORD_CHARS_MAX: usize = 256;
/// Longest token that is read.
const TOKEN_CHARS_MAX: usize = 4_096;

/// `/api/auth/*`.
pub fn routes() -> Router<AppState> {
    Router::new().route("/login", post(login)).route("/refresh", post(refresh)).route("/logout", post(logout))
}

/// Body of `POST /api/auth/login`.
#[derive(Debug)]
pub struct LoginRequest {
    pub email: String,
    pub password: String,
    /// The company's slug.
    pub tenant: String,
}

impl Input for LoginRequest {
    fn read(fields: &mut Fields) -> Self {
        Self {
            email: fields.required_text("email", EMAIL_CHARS_MAX),
            password: fields.required_secret("password", PASSWORD_CHARS_MAX),
            tenant: fields.required_text("tenant", WORD_CHARS_MAX),
        }
    }
}

/// A user as the answer to a login names him.
#[derive(Clone, Debug, Serialize)]
pub struct LoggedInUser {
    pub id: UserId,
    pub name: String,
    pub email: String,
    pub role: Role,
    pub avatar_url: Option<String>,
    pub mfa_enabled: bool,
}

impl From<User> for LoggedInUser {
    fn from(user: User) -> Self {
        Self {
            id: user.id,
            name: user.name,
            email: user.email,
            role: user.role,
            avatar_url: user.avatar_url,
            mfa_enabled: user.mfa_enabled,
        }
    }
}

/// What a login or a refresh yields.
#[derive(Clone, Debug, Serialize)]
pub struct TokenPair {
    /// For 15 minutes.
    pub access_token: String,
    /// For 7 days, once.
    pub refresh_token: String,
    pub user: LoggedInUser,
}

/// The answer in both of Voki's shapes at once: its docs wrap it in `data`, its manual does not, so clients of either
/// find what they read.
#[derive(Clone, Debug, Serialize)]
pub struct LoginResponse {
    pub data: TokenPair,
    #[serde(flatten)]
    pub bare: TokenPair,
}

impl From<TokenPair> for LoginResponse {
    fn from(pair: TokenPair) -> Self {
        Self { data: pair.clone(), bare: pair }
    }
}

fn refused() -> ApiError {
    ApiError::Unauthorized("Invalid credentials".into())
}

/// `POST /api/auth/login`
async fn login(
    State(state): State<AppState>,
    tag: TagOf,
    Body(request): Body<LoginRequest>,
) -> Result<Json<LoginResponse>, ApiError> {
    let email = request.email.to_lowercase();
    state.limits.check_account(tag.address(), &("login", &request.tenant, &email))?;
    let tenant = tenants::by_slug(&state.store, &request.tenant).await?;
    let user = match &tenant {
        Some(tenant) => users::by_email(&state.store, tenant.id, &email).await?,
        None => None,
    };
    let stored = user.as_ref().map(|user| user.password_hash.clone());
    let matches = state.passwords.verify(request.password, stored).await?;
    let (Some(tenant), Some(user), true) = (tenant, user.filter(|user| user.active), matches) else {
        return Err(refused());
    };
    tag.0.set_tenant(tenant.id);
    let now = state.clock.now();
    let bearer = Bearer {
        tenant: tenant.id,
        slug: tenant.slug.into(),
        user: user.id,
        role: user.role,
        session: state.ids.next::<SessionId>(now),
    };
    let (refresh_token, expires_at) =
        state.tokens.issue_refresh(&bearer, state.ids.uuid(now)).map_err(ApiError::internal)?;
    let hash = hash_of(&refresh_token);
    sessions::create(&state.store, tenant.id, user.id, bearer.session, &hash, expires_at, now).await?;
    Ok(Json(pair(&state.tokens, &bearer, refresh_token, user)?.into()))
}

/// Body of `POST /api/auth/refresh`.
#[derive(Debug)]
pub struct RefreshRequest {
    pub refresh_token: String,
}

impl Input for RefreshRequest {
    fn read(fields: &mut Fields) -> Self {
        Self { refresh_token: fields.required_text("refresh_token", TOKEN_CHARS_MAX) }
    }
}

/// `POST /api/auth/refresh`: a new pair for an unused refresh token. One that was used before ends its whole login, since
/// two parties hold it.
async fn refresh(
    State(state): State<AppState>,
    tag: TagOf,
    Body(request): Body<RefreshRequest>,
) -> Result<Json<LoginResponse>, ApiError> {
    let claims = state.tokens.verify(&request.refresh_token, Use::Refresh).map_err(|_| ApiError::unauthorized())?;
    state.limits.check_account(tag.address(), &("refresh", claims.sub))?;
    let (Some(slug), Some(session)) = (claims.tenant.clone(), claims.sid) else {
        return Err(ApiError::unauthorized());
    };
    let tenant = claims.tid;
    tag.0.set_tenant(tenant);
    let user = users::find(&state.store, tenant, claims.user()).await?;
    let Some(user) = user.filter(|user| user.active) else {
        end_login(&state, tenant, session).await?;
        return Err(ApiError::unauthorized());
    };
    let now = state.clock.now();
    // The role is read anew, so a change reaches everybody within one access token's life.
    let bearer = Bearer { tenant, slug, user: user.id, role: user.role, session };
    let (refresh_token, expires_at) =
        state.tokens.issue_refresh(&bearer, state.ids.uuid(now)).map_err(ApiError::internal)?;
    let (old, new) = (hash_of(&request.refresh_token), hash_of(&refresh_token));
    match sessions::rotate(&state.store, tenant, &old, &new, expires_at, now).await? {
        Rotated::Ok { .. } => Ok(Json(pair(&state.tokens, &bearer, refresh_token, user)?.into())),
        Rotated::Reused { session, .. } => {
            tracing::warn!(%tenant, user = %bearer.user, "a refresh token was used twice; its login is ended");
            state.hub.close_sockets(tenant, Login::Session(session));
            Err(ApiError::unauthorized())
        }
        Rotated::Unknown => Err(ApiError::unauthorized()),
    }
}

/// Body of `POST /api/auth/logout`; needed only without a bearer token.
#[derive(Debug)]
pub struct LogoutRequest {
    pub refresh_token: Option<String>,
}

impl Input for LogoutRequest {
    fn read(fields: &mut Fields) -> Self {
        Self { refresh_token: fields.text("refresh_token", TOKEN_CHARS_MAX) }
    }
}

/// What a logout answers.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct LoggedOut {
    pub logged_out: bool,
}

/// `POST /api/auth/logout`: ends the login of the bearer or refresh token and closes its sockets. Again is fine.
async fn logout(
    State(state): State<AppState>,
    tag: TagOf,
    headers: HeaderMap,
    Body(request): Body<LogoutRequest>,
) -> Result<Data<LoggedOut>, ApiError> {
    let by_bearer = bearer(&headers).and_then(|token| state.tokens.verify(token, Use::Access).ok());
    // A page that slept past its access token's life still logs out by its refresh token.
    let claims = by_bearer
        .or_else(|| request.refresh_token.as_deref().and_then(|token| state.tokens.verify(token, Use::Refresh).ok()));
    let (tenant, session, user) =
        claims.and_then(|claims| Some((claims.tid, claims.sid?, claims.sub))).ok_or_else(ApiError::unauthorized)?;
    state.limits.check_account(tag.address(), &("logout", user))?;
    tag.0.set_tenant(tenant);
    end_login(&state, tenant, session).await?;
    Ok(Data::new(LoggedOut { logged_out: true }))
}

async fn end_login(state: &AppState, tenant: TenantId, session: SessionId) -> Result<(), ApiError> {
    sessions::revoke_family(&state.store, tenant, session, state.clock.now()).await?;
    state.hub.close_sockets(tenant, Login::Session(session));
    Ok(())
}

fn pair(tokens: &Tokens, bearer: &Bearer, refresh_token: String, user: User) -> Result<TokenPair, ApiError> {
    let access_token = tokens.issue_access(bearer).map_err(ApiError::internal)?;
    Ok(TokenPair { access_token, refresh_token, user: user.into() })
}

/// The form in which a refresh token is stored.
fn hash_of(token: &str) -> String {
    sha256_hex(&[token.as_bytes()])
}

/// Extracts the request's tag.
struct TagOf(Tag);

impl TagOf {
    fn address(&self) -> IpAddr {
        self.0.address
    }
}

impl<S: Send + Sync> axum::extract::FromRequestParts<S> for TagOf {
    type Rejection = std::convert::Infallible;

    async fn from_request_parts(parts: &mut axum::http::request::Parts, _: &S) -> Result<Self, Self::Rejection> {
        Ok(Self(Tag::of(&parts.extensions)))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use serde_json::json;
    use uuid::Uuid;

    use super::*;
    use crate::http::input::parse;

    #[test]
    fn the_answer_serves_both_kinds_of_clients() {
        let user = LoggedInUser {
            id: UserId(Uuid::from_u128(1)),
            name: "Ana".to_owned(),
            email: "ana@example.com".to_owned(),
            role: Role::Manager,
            avatar_url: None,
            mfa_enabled: false,
        };
        let pair = TokenPair { access_token: "a".to_owned(), refresh_token: "r".to_owned(), user };
        let user = json!({"id": "00000000-0000-0000-0000-000000000001", "name": "Ana", "email": "ana@example.com",
            "role": "manager", "avatar_url": null, "mfa_enabled": false});
        assert_eq!(
            serde_json::to_value(LoginResponse::from(pair)).unwrap(),
            json!({"data": {"access_token": "a", "refresh_token": "r", "user": user},
                "access_token": "a", "refresh_token": "r", "user": user})
        );
    }

    #[test]
    fn missing_fields_are_named() {
        let Err(ApiError::Invalid(errors)) = parse::<LoginRequest>(b"{\"email\": \"ana@example.com\"}") else {
            unreachable!("a login without a password was read")
        };
        assert_eq!(
            serde_json::to_value(errors).unwrap(),
            json!({"password": ["can't be blank"], "tenant": ["can't be blank"]})
        );
    }
}
