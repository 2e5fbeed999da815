//! Owns the rows of recordings. A recording goes only when the time its company's plan keeps it is over: there is no other
//! way to delete one, so that what was said can be looked up for as long as the company is told.

use chrono::{DateTime, Utc};
use uuid::Uuid;

use super::{Result, Store, Work};
use crate::domain::clock::Timestamp;
use crate::domain::ids::{CallId, DepartmentId, TenantId};
use crate::domain::plan::Plan;

/// The longest recording, in seconds: as long as a socket may live.
pub const RECORDING_SECONDS_MAX: u32 = 24 * 60 * 60;

/// A recording.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recording {
    pub id: Uuid,
    pub call_id: CallId,
    /// The usual extension of its container: `webm`.
    pub format: String,
    pub content_type: String,
    /// Seconds; the call's own when the uploader gave none.
    pub duration: Option<i64>,
    /// Bytes.
    pub file_size: u64,
    pub inserted_at: Timestamp,
}

/// What a new one is made of.
#[derive(Clone, Debug)]
pub struct NewRecording {
    /// Also the name of its object.
    pub id: Uuid,
    pub call_id: CallId,
    pub department_id: DepartmentId,
    pub format: &'static str,
    pub content_type: &'static str,
    /// Seconds.
    pub duration: Option<u32>,
    /// Bytes.
    pub file_size: u64,
}

/// Keeps a recording; false when the call has one. There must be such a call.
pub async fn create(work: &mut Work, new: NewRecording) -> Result<bool> {
    let (tenant, now) = (work.tenant, work.now);
    let done = sqlx::query!(
        "INSERT INTO recordings (tenant_id, id, call_id, department_id, format, content_type, duration, file_size, inserted_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)
         ON CONFLICT ON CONSTRAINT recordings_call_key DO NOTHING",
        tenant.0,
        new.id,
        new.call_id.0,
        new.department_id.0,
        new.format,
        new.content_type,
        new.duration.map(|seconds| i32::try_from(seconds).unwrap_or(i32::MAX)),
        i64::try_from(new.file_size).unwrap_or(i64::MAX),
        now.to_utc()
    )
    .execute(work.tx())
    .await?;
    Ok(done.rows_affected() > 0)
}

/// The recording of a call that is over; none before its end.
pub async fn of_call(store: &Store, tenant: TenantId, call: CallId) -> Result<Option<Recording>> {
    let mut tx = store.tenant_tx(tenant).await?;
    let row = sqlx::query!(
        "SELECT r.id, r.format, r.content_type, r.duration, r.file_size, r.inserted_at,
                extract(epoch FROM c.completed_at - c.started_at)::bigint AS call_seconds
         FROM recordings r JOIN calls c ON c.tenant_id = r.tenant_id AND c.id = r.call_id
         WHERE r.tenant_id = $1 AND r.call_id = $2 AND NOT c.open",
        tenant.0,
        call.0
    )
    .fetch_optional(&mut *tx)
    .await?;
    Ok(row.map(|row| Recording {
        id: row.id,
        call_id: call,
        format: row.format,
        content_type: row.content_type,
        duration: row.duration.map(i64::from).or(row.call_seconds),
        file_size: row.file_size.unsigned_abs(),
        inserted_at: row.inserted_at.into(),
    }))
}

/// Whether a call has a recording, also while it is not over.
pub async fn exists(store: &Store, tenant: TenantId, call: CallId) -> Result<bool> {
    let mut tx = store.tenant_tx(tenant).await?;
    let found = sqlx::query_scalar!(
        "SELECT EXISTS (SELECT FROM recordings WHERE tenant_id = $1 AND call_id = $2) AS \"found!\"",
        tenant.0,
        call.0
    )
    .fetch_one(&mut *tx)
    .await?;
    Ok(found)
}

/// A recording whose time is over.
#[derive(Clone, Copy, Debug)]
pub struct Outlived {
    pub tenant: TenantId,
    pub id: Uuid,
    pub made_at: Timestamp,
}

/// Recordings of any company whose time is over at `now`, oldest first, at most `limit`: those behind the one that was made at
/// this time and has this id.
pub async fn outlived(store: &Store, now: Timestamp, behind: (Timestamp, Uuid), limit: u32) -> Result<Vec<Outlived>> {
    let (plans, kept_since): (Vec<String>, Vec<DateTime<Utc>>) = Plan::ALL
        .iter()
        .map(|plan| {
            let days = chrono::Duration::days(i64::from(plan.recording_days()));
            (plan.as_str().to_owned(), now.to_utc() - days)
        })
        .unzip();
    let rows = sqlx::query!(
        "SELECT r.tenant_id, r.id, r.inserted_at
         FROM unnest($1::text[], $2::timestamptz[]) AS p (plan, kept_since)
         JOIN tenants t ON t.plan = p.plan
         JOIN recordings r ON r.tenant_id = t.id AND r.inserted_at < p.kept_since
         WHERE (r.inserted_at, r.id) > ($3, $4) ORDER BY r.inserted_at, r.id LIMIT $5",
        &plans,
        &kept_since,
        behind.0.to_utc(),
        behind.1,
        i64::from(limit)
    )
    .fetch_all(store.system())
    .await?;
    Ok(rows
        .into_iter()
        .map(|row| Outlived { tenant: TenantId(row.tenant_id), id: row.id, made_at: row.inserted_at.into() })
        .collect())
}

/// Takes the row of a recording whose object is deleted.
pub async fn forget(work: &mut Work, recording: Uuid) -> Result<()> {
    let tenant = work.tenant;
    sqlx::query!("DELETE FROM recordings WHERE tenant_id = $1 AND id = $2", tenant.0, recording)
        .execute(work.tx())
        .await?;
    Ok(())
}
