//! Owns logins: families of refresh tokens, kept as hashes. A token is good once; its second use gives the family up.

use super::connect::unwritten;
use super::{Result, Store};
use crate::domain::clock::Timestamp;
use crate::domain::ids::{SessionId, TenantId, UserId};

/// What came of using a refresh token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rotated {
    /// The old token is spent and the new one stored.
    Ok { user: UserId, session: SessionId },
    /// It had been used before, so someone holds a copy: the whole family is revoked. Close its sockets.
    Reused { user: UserId, session: SessionId },
    /// There is no such token, or it is expired or revoked.
    Unknown,
}

/// Begins a login with its first refresh token.
pub async fn create(
    _store: &Store,
    _tenant: TenantId,
    _user: UserId,
    _session: SessionId,
    _token_hash: &str,
    _expires_at: Timestamp,
    _now: Timestamp,
) -> Result<()> {
    Err(unwritten())
}

/// Spends the token with `old_hash` and stores one with `new_hash` in the same family, good until `expires_at`.
pub async fn rotate(
    _store: &Store,
    _tenant: TenantId,
    _old_hash: &str,
    _new_hash: &str,
    _expires_at: Timestamp,
    _now: Timestamp,
) -> Result<Rotated> {
    Err(unwritten())
}

/// Ends a login. Whether there was anything left to end.
pub async fn revoke_family(_store: &Store, _tenant: TenantId, _session: SessionId, _now: Timestamp) -> Result<bool> {
    Err(unwritten())
}

/// The tenant of a refresh token, and nothing else of it.
pub async fn tenant_of(_store: &Store, _token_hash: &str) -> Result<Option<TenantId>> {
    Err(unwritten())
}
