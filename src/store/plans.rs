//! Owns a company's plan: setting it, counting what is used of it, and the question whether one more is allowed. What each
//! plan includes is `domain::plan`'s business.

use super::{Result, Store, StoreError, Work};
use crate::domain::clock::Timestamp;
use crate::domain::ids::TenantId;
use crate::domain::plan::{Plan, PlanExceeded, PlanLimit};

/// What a company uses now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Usage {
    pub active_users: i64,
    pub active_departments: i64,
    /// Calls that joined since the month began in the company's zone.
    pub calls_this_month: i64,
    pub recording_bytes: i64,
}

/// Locks the company's row until the work is over, so that whatever is counted under it stays true; its plan. Take this lock
/// before any other of the company's.
pub async fn lock(work: &mut Work) -> Result<Plan> {
    let tenant = work.tenant;
    // Not `FOR UPDATE`: rows that refer to the company may be written meanwhile.
    let plan = sqlx::query_scalar!("SELECT plan FROM tenants WHERE id = $1 FOR NO KEY UPDATE", tenant.0)
        .fetch_optional(work.tx())
        .await?;
    plan.as_deref().and_then(Plan::parse).ok_or_else(|| StoreError::Corrupt {
        table: "tenants",
        column: "plan",
        row: tenant.to_string(),
    })
}

/// Whether the company's plan includes this, or one more of it. Ask before writing, in the work that writes: until it is
/// over nobody else is told yes for the same company.
pub async fn check(work: &mut Work, limit: PlanLimit) -> Result<std::result::Result<(), PlanExceeded>> {
    let plan = lock(work).await?;
    let limits = plan.limits();
    let tenant = work.tenant.0;
    let allowed = match limit {
        PlanLimit::Users => match limits.users {
            None => true,
            Some(most) => {
                let count = sqlx::query_scalar!(
                    "SELECT count(*) AS \"count!\" FROM users WHERE tenant_id = $1 AND active",
                    tenant
                );
                count.fetch_one(work.tx()).await? < i64::from(most)
            }
        },
        PlanLimit::Departments => match limits.departments {
            None => true,
            Some(most) => {
                let count = sqlx::query_scalar!(
                    "SELECT count(*) AS \"count!\" FROM departments
                     WHERE tenant_id = $1 AND active AND deleted_at IS NULL",
                    tenant
                );
                count.fetch_one(work.tx()).await? < i64::from(most)
            }
        },
        PlanLimit::Webhooks => limits.webhooks,
        PlanLimit::Recording => limits.recording,
        PlanLimit::Transcription => limits.transcription,
        PlanLimit::Analytics => limits.analytics,
    };
    Ok(if allowed { Ok(()) } else { Err(PlanExceeded { plan, limit }) })
}

/// Puts the company on a plan. What it uses beyond the new one stays; more of it is refused. Features that the new plan
/// does not include are switched off.
pub async fn set(work: &mut Work, plan: Plan) -> Result<()> {
    let limits = plan.limits();
    sqlx::query!(
        "UPDATE tenants SET plan = $2, recording_enabled = recording_enabled AND $3,
                            transcription_enabled = transcription_enabled AND $4, updated_at = $5
         WHERE id = $1",
        work.tenant.0,
        plan.as_str(),
        limits.recording,
        limits.transcription,
        work.now.to_utc()
    )
    .execute(work.tx())
    .await?;
    if !limits.webhooks {
        sqlx::query!(
            "UPDATE webhooks SET active = false, updated_at = $2 WHERE tenant_id = $1 AND active",
            work.tenant.0,
            work.now.to_utc()
        )
        .execute(work.tx())
        .await?;
    }
    Ok(())
}

/// What the company uses now; calls count since `month_start`.
pub async fn usage(store: &Store, tenant: TenantId, month_start: Timestamp) -> Result<Usage> {
    let mut tx = store.tenant_tx(tenant).await?;
    let row = sqlx::query!(
        "SELECT (SELECT count(*) FROM users WHERE tenant_id = $1 AND active) AS \"users!\",
                (SELECT count(*) FROM departments WHERE tenant_id = $1 AND active AND deleted_at IS NULL)
                    AS \"departments!\",
                (SELECT count(*) FROM calls WHERE tenant_id = $1 AND inserted_at >= $2) AS \"calls!\",
                (SELECT COALESCE(sum(file_size), 0)::bigint FROM recordings WHERE tenant_id = $1) AS \"recordings!\"",
        tenant.0,
        month_start.to_utc()
    )
    .fetch_one(&mut *tx)
    .await?;
    Ok(Usage {
        active_users: row.users,
        active_departments: row.departments,
        calls_this_month: row.calls,
        recording_bytes: row.recordings,
    })
}
