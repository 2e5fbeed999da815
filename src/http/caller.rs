//! Owns who sends a request: extractors that read and check the token before a route runs. What a caller may see of a
//! resource is the route's business.
//!
//! Staff send an access token of a login or an API token; both are looked at as of now: a login that ended, a role that
//! changed, a token that was revoked take effect with the next request.

use std::ops::Deref;
use std::sync::Arc;

use axum::extract::{FromRef, FromRequestParts};
use axum::http::header::AUTHORIZATION;
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName};
use uuid::Uuid;

use super::error::ApiError;
use super::idempotency::IdempotencyKey;
use super::request_log::Tag;
use super::token_memory::ApiTokens;
use crate::auth::{Principal, Revocations, Tokens, Use, api_token};
use crate::domain::ids::{CallId, SessionId, TenantId, UserId};
use crate::domain::role::Role;
use crate::store::Author;

static TENANT: HeaderName = HeaderName::from_static("x-tenant");
/// Where Evolux's clients send their token.
pub static TOKEN: HeaderName = HeaderName::from_static("token");

/// What it takes to tell who sends a request. Cheap to clone.
#[derive(Clone)]
pub struct Callers {
    tokens: Tokens,
    revocations: Revocations,
    /// None where no database is: in tests of single parts.
    api_tokens: Option<ApiTokens>,
}

impl Callers {
    /// Those whom `tokens` name and `revocations` do not exclude, and holders of `api_tokens`.
    pub fn new(tokens: Tokens, revocations: Revocations, api_tokens: Option<ApiTokens>) -> Self {
        Self { tokens, revocations, api_tokens }
    }

    /// An API token was revoked. Call it after the commit.
    pub fn forget_token(&self, id: Uuid) {
        if let Some(api_tokens) = &self.api_tokens {
            api_tokens.forget(id);
        }
    }

    /// A user was deactivated or has another role. Call it after the commit.
    pub fn forget_user(&self, user: UserId) {
        if let Some(api_tokens) = &self.api_tokens {
            api_tokens.forget_user(user);
        }
    }

    /// Whether an API token that was believed still is, in a role of at least `least`: for what goes on longer than a request. While
    /// that cannot be found out, it is.
    pub async fn still_reaches(&self, token: &str, least: Role) -> bool {
        match self.staff(token).await {
            Ok(staff) => staff.role >= least,
            Err(error) => matches!(error, ApiError::Unavailable { .. }),
        }
    }

    /// Whom `token` stands for now.
    async fn staff(&self, token: &str) -> Result<Staff, ApiError> {
        match &self.api_tokens {
            Some(api_tokens) if api_token::is_one(token) => {
                let holder = api_tokens.holder(token).await?.ok_or_else(ApiError::unauthorized)?;
                Ok(Staff {
                    tenant: holder.tenant,
                    slug: holder.slug.as_str().into(),
                    user: holder.user,
                    role: holder.role,
                    session: SessionId(holder.id),
                    token: Some(holder.id),
                    request_id: Arc::from(""),
                    key: None,
                })
            }
            _ => self.logged_in(token),
        }
    }

    fn logged_in(&self, token: &str) -> Result<Staff, ApiError> {
        let claims = self.tokens.verify(token, Use::Access).map_err(|_| ApiError::unauthorized())?;
        let role = self.revocations.role_now(&claims).ok_or_else(ApiError::unauthorized)?;
        match Principal::try_from(claims) {
            Ok(Principal::User { tenant, slug, user, session, .. }) => {
                Ok(Staff { tenant, slug, user, role, session, token: None, request_id: Arc::from(""), key: None })
            }
            _ => Err(ApiError::unauthorized()),
        }
    }

    /// Whom `token` stands for, as the sender of this request.
    async fn sender(&self, token: &str, parts: &Parts) -> Result<Staff, ApiError> {
        let mut staff = self.staff(token).await?;
        same_tenant(&parts.headers, &staff.slug)?;
        let tag = Tag::of(&parts.extensions);
        tag.set_tenant(staff.tenant);
        staff.request_id = tag.request_id;
        staff.key = parts.extensions.get().cloned();
        Ok(staff)
    }
}

/// 401 when an `X-Tenant` names another company than `slug`; the header may be absent.
pub fn same_tenant(headers: &HeaderMap, slug: &str) -> Result<(), ApiError> {
    match headers.get(&TENANT) {
        Some(named) if named.as_bytes() != slug.as_bytes() => Err(ApiError::unauthorized()),
        _ => Ok(()),
    }
}

/// Extracts a member of staff, of whatever role. 401 without a good access or API token, or with an `X-Tenant` that is not
/// the token's company; the header may be absent.
#[derive(Clone, Debug)]
pub struct Staff {
    pub tenant: TenantId,
    /// The company's slug.
    pub slug: Arc<str>,
    pub user: UserId,
    pub role: Role,
    /// The login; of an API token the token's own id.
    pub session: SessionId,
    /// The API token by which he acts, if it is not a login.
    pub token: Option<Uuid>,
    /// The request's id, for the audit trail.
    pub request_id: Arc<str>,
    /// The request's `Idempotency-Key`, if it is a POST that has one.
    pub key: Option<IdempotencyKey>,
}

impl Staff {
    /// 403 unless the role reaches.
    pub fn require(&self, least: Role) -> Result<(), ApiError> {
        if self.role >= least { Ok(()) } else { Err(ApiError::Forbidden) }
    }

    /// As the audit trail names him.
    pub fn author(&self) -> Author {
        Author { user: self.user, token: self.token, request_id: self.request_id.clone() }
    }

    /// 403 for API tokens: what concerns one's own login and tokens takes a login.
    pub fn require_login(&self) -> Result<(), ApiError> {
        if self.token.is_none() { Ok(()) } else { Err(ApiError::Forbidden) }
    }

    /// Whether every call of the company may be seen.
    pub fn supervises(&self) -> bool {
        self.role >= Role::Supervisor
    }
}

impl<S> FromRequestParts<S> for Staff
where
    S: Send + Sync,
    Callers: FromRef<S>,
{
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        let token = bearer(&parts.headers).ok_or_else(ApiError::unauthorized)?;
        Callers::from_ref(state).sender(token, parts).await
    }
}

/// What Evolux's clients hear who send no token.
pub const MISSING_TOKEN: &str = "Missing token";

/// As [`Staff`], for clients of Evolux, who send their token in a header called `token`; the usual one is fine, too. With
/// neither it is 400, as there.
#[derive(Clone, Debug)]
pub struct TokenHeader(pub Staff);

impl<S> FromRequestParts<S> for TokenHeader
where
    S: Send + Sync,
    Callers: FromRef<S>,
{
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        let named = parts.headers.get(&TOKEN).and_then(|token| token.to_str().ok()).map(str::trim);
        let named = named.filter(|token| !token.is_empty());
        let token = named.or_else(|| bearer(&parts.headers)).ok_or(ApiError::BadRequest(MISSING_TOKEN.into()))?;
        Callers::from_ref(state).sender(token, parts).await.map(Self)
    }
}

macro_rules! at_least {
    ($(#[$doc:meta])* $name:ident: $role:ident) => {
        $(#[$doc])*
        #[derive(Clone, Debug)]
        pub struct $name(pub Staff);

        impl Deref for $name {
            type Target = Staff;
            fn deref(&self) -> &Staff {
                &self.0
            }
        }

        impl<S> FromRequestParts<S> for $name
        where
            S: Send + Sync,
            Callers: FromRef<S>,
        {
            type Rejection = ApiError;

            async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
                let staff = Staff::from_request_parts(parts, state).await?;
                staff.require(Role::$role)?;
                Ok(Self(staff))
            }
        }
    };
}

at_least! {
    /// As [`Staff`], and 403 below a supervisor.
    Supervisor: Supervisor
}

at_least! {
    /// As [`Staff`], and 403 below a manager.
    Manager: Manager
}

/// Extracts the customer's call token where a public route takes one without asking for it. A token that is sent must be
/// good: 401 otherwise.
#[derive(Clone, Debug)]
pub struct MaybeCustomer(pub Option<Customer>);

/// The customer of one call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Customer {
    pub tenant: TenantId,
    pub call: CallId,
}

impl<S> FromRequestParts<S> for MaybeCustomer
where
    S: Send + Sync,
    Tokens: FromRef<S>,
{
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        if !parts.headers.contains_key(AUTHORIZATION) {
            return Ok(Self(None));
        }
        let token = bearer(&parts.headers).ok_or_else(ApiError::unauthorized)?;
        let claims = Tokens::from_ref(state).verify(token, Use::Call).map_err(|_| ApiError::unauthorized())?;
        Ok(Self(Some(Customer { tenant: claims.tid, call: claims.call() })))
    }
}

/// The token of `Authorization: Bearer ...`; the scheme's case does not matter.
pub fn bearer(headers: &HeaderMap) -> Option<&str> {
    let (scheme, token) = headers.get(AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim()).filter(|token| !token.is_empty())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use axum::http::Request;
    use uuid::Uuid;

    use super::*;
    use crate::auth::tokens::Bearer;
    use crate::domain::clock::{Clock, Timestamp};

    #[derive(Clone, FromRef)]
    struct State {
        tokens: Tokens,
        callers: Callers,
    }

    fn state() -> State {
        let clock = Clock::manual(Timestamp::from_micros(1_700_000_000_000_000));
        let tokens = Tokens::new(b"a secret of some length for tests", clock.clone());
        State { callers: Callers::new(tokens.clone(), Revocations::new(clock, 900), None), tokens }
    }

    fn parts(headers: &[(&str, &str)]) -> Parts {
        let mut request = Request::builder();
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        request.body(()).unwrap().into_parts().0
    }

    fn token(state: &State, role: Role) -> String {
        let bearer = Bearer {
            tenant: TenantId(Uuid::from_u128(1)),
            slug: Arc::from("demo"),
            user: UserId(Uuid::from_u128(2)),
            role,
            session: SessionId(Uuid::from_u128(3)),
        };
        format!("bearer {}", state.tokens.issue_access(&bearer).unwrap())
    }

    #[tokio::test]
    async fn the_tenant_header_may_be_absent_but_not_wrong() {
        let state = state();
        let token = token(&state, Role::Attendant);
        for (headers, good) in [
            (vec![("authorization", token.as_str())], true),
            (vec![("authorization", token.as_str()), ("x-tenant", "demo")], true),
            (vec![("authorization", token.as_str()), ("x-tenant", "other")], false),
            (vec![("authorization", "Bearer "), ("x-tenant", "demo")], false),
            (vec![("authorization", "Basic x")], false),
            (vec![], false),
        ] {
            let result = Staff::from_request_parts(&mut parts(&headers), &state).await;
            assert_eq!(result.is_ok(), good, "{headers:?}");
            if let Err(error) = result {
                assert_eq!(error.status(), 401);
            }
        }
    }

    #[tokio::test]
    async fn evoluxs_header_serves_as_the_usual_one_does() {
        let state = state();
        let token = token(&state, Role::Supervisor);
        let bare = token.trim_start_matches("bearer ");
        for (headers, good) in [
            (vec![("token", bare)], true),
            (vec![("authorization", token.as_str())], true),
            (vec![("token", "x"), ("authorization", token.as_str())], false),
            (vec![("token", bare), ("x-tenant", "other")], false),
            (vec![], false),
        ] {
            let result = TokenHeader::from_request_parts(&mut parts(&headers), &state).await;
            assert_eq!(result.is_ok(), good, "{headers:?}");
        }
    }

    #[tokio::test]
    async fn an_ended_login_and_a_changed_role_are_noticed_at_once() {
        let state = state();
        let token = token(&state, Role::Supervisor);
        let role = async || {
            let result = Staff::from_request_parts(&mut parts(&[("authorization", &token)]), &state).await;
            result.map(|staff| staff.role).ok()
        };
        assert_eq!(role().await, Some(Role::Supervisor));
        state.callers.revocations.change_role(UserId(Uuid::from_u128(2)), Role::Attendant);
        assert_eq!(role().await, Some(Role::Attendant));
        state.callers.revocations.end_now(SessionId(Uuid::from_u128(3)));
        assert_eq!(role().await, None);
    }

    #[tokio::test]
    async fn an_attendant_is_no_supervisor() {
        let state = state();
        for (role, status) in [(Role::Attendant, Some(403)), (Role::Supervisor, None), (Role::Owner, None)] {
            let token = token(&state, role);
            let result = Supervisor::from_request_parts(&mut parts(&[("authorization", &token)]), &state).await;
            assert_eq!(result.err().map(|error| error.status().as_u16()), status, "{role}");
        }
    }

    #[tokio::test]
    async fn a_customers_token_is_optional_but_must_be_good() {
        let state = state();
        let call = CallId(Uuid::from_u128(9));
        let good = format!("Bearer {}", state.tokens.issue_call(TenantId(Uuid::from_u128(1)), call).unwrap());
        let staff = token(&state, Role::Owner);
        let read = async |headers: &[(&str, &str)]| {
            MaybeCustomer::from_request_parts(&mut parts(headers), &state).await.map(|found| found.0.map(|c| c.call))
        };
        assert_eq!(read(&[]).await.unwrap(), None);
        assert_eq!(read(&[("authorization", &good)]).await.unwrap(), Some(call));
        assert!(read(&[("authorization", &staff)]).await.is_err());
    }
}
