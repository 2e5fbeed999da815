//! Owns numbers: committed blocks, so that gaps may be and reuse never.

use super::{Result, Store, StoreError};
use crate::domain::ids::TenantId;

/// What is numbered, each from 1 in its tenant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Counter {
    /// Calls' protocols.
    Call,
    User,
    Department,
}

/// Takes the next `count` numbers for good; the first of them.
pub async fn reserve(store: &Store, tenant: TenantId, counter: Counter, count: u32) -> Result<i64> {
    let mut tx = store.tenant_tx(tenant).await?;
    let first = take(&mut tx, tenant, counter, count).await?;
    tx.commit().await?;
    Ok(first)
}

/// Takes the next `count` numbers, for good once the transaction commits.
pub(super) async fn take(tx: &mut sqlx::PgConnection, tenant: TenantId, counter: Counter, count: u32) -> Result<i64> {
    let count = i64::from(count);
    let last =
        match counter {
            Counter::Call => sqlx::query_scalar!(
                "UPDATE tenant_counters SET call_number = call_number + $2 WHERE tenant_id = $1 RETURNING call_number",
                tenant.0,
                count
            )
            .fetch_optional(&mut *tx)
            .await?,
            Counter::User => sqlx::query_scalar!(
                "UPDATE tenant_counters SET user_number = user_number + $2 WHERE tenant_id = $1 RETURNING user_number",
                tenant.0,
                count
            )
            .fetch_optional(&mut *tx)
            .await?,
            Counter::Department => {
                sqlx::query_scalar!(
                    "UPDATE tenant_counters SET department_number = department_number + $2 WHERE tenant_id = $1
                 RETURNING department_number",
                    tenant.0,
                    count
                )
                .fetch_optional(&mut *tx)
                .await?
            }
        };
    match last {
        Some(last) => Ok(last - count + 1),
        None => Err(StoreError::Corrupt { table: "tenant_counters", column: "tenant_id", row: tenant.to_string() }),
    }
}
