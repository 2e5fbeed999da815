//! Owns the group commit: what is pending becomes one transaction, and its owners hear what is settled. One actor per
//! shard of tenants, one commit under way per shard, so that a tenant's record commits in order and without gaps.
//!
//! What fails for its content is tried tenant by tenant; only the tenant refused alone hears so. What fails because
//! Postgres is away waits, is tried again, and meanwhile the storage health says so.
//!
//! What finds a row locked by somebody else is tried tenant by tenant, too. The tenant concerned is *held*: its writes wait in
//! a line of their own, in order, and are tried again until the row is free; the others go on. Nothing held is ever refused
//! for that, so what waits is written once; whoever waits for the commit is answered 503 in time, and may ask again.

use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use metrics::{gauge, histogram};
use ractor::{Actor, ActorProcessingErr, ActorRef};
use tokio::sync::oneshot;

use super::health::StorageHealth;
use super::queue::QueueMsg;
use super::tenant::TenantMsg;
use crate::domain::call::{CallSnapshot, Status};
use crate::domain::clock::Clock;
use crate::domain::ids::{IdSource, TenantId};
use crate::domain::record::Entry;
use crate::store::Bells;
use crate::store::record::RecordWriter;

/// Writes in one transaction: beyond it the gain per row is small and the wait of the first one grows.
const BATCH_MAX: usize = 512;
/// How often stopping looks whether everything is written.
const DRAIN_LOOK: Duration = Duration::from_millis(5);

mod commit;
mod held;

use commit::CommitTask;
use held::Held;
pub(super) use held::HeldTenants;

/// Who is told what became of a write.
#[derive(Clone, Debug)]
pub(super) enum Owner {
    Queue(ActorRef<QueueMsg>),
    Tenant(ActorRef<TenantMsg>),
}

impl Owner {
    fn id(&self) -> ractor::ActorId {
        match self {
            Owner::Queue(actor) => actor.get_id(),
            Owner::Tenant(actor) => actor.get_id(),
        }
    }

    /// A dead owner needs no news: its next life reads the record.
    fn tell(&self, settlement: Settlement) {
        let _gone = match self {
            Owner::Queue(actor) => actor.cast(QueueMsg::Settlement(settlement)).is_err(),
            Owner::Tenant(actor) => actor.cast(TenantMsg::Settlement(settlement)).is_err(),
        };
    }
}

/// What became of an owner's writes.
#[derive(Clone, Copy, Debug)]
pub(super) enum Settlement {
    /// Everything up to this ticket is committed.
    Committed { through: u64 },
    /// The record refused this tenant's writes; nothing after the last committed ticket will be written.
    Refused,
}

/// One entry on its way into the record.
#[derive(Debug)]
pub(super) struct Write {
    pub tenant: TenantId,
    /// The life of the tenant that wrote it; an earlier life's writes are refused.
    pub generation: u64,
    pub owner: Owner,
    pub ticket: u64,
    pub entry: Entry,
}

/// Messages of one shard.
#[derive(Debug)]
pub enum ShardMsg {
    #[expect(private_interfaces, reason = "only actors write")]
    Write(Write),
    /// Answers once everything received of this tenant before is committed or refused.
    Flush { tenant: TenantId, done: oneshot::Sender<()> },
    /// As `Flush`, and from then on only this generation may write.
    Fence { tenant: TenantId, generation: u64, done: oneshot::Sender<()> },
    /// A held tenant may be tried again.
    Again,
    /// A commit is over.
    #[expect(private_interfaces, reason = "sent by the shard to itself")]
    Done(Finished),
}

/// What the commit task hands back.
#[derive(Debug)]
struct Finished {
    /// `None` once nothing can be written any more.
    writer: Option<RecordWriter>,
    writes: Vec<(u64, Write)>,
    refused: HashSet<TenantId>,
    /// Nothing of these was committed, and it may be tried again.
    held: HashSet<TenantId>,
    /// Nothing more can be written by this process.
    fenced: bool,
}

/// The writers of the whole server; clones share them.
#[derive(Clone, Debug)]
pub struct Persistence {
    shards: Arc<[ActorRef<ShardMsg>]>,
    pending: Arc<AtomicUsize>,
    held: HeldTenants,
}

impl Persistence {
    /// Starts one actor per writer.
    pub async fn start(
        writers: Vec<RecordWriter>,
        clock: Clock,
        ids: IdSource,
        health: StorageHealth,
        bells: Bells,
    ) -> Result<Self, ractor::SpawnErr> {
        let pending = Arc::new(AtomicUsize::new(0));
        let held = HeldTenants::new();
        let mut shards = Vec::with_capacity(writers.len());
        for (index, writer) in writers.into_iter().enumerate() {
            let shard = Shard {
                index: index as u32,
                clock: clock.clone(),
                ids: ids.clone(),
                health: health.clone(),
                bells: bells.clone(),
                held: held.clone(),
            };
            let (actor, _) = Actor::spawn(None, shard, (writer, pending.clone())).await?;
            shards.push(actor);
        }
        Ok(Self { shards: shards.into(), pending, held })
    }

    fn shard(&self, tenant: TenantId) -> Option<&ActorRef<ShardMsg>> {
        let index = (tenant.0.as_u128() % self.shards.len().max(1) as u128) as usize;
        self.shards.get(index)
    }

    /// Entries that are not committed yet, in the whole server.
    pub fn pending(&self) -> usize {
        self.pending.load(Ordering::Relaxed)
    }

    /// Whose writes wait because somebody else holds their rows.
    pub(super) fn held(&self) -> &HeldTenants {
        &self.held
    }

    pub(super) fn write(&self, write: Write) {
        if let Some(shard) = self.shard(write.tenant) {
            self.pending.fetch_add(1, Ordering::Relaxed);
            if shard.cast(ShardMsg::Write(write)).is_err() {
                self.pending.fetch_sub(1, Ordering::Relaxed);
            }
        }
    }

    /// Returns once everything this tenant wrote before is committed or refused.
    pub async fn flush(&self, tenant: TenantId) {
        let (done, settled) = oneshot::channel();
        if let Some(shard) = self.shard(tenant)
            && shard.cast(ShardMsg::Flush { tenant, done }).is_ok()
        {
            let _ = settled.await;
        }
    }

    /// As [`Persistence::flush`]; from then on only `generation` may write for this tenant.
    pub async fn fence(&self, tenant: TenantId, generation: u64) {
        let (done, settled) = oneshot::channel();
        if let Some(shard) = self.shard(tenant)
            && shard.cast(ShardMsg::Fence { tenant, generation, done }).is_ok()
        {
            let _ = settled.await;
        }
    }

    /// Returns once nothing is pending.
    pub async fn drain(&self) {
        while self.pending() > 0 {
            tokio::time::sleep(DRAIN_LOOK).await;
        }
    }

    /// Stops the writers; what is pending is lost, so drain first.
    pub fn stop(&self) {
        for shard in self.shards.iter() {
            shard.stop(None);
        }
    }
}

struct Shard {
    index: u32,
    clock: Clock,
    ids: IdSource,
    health: StorageHealth,
    bells: Bells,
    held: HeldTenants,
}

struct State {
    /// `None` while a commit is under way.
    writer: Option<RecordWriter>,
    /// Numbered as they came.
    pending: VecDeque<(u64, Write)>,
    /// Of these nothing is in `pending`.
    held: HashMap<TenantId, Held>,
    /// The last commit was of a held tenant, so the next is not, if anybody else waits.
    tried_held: bool,
    count: Arc<AtomicUsize>,
    /// The only generation of each tenant that may write; one number per tenant ever started by this process.
    generations: HashMap<TenantId, u64>,
    /// Tenants refused since their last fence: whatever else they write is refused, too.
    refused: HashSet<TenantId>,
    /// The number of the last write received.
    received: u64,
    /// The number of the first write of the commit under way.
    committing: Option<u64>,
    /// Who waits until every write of a tenant up to a number is settled. One per restart of a queue or tenant.
    flushes: Vec<(u64, TenantId, oneshot::Sender<()>)>,
}

impl Actor for Shard {
    type Msg = ShardMsg;
    type State = State;
    type Arguments = (RecordWriter, Arc<AtomicUsize>);

    async fn pre_start(
        &self,
        _: ActorRef<ShardMsg>,
        (writer, count): Self::Arguments,
    ) -> Result<State, ActorProcessingErr> {
        Ok(State {
            writer: Some(writer),
            pending: VecDeque::new(),
            held: HashMap::new(),
            tried_held: false,
            count,
            generations: HashMap::new(),
            refused: HashSet::new(),
            received: 0,
            committing: None,
            flushes: Vec::new(),
        })
    }

    async fn handle(
        &self,
        myself: ActorRef<ShardMsg>,
        message: ShardMsg,
        state: &mut State,
    ) -> Result<(), ActorProcessingErr> {
        match message {
            ShardMsg::Write(write) => {
                let known = state.generations.get(&write.tenant).copied();
                if known.is_some_and(|generation| generation != write.generation)
                    || state.refused.contains(&write.tenant)
                {
                    state.count.fetch_sub(1, Ordering::Relaxed);
                    write.owner.tell(Settlement::Refused);
                } else {
                    state.received += 1;
                    let line = state.held.get_mut(&write.tenant).map_or(&mut state.pending, |held| &mut held.writes);
                    line.push_back((state.received, write));
                }
            }
            ShardMsg::Flush { tenant, done } => state.flushes.push((state.received, tenant, done)),
            ShardMsg::Fence { tenant, generation, done } => {
                // What an earlier life wrote before it died is still committed; what it writes now is not.
                state.generations.insert(tenant, generation);
                state.refused.remove(&tenant);
                state.flushes.push((state.received, tenant, done));
            }
            // What follows looks who is due.
            ShardMsg::Again => {}
            ShardMsg::Done(finished) => self.finished(&myself, finished, state),
        }
        self.begin(&myself, state);
        self.answer_flushes(state);
        Ok(())
    }
}

impl Shard {
    fn begin(&self, myself: &ActorRef<ShardMsg>, state: &mut State) {
        let Some((writes, again)) = Self::next(state) else { return };
        let Some(writer) = state.writer.take() else { return };
        state.tried_held = again;
        state.committing = writes.first().map(|(number, _)| *number);
        histogram!("vez_commit_batch_writes").record(writes.len() as f64);
        gauge!("vez_pending_writes").set(state.count.load(Ordering::Relaxed) as f64);
        let task = CommitTask {
            index: self.index,
            clock: self.clock.clone(),
            ids: self.ids.clone(),
            health: self.health.clone(),
            writer,
            writes,
            again,
        };
        let myself = myself.clone();
        tokio::spawn(async move {
            let finished = match tokio::spawn(task.run()).await {
                Ok(finished) => finished,
                Err(fault) => {
                    // What became of the batch is unknown and its writes are gone: only a restart from the record is safe.
                    tracing::error!(%fault, "a commit panicked; the process must stop");
                    Finished {
                        writer: None,
                        writes: Vec::new(),
                        refused: HashSet::new(),
                        held: HashSet::new(),
                        fenced: true,
                    }
                }
            };
            let _ = myself.cast(ShardMsg::Done(finished));
        });
    }

    /// What is written next, and whether it is a held tenant's; nothing while a commit is under way.
    fn next(state: &mut State) -> Option<(Vec<(u64, Write)>, bool)> {
        state.writer.as_ref()?;
        let now = Clock::patience(Duration::ZERO);
        let due = state.held.values_mut().filter(|held| held.at <= now).min_by_key(|held| held.at);
        let (line, again) = match due {
            Some(held) if !state.tried_held || state.pending.is_empty() => (&mut held.writes, true),
            _ => (&mut state.pending, false),
        };
        let count = line.len().min(BATCH_MAX);
        (count > 0).then(|| (line.drain(..count).collect(), again))
    }

    fn finished(&self, myself: &ActorRef<ShardMsg>, mut finished: Finished, state: &mut State) {
        if finished.fenced {
            // Nothing will ever be written again: replies stay unanswered and the process ends.
            self.health.fenced();
            let held: usize = state.held.values().map(|held| held.writes.len()).sum();
            let lost = finished.writes.len() + state.pending.len() + held;
            state.count.fetch_sub(lost, Ordering::Relaxed);
            state.pending.clear();
            state.held.clear();
            state.committing = None;
            return;
        }
        state.writer = finished.writer.take();
        state.committing = None;
        self.hold(myself, &mut finished, state);
        state.count.fetch_sub(finished.writes.len(), Ordering::Relaxed);
        let mut through: BTreeMap<ractor::ActorId, (Owner, u64)> = BTreeMap::new();
        let mut refused: BTreeMap<ractor::ActorId, Owner> = BTreeMap::new();
        if finished.writes.iter().any(|(_, write)| !write.entry.told.is_empty()) {
            self.bells.webhooks.wake();
        }
        let mut rung = None;
        for (_, write) in &finished.writes {
            let told = !write.entry.events.is_empty() && !finished.refused.contains(&write.tenant);
            // Neighbours are mostly of one company.
            if told && rung != Some(write.tenant) {
                rung = Some(write.tenant);
                self.bells.feed.ring(write.tenant);
            }
        }
        let may_meet = |call: &CallSnapshot| call.link_id.is_some() && call.status() == Status::Completed;
        if finished.writes.iter().any(|(_, write)| write.entry.call.as_ref().is_some_and(|call| may_meet(call))) {
            self.bells.appointments.ring();
        }
        for (_, write) in finished.writes {
            if finished.refused.contains(&write.tenant) {
                refused.insert(write.owner.id(), write.owner);
            } else {
                through.insert(write.owner.id(), (write.owner, write.ticket));
            }
        }
        for (owner, ticket) in through.into_values() {
            owner.tell(Settlement::Committed { through: ticket });
        }
        if !finished.refused.is_empty() {
            // What these tenants wrote meanwhile builds on what was refused.
            let (mut gone, kept): (Vec<_>, Vec<_>) =
                state.pending.drain(..).partition(|(_, write)| finished.refused.contains(&write.tenant));
            state.pending = kept.into();
            for tenant in &finished.refused {
                self.held.remove(*tenant);
                gone.extend(state.held.remove(tenant).into_iter().flat_map(|held| held.writes));
            }
            state.count.fetch_sub(gone.len(), Ordering::Relaxed);
            refused.extend(gone.into_iter().map(|(_, write)| (write.owner.id(), write.owner)));
            state.refused.extend(finished.refused);
            for owner in refused.into_values() {
                owner.tell(Settlement::Refused);
            }
        }
    }

    fn answer_flushes(&self, state: &mut State) {
        let pending = state.pending.front().map(|(number, _)| *number);
        let first = state.committing.into_iter().chain(pending).min().unwrap_or(u64::MAX);
        let held =
            |tenant: &TenantId| state.held.get(tenant).and_then(|held| held.writes.front()).map(|(number, _)| *number);
        let (done, waiting): (Vec<_>, Vec<_>) = state
            .flushes
            .drain(..)
            .partition(|(due, tenant, _)| *due < first && held(tenant).is_none_or(|held| *due < held));
        state.flushes = waiting;
        for (_, _, done) in done {
            let _ = done.send(());
        }
    }
}
