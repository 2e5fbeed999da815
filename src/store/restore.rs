//! Owns reading back what queues and tenants are rebuilt from. It judges nothing: whoever restores moves the deadlines.

use std::collections::HashMap;

use uuid::Uuid;

use super::restore_rows::{SnapshotRow, StoredAgent};
use super::tenants::Company;
use super::{Result, Store, Transaction, departments, rollups, tenants};
use crate::domain::agent::AgentSnapshot;
use crate::domain::call::CallSnapshot;
use crate::domain::clock::Timestamp;
use crate::domain::department::Settings;
use crate::domain::ids::{CallId, DepartmentId, GrantId, TenantId, UserId};
use crate::domain::measures::Answers;
use crate::domain::role::Role;

/// How many finished calls the estimate of handling times is based on.
pub const HANDLE_SAMPLES: i64 = 50;

/// What a tenant is rebuilt from.
#[derive(Clone, Debug)]
pub struct TenantState {
    pub company: Company,
    pub departments: Vec<Settings>,
    /// Every active user, and whoever else still has a call.
    pub agents: Vec<AgentRow>,
    /// The latest join: the next is not before it.
    pub joined_at_max: Option<Timestamp>,
    /// Of the calls that joined each department since the company's midnight.
    pub today: HashMap<DepartmentId, Answers>,
}

/// What one agent is rebuilt from.
#[derive(Clone, Debug)]
pub struct AgentRow {
    pub user_id: UserId,
    pub name: String,
    pub role: Role,
    /// A deactivated one is kept until his calls have gone on.
    pub active: bool,
    pub capacity: u8,
    pub skills: Vec<String>,
    pub department_ids: Vec<DepartmentId>,
    /// `None` when the agent never had a status.
    pub snapshot: Option<AgentSnapshot>,
    /// The assigned and active calls he holds, by the grant he holds each by.
    pub running: Vec<(GrantId, CallId, DepartmentId)>,
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
    /// Of the calls that joined since the day began.
    pub today: Answers,
}

/// The tenants that must run at once: those with an open call or a wrap-up that ends after `now`.
pub async fn tenants_to_restore(store: &Store, now: Timestamp) -> Result<Vec<TenantId>> {
    let ids = sqlx::query_scalar!(
        "SELECT tenant_id AS \"tenant_id!\" FROM calls WHERE open
         UNION SELECT tenant_id FROM calls WHERE wrap_up_ends_at > $1
         UNION SELECT tenant_id FROM agents WHERE wrap_up_until > $1",
        now.to_utc()
    )
    .fetch_all(store.system())
    .await?;
    Ok(ids.into_iter().map(TenantId).collect())
}

/// Every open call of a tenant and the department it is in.
pub async fn open_call_ids(store: &Store, tenant: TenantId) -> Result<Vec<(CallId, DepartmentId)>> {
    let mut tx = store.tenant_tx(tenant).await?;
    let rows = sqlx::query!("SELECT id, department_id FROM calls WHERE tenant_id = $1 AND open", tenant.0)
        .fetch_all(&mut *tx)
        .await?;
    Ok(rows.into_iter().map(|row| (CallId(row.id), DepartmentId(row.department_id))).collect())
}

/// A tenant as of `now`, with wrap-ups that end after `since`; `None` when there is none.
pub async fn tenant(store: &Store, tenant: TenantId, since: Timestamp, now: Timestamp) -> Result<Option<TenantState>> {
    let mut tx = store.tenant_tx(tenant).await?;
    let Some(company) = tenants::read(&mut tx, tenant).await? else { return Ok(None) };
    let departments = departments::all_settings(&mut tx, tenant).await?;
    let agents = agents(&mut tx, tenant, None, since).await?;
    let today = rollups::answers_of_day(&mut tx, tenant, None, now).await?;
    let joined_at_max = sqlx::query_scalar!("SELECT max(inserted_at) FROM calls WHERE tenant_id = $1", tenant.0)
        .fetch_one(&mut *tx)
        .await?
        .map(Timestamp::from);
    Ok(Some(TenantState { company, departments, agents, joined_at_max, today }))
}

/// One agent of a tenant; `None` when there is no such user or he is not active.
pub async fn agent(store: &Store, tenant: TenantId, user: UserId, now: Timestamp) -> Result<Option<AgentRow>> {
    let mut tx = store.tenant_tx(tenant).await?;
    Ok(agents(&mut tx, tenant, Some(user), now).await?.pop().filter(|agent| agent.active))
}

/// A queue, with counts since `day_start` (the company's midnight); `None` when there is no such department.
pub async fn queue(
    store: &Store,
    tenant: TenantId,
    department: DepartmentId,
    day_start: Timestamp,
) -> Result<Option<QueueState>> {
    let mut tx = store.tenant_tx(tenant).await?;
    let Some(settings) = departments::settings_in(&mut tx, tenant, department).await? else { return Ok(None) };
    let calls = open_calls(&mut tx, tenant, department).await?;
    let handle_seconds = sqlx::query_scalar!(
        "SELECT extract(epoch FROM COALESCE(wrap_up_ends_at, completed_at) - started_at)::bigint AS \"seconds!\"
         FROM calls
         WHERE tenant_id = $1 AND department_id = $2 AND completed_at IS NOT NULL AND started_at IS NOT NULL
               AND status = 'completed'
         ORDER BY completed_at DESC LIMIT $3",
        tenant.0,
        department.0,
        HANDLE_SAMPLES
    )
    .fetch_all(&mut *tx)
    .await?;
    let mut today = rollups::answers_of_day(&mut tx, tenant, Some(department), day_start).await?;
    let today = today.remove(&department).unwrap_or_default();
    Ok(Some(QueueState { settings, calls, handle_seconds, today }))
}

/// Of these calls, those that are open, in whatever department.
pub async fn open_calls_of(store: &Store, tenant: TenantId, calls: &[CallId]) -> Result<Vec<CallSnapshot>> {
    let ids: Vec<Uuid> = calls.iter().map(|call| call.0).collect();
    let mut tx = store.tenant_tx(tenant).await?;
    let rows = sqlx::query_as!(
        SnapshotRow,
        "SELECT c.id, c.number, c.department_id, c.link_id, c.customer_id, c.customer_name, c.customer_email,
                c.customer_phone, c.reason, c.priority, c.requirements, c.join_key, c.inserted_at, c.phase, c.end_reason,
                c.user_id, u.name AS \"user_name?\", c.grant_id, c.assigned_at, c.accepted_at, c.started_at,
                c.completed_at, c.wrap_up_ends_at, c.exclusions, c.last_offer, c.ranked_at, c.transfer, c.connected,
                c.service_level_seconds, c.estimated_wait_seconds, c.estimated_wait_p90_seconds,
                c.updated_at, c.version
         FROM calls c LEFT JOIN users u ON u.tenant_id = c.tenant_id AND u.id = c.user_id
         WHERE c.tenant_id = $1 AND c.id = ANY($2) AND c.open",
        tenant.0,
        &ids
    )
    .fetch_all(&mut *tx)
    .await?;
    rows.into_iter().map(CallSnapshot::try_from).collect()
}

async fn open_calls(tx: &mut Transaction, tenant: TenantId, department: DepartmentId) -> Result<Vec<CallSnapshot>> {
    let rows = sqlx::query_as!(
        SnapshotRow,
        "SELECT c.id, c.number, c.department_id, c.link_id, c.customer_id, c.customer_name, c.customer_email,
                c.customer_phone, c.reason, c.priority, c.requirements, c.join_key, c.inserted_at, c.phase, c.end_reason,
                c.user_id, u.name AS \"user_name?\", c.grant_id, c.assigned_at, c.accepted_at, c.started_at,
                c.completed_at, c.wrap_up_ends_at, c.exclusions, c.last_offer, c.ranked_at, c.transfer, c.connected,
                c.service_level_seconds, c.estimated_wait_seconds, c.estimated_wait_p90_seconds, c.updated_at, c.version
         FROM calls c LEFT JOIN users u ON u.tenant_id = c.tenant_id AND u.id = c.user_id
         WHERE c.tenant_id = $1 AND c.department_id = $2 AND c.open ORDER BY c.number",
        tenant.0,
        department.0
    )
    .fetch_all(&mut **tx)
    .await?;
    rows.into_iter().map(CallSnapshot::try_from).collect()
}

/// Every active user and whoever has a call as an agent, or the one that is asked for.
async fn agents(tx: &mut Transaction, tenant: TenantId, user: Option<UserId>, now: Timestamp) -> Result<Vec<AgentRow>> {
    let rows = sqlx::query_as!(
        StoredAgent,
        "SELECT u.id, u.name, u.role, u.active, u.capacity, u.skills,
                ARRAY(SELECT m.department_id FROM department_users m
                      WHERE m.tenant_id = u.tenant_id AND m.user_id = u.id ORDER BY m.department_id)
                    AS \"department_ids!\",
                a.status AS \"status?\", a.pause_reason, a.status_since AS \"status_since?\", a.after_call_status,
                a.after_call_reason, a.held_cause, a.held_since, a.misses AS \"misses?\", a.leased AS \"leased?\", a.wrap_ups,
                a.idle AS \"idle?\", a.rotation AS \"rotation?\", a.calls_today AS \"calls_today?\",
                a.updated_at AS \"updated_at?\", a.version AS \"version?\"
         FROM users u LEFT JOIN agents a ON a.tenant_id = u.tenant_id AND a.user_id = u.id
         WHERE u.tenant_id = $1 AND ($2::uuid IS NULL OR u.id = $2)
               AND (u.active OR u.id IN (SELECT c.user_id FROM calls c WHERE c.tenant_id = $1 AND c.open
                                         AND c.user_id IS NOT NULL))
         ORDER BY u.number",
        tenant.0,
        user.map(|user| user.0)
    )
    .fetch_all(&mut **tx)
    .await?;
    let mut agents = rows.into_iter().map(AgentRow::try_from).collect::<Result<Vec<_>>>()?;
    let wrap_ups = sqlx::query!(
        "SELECT id, department_id, user_id AS \"user_id!\", wrap_up_ends_at AS \"wrap_up_ends_at!\" FROM calls
         WHERE tenant_id = $1 AND wrap_up_ends_at > $2 AND NOT open AND user_id IS NOT NULL
               AND ($3::uuid IS NULL OR user_id = $3)
         ORDER BY wrap_up_ends_at",
        tenant.0,
        now.to_utc(),
        user.map(|user| user.0)
    )
    .fetch_all(&mut **tx)
    .await?;
    let mut by_user: HashMap<Uuid, Vec<(CallId, DepartmentId, Timestamp)>> = HashMap::new();
    for row in wrap_ups {
        let wrap_up = (CallId(row.id), DepartmentId(row.department_id), row.wrap_up_ends_at.into());
        by_user.entry(row.user_id).or_default().push(wrap_up);
    }
    let running = sqlx::query!(
        "SELECT id, department_id, user_id AS \"user_id!\", grant_id AS \"grant_id!\" FROM calls
         WHERE tenant_id = $1 AND open AND user_id IS NOT NULL AND grant_id IS NOT NULL
               AND ($2::uuid IS NULL OR user_id = $2)
         ORDER BY grant_id",
        tenant.0,
        user.map(|user| user.0)
    )
    .fetch_all(&mut **tx)
    .await?;
    let mut running_by_user: HashMap<Uuid, Vec<(GrantId, CallId, DepartmentId)>> = HashMap::new();
    for row in running {
        let call = (GrantId(row.grant_id), CallId(row.id), DepartmentId(row.department_id));
        running_by_user.entry(row.user_id).or_default().push(call);
    }
    for agent in &mut agents {
        agent.running = running_by_user.remove(&agent.user_id.0).unwrap_or_default();
        agent.recent_wrap_ups = by_user.remove(&agent.user_id.0).unwrap_or_default();
    }
    Ok(agents)
}
