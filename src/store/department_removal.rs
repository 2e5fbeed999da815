//! Owns the end of a department: whether it may go, and what goes with it. Its ended calls stay, and so does its name in
//! them; that is why its row stays, too, marked as deleted and hidden everywhere else.

use super::{Result, Store, Work};
use crate::domain::ids::{DepartmentId, UserId};

/// Links that are cancelled at once: there may be a hundred thousand, and each leaves its mark in the trail. The others are
/// cancelled by [`sweep_links`]; until then whoever reads them sees that their department is gone.
const LINKS_AT_ONCE: i64 = 1_000;

/// What came of deleting a department.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Removal {
    /// It is gone; these people served it.
    Done { members: Vec<UserId> },
    /// Calls wait in it or are under way.
    HasOpenCalls,
    /// Customers have appointments with it that have not been.
    HasAppointments,
    /// Calls of it have recordings.
    HasRecordings,
    /// There is none.
    NotFound,
}

/// Deletes a department: nobody serves it any more, its links are cancelled, its identifier is free again. Its queue must
/// have been told before to take no more joins, or a call that is on its way to the record is left behind.
pub async fn remove(work: &mut Work, department: DepartmentId) -> Result<Removal> {
    let (tenant, now) = (work.tenant, work.now.to_utc());
    let there = sqlx::query_scalar!(
        "SELECT true AS \"there!\" FROM departments WHERE tenant_id = $1 AND id = $2 AND deleted_at IS NULL FOR UPDATE",
        tenant.0,
        department.0
    );
    if there.fetch_optional(work.tx()).await?.is_none() {
        return Ok(Removal::NotFound);
    }
    let open = sqlx::query_scalar!(
        "SELECT EXISTS (SELECT FROM calls WHERE tenant_id = $1 AND department_id = $2 AND open) AS \"open!\"",
        tenant.0,
        department.0
    );
    if open.fetch_one(work.tx()).await? {
        return Ok(Removal::HasOpenCalls);
    }
    let appointments = sqlx::query_scalar!(
        "SELECT EXISTS (SELECT FROM appointments
                        WHERE tenant_id = $1 AND department_id = $2 AND status IN ('scheduled', 'confirmed')) AS \"any!\"",
        tenant.0,
        department.0
    );
    if appointments.fetch_one(work.tx()).await? {
        return Ok(Removal::HasAppointments);
    }
    let recordings = sqlx::query_scalar!(
        "SELECT EXISTS (SELECT FROM recordings WHERE tenant_id = $1 AND department_id = $2) AS \"any!\"",
        tenant.0,
        department.0
    );
    if recordings.fetch_one(work.tx()).await? {
        return Ok(Removal::HasRecordings);
    }
    let members = sqlx::query_scalar!(
        "DELETE FROM department_users WHERE tenant_id = $1 AND department_id = $2 RETURNING user_id",
        tenant.0,
        department.0
    );
    let members = members.fetch_all(work.tx()).await?.into_iter().map(UserId).collect();
    sqlx::query!(
        "UPDATE access_links AS link SET cancelled_at = $3
         FROM (
             SELECT id FROM access_links WHERE tenant_id = $1 AND department_id = $2 AND cancelled_at IS NULL LIMIT $4
         ) AS slice WHERE link.tenant_id = $1 AND link.id = slice.id",
        tenant.0,
        department.0,
        now,
        LINKS_AT_ONCE
    )
    .execute(work.tx())
    .await?;
    sqlx::query!(
        "UPDATE departments SET active = false, sector_id = NULL, deleted_at = $3, updated_at = $3 WHERE tenant_id = $1 AND id = $2",
        tenant.0,
        department.0,
        now
    )
    .execute(work.tx())
    .await?;
    Ok(Removal::Done { members })
}

/// Cancels a slice of the links to departments that are gone; how many.
pub async fn sweep_links(store: &Store) -> Result<u64> {
    let done = sqlx::query!(
        "UPDATE access_links AS link SET cancelled_at = slice.deleted_at
         FROM (
             SELECT l.tenant_id, l.id, d.deleted_at
             FROM departments AS d
             JOIN access_links AS l ON l.tenant_id = d.tenant_id AND l.department_id = d.id AND l.cancelled_at IS NULL
             WHERE d.deleted_at IS NOT NULL LIMIT $1
         ) AS slice WHERE link.tenant_id = slice.tenant_id AND link.id = slice.id",
        LINKS_AT_ONCE
    )
    .execute(store.system())
    .await?;
    Ok(done.rows_affected())
}
