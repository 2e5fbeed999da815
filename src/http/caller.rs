//! Owns who sends a request: extractors that read and check the token before a route runs. What a caller may see of a
//! resource is the route's business.

use std::ops::Deref;
use std::sync::Arc;

use axum::extract::{FromRef, FromRequestParts};
use axum::http::header::AUTHORIZATION;
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName};

use super::error::ApiError;
use super::idempotency::IdempotencyKey;
use super::request_log::Tag;
use crate::auth::{Principal, Tokens, Use};
use crate::domain::ids::{CallId, SessionId, TenantId, UserId};
use crate::domain::role::Role;
use crate::store::Author;

static TENANT: HeaderName = HeaderName::from_static("x-tenant");

/// Extracts a member of staff, of whatever role. 401 without a good access token, or with an `X-Tenant` that is not the
/// token's company; the header may be absent.
#[derive(Clone, Debug)]
pub struct Staff {
    pub tenant: TenantId,
    /// The company's slug.
    pub slug: Arc<str>,
    pub user: UserId,
    pub role: Role,
    /// The login.
    pub session: SessionId,
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
        Author { user: self.user, token: None, request_id: self.request_id.clone() }
    }

    /// Whether every call of the company may be seen.
    pub fn supervises(&self) -> bool {
        self.role >= Role::Supervisor
    }
}

impl<S> FromRequestParts<S> for Staff
where
    S: Send + Sync,
    Tokens: FromRef<S>,
{
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        let token = bearer(&parts.headers).ok_or_else(ApiError::unauthorized)?;
        let mut staff = staff_of(&Tokens::from_ref(state), token)?;
        if let Some(named) = parts.headers.get(&TENANT)
            && named.as_bytes() != staff.slug.as_bytes()
        {
            return Err(ApiError::unauthorized());
        }
        let tag = Tag::of(&parts.extensions);
        tag.set_tenant(staff.tenant);
        staff.request_id = tag.request_id;
        staff.key = parts.extensions.get().cloned();
        Ok(staff)
    }
}

fn staff_of(tokens: &Tokens, token: &str) -> Result<Staff, ApiError> {
    let claims = tokens.verify(token, Use::Access).map_err(|_| ApiError::unauthorized())?;
    match Principal::try_from(claims) {
        Ok(Principal::User { tenant, slug, user, role, session }) => {
            Ok(Staff { tenant, slug, user, role, session, request_id: Arc::from(""), key: None })
        }
        _ => Err(ApiError::unauthorized()),
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
            Tokens: FromRef<S>,
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
    }

    fn state() -> State {
        let clock = Clock::manual(Timestamp::from_micros(1_700_000_000_000_000));
        State { tokens: Tokens::new(b"a secret of some length for tests", clock) }
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
