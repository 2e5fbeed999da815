//! Owns who serves which department. A user without a department receives no calls.

use super::users::{User, UserRow};
use super::{Page, Paged, Result, Store, Work};
use crate::domain::ids::{DepartmentId, TenantId, UserId};

/// What came of adding or removing a member.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Membership {
    Changed,
    /// It was so already.
    Unchanged,
    /// There is no such department (or provider).
    NotFound,
    /// There is no such user.
    NoUser,
}

/// One page of those who serve a department, by name; `None` when there is no such department.
pub async fn list(
    store: &Store,
    tenant: TenantId,
    department: DepartmentId,
    page: Page,
) -> Result<Option<Paged<User>>> {
    let mut tx = store.tenant_tx(tenant).await?;
    let count = sqlx::query_scalar!(
        "SELECT (SELECT count(*) FROM department_users m
                 WHERE m.tenant_id = d.tenant_id AND m.department_id = d.id) AS \"count!\"
         FROM departments d WHERE d.tenant_id = $1 AND d.id = $2 AND d.deleted_at IS NULL",
        tenant.0,
        department.0
    )
    .fetch_optional(&mut *tx)
    .await?;
    let Some(total_count) = count else { return Ok(None) };
    let rows = sqlx::query_as!(
        UserRow,
        "SELECT u.id, u.number, u.name, u.email, u.password_hash, u.role, u.active, u.avatar_url, u.mfa_enabled, u.locale,
                u.capacity, u.skills, u.inserted_at, u.updated_at
         FROM department_users m JOIN users u ON u.tenant_id = m.tenant_id AND u.id = m.user_id
         WHERE m.tenant_id = $1 AND m.department_id = $2 ORDER BY lower(u.name) COLLATE vez_names, u.id LIMIT $3 OFFSET $4",
        tenant.0,
        department.0,
        page.limit(),
        page.offset()
    )
    .fetch_all(&mut *tx)
    .await?;
    let items = rows.into_iter().map(User::try_from).collect::<Result<_>>()?;
    Ok(Some(Paged { items, page, total_count }))
}

/// Whether the user serves the department.
pub async fn serves(store: &Store, tenant: TenantId, department: DepartmentId, user: UserId) -> Result<bool> {
    let mut tx = store.tenant_tx(tenant).await?;
    Ok(sqlx::query_scalar!(
        "SELECT EXISTS (SELECT FROM department_users
                        WHERE tenant_id = $1 AND department_id = $2 AND user_id = $3) AS \"serves!\"",
        tenant.0,
        department.0,
        user.0
    )
    .fetch_one(&mut *tx)
    .await?)
}

/// Lets a user serve a department.
pub async fn add(work: &mut Work, department: DepartmentId, user: UserId) -> Result<Membership> {
    let (tenant, now) = (work.tenant, work.now);
    if let Some(missing) = missing(work, department, user).await? {
        return Ok(missing);
    }
    let done = sqlx::query!(
        "INSERT INTO department_users (tenant_id, department_id, user_id, inserted_at) VALUES ($1, $2, $3, $4)
         ON CONFLICT DO NOTHING",
        tenant.0,
        department.0,
        user.0,
        now.to_utc()
    )
    .execute(work.tx())
    .await?;
    Ok(if done.rows_affected() > 0 { Membership::Changed } else { Membership::Unchanged })
}

/// Ends a user's service of a department.
pub async fn remove(work: &mut Work, department: DepartmentId, user: UserId) -> Result<Membership> {
    let tenant = work.tenant;
    if let Some(missing) = missing(work, department, user).await? {
        return Ok(missing);
    }
    let done = sqlx::query!(
        "DELETE FROM department_users WHERE tenant_id = $1 AND department_id = $2 AND user_id = $3",
        tenant.0,
        department.0,
        user.0
    )
    .execute(work.tx())
    .await?;
    Ok(if done.rows_affected() > 0 { Membership::Changed } else { Membership::Unchanged })
}

async fn missing(work: &mut Work, department: DepartmentId, user: UserId) -> Result<Option<Membership>> {
    let tenant = work.tenant;
    // The department stays while the work lasts: it could be deleted between this look and what follows.
    let there = sqlx::query_scalar!(
        "SELECT EXISTS (SELECT FROM users WHERE tenant_id = $1 AND id = $3) AS \"user!\"
         FROM departments WHERE tenant_id = $1 AND id = $2 AND deleted_at IS NULL FOR SHARE",
        tenant.0,
        department.0,
        user.0
    );
    Ok(match there.fetch_optional(work.tx()).await? {
        None => Some(Membership::NotFound),
        Some(false) => Some(Membership::NoUser),
        Some(true) => None,
    })
}
