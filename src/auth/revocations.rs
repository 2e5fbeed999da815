//! Owns which access tokens are believed no longer although they have not expired: those of logins that ended, and the
//! old role of whoever got another one. It is a memory; the record of logins is the store's, and fills it at the start.
//!
//! An entry lives as long as an access token can, so the memory stays small. Should it ever be full, every token given out
//! before that moment is refused, and clients fetch a new one with their refresh token.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use dashmap::DashMap;

use super::tokens::Claims;
use crate::domain::clock::{Clock, Timestamp};
use crate::domain::ids::{SessionId, UserId};
use crate::domain::role::Role;

/// Most logins and most changed roles remembered, at some 50 bytes each 5 MB. Within the quarter of an hour that an entry
/// lives, a company of a hundred thousand would have to log out.
const ENTRIES_MAX: usize = 100_000;
/// Between two looks for entries that are over, in seconds.
const SWEEP_SECONDS: i64 = 60;

/// The memory. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Revocations(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    clock: Clock,
    access_seconds: u64,
    /// Until when a token of the login could be good.
    sessions: DashMap<SessionId, Timestamp>,
    /// The present role of those whose tokens may say another one.
    roles: DashMap<UserId, (Role, Timestamp)>,
    /// In seconds since 1970: tokens given out before are refused. 0 unless the memory was ever full.
    none_before: AtomicI64,
    swept_at: AtomicI64,
}

impl Revocations {
    /// Empty; access tokens live for `access_seconds`.
    pub fn new(clock: Clock, access_seconds: u64) -> Self {
        let swept_at = AtomicI64::new(clock.now().micros());
        Self(Arc::new(Inner {
            clock,
            access_seconds,
            sessions: DashMap::new(),
            roles: DashMap::new(),
            none_before: AtomicI64::new(0),
            swept_at,
        }))
    }

    /// A login ended whose last access token was given out at `issued_at`.
    pub fn end(&self, session: SessionId, issued_at: Timestamp) {
        let (now, until) = (self.0.clock.now(), issued_at.plus_seconds(self.0.access_seconds));
        if until > now && self.has_room(self.0.sessions.len(), now) {
            self.0.sessions.insert(session, until);
        }
    }

    /// A login ended, whenever its last access token was given out.
    pub fn end_now(&self, session: SessionId) {
        self.end(session, self.0.clock.now());
    }

    /// A user has another role from now on, whatever his tokens say.
    pub fn change_role(&self, user: UserId, role: Role) {
        let now = self.0.clock.now();
        if self.has_room(self.0.roles.len(), now) {
            self.0.roles.insert(user, (role, now.plus_seconds(self.0.access_seconds)));
        }
    }

    /// The role in which a token's bearer is believed now; `None` when he is not.
    pub fn role_now(&self, claims: &Claims) -> Option<Role> {
        let session = claims.sid?;
        if claims.iat < self.0.none_before.load(Ordering::Relaxed) || self.0.sessions.contains_key(&session) {
            return None;
        }
        let changed = self.0.roles.get(&claims.user()).map(|entry| entry.0);
        changed.or(claims.role)
    }

    fn has_room(&self, entries: usize, now: Timestamp) -> bool {
        let swept_at = self.0.swept_at.load(Ordering::Relaxed);
        if entries >= ENTRIES_MAX || now.micros() - swept_at >= SWEEP_SECONDS * 1_000_000 {
            self.0.swept_at.store(now.micros(), Ordering::Relaxed);
            self.0.sessions.retain(|_, until| *until > now);
            self.0.roles.retain(|_, (_, until)| *until > now);
        }
        if self.0.sessions.len().max(self.0.roles.len()) < ENTRIES_MAX {
            return true;
        }
        tracing::error!("too many ended logins to remember; all access tokens have to be fetched anew");
        self.0.none_before.store(now.micros() / 1_000_000 + 1, Ordering::Relaxed);
        self.0.sessions.clear();
        self.0.roles.clear();
        false
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use std::time::Duration;

    use uuid::Uuid;

    use super::super::tokens::{Bearer, Tokens, Use};
    use super::*;
    use crate::domain::ids::TenantId;

    fn claims(clock: &Clock, session: u128) -> Claims {
        let tokens = Tokens::new(b"a secret of some length for tests", clock.clone());
        let bearer = Bearer {
            tenant: TenantId(Uuid::from_u128(1)),
            slug: Arc::from("demo"),
            user: UserId(Uuid::from_u128(2)),
            role: Role::Manager,
            session: SessionId(Uuid::from_u128(session)),
        };
        tokens.verify(&tokens.issue_access(&bearer).unwrap(), Use::Access).unwrap()
    }

    fn clock() -> Clock {
        Clock::manual(Timestamp::from_micros(1_700_000_000_000_000))
    }

    #[test]
    fn an_ended_login_is_believed_no_more_and_others_are() {
        let clock = clock();
        let revocations = Revocations::new(clock.clone(), 900);
        let (one, two) = (claims(&clock, 7), claims(&clock, 8));
        revocations.end_now(one.sid.unwrap());
        assert_eq!(revocations.role_now(&one), None);
        assert_eq!(revocations.role_now(&two), Some(Role::Manager));
    }

    #[test]
    fn a_new_role_overrules_what_the_token_says() {
        let clock = clock();
        let revocations = Revocations::new(clock.clone(), 900);
        let one = claims(&clock, 7);
        revocations.change_role(one.user(), Role::Attendant);
        assert_eq!(revocations.role_now(&one), Some(Role::Attendant));
        revocations.change_role(one.user(), Role::Owner);
        assert_eq!(revocations.role_now(&one), Some(Role::Owner));
    }

    #[test]
    fn entries_go_once_no_token_can_need_them() {
        let clock = clock();
        let revocations = Revocations::new(clock.clone(), 900);
        revocations.end_now(SessionId(Uuid::from_u128(7)));
        revocations.change_role(UserId(Uuid::from_u128(2)), Role::Owner);
        revocations.end(SessionId(Uuid::from_u128(8)), clock.now() - Duration::from_secs(900));
        assert_eq!(revocations.0.sessions.len(), 1, "the older one needs no memory");
        clock.advance(Duration::from_secs(900));
        revocations.end_now(SessionId(Uuid::from_u128(9)));
        assert_eq!((revocations.0.sessions.len(), revocations.0.roles.len()), (1, 0));
    }

    #[test]
    fn a_full_memory_refuses_all_that_was_given_out_before() {
        let clock = clock();
        let revocations = Revocations::new(clock.clone(), 900);
        let old = claims(&clock, 7);
        for session in 0..=ENTRIES_MAX {
            revocations.end_now(SessionId(Uuid::from_u128(session as u128 + 100)));
        }
        assert_eq!(revocations.role_now(&old), None);
        clock.advance(Duration::from_secs(1));
        assert_eq!(revocations.role_now(&claims(&clock, 7)), Some(Role::Manager));
    }
}
