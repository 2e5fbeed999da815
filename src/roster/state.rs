//! Owns the facts about each agent and the indexes over them. Whoever changes an agent calls [`Roster::reindex`] after
//! it. "May be offered" is derived here, never stored.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::effect::Effect;
use crate::domain::agent::{Activity, AgentSnapshot, AgentStatus, Held, IdleClock, Intent, WrapUp};
use crate::domain::call::{Rank, Requirements};
use crate::domain::clock::Timestamp;
use crate::domain::department::RoutingStrategy;
use crate::domain::ids::{CallId, DepartmentId, DeviceId, GrantId, PickId, UserId};
use crate::domain::role::Role;
use crate::queue::exchange::{Demand, Offer, Staff};

/// A lease without a device is lost after so long (RULES.md, "Agents: five facts").
pub const LEASE_SECONDS: u64 = 15;
/// Offers missed in a row before the system holds further ones back.
pub const MISSES_MAX: u8 = 3;
/// Slots one agent may have.
pub const CAPACITY_MAX: u8 = 20;

/// Who an agent is, as staff configured it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Profile {
    pub user_id: UserId,
    pub name: Arc<str>,
    pub role: Role,
    /// Slots.
    pub capacity: u8,
    /// Sorted, without doubles.
    pub skills: Requirements,
    pub departments: BTreeSet<DepartmentId>,
}

/// One used unit of an agent's capacity. A free slot is the absence of one.
#[derive(Clone, Debug)]
pub enum Slot {
    /// Lent to a queue, which may have made an offer of it.
    Granted {
        grant: GrantId,
        department: DepartmentId,
        pick: Option<PickId>,
        offer: Option<Arc<Offer>>,
        /// His skills changed since: what a hand-back says of him is stale.
        stale: bool,
    },
    Running {
        grant: GrantId,
        department: DepartmentId,
        call: CallId,
    },
    WrapUp {
        call: CallId,
        department: DepartmentId,
        ends_at: Timestamp,
    },
}

/// Whether some device of the agent is joined to his notifications.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lease {
    Held,
    /// No device now; lost at that time.
    Missing {
        until: Timestamp,
    },
    Lost,
}

/// Why an agent may not be offered a call now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WhyNot {
    Paused,
    Offline,
    /// He leaves after the running call.
    AfterCall,
    /// Held since he missed offers.
    Held,
    /// No device is connected.
    NotConnected,
    NoFreeSlot,
}

/// One agent: the five facts, apart.
#[derive(Clone, Debug)]
pub struct Agent {
    pub(super) profile: Profile,
    pub(super) intent: Intent,
    pub(super) intent_since: Timestamp,
    pub(super) after_call: Option<Intent>,
    pub(super) held: Option<Held>,
    pub(super) misses: u8,
    pub(super) devices: Vec<DeviceId>,
    pub(super) lease: Lease,
    /// His running calls depend on his lease: he had one when he worked last. Work taken by REST alone does not.
    pub(super) bound: bool,
    pub(super) slots: Vec<Slot>,
    /// The most slots he may use: his capacity, or what he used when it was lowered under him.
    pub(super) slots_max: usize,
    pub(super) idle: IdleClock,
    pub(super) rotation: i64,
    pub(super) calls_today: i32,
    pub(super) wrap_ups: Vec<WrapUp>,
    pub(super) version: i64,
    /// Removed from the company; kept only while a slot is used.
    pub(super) removed: bool,
    pub(super) unrecorded: bool,
    indexed: Vec<(DepartmentId, ReadyKey)>,
    deadline: Option<Timestamp>,
    /// What presence last showed, to tell only changes.
    pub(super) shown: Option<(Activity, Intent, Option<Held>)>,
}

/// The order in which a department's free agents are served; smaller first.
pub type ReadyKey = (i64, i64, UserId);

impl Agent {
    pub(super) fn new(profile: Profile, now: Timestamp) -> Self {
        Self {
            slots_max: usize::from(profile.capacity),
            profile,
            intent: Intent::plain(AgentStatus::Offline),
            intent_since: now,
            after_call: None,
            held: None,
            misses: 0,
            devices: Vec::new(),
            lease: Lease::Lost,
            bound: false,
            slots: Vec::new(),
            idle: IdleClock::Stopped { elapsed_micros: 0 },
            rotation: 0,
            calls_today: 0,
            wrap_ups: Vec::new(),
            version: 0,
            removed: false,
            unrecorded: false,
            indexed: Vec::new(),
            deadline: None,
            shown: None,
        }
    }

    /// Whether the agent may be offered a call: a pure function of the five facts that says why not.
    pub fn may_be_offered(&self) -> Result<(), WhyNot> {
        match self.intent.status {
            AgentStatus::Available => {}
            AgentStatus::Paused => return Err(WhyNot::Paused),
            AgentStatus::Offline => return Err(WhyNot::Offline),
        }
        if self.held.is_some() {
            return Err(WhyNot::Held);
        }
        if self.after_call.as_ref().is_some_and(|intent| intent.status != AgentStatus::Available) {
            return Err(WhyNot::AfterCall);
        }
        if self.devices.is_empty() {
            // Within the lease's grace he keeps what he has, but an offer now would ring in an empty room.
            return Err(WhyNot::NotConnected);
        }
        if !self.has_free_slot() {
            return Err(WhyNot::NoFreeSlot);
        }
        Ok(())
    }

    pub(super) fn has_free_slot(&self) -> bool {
        !self.removed && self.slots.len() < usize::from(self.profile.capacity)
    }

    /// Whether his lease holds: he is shown as present.
    pub fn is_online(&self) -> bool {
        self.lease != Lease::Lost
    }

    /// What the machine knows him to be doing.
    pub fn activity(&self) -> Activity {
        let has = |wanted: fn(&Slot) -> bool| self.slots.iter().any(wanted);
        if has(|slot| matches!(slot, Slot::Running { .. })) {
            Activity::InCall
        } else if has(|slot| matches!(slot, Slot::Granted { offer: Some(_), .. })) {
            Activity::Offered
        } else if has(|slot| matches!(slot, Slot::WrapUp { .. })) {
            Activity::WrapUp
        } else {
            Activity::Idle
        }
    }

    /// Who he is.
    pub fn profile(&self) -> &Profile {
        &self.profile
    }

    /// What he chose, since when.
    pub fn intent(&self) -> (&Intent, Timestamp) {
        (&self.intent, self.intent_since)
    }

    /// Why the system holds offers back.
    pub fn held(&self) -> Option<Held> {
        self.held
    }

    /// His used slots.
    pub fn slots(&self) -> &[Slot] {
        &self.slots
    }

    /// The state of his lease.
    pub fn lease(&self) -> Lease {
        self.lease
    }

    /// The persisted form as it is now.
    pub fn snapshot(&self, now: Timestamp) -> AgentSnapshot {
        AgentSnapshot {
            user_id: self.profile.user_id,
            intent: self.intent.clone(),
            intent_since: self.intent_since,
            after_call: self.after_call.clone(),
            held: self.held,
            leased: self.bound,
            misses: self.misses,
            wrap_ups: self.wrap_ups.clone(),
            idle: self.idle,
            rotation: self.rotation,
            calls_today: self.calls_today,
            version: self.version,
            changed_at: now,
        }
    }

    fn idle_since(&self) -> i64 {
        match self.idle {
            IdleClock::Running { since_micros } => since_micros,
            IdleClock::Stopped { .. } => i64::MAX,
        }
    }

    fn ready_key(&self, strategy: RoutingStrategy) -> ReadyKey {
        let idle = self.idle_since();
        match strategy {
            RoutingStrategy::LongestIdle => (idle, 0, self.profile.user_id),
            RoutingStrategy::RoundRobin => (self.rotation, idle, self.profile.user_id),
            RoutingStrategy::FewestCalls => (i64::from(self.calls_today), idle, self.profile.user_id),
        }
    }

    pub(super) fn stop_idle_clock(&mut self, now: Timestamp) {
        self.idle = IdleClock::Stopped { elapsed_micros: self.idle.elapsed_micros(now) };
    }

    pub(super) fn resume_idle_clock(&mut self, now: Timestamp) {
        if let IdleClock::Stopped { elapsed_micros } = self.idle {
            self.idle = IdleClock::Running { since_micros: now.micros() - elapsed_micros };
        }
    }

    /// Work was done or refused: the clock starts anew.
    pub(super) fn reset_idle_clock(&mut self, now: Timestamp) {
        self.idle = match self.idle {
            IdleClock::Running { .. } => IdleClock::Running { since_micros: now.micros() },
            IdleClock::Stopped { .. } => IdleClock::Stopped { elapsed_micros: 0 },
        };
    }

    fn next_deadline(&self) -> Option<Timestamp> {
        let lease = match self.lease {
            Lease::Missing { until } => Some(until),
            _ => None,
        };
        let wrap_up = self
            .slots
            .iter()
            .filter_map(|slot| match slot {
                Slot::WrapUp { ends_at, .. } => Some(*ends_at),
                _ => None,
            })
            .min();
        match (lease, wrap_up) {
            (Some(a), Some(b)) => Some(a.min(b)),
            (a, b) => a.or(b),
        }
    }
}

/// What the roster knows of one queue.
#[derive(Clone, Debug)]
pub(super) struct Desk {
    /// The life of the queue that speaks now; `None` while it is not running.
    pub incarnation: Option<u64>,
    pub strategy: RoutingStrategy,
    pub demand: Demand,
    /// Grants the demand does not know of yet, with the requirements they were made for.
    pub in_flight: Vec<(u64, Requirements)>,
    pub grants_made: u64,
    pub sequence_out: u64,
    pub sequence_in: u64,
    /// Hand-backs at the demand's present version: the rank the queue has for that agent, or none.
    pub backs: BTreeMap<UserId, Option<Rank>>,
    /// Agents of this department who may be offered a call, best first.
    pub ready: BTreeSet<ReadyKey>,
    pub staff: Staff,
}

impl Desk {
    pub fn new(strategy: RoutingStrategy) -> Self {
        Self {
            incarnation: None,
            strategy,
            demand: Demand::default(),
            in_flight: Vec::new(),
            grants_made: 0,
            sequence_out: 0,
            sequence_in: 0,
            backs: BTreeMap::new(),
            ready: BTreeSet::new(),
            staff: Staff::default(),
        }
    }

    /// Calls of one set that no grant is under way for.
    pub fn remaining(&self, set: usize) -> u32 {
        let Some(wanted) = self.demand.sets.get(set) else { return 0 };
        let under_way = self.in_flight.iter().filter(|(_, requirements)| *requirements == wanted.requirements).count();
        wanted.count.saturating_sub(under_way as u32)
    }
}

/// One tenant's agents. See the module's contract in `roster/mod.rs`.
#[derive(Clone, Debug)]
pub struct Roster {
    pub(super) now: Timestamp,
    pub(super) agents: BTreeMap<UserId, Agent>,
    pub(super) desks: BTreeMap<DepartmentId, Desk>,
    /// The agent each lent or running slot belongs to.
    pub(super) grants: BTreeMap<GrantId, UserId>,
    pub(super) deadlines: BTreeSet<(Timestamp, UserId)>,
    pub(super) rotation: i64,
    /// Most granted and running slots at once, by the company's plan.
    pub(super) concurrent_calls_max: Option<u32>,
    /// Demand was left unmet because the plan's bound was reached.
    pub(super) held_by_plan: bool,
    pub(super) frozen_since: Option<Timestamp>,
    pub(super) dirty_agents: BTreeSet<UserId>,
    pub(super) dirty_desks: BTreeSet<DepartmentId>,
    pub(super) out: Vec<Effect>,
}

impl Roster {
    /// A roster without agents.
    pub fn new(now: Timestamp, concurrent_calls_max: Option<u32>) -> Self {
        Self {
            now,
            agents: BTreeMap::new(),
            desks: BTreeMap::new(),
            grants: BTreeMap::new(),
            deadlines: BTreeSet::new(),
            rotation: 0,
            concurrent_calls_max,
            held_by_plan: false,
            frozen_since: None,
            dirty_agents: BTreeSet::new(),
            dirty_desks: BTreeSet::new(),
            out: Vec::new(),
        }
    }

    /// When `Tick` must be applied next; valid until the next `apply`.
    pub fn next_deadline(&self) -> Option<Timestamp> {
        if self.frozen_since.is_some() { None } else { self.deadlines.first().map(|(at, _)| *at) }
    }

    /// An agent.
    pub fn agent(&self, user: UserId) -> Option<&Agent> {
        self.agents.get(&user)
    }

    /// Every agent, by id.
    pub fn agents(&self) -> impl Iterator<Item = &Agent> {
        self.agents.values()
    }

    /// The agents of a department in numbers.
    pub fn staff(&self, department: DepartmentId) -> Staff {
        self.desks.get(&department).map(|desk| desk.staff).unwrap_or_default()
    }

    /// Whether Postgres is away.
    pub fn is_frozen(&self) -> bool {
        self.frozen_since.is_some()
    }

    /// Whether a slot is lent to that department's queue, or may be: such a queue must not be put to rest.
    pub fn lends_to(&self, department: DepartmentId) -> bool {
        self.agents.values().flat_map(|agent| &agent.slots).any(|slot| match slot {
            Slot::Granted { department: at, .. } | Slot::Running { department: at, .. } => *at == department,
            Slot::WrapUp { .. } => false,
        })
    }

    /// Granted and running slots of the whole company.
    pub fn slots_in_use(&self) -> u32 {
        self.grants.len() as u32
    }

    /// The agent and department a grant or offer belongs to.
    pub fn owner(&self, grant: GrantId) -> Option<(UserId, DepartmentId)> {
        let user = *self.grants.get(&grant)?;
        let slots = &self.agents.get(&user)?.slots;
        slots.iter().find_map(|slot| match slot {
            Slot::Granted { grant: id, department, .. } | Slot::Running { grant: id, department, .. }
                if *id == grant =>
            {
                Some((user, *department))
            }
            _ => None,
        })
    }

    /// Whether no agent is connected, works or waits for a deadline.
    pub fn is_idle(&self) -> bool {
        self.deadlines.is_empty() && self.agents.values().all(|a| a.devices.is_empty() && a.slots.is_empty())
    }

    /// Brings every index in line with the agent as he is now, and notes him for the rounds of `settle`.
    pub(super) fn reindex(&mut self, user: UserId) {
        let Some(agent) = self.agents.get_mut(&user) else { return };
        agent.slots_max = agent.slots_max.min(agent.slots.len()).max(usize::from(agent.profile.capacity));
        let runs = agent.slots.iter().any(|slot| matches!(slot, Slot::Running { .. }));
        let bound = agent.lease != Lease::Lost || (agent.bound && runs);
        if agent.bound != bound {
            agent.bound = bound;
            agent.unrecorded = true;
        }
        let mut wanted = Vec::new();
        if agent.may_be_offered().is_ok() {
            for department in &agent.profile.departments {
                if let Some(desk) = self.desks.get(department) {
                    wanted.push((*department, agent.ready_key(desk.strategy)));
                }
            }
        }
        if agent.indexed != wanted {
            for (department, key) in &agent.indexed {
                if let Some(desk) = self.desks.get_mut(department) {
                    desk.ready.remove(key);
                }
            }
            for (department, key) in &wanted {
                if let Some(desk) = self.desks.get_mut(department) {
                    desk.ready.insert(*key);
                }
            }
            agent.indexed = wanted;
        }
        let deadline = agent.next_deadline();
        if agent.deadline != deadline {
            if let Some(at) = agent.deadline {
                self.deadlines.remove(&(at, user));
            }
            if let Some(at) = deadline {
                self.deadlines.insert((at, user));
            }
            agent.deadline = deadline;
        }
        self.dirty_agents.insert(user);
    }

    /// Forgets an agent who was removed and holds nothing any more.
    pub(super) fn forget_if_gone(&mut self, user: UserId) {
        if self.agents.get(&user).is_some_and(|agent| agent.removed && agent.slots.is_empty()) {
            self.reindex(user);
            self.agents.remove(&user);
            self.dirty_agents.remove(&user);
        }
    }
}
