//! Owns webhooks in the database: who wants to hear of what (`endpoints`), what is to be told, and what became of it
//! (`deliveries` for those who look, `sending` for whoever delivers). The record's batches write the outbox, too
//! (`record.sql`). Nothing here sends anything.

mod deliveries;
mod endpoints;
mod sending;

use std::collections::HashSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use serde::Serialize;
use uuid::Uuid;

use super::{Bell, Result, Store, StoreError, Work};
use crate::domain::ids::TenantId;
pub use crate::domain::webhook::Event;
pub use deliveries::*;
pub use endpoints::*;
pub use sending::*;

/// What the writers of the outbox share with whoever delivers it. Clones share one.
#[derive(Clone, Debug, Default)]
pub struct Outbox(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    bell: Bell,
    reload: AtomicBool,
    /// The tenants that may have a webhook, never fewer than do; `None` until they were read. One per tenant that ever
    /// had one.
    listening: RwLock<Option<HashSet<TenantId>>>,
}

impl Outbox {
    /// Whether a tenant may have webhooks: for the others nothing need be put together. The database decides.
    pub fn listens(&self, tenant: TenantId) -> bool {
        let listening = self.0.listening.read().unwrap_or_else(PoisonError::into_inner);
        listening.as_ref().is_none_or(|tenants| tenants.contains(&tenant))
    }

    /// Notes that a tenant is about to have a webhook; before its commit, so that nothing after it is missed.
    pub(super) fn will_listen(&self, tenant: TenantId) {
        let mut listening = self.0.listening.write().unwrap_or_else(PoisonError::into_inner);
        if let Some(tenants) = listening.as_mut() {
            tenants.insert(tenant);
        }
    }

    /// What wakes the deliverer.
    pub(super) fn bell(&self) -> &Bell {
        &self.0.bell
    }

    /// Something was committed that is to be delivered.
    pub fn wake(&self) {
        self.0.bell.ring();
    }

    /// Deliveries that were looked at before may be due now, of any webhook.
    pub fn wake_for_all(&self) {
        self.0.reload.store(true, Ordering::Release);
        self.wake();
    }

    /// Returns once something was committed since the last call.
    pub async fn woken(&self) {
        self.0.bell.rung().await;
    }

    /// Whether everything should be looked at since the last call.
    pub fn take_reload(&self) -> bool {
        self.0.reload.swap(false, Ordering::AcqRel)
    }
}

/// Reads which tenants have webhooks; until then everybody counts as one who does.
pub async fn load_listening(store: &Store) -> Result<()> {
    let tenants = sqlx::query_scalar!("SELECT DISTINCT tenant_id FROM webhooks").fetch_all(store.system()).await?;
    let mut listening = store.bells().webhooks.0.listening.write().unwrap_or_else(PoisonError::into_inner);
    *listening = Some(tenants.into_iter().map(TenantId).collect());
    Ok(())
}

/// Puts a fact into the outbox, in the transaction that made it: every active webhook of the tenant that wants `event`
/// is told `data` as it is now. `subject` is what it is about; facts about one subject are told in order.
pub async fn emit(work: &mut Work, event: Event, subject: Uuid, data: &impl Serialize) -> Result<()> {
    if !work.bells().webhooks.listens(work.tenant) {
        return Ok(());
    }
    let data = serde_json::to_string(data)
        .map_err(|error| StoreError::Refused { code: "json".into(), message: error.to_string() })?;
    let (tenant, now) = (work.tenant.0, work.now.to_utc());
    let done = sqlx::query!(
        "WITH listening AS MATERIALIZED (
             SELECT id FROM webhooks WHERE tenant_id = $1 AND active AND $2 = ANY (events)
         ), told AS (
             INSERT INTO webhook_events (tenant_id, event, subject_id, at, data)
             SELECT $1, $2, $3, $4, $5::text::json WHERE EXISTS (SELECT FROM listening)
             RETURNING id, seq
         )
         INSERT INTO webhook_deliveries
             (tenant_id, webhook_id, event_id, seq, event, subject_id, due_at, inserted_at)
         SELECT $1, listening.id, told.id, told.seq, $2, $3, $4, $4 FROM told CROSS JOIN listening",
        tenant,
        event.as_str(),
        subject,
        now,
        data
    )
    .execute(work.tx())
    .await?;
    if done.rows_affected() > 0 {
        work.then_ring(|bells| bells.webhooks.bell());
    }
    Ok(())
}
