//! Owns asked-for password resets: one-time tokens, kept as hashes, and the change of the password they allow.

use super::connect::tenant_by;
use super::{Result, Store, Work};
use crate::domain::clock::Timestamp;
use crate::domain::ids::{TenantId, UserId};

/// Most resets a user may have asked for within their life: nobody's mailbox is flooded from here.
const OPEN_MAX: i64 = 5;
/// Rows thrown away by one statement, so that none holds locks for long.
const SLICE: i64 = 1_000;

/// Keeps a token for a user, good until `expires_at`. False, and nothing is kept, when he has asked for too many.
pub async fn create(work: &mut Work, user: UserId, token_hash: &str, expires_at: Timestamp) -> Result<bool> {
    let (tenant, now) = (work.tenant, work.now);
    let done = sqlx::query!(
        "INSERT INTO password_resets (tenant_id, token_hash, user_id, password_mark, expires_at, inserted_at)
         SELECT u.tenant_id, $2, u.id, sha256(convert_to(u.password_hash, 'UTF8')), $4, $5
         FROM users u WHERE u.tenant_id = $1 AND u.id = $3 AND u.active
           AND (SELECT count(*) FROM password_resets r
                WHERE r.tenant_id = $1 AND r.user_id = $3 AND r.expires_at > $5) < $6",
        tenant.0,
        token_hash,
        user.0,
        expires_at.to_utc(),
        now.to_utc(),
        OPEN_MAX
    )
    .execute(work.tx())
    .await?;
    Ok(done.rows_affected() > 0)
}

/// The tenant of a reset token, and nothing else of it.
pub async fn tenant_of(store: &Store, token_hash: &str) -> Result<Option<TenantId>> {
    tenant_by(sqlx::query_scalar!("SELECT vez_tenant_of_reset($1)", token_hash).fetch_one(store.app())).await
}

/// Whose the token is, if it is still good, its user active and his password the one it was asked for.
pub async fn user_of(store: &Store, tenant: TenantId, token_hash: &str, now: Timestamp) -> Result<Option<UserId>> {
    let mut tx = store.tenant_tx(tenant).await?;
    let id = sqlx::query_scalar!(
        "SELECT r.user_id FROM password_resets r JOIN users u ON u.tenant_id = r.tenant_id AND u.id = r.user_id
         WHERE r.tenant_id = $1 AND r.token_hash = $2 AND r.expires_at > $3 AND u.active
           AND r.password_mark = sha256(convert_to(u.password_hash, 'UTF8'))",
        tenant.0,
        token_hash,
        now.to_utc()
    )
    .fetch_optional(&mut *tx)
    .await?;
    Ok(id.map(UserId))
}

/// Spends the token, and every other one of its user, for a new password. False, and nothing changes, when it is good no
/// more. End his logins in the same work.
pub async fn spend(work: &mut Work, user: UserId, token_hash: &str, password_hash: &str) -> Result<bool> {
    let (tenant, now) = (work.tenant, work.now);
    // The user's row is locked first, as everybody who changes him does: of two at once the second finds the token gone.
    let user_found = sqlx::query_scalar!(
        "SELECT id FROM users WHERE tenant_id = $1 AND id = $2 AND active FOR NO KEY UPDATE",
        tenant.0,
        user.0
    )
    .fetch_optional(work.tx())
    .await?;
    if user_found.is_none() {
        return Ok(false);
    }
    let spent = sqlx::query!(
        "DELETE FROM password_resets r USING users u
         WHERE r.tenant_id = $1 AND r.user_id = $2 AND r.token_hash = $3 AND r.expires_at > $4
           AND u.tenant_id = r.tenant_id AND u.id = r.user_id
           AND r.password_mark = sha256(convert_to(u.password_hash, 'UTF8'))",
        tenant.0,
        user.0,
        token_hash,
        now.to_utc()
    )
    .execute(work.tx())
    .await?;
    if spent.rows_affected() == 0 {
        return Ok(false);
    }
    sqlx::query!(
        "UPDATE users SET password_hash = $3, updated_at = $4 WHERE tenant_id = $1 AND id = $2",
        tenant.0,
        user.0,
        password_hash,
        now.to_utc()
    )
    .execute(work.tx())
    .await?;
    sqlx::query!("DELETE FROM password_resets WHERE tenant_id = $1 AND user_id = $2", tenant.0, user.0)
        .execute(work.tx())
        .await?;
    Ok(true)
}

/// Throws away a slice of the tokens that have expired; how many.
pub async fn sweep(store: &Store, now: Timestamp) -> Result<u64> {
    let done = sqlx::query!(
        "DELETE FROM password_resets WHERE (token_hash, tenant_id) IN
           (SELECT token_hash, tenant_id FROM password_resets WHERE expires_at < $1 LIMIT $2)",
        now.to_utc(),
        SLICE
    )
    .execute(store.system())
    .await?;
    Ok(done.rows_affected())
}
