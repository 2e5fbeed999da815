//! Owns logins: families of refresh tokens, kept as hashes. A token is good once; its second use gives the family up.

use super::{Result, Store, Transaction, Work};
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
    store: &Store,
    tenant: TenantId,
    user: UserId,
    session: SessionId,
    token_hash: &str,
    expires_at: Timestamp,
    now: Timestamp,
) -> Result<()> {
    let mut tx = store.tenant_tx(tenant).await?;
    insert(&mut tx, tenant, user, session, token_hash, expires_at, now).await?;
    tx.commit().await?;
    Ok(())
}

/// Spends the token with `old_hash` and stores one with `new_hash` in the same family, good until `expires_at`.
pub async fn rotate(
    store: &Store,
    tenant: TenantId,
    old_hash: &str,
    new_hash: &str,
    expires_at: Timestamp,
    now: Timestamp,
) -> Result<Rotated> {
    let mut tx = store.tenant_tx(tenant).await?;
    // The lock makes the second of two simultaneous uses wait, and then see the first.
    let old = sqlx::query!(
        "SELECT user_id, session_id, used_at, revoked_at, expires_at FROM refresh_tokens
         WHERE tenant_id = $1 AND token_hash = $2 FOR UPDATE",
        tenant.0,
        old_hash
    )
    .fetch_optional(&mut *tx)
    .await?;
    let Some(old) = old else { return Ok(Rotated::Unknown) };
    let (user, session) = (UserId(old.user_id), SessionId(old.session_id));
    if old.revoked_at.is_some() || Timestamp::from(old.expires_at) <= now {
        return Ok(Rotated::Unknown);
    }
    if old.used_at.is_some() {
        revoke(&mut tx, tenant, session, now).await?;
        tx.commit().await?;
        return Ok(Rotated::Reused { user, session });
    }
    sqlx::query!(
        "UPDATE refresh_tokens SET used_at = $3 WHERE tenant_id = $1 AND token_hash = $2",
        tenant.0,
        old_hash,
        now.to_utc()
    )
    .execute(&mut *tx)
    .await?;
    insert(&mut tx, tenant, user, session, new_hash, expires_at, now).await?;
    tx.commit().await?;
    Ok(Rotated::Ok { user, session })
}

/// Ends a login. Whether there was anything left to end.
pub async fn revoke_family(store: &Store, tenant: TenantId, session: SessionId, now: Timestamp) -> Result<bool> {
    let mut tx = store.tenant_tx(tenant).await?;
    let revoked = revoke(&mut tx, tenant, session, now).await?;
    tx.commit().await?;
    Ok(revoked > 0)
}

/// Ends every login of a user but the one to keep; which those were.
pub async fn revoke_all(work: &mut Work, user: UserId, keep: Option<SessionId>) -> Result<Vec<SessionId>> {
    let (tenant, now) = (work.tenant, work.now);
    let mut ended: Vec<SessionId> = sqlx::query_scalar!(
        "UPDATE refresh_tokens SET revoked_at = $3
         WHERE tenant_id = $1 AND user_id = $2 AND revoked_at IS NULL AND ($4::uuid IS NULL OR session_id <> $4)
         RETURNING session_id",
        tenant.0,
        user.0,
        now.to_utc(),
        keep.map(|session| session.0)
    )
    .fetch_all(work.tx())
    .await?
    .into_iter()
    .map(SessionId)
    .collect();
    ended.sort_unstable();
    ended.dedup();
    Ok(ended)
}

/// The tenant of a refresh token, and nothing else of it.
pub async fn tenant_of(store: &Store, token_hash: &str) -> Result<Option<TenantId>> {
    let id = sqlx::query_scalar!("SELECT vez_tenant_of_refresh($1)", token_hash).fetch_one(store.app()).await?;
    Ok(id.map(TenantId))
}

async fn insert(
    tx: &mut Transaction,
    tenant: TenantId,
    user: UserId,
    session: SessionId,
    token_hash: &str,
    expires_at: Timestamp,
    now: Timestamp,
) -> Result<()> {
    sqlx::query!(
        "INSERT INTO refresh_tokens (tenant_id, token_hash, session_id, user_id, expires_at, inserted_at)
         VALUES ($1, $2, $3, $4, $5, $6)",
        tenant.0,
        token_hash,
        session.0,
        user.0,
        expires_at.to_utc(),
        now.to_utc()
    )
    .execute(&mut **tx)
    .await?;
    Ok(())
}

async fn revoke(tx: &mut Transaction, tenant: TenantId, session: SessionId, now: Timestamp) -> Result<u64> {
    let done = sqlx::query!(
        "UPDATE refresh_tokens SET revoked_at = $3 WHERE tenant_id = $1 AND session_id = $2 AND revoked_at IS NULL",
        tenant.0,
        session.0,
        now.to_utc()
    )
    .execute(&mut **tx)
    .await?;
    Ok(done.rows_affected())
}
