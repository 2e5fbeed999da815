//! Owns what staff write about a call and the core does not know: notes, supervisors' notes, why it was cancelled. Each is
//! one text, replaced whole.

use super::{Result, Store, Work};
use crate::domain::ids::{CallId, TenantId};

/// What agents wrote; `None` when there is no such call.
pub async fn notes(store: &Store, tenant: TenantId, call: CallId) -> Result<Option<Option<String>>> {
    let mut tx = store.tenant_tx(tenant).await?;
    let row = sqlx::query_scalar!("SELECT notes FROM calls WHERE tenant_id = $1 AND id = $2", tenant.0, call.0)
        .fetch_optional(&mut *tx)
        .await?;
    Ok(row)
}

/// What supervisors wrote; `None` when there is no such call.
pub async fn manager_notes(store: &Store, tenant: TenantId, call: CallId) -> Result<Option<Option<String>>> {
    let mut tx = store.tenant_tx(tenant).await?;
    let row = sqlx::query_scalar!("SELECT manager_notes FROM calls WHERE tenant_id = $1 AND id = $2", tenant.0, call.0)
        .fetch_optional(&mut *tx)
        .await?;
    Ok(row)
}

/// Replaces what agents wrote; false when there is no such call.
pub async fn set_notes(work: &mut Work, call: CallId, notes: Option<&str>) -> Result<bool> {
    let tenant = work.tenant;
    let done = sqlx::query!("UPDATE calls SET notes = $3 WHERE tenant_id = $1 AND id = $2", tenant.0, call.0, notes)
        .execute(work.tx())
        .await?;
    Ok(done.rows_affected() > 0)
}

/// Replaces what supervisors wrote; false when there is no such call.
pub async fn set_manager_notes(work: &mut Work, call: CallId, notes: Option<&str>) -> Result<bool> {
    let tenant = work.tenant;
    let done =
        sqlx::query!("UPDATE calls SET manager_notes = $3 WHERE tenant_id = $1 AND id = $2", tenant.0, call.0, notes)
            .execute(work.tx())
            .await?;
    Ok(done.rows_affected() > 0)
}

/// Says why a call was cancelled, unless that was said before.
pub async fn set_cancel_reason(work: &mut Work, call: CallId, reason: &str) -> Result<()> {
    let tenant = work.tenant;
    sqlx::query!(
        "UPDATE calls SET cancel_reason = $3 WHERE tenant_id = $1 AND id = $2 AND cancel_reason IS NULL",
        tenant.0,
        call.0,
        reason
    )
    .execute(work.tx())
    .await?;
    Ok(())
}
