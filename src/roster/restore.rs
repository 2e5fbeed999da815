//! Owns how a roster comes back from the record: every agent as he was, without a click of his.

use super::effect::{Effect, RestoredAgent, RestoredCall, overruled};
use super::state::{Agent, Desk, Lease, Roster, Slot};
use crate::domain::agent::AgentStatus;
use crate::domain::clock::Timestamp;
use crate::domain::department::RoutingStrategy;
use crate::domain::ids::DepartmentId;
use crate::domain::rules::Rules;

impl Roster {
    /// Rebuilds a tenant's roster. Slots of running calls are spent from the start; each queue confirms or frees them when
    /// it starts to speak, so no slot is lent twice meanwhile.
    /// `served_until`: since when nobody served this tenant; wrap-ups are moved by that gap.
    pub fn restore(
        departments: impl IntoIterator<Item = (DepartmentId, RoutingStrategy, i8)>,
        agents: impl IntoIterator<Item = RestoredAgent>,
        concurrent_calls_max: Option<u32>,
        rules: Rules,
        served_until: Option<Timestamp>,
        now: Timestamp,
    ) -> (Roster, Vec<Effect>) {
        let gap = served_until.map(|until| now.since(until)).unwrap_or_default();
        let mut roster = Roster::new(now, concurrent_calls_max);
        roster.rules = rules;
        for (department, strategy, weight) in departments {
            roster.desks.insert(department, Desk::new(strategy, weight));
        }
        for restored in agents {
            let user = restored.profile.user_id;
            let mut agent = Agent::new(restored.profile, now);
            let written = restored.snapshot.as_ref().map(|snapshot| snapshot.changed_at);
            if let Some(snapshot) = restored.snapshot {
                let leased = snapshot.leased && !restored.removed;
                // Time without a server is nobody's idleness.
                agent.recall(snapshot, served_until.unwrap_or(now).min(now));
                if leased {
                    agent.bound = true;
                    agent.lease = Lease::Missing { until: now.plus_seconds(roster.rules.agent_lease_seconds) };
                    if agent.intent.status == AgentStatus::Available {
                        agent.resume_idle_clock(now);
                    }
                }
            }
            for planned in restored.planned_wrap_ups {
                let own = overruled(&agent.wrap_ups, planned.call);
                let ends_at = own.unwrap_or(planned.ends_at) + gap;
                // One that he ended himself is over, however late the last heartbeat was.
                let over = own.is_some_and(|at| written.is_some_and(|written| at <= written));
                if ends_at > now && !over {
                    agent.slots.push(Slot::WrapUp { call: planned.call, department: planned.department, ends_at });
                }
            }
            // After a call that went on with others: the agent's own row alone tells of it.
            for own in agent.wrap_ups.clone() {
                let Some(department) = own.department_id else { continue };
                let ends_at = Timestamp::from_micros(own.ends_at_micros);
                let over = written.is_some_and(|written| ends_at <= written);
                let known = |slot: &Slot| matches!(slot, Slot::WrapUp { call, .. } if *call == own.call_id);
                if ends_at + gap > now && !over && !agent.slots.iter().any(known) {
                    let (call, ends_at) = (own.call_id, ends_at + gap);
                    agent.slots.push(Slot::WrapUp { call, department, ends_at });
                }
            }
            for running in restored.running {
                let RestoredCall { grant, call, department } = running;
                agent.slots.push(Slot::Running { grant, department, call });
                roster.grants.insert(grant, user);
            }
            // A slot in use again was free before, so its wrap-up was over: the heartbeat that says otherwise was late.
            let capacity = usize::from(agent.profile.capacity);
            while agent.slots.len() > capacity
                && let Some(first) = first_wrap_up(&agent.slots)
            {
                agent.slots.remove(first);
            }
            // His queues hear it when they say what they hold.
            agent.removed = restored.removed;
            // His capacity may have been lowered under what he had.
            agent.slots_max = agent.slots.len();
            roster.rotation = roster.rotation.max(agent.rotation);
            roster.agents.insert(user, agent);
            // Work may have ended with the life before, and what was to follow it did not.
            roster.after_work(user);
            roster.reindex(user);
            roster.forget_if_gone(user);
        }
        // No queue speaks yet, so nothing can be granted here; only presence and records come out.
        let mut none = || crate::domain::ids::GrantId(uuid::Uuid::nil());
        roster.settle(&mut none);
        let effects = std::mem::take(&mut roster.out);
        (roster, effects)
    }
}

/// The wrap-up that ends first.
fn first_wrap_up(slots: &[Slot]) -> Option<usize> {
    let ends = slots.iter().enumerate().filter_map(|(index, slot)| match slot {
        Slot::WrapUp { ends_at, .. } => Some((*ends_at, index)),
        _ => None,
    });
    ends.min().map(|(_, index)| index)
}
