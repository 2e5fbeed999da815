//! Owns the names of the sums that triggers keep of calls (migration 0013), and reading a day's answers from them. What the
//! figures mean is for `domain::measures`; counting them anew is for `recount`.

use std::collections::HashMap;

use super::{Result, Transaction};
use crate::domain::clock::Timestamp;
use crate::domain::ids::{DepartmentId, TenantId};
use crate::domain::measures::Answers;

/// The sums of a department's hours, by the names of their columns: one for each field of `domain::measures::Figures`.
pub const CALL_SUMS: [&str; 19] = [
    "completed",
    "missed",
    "cancelled",
    "answered",
    "answered_in_time",
    "wait_seconds",
    "abandoned",
    "abandoned_short",
    "handled",
    "talk_seconds",
    "wrap_up_seconds",
    "rated",
    "rating_total",
    "satisfied",
    "estimated",
    "estimate_kept",
    "transfers",
    "offers_missed",
    "offers_declined",
];

/// The answers of the calls that joined each department, or the one that is asked for, on the company's day in which `at` lies.
/// A department without any is not among them.
pub(super) async fn answers_of_day(
    tx: &mut Transaction,
    tenant: TenantId,
    department: Option<DepartmentId>,
    at: Timestamp,
) -> Result<HashMap<DepartmentId, Answers>> {
    let rows = sqlx::query!(
        "SELECT department_id, sum(answered)::bigint AS \"answered!\", sum(answered_in_time)::bigint AS \"answered_in_time!\",
                sum(wait_seconds)::bigint AS \"wait_seconds!\", sum(abandoned)::bigint AS \"abandoned!\",
                sum(abandoned_short)::bigint AS \"abandoned_short!\"
         FROM call_hours
         WHERE tenant_id = $1 AND ($2::uuid IS NULL OR department_id = $2)
               AND day = ($3 AT TIME ZONE (SELECT time_zone FROM tenants WHERE id = $1))::date
         GROUP BY department_id",
        tenant.0,
        department.map(|department| department.0),
        at.to_utc()
    )
    .fetch_all(&mut **tx)
    .await?;
    let answers = rows.into_iter().map(|row| {
        let answers = Answers {
            answered: row.answered.unsigned_abs(),
            answered_in_time: row.answered_in_time.unsigned_abs(),
            wait_seconds: row.wait_seconds.unsigned_abs(),
            abandoned: row.abandoned.unsigned_abs(),
            abandoned_short: row.abandoned_short.unsigned_abs(),
        };
        (DepartmentId(row.department_id), answers)
    });
    Ok(answers.collect())
}
