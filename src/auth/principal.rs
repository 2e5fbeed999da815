//! Owns the principal: who a believed token stands for. It grants nothing; routes and channels compare it with what
//! they take.

use std::sync::Arc;

use super::tokens::{Claims, TokenError, Use};
use crate::domain::ids::{CallId, SessionId, TenantId, UserId};
use crate::domain::role::Role;

/// Whoever sends a request or holds a socket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Principal {
    /// A member of staff.
    User { tenant: TenantId, slug: Arc<str>, user: UserId, role: Role, session: SessionId },
    /// The customer of one call.
    Customer { tenant: TenantId, call: CallId },
}

impl Principal {
    /// The company.
    pub fn tenant(&self) -> TenantId {
        match self {
            Principal::User { tenant, .. } | Principal::Customer { tenant, .. } => *tenant,
        }
    }
}

impl TryFrom<Claims> for Principal {
    type Error = TokenError;

    /// Only access and call tokens stand for somebody; the others are exchanged for those.
    fn try_from(claims: Claims) -> Result<Self, TokenError> {
        match (claims.usage, &claims.tenant, claims.role, claims.sid) {
            (Use::Access, Some(slug), Some(role), Some(session)) => {
                Ok(Principal::User { tenant: claims.tid, slug: slug.clone(), user: claims.user(), role, session })
            }
            (Use::Call, ..) => Ok(Principal::Customer { tenant: claims.tid, call: claims.call() }),
            (Use::Access, ..) => Err(TokenError::Invalid),
            (Use::Refresh | Use::Mfa, ..) => Err(TokenError::WrongUse),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use uuid::Uuid;

    use super::super::tokens::{Bearer, Tokens};
    use super::*;
    use crate::domain::clock::{Clock, Timestamp};

    #[test]
    fn access_and_call_tokens_stand_for_somebody() {
        let clock = Clock::manual(Timestamp::from_micros(1_700_000_000_000_000));
        let tokens = Tokens::new(b"a secret of some length for tests", clock);
        let bearer = Bearer {
            tenant: TenantId(Uuid::from_u128(1)),
            slug: Arc::from("demo"),
            user: UserId(Uuid::from_u128(2)),
            role: Role::Attendant,
            session: SessionId(Uuid::from_u128(3)),
        };
        let of = |token: &str| Principal::try_from(tokens.read(token).unwrap());
        assert_eq!(
            of(&tokens.issue_access(&bearer).unwrap()),
            Ok(Principal::User {
                tenant: bearer.tenant,
                slug: bearer.slug.clone(),
                user: bearer.user,
                role: Role::Attendant,
                session: bearer.session
            })
        );
        let call = CallId(Uuid::from_u128(9));
        assert_eq!(
            of(&tokens.issue_call(bearer.tenant, call).unwrap()),
            Ok(Principal::Customer { tenant: bearer.tenant, call })
        );
        let (refresh, _) = tokens.issue_refresh(&bearer, Uuid::from_u128(4)).unwrap();
        assert_eq!(of(&refresh), Err(TokenError::WrongUse));
    }
}
