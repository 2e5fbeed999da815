//! Owns the answers kept for `Idempotency-Key`: each is written in the transaction that did what it tells of, so that a client
//! who asks again hears the same, and nothing is done twice. Which requests may carry a key is for the routes.

use std::time::Duration;

use super::{Result, Store, Work};
use crate::domain::clock::Timestamp;
use crate::domain::ids::UserId;

/// How long an answer is kept; a client that repeats itself later asks for something new.
pub const KEPT: Duration = Duration::from_secs(24 * 60 * 60);
/// Most rows one sweep deletes: a bounded share of the write-ahead log.
const SWEEP_ROWS_MAX: i64 = 10_000;

/// An answer given before.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kept {
    /// Of the request that was answered.
    pub fingerprint: Vec<u8>,
    pub status: u16,
    /// Sealed.
    pub answer: String,
}

/// Takes the key for this work, or finds the answer it was used for. Of two requests with one key the second waits here
/// until the first is done.
pub async fn take(work: &mut Work, user: UserId, key: &str, fingerprint: &[u8]) -> Result<Option<Kept>> {
    let (tenant, now) = (work.tenant, work.now);
    sqlx::query!(
        "DELETE FROM idempotency_keys WHERE tenant_id = $1 AND user_id = $2 AND key = $3 AND inserted_at <= $4",
        tenant.0,
        user.0,
        key,
        (now - KEPT).to_utc()
    )
    .execute(work.tx())
    .await?;
    let taken = sqlx::query!(
        "INSERT INTO idempotency_keys (tenant_id, user_id, key, fingerprint, status, answer, inserted_at)
         VALUES ($1, $2, $3, $4, 0, '', $5) ON CONFLICT DO NOTHING",
        tenant.0,
        user.0,
        key,
        fingerprint,
        now.to_utc()
    )
    .execute(work.tx())
    .await?;
    if taken.rows_affected() == 1 {
        return Ok(None);
    }
    let kept = sqlx::query!(
        "SELECT fingerprint, status, answer FROM idempotency_keys WHERE tenant_id = $1 AND user_id = $2 AND key = $3",
        tenant.0,
        user.0,
        key
    )
    .fetch_optional(work.tx())
    .await?;
    Ok(kept.map(|row| Kept { fingerprint: row.fingerprint, status: row.status.unsigned_abs(), answer: row.answer }))
}

/// Keeps the answer of a key taken in this work.
pub async fn keep(work: &mut Work, user: UserId, key: &str, status: u16, answer: &str) -> Result<()> {
    let tenant = work.tenant;
    sqlx::query!(
        "UPDATE idempotency_keys SET status = $4, answer = $5 WHERE tenant_id = $1 AND user_id = $2 AND key = $3",
        tenant.0,
        user.0,
        key,
        i16::try_from(status).unwrap_or(0),
        answer
    )
    .execute(work.tx())
    .await?;
    Ok(())
}

/// Forgets answers older than a day, of all tenants; how many it forgot. Called by housekeeping until it is none.
pub async fn sweep(store: &Store, now: Timestamp) -> Result<u64> {
    let swept = sqlx::query!(
        "DELETE FROM idempotency_keys WHERE ctid IN (
             SELECT ctid FROM idempotency_keys WHERE inserted_at <= $1 LIMIT $2)",
        (now - KEPT).to_utc(),
        SWEEP_ROWS_MAX
    )
    .execute(store.system())
    .await?;
    Ok(swept.rows_affected())
}
