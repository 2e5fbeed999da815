//! Owns what becomes of tenants whose rows somebody else holds: their writes wait in lines of their own, and leave them in order.
//! Meanwhile their queues stand still as in an outage, which they hear from here: an offer that nobody could accept would be
//! an agent's miss, and deadlines would run for people who are not served.

use std::collections::{HashSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use dashmap::DashSet;
use ractor::ActorRef;
use tokio::sync::watch;
use tokio::time::Instant;

use super::{Finished, Shard, ShardMsg, State, Write};
use crate::domain::clock::Clock;
use crate::domain::ids::TenantId;

/// The pause before a held tenant is tried again: the others of its shard wait for each try.
const HELD_AGAIN: Duration = Duration::from_millis(500);

/// The held tenants of all shards. Clones share them.
#[derive(Clone, Debug)]
pub(in crate::actors) struct HeldTenants {
    tenants: Arc<DashSet<TenantId>>,
    changed: watch::Sender<()>,
}

impl HeldTenants {
    /// None.
    pub(super) fn new() -> Self {
        Self { tenants: Arc::default(), changed: watch::Sender::new(()) }
    }

    /// Whether this tenant's writes wait.
    pub(in crate::actors) fn contains(&self, tenant: TenantId) -> bool {
        self.tenants.contains(&tenant)
    }

    /// Hears that some tenant is held or free again, from now on.
    pub(in crate::actors) fn watch(&self) -> watch::Receiver<()> {
        self.changed.subscribe()
    }

    /// Whether it is news.
    fn insert(&self, tenant: TenantId) -> bool {
        let is_new = self.tenants.insert(tenant);
        if is_new {
            self.changed.send_replace(());
        }
        is_new
    }

    pub(super) fn remove(&self, tenant: TenantId) {
        if self.tenants.remove(&tenant).is_some() {
            self.changed.send_replace(());
        }
    }
}

/// What a held tenant wrote.
pub(super) struct Held {
    pub(super) writes: VecDeque<(u64, Write)>,
    /// When it is tried again.
    pub(super) at: Instant,
}

impl Shard {
    /// Puts back what found its rows locked, and lets go of those who are through.
    pub(super) fn hold(&self, myself: &ActorRef<ShardMsg>, finished: &mut Finished, state: &mut State) {
        for tenant in &finished.held {
            if self.held.insert(*tenant) {
                // What it wrote meanwhile comes behind.
                let (its, others) = state.pending.drain(..).partition(|(_, write)| write.tenant == *tenant);
                state.pending = others;
                state.held.insert(*tenant, Held { writes: its, at: Clock::patience(Duration::ZERO) });
            }
        }
        let tried: HashSet<TenantId> = finished.writes.iter().map(|(_, write)| write.tenant).collect();
        for (number, write) in std::mem::take(&mut finished.writes).into_iter().rev() {
            match state.held.get_mut(&write.tenant).filter(|_| finished.held.contains(&write.tenant)) {
                Some(held) => held.writes.push_front((number, write)),
                None => finished.writes.push((number, write)),
            }
        }
        finished.writes.reverse();
        for tenant in tried {
            let Some(held) = state.held.get_mut(&tenant) else { continue };
            if finished.held.contains(&tenant) {
                held.at = Clock::patience(HELD_AGAIN);
                let myself = myself.clone();
                tokio::spawn(async move {
                    tokio::time::sleep(HELD_AGAIN).await;
                    let _ = myself.cast(ShardMsg::Again);
                });
            } else if held.writes.is_empty() {
                tracing::info!(%tenant, "the company's rows are free again");
                state.held.remove(&tenant);
                self.held.remove(tenant);
            }
        }
    }
}
