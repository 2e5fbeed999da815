//! Owns what a login is: the account it is for, the tokens it yields, and its end, which reaches its refresh tokens, access
//! tokens and sockets at once. How somebody proves who he is, the routes decide.

use std::hash::Hash;
use std::net::IpAddr;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use serde::Serialize;
use utoipa::ToSchema;

use super::error::ApiError;
use super::request_log::Tag;
use super::state::AppState;
use crate::auth::lockout::Attempt;
use crate::auth::sha256_hex;
use crate::auth::tokens::Bearer;
use crate::domain::ids::{SessionId, TenantId, UserId};
use crate::domain::role::Role;
use crate::live::hub::Login;
use crate::live::outbox::Close;
use crate::store::sessions::{self, EndedSession, NewSession};
use crate::store::tenants::Company;
use crate::store::users::User;
use crate::store::{Author, Store, accounts};

/// A user as the answer to a login names him.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct LoggedInUser {
    pub id: UserId,
    pub name: String,
    pub email: String,
    pub role: Role,
    pub avatar_url: Option<String>,
    pub mfa_enabled: bool,
}

impl From<&User> for LoggedInUser {
    fn from(user: &User) -> Self {
        Self {
            id: user.id,
            name: user.name.clone(),
            email: user.email.clone(),
            role: user.role,
            avatar_url: user.avatar_url.clone(),
            mfa_enabled: user.mfa_enabled,
        }
    }
}

/// What a login or a refresh yields.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct TokenPair {
    /// For 15 minutes: `Authorization: Bearer ...` on every request, and to open sockets with.
    pub access_token: String,
    /// For 7 days, once: yields the next pair.
    pub refresh_token: String,
    pub user: LoggedInUser,
}

/// Somebody who can log in, and his company.
#[derive(Clone, Debug)]
pub struct Account {
    pub company: Company,
    pub user: User,
}

impl Account {
    /// The account of these names, if he may log in.
    pub async fn by_names(store: &Store, slug: &str, email: &str) -> Result<Option<Self>, ApiError> {
        Ok(accounts::by_names(store, slug, email).await?.and_then(Self::who_may_log_in))
    }

    /// The account of a user who may log in.
    pub async fn find(store: &Store, tenant: TenantId, user: UserId) -> Result<Option<Self>, ApiError> {
        Ok(accounts::find(store, tenant, user).await?.and_then(Self::who_may_log_in))
    }

    fn who_may_log_in((company, user): (Company, User)) -> Option<Self> {
        user.active.then_some(Self { company, user })
    }

    /// Whether somebody who logs in here needs a second factor and has none.
    pub fn lacks_second_factor(&self) -> bool {
        self.company.mfa_required && !self.user.mfa_enabled
    }

    /// As tokens of `session` name him.
    pub fn bearer(&self, session: SessionId) -> Bearer {
        Bearer {
            tenant: self.company.id,
            slug: self.company.slug.as_str().into(),
            user: self.user.id,
            role: self.user.role,
            session,
        }
    }

    /// Who changes what he changes about himself while logging in.
    pub fn author(&self, tag: &TagOf) -> Author {
        Author { user: self.user.id, token: None, request_id: tag.0.request_id.clone() }
    }
}

/// By what an account's failures are counted: what was typed, so that unknown accounts are counted like others.
pub fn lock_key(slug: &str, email: &str) -> impl Hash + use<> {
    (slug.to_owned(), email.to_lowercase())
}

/// The form in which a refresh token is kept.
pub fn refresh_hash(token: &str) -> String {
    sha256_hex(&[token.as_bytes()])
}

impl AppState {
    /// Begins a try at an account; 429 while it is locked.
    pub fn attempt(&self, slug: &str, email: &str) -> Result<Attempt, ApiError> {
        let refused = |retry_after_seconds| ApiError::TooManyRequests { retry_after_seconds };
        self.lockouts.attempt(&lock_key(slug, email)).map_err(refused)
    }

    /// Begins a login of somebody who proved who he is. 401 when he was deactivated, or his password changed, meanwhile.
    pub async fn log_in(&self, account: &Account) -> Result<TokenPair, ApiError> {
        let now = self.clock.now();
        let bearer = account.bearer(self.ids.next(now));
        let (refresh_token, expires_at) =
            self.tokens.issue_refresh(&bearer, self.ids.uuid(now)).map_err(ApiError::internal)?;
        let hash = refresh_hash(&refresh_token);
        let new = NewSession {
            user: bearer.user,
            session: bearer.session,
            token_hash: &hash,
            expires_at,
            password_hash: Some(&account.user.password_hash),
        };
        if !sessions::create(&self.store, bearer.tenant, new, now).await? {
            return Err(ApiError::unauthorized());
        }
        self.pair(&bearer, refresh_token, &account.user)
    }

    /// The pair of a login that goes on.
    pub fn pair(&self, bearer: &Bearer, refresh_token: String, user: &User) -> Result<TokenPair, ApiError> {
        let access_token = self.tokens.issue_access(bearer).map_err(ApiError::internal)?;
        Ok(TokenPair { access_token, refresh_token, user: user.into() })
    }

    /// Ends one login: its refresh tokens, its access tokens, its sockets.
    pub async fn log_out(&self, tenant: TenantId, session: SessionId) -> Result<(), ApiError> {
        sessions::revoke_family(&self.store, tenant, session, self.clock.now()).await?;
        self.login_ended(tenant, session);
        Ok(())
    }

    /// Makes the end of one login, whose refresh tokens are revoked, effective at once.
    pub fn login_ended(&self, tenant: TenantId, session: SessionId) {
        self.revocations.end_now(session);
        self.hub.close_sockets(tenant, Login::Session(session), Close::LOGGED_OUT);
    }

    /// Makes the end of all of a user's logins (`sessions::revoke_user`) effective at once. Call it after the commit when
    /// he was deactivated or has another password.
    pub fn logins_ended(&self, tenant: TenantId, user: UserId, ended: &[EndedSession]) {
        for login in ended {
            self.revocations.end(login.session, login.issued_at);
        }
        self.callers.forget_user(user);
        self.hub.close_sockets(tenant, Login::User(user), Close::LOGGED_OUT);
    }

    /// As `logins_ended`, of all logins but one (`sessions::revoke_others`).
    pub fn other_logins_ended(&self, tenant: TenantId, ended: &[EndedSession]) {
        for login in ended {
            self.revocations.end(login.session, login.issued_at);
            self.hub.close_sockets(tenant, Login::Session(login.session), Close::LOGGED_OUT);
        }
    }

    /// Makes a user's new role effective at once, for tokens given out before, too; his sockets dial again. Call it after
    /// the commit.
    pub fn role_changed(&self, tenant: TenantId, user: UserId, role: Role) {
        self.revocations.change_role(user, role);
        self.callers.forget_user(user);
        self.hub.close_sockets(tenant, Login::User(user), Close::ROLE_CHANGED);
    }
}

/// Extracts the request's tag.
pub struct TagOf(pub Tag);

impl TagOf {
    /// The client's address, behind believed proxies.
    pub fn address(&self) -> IpAddr {
        self.0.address
    }
}

impl<S: Send + Sync> FromRequestParts<S> for TagOf {
    type Rejection = std::convert::Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Self::Rejection> {
        Ok(Self(Tag::of(&parts.extensions)))
    }
}
