//! Owns the end of a department: whether it may go, and what goes with it. Its ended calls stay, and so does its name in
//! them; that is why its row stays, too, marked as deleted and hidden everywhere else.

use super::{Result, Work};
use crate::domain::ids::{DepartmentId, LinkId, UserId};

/// What came of deleting a department.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Removal {
    /// It is gone; these people served it, and these links led to it.
    Done { members: Vec<UserId>, links: Vec<LinkId> },
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
    let links = sqlx::query_scalar!(
        "UPDATE access_links SET cancelled_at = $3
         WHERE tenant_id = $1 AND department_id = $2 AND cancelled_at IS NULL RETURNING id",
        tenant.0,
        department.0,
        now
    );
    let links = links.fetch_all(work.tx()).await?.into_iter().map(LinkId).collect();
    sqlx::query!(
        "UPDATE departments SET active = false, sector_id = NULL, deleted_at = $3, updated_at = $3 WHERE tenant_id = $1 AND id = $2",
        tenant.0,
        department.0,
        now
    )
    .execute(work.tx())
    .await?;
    Ok(Removal::Done { members, links })
}
