//! Owns the tenant's feed: facts numbered without gaps, in the order of their commits. Numbers come from the tenant's
//! counter row inside the transaction that writes the facts, so whoever read up to n has seen everything before n.

use chrono::{DateTime, Utc};
use serde::Serialize;
use serde_json::Value;
use uuid::Uuid;

use super::{Result, Store, StoreError, Transaction};
use crate::domain::clock::Timestamp;
use crate::domain::ids::{CallId, DepartmentId, TenantId, UserId};
use crate::domain::record::RecordEvent;

/// A fact as it was committed.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct StoredEvent {
    /// From 1, without gaps, per tenant.
    pub seq: i64,
    pub kind: String,
    pub at: Timestamp,
    pub call_id: Option<CallId>,
    pub department_id: Option<DepartmentId>,
    pub user_id: Option<UserId>,
    /// `Null` when there is none.
    pub data: Value,
}

/// Appends facts in the given order; the number of the first (of the next one when there are none to append). The
/// transaction must name `tenant` and append before it locks rows of calls, which is the order the record's writer locks
/// in.
pub async fn append(tx: &mut Transaction, tenant: TenantId, events: &[RecordEvent]) -> Result<i64> {
    let count = i64::try_from(events.len()).unwrap_or(i64::MAX);
    let last = sqlx::query_scalar!(
        "UPDATE tenant_counters SET event_seq = event_seq + $2 WHERE tenant_id = $1 RETURNING event_seq",
        tenant.0,
        count
    )
    .fetch_optional(&mut **tx)
    .await?;
    let Some(last) = last else {
        return Err(StoreError::Corrupt { table: "tenant_counters", column: "tenant_id", row: tenant.to_string() });
    };
    let first = last - count + 1;
    for (event, seq) in events.iter().zip(first..) {
        sqlx::query!(
            "INSERT INTO events (tenant_id, seq, kind, at, call_id, department_id, user_id, data)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
            tenant.0,
            seq,
            event.kind,
            event.at.to_utc(),
            event.call_id.map(|id| id.0),
            event.department_id.map(|id| id.0),
            event.user_id.map(|id| id.0),
            (!event.data.is_null()).then_some(&event.data) as _
        )
        .execute(&mut **tx)
        .await?;
    }
    Ok(first)
}

/// Every fact of a call, in order.
pub async fn of_call(store: &Store, tenant: TenantId, call: CallId) -> Result<Vec<StoredEvent>> {
    let mut tx = store.tenant_tx(tenant).await?;
    let rows = sqlx::query_as!(
        EventRow,
        "SELECT seq, kind, at, call_id, department_id, user_id, data FROM events
         WHERE tenant_id = $1 AND call_id = $2 ORDER BY seq",
        tenant.0,
        call.0
    )
    .fetch_all(&mut *tx)
    .await?;
    Ok(rows.into_iter().map(StoredEvent::from).collect())
}

/// Who ended a call; `None` while it is open and when nobody did it by hand.
pub async fn ended_by(store: &Store, tenant: TenantId, call: CallId) -> Result<Option<UserId>> {
    let mut tx = store.tenant_tx(tenant).await?;
    let user = sqlx::query_scalar!(
        "SELECT user_id FROM events WHERE tenant_id = $1 AND call_id = $2 AND kind = 'call_ended'
         ORDER BY seq DESC LIMIT 1",
        tenant.0,
        call.0
    )
    .fetch_optional(&mut *tx)
    .await?;
    Ok(user.flatten().map(UserId))
}

/// The facts after `seq`, in order, at most `limit`; what is no longer kept is not missed here (see `feed`).
pub(super) async fn after(
    tx: &mut sqlx::PgConnection,
    tenant: TenantId,
    seq: i64,
    limit: u32,
) -> Result<Vec<StoredEvent>> {
    let rows = sqlx::query_as!(
        EventRow,
        "SELECT seq, kind, at, call_id, department_id, user_id, data FROM events
         WHERE tenant_id = $1 AND seq > $2 ORDER BY seq LIMIT $3",
        tenant.0,
        seq,
        i64::from(limit)
    )
    .fetch_all(tx)
    .await?;
    Ok(rows.into_iter().map(StoredEvent::from).collect())
}

struct EventRow {
    seq: i64,
    kind: String,
    at: DateTime<Utc>,
    call_id: Option<Uuid>,
    department_id: Option<Uuid>,
    user_id: Option<Uuid>,
    data: Option<Value>,
}

impl From<EventRow> for StoredEvent {
    fn from(row: EventRow) -> Self {
        Self {
            seq: row.seq,
            kind: row.kind,
            at: row.at.into(),
            call_id: row.call_id.map(CallId),
            department_id: row.department_id.map(DepartmentId),
            user_id: row.user_id.map(UserId),
            data: row.data.unwrap_or(Value::Null),
        }
    }
}
