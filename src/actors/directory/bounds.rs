//! Owns how running companies hear of a change that another process made: the command line sets a plan while the server
//! serves. They are looked at on a timer: it needs no further connection, as notices from Postgres would, and a plan that is
//! obeyed some seconds later harms nobody.

use std::sync::Arc;
use std::time::Duration;

use super::super::health::Health;
use super::super::tenant::TenantMsg;
use super::{Gate, System, TenantLink};
use crate::domain::ids::TenantId;
use crate::store::{StoreError, tenants};

/// How often the bounds of the running companies are read, all of them by one statement.
const BOUNDS_PERIOD: Duration = Duration::from_secs(10);

impl System {
    /// Tells running companies their bounds, again and again.
    pub(super) async fn follow_bounds(self) {
        loop {
            self.0.shared.clock.sleep(BOUNDS_PERIOD).await;
            if self.0.shared.health.now() != Health::Up {
                continue;
            }
            let running: Vec<(TenantId, Arc<TenantLink>)> =
                self.gates().into_iter().filter_map(|(tenant, gate)| Some((tenant, running(&gate)?))).collect();
            if let Err(error) = self.tell_bounds(&running).await {
                tracing::debug!(%error, "the bounds of companies could not be read; they stay as they are");
            }
        }
    }

    /// Reads and tells the bounds of one company; nothing when it does not run, since it reads them when it starts.
    pub(in crate::actors) async fn company_changed(&self, tenant: TenantId) -> Result<(), StoreError> {
        let gate = self.0.tenants.get(&tenant).map(|gate| gate.clone());
        // One that is being started or stopped right now reads what is stored when it starts; the timer tells it otherwise.
        match gate.and_then(|gate| running(&gate)) {
            Some(link) => self.tell_bounds(&[(tenant, link)]).await,
            None => Ok(()),
        }
    }

    async fn tell_bounds(&self, running: &[(TenantId, Arc<TenantLink>)]) -> Result<(), StoreError> {
        if running.is_empty() {
            return Ok(());
        }
        let ids: Vec<TenantId> = running.iter().map(|(tenant, _)| *tenant).collect();
        for bounds in tenants::bounds(&self.0.shared.store, &ids).await? {
            let link = running.iter().find(|(tenant, _)| *tenant == bounds.tenant).map(|(_, link)| link);
            if let Some(actor) = link.and_then(|link| link.actor()) {
                let _ = actor.cast(TenantMsg::Bounds(bounds));
            }
        }
        Ok(())
    }

    pub(super) fn gates(&self) -> Vec<(TenantId, Arc<Gate>)> {
        self.0.tenants.iter().map(|entry| (*entry.key(), entry.value().clone())).collect()
    }
}

fn running(gate: &Gate) -> Option<Arc<TenantLink>> {
    gate.try_read().ok()?.link.clone()
}
