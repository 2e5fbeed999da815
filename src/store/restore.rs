//! Owns reading back what queues and tenants are rebuilt from. It judges nothing: whoever restores moves the deadlines.

use super::connect::unwritten;
use super::tenants::Company;
use super::{Result, Store};
use crate::domain::agent::AgentSnapshot;
use crate::domain::call::CallSnapshot;
use crate::domain::clock::Timestamp;
use crate::domain::department::Settings;
use crate::domain::ids::{CallId, DepartmentId, TenantId, UserId};
use crate::domain::role::Role;

/// How many finished calls the estimate of handling times is based on.
pub const HANDLE_SAMPLES: i64 = 50;

/// An answer within this many seconds is in time (the usual 80/20 service level).
pub const IN_TIME_SECONDS: i64 = 20;

/// What a tenant is rebuilt from.
#[derive(Clone, Debug)]
pub struct TenantState {
    pub company: Company,
    pub departments: Vec<Settings>,
    /// Every active user.
    pub agents: Vec<AgentRow>,
    /// The latest join: the next is not before it.
    pub joined_at_max: Option<Timestamp>,
}

/// What one agent is rebuilt from.
#[derive(Clone, Debug)]
pub struct AgentRow {
    pub user_id: UserId,
    pub name: String,
    pub role: Role,
    pub capacity: u8,
    pub skills: Vec<String>,
    pub department_ids: Vec<DepartmentId>,
    /// `None` when the agent never had a status.
    pub snapshot: Option<AgentSnapshot>,
    /// Ended calls whose planned wrap-up ends after the time asked for, with that end.
    pub recent_wrap_ups: Vec<(CallId, DepartmentId, Timestamp)>,
}

/// What a queue is rebuilt from.
#[derive(Clone, Debug)]
pub struct QueueState {
    pub settings: Settings,
    /// Every call that has not ended, in the order of joining.
    pub calls: Vec<CallSnapshot>,
    /// Talk and wrap-up of the last completed calls, newest first, in seconds.
    pub handle_seconds: Vec<i64>,
    pub ended_today: EndedToday,
}

/// Counts of the calls that ended since the day began.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct EndedToday {
    /// Accepted within [`IN_TIME_SECONDS`].
    pub answered_in_time: i64,
    /// Accepted at all.
    pub answered: i64,
    /// Ended `missed` without having been accepted.
    pub abandoned: i64,
    /// The waits of those accepted, summed, in seconds.
    pub answered_wait_seconds: i64,
}

/// The tenants that must run at once: those with an open call or a wrap-up that ends after `now`.
pub async fn tenants_to_restore(_store: &Store, _now: Timestamp) -> Result<Vec<TenantId>> {
    Err(unwritten())
}

/// A tenant; `None` when there is none.
pub async fn tenant(_store: &Store, _tenant: TenantId, _now: Timestamp) -> Result<Option<TenantState>> {
    Err(unwritten())
}

/// One agent of a tenant; `None` when there is no such user or he is not active.
pub async fn agent(_store: &Store, _tenant: TenantId, _user: UserId, _now: Timestamp) -> Result<Option<AgentRow>> {
    Err(unwritten())
}

/// A queue, with counts since `day_start` (the company's midnight); `None` when there is no such department.
pub async fn queue(
    _store: &Store,
    _tenant: TenantId,
    _department: DepartmentId,
    _day_start: Timestamp,
) -> Result<Option<QueueState>> {
    Err(unwritten())
}

/// The departments of a tenant that have open calls.
pub async fn departments_with_open_calls(store: &Store, tenant: TenantId) -> Result<Vec<DepartmentId>> {
    let mut tx = store.tenant_tx(tenant).await?;
    let rows = sqlx::query_scalar!(
        r#"SELECT DISTINCT department_id FROM calls WHERE tenant_id = $1 AND phase <> 'ended'"#,
        tenant.0
    )
    .fetch_all(&mut *tx)
    .await?;
    Ok(rows.into_iter().map(DepartmentId).collect())
}
