//! Owns the reading of one call's timeline from the tenant's feed, with the names of who acted.

use chrono::{DateTime, Utc};
use serde::Serialize;
use serde_json::Value;
use uuid::Uuid;

use super::{Page, Paged, Result, Store};
use crate::domain::clock::Timestamp;
use crate::domain::ids::{CallId, DepartmentId, TenantId, UserId};

/// A fact of a call.
#[derive(Clone, Debug, PartialEq, Serialize, utoipa::ToSchema)]
pub struct CallEvent {
    /// Its number in the company's feed.
    pub seq: i64,
    /// What happened: `call_joined`, `offer_declined`, `call_transferred` and so on.
    pub kind: String,
    pub at: Timestamp,
    /// Where the call was.
    pub department_id: Option<DepartmentId>,
    /// Whom it is about: the agent, or who acted.
    pub user_id: Option<UserId>,
    pub user_name: Option<String>,
    /// More ids, times and reasons.
    #[schema(value_type = Option<Object>)]
    pub data: Option<Value>,
}

struct Row {
    seq: i64,
    kind: String,
    at: DateTime<Utc>,
    department_id: Option<Uuid>,
    user_id: Option<Uuid>,
    user_name: Option<String>,
    data: Option<Value>,
}

/// One page of the facts of a call, in order. Which other calls an offer passed is not told here: it is about those.
pub async fn list(store: &Store, tenant: TenantId, call: CallId, page: Page) -> Result<Paged<CallEvent>> {
    let mut tx = store.tenant_tx(tenant).await?;
    let total_count = sqlx::query_scalar!(
        "SELECT count(*) AS \"count!\" FROM events WHERE tenant_id = $1 AND call_id = $2",
        tenant.0,
        call.0
    )
    .fetch_one(&mut *tx)
    .await?;
    let rows = sqlx::query_as!(
        Row,
        "SELECT e.seq, e.kind, e.at, e.department_id, e.user_id, u.name AS \"user_name?\", e.data - 'passed' AS data
         FROM events e LEFT JOIN users u ON u.tenant_id = e.tenant_id AND u.id = e.user_id
         WHERE e.tenant_id = $1 AND e.call_id = $2 ORDER BY e.seq LIMIT $3 OFFSET $4",
        tenant.0,
        call.0,
        page.limit(),
        page.offset()
    )
    .fetch_all(&mut *tx)
    .await?;
    let items = rows.into_iter().map(|row| CallEvent {
        seq: row.seq,
        kind: row.kind,
        at: row.at.into(),
        department_id: row.department_id.map(DepartmentId),
        user_id: row.user_id.map(UserId),
        user_name: row.user_name,
        data: row.data,
    });
    Ok(Paged { items: items.collect(), page, total_count })
}
