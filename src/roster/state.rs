//! Owns the agents and queues of one tenant and the indexes over them. Whoever changes an agent calls [`Roster::reindex`]
//! after it, and all indexes agree again.

use std::collections::{BTreeMap, BTreeSet};

pub use super::agent::{Agent, CAPACITY_MAX, Lease, Profile, ReadyKey, Slot, WhyNot};
use super::effect::{Effect, Said};
use crate::domain::agent::AgentSnapshot;
use crate::domain::call::{Rank, Requirements};
use crate::domain::clock::Timestamp;
use crate::domain::department::{RoutingStrategy, WEIGHT_MAX, WEIGHT_STEP_SECONDS};
use crate::domain::ids::{DepartmentId, GrantId, UserId};
use crate::domain::rules::Rules;
use crate::queue::exchange::{Demand, DemandSet, Staff};

/// One step of a department's weight.
const WEIGHT_STEP_MICROS: i64 = WEIGHT_STEP_SECONDS as i64 * 1_000_000;

/// What the roster knows of one queue.
#[derive(Clone, Debug)]
pub(super) struct Desk {
    /// The life of the queue that speaks now; `None` while it is not running.
    pub incarnation: Option<u64>,
    pub strategy: RoutingStrategy,
    pub weight: i8,
    pub demand: Demand,
    /// Grants the demand does not know of yet, with whom and what they were made for.
    pub in_flight: Vec<(u64, Option<UserId>, Requirements)>,
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
    pub fn new(strategy: RoutingStrategy, weight: i8) -> Self {
        Self {
            incarnation: None,
            strategy,
            weight,
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
        let same = |named: &Option<UserId>, requirements: &Requirements| {
            *named == wanted.named && *requirements == wanted.requirements
        };
        let under_way = self.in_flight.iter().filter(|(_, named, requirements)| same(named, requirements)).count();
        wanted.count.saturating_sub(under_way as u32)
    }

    /// How a rank of this desk compares with those of others: the department's weight shifts it by a bounded time.
    pub fn weighed(&self, rank: Rank) -> Rank {
        let steps = i64::from(self.weight.clamp(-WEIGHT_MAX, WEIGHT_MAX));
        Rank { at: rank.at.saturating_sub(steps * WEIGHT_STEP_MICROS), number: rank.number }
    }

    /// The rank of this desk that compares with others' as `weighed` does: the way back.
    pub fn unweighed(&self, weighed: Rank) -> Rank {
        let steps = i64::from(self.weight.clamp(-WEIGHT_MAX, WEIGHT_MAX));
        Rank { at: weighed.at.saturating_add(steps * WEIGHT_STEP_MICROS), number: weighed.number }
    }

    /// As [`Desk::weighed`], for one set. What is kept for somebody by name goes before all that waits for anyone.
    pub fn claim(&self, wanted: &DemandSet) -> Rank {
        match wanted.named {
            Some(_) => Rank { at: i64::MIN, number: wanted.best.number },
            None => self.weighed(wanted.best),
        }
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
    pub(super) rules: Rules,
    /// Demand was left unmet because the plan's bound was reached.
    pub(super) held_by_plan: bool,
    pub(super) frozen_since: Option<Timestamp>,
    /// What those who were removed were when they went, one entry for each user of the company at most. The record may be
    /// behind it.
    pub(super) gone: BTreeMap<UserId, AgentSnapshot>,
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
            rules: Rules::default(),
            held_by_plan: false,
            frozen_since: None,
            gone: BTreeMap::new(),
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

    /// The plan's bound on them.
    pub fn concurrent_calls_max(&self) -> Option<u32> {
        self.concurrent_calls_max
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
            if agent.indexed.is_empty() {
                agent.ready_since = self.now;
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
            if let Some(agent) = self.agents.remove(&user) {
                if agent.shown.is_some() {
                    self.out.push(Effect::Say(Said::Presence { user }));
                }
                // His departments have one agent less.
                self.dirty_desks.extend(&agent.profile.departments);
                self.gone.insert(user, agent.snapshot(self.now));
            }
            self.dirty_agents.remove(&user);
        }
    }
}
