//! Owns one tenant at run time: its roster, its queues' lives, and the topics `notification:`, `presence:` and `tenant:`.
//! It holds no rule and never awaits a queue or Postgres; what takes long is a task that sends a message back.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use ractor::{Actor, ActorId, ActorProcessingErr, ActorRef, ActorStatus, SupervisionEvent};
use tokio::sync::oneshot;
use tokio_util::task::AbortOnDropHandle;

use super::directory::{Shared, TenantLink};
use super::error::{CallError, OVERLOADED};
use super::load;
use super::persistence::{Owner, Settlement, Write};
use super::queue::{QueueMsg, ReplyPort};
use super::settlement::{Pending, RecordRefused};
use super::staff_topics::StaffTopics;
use super::timer::Timer;
use super::wire::NotificationState;
use crate::domain::clock::Timestamp;
use crate::domain::ids::{DepartmentId, GrantId, TenantId, UserId};
use crate::live::hub::SubscriberKind;
use crate::live::topic::Topic;
use crate::queue::{self as core_queue, Command as QueueCommand, Rejection};
use crate::roster::effect::{Said, StatusChanged};
use crate::roster::{Command, Effect, Reply, Roster};

/// After a refusal the queues get so long to answer who waits before everything restarts.
const REFUSED_PAUSE: Duration = Duration::from_millis(50);
/// Offers whose department is remembered, so that a late accept hears why: about 1 MiB.
const OFFERS_MAX: usize = 10_000;

mod bounds;
mod early;
mod lives;
mod message;

pub(super) use message::{Args, RosterReplyPort};
pub use message::{Decision, TenantMsg};

/// What waits for a commit.
#[derive(Debug)]
enum Held {
    Changed(StatusChanged),
    Reply(RosterReplyPort, Result<Reply, CallError>),
}

/// One queue, as its tenant supervises it.
struct Child {
    incarnation: u64,
    id: ActorId,
    actor: ActorRef<QueueMsg>,
}

pub(super) struct TenantActor;

pub(super) struct State {
    shared: Arc<Shared>,
    link: Arc<TenantLink>,
    tenant: TenantId,
    core: Roster,
    pending: Pending<Held>,
    children: BTreeMap<DepartmentId, Child>,
    /// The life each department's queue is being started as.
    starting: BTreeMap<DepartmentId, u64>,
    /// Departments with open calls whose queues have not said yet what they hold.
    unheard: BTreeSet<DepartmentId>,
    /// Who asked meanwhile what an agent has.
    early: Vec<(UserId, oneshot::Sender<Option<NotificationState>>)>,
    /// What queues told one that is still starting.
    forwarded: BTreeMap<DepartmentId, Vec<QueueMsg>>,
    panics: HashMap<DepartmentId, VecDeque<Timestamp>>,
    offers: HashMap<GrantId, DepartmentId>,
    offers_order: VecDeque<GrantId>,
    topics: StaffTopics,
    time_zone: chrono_tz::Tz,
    day_start: Timestamp,
    day_end: Timestamp,
    served_until: Option<Timestamp>,
    /// Postgres is away: everything stands still.
    away: bool,
    /// Hears of the storage's health; ended with this actor.
    health: Option<AbortOnDropHandle<()>>,
    timer: Timer,
}

impl Actor for TenantActor {
    type Msg = TenantMsg;
    type State = State;
    type Arguments = Args;

    async fn pre_start(&self, myself: ActorRef<TenantMsg>, args: Args) -> Result<State, ActorProcessingErr> {
        Ok(State::start(&myself, args))
    }

    async fn handle(
        &self,
        myself: ActorRef<TenantMsg>,
        message: TenantMsg,
        state: &mut State,
    ) -> Result<(), ActorProcessingErr> {
        state.handle(&myself, message)?;
        state.topics.flush(&state.core, &state.shared.hub, state.shared.clock.now());
        state.arm(&myself);
        Ok(())
    }

    /// A child that dies is restarted; the default would stop the parent.
    async fn handle_supervisor_evt(
        &self,
        myself: ActorRef<TenantMsg>,
        event: SupervisionEvent,
        state: &mut State,
    ) -> Result<(), ActorProcessingErr> {
        match event {
            SupervisionEvent::ActorFailed(cell, error) => {
                tracing::error!(tenant = %state.tenant, %error, "a queue failed; it restarts from the record");
                // Who was refused does not start again by himself: the whole tenant does.
                state.lost(&myself, cell.get_id(), !error.is::<RecordRefused>());
            }
            SupervisionEvent::ActorTerminated(cell, _, _) => state.lost(&myself, cell.get_id(), false),
            _ => {}
        }
        Ok(())
    }
}

impl State {
    fn start(myself: &ActorRef<TenantMsg>, args: Args) -> Self {
        let Args {
            shared,
            link,
            incarnation,
            time_zone,
            concurrent_calls_max,
            departments,
            today,
            agents,
            open,
            served_until,
        } = args;
        let now = shared.clock.now();
        let (day_start, day_end) = load::day(time_zone, now);
        let strategies: Vec<_> = departments.iter().map(|d| (d.department_id, d.routing_strategy, d.weight)).collect();
        let agents = agents.into_iter().map(|agent| load::since_midnight(agent, day_start));
        let (core, effects) =
            Roster::restore(strategies, agents, concurrent_calls_max, shared.rules, served_until, now);
        let topics = StaffTopics::new(link.tenant, incarnation, &departments, &today);
        let mut state = State {
            timer: Timer::new(shared.clock.clone()),
            tenant: link.tenant,
            core,
            pending: Pending::new(),
            children: BTreeMap::new(),
            starting: Default::default(),
            unheard: open.iter().copied().collect(),
            early: Vec::new(),
            forwarded: BTreeMap::new(),
            panics: HashMap::new(),
            offers: HashMap::new(),
            offers_order: VecDeque::new(),
            topics,
            time_zone,
            day_start,
            day_end,
            served_until,
            away: false,
            health: None,
            shared,
            link,
        };
        state.perform(myself, effects, None);
        // Whose devices stayed connected while the tenant was away keeps his lease.
        let users: Vec<UserId> = state.core.agents().map(|agent| agent.profile().user_id).collect();
        for user in users {
            for (device, kind) in state.shared.hub.devices(state.tenant, Topic::Notification(user)) {
                if matches!(kind, SubscriberKind::Staff { .. }) {
                    state.apply(myself, Command::Attach { user, device }, None);
                }
            }
        }
        state.follow_health(myself);
        for department in open {
            state.ensure_queue(myself, department);
        }
        state.topics.begin(&state.shared.hub);
        state.topics.flush(&state.core, &state.shared.hub, now);
        state.arm(myself);
        state
    }

    /// Hears from now on whether its changes can be stored: of the storage's health, and of its own rows being held.
    fn follow_health(&mut self, myself: &ActorRef<TenantMsg>) {
        let held = self.shared.persistence.held().clone();
        let (mut health, mut holding) = (self.shared.health.watch(), held.watch());
        let (myself, tenant) = (myself.clone(), self.tenant);
        let task = tokio::spawn(async move {
            let mut told = None;
            loop {
                let away = *health.borrow_and_update() != super::health::Health::Up || held.contains(tenant);
                if told.replace(away) != Some(away) && myself.cast(TenantMsg::Storage { away }).is_err() {
                    return;
                }
                tokio::select! {
                    Ok(()) = health.changed() => {}
                    Ok(()) = holding.changed() => {}
                    else => return,
                }
            }
        });
        self.health = Some(AbortOnDropHandle::new(task));
    }

    fn handle(&mut self, myself: &ActorRef<TenantMsg>, message: TenantMsg) -> Result<(), ActorProcessingErr> {
        match message {
            TenantMsg::Command { command, reply } => {
                self.apply(myself, load::command_since_midnight(command, self.day_start), reply);
            }
            TenantMsg::Offer { grant, user, decision, reply } => self.offer(grant, user, decision, reply),
            TenantMsg::FromQueue { department, envelopes } => {
                for envelope in envelopes {
                    self.apply(myself, Command::Queue { department, envelope }, None);
                }
                // A queue's first words say what it holds.
                if self.unheard.remove(&department) && self.unheard.is_empty() {
                    self.answer_early();
                }
            }
            TenantMsg::QueueStarted { department, incarnation, actor } => {
                if self.starting.get(&department) != Some(&incarnation) {
                    // Given up meanwhile; another life is on its way.
                    actor.stop(None);
                    return Ok(());
                }
                self.starting.remove(&department);
                self.children.insert(department, Child { incarnation, id: actor.get_id(), actor: actor.clone() });
                if actor.get_status() as u8 >= ActorStatus::Stopping as u8 {
                    // It died before it was known here; supervision's word of it found nobody.
                    self.lost(myself, actor.get_id(), true);
                    return Ok(());
                }
                self.apply(myself, Command::QueueStarted { department, incarnation }, None);
                // It looked at the storage's health when it began to load; what it missed since, it hears here.
                let _ = actor.cast(QueueMsg::Storage { away: self.away });
                // Calls that were given to it come before whatever is asked of them here.
                for message in self.forwarded.remove(&department).unwrap_or_default() {
                    let _ = actor.cast(message);
                }
                self.link.publish_queue(department, Some(actor));
            }
            TenantMsg::EnsureQueue { department } => self.ensure_queue(myself, department),
            TenantMsg::Forward { department, message } => self.forward(myself, department, *message),
            TenantMsg::QueueFailed { department, incarnation, served_until, panicked } => {
                if self.starting.get(&department) == Some(&incarnation) {
                    self.starting.remove(&department);
                    self.restart(myself, department, served_until, panicked);
                } else if self.children.get(&department).is_some_and(|child| child.incarnation == incarnation) {
                    let id = self.children.get(&department).map(|child| child.id);
                    if let Some(id) = id {
                        self.lost(myself, id, true);
                    }
                }
            }
            TenantMsg::Department { mut settings } => {
                settings.rules = self.shared.rules;
                let department = settings.department_id;
                self.link.add_department(&settings);
                self.topics.department(&settings);
                let (strategy, weight) = (settings.routing_strategy, settings.weight);
                self.apply(myself, Command::Department { department, strategy, weight }, None);
                if let Some(child) = self.children.get(&department) {
                    let command = QueueCommand::Configure(settings);
                    let _ = child.actor.cast(QueueMsg::Command { command, reply: None });
                }
            }
            TenantMsg::DepartmentRemoved { department } => self.department_removed(department),
            TenantMsg::Bounds(bounds) => self.obey(myself, bounds),
            TenantMsg::Settlement(Settlement::Committed { through }) => {
                for held in self.pending.settle(through) {
                    self.release(held);
                }
            }
            TenantMsg::Settlement(Settlement::Refused) | TenantMsg::Refused => {
                for held in self.pending.drain() {
                    if let Held::Reply(port, _) = held {
                        let _ = port.send(Err(CallError::Failed));
                    }
                }
                let myself = myself.clone();
                tokio::spawn(async move {
                    tokio::time::sleep(REFUSED_PAUSE).await;
                    let _ = myself.cast(TenantMsg::Restart);
                });
            }
            TenantMsg::Restart => return Err(RecordRefused.into()),
            TenantMsg::Timer(generation) => {
                if self.timer.fired(generation) {
                    self.turn_day(myself);
                    self.apply(myself, Command::Tick, None);
                }
            }
            TenantMsg::Storage { away } => {
                self.away = away;
                self.apply(myself, if away { Command::Freeze } else { Command::Thaw }, None);
                for child in self.children.values() {
                    let _ = child.actor.cast(QueueMsg::Storage { away });
                }
            }
            TenantMsg::CallView { call, view } => self.topics.call(call, view),
            TenantMsg::Figures { figures, active, today } => self.topics.figures(figures, active, today),
            TenantMsg::Notification { user, reply } => self.notification(myself, user, reply),
            TenantMsg::Notices { user, notices } => self.topics.notices(&self.shared.hub, user, &notices),
            TenantMsg::AnswerEarly => self.answer_early(),
            TenantMsg::Presence { department, reply } => {
                let _ = reply.send(self.topics.presence(department));
            }
            TenantMsg::Dashboard(reply) => {
                let _ = reply.send(self.topics.dashboard(&self.core));
            }
            TenantMsg::IsIdle(reply) => {
                let idle = self.core.is_idle() && self.pending.is_settled() && self.starting.is_empty();
                let _ = reply.send(idle);
            }
        }
        Ok(())
    }

    fn apply(&mut self, myself: &ActorRef<TenantMsg>, command: Command, reply: Option<RosterReplyPort>) {
        let now = self.shared.clock.now();
        let ids = self.shared.ids.clone();
        // A device that comes or goes is no change anybody was promised: its answer does not wait for Postgres.
        let at_once = matches!(command, Command::Attach { .. } | Command::Configure { .. });
        match self.core.apply(now, command, &mut || ids.next(now)) {
            Ok(applied) if at_once => {
                self.perform(myself, applied.effects, None);
                if let Some(port) = reply {
                    let _ = port.send(Ok(applied.reply));
                }
            }
            Ok(applied) => self.perform(myself, applied.effects, reply.map(|port| (port, applied.reply))),
            Err(rejection) => {
                if let Some(port) = reply {
                    let _ = port.send(Err(CallError::Rejected(rejection)));
                }
            }
        }
    }

    fn perform(
        &mut self,
        myself: &ActorRef<TenantMsg>,
        effects: Vec<Effect>,
        answer: Option<(RosterReplyPort, Reply)>,
    ) {
        for effect in effects {
            match effect {
                Effect::Record { entry, changed } => {
                    let ticket = self.pending.ticket();
                    if let Some(changed) = changed {
                        let _ = self.pending.hold(Held::Changed(changed));
                    }
                    self.shared.persistence.write(Write {
                        tenant: self.tenant,
                        generation: self.link.generation,
                        owner: Owner::Tenant(myself.clone()),
                        ticket,
                        entry,
                    });
                }
                Effect::Say(said) => {
                    if let Said::Offered(offer) = &said {
                        self.remember(offer.grant, offer.department_id);
                        // From the moment both were free for each other to the offer on its way (promise 4).
                        let met = self.shared.clock.now().since(offer.possible_since);
                        metrics::histogram!("vez_match_seconds").record(met.as_secs_f64());
                    }
                    self.topics.say(&self.core, &self.shared.hub, said);
                }
                Effect::Queue { department, envelope } => {
                    if let Some(child) =
                        self.children.get(&department).filter(|child| child.incarnation == envelope.incarnation)
                    {
                        let _ = child.actor.cast(QueueMsg::Roster(envelope));
                    }
                }
            }
        }
        if let Some((port, reply)) = answer
            && let Some(held) = self.pending.hold(Held::Reply(port, Ok(reply)))
        {
            self.release(held);
        }
    }

    fn release(&mut self, held: Held) {
        match held {
            Held::Reply(port, result) => {
                let _ = port.send(result);
            }
            Held::Changed(changed) => self.topics.status_changed(&self.core, &self.shared.hub, &changed),
        }
    }

    fn remember(&mut self, grant: GrantId, department: DepartmentId) {
        if self.offers.insert(grant, department).is_none() {
            self.offers_order.push_back(grant);
        }
        if self.offers_order.len() > OFFERS_MAX
            && let Some(oldest) = self.offers_order.pop_front()
        {
            self.offers.remove(&oldest);
        }
    }

    /// Sends an agent's answer to the queue that made the offer.
    fn offer(&mut self, grant: GrantId, user: UserId, decision: Decision, reply: ReplyPort) {
        // What a life before this one offered is known only while the agent still holds it.
        let owned = || self.core.owner(grant).map(|(_, department)| department);
        let Some(department) = self.offers.get(&grant).copied().or_else(owned) else {
            let _ = reply.send(Err(CallError::Rejected(Rejection::OfferExpired)));
            return;
        };
        let Some(child) = self.children.get(&department) else {
            let _ = reply.send(Err(OVERLOADED));
            return;
        };
        let command = match decision {
            Decision::Accept => core_queue::Command::Accept { grant, user },
            Decision::Decline => core_queue::Command::Decline { grant, user },
        };
        let _ = child.actor.cast(QueueMsg::Command { command, reply: Some(reply) });
    }

    fn arm(&mut self, myself: &ActorRef<TenantMsg>) {
        let next =
            [self.core.next_deadline(), self.topics.next_flush(), Some(self.day_end)].into_iter().flatten().min();
        let myself = myself.clone();
        self.timer.arm(next, move |generation| {
            let _ = myself.cast(TenantMsg::Timer(generation));
        });
    }
}
