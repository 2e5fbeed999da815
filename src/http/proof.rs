//! Owns how somebody shows that it is he beyond his token: by a code of his second factor or by his password; and who may
//! set up a first factor. The routes say where it is asked.
//!
//! Every code and password taken here counts against the account's tries, as at a login: a stolen token must not become a
//! way to guess.

use axum::extract::{FromRef, FromRequestParts};
use axum::http::request::Parts;

use super::caller::{Callers, Staff, bearer, same_tenant};
use super::error::ApiError;
use super::input::{Fields, Input, described_bodies};
use super::logins::{Account, TagOf};
use super::state::AppState;
use crate::auth::second_factor::{self, Code};
use crate::auth::tokens::password_fingerprint;
use crate::auth::{Claims, Tokens, Use};
use crate::domain::ids::{TenantId, UserId};
use crate::store::Author;
use crate::store::second_factors::{self, SecondFactor};
use crate::store::users::User;

/// Longest code that is read: a recovery code with room for the ways people space one.
pub const CODE_CHARS_MAX: usize = 64;
/// Longest password that is read; hashing time grows with it. Longer than any that can be chosen.
pub const PASSWORD_CHARS_MAX: usize = 256;

/// The account of an `mfa_token`, if the password it followed is still his.
pub async fn account_of(state: &AppState, claims: &Claims) -> Result<Account, ApiError> {
    Account::find(&state.store, claims.tid, claims.user())
        .await?
        .filter(|account| claims.pwd == Some(password_fingerprint(&account.user.password_hash)))
        .ok_or_else(ApiError::unauthorized)
}

/// Whether `typed` is a code of the account's confirmed factor that was not taken before; from then on it was.
pub async fn take_code(state: &AppState, account: &Account, typed: &str) -> Result<bool, ApiError> {
    let (tenant, user) = (account.company.id, account.user.id);
    let Some(code) = Code::read(typed) else { return Ok(false) };
    let now = state.clock.now();
    // What is read is read before the work is opened, so that nobody holds one connection while he waits for another.
    let step = match &code {
        Code::Recovery(_) => None,
        Code::OneTime(code) => {
            let factor = second_factors::find(&state.store, tenant, user).await?;
            let secret = factor.and_then(|factor| opened(state, tenant, user, &factor));
            match secret.and_then(|secret| second_factor::step_of(&secret, code, now)) {
                Some(step) => Some(step),
                None => return Ok(false),
            }
        }
    };
    let mut work = state.store.work(tenant, now, None).await?;
    let taken = match (code, step) {
        (Code::OneTime(_), Some(step)) => second_factors::take_step(&mut work, user, step).await?,
        (Code::Recovery(code), _) => {
            let hash = second_factor::recovery_hash(tenant, user, &code);
            second_factors::take_recovery_code(&mut work, user, &hash).await?
        }
        (Code::OneTime(_), None) => false,
    };
    if taken {
        work.commit().await?;
    }
    Ok(taken)
}

/// What a sealed secret is sealed for: moved to another user's row, it opens no more.
pub fn seal_context(tenant: TenantId, user: UserId) -> String {
    format!("second factor of {tenant} {user}")
}

/// The secret of a factor; `None` when it cannot be read any more.
pub fn opened(state: &AppState, tenant: TenantId, user: UserId, factor: &SecondFactor) -> Option<Vec<u8>> {
    let secret = state.seal.open(&seal_context(tenant, user), &factor.secret);
    if secret.is_none() {
        // The server's secret was changed. Recovery codes still serve: they are hashed, not sealed.
        tracing::error!(%tenant, %user, "a second factor was sealed with another secret");
    }
    secret
}

/// How somebody who is logged in shows that it is still he: by his password or by a code. One of them is enough.
#[derive(Debug)]
pub struct Proof {
    pub password: Option<String>,
    /// Six digits, or a recovery code.
    pub code: Option<String>,
}

impl Input for Proof {
    fn read(fields: &mut Fields) -> Self {
        Self { password: fields.secret("password", PASSWORD_CHARS_MAX), code: fields.text("code", CODE_CHARS_MAX) }
    }
}

described_bodies!(Proof);

/// 422 unless the proof is right.
pub async fn prove(state: &AppState, account: &Account, proof: Proof) -> Result<(), ApiError> {
    let attempt = state.attempt(&account.company.slug, &account.user.email)?;
    let (field, right) = match (proof.password, proof.code) {
        (Some(password), _) => {
            let stored = Some(account.user.password_hash.clone());
            ("password", state.passwords.verify(password, stored).await?)
        }
        (None, Some(code)) => ("code", take_code(state, account, &code).await?),
        (None, None) => return Err(ApiError::field("code", "can't be blank")),
    };
    if right {
        // Not `succeeded`: half a login forgets no failures.
        return Ok(());
    }
    attempt.failed();
    Err(ApiError::field(field, "is invalid"))
}

/// 422 unless `typed` is the user's present password. Guessing here is guessing at a login, and locks the account alike.
pub async fn prove_password(state: &AppState, slug: &str, user: &User, typed: Option<String>) -> Result<(), ApiError> {
    let Some(typed) = typed else { return Err(ApiError::field("current_password", "can't be blank")) };
    let attempt = state.attempt(slug, &user.email)?;
    if state.passwords.verify(typed, Some(user.password_hash.clone())).await? {
        // Not `succeeded`: half a login forgets no failures.
        return Ok(());
    }
    attempt.failed();
    Err(wrong_password())
}

/// What is said of a present password that is not the present one.
pub fn wrong_password() -> ApiError {
    ApiError::field("current_password", "is invalid")
}

/// Extracts who may set up a factor: a user who is logged in, or one whose login waits for his first factor and who sends
/// its `mfa_token` as the bearer.
#[derive(Clone, Debug)]
pub struct Enrolling {
    pub tenant: TenantId,
    pub user: UserId,
    /// The claims of the `mfa_token`; absent of a user who is logged in.
    pub waits: Option<Claims>,
    pub author: Author,
}

impl<S> FromRequestParts<S> for Enrolling
where
    S: Send + Sync,
    Callers: FromRef<S>,
    Tokens: FromRef<S>,
{
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        let claims = bearer(&parts.headers).and_then(|token| Tokens::from_ref(state).verify(token, Use::Mfa).ok());
        let Some(claims) = claims else {
            let staff = Staff::from_request_parts(parts, state).await?;
            staff.require_login()?;
            return Ok(Self { tenant: staff.tenant, user: staff.user, waits: None, author: staff.author() });
        };
        same_tenant(&parts.headers, claims.tenant.as_deref().unwrap_or_default())?;
        let Ok(tag) = TagOf::from_request_parts(parts, state).await;
        tag.0.set_tenant(claims.tid);
        let author = Author { user: claims.user(), token: None, request_id: tag.0.request_id };
        Ok(Self { tenant: claims.tid, user: claims.user(), waits: Some(claims), author })
    }
}

impl Enrolling {
    /// His account. An `mfa_token` sets up a first factor and nothing else.
    pub async fn account(&self, state: &AppState) -> Result<Account, ApiError> {
        let account = match &self.waits {
            Some(claims) => account_of(state, claims).await?,
            None => account_of_user(state, self.tenant, self.user).await?,
        };
        if self.waits.is_some() && !account.lacks_second_factor() {
            return Err(ApiError::unauthorized());
        }
        Ok(account)
    }
}

/// The account of a user who is logged in.
pub async fn account_of_user(state: &AppState, tenant: TenantId, user: UserId) -> Result<Account, ApiError> {
    Account::find(&state.store, tenant, user).await?.ok_or_else(ApiError::unauthorized)
}
