//! Reads the record as a later process would find it: calls and events, straight from Postgres.

use chrono::{DateTime, Utc};
use serde_json::Value;
use sqlx::FromRow;
use uuid::Uuid;
use vez::domain::ids::TenantId;

use super::harness::TestApp;

/// A row of `calls`.
#[derive(Clone, Debug, FromRow)]
pub struct CallRow {
    pub id: Uuid,
    pub number: i64,
    pub department_id: Uuid,
    pub priority: i16,
    pub inserted_at: DateTime<Utc>,
    pub phase: String,
    pub status: String,
    pub end_reason: Option<String>,
    pub user_id: Option<Uuid>,
}

/// A row of `events`.
#[derive(Clone, Debug, FromRow)]
pub struct EventRow {
    pub seq: i64,
    pub kind: String,
    pub at: DateTime<Utc>,
    pub call_id: Option<Uuid>,
    pub user_id: Option<Uuid>,
    pub data: Option<Value>,
}

/// Every call of a tenant, by number.
pub async fn calls(app: &TestApp, tenant: TenantId) -> Vec<CallRow> {
    sqlx::query_as(
        "SELECT id, number, department_id, priority, inserted_at, phase, status, end_reason, user_id
         FROM calls WHERE tenant_id = $1 ORDER BY number",
    )
    .bind(tenant.0)
    .fetch_all(app.app.store().system())
    .await
    .unwrap()
}

/// Every event of a tenant, in order.
pub async fn events(app: &TestApp, tenant: TenantId) -> Vec<EventRow> {
    sqlx::query_as("SELECT seq, kind, at, call_id, user_id, data FROM events WHERE tenant_id = $1 ORDER BY seq")
        .bind(tenant.0)
        .fetch_all(app.app.store().system())
        .await
        .unwrap()
}

/// The calls of a tenant that are still open.
pub async fn open_count(app: &TestApp, tenant: TenantId) -> i64 {
    sqlx::query_scalar("SELECT count(*) FROM calls WHERE tenant_id = $1 AND open")
        .bind(tenant.0)
        .fetch_one(app.app.store().system())
        .await
        .unwrap()
}

/// The names of a tenant's customers, by the number of their calls.
pub async fn customer_names(app: &TestApp, tenant: TenantId) -> Vec<String> {
    sqlx::query_scalar("SELECT customer_name FROM calls WHERE tenant_id = $1 ORDER BY number")
        .bind(tenant.0)
        .fetch_all(app.app.store().system())
        .await
        .unwrap()
}

/// Why a call ended; `None` while it is open.
pub async fn end_reason(app: &TestApp, call: &str) -> Option<String> {
    sqlx::query_scalar("SELECT end_reason FROM calls WHERE id = $1")
        .bind(call.parse::<Uuid>().unwrap())
        .fetch_one(app.app.store().system())
        .await
        .unwrap()
}
