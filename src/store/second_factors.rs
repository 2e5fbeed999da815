//! Owns second factors: a user's sealed secret, the newest time step taken, and his recovery codes as hashes. It can
//! neither unseal the one nor check the others' form; that is `auth`'s.

use super::{Result, Store, Work};
use crate::domain::clock::Timestamp;
use crate::domain::ids::{TenantId, UserId};

/// A user's second factor.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SecondFactor {
    /// As it was sealed.
    pub secret: String,
    /// `None` while an enrolment waits for its first right code.
    pub confirmed_at: Option<Timestamp>,
    /// Codes of this time step and older ones are refused.
    pub last_step: i64,
    /// Unused recovery codes.
    pub recovery_codes_left: i64,
}

/// A user's second factor, also one that is not confirmed yet.
pub async fn find(store: &Store, tenant: TenantId, user: UserId) -> Result<Option<SecondFactor>> {
    let mut tx = store.tenant_tx(tenant).await?;
    let row = sqlx::query!(
        r#"SELECT secret, confirmed_at, last_step,
                (SELECT count(*) FROM recovery_codes r
                 WHERE r.tenant_id = f.tenant_id AND r.user_id = f.user_id AND r.used_at IS NULL) AS "left!"
           FROM second_factors f WHERE tenant_id = $1 AND user_id = $2"#,
        tenant.0,
        user.0
    )
    .fetch_optional(&mut *tx)
    .await?;
    Ok(row.map(|row| SecondFactor {
        secret: row.secret,
        confirmed_at: row.confirmed_at.map(Timestamp::from),
        last_step: row.last_step,
        recovery_codes_left: row.left,
    }))
}

/// Keeps a new secret until it is confirmed, in place of an earlier one that was not. False, and nothing changes, when
/// the user has a confirmed factor: whoever holds only his password must not put another one in its place.
pub async fn enrol(work: &mut Work, user: UserId, secret: &str) -> Result<bool> {
    let (tenant, now) = (work.tenant, work.now);
    let done = sqlx::query!(
        "INSERT INTO second_factors (tenant_id, user_id, secret, inserted_at) VALUES ($1, $2, $3, $4)
         ON CONFLICT (tenant_id, user_id) DO UPDATE SET secret = $3, inserted_at = $4, last_step = 0
         WHERE second_factors.confirmed_at IS NULL",
        tenant.0,
        user.0,
        secret,
        now.to_utc()
    )
    .execute(work.tx())
    .await?;
    Ok(done.rows_affected() > 0)
}

/// Confirms the enrolment of `secret` by a code of the time step `step`, and keeps the first recovery codes. False, and
/// nothing changes, when another enrolment took its place or it is confirmed already.
pub async fn confirm(work: &mut Work, user: UserId, secret: &str, step: i64, code_hashes: &[String]) -> Result<bool> {
    let (tenant, now) = (work.tenant, work.now);
    let done = sqlx::query!(
        "UPDATE second_factors SET confirmed_at = $4, last_step = $5
         WHERE tenant_id = $1 AND user_id = $2 AND secret = $3 AND confirmed_at IS NULL",
        tenant.0,
        user.0,
        secret,
        now.to_utc(),
        step
    )
    .execute(work.tx())
    .await?;
    if done.rows_affected() == 0 {
        return Ok(false);
    }
    mark_user(work, user, true).await?;
    replace_recovery_codes(work, user, code_hashes).await?;
    Ok(true)
}

/// Takes a code of the time step `step`. False when that step's code, or a later one, was taken before.
pub async fn take_step(work: &mut Work, user: UserId, step: i64) -> Result<bool> {
    let tenant = work.tenant;
    let done = sqlx::query!(
        "UPDATE second_factors SET last_step = $3
         WHERE tenant_id = $1 AND user_id = $2 AND confirmed_at IS NOT NULL AND last_step < $3",
        tenant.0,
        user.0,
        step
    )
    .execute(work.tx())
    .await?;
    Ok(done.rows_affected() > 0)
}

/// Takes a recovery code; false when there is no unused one with this hash.
pub async fn take_recovery_code(work: &mut Work, user: UserId, code_hash: &str) -> Result<bool> {
    let (tenant, now) = (work.tenant, work.now);
    let done = sqlx::query!(
        "UPDATE recovery_codes SET used_at = $4
         WHERE tenant_id = $1 AND user_id = $2 AND code_hash = $3 AND used_at IS NULL",
        tenant.0,
        user.0,
        code_hash,
        now.to_utc()
    )
    .execute(work.tx())
    .await?;
    Ok(done.rows_affected() > 0)
}

/// Keeps these recovery codes in place of all earlier ones, used or not.
pub async fn replace_recovery_codes(work: &mut Work, user: UserId, code_hashes: &[String]) -> Result<()> {
    let (tenant, now) = (work.tenant, work.now);
    sqlx::query!("DELETE FROM recovery_codes WHERE tenant_id = $1 AND user_id = $2", tenant.0, user.0)
        .execute(work.tx())
        .await?;
    sqlx::query!(
        "INSERT INTO recovery_codes (tenant_id, user_id, code_hash, inserted_at)
         SELECT $1, $2, code, $4 FROM unnest($3::text[]) AS codes (code)",
        tenant.0,
        user.0,
        code_hashes,
        now.to_utc()
    )
    .execute(work.tx())
    .await?;
    Ok(())
}

/// Forgets a user's second factor with its recovery codes; false when he had none.
pub async fn remove(work: &mut Work, user: UserId) -> Result<bool> {
    let tenant = work.tenant;
    let done = sqlx::query!("DELETE FROM second_factors WHERE tenant_id = $1 AND user_id = $2", tenant.0, user.0)
        .execute(work.tx())
        .await?;
    mark_user(work, user, false).await?;
    Ok(done.rows_affected() > 0)
}

/// Notes in the user's own row whether he has a factor: what logins and lists read.
async fn mark_user(work: &mut Work, user: UserId, enabled: bool) -> Result<()> {
    let (tenant, now) = (work.tenant, work.now);
    sqlx::query!(
        "UPDATE users SET mfa_enabled = $3, updated_at = $4
         WHERE tenant_id = $1 AND id = $2 AND mfa_enabled IS DISTINCT FROM $3",
        tenant.0,
        user.0,
        enabled,
        now.to_utc()
    )
    .execute(work.tx())
    .await?;
    Ok(())
}
