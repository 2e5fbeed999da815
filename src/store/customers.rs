//! Owns finding customers. Their rows are first made by the join that brings them (`record`).

use super::{Result, Store};
use crate::domain::ids::{CustomerId, TenantId};

/// The customer who called before with this address (whatever its case) or, failing that, this telephone number. Of
/// several, the one known longest.
pub async fn match_contact(
    store: &Store,
    tenant: TenantId,
    email: Option<&str>,
    phone: Option<&str>,
) -> Result<Option<CustomerId>> {
    if email.is_none() && phone.is_none() {
        return Ok(None);
    }
    let mut tx = store.tenant_tx(tenant).await?;
    // Two branches, each on its own index.
    let id = sqlx::query_scalar!(
        "SELECT id AS \"id!\" FROM (
             SELECT id, inserted_at, 1 AS kind FROM customers
             WHERE tenant_id = $1 AND email IS NOT NULL AND lower(email) = lower($2)
             UNION ALL
             SELECT id, inserted_at, 2 FROM customers WHERE tenant_id = $1 AND phone IS NOT NULL AND phone = $3
         ) AS found ORDER BY kind, inserted_at, id LIMIT 1",
        tenant.0,
        email,
        phone
    )
    .fetch_optional(&mut *tx)
    .await?;
    Ok(id.map(CustomerId))
}
