//! Owns the rows of departments, and the settings their queues obey. Who serves them is
//! kept by `members`, which is a part of this.

use chrono::{DateTime, Utc};
use serde::Serialize;
use sqlx::{PgConnection, Postgres, QueryBuilder};
use utoipa::ToSchema;
use uuid::Uuid;

pub use super::department_removal::{Removal, remove, sweep_links};
use super::identifiers::free_identifier;
pub use super::members::{add as add_user, list as users, remove as remove_user, serves};
use super::name_search::push_name_like;
use super::numbers::{self, Counter};
use super::page::{SortKey, push_page};
use super::{Page, Paged, Result, Sort, Store, StoreError, Transaction, Work, lists};
use crate::domain::clock::Timestamp;
use crate::domain::department::{Mode, RoutingStrategy, Settings};
use crate::domain::ids::{DepartmentId, SectorId, TenantId};
use crate::domain::words::words;

/// A department: serialises as Voki's object and ours after it. Times are whole seconds.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct Department {
    pub id: DepartmentId,
    pub name: String,
    /// A slug, unique in the tenant.
    pub identifier: String,
    pub description: Option<String>,
    pub active: bool,
    pub sector_id: Option<SectorId>,
    /// Null is without limit.
    pub max_queue_size: Option<u32>,
    /// Seconds until whoever waits is let go; null is never.
    pub max_wait_time: Option<u32>,
    pub user_count: i64,
    pub inserted_at: Timestamp,
    pub updated_at: Timestamp,
    /// Unique in the tenant, from 1.
    pub number: i64,
    pub offer_timeout_seconds: u32,
    pub wrap_up_seconds: u32,
    pub reconnect_grace_seconds: u32,
    pub routing_strategy: RoutingStrategy,
    pub mode: Mode,
    /// From -10 to 10; each step is worth a minute of waiting.
    pub weight: i8,
    /// Who is answered within so many seconds is answered in time.
    pub service_level_seconds: u32,
}

impl Department {
    /// What its queue obeys.
    pub fn settings(&self) -> Settings {
        Settings {
            department_id: self.id,
            name: self.name.as_str().into(),
            active: self.active,
            max_queue_size: self.max_queue_size,
            max_wait_seconds: self.max_wait_time,
            offer_timeout_seconds: self.offer_timeout_seconds,
            wrap_up_seconds: self.wrap_up_seconds,
            reconnect_grace_seconds: self.reconnect_grace_seconds,
            routing_strategy: self.routing_strategy,
            mode: self.mode,
            weight: self.weight,
            service_level_seconds: self.service_level_seconds,
            // The server's, which are not stored: whoever starts the queue puts its own in.
            rules: Default::default(),
        }
    }
}

/// What a department is made of or changed to: what is `None` stays, or takes its default in a new one. In what may be
/// null, `Some(None)` makes it null.
#[derive(Clone, Debug, Default)]
pub struct DepartmentChange {
    /// A new department must have one.
    pub name: Option<String>,
    /// A new department without one gets a slug of its name.
    pub identifier: Option<String>,
    pub description: Option<Option<String>>,
    pub active: Option<bool>,
    pub sector_id: Option<Option<SectorId>>,
    pub max_queue_size: Option<Option<u32>>,
    pub max_wait_time: Option<Option<u32>>,
    pub offer_timeout_seconds: Option<u32>,
    pub wrap_up_seconds: Option<u32>,
    pub reconnect_grace_seconds: Option<u32>,
    pub routing_strategy: Option<RoutingStrategy>,
    pub mode: Option<Mode>,
    pub weight: Option<i8>,
    pub service_level_seconds: Option<u32>,
}

words! {
    /// What departments may be sorted by.
    #[derive(Default)]
    DepartmentSort {
        #[default]
        Name = "name",
        Identifier = "identifier",
        InsertedAt = "inserted_at",
    }
}

/// A row of `departments` as it is read; [`Department`] is what it says.
#[derive(sqlx::FromRow)]
struct DepartmentRow {
    id: Uuid,
    number: i64,
    name: String,
    identifier: String,
    description: Option<String>,
    active: bool,
    sector_id: Option<Uuid>,
    max_queue_size: Option<i32>,
    max_wait_time: Option<i32>,
    offer_timeout_seconds: i32,
    wrap_up_seconds: i32,
    reconnect_grace_seconds: i32,
    routing_strategy: String,
    mode: String,
    weight: i16,
    service_level_seconds: i32,
    user_count: i64,
    inserted_at: DateTime<Utc>,
    updated_at: DateTime<Utc>,
}

impl TryFrom<DepartmentRow> for Department {
    type Error = StoreError;

    fn try_from(row: DepartmentRow) -> Result<Self> {
        let corrupt = |column| StoreError::Corrupt { table: "departments", column, row: row.id.to_string() };
        Ok(Self {
            routing_strategy: RoutingStrategy::parse(&row.routing_strategy)
                .ok_or_else(|| corrupt("routing_strategy"))?,
            mode: Mode::parse(&row.mode).ok_or_else(|| corrupt("mode"))?,
            weight: i8::try_from(row.weight).map_err(|_| corrupt("weight"))?,
            service_level_seconds: row.service_level_seconds.unsigned_abs(),
            id: DepartmentId(row.id),
            number: row.number,
            name: row.name,
            identifier: row.identifier,
            description: row.description,
            active: row.active,
            sector_id: row.sector_id.map(SectorId),
            // The table holds none of them below zero.
            max_queue_size: row.max_queue_size.map(i32::unsigned_abs),
            max_wait_time: row.max_wait_time.map(i32::unsigned_abs),
            offer_timeout_seconds: row.offer_timeout_seconds.unsigned_abs(),
            wrap_up_seconds: row.wrap_up_seconds.unsigned_abs(),
            reconnect_grace_seconds: row.reconnect_grace_seconds.unsigned_abs(),
            user_count: row.user_count,
            inserted_at: row.inserted_at.into(),
            updated_at: row.updated_at.into(),
        })
    }
}

/// A number of seconds or of calls as the table keeps it; what is larger than it can keep is its largest.
fn stored(number: u32) -> i32 {
    i32::try_from(number).unwrap_or(i32::MAX)
}

/// One page of departments; `search` is part of a name.
pub async fn list(
    store: &Store,
    tenant: TenantId,
    search: Option<&str>,
    active: Option<bool>,
    sort: Sort<DepartmentSort>,
    page: Page,
) -> Result<Paged<Department>> {
    let narrow = |query: &mut QueryBuilder<Postgres>| {
        query.push(" FROM departments d WHERE d.deleted_at IS NULL AND d.tenant_id = ").push_bind(tenant.0);
        if let Some(search) = search {
            query.push(" AND ");
            push_name_like(query, "d.name", search);
        }
        if let Some(active) = active {
            query.push(" AND d.active = ").push_bind(active);
        }
    };
    let order = match sort.field {
        DepartmentSort::Name => SortKey::Filled("lower(d.name) COLLATE vez_names"),
        DepartmentSort::Identifier => SortKey::Filled("d.identifier"),
        DepartmentSort::InsertedAt => SortKey::Filled("d.inserted_at"),
    };
    let mut count = QueryBuilder::new("SELECT count(*)");
    narrow(&mut count);
    let mut query = QueryBuilder::new(
        "SELECT d.id, d.number, d.name, d.identifier, d.description, d.active, d.sector_id, d.max_queue_size, \
         d.max_wait_time, d.offer_timeout_seconds, d.wrap_up_seconds, d.reconnect_grace_seconds, d.routing_strategy, \
         d.mode, d.weight, d.service_level_seconds, d.inserted_at, d.updated_at, \
         (SELECT count(*) FROM department_users m WHERE m.tenant_id = d.tenant_id \
         AND m.department_id = d.id) AS user_count",
    );
    narrow(&mut query);
    push_page(&mut query, order, sort.order, "d.id", page);
    lists::read::<DepartmentRow>(store, tenant, page, count, query).await?.try_map(Department::try_from)
}

/// The department with this id.
pub async fn find(store: &Store, tenant: TenantId, department: DepartmentId) -> Result<Option<Department>> {
    let mut tx = store.tenant_tx(tenant).await?;
    read(&mut tx, tenant, department, false).await
}

async fn read(
    tx: &mut PgConnection,
    tenant: TenantId,
    department: DepartmentId,
    even_deleted: bool,
) -> Result<Option<Department>> {
    let row = sqlx::query_as!(
        DepartmentRow,
        "SELECT d.id, d.number, d.name, d.identifier, d.description, d.active, d.sector_id, d.max_queue_size, d.max_wait_time,
                d.offer_timeout_seconds, d.wrap_up_seconds, d.reconnect_grace_seconds, d.routing_strategy, d.mode, d.weight,
                d.service_level_seconds, d.inserted_at, d.updated_at,
                (SELECT count(*) FROM department_users m
                 WHERE m.tenant_id = d.tenant_id AND m.department_id = d.id) AS \"user_count!\"
         FROM departments d WHERE d.tenant_id = $1 AND d.id = $2 AND ($3 OR d.deleted_at IS NULL)",
        tenant.0,
        department.0,
        even_deleted
    )
    .fetch_optional(tx)
    .await?;
    row.map(Department::try_from).transpose()
}

/// Makes a department. A given identifier that is taken is a `Conflict` of `departments_identifier_key`; a generated one
/// that is taken gets the department's number behind it.
pub async fn create(work: &mut Work, id: DepartmentId, new: DepartmentChange) -> Result<Department> {
    let (tenant, now) = (work.tenant, work.now);
    // Taking the number locks the tenant's counters, so no other department takes a generated identifier meanwhile.
    let number = numbers::take(work.tx(), tenant, Counter::Department, 1).await?;
    let name = new.name.unwrap_or_default();
    let identifier = match new.identifier {
        Some(identifier) => identifier,
        None => free_identifier(work, &name, number).await?,
    };
    let default = Settings::new(id, &name);
    sqlx::query!(
        "INSERT INTO departments (tenant_id, id, number, name, identifier, description, active, sector_id, max_queue_size,
                                  max_wait_time, offer_timeout_seconds, wrap_up_seconds, reconnect_grace_seconds,
                                  routing_strategy, mode, weight, service_level_seconds, inserted_at, updated_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $18)",
        tenant.0,
        id.0,
        number,
        name,
        identifier,
        new.description.flatten(),
        new.active.unwrap_or(default.active),
        new.sector_id.flatten().map(|sector| sector.0),
        new.max_queue_size.flatten().map(stored),
        new.max_wait_time.flatten().map(stored),
        stored(new.offer_timeout_seconds.unwrap_or(default.offer_timeout_seconds)),
        stored(new.wrap_up_seconds.unwrap_or(default.wrap_up_seconds)),
        stored(new.reconnect_grace_seconds.unwrap_or(default.reconnect_grace_seconds)),
        new.routing_strategy.unwrap_or(default.routing_strategy).as_str(),
        new.mode.unwrap_or(default.mode).as_str(),
        i16::from(new.weight.unwrap_or(default.weight)),
        stored(new.service_level_seconds.unwrap_or(default.service_level_seconds)),
        now.to_utc()
    )
    .execute(work.tx())
    .await?;
    read(work.tx(), tenant, id, false).await?.ok_or(StoreError::Corrupt {
        table: "departments",
        column: "id",
        row: id.to_string(),
    })
}

/// Changes what is given; `None` when there is no such department.
pub async fn update(work: &mut Work, department: DepartmentId, change: DepartmentChange) -> Result<Option<Department>> {
    let (tenant, now) = (work.tenant, work.now);
    // What may become null needs a second parameter that says whether it was given at all.
    sqlx::query!(
        "UPDATE departments SET
             name = COALESCE($3, name),
             identifier = COALESCE($4, identifier),
             description = CASE WHEN $5 THEN $6 ELSE description END,
             active = COALESCE($7, active),
             sector_id = CASE WHEN $8 THEN $9 ELSE sector_id END,
             max_queue_size = CASE WHEN $10 THEN $11 ELSE max_queue_size END,
             max_wait_time = CASE WHEN $12 THEN $13 ELSE max_wait_time END,
             offer_timeout_seconds = COALESCE($14, offer_timeout_seconds),
             wrap_up_seconds = COALESCE($15, wrap_up_seconds),
             reconnect_grace_seconds = COALESCE($16, reconnect_grace_seconds),
             routing_strategy = COALESCE($17, routing_strategy),
             mode = COALESCE($18, mode),
             weight = COALESCE($19, weight),
             service_level_seconds = COALESCE($20, service_level_seconds),
             updated_at = $21
         WHERE tenant_id = $1 AND id = $2 AND deleted_at IS NULL",
        tenant.0,
        department.0,
        change.name,
        change.identifier,
        change.description.is_some(),
        change.description.flatten(),
        change.active,
        change.sector_id.is_some(),
        change.sector_id.flatten().map(|sector| sector.0),
        change.max_queue_size.is_some(),
        change.max_queue_size.flatten().map(stored),
        change.max_wait_time.is_some(),
        change.max_wait_time.flatten().map(stored),
        change.offer_timeout_seconds.map(stored),
        change.wrap_up_seconds.map(stored),
        change.reconnect_grace_seconds.map(stored),
        change.routing_strategy.map(RoutingStrategy::as_str),
        change.mode.map(Mode::as_str),
        change.weight.map(i16::from),
        change.service_level_seconds.map(stored),
        now.to_utc()
    )
    .execute(work.tx())
    .await?;
    read(work.tx(), tenant, department, false).await
}

/// Whether it is active, locked until the work is over; `None` when there is no such department.
pub async fn is_active(work: &mut Work, department: DepartmentId) -> Result<Option<bool>> {
    let tenant = work.tenant;
    let active = sqlx::query_scalar!(
        "SELECT active FROM departments WHERE tenant_id = $1 AND id = $2 AND deleted_at IS NULL FOR NO KEY UPDATE",
        tenant.0,
        department.0
    );
    Ok(active.fetch_optional(work.tx()).await?)
}

/// What the department's queue obeys.
pub async fn settings(store: &Store, tenant: TenantId, department: DepartmentId) -> Result<Option<Settings>> {
    Ok(find(store, tenant, department).await?.map(|department| department.settings()))
}

/// What every queue of the tenant obeys, those of deleted departments that still have a call among them; in a transaction of
/// that tenant.
pub(super) async fn all_settings(tx: &mut Transaction, tenant: TenantId) -> Result<Vec<Settings>> {
    let rows = sqlx::query_as!(
        DepartmentRow,
        "SELECT d.id, d.number, d.name, d.identifier, d.description, d.active, d.sector_id, d.max_queue_size, d.max_wait_time,
                d.offer_timeout_seconds, d.wrap_up_seconds, d.reconnect_grace_seconds, d.routing_strategy, d.mode, d.weight,
                d.service_level_seconds, d.inserted_at, d.updated_at,
                0::bigint AS \"user_count!\"
         FROM departments d
         WHERE d.tenant_id = $1 AND (d.deleted_at IS NULL OR EXISTS (
             SELECT FROM calls c WHERE c.tenant_id = d.tenant_id AND c.department_id = d.id AND c.open))
         ORDER BY d.number",
        tenant.0
    )
    .fetch_all(&mut **tx)
    .await?;
    rows.into_iter().map(|row| Ok(Department::try_from(row)?.settings())).collect()
}

/// What one queue obeys, in a transaction of its tenant.
pub(super) async fn settings_in(
    tx: &mut Transaction,
    tenant: TenantId,
    department: DepartmentId,
) -> Result<Option<Settings>> {
    // A call that was on its way into a department while that was deleted still has to come to its end.
    Ok(read(tx, tenant, department, true).await?.map(|department| department.settings()))
}
