//! Owns what must hold of a roster after every command, by name. Tests and the simulation check all of it.

use super::state::{Lease, Roster, Slot};
use crate::queue::invariants::Violation;

fn ensure(holds: bool, name: &'static str, text: impl FnOnce() -> String) -> Result<(), Violation> {
    if holds { Ok(()) } else { Err(Violation { name, text: text() }) }
}

/// Checks every invariant of one roster.
///
/// - R1: nobody has more used slots than his capacity, unless it was lowered under him.
/// - R2: every grant belongs to exactly one slot of one agent.
/// - R3: a desk's ready agents are exactly its members who may be offered a call.
/// - R4: a lease without a device has a deadline or is lost; every wrap-up has a deadline; the index says so.
/// - R5: unmet demand and a ready agent for it do not coexist, unless the plan's bound or an outage holds it.
/// - R6: granted and running slots never exceed the plan's bound by a grant made under it.
pub fn check(roster: &Roster) -> Result<(), Violation> {
    let mut granted = 0;
    for agent in roster.agents.values() {
        let text = || format!("{agent:?}");
        ensure(agent.slots.len() <= agent.slots_max, "R1", text)?;
        for slot in &agent.slots {
            if let Slot::Granted { grant, .. } | Slot::Running { grant, .. } = slot {
                granted += 1;
                ensure(roster.grants.get(grant) == Some(&agent.profile.user_id), "R2", text)?;
            }
        }
        for (department, desk) in &roster.desks {
            let listed = desk.ready.iter().any(|key| key.2 == agent.profile.user_id);
            let should = agent.profile.departments.contains(department) && agent.may_be_offered().is_ok();
            ensure(listed == should, "R3", || format!("{department}: {agent:?}"))?;
        }
        ensure(agent.devices.is_empty() != (agent.lease == Lease::Held), "R4", text)?;
        let overdue =
            agent.slots.iter().any(|slot| matches!(slot, Slot::WrapUp { ends_at, .. } if *ends_at <= roster.now));
        ensure(!overdue || roster.frozen_since.is_some(), "R4", text)?;
    }
    ensure(granted == roster.grants.len(), "R2", || format!("{granted} slots, {} grants", roster.grants.len()))?;
    if let Some((at, _)) = roster.deadlines.first() {
        ensure(*at > roster.now || roster.frozen_since.is_some(), "R4", || "an overdue deadline".into())?;
    }
    if roster.frozen_since.is_none() && !roster.plan_is_full() {
        for (department, desk) in &roster.desks {
            if desk.incarnation.is_none() {
                continue;
            }
            for (set, wanted) in desk.demand.sets.iter().enumerate() {
                let unmet = desk.remaining(set) > 0
                    && desk.ready.iter().any(|key| {
                        let meant = wanted.named.is_none_or(|named| named == key.2);
                        let skilled = roster.agents.get(&key.2).is_some_and(|agent| {
                            meant && wanted.requirements.iter().all(|skill| agent.profile.skills.contains(skill))
                        });
                        skilled && desk.backs.get(&key.2).is_none_or(|rank| rank.is_some())
                    });
                ensure(!unmet, "R5", || format!("{department}: {wanted:?} {desk:?}"))?;
            }
        }
    }
    Ok(())
}
