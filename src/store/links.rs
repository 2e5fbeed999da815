//! Owns the rows of access links. Using one up is part of the record (`record`), never done here.

use chrono::{DateTime, Utc};
use serde::Serialize;
use sqlx::{Postgres, QueryBuilder};
use uuid::Uuid;

use super::page::push_page;
use super::{Page, Paged, Result, Sort, Store, Transaction};
use crate::domain::call::{PRIORITY_MAX, words};
use crate::domain::clock::Timestamp;
use crate::domain::ids::{CallId, DepartmentId, LinkId, TenantId};

words! {
    /// Voki's link statuses, derived from the row and the time.
    LinkStatus {
        Active = "active",
        Used = "used",
        Expired = "expired",
        Cancelled = "cancelled",
    }
}

/// An access link: serialises as Voki's object (less `url`, which only the route knows) and ours after it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Link {
    pub id: LinkId,
    pub token: String,
    pub status: LinkStatus,
    pub department_id: DepartmentId,
    pub department_name: String,
    pub customer_name: Option<String>,
    pub customer_email: Option<String>,
    pub customer_phone: Option<String>,
    pub expires_at: Option<Timestamp>,
    pub used_at: Option<Timestamp>,
    pub inserted_at: Timestamp,
    pub single_use: bool,
    /// 0 to 10; calls through this link get it.
    pub priority: u8,
    pub required_skills: Vec<String>,
    /// The call that used a single-use link up.
    pub call_id: Option<CallId>,
}

/// What a new link is made of.
#[derive(Clone, Debug)]
pub struct NewLink {
    pub id: LinkId,
    pub token: String,
    pub department_id: DepartmentId,
    pub customer_name: Option<String>,
    pub customer_email: Option<String>,
    pub customer_phone: Option<String>,
    pub expires_at: Option<Timestamp>,
    pub single_use: bool,
    pub priority: u8,
    pub required_skills: Vec<String>,
}

/// Which links a list shows.
#[derive(Clone, Debug, Default)]
pub struct LinkFilter {
    pub status: Option<LinkStatus>,
    pub department_id: Option<DepartmentId>,
}

words! {
    /// What links may be sorted by.
    #[derive(Default)]
    LinkSort {
        #[default]
        InsertedAt = "inserted_at",
        ExpiresAt = "expires_at",
        CustomerName = "customer_name",
    }
}

/// A row of `access_links` as it is read; [`Link`] is what it says at a given time.
#[derive(sqlx::FromRow)]
struct LinkRow {
    id: Uuid,
    token: String,
    department_id: Uuid,
    department_name: String,
    customer_name: Option<String>,
    customer_email: Option<String>,
    customer_phone: Option<String>,
    expires_at: Option<DateTime<Utc>>,
    used_at: Option<DateTime<Utc>>,
    cancelled_at: Option<DateTime<Utc>>,
    single_use: bool,
    priority: i16,
    required_skills: Vec<String>,
    call_id: Option<Uuid>,
    inserted_at: DateTime<Utc>,
}

impl LinkRow {
    fn at(self, now: Timestamp) -> Link {
        let expires_at = self.expires_at.map(Timestamp::from);
        let status = if self.cancelled_at.is_some() {
            LinkStatus::Cancelled
        } else if self.used_at.is_some() {
            LinkStatus::Used
        } else if expires_at.is_some_and(|at| at <= now) {
            LinkStatus::Expired
        } else {
            LinkStatus::Active
        };
        Link {
            id: LinkId(self.id),
            token: self.token,
            status,
            department_id: DepartmentId(self.department_id),
            department_name: self.department_name,
            customer_name: self.customer_name,
            customer_email: self.customer_email,
            customer_phone: self.customer_phone,
            expires_at,
            used_at: self.used_at.map(Timestamp::from),
            inserted_at: self.inserted_at.into(),
            single_use: self.single_use,
            // The table holds 0 to 10 only.
            priority: self.priority.unsigned_abs().min(u16::from(PRIORITY_MAX)) as u8,
            required_skills: self.required_skills,
            call_id: self.call_id.map(CallId),
        }
    }
}

/// One page of links, with their status at `now`.
pub async fn list(
    store: &Store,
    tenant: TenantId,
    filter: &LinkFilter,
    sort: Sort<LinkSort>,
    page: Page,
    now: Timestamp,
) -> Result<Paged<Link>> {
    let narrow = |query: &mut QueryBuilder<Postgres>| {
        query.push(
            " FROM access_links l JOIN departments d ON d.tenant_id = l.tenant_id AND d.id = l.department_id \
             WHERE l.tenant_id = ",
        );
        query.push_bind(tenant.0);
        if let Some(department) = filter.department_id {
            query.push(" AND l.department_id = ").push_bind(department.0);
        }
        // The same order of precedence as `LinkRow::at`.
        match filter.status {
            None => {}
            Some(LinkStatus::Cancelled) => {
                query.push(" AND l.cancelled_at IS NOT NULL");
            }
            Some(LinkStatus::Used) => {
                query.push(" AND l.cancelled_at IS NULL AND l.used_at IS NOT NULL");
            }
            Some(LinkStatus::Expired) => {
                query.push(" AND l.cancelled_at IS NULL AND l.used_at IS NULL AND l.expires_at <= ");
                query.push_bind(now.to_utc());
            }
            Some(LinkStatus::Active) => {
                query.push(
                    " AND l.cancelled_at IS NULL AND l.used_at IS NULL AND (l.expires_at IS NULL OR l.expires_at > ",
                );
                query.push_bind(now.to_utc()).push(")");
            }
        }
    };
    let order = match sort.field {
        LinkSort::InsertedAt => "l.inserted_at",
        LinkSort::ExpiresAt => "l.expires_at",
        LinkSort::CustomerName => "lower(l.customer_name)",
    };
    let mut tx = store.tenant_tx(tenant).await?;
    let mut count = QueryBuilder::new("SELECT count(*)");
    narrow(&mut count);
    let total_count = count.build_query_scalar().fetch_one(&mut *tx).await?;
    let mut query = QueryBuilder::new(
        "SELECT l.id, l.token, l.department_id, d.name AS department_name, l.customer_name, l.customer_email, \
         l.customer_phone, l.expires_at, l.used_at, l.cancelled_at, l.single_use, l.priority, l.required_skills, \
         l.call_id, l.inserted_at",
    );
    narrow(&mut query);
    push_page(&mut query, order, sort.order, "l.id", page);
    let rows: Vec<LinkRow> = query.build_query_as().fetch_all(&mut *tx).await?;
    Ok(Paged { items: rows.into_iter().map(|row| row.at(now)).collect(), page, total_count })
}

/// The link with this id.
pub async fn find(store: &Store, tenant: TenantId, link: LinkId, now: Timestamp) -> Result<Option<Link>> {
    let mut tx = store.tenant_tx(tenant).await?;
    read(&mut tx, tenant, link, now).await
}

async fn read(tx: &mut Transaction, tenant: TenantId, link: LinkId, now: Timestamp) -> Result<Option<Link>> {
    let row = sqlx::query_as!(
        LinkRow,
        "SELECT l.id, l.token, l.department_id, d.name AS department_name, l.customer_name, l.customer_email,
                l.customer_phone, l.expires_at, l.used_at, l.cancelled_at, l.single_use, l.priority, l.required_skills,
                l.call_id, l.inserted_at
         FROM access_links l JOIN departments d ON d.tenant_id = l.tenant_id AND d.id = l.department_id
         WHERE l.tenant_id = $1 AND l.id = $2",
        tenant.0,
        link.0
    )
    .fetch_optional(&mut **tx)
    .await?;
    Ok(row.map(|row| row.at(now)))
}

/// Makes a link; `None` when there is no such department. A token that is taken is a `Conflict` of
/// `access_links_token_key`.
pub async fn create(store: &Store, tenant: TenantId, new: NewLink, now: Timestamp) -> Result<Option<Link>> {
    let mut tx = store.tenant_tx(tenant).await?;
    sqlx::query!(
        "INSERT INTO access_links (tenant_id, id, token, department_id, customer_name, customer_email, customer_phone,
                                   expires_at, single_use, priority, required_skills, inserted_at)
         SELECT tenant_id, $3, $4, id, $5, $6, $7, $8, $9, $10, $11, $12 FROM departments WHERE tenant_id = $1 AND id = $2",
        tenant.0,
        new.department_id.0,
        new.id.0,
        new.token,
        new.customer_name,
        new.customer_email,
        new.customer_phone,
        new.expires_at.map(Timestamp::to_utc),
        new.single_use,
        i16::from(new.priority),
        &new.required_skills,
        now.to_utc()
    )
    .execute(&mut *tx)
    .await?;
    let link = read(&mut tx, tenant, new.id, now).await?;
    tx.commit().await?;
    Ok(link)
}

/// Cancels a link unless it was used up; the link as it is then, `None` when there is none.
pub async fn cancel(store: &Store, tenant: TenantId, link: LinkId, now: Timestamp) -> Result<Option<Link>> {
    let mut tx = store.tenant_tx(tenant).await?;
    sqlx::query!(
        "UPDATE access_links SET cancelled_at = COALESCE(cancelled_at, $3)
         WHERE tenant_id = $1 AND id = $2 AND used_at IS NULL",
        tenant.0,
        link.0,
        now.to_utc()
    )
    .execute(&mut *tx)
    .await?;
    let link = read(&mut tx, tenant, link, now).await?;
    tx.commit().await?;
    Ok(link)
}

/// The link with this token, whoever's it is: the one way from a token to its tenant.
pub async fn by_token(store: &Store, token: &str, now: Timestamp) -> Result<Option<(TenantId, Link)>> {
    let tenant = sqlx::query_scalar!("SELECT vez_tenant_of_link($1)", token).fetch_one(store.app()).await?;
    let Some(tenant) = tenant.map(TenantId) else { return Ok(None) };
    let mut tx = store.tenant_tx(tenant).await?;
    let row = sqlx::query_as!(
        LinkRow,
        "SELECT l.id, l.token, l.department_id, d.name AS department_name, l.customer_name, l.customer_email,
                l.customer_phone, l.expires_at, l.used_at, l.cancelled_at, l.single_use, l.priority, l.required_skills,
                l.call_id, l.inserted_at
         FROM access_links l JOIN departments d ON d.tenant_id = l.tenant_id AND d.id = l.department_id
         WHERE l.tenant_id = $1 AND l.token = $2",
        tenant.0,
        token
    )
    .fetch_optional(&mut *tx)
    .await?;
    Ok(row.map(|row| (tenant, row.at(now))))
}
