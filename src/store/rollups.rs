//! Owns the sums that triggers keep of calls and agents (migration 0013): reading a day's answers and counting everything anew.
//! What the figures mean is for `domain::measures`.

use super::{Result, Transaction};
use crate::domain::clock::Timestamp;
use crate::domain::ids::{DepartmentId, TenantId};
use crate::domain::measures::Answers;

/// The answers of the calls that joined a department on the company's day in which `at` lies.
pub(super) async fn answers_of_day(
    tx: &mut Transaction,
    tenant: TenantId,
    department: DepartmentId,
    at: Timestamp,
) -> Result<Answers> {
    let row = sqlx::query!(
        "SELECT COALESCE(sum(answered), 0)::bigint AS \"answered!\",
                COALESCE(sum(answered_in_time), 0)::bigint AS \"answered_in_time!\",
                COALESCE(sum(wait_seconds), 0)::bigint AS \"wait_seconds!\",
                COALESCE(sum(abandoned), 0)::bigint AS \"abandoned!\",
                COALESCE(sum(abandoned_short), 0)::bigint AS \"abandoned_short!\"
         FROM call_hours
         WHERE tenant_id = $1 AND department_id = $2
               AND day = ($3 AT TIME ZONE (SELECT time_zone FROM tenants WHERE id = $1))::date",
        tenant.0,
        department.0,
        at.to_utc()
    )
    .fetch_one(&mut **tx)
    .await?;
    Ok(Answers {
        answered: row.answered.unsigned_abs(),
        answered_in_time: row.answered_in_time.unsigned_abs(),
        wait_seconds: row.wait_seconds.unsigned_abs(),
        abandoned: row.abandoned.unsigned_abs(),
        abandoned_short: row.abandoned_short.unsigned_abs(),
    })
}
