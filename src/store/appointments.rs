//! Owns reading appointments: list, show, what an agent has at a time. Making and changing them is `appointment_changes`',
//! reminders and what a call completes are `appointment_followers`', who is told is `appointment_news`'.

use chrono::{DateTime, Utc};
use serde::Serialize;
use sqlx::{PgConnection, Postgres, QueryBuilder};
use utoipa::ToSchema;
use uuid::Uuid;

use super::page::{SortKey, push_page};
use super::{Page, Paged, Result, Sort, Store, StoreError, Work, customers, lists};
use crate::domain::appointment::{AppointmentStatus, DURATION_MINUTES_MAX};
use crate::domain::clock::Timestamp;
use crate::domain::ids::{AppointmentId, CustomerId, DepartmentId, LinkId, TenantId, UserId};
use crate::domain::locale::Locale;
use crate::domain::words::words;

/// Most conflicts that are told of at once; who sees so many looks for another time anyway.
const CONFLICTS_MAX: i64 = 100;

/// An appointment: serialises as Voki's object, ours after it.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct Appointment {
    pub id: AppointmentId,
    pub title: String,
    pub description: Option<String>,
    pub status: AppointmentStatus,
    pub scheduled_at: Timestamp,
    pub duration_minutes: u32,
    pub department_id: DepartmentId,
    pub department_name: String,
    /// The agent.
    pub user_id: UserId,
    pub user_name: String,
    pub customer_id: CustomerId,
    pub customer_name: String,
    pub customer_email: Option<String>,
    pub customer_phone: Option<String>,
    pub notes: Option<String>,
    pub inserted_at: Timestamp,
    pub updated_at: Timestamp,
    /// Why it was cancelled.
    pub cancellation_reason: Option<String>,
    /// The language of what the customer is sent.
    pub locale: Locale,
    /// The access link the customer joins by.
    pub link_id: LinkId,
    /// That link's token.
    #[serde(skip)]
    pub link_token: String,
    /// How this server was called when the appointment was made.
    #[serde(skip)]
    pub base_url: String,
}

impl Appointment {
    /// The first moment that is free again.
    pub fn ends_at(&self) -> Timestamp {
        ends_at(self.scheduled_at, self.duration_minutes)
    }

    /// The page a customer joins by.
    pub fn join_url(&self) -> String {
        format!("{}/call/{}", self.base_url, self.link_token)
    }

    /// The page where he confirms or cancels, with a token of this appointment.
    pub fn page_url(&self, token: &str) -> String {
        format!("{}/api/v1/appointment/{token}", self.base_url)
    }
}

/// When an appointment is over.
pub fn ends_at(scheduled_at: Timestamp, duration_minutes: u32) -> Timestamp {
    scheduled_at.plus_seconds(u64::from(duration_minutes) * 60)
}

/// Which appointments a list shows; what is `None` does not narrow it.
#[derive(Clone, Debug, Default)]
pub struct AppointmentFilter {
    pub status: Option<AppointmentStatus>,
    /// Scheduled at or after.
    pub date_from: Option<Timestamp>,
    /// Scheduled before.
    pub date_to: Option<Timestamp>,
    pub user_id: Option<UserId>,
    pub department_id: Option<DepartmentId>,
    pub customer_id: Option<CustomerId>,
}

words! {
    /// What appointments may be sorted by.
    #[derive(Default)]
    AppointmentSort {
        #[default]
        ScheduledAt = "scheduled_at",
        InsertedAt = "inserted_at",
        Title = "title",
        CustomerName = "customer_name",
        Status = "status",
    }
}

#[derive(sqlx::FromRow)]
struct AppointmentRow {
    id: Uuid,
    title: String,
    description: Option<String>,
    status: String,
    scheduled_at: DateTime<Utc>,
    duration_minutes: i32,
    department_id: Uuid,
    department_name: String,
    user_id: Uuid,
    user_name: String,
    customer_id: Uuid,
    customer_name: String,
    customer_email: Option<String>,
    customer_phone: Option<String>,
    notes: Option<String>,
    cancellation_reason: Option<String>,
    locale: String,
    link_id: Uuid,
    link_token: Option<String>,
    base_url: String,
    inserted_at: DateTime<Utc>,
    updated_at: DateTime<Utc>,
}

impl TryFrom<AppointmentRow> for Appointment {
    type Error = StoreError;

    fn try_from(row: AppointmentRow) -> Result<Self> {
        let status = AppointmentStatus::parse(&row.status);
        Ok(Self {
            status: status.ok_or_else(|| corrupt("status", row.id))?,
            id: AppointmentId(row.id),
            title: row.title,
            description: row.description,
            scheduled_at: row.scheduled_at.into(),
            duration_minutes: row.duration_minutes.unsigned_abs(),
            department_id: DepartmentId(row.department_id),
            department_name: row.department_name,
            user_id: UserId(row.user_id),
            user_name: row.user_name,
            customer_id: CustomerId(row.customer_id),
            customer_name: row.customer_name,
            customer_email: row.customer_email,
            customer_phone: row.customer_phone,
            notes: row.notes,
            cancellation_reason: row.cancellation_reason,
            locale: Locale::closest(&row.locale),
            link_id: LinkId(row.link_id),
            link_token: row.link_token.unwrap_or_default(),
            base_url: row.base_url,
            inserted_at: row.inserted_at.into(),
            updated_at: row.updated_at.into(),
        })
    }
}

pub(super) fn corrupt(column: &'static str, row: Uuid) -> StoreError {
    StoreError::Corrupt { table: "appointments", column, row: row.to_string() }
}

/// One page of appointments.
pub async fn list(
    store: &Store,
    tenant: TenantId,
    filter: &AppointmentFilter,
    sort: Sort<AppointmentSort>,
    page: Page,
) -> Result<Paged<Appointment>> {
    let narrow = |query: &mut QueryBuilder<Postgres>| {
        query.push(" WHERE a.tenant_id = ").push_bind(tenant.0);
        if let Some(status) = filter.status {
            query.push(" AND a.status = ").push_bind(status.as_str());
        }
        if let Some(from) = filter.date_from {
            query.push(" AND a.scheduled_at >= ").push_bind(from.to_utc());
        }
        if let Some(to) = filter.date_to {
            query.push(" AND a.scheduled_at < ").push_bind(to.to_utc());
        }
        if let Some(user) = filter.user_id {
            query.push(" AND a.user_id = ").push_bind(user.0);
        }
        if let Some(department) = filter.department_id {
            query.push(" AND a.department_id = ").push_bind(department.0);
        }
        if let Some(customer) = filter.customer_id {
            query.push(" AND a.customer_id");
            customers::push_is(query, tenant, customer);
        }
    };
    let order = match sort.field {
        AppointmentSort::ScheduledAt => SortKey::Filled("a.scheduled_at"),
        AppointmentSort::InsertedAt => SortKey::Filled("a.inserted_at"),
        AppointmentSort::Title => SortKey::Filled("lower(a.title) COLLATE vez_names"),
        AppointmentSort::CustomerName => SortKey::Filled("lower(a.customer_name) COLLATE vez_names"),
        AppointmentSort::Status => SortKey::Filled("a.status"),
    };
    let mut count = QueryBuilder::new("SELECT count(*) FROM appointments a");
    narrow(&mut count);
    let mut query = QueryBuilder::new(
        "SELECT a.id, a.title, a.description, a.status, a.scheduled_at, a.duration_minutes, a.department_id, \
         d.name AS department_name, a.user_id, u.name AS user_name, a.customer_id, a.customer_name, a.customer_email, \
         a.customer_phone, a.notes, a.cancellation_reason, a.locale, a.link_id, l.token AS link_token, a.base_url, \
         a.inserted_at, a.updated_at FROM appointments a \
         JOIN departments d ON d.tenant_id = a.tenant_id AND d.id = a.department_id \
         JOIN users u ON u.tenant_id = a.tenant_id AND u.id = a.user_id \
         LEFT JOIN access_links l ON l.tenant_id = a.tenant_id AND l.id = a.link_id",
    );
    narrow(&mut query);
    push_page(&mut query, order, sort.order, "a.id", page);
    lists::read::<AppointmentRow>(store, tenant, page, count, query).await?.try_map(Appointment::try_from)
}

/// The appointment with this id.
pub async fn find(store: &Store, tenant: TenantId, id: AppointmentId) -> Result<Option<Appointment>> {
    let mut tx = store.tenant_tx(tenant).await?;
    read(&mut tx, tenant, id).await
}

pub(super) async fn read(tx: &mut PgConnection, tenant: TenantId, id: AppointmentId) -> Result<Option<Appointment>> {
    let row = sqlx::query_as!(
        AppointmentRow,
        "SELECT a.id, a.title, a.description, a.status, a.scheduled_at, a.duration_minutes, a.department_id,
                d.name AS department_name, a.user_id, u.name AS user_name, a.customer_id, a.customer_name,
                a.customer_email, a.customer_phone, a.notes, a.cancellation_reason, a.locale, a.link_id,
                l.token AS \"link_token?\", a.base_url, a.inserted_at, a.updated_at
         FROM appointments a
         JOIN departments d ON d.tenant_id = a.tenant_id AND d.id = a.department_id
         JOIN users u ON u.tenant_id = a.tenant_id AND u.id = a.user_id
         LEFT JOIN access_links l ON l.tenant_id = a.tenant_id AND l.id = a.link_id
         WHERE a.tenant_id = $1 AND a.id = $2",
        tenant.0,
        id.0
    )
    .fetch_optional(tx)
    .await?;
    row.map(Appointment::try_from).transpose()
}

/// The appointment, locked: nobody else changes it before this work is over.
pub async fn lock(work: &mut Work, id: AppointmentId) -> Result<Option<Appointment>> {
    let tenant = work.tenant;
    let there = sqlx::query_scalar!(
        "SELECT id FROM appointments WHERE tenant_id = $1 AND id = $2 FOR NO KEY UPDATE",
        tenant.0,
        id.0
    )
    .fetch_optional(work.tx())
    .await?;
    // Read only now, so that what was changed while we waited is seen.
    if there.is_some() { read(work.tx(), tenant, id).await } else { Ok(None) }
}

/// The agent's open appointments that overlap `[from, to)`, the soonest first, but for `exclude`.
pub async fn conflicts(
    store: &Store,
    tenant: TenantId,
    user: UserId,
    from: Timestamp,
    to: Timestamp,
    exclude: Option<AppointmentId>,
) -> Result<Vec<Appointment>> {
    let mut tx = store.tenant_tx(tenant).await?;
    let mut found = Vec::new();
    for id in overlapping(&mut tx, tenant, user, from, to, exclude).await? {
        found.extend(read(&mut tx, tenant, id).await?);
    }
    Ok(found)
}

/// Half-open: one that ends when the other begins does not conflict.
pub(super) async fn overlapping(
    tx: &mut PgConnection,
    tenant: TenantId,
    user: UserId,
    from: Timestamp,
    to: Timestamp,
    exclude: Option<AppointmentId>,
) -> Result<Vec<AppointmentId>> {
    // None is longer than this, so none that began before can still run: the index then reads a short stretch.
    let earliest = Timestamp::from_micros(from.micros() - i64::from(DURATION_MINUTES_MAX) * 60 * 1_000_000);
    let ids = sqlx::query_scalar!(
        "SELECT id FROM appointments
         WHERE tenant_id = $1 AND user_id = $2 AND status IN ('scheduled', 'confirmed')
           AND scheduled_at > $3 AND scheduled_at < $5 AND ends_at > $4 AND ($6::uuid IS NULL OR id <> $6)
         ORDER BY scheduled_at, id LIMIT $7",
        tenant.0,
        user.0,
        earliest.to_utc(),
        from.to_utc(),
        to.to_utc(),
        exclude.map(|id| id.0),
        CONFLICTS_MAX
    )
    .fetch_all(tx)
    .await?;
    Ok(ids.into_iter().map(AppointmentId).collect())
}
