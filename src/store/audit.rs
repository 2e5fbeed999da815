//! Owns the reading of the audit trail, and its end. Its rows are written by triggers of the audited tables (see `vez_audit`),
//! never here.

use chrono::{DateTime, Utc};
use serde::Serialize;
use serde_json::Value;
use sqlx::{Postgres, QueryBuilder};
use uuid::Uuid;

use super::{Page, Paged, Result, Store, lists};
use crate::domain::clock::Timestamp;
use crate::domain::ids::{TenantId, UserId};
use crate::domain::words::words;

words! {
    /// What was done to an object.
    Action {
        Created = "created",
        Updated = "updated",
        Deleted = "deleted",
        // Facts of the record in which somebody acted on what was not his.
        CallAssigned = "call_assigned",
        CallTransferred = "call_transferred",
        CallEnded = "call_ended",
        AgentStatusChanged = "agent_status_changed",
    }
}

/// Entries that one sweep throws away at most.
const SLICE: i64 = 1_000;

/// Who did what to which object.
#[derive(Clone, Debug, PartialEq, Serialize, utoipa::ToSchema)]
pub struct AuditEntry {
    /// Rising in the order of writing.
    pub id: i64,
    pub at: Timestamp,
    pub user_id: UserId,
    /// Null when the user is gone.
    pub user_name: Option<String>,
    /// The API token used, null for a login.
    #[schema(value_type = Option<Uuid>)]
    pub token_id: Option<Uuid>,
    /// As in the answer's `X-Request-Id` and in the log.
    pub request_id: String,
    #[schema(inline)]
    pub action: String,
    /// The kind of object: `sector`, `user`, `access_link` and so on.
    pub object: String,
    #[schema(value_type = Uuid)]
    pub object_id: Uuid,
    /// Of each changed field `[before, after]`; null for a field whose values are not kept (secrets, personal data).
    #[schema(value_type = Option<Object>)]
    pub changes: Option<Value>,
}

/// Which entries a list shows.
#[derive(Clone, Debug, Default)]
pub struct AuditFilter {
    pub user_id: Option<UserId>,
    pub object: Option<String>,
    pub object_id: Option<Uuid>,
    pub action: Option<Action>,
    pub date_from: Option<Timestamp>,
    /// Not itself included.
    pub date_to: Option<Timestamp>,
}

#[derive(sqlx::FromRow)]
struct Row {
    id: i64,
    at: DateTime<Utc>,
    user_id: Uuid,
    user_name: Option<String>,
    token_id: Option<Uuid>,
    request_id: String,
    action: String,
    object: String,
    object_id: Uuid,
    changes: Option<Value>,
}

/// One page of the trail, the newest first.
pub async fn list(store: &Store, tenant: TenantId, filter: &AuditFilter, page: Page) -> Result<Paged<AuditEntry>> {
    let narrow = |query: &mut QueryBuilder<Postgres>| {
        query.push(" FROM audit a WHERE a.tenant_id = ").push_bind(tenant.0);
        if let Some(user) = filter.user_id {
            query.push(" AND a.user_id = ").push_bind(user.0);
        }
        if let Some(object) = &filter.object {
            query.push(" AND a.object = ").push_bind(object.clone());
        }
        if let Some(object_id) = filter.object_id {
            query.push(" AND a.object_id = ").push_bind(object_id);
        }
        if let Some(action) = filter.action {
            query.push(" AND a.action = ").push_bind(action.as_str());
        }
        if let Some(from) = filter.date_from {
            query.push(" AND a.at >= ").push_bind(from.to_utc());
        }
        if let Some(to) = filter.date_to {
            query.push(" AND a.at < ").push_bind(to.to_utc());
        }
    };
    let mut count = QueryBuilder::new("SELECT count(*)");
    narrow(&mut count);
    // The page first, the names after.
    let mut query = QueryBuilder::new(
        "SELECT a.id, a.at, a.user_id, u.name AS user_name, a.token_id, a.request_id, a.action, a.object, a.object_id, \
         a.changes FROM (SELECT a.*",
    );
    narrow(&mut query);
    query.push(" ORDER BY a.id DESC LIMIT ").push_bind(page.limit()).push(" OFFSET ").push_bind(page.offset());
    query.push(") AS a LEFT JOIN users u ON u.tenant_id = a.tenant_id AND u.id = a.user_id ORDER BY a.id DESC");
    let entries = lists::read::<Row>(store, tenant, page, count, query).await?;
    Ok(entries.map(|row| AuditEntry {
        id: row.id,
        at: row.at.into(),
        user_id: UserId(row.user_id),
        user_name: row.user_name,
        token_id: row.token_id,
        request_id: row.request_id,
        action: row.action,
        object: row.object,
        object_id: row.object_id,
        changes: row.changes,
    }))
}

/// Throws away a slice of the entries from before `before`; how many went.
pub async fn sweep(store: &Store, before: Timestamp) -> Result<u64> {
    let done = sqlx::query!(
        "DELETE FROM audit USING (SELECT tenant_id, id FROM audit WHERE at < $1 ORDER BY at LIMIT $2) AS old
         WHERE audit.tenant_id = old.tenant_id AND audit.id = old.id",
        before.to_utc(),
        SLICE
    )
    .execute(store.system())
    .await?;
    Ok(done.rows_affected())
}
