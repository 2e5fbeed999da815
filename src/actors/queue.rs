//! Owns one department's queue at run time: a message comes, the core applies it, the effects are performed, one timer is
//! armed. It numbers the pushes of `queue:` as it releases them. It holds no rule and never awaits the roster or Postgres.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use ractor::{Actor, ActorProcessingErr, ActorRef};
use tokio::sync::oneshot;

use super::directory::{Shared, TenantLink};
use super::error::CallError;
use super::persistence::{Owner, Settlement, Write};
use super::settlement::{Pending, RecordRefused};
use super::tenant::TenantMsg;
use super::timer::Timer;
use super::wire::{ActiveCall, Admission, CustomerState, Figures, Parties, QueueState, Stats, WaitingCall};
use super::{load, release};
use crate::domain::call::{CallSnapshot, CallView, EndReason};
use crate::domain::clock::Timestamp;
use crate::domain::ids::{CallId, DepartmentId, PickId, TenantId};
use crate::live::{hub::SubscriberKind, topic::Topic};
use crate::queue::event::Settled;
use crate::queue::exchange::{Envelope, ToQueue, ToRoster};
use crate::queue::view::{Today, View};
use crate::queue::{Command, Effect, Queue, Reply};

mod moves;
mod reads;

/// `queue_stats` and the wallboard hear at most four times a second.
pub(super) const STATS_PERIOD_MS: i64 = 250;
/// While somebody waits and somebody watches, the longest wait is told anew this often.
const WAITING_STATS_PERIOD_MS: i64 = 1_000;

/// Where the answer to a command goes; whoever stopped waiting is ignored.
pub(super) type ReplyPort = oneshot::Sender<Result<Reply, CallError>>;

/// Messages of one queue.
#[derive(Debug)]
pub enum QueueMsg {
    Command {
        command: Command,
        reply: Option<ReplyPort>,
    },
    Roster(Envelope<ToQueue>),
    Settlement(Settlement),
    Timer(u64),
    /// Postgres went away, or is back.
    Storage {
        away: bool,
    },
    /// The company's midnight.
    DayStarted(Timestamp),
    State(oneshot::Sender<QueueState>),
    List {
        after_position: u32,
        limit: u32,
        reply: oneshot::Sender<Vec<WaitingCall>>,
    },
    Customer {
        call: CallId,
        reply: oneshot::Sender<Option<CustomerState>>,
    },
    Figures(oneshot::Sender<Figures>),
    /// Whether a call may be given to this department now.
    Admission(oneshot::Sender<Admission>),
    View {
        call: CallId,
        reply: oneshot::Sender<Option<CallView>>,
    },
    Parties {
        call: CallId,
        reply: oneshot::Sender<Option<Parties>>,
    },
    /// Whether it could stop now.
    IsIdle(oneshot::Sender<bool>),
}

/// What a queue is started with.
pub(super) struct Args {
    pub shared: Arc<Shared>,
    pub link: Arc<TenantLink>,
    pub department: DepartmentId,
    pub incarnation: u64,
    pub tenant_actor: ActorRef<TenantMsg>,
    pub day_start: Timestamp,
    /// Since when nobody served this queue.
    pub served_until: Option<Timestamp>,
    /// A life before this one died in this life of the tenant.
    pub again: bool,
    /// The call to end as `system_error`: it was touched last before each of three panics.
    pub condemned: Option<CallId>,
}

/// What waits for a commit.
#[derive(Debug)]
pub(super) enum Held {
    Settled(Settled),
    Reply(ReplyPort, Result<Reply, CallError>),
    /// What was asked of a call that went to another department.
    Forward(DepartmentId, Box<QueueMsg>),
}

pub(super) struct QueueActor;

pub(super) struct State {
    pub shared: Arc<Shared>,
    pub link: Arc<TenantLink>,
    pub tenant: TenantId,
    pub department: DepartmentId,
    incarnation: u64,
    tenant_actor: ActorRef<TenantMsg>,
    pub core: Queue,
    pub view: View,
    pending: Pending<Held>,
    picks: HashMap<PickId, ReplyPort>,
    sequence_in: u64,
    sequence_out: u64,
    /// Numbers the pushes of `queue:`.
    pub seq: u64,
    told: (Stats, Today),
    stats_changed: bool,
    stats_due: Timestamp,
    timer: Timer,
}

impl Actor for QueueActor {
    type Msg = QueueMsg;
    type State = State;
    type Arguments = Args;

    async fn pre_start(&self, myself: ActorRef<QueueMsg>, args: Args) -> Result<State, ActorProcessingErr> {
        State::load(myself, args).await
    }

    async fn handle(
        &self,
        myself: ActorRef<QueueMsg>,
        message: QueueMsg,
        state: &mut State,
    ) -> Result<(), ActorProcessingErr> {
        state.handle(&myself, message)?;
        state.tell_stats();
        state.arm(&myself);
        Ok(())
    }
}

impl State {
    async fn load(myself: ActorRef<QueueMsg>, args: Args) -> Result<Self, ActorProcessingErr> {
        let Args { shared, link, department, incarnation, tenant_actor, day_start, served_until, again, condemned } =
            args;
        let tenant = link.tenant;
        let floor = link.joined_floor();
        let (mut restored, today) = load::queue(&shared.store, tenant, department, day_start, floor, served_until)
            .await?
            .ok_or_else(|| format!("department {department} is gone"))?;
        restored.settings.rules = shared.rules;
        let now = shared.clock.now();
        let view = View::restore(restored.calls.iter(), today, day_start);
        let (core, effects) = Queue::restore(restored, now);
        let mut state = State {
            timer: Timer::new(shared.clock.clone()),
            tenant,
            department,
            incarnation,
            tenant_actor,
            core,
            view,
            pending: Pending::new(),
            picks: HashMap::new(),
            sequence_in: 0,
            sequence_out: 0,
            seq: 0,
            told: Default::default(),
            stats_changed: true,
            stats_due: now,
            shared,
            link,
        };
        // The tenant hears that this life speaks before anything it says.
        let started = TenantMsg::QueueStarted { department, incarnation, actor: myself.clone() };
        state.tenant_actor.cast(started)?;
        let open: HashSet<CallId> = state.core.open_calls().map(|call| call.snapshot().id).collect();
        let mut untold: Vec<CallId> = open.iter().copied().collect();
        untold.extend(state.claim(&open).await?);
        for call in state.view.active() {
            let view = Some(ActiveCall::from(&**call));
            let _ = state.tenant_actor.cast(TenantMsg::CallView { call: call.id, view });
        }
        state.perform(&myself, effects, None);
        if let Some(call) = condemned {
            tracing::error!(%tenant, %department, %call, "three panics in a minute: ending the call last touched");
            state.apply(&myself, Command::End { call, reason: EndReason::SystemError, by: None }, None);
        }
        if state.shared.health.now() != super::health::Health::Up {
            state.apply(&myself, Command::Freeze, None);
        }
        // Whose devices stayed connected while the queue was away is not away.
        for &call in &open {
            for (device, kind) in state.shared.hub.devices(tenant, Topic::Call(call)) {
                if kind == SubscriberKind::Customer {
                    state.apply(&myself, Command::Attach { call, device }, None);
                }
            }
        }
        state.tell_stats();
        if again {
            // What the life before had committed and not told is told now, and so is that its offers are gone.
            state.shared.hub.renew(tenant, Topic::Queue(department));
            for call in untold {
                state.shared.hub.renew(tenant, Topic::Call(call));
            }
        }
        state.arm(&myself);
        Ok(state)
    }

    fn handle(&mut self, myself: &ActorRef<QueueMsg>, message: QueueMsg) -> Result<(), ActorProcessingErr> {
        if let Some(to) = self.gone_to(&message) {
            if let Some(held) = self.pending.hold(Held::Forward(to, Box::new(message))) {
                self.release(held);
            }
            return Ok(());
        }
        match message {
            QueueMsg::Command { command: Command::Adopt(handover), .. } => self.adopt(myself, handover),
            QueueMsg::Command { command, reply } => {
                self.apply(myself, command, reply);
            }
            QueueMsg::Roster(envelope) => {
                if envelope.incarnation == self.incarnation && envelope.sequence > self.sequence_in {
                    self.sequence_in = envelope.sequence;
                    self.apply(myself, Command::Roster(envelope.message), None);
                }
            }
            QueueMsg::Settlement(Settlement::Committed { through }) => {
                for held in self.pending.settle(through) {
                    self.release(held);
                }
            }
            QueueMsg::Settlement(Settlement::Refused) => {
                for held in self.pending.drain() {
                    if let Held::Reply(port, _) = held {
                        let _ = port.send(Err(CallError::Failed));
                    }
                }
                // What was applied is not in the record and never will be: the whole tenant starts from it anew.
                let _ = self.tenant_actor.cast(TenantMsg::Refused);
                return Err(RecordRefused.into());
            }
            QueueMsg::Timer(generation) => {
                if self.timer.fired(generation) {
                    self.apply(myself, Command::Tick, None);
                }
            }
            QueueMsg::Storage { away } => {
                self.apply(myself, if away { Command::Freeze } else { Command::Thaw }, None);
            }
            QueueMsg::DayStarted(midnight) => {
                self.view.start_day(midnight);
                self.stats_changed = true;
            }
            QueueMsg::State(reply) => {
                let _ = reply.send(self.snapshot());
            }
            QueueMsg::List { after_position, limit, reply } => {
                let _ = reply.send(self.waiting(after_position, limit));
            }
            QueueMsg::Customer { call, reply } => {
                let _ = reply.send(self.customer_state(call));
            }
            QueueMsg::Figures(reply) => {
                let stats = self.compute_stats();
                let _ = reply.send(Figures {
                    queue_size: stats.queue_size,
                    online_agents: stats.online_agents,
                    available_agents: stats.available_agents,
                    estimated_wait_time: stats.estimated_wait_time,
                });
            }
            QueueMsg::Admission(reply) => {
                let _ = reply.send(self.admission());
            }
            QueueMsg::View { call, reply } => {
                let name = &self.core.settings().name;
                let _ = reply.send(self.view.call(call).map(|call| CallView::of(call, name)));
            }
            QueueMsg::Parties { call, reply } => {
                let _ = reply.send(self.view.call(call).map(|call| Parties {
                    department_id: call.department_id,
                    phase: call.phase,
                    agent: call.user_id,
                    agent_name: call.user_name.clone(),
                    customer_name: call.caller.name.clone(),
                }));
            }
            QueueMsg::IsIdle(reply) => {
                let heard = self.shared.hub.is_heard(self.tenant, Topic::Queue(self.department));
                let _ = reply.send(self.core.is_idle() && self.pending.is_settled() && !heard);
            }
        }
        Ok(())
    }

    fn apply(&mut self, myself: &ActorRef<QueueMsg>, command: Command, reply: Option<ReplyPort>) {
        let now = self.shared.clock.now();
        let touched = touched(&self.core, &command);
        if touched.is_some() {
            self.link.touch(self.department, touched);
        }
        if let Some(probe) = &self.shared.probes.before_command {
            probe(&command);
        }
        let pick = match &command {
            Command::Pick { pick, .. } => Some(*pick),
            _ => None,
        };
        match self.core.apply(now, command) {
            Ok(applied) => {
                let answer = match (applied.reply, pick, reply) {
                    (Reply::Deferred, Some(pick), Some(port)) => {
                        self.picks.insert(pick, port);
                        None
                    }
                    (done, _, Some(port)) => Some((port, done)),
                    (_, _, None) => None,
                };
                self.perform(myself, applied.effects, answer);
            }
            Err(rejection) => {
                if let Some(port) = reply {
                    let _ = port.send(Err(CallError::Rejected(rejection)));
                }
            }
        }
    }

    /// Performs the effects of one command, then answers it behind what it recorded.
    fn perform(&mut self, myself: &ActorRef<QueueMsg>, effects: Vec<Effect>, answer: Option<(ReplyPort, Reply)>) {
        let mut to_roster = Vec::new();
        for effect in effects {
            match effect {
                Effect::Record { mut entry, settled } => {
                    entry.tell(self.shared.store.bells().webhooks.listens(self.tenant), &self.core.settings().name);
                    if let Settled::Joined(call) = &settled {
                        self.link.calls.insert(call.id, self.department);
                    }
                    let ticket = self.pending.ticket();
                    let _ = self.pending.hold(Held::Settled(settled));
                    self.shared.persistence.write(Write {
                        tenant: self.tenant,
                        generation: self.link.generation,
                        owner: Owner::Queue(myself.clone()),
                        ticket,
                        entry,
                    });
                }
                Effect::Tell(settled) => {
                    if let Some(held) = self.pending.hold(Held::Settled(settled)) {
                        self.release(held);
                    }
                }
                Effect::Say(said) => release::say(self, said),
                Effect::Roster(message) => {
                    self.sequence_out += 1;
                    to_roster.push(Envelope { incarnation: self.incarnation, sequence: self.sequence_out, message });
                }
                Effect::Answer { pick, result } => {
                    if let Some(port) = self.picks.remove(&pick) {
                        let result = result.map_err(CallError::Rejected).and_then(|id| {
                            let call = self.core.call(id).ok_or(CallError::NotFound)?;
                            Ok(Reply::Call(Arc::new(call.snapshot().clone())))
                        });
                        self.answer(port, result);
                    }
                }
            }
        }
        if !to_roster.is_empty() {
            self.send_to_roster(to_roster);
        }
        if let Some((port, reply)) = answer {
            self.answer(port, Ok(reply));
        }
        self.stats_changed = true;
    }

    fn send_to_roster(&self, envelopes: Vec<Envelope<ToRoster>>) {
        // A dead tenant takes its queues with it, so nobody misses this.
        let _ = self.tenant_actor.cast(TenantMsg::FromQueue { department: self.department, envelopes });
    }

    fn answer(&mut self, port: ReplyPort, result: Result<Reply, CallError>) {
        if let Some(held) = self.pending.hold(Held::Reply(port, result)) {
            self.release(held);
        }
    }

    fn release(&mut self, held: Held) {
        match held {
            Held::Reply(port, result) => {
                let _ = port.send(result);
            }
            Held::Forward(department, message) => {
                let _ = self.tenant_actor.cast(TenantMsg::Forward { department, message });
            }
            Held::Settled(settled) => {
                self.view.fold(&settled);
                self.stats_changed = true;
                release::settled(self, &settled);
            }
        }
    }

    /// Tells the tenant what his agents' calls look like now.
    pub(super) fn tell_call(&self, call: &CallSnapshot, open: bool) {
        let view = open.then(|| ActiveCall::from(call));
        let _ = self.tenant_actor.cast(TenantMsg::CallView { call: call.id, view });
    }

    fn arm(&mut self, myself: &ActorRef<QueueMsg>) {
        let watched = || self.shared.hub.is_heard(self.tenant, Topic::Queue(self.department));
        if !self.stats_changed && self.view.queue_size() > 0 && watched() {
            self.stats_changed = true;
            self.stats_due = Timestamp::from_micros(self.shared.clock.now().micros() + WAITING_STATS_PERIOD_MS * 1_000);
        }
        let stats = self.stats_changed.then_some(self.stats_due);
        let next = match (self.core.next_deadline(), stats) {
            (Some(a), Some(b)) => Some(a.min(b)),
            (a, b) => a.or(b),
        };
        let myself = myself.clone();
        self.timer.arm(next, move |generation| {
            let _ = myself.cast(QueueMsg::Timer(generation));
        });
    }
}

/// The call a command is about, for the record of what was touched last.
fn touched(core: &Queue, command: &Command) -> Option<CallId> {
    match command {
        Command::Accept { grant, .. } | Command::Decline { grant, .. } => core.call_of(*grant),
        Command::Roster(
            ToQueue::Revoke { grant, .. } | ToQueue::AgentLost { grant } | ToQueue::AgentBack { grant },
        ) => core.call_of(*grant),
        Command::Tick => core.next_due(),
        other => other.call(),
    }
}
