//! Owns the five facts about one agent, kept apart, and what is derived from them. Who changes them is in `apply`, `slots` and
//! `choosing`.

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::domain::agent::{Activity, AgentSnapshot, AgentStatus, Held, IdleClock, Intent, WrapUp};
use crate::domain::call::Requirements;
use crate::domain::clock::Timestamp;
use crate::domain::department::RoutingStrategy;
use crate::domain::ids::{CallId, DepartmentId, DeviceId, GrantId, PickId, UserId};
use crate::domain::role::Role;
use crate::queue::exchange::Offer;

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
    pub(super) indexed: Vec<(DepartmentId, ReadyKey)>,
    pub(super) deadline: Option<Timestamp>,
    /// Since when he may be offered a call.
    pub(super) ready_since: Timestamp,
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
            ready_since: now,
            shown: None,
        }
    }

    /// Makes him as a snapshot says he was. His idle clock stands still since `until`: it runs again when he is back.
    pub(super) fn recall(&mut self, snapshot: AgentSnapshot, until: Timestamp) {
        self.intent = snapshot.intent;
        self.intent_since = snapshot.intent_since;
        self.after_call = snapshot.after_call;
        self.held = snapshot.held;
        self.misses = snapshot.misses;
        self.rotation = snapshot.rotation;
        self.calls_today = snapshot.calls_today;
        self.version = snapshot.version;
        self.wrap_ups = snapshot.wrap_ups;
        self.idle = IdleClock::Stopped { elapsed_micros: snapshot.idle.elapsed_micros(until) };
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

    /// What takes effect after the running call and its wrap-up.
    pub fn after_call(&self) -> Option<&Intent> {
        self.after_call.as_ref()
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

    pub(super) fn idle_since(&self) -> i64 {
        match self.idle {
            IdleClock::Running { since_micros } => since_micros,
            IdleClock::Stopped { .. } => i64::MAX,
        }
    }

    pub(super) fn ready_key(&self, strategy: RoutingStrategy) -> ReadyKey {
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

    pub(super) fn next_deadline(&self) -> Option<Timestamp> {
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
