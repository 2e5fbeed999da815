//! Owns logins: families of refresh tokens, kept as hashes. A token is good once; its second use gives the family up.
//! Which access tokens are believed no longer is kept in memory by `auth`; here is what it is filled from.

use std::time::Duration;

use super::connect::tenant_by;
use super::{Result, Store, Transaction, Work};
use crate::domain::clock::Timestamp;
use crate::domain::ids::{SessionId, TenantId, UserId};

/// How long an expired token is kept: long enough to answer what became of a login.
const EXPIRED_KEPT: Duration = Duration::from_secs(24 * 60 * 60);
/// Rows thrown away by one statement, so that none holds locks for long.
const SLICE: i64 = 1_000;

/// A login that begins.
#[derive(Clone, Copy, Debug)]
pub struct NewSession<'a> {
    pub user: UserId,
    pub session: SessionId,
    /// Of its first refresh token.
    pub token_hash: &'a str,
    /// Of that token.
    pub expires_at: Timestamp,
    /// The hash of the password that was checked; the login is refused when it was changed meanwhile.
    pub password_hash: Option<&'a str>,
}

/// What came of using a refresh token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rotated {
    /// The old token is spent and the new one stored.
    Ok { user: UserId, session: SessionId },
    /// It had been used before, so someone holds a copy: the whole family is revoked. Close its sockets.
    Reused { user: UserId, session: SessionId },
    /// There is no such token, it is expired or revoked, or its user is let in no more.
    Unknown,
}

/// A login that was ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EndedSession {
    pub session: SessionId,
    /// When its last tokens were given out: an access token of it lives as long after that as access tokens live.
    pub issued_at: Timestamp,
}

/// Begins a login with its first refresh token. False, and nothing is kept, when the user was deactivated or got another
/// password since he was looked at: the statement waits for such a change and then sees it.
pub async fn create(store: &Store, tenant: TenantId, new: NewSession<'_>, now: Timestamp) -> Result<bool> {
    let mut tx = store.tenant_tx(tenant).await?;
    let user = sqlx::query!(
        "SELECT password_hash FROM users WHERE tenant_id = $1 AND id = $2 AND active FOR SHARE",
        tenant.0,
        new.user.0
    )
    .fetch_optional(&mut *tx)
    .await?;
    if user.is_none_or(|user| new.password_hash.is_some_and(|checked| checked != user.password_hash)) {
        return Ok(false);
    }
    insert(&mut tx, tenant, new.user, new.session, new.token_hash, new.expires_at, now).await?;
    tx.commit().await?;
    Ok(true)
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
    // The user first, as whoever deactivates him does, so that neither waits for the other for ever.
    let active = sqlx::query!(
        "SELECT u.id FROM users u JOIN refresh_tokens r ON r.tenant_id = u.tenant_id AND r.user_id = u.id
         WHERE r.tenant_id = $1 AND r.token_hash = $2 AND u.active FOR SHARE OF u",
        tenant.0,
        old_hash
    )
    .fetch_optional(&mut *tx)
    .await?;
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
    if active.is_none() {
        return Ok(Rotated::Unknown);
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

/// Ends every login of a user: he was deactivated, or has another password. Change his row first, in the same work.
/// After the commit tell `AppState::logins_ended`. Those that had ended before are among the answer as long as a token of
/// theirs is kept: of one that ended a moment ago, nobody may have been told.
pub async fn revoke_user(work: &mut Work, user: UserId) -> Result<Vec<EndedSession>> {
    revoke_all(work, user, None).await
}

/// As `revoke_user`, but for the login in which he asks for it.
pub async fn revoke_others(work: &mut Work, user: UserId, keep: SessionId) -> Result<Vec<EndedSession>> {
    revoke_all(work, user, Some(keep)).await
}

async fn revoke_all(work: &mut Work, user: UserId, keep: Option<SessionId>) -> Result<Vec<EndedSession>> {
    let (tenant, now) = (work.tenant, work.now);
    let ended = sqlx::query!(
        r#"WITH gone AS (
             UPDATE refresh_tokens SET revoked_at = $3
             WHERE tenant_id = $1 AND user_id = $2 AND revoked_at IS NULL AND ($4::uuid IS NULL OR session_id <> $4))
           SELECT session_id, max(inserted_at) AS "issued_at!" FROM refresh_tokens
           WHERE tenant_id = $1 AND user_id = $2 AND ($4::uuid IS NULL OR session_id <> $4) GROUP BY session_id"#,
        tenant.0,
        user.0,
        now.to_utc(),
        keep.map(|session| session.0)
    )
    .fetch_all(work.tx())
    .await?;
    Ok(ended
        .into_iter()
        .map(|row| EndedSession { session: SessionId(row.session_id), issued_at: row.issued_at.into() })
        .collect())
}

/// The logins of all companies that were ended since then: what a server that starts must not believe.
pub async fn ended_since(store: &Store, since: Timestamp) -> Result<Vec<EndedSession>> {
    let ended = sqlx::query!(
        r#"SELECT session_id, max(inserted_at) AS "issued_at!" FROM refresh_tokens WHERE revoked_at >= $1
           GROUP BY session_id"#,
        since.to_utc()
    )
    .fetch_all(store.system())
    .await?;
    Ok(ended
        .into_iter()
        .map(|row| EndedSession { session: SessionId(row.session_id), issued_at: row.issued_at.into() })
        .collect())
}

/// Throws away a slice of the refresh tokens that expired a day ago or earlier; how many.
pub async fn sweep(store: &Store, now: Timestamp) -> Result<u64> {
    let done = sqlx::query!(
        "DELETE FROM refresh_tokens WHERE (token_hash, tenant_id) IN
           (SELECT token_hash, tenant_id FROM refresh_tokens WHERE expires_at < $1 LIMIT $2)",
        (now - EXPIRED_KEPT).to_utc(),
        SLICE
    )
    .execute(store.system())
    .await?;
    Ok(done.rows_affected())
}

/// The tenant of a refresh token, and nothing else of it.
pub async fn tenant_of(store: &Store, token_hash: &str) -> Result<Option<TenantId>> {
    tenant_by(sqlx::query_scalar!("SELECT vez_tenant_of_refresh($1)", token_hash).fetch_one(store.app())).await
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
