//! Owns reading calls, and rating them (in `ratings`, which is a part of this). The core's columns are written by `record`
//! alone, what staff note by `call_notes`, chat by `call_messages`.

use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use serde_json::Value;
use sqlx::{Postgres, QueryBuilder};
use uuid::Uuid;

use super::page::{contains_pattern, push_page};
pub use super::ratings::{Rated, rate};
use super::{Page, Paged, Result, Sort, Store, StoreError, customers};
use crate::domain::call::{CallView, EndReason, Phase, Status};
use crate::domain::clock::Timestamp;
use crate::domain::ids::{CallId, CustomerId, DepartmentId, LinkId, ProviderId, TagId, TenantId, UserId};
use crate::domain::transfer::{Transfer, TransferView};
use crate::domain::words::words;

/// How long after its end a call may be rated and joined again, in seconds (RULES.md: 24 h).
pub const OPEN_AFTER_END_SECONDS: u64 = 24 * 60 * 60;

/// Which calls a list shows; what is `None` does not narrow it.
#[derive(Clone, Debug, Default)]
pub struct CallFilter {
    pub status: Option<Status>,
    pub phase: Option<Phase>,
    pub department_id: Option<DepartmentId>,
    /// Only what an attendant may see.
    pub visible_to: Option<Attendant>,
    pub user_id: Option<UserId>,
    pub customer_id: Option<CustomerId>,
    /// Of an agent of this service provider.
    pub provider_id: Option<ProviderId>,
    pub tag_id: Option<TagId>,
    /// Joined at or after.
    pub date_from: Option<Timestamp>,
    /// Joined before.
    pub date_to: Option<Timestamp>,
    /// Part of the customer's name or address.
    pub search: Option<String>,
}

/// Whose eyes a list is for: the calls of his departments and those he took himself.
#[derive(Clone, Debug)]
pub struct Attendant {
    pub user_id: UserId,
    pub department_ids: Vec<DepartmentId>,
}

words! {
    /// What calls may be sorted by.
    #[derive(Default)]
    CallSort {
        #[default]
        InsertedAt = "inserted_at",
        StartedAt = "started_at",
        CompletedAt = "completed_at",
        CustomerName = "customer_name",
        Status = "status",
    }
}

/// A row of `calls` with its names, as it is read; [`CallView`] is what it says.
#[derive(sqlx::FromRow)]
struct CallRow {
    id: Uuid,
    status: String,
    department_id: Uuid,
    department_name: Option<String>,
    user_id: Option<Uuid>,
    user_name: Option<String>,
    customer_id: Uuid,
    customer_name: String,
    customer_email: Option<String>,
    customer_phone: Option<String>,
    rating: Option<i16>,
    rating_comment: Option<String>,
    accepted_at: Option<DateTime<Utc>>,
    started_at: Option<DateTime<Utc>>,
    completed_at: Option<DateTime<Utc>>,
    inserted_at: DateTime<Utc>,
    updated_at: DateTime<Utc>,
    number: i64,
    phase: String,
    end_reason: Option<String>,
    reason: Option<String>,
    priority: i16,
    assigned_at: Option<DateTime<Utc>>,
    link_id: Option<Uuid>,
    last_offer: Option<Value>,
    transfer: Option<Value>,
    cancel_reason: Option<String>,
}

impl TryFrom<CallRow> for CallView {
    type Error = StoreError;

    fn try_from(row: CallRow) -> Result<Self> {
        let corrupt = |column| corrupt_call(column, row.id);
        let joined_at = Timestamp::from(row.inserted_at);
        let started_at = row.started_at.map(Timestamp::from);
        let completed_at = row.completed_at.map(Timestamp::from);
        let transfer: Option<Transfer> =
            row.transfer.map(serde_json::from_value).transpose().map_err(|_| corrupt("transfer"))?;
        Ok(Self {
            status: Status::parse(&row.status).ok_or_else(|| corrupt("status"))?,
            phase: Phase::parse(&row.phase).ok_or_else(|| corrupt("phase"))?,
            end_reason: match &row.end_reason {
                Some(word) => Some(EndReason::parse(word).ok_or_else(|| corrupt("end_reason"))?),
                None => None,
            },
            priority: u8::try_from(row.priority).map_err(|_| corrupt("priority"))?,
            last_offer: row.last_offer.map(serde_json::from_value).transpose().map_err(|_| corrupt("last_offer"))?,
            id: CallId(row.id),
            department_id: DepartmentId(row.department_id),
            department_name: row.department_name.unwrap_or_default().into(),
            user_id: row.user_id.map(UserId),
            user_name: row.user_name.map(Arc::from),
            customer_id: CustomerId(row.customer_id),
            customer_name: row.customer_name.into(),
            customer_email: row.customer_email.map(Arc::from),
            customer_phone: row.customer_phone.map(Arc::from),
            duration: completed_at.zip(started_at).map(|(end, start)| end.seconds_since(start)),
            wait_time: row.accepted_at.map(|at| Timestamp::from(at).seconds_since(joined_at)),
            rating: row.rating,
            rating_comment: row.rating_comment.map(Arc::from),
            started_at,
            completed_at,
            inserted_at: joined_at,
            updated_at: row.updated_at.into(),
            protocol: row.number,
            reason: row.reason.map(Arc::from),
            assigned_at: row.assigned_at.map(Timestamp::from),
            link_id: row.link_id.map(LinkId),
            transfer: transfer.as_ref().map(TransferView::from),
            cancel_reason: row.cancel_reason.map(Arc::from),
        })
    }
}

/// The error of a stored call that says something else than we write.
pub(super) fn corrupt_call(column: &'static str, call: Uuid) -> StoreError {
    StoreError::Corrupt { table: "calls", column, row: call.to_string() }
}

/// The call as `GET /calls/:id` shows it.
pub async fn find(store: &Store, tenant: TenantId, call: CallId) -> Result<Option<CallView>> {
    let mut tx = store.tenant_tx(tenant).await?;
    let row = sqlx::query_as!(
        CallRow,
        "SELECT c.id, c.status, c.department_id, d.name AS \"department_name?\", c.user_id, u.name AS \"user_name?\", c.customer_id,
                c.customer_name, c.customer_email, c.customer_phone, c.rating, c.rating_comment, c.accepted_at, c.started_at,
                c.completed_at, c.inserted_at, c.updated_at, c.number, c.phase, c.end_reason, c.reason, c.priority,
                c.assigned_at, c.link_id, c.last_offer, c.transfer, c.cancel_reason
         FROM calls c
         LEFT JOIN departments d ON d.tenant_id = c.tenant_id AND d.id = c.department_id
         LEFT JOIN users u ON u.tenant_id = c.tenant_id AND u.id = c.user_id
         WHERE c.tenant_id = $1 AND c.id = $2",
        tenant.0,
        call.0
    )
    .fetch_optional(&mut *tx)
    .await?;
    row.map(CallView::try_from).transpose()
}

/// One page of calls.
pub async fn list(
    store: &Store,
    tenant: TenantId,
    filter: &CallFilter,
    sort: Sort<CallSort>,
    page: Page,
) -> Result<Paged<CallView>> {
    let order = match sort.field {
        CallSort::InsertedAt => "c.inserted_at",
        CallSort::StartedAt => "c.started_at",
        CallSort::CompletedAt => "c.completed_at",
        CallSort::CustomerName => "lower(c.customer_name)",
        CallSort::Status => "c.status",
    };
    let mut tx = store.tenant_tx(tenant).await?;
    let mut count = QueryBuilder::new("SELECT count(*) FROM calls c");
    narrow(&mut count, tenant, filter);
    let total_count = count.build_query_scalar().fetch_one(&mut *tx).await?;
    let mut query = QueryBuilder::new(
        "SELECT c.id, c.status, c.department_id, d.name AS department_name, c.user_id, u.name AS user_name, c.customer_id, \
         c.customer_name, c.customer_email, c.customer_phone, c.rating, c.rating_comment, c.accepted_at, c.started_at, \
         c.completed_at, c.inserted_at, c.updated_at, c.number, c.phase, c.end_reason, c.reason, c.priority, \
         c.assigned_at, c.link_id, c.last_offer, c.transfer, c.cancel_reason FROM calls c \
         LEFT JOIN departments d ON d.tenant_id = c.tenant_id AND d.id = c.department_id \
         LEFT JOIN users u ON u.tenant_id = c.tenant_id AND u.id = c.user_id",
    );
    narrow(&mut query, tenant, filter);
    push_page(&mut query, order, sort.order, "c.number", page);
    let rows: Vec<CallRow> = query.build_query_as().fetch_all(&mut *tx).await?;
    let items = rows.into_iter().map(CallView::try_from).collect::<Result<_>>()?;
    Ok(Paged { items, page, total_count })
}

fn narrow(query: &mut QueryBuilder<Postgres>, tenant: TenantId, filter: &CallFilter) {
    query.push(" WHERE c.tenant_id = ").push_bind(tenant.0);
    if let Some(status) = filter.status {
        query.push(" AND c.status = ").push_bind(status.as_str());
    }
    if let Some(phase) = filter.phase {
        query.push(" AND c.phase = ").push_bind(phase.as_str());
    }
    if let Some(department) = filter.department_id {
        query.push(" AND c.department_id = ").push_bind(department.0);
    }
    if let Some(attendant) = &filter.visible_to {
        let ids: Vec<Uuid> = attendant.department_ids.iter().map(|id| id.0).collect();
        query.push(" AND (c.department_id = ANY(").push_bind(ids);
        query.push(") OR c.user_id = ").push_bind(attendant.user_id.0).push(")");
    }
    if let Some(user) = filter.user_id {
        query.push(" AND c.user_id = ").push_bind(user.0);
    }
    if let Some(customer) = filter.customer_id {
        query.push(" AND c.customer_id");
        customers::push_is(query, tenant, customer);
    }
    if let Some(provider) = filter.provider_id {
        query.push(" AND EXISTS (SELECT FROM service_provider_users p WHERE p.tenant_id = c.tenant_id");
        query.push(" AND p.user_id = c.user_id AND p.service_provider_id = ").push_bind(provider.0).push(")");
    }
    if let Some(tag) = filter.tag_id {
        query.push(" AND EXISTS (SELECT FROM call_tags t WHERE t.tenant_id = c.tenant_id AND t.call_id = c.id");
        query.push(" AND t.tag_id = ").push_bind(tag.0).push(")");
    }
    if let Some(from) = filter.date_from {
        query.push(" AND c.inserted_at >= ").push_bind(from.to_utc());
    }
    if let Some(to) = filter.date_to {
        query.push(" AND c.inserted_at < ").push_bind(to.to_utc());
    }
    if let Some(search) = &filter.search {
        let pattern = contains_pattern(search);
        query.push(" AND (c.customer_name ILIKE ").push_bind(pattern.clone());
        query.push(" OR c.customer_email ILIKE ").push_bind(pattern).push(")");
    }
}

/// The call with this number.
pub async fn by_number(store: &Store, tenant: TenantId, number: i64) -> Result<Option<CallId>> {
    let mut tx = store.tenant_tx(tenant).await?;
    let id = sqlx::query_scalar!("SELECT id FROM calls WHERE tenant_id = $1 AND number = $2", tenant.0, number)
        .fetch_optional(&mut *tx)
        .await?;
    Ok(id.map(CallId))
}

/// The tenant of a call, and nothing else of it.
pub async fn tenant_of(store: &Store, call: CallId) -> Result<Option<TenantId>> {
    let id = sqlx::query_scalar!("SELECT vez_tenant_of_call($1)", call.0).fetch_one(store.app()).await?;
    Ok(id.map(TenantId))
}

/// The department of a call.
pub async fn department_of(store: &Store, tenant: TenantId, call: CallId) -> Result<Option<DepartmentId>> {
    let mut tx = store.tenant_tx(tenant).await?;
    let id = sqlx::query_scalar!("SELECT department_id FROM calls WHERE tenant_id = $1 AND id = $2", tenant.0, call.0)
        .fetch_optional(&mut *tx)
        .await?;
    Ok(id.map(DepartmentId))
}

/// When a call that ended before this is closed for good.
pub(super) fn closed_before(now: Timestamp) -> DateTime<Utc> {
    (now - Duration::from_secs(OPEN_AFTER_END_SECONDS)).to_utc()
}

/// The call that was joined through this link with this key, while it is open or ended less than 24 h before `now`.
pub async fn by_join_key(
    store: &Store,
    tenant: TenantId,
    link: LinkId,
    join_key_hash: &str,
    now: Timestamp,
) -> Result<Option<CallId>> {
    let mut tx = store.tenant_tx(tenant).await?;
    let id = sqlx::query_scalar!(
        // Found first and sorted after, lest a plan walks the tenant's calls from the newest on until one fits: 1 ms with an
        // empty table, 15 ms with 15,000 calls.
        "WITH found AS MATERIALIZED (
             SELECT id, number FROM calls
             WHERE tenant_id = $1 AND link_id = $2 AND join_key = $3 AND (open OR completed_at > $4)
         )
         SELECT id FROM found ORDER BY number DESC LIMIT 1",
        tenant.0,
        link.0,
        join_key_hash,
        closed_before(now)
    )
    .fetch_optional(&mut *tx)
    .await?;
    Ok(id.map(CallId))
}

/// The call that used this single-use link up, while it is open or ended less than 24 h before `now`.
pub async fn by_single_use_link(
    store: &Store,
    tenant: TenantId,
    link: LinkId,
    now: Timestamp,
) -> Result<Option<CallId>> {
    let mut tx = store.tenant_tx(tenant).await?;
    let id = sqlx::query_scalar!(
        "SELECT c.id FROM access_links l JOIN calls c ON c.tenant_id = l.tenant_id AND c.id = l.call_id
         WHERE l.tenant_id = $1 AND l.id = $2 AND l.single_use AND (c.open OR c.completed_at > $3)",
        tenant.0,
        link.0,
        closed_before(now)
    )
    .fetch_optional(&mut *tx)
    .await?;
    Ok(id.map(CallId))
}
