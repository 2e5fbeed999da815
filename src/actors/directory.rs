//! Owns which tenants run: started on demand or because they have open calls, restarted when they die, stopped when idle.
//! Whoever asks for a tenant that is stopping waits here until it runs again.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use dashmap::DashMap;
use ractor::{Actor, ActorId, ActorProcessingErr, ActorRef, SupervisionEvent};
use tokio::sync::{OwnedRwLockReadGuard, RwLock, Semaphore, oneshot};

use super::error::{ANSWER_WITHIN, CallError, OVERLOADED, UNAVAILABLE};
use super::health::{Health, StorageHealth};
use super::load;
use super::numbers::Numbers;
use super::persistence::Persistence;
use super::queue::QueueMsg;
use super::tenant::{self, TenantActor, TenantMsg};
use super::webhooks::LookUp;
use crate::domain::clock::{Clock, Timestamp};
use crate::domain::department::Settings;
use crate::domain::ids::{DepartmentId, IdSource, TenantId};
use crate::domain::rules::Rules;
use crate::live::hub::Hub;
use crate::live::topic::Topic;
use crate::queue::Command;
use crate::store::{Store, StoreError, restore};

mod bounds;
mod link;

/// Commands of one tenant under way at once: mailboxes have no bound of their own, so this is theirs. Ten thousand sockets
/// that all reconnect within a second stay below it.
pub(super) const IN_FLIGHT_MAX: usize = 16_384;
/// Tenants restored at once at start: as many as there are connections to read them by.
const RESTORES_AT_ONCE: usize = 8;
/// How often idle tenants are looked for, and how long one must be idle in both looks to be stopped.
const IDLE_PERIOD: Duration = Duration::from_secs(120);
/// The pause before a tenant that died is restarted; it doubles with each death in a row.
const RESTART_PAUSE: Duration = Duration::from_millis(50);

/// A tenant that lived so long since its last death is not in a loop of deaths.
const QUIET: Duration = Duration::from_secs(60);

/// Called before each command to a queue is applied.
pub type BeforeCommand = Arc<dyn Fn(&Command) + Send + Sync>;

/// Places where a test may look in or make something fail. Empty in production.
#[derive(Clone, Default)]
pub struct Probes {
    pub before_command: Option<BeforeCommand>,
    /// How webhooks look names up.
    pub look_up: Option<LookUp>,
}

/// What the actors are built from.
pub struct Parts {
    pub store: Store,
    pub hub: Hub,
    pub clock: Clock,
    pub ids: IdSource,
    pub persistence: Persistence,
    pub health: StorageHealth,
    /// This process' hold on the database.
    pub epoch: i64,
    /// When the process before us last served.
    pub served_until: Option<Timestamp>,
    pub rules: Rules,
    pub probes: Probes,
}

/// What every actor shares.
pub(super) struct Shared {
    pub store: Store,
    pub hub: Hub,
    pub clock: Clock,
    pub ids: IdSource,
    pub persistence: Persistence,
    pub health: StorageHealth,
    pub rules: Rules,
    pub probes: Probes,
    epoch: i64,
    lives: AtomicU64,
}

impl Shared {
    /// A number for a new life of a queue or tenant; unique across restarts of the process, and exact in JSON.
    pub fn next_incarnation(&self) -> u64 {
        // 2^24 lives per process and 2^29 starts stay below JavaScript's 2^53.
        (u64::try_from(self.epoch).unwrap_or(0) << 24) + self.lives.fetch_add(1, Ordering::Relaxed)
    }
}

pub(super) use link::TenantLink;

/// The running tenants; clones share them.
#[derive(Clone)]
pub struct System(Arc<Inner>);

struct Inner {
    shared: Arc<Shared>,
    tenants: DashMap<TenantId, Arc<Gate>>,
    by_actor: DashMap<ActorId, TenantId>,
    root: OnceLock<ActorRef<()>>,
    served_until: Option<Timestamp>,
}

/// Who passes holds it open; whoever starts or stops the tenant closes it meanwhile.
type Gate = RwLock<Running>;

#[derive(Default)]
struct Running {
    link: Option<Arc<TenantLink>>,
    /// When it died, so that the next life knows since when nobody served.
    died_at: Option<Timestamp>,
    deaths: u32,
}

/// A running tenant that cannot be stopped while this is held.
pub(super) struct Entered {
    pub link: Arc<TenantLink>,
    /// Whoever asked hears something by then.
    pub due: tokio::time::Instant,
    _open: OwnedRwLockReadGuard<Running>,
}

struct Root(System);

impl Actor for Root {
    type Msg = ();
    type State = ();
    type Arguments = ();

    async fn pre_start(&self, _: ActorRef<()>, (): ()) -> Result<(), ActorProcessingErr> {
        Ok(())
    }

    /// A tenant that died is restarted if it still has open calls; the default would stop everybody.
    async fn handle_supervisor_evt(
        &self,
        _: ActorRef<()>,
        event: SupervisionEvent,
        (): &mut (),
    ) -> Result<(), ActorProcessingErr> {
        match event {
            SupervisionEvent::ActorFailed(cell, error) => {
                if let Some((_, tenant)) = self.0.0.by_actor.remove(&cell.get_id()) {
                    tracing::error!(%tenant, %error, "a tenant failed; it restarts from the record");
                    metrics::counter!("vez_tenant_restarts_total").increment(1);
                    tokio::spawn(self.0.clone().revive(tenant, cell.get_id()));
                }
            }
            SupervisionEvent::ActorTerminated(cell, _, _) => {
                self.0.0.by_actor.remove(&cell.get_id());
            }
            _ => {}
        }
        Ok(())
    }
}

impl System {
    /// Starts the actors' root, without any tenant.
    pub async fn start(parts: Parts) -> Result<Self, ractor::SpawnErr> {
        let shared = Arc::new(Shared {
            store: parts.store,
            hub: parts.hub,
            clock: parts.clock,
            ids: parts.ids,
            persistence: parts.persistence,
            health: parts.health,
            rules: parts.rules,
            probes: parts.probes,
            epoch: parts.epoch,
            lives: AtomicU64::new(1),
        });
        let system = Self(Arc::new(Inner {
            shared,
            tenants: DashMap::new(),
            by_actor: DashMap::new(),
            root: OnceLock::new(),
            served_until: parts.served_until,
        }));
        let (root, _) = Actor::spawn(None, Root(system.clone()), ()).await?;
        let _ = system.0.root.set(root);
        tokio::spawn(system.clone().stop_idle());
        tokio::spawn(system.clone().follow_bounds());
        Ok(system)
    }

    pub(super) fn shared(&self) -> &Arc<Shared> {
        &self.0.shared
    }

    /// Restores every tenant with an open call or a wrap-up, some at a time.
    pub async fn restore(&self) -> Result<usize, StoreError> {
        let now = self.0.served_until.unwrap_or_else(|| self.0.shared.clock.now());
        let tenants = restore::tenants_to_restore(&self.0.shared.store, now).await?;
        let count = tenants.len();
        let places = Arc::new(Semaphore::new(RESTORES_AT_ONCE));
        let mut tasks = tokio::task::JoinSet::new();
        for tenant in tenants {
            let (system, places) = (self.clone(), places.clone());
            tasks.spawn(async move {
                let _place = places.acquire_owned().await;
                if let Err(error) = system.enter(tenant).await {
                    tracing::error!(%tenant, ?error, "a tenant could not be restored; trying again");
                    tokio::spawn(system.insist(tenant));
                }
            });
        }
        while tasks.join_next().await.is_some() {}
        Ok(count)
    }

    /// The running tenant, started if need be; it does not stop while the answer is held.
    pub(super) async fn enter(&self, tenant: TenantId) -> Result<Entered, CallError> {
        let due = Clock::patience(ANSWER_WITHIN);
        match tokio::time::timeout_at(due, self.pass(tenant, due)).await {
            Ok(entered) => entered,
            Err(_) => Err(self.too_late()),
        }
    }

    /// What to say when time ran out.
    pub(super) fn too_late(&self) -> CallError {
        if self.0.shared.health.now() == Health::Up { OVERLOADED } else { UNAVAILABLE }
    }

    async fn pass(&self, tenant: TenantId, due: tokio::time::Instant) -> Result<Entered, CallError> {
        let gate = match self.0.tenants.get(&tenant) {
            Some(gate) => gate.clone(),
            None => self.0.tenants.entry(tenant).or_default().clone(),
        };
        loop {
            let open = gate.clone().read_owned().await;
            if let Some(link) = open.link.clone() {
                return Ok(Entered { link, due, _open: open });
            }
            drop(open);
            if self.0.shared.health.now() != Health::Up {
                // It could not be read now, and whoever waits behind us should not wait for that to show.
                return Err(UNAVAILABLE);
            }
            // In a task of its own: whoever stops waiting must not leave a tenant half started.
            let started = tokio::spawn(self.clone().open(tenant, gate.clone())).await;
            started.map_err(|_| CallError::Failed)??;
        }
    }

    /// Starts a tenant, unless somebody else has done so meanwhile.
    async fn open(self, tenant: TenantId, gate: Arc<Gate>) -> Result<(), CallError> {
        let mut closed = gate.write().await;
        if closed.link.is_some() {
            return Ok(());
        }
        if let Some(link) = self.begin(tenant, closed.died_at).await? {
            closed.link = Some(link);
            return Ok(());
        }
        drop(closed);
        // Held by the map, whoever waits for this, and this.
        self.0.tenants.remove_if(&tenant, |_, gate| Arc::strong_count(gate) <= 3);
        Err(CallError::NotFound)
    }

    async fn begin(&self, tenant: TenantId, died_at: Option<Timestamp>) -> Result<Option<Arc<TenantLink>>, CallError> {
        let shared = &self.0.shared;
        let generation = shared.next_incarnation();
        // What an earlier life wrote is settled before this one reads, and it can write no more.
        shared.persistence.fence(tenant, generation).await;
        let served_until = died_at.or(self.0.served_until);
        let now = shared.clock.now();
        // Wrap-ups count from when it was last served.
        let since = served_until.unwrap_or(now);
        let Some(state) = restore::tenant(&shared.store, tenant, since, now).await? else { return Ok(None) };
        let open_calls = restore::open_call_ids(&shared.store, tenant).await?;
        let link = Arc::new(TenantLink {
            tenant,
            generation,
            calls: DashMap::new(),
            numbers: Numbers::default(),
            changes: tokio::sync::Mutex::new(()),
            in_flight: Arc::new(Semaphore::new(IN_FLIGHT_MAX)),
            queues: DashMap::new(),
            actor: OnceLock::new(),
            joined_floor: state.joined_at_max,
        });
        for settings in &state.departments {
            link.add_department(settings);
        }
        // Known before anybody may ask: whoever reconnects while the queues still load waits for them.
        let mut open = BTreeSet::new();
        for (call, department) in open_calls {
            link.calls.insert(call, department);
            open.insert(department);
        }
        let open = open.into_iter().collect();
        let concurrent_calls_max = state.company.max_concurrent_calls;
        let args = tenant::Args {
            shared: shared.clone(),
            link: link.clone(),
            incarnation: generation,
            time_zone: state.company.time_zone,
            concurrent_calls_max,
            departments: state.departments,
            today: state.today,
            agents: state.agents.into_iter().map(load::agent).collect(),
            open,
            served_until,
        };
        let Some(root) = self.0.root.get() else { return Err(CallError::Failed) };
        let (actor, _) = Actor::spawn_linked(None, TenantActor, args, root.get_cell()).await.map_err(|error| {
            tracing::error!(%tenant, %error, "a tenant could not start");
            CallError::Failed
        })?;
        self.0.by_actor.insert(actor.get_id(), tenant);
        if actor.get_status() as u8 >= ractor::ActorStatus::Stopping as u8 {
            // It died before the root could know whose it was.
            self.0.by_actor.remove(&actor.get_id());
            return Err(OVERLOADED);
        }
        let _ = link.actor.set(actor);
        if died_at.is_some() {
            // What the life before had committed and not told is told now. Presence says itself that it begins anew.
            shared.hub.renew_all(tenant, |topic| !matches!(topic, Topic::Presence(_)));
        }
        Ok(Some(link))
    }

    /// Starts a tenant that died again, since somebody may be waiting in it.
    async fn revive(self, tenant: TenantId, actor: ActorId) {
        let Some(gate) = self.0.tenants.get(&tenant).map(|gate| gate.clone()) else { return };
        let deaths = {
            let mut closed = gate.write().await;
            let dead = closed.link.as_ref().and_then(|link| link.actor()).is_some_and(|a| a.get_id() == actor);
            if dead {
                let now = self.0.shared.clock.now();
                let quiet = closed.died_at.is_none_or(|last| last + QUIET < now);
                closed.deaths = if quiet { 1 } else { closed.deaths + 1 };
                closed.link = None;
                closed.died_at = Some(now);
            }
            closed.deaths
        };
        tokio::time::sleep(RESTART_PAUSE * 2u32.pow(deaths.min(8))).await;
        self.insist(tenant).await;
    }

    /// Starts a tenant, however long that is not possible.
    async fn insist(self, tenant: TenantId) {
        let mut pause = RESTART_PAUSE;
        while let Err(error) = self.enter(tenant).await {
            if matches!(error, CallError::NotFound) {
                return;
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(Duration::from_secs(5));
        }
    }

    /// Stops tenants that were idle in two looks in a row.
    async fn stop_idle(self) {
        let mut idle_before: Vec<TenantId> = Vec::new();
        loop {
            self.0.shared.clock.sleep(IDLE_PERIOD).await;
            let mut idle_now = Vec::new();
            for (tenant, gate) in self.gates() {
                // A gate somebody holds open is in use.
                let Ok(mut closed) = gate.try_write() else { continue };
                let Some(link) = closed.link.clone() else { continue };
                if !is_idle(&link).await {
                    continue;
                }
                if !idle_before.contains(&tenant) {
                    idle_now.push(tenant);
                    continue;
                }
                if let Some(actor) = link.actor() {
                    let _ = actor.stop_and_wait(None, None).await;
                }
                closed.link = None;
                // Nothing was due when it stopped, and nothing was missed since.
                closed.died_at = Some(self.0.shared.clock.now());
                tracing::debug!(%tenant, "stopped an idle tenant");
            }
            idle_before = idle_now;
        }
    }

    /// Stops everything; what was recorded is written first.
    pub async fn stop(&self, most: Duration) {
        let _ = tokio::time::timeout(most, async {
            self.0.shared.persistence.drain().await;
            if let Some(root) = self.0.root.get() {
                let _ = root.stop_and_wait(None, None).await;
            }
            self.0.shared.persistence.drain().await;
        })
        .await;
        self.0.shared.persistence.stop();
    }
}

/// Whether nothing is open, due or waited for in a tenant. Asked with its gate closed, so nothing new comes meanwhile.
async fn is_idle(link: &TenantLink) -> bool {
    if !link.calls.is_empty() {
        // One may be on its way from a queue to another.
        return false;
    }
    let Some(actor) = link.actor() else { return false };
    let (reply, answer) = oneshot::channel();
    if actor.cast(TenantMsg::IsIdle(reply)).is_err() || !answer.await.unwrap_or(false) {
        return false;
    }
    let queues: Vec<ActorRef<QueueMsg>> =
        link.queues.iter().filter_map(|desk| desk.value().queue.borrow().clone()).collect();
    for queue in queues {
        let (reply, answer) = oneshot::channel();
        if queue.cast(QueueMsg::IsIdle(reply)).is_err() || !answer.await.unwrap_or(false) {
            return false;
        }
    }
    true
}

impl System {
    /// The settings of a department as stored; `None` when there is none.
    pub(super) async fn settings(
        &self,
        tenant: TenantId,
        department: DepartmentId,
    ) -> Result<Option<Settings>, StoreError> {
        crate::store::departments::settings(&self.0.shared.store, tenant, department).await
    }
}
