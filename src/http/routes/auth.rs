//! Owns logging in, staying logged in and logging out. What a login is stands in `logins`, its second factor in
//! `second_factor`, a forgotten password in `password_reset`.
//!
//! An unknown company, an unknown user, a wrong password and a deactivated user are answered alike and after the same
//! work, so that nobody learns which of them it was.

use axum::Json;
use axum::extract::State;
use axum::http::HeaderMap;
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::auth::Use;
use crate::domain::ids::SessionId;
use crate::http::caller::bearer;
use crate::http::envelope::Data;
use crate::http::error::ApiError;
use crate::http::input::{Body, EMAIL_CHARS_MAX, Fields, Input, WORD_CHARS_MAX, described_bodies};
use crate::http::logins::{Account, TagOf, TokenPair, refresh_hash};
use crate::http::proof::PASSWORD_CHARS_MAX;
use crate::http::state::AppState;
use crate::store::sessions::{self, Rotated};

/// Longest token that is read.
pub const TOKEN_CHARS_MAX: usize = 4_096;

/// The routes.
pub fn routes() -> OpenApiRouter<AppState> {
    OpenApiRouter::new().routes(routes!(login)).routes(routes!(refresh)).routes(routes!(logout))
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

described_bodies!(LoginRequest, RefreshRequest, LogoutRequest);

/// What a login with a right password answers when a second factor is to follow.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct SecondFactorAsked {
    /// Always true.
    pub mfa_required: bool,
    /// For ten minutes: to `POST /api/auth/mfa/verify`; when a factor is to be set up first, as the bearer of
    /// `POST /api/v1/users/me/mfa` and its `confirm`.
    pub mfa_token: String,
    /// True when the company asks for a second factor and this user has none yet.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub mfa_enrolment_required: bool,
}

/// What a login with a right password yields.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[serde(untagged)]
pub enum LoginOutcome {
    Tokens(TokenPair),
    SecondFactor(SecondFactorAsked),
}

/// The answer in both of Voki's shapes at once: its docs wrap it in `data`, its manual does not, so clients of either
/// find what they read.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct Twice<T> {
    pub data: T,
    #[serde(flatten)]
    pub bare: T,
}

impl<T: Clone> Twice<T> {
    /// Says `data` in both shapes.
    pub fn json(data: T) -> Json<Self> {
        Json(Self { bare: data.clone(), data })
    }
}

/// Log in
///
/// The answer stands in `data` and once more beside it, for clients of either of Voki's documents. Whoever has a second
/// factor gets an `mfa_token` instead of tokens; so does everybody whose company asks for one, then with
/// `mfa_enrolment_required` until he has set one up. After five wrong passwords or codes an account waits, 30 seconds at
/// first, then twice as long each time up to 15 minutes (429 with `Retry-After`); a login forgets them.
#[utoipa::path(post, path = "/api/auth/login", tag = "Authentication", request_body = LoginRequest,
    responses((status = 200, body = Twice<LoginOutcome>)))]
async fn login(
    State(state): State<AppState>,
    tag: TagOf,
    Body(request): Body<LoginRequest>,
) -> Result<Json<Twice<LoginOutcome>>, ApiError> {
    let email = request.email.to_lowercase();
    state.limits.check_account(tag.address(), &("login", &request.tenant, &email))?;
    let attempt = state.attempt(&request.tenant, &email)?;
    let account = Account::by_names(&state.store, &request.tenant, &email).await?;
    let stored = account.as_ref().map(|account| account.user.password_hash.clone());
    let matches = state.passwords.verify(request.password, stored).await?;
    let Some(account) = account.filter(|_| matches) else {
        attempt.failed();
        return Err(ApiError::Unauthorized("Invalid credentials".into()));
    };
    tag.0.set_tenant(account.company.id);
    if account.user.mfa_enabled || account.lacks_second_factor() {
        // The attempt is dropped uncounted: a right password is no failure, and forgets none before the code is right.
        let bearer = account.bearer(state.ids.next::<SessionId>(state.clock.now()));
        let mfa_token = state.tokens.issue_mfa(&bearer, &account.user.password_hash).map_err(ApiError::internal)?;
        return Ok(Twice::json(LoginOutcome::SecondFactor(SecondFactorAsked {
            mfa_required: true,
            mfa_token,
            mfa_enrolment_required: account.lacks_second_factor(),
        })));
    }
    let pair = state.log_in(&account).await?;
    attempt.succeeded();
    Ok(Twice::json(LoginOutcome::Tokens(pair)))
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

/// Get a new pair of tokens
///
/// A refresh token is good once. Used a second time it ends the whole login, with its sockets: two parties hold it. When
/// the company asks for a second factor and the user has none, he has to log in again.
#[utoipa::path(post, path = "/api/auth/refresh", tag = "Authentication", request_body = RefreshRequest,
    responses((status = 200, body = Twice<TokenPair>)))]
async fn refresh(
    State(state): State<AppState>,
    tag: TagOf,
    Body(request): Body<RefreshRequest>,
) -> Result<Json<Twice<TokenPair>>, ApiError> {
    let claims = state.tokens.verify(&request.refresh_token, Use::Refresh).map_err(|_| ApiError::unauthorized())?;
    let session = claims.sid.ok_or_else(ApiError::unauthorized)?;
    state.limits.check_account(tag.address(), &("refresh", session))?;
    let tenant = claims.tid;
    tag.0.set_tenant(tenant);
    let account = Account::find(&state.store, tenant, claims.user()).await?;
    let Some(account) = account.filter(|account| !account.lacks_second_factor()) else {
        // His sockets stay: a call that runs is finished on them.
        sessions::revoke_family(&state.store, tenant, session, state.clock.now()).await?;
        return Err(ApiError::unauthorized());
    };
    let now = state.clock.now();
    // The role is read anew, so a change made by whomever reaches everybody within one access token's life.
    let bearer = account.bearer(session);
    let (refresh_token, expires_at) =
        state.tokens.issue_refresh(&bearer, state.ids.uuid(now)).map_err(ApiError::internal)?;
    let (old, new) = (refresh_hash(&request.refresh_token), refresh_hash(&refresh_token));
    match sessions::rotate(&state.store, tenant, &old, &new, expires_at, now).await? {
        Rotated::Ok { .. } => Ok(Twice::json(state.pair(&bearer, refresh_token, &account.user)?)),
        Rotated::Reused { session, .. } => {
            tracing::warn!(%tenant, user = %bearer.user, "a refresh token was used twice; its login is ended");
            state.login_ended(tenant, session);
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
#[derive(Clone, Copy, Debug, Serialize, ToSchema)]
pub struct LoggedOut {
    /// Always true.
    pub logged_out: bool,
}

/// Log out
///
/// Ends the login of the bearer's access token or of the `refresh_token` in the body: its tokens and its sockets. Neither
/// of them: 401. A second time is fine.
#[utoipa::path(post, path = "/api/auth/logout", tag = "Authentication", security((), ("staff" = [])),
    request_body = LogoutRequest, responses((status = 200, body = Data<LoggedOut>)))]
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
    let (tenant, session) =
        claims.and_then(|claims| Some((claims.tid, claims.sid?))).ok_or_else(ApiError::unauthorized)?;
    state.limits.check_account(tag.address(), &("logout", session))?;
    tag.0.set_tenant(tenant);
    state.log_out(tenant, session).await?;
    Ok(Data::new(LoggedOut { logged_out: true }))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use serde_json::json;
    use uuid::Uuid;

    use super::*;
    use crate::domain::ids::UserId;
    use crate::domain::role::Role;
    use crate::http::input::parse;
    use crate::http::logins::LoggedInUser;

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
            serde_json::to_value(Twice::json(LoginOutcome::Tokens(pair)).0).unwrap(),
            json!({"data": {"access_token": "a", "refresh_token": "r", "user": user},
                "access_token": "a", "refresh_token": "r", "user": user})
        );
        let asked = SecondFactorAsked { mfa_required: true, mfa_token: "m".to_owned(), mfa_enrolment_required: false };
        assert_eq!(
            serde_json::to_value(Twice::json(LoginOutcome::SecondFactor(asked)).0).unwrap(),
            json!({"data": {"mfa_required": true, "mfa_token": "m"}, "mfa_required": true, "mfa_token": "m"})
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
