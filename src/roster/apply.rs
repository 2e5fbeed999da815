//! Owns the one door into the roster, and the commands of agents and supervisors. What queues say is in `slots`.

use serde_json::json;

use super::effect::{Applied, Command, Effect, NewGrant, Outcome, Reply, Said, StatusCause, StatusChanged, Supervisor};
use super::state::{Agent, CAPACITY_MAX, Desk, Lease, Profile, Roster, Slot};
use crate::domain::agent::{AgentSnapshot, AgentStatus, Intent, WrapUp};
use crate::domain::clock::Timestamp;
use crate::domain::department::RoutingStrategy;
use crate::domain::ids::{CallId, DepartmentId, DeviceId, UserId};
use crate::domain::record::{Entry, RecordEvent};
use crate::queue::Rejection;
use crate::queue::exchange::{RevokeReason, ToQueue};

/// A wrap-up may be extended to at most so long from now.
pub const WRAP_UP_SECONDS_MAX: u64 = 3_600;
/// Devices of one agent kept track of: tabs and phones; a further one gets the pushes but does not hold the lease.
const DEVICES_MAX: usize = 32;

impl Roster {
    /// Applies one command. A rejection changes nothing; otherwise the roster has settled when this returns.
    pub fn apply(&mut self, now: Timestamp, command: Command, new_grant: NewGrant<'_>) -> Outcome {
        self.now = now.max(self.now);
        let recorded =
            matches!(command, Command::SetStatus { .. } | Command::WrapUpEnd { .. } | Command::WrapUpExtend { .. });
        if self.frozen_since.is_some() && recorded {
            return Err(Rejection::StorageUnavailable);
        }
        let reply = self.dispatch(command, new_grant)?;
        self.settle(new_grant);
        Ok(Applied { reply, effects: std::mem::take(&mut self.out) })
    }

    fn dispatch(&mut self, command: Command, new_grant: NewGrant<'_>) -> Result<Reply, Rejection> {
        match command {
            Command::Configure { user, profile, snapshot } => self.configure(user, profile, snapshot),
            Command::Department { department, strategy, weight } => self.department(department, strategy, weight),
            Command::PlanLimit(limit) => {
                self.concurrent_calls_max = limit;
                self.dirty_desks.extend(self.desks.keys().copied());
            }
            Command::SetStatus { user, by, intent, after_call } => self.set_status(user, by, intent, after_call)?,
            Command::Attach { user, device } => self.attach(user, device)?,
            Command::Detach { user, device } => self.detach(user, device),
            Command::WrapUpEnd { user, call } => {
                let now = self.now;
                self.move_wrap_up(user, call, |_| now)?;
            }
            Command::WrapUpExtend { user, call, seconds } => {
                let latest = self.now.plus_seconds(WRAP_UP_SECONDS_MAX);
                let wanted = self.wrap_up(user, call)?.1.plus_seconds(seconds);
                if wanted > latest {
                    return Err(Rejection::WrapUpTooLong);
                }
                return self.move_wrap_up(user, call, |_| wanted).map(Reply::WrapUp);
            }
            Command::Queue { department, envelope } => self.hear(department, envelope, new_grant),
            Command::QueueStarted { department, incarnation } => self.queue_started(department, incarnation),
            Command::QueueStopped { department, incarnation } => self.queue_stopped(department, incarnation),
            Command::DayStarted => {
                let users: Vec<UserId> = self.agents.keys().copied().collect();
                for user in users {
                    if let Some(agent) = self.agents.get_mut(&user) {
                        agent.calls_today = 0;
                    }
                    self.reindex(user);
                }
                self.gone.values_mut().for_each(|gone| gone.calls_today = 0);
            }
            Command::Freeze => {
                self.frozen_since.get_or_insert(self.now);
            }
            Command::Thaw => self.thaw(),
            Command::Tick => {}
        }
        Ok(Reply::Done)
    }

    fn configure(&mut self, user: UserId, profile: Option<Profile>, snapshot: Option<Box<AgentSnapshot>>) {
        match profile {
            Some(mut profile) => {
                profile.capacity = profile.capacity.clamp(1, CAPACITY_MAX);
                let now = self.now;
                let gone = self.gone.remove(&user);
                let entry = self.agents.entry(user);
                let agent = entry.or_insert_with(|| returned(profile.clone(), snapshot, gone, now));
                let left: Vec<DepartmentId> =
                    agent.profile.departments.difference(&profile.departments).copied().collect();
                let skilled = agent.profile.skills != profile.skills;
                agent.slots_max = agent.slots.len().max(usize::from(profile.capacity));
                agent.profile = profile;
                agent.removed = false;
                // His name or departments may show elsewhere now.
                agent.shown = None;
                // New skills or memberships make every hand-back of his stale.
                let all: Vec<DepartmentId> = agent.profile.departments.iter().copied().collect();
                if skilled {
                    for slot in &mut agent.slots {
                        if let Slot::Granted { stale, .. } = slot {
                            *stale = true;
                        }
                    }
                    for department in all {
                        if let Some(desk) = self.desks.get_mut(&department) {
                            desk.backs.remove(&user);
                        }
                    }
                }
                self.revoke_offers(user, RevokeReason::AgentPaused, |department| left.contains(&department));
                self.dirty_desks.extend(left);
            }
            None => {
                if let Some(agent) = self.agents.get_mut(&user) {
                    agent.removed = true;
                    agent.devices.clear();
                    agent.lease = Lease::Lost;
                    agent.stop_idle_clock(self.now);
                    self.revoke_offers(user, RevokeReason::AgentPaused, |_| true);
                    self.lose_running(user);
                }
            }
        }
        self.reindex(user);
        self.forget_if_gone(user);
    }

    fn department(&mut self, department: DepartmentId, strategy: RoutingStrategy, weight: i8) {
        let desk = self.desks.entry(department).or_insert_with(|| Desk::new(strategy, weight));
        desk.strategy = strategy;
        desk.weight = weight;
        self.dirty_desks.insert(department);
        let members: Vec<UserId> = self
            .agents
            .values()
            .filter(|a| a.profile.departments.contains(&department))
            .map(|a| a.profile.user_id)
            .collect();
        for user in members {
            self.reindex(user);
        }
    }

    fn set_status(
        &mut self,
        user: UserId,
        by: Option<Supervisor>,
        intent: Intent,
        after_call: bool,
    ) -> Result<(), Rejection> {
        let now = self.now;
        let agent = self.agents.get_mut(&user).filter(|agent| !agent.removed).ok_or(Rejection::UnknownAgent)?;
        let busy = agent.slots.iter().any(|slot| !matches!(slot, Slot::Granted { .. }));
        // Whatever is chosen for whenever: somebody is there again, so nothing is held back any more.
        agent.held = None;
        agent.misses = 0;
        if after_call && busy {
            agent.after_call = Some(intent.clone());
        } else {
            agent.after_call = None;
            self.take_intent(user, intent.clone());
        }
        let data = json!({
            "status": intent.status, "reason_given": intent.reason.is_some(), "after_call": after_call && busy,
            // Only whoever acted for somebody else is named.
            "by": by.as_ref().map(|b| b.user_id).filter(|by| *by != user),
        });
        let cause = match by {
            Some(supervisor) if supervisor.user_id != user => StatusCause::Supervisor(supervisor.name),
            _ => StatusCause::You,
        };
        self.reindex(user);
        let event = agent_event("agent_status_changed", now, user, data);
        self.record(user, vec![event], Some(StatusChanged { user, cause }));
        Ok(())
    }

    /// Makes `intent` what the agent chose, from now on.
    pub(super) fn take_intent(&mut self, user: UserId, intent: Intent) {
        let now = self.now;
        let Some(agent) = self.agents.get_mut(&user) else { return };
        if agent.intent.status != intent.status {
            agent.intent_since = now;
        }
        let available = intent.status == AgentStatus::Available;
        agent.intent = intent;
        if available && agent.is_online() {
            agent.resume_idle_clock(now);
        } else if !available {
            agent.stop_idle_clock(now);
            self.revoke_offers(user, RevokeReason::AgentPaused, |_| true);
        }
    }

    fn attach(&mut self, user: UserId, device: DeviceId) -> Result<(), Rejection> {
        let now = self.now;
        let agent = self.agents.get_mut(&user).filter(|agent| !agent.removed).ok_or(Rejection::UnknownAgent)?;
        if !agent.devices.contains(&device) && agent.devices.len() < DEVICES_MAX {
            agent.devices.push(device);
        }
        let was = std::mem::replace(&mut agent.lease, Lease::Held);
        if was == Lease::Lost {
            if agent.intent.status == AgentStatus::Available {
                agent.resume_idle_clock(now);
            }
            self.tell_running(user, |grant| ToQueue::AgentBack { grant });
        }
        self.reindex(user);
        Ok(())
    }

    fn detach(&mut self, user: UserId, device: DeviceId) {
        let until = self.now.plus_seconds(self.rules.agent_lease_seconds);
        let Some(agent) = self.agents.get_mut(&user) else { return };
        agent.devices.retain(|known| *known != device);
        if agent.devices.is_empty() && agent.lease == Lease::Held {
            agent.lease = Lease::Missing { until };
        }
        self.reindex(user);
    }

    /// The wrap-up meant by a command: the named one, or the only one.
    fn wrap_up(&self, user: UserId, call: Option<CallId>) -> Result<(CallId, Timestamp), Rejection> {
        let agent = self.agents.get(&user).ok_or(Rejection::UnknownAgent)?;
        agent
            .slots
            .iter()
            .find_map(|slot| match slot {
                Slot::WrapUp { call: id, ends_at, .. } if call.is_none_or(|wanted| wanted == *id) => {
                    Some((*id, *ends_at))
                }
                _ => None,
            })
            .ok_or(Rejection::NoWrapUp)
    }

    fn move_wrap_up(
        &mut self,
        user: UserId,
        call: Option<CallId>,
        to: impl Fn(Timestamp) -> Timestamp,
    ) -> Result<Timestamp, Rejection> {
        let now = self.now;
        let agent = self.agents.get(&user).ok_or(Rejection::UnknownAgent)?;
        let (call, planned) = match self.wrap_up(user, call) {
            Ok(found) => found,
            // Ended before by the same agent: the same command hears the same.
            Err(_) if call.is_some_and(|id| agent.wrap_ups.iter().any(|w| w.call_id == id)) => return Ok(now),
            Err(refused) => return Err(refused),
        };
        let ends_at = to(planned);
        if let Some(agent) = self.agents.get_mut(&user) {
            for slot in &mut agent.slots {
                if let Slot::WrapUp { call: id, ends_at: at, .. } = slot
                    && *id == call
                {
                    *at = ends_at;
                }
            }
            let known = agent.wrap_ups.iter().find(|w| w.call_id == call);
            let department_id = known.and_then(|w| w.department_id);
            let kept_until = known.map_or(planned, |w| Timestamp::from_micros(w.kept_until_micros)).max(ends_at);
            agent.wrap_ups.retain(|w| w.call_id != call && w.kept_until_micros > now.micros());
            agent.wrap_ups.push(WrapUp {
                call_id: call,
                ends_at_micros: ends_at.micros(),
                kept_until_micros: kept_until.micros(),
                department_id,
            });
            agent.unrecorded = true;
        }
        if ends_at > now {
            self.out.push(Effect::Say(Said::WrapUp { user, call, ends_at }));
        }
        self.reindex(user);
        Ok(ends_at)
    }

    fn thaw(&mut self) {
        let Some(since) = self.frozen_since.take() else { return };
        let gap = self.now.since(since);
        let lease_floor = self.now.plus_seconds(self.rules.agent_lease_seconds);
        let users: Vec<UserId> = self.agents.keys().copied().collect();
        for user in users {
            if let Some(agent) = self.agents.get_mut(&user) {
                if let Lease::Missing { until } = &mut agent.lease {
                    *until = (*until + gap).max(lease_floor);
                }
                for slot in &mut agent.slots {
                    if let Slot::WrapUp { ends_at, .. } = slot {
                        *ends_at = *ends_at + gap;
                    }
                }
            }
            self.reindex(user);
        }
        self.dirty_desks.extend(self.desks.keys().copied());
    }

    /// Makes the next version of an agent's row and records it with what tells of it.
    pub(super) fn record(&mut self, user: UserId, events: Vec<RecordEvent>, changed: Option<StatusChanged>) {
        let now = self.now;
        if let Some(agent) = self.agents.get_mut(&user) {
            agent.version += 1;
            agent.unrecorded = false;
            let snapshot = std::sync::Arc::new(agent.snapshot(now));
            let entry = Entry { agent: Some(snapshot), events, ..Entry::default() };
            self.out.push(Effect::Record { entry, changed });
        }
    }
}

/// Somebody who was not known: new, or as he was when he went.
fn returned(
    profile: Profile,
    stored: Option<Box<AgentSnapshot>>,
    gone: Option<AgentSnapshot>,
    now: Timestamp,
) -> Agent {
    let mut agent = Agent::new(profile, now);
    // What was written of him last may still be on its way to the record, so the newer one counts.
    let last = stored.map(|snapshot| *snapshot).into_iter().chain(gone).max_by_key(|snapshot| snapshot.version);
    if let Some(snapshot) = last {
        // The record may say that a device of his holds the lease, and none does.
        agent.unrecorded = snapshot.leased;
        let until = snapshot.changed_at.min(now);
        agent.recall(snapshot, until);
    }
    agent
}

pub(super) fn agent_event(kind: &'static str, at: Timestamp, user: UserId, data: serde_json::Value) -> RecordEvent {
    RecordEvent { kind, at, call_id: None, department_id: None, user_id: Some(user), data }
}
