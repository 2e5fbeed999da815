//! Owns reading calls, and rating them; lists are in `call_list` and rating is in `ratings`, which are parts of this. The core's
//! columns are written by `record` alone, what staff note by `call_notes`, chat by `call_messages`.

use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use serde_json::Value;
use uuid::Uuid;

pub use super::call_list::{Attendant, CallFilter, CallSort, list};
use super::connect::tenant_by;
pub use super::ratings::{Rated, rate};
use super::{Result, Store, StoreError};
use crate::domain::call::{CallView, EndReason, Phase, Status};
use crate::domain::clock::Timestamp;
use crate::domain::ids::{CallId, CustomerId, DepartmentId, LinkId, TenantId, UserId};
use crate::domain::transfer::{Transfer, TransferView};

/// How long after its end a call may be rated and joined again, in seconds (RULES.md: 24 h).
pub const OPEN_AFTER_END_SECONDS: u64 = 24 * 60 * 60;

/// A row of `calls` with its names, as it is read; [`CallView`] is what it says.
#[derive(sqlx::FromRow)]
pub(super) struct CallRow {
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
    tenant_by(sqlx::query_scalar!("SELECT vez_tenant_of_call($1)", call.0).fetch_one(store.app())).await
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
