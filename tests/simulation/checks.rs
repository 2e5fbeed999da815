//! Owns what must hold, by name: the two cores' own invariants after every command, and those between them, the record
//! and the people outside. What it compares with, `books` remembers.

use std::collections::{BTreeMap, BTreeSet};

use vez::domain::call::{CallSnapshot, Phase, Rank};
use vez::domain::clock::Timestamp;
use vez::domain::department::Mode;
use vez::domain::ids::{CallId, DepartmentId, UserId};
use vez::roster::state::Slot;

use crate::books::Fate;
use crate::shells::DeskState;
use crate::world::{Mail, World};

/// So many places hear of a change at once.
const TOLD_AT_ONCE: u32 = 10;

/// A broken invariant.
#[derive(Clone, Debug)]
pub struct Broken {
    pub name: &'static str,
    pub text: String,
}

pub fn ensure(holds: bool, name: &'static str, text: impl FnOnce() -> String) -> Result<(), Broken> {
    if holds { Ok(()) } else { Err(Broken { name, text: text() }) }
}

impl World {
    /// The invariants of one queue, and what its grants are to the roster.
    pub fn check_queue(&mut self, tenant: usize, department: DepartmentId) -> Result<(), Broken> {
        let Some(shell) = self.queue(tenant, department) else { return Ok(()) };
        vez::queue::invariants::check(&shell.queue)
            .map_err(|violation| Broken { name: violation.name, text: violation.text })?;
        let this = &self.tenants[tenant];
        for call in shell.queue.open_calls() {
            let id = call.snapshot().id;
            let place = shell.queue.position(id).filter(|place| *place <= TOLD_AT_ONCE);
            let told = this.books.told.get(&id).copied();
            ensure(place.is_none() || place == told, "the_first_places_are_told_at_once", || {
                format!("{id:?} is {place:?} and was told {told:?}")
            })?;
        }
        let Some(roster) = this.roster.as_ref() else { return Ok(()) };
        for call in shell.queue.open_calls() {
            let held = call.offered_to().or(call.snapshot().grant_id.zip(call.snapshot().user_id));
            let Some((grant, user)) = held else { continue };
            let owner = roster.roster.owner(grant);
            ensure(owner == Some((user, department)), "a_slot_is_here_or_there_never_both", || {
                format!("{call:?} holds a slot the roster has as {owner:?}")
            })?;
        }
        Ok(())
    }

    /// The invariants of a roster, and nobody's slots over his capacity.
    pub fn check_roster(&mut self, tenant: usize) -> Result<(), Broken> {
        let this = &mut self.tenants[tenant];
        let Some(shell) = this.roster.as_ref() else { return Ok(()) };
        vez::roster::invariants::check(&shell.roster)
            .map_err(|violation| Broken { name: violation.name, text: violation.text })?;
        for agent in shell.roster.agents() {
            let (user, used) = (agent.profile().user_id, agent.slots().len());
            let before = this.books.slots.insert(user, used).unwrap_or(0);
            let most = usize::from(agent.profile().capacity).max(before);
            ensure(used <= most, "nobody_is_over_capacity", || format!("{agent:?}"))?;
            let ever = this.agents.get(&user).map_or(usize::MAX, |truth| usize::from(truth.capacity_most));
            ensure(used <= ever, "nobody_is_over_capacity", || format!("{agent:?}"))?;
        }
        Ok(())
    }

    /// What a commit changed is what the views show and what the queues hold.
    pub fn after_commit(&mut self, tenant: usize) -> Result<(), Broken> {
        let this = &self.tenants[tenant];
        let pending: BTreeSet<CallId> =
            this.store.pending.iter().filter_map(|write| write.entry.call.as_ref()).map(|call| call.id).collect();
        let mut busy: BTreeMap<UserId, usize> = BTreeMap::new();
        for row in this.store.calls.values().filter(|row| matches!(row.phase, Phase::Assigned | Phase::Active)) {
            if let Some(user) = row.user_id {
                *busy.entry(user).or_default() += 1;
            }
        }
        for (user, count) in busy {
            let most = this.agents.get(&user).map_or(usize::MAX, |agent| usize::from(agent.capacity_most));
            ensure(count <= most, "nobody_is_over_capacity", || format!("{user:?} has {count} calls in the record"))?;
        }
        for (department, desk) in &this.desks {
            let DeskState::Up(shell) = desk else { continue };
            let mut line: Vec<&std::sync::Arc<CallSnapshot>> = Vec::new();
            let mut open = 0;
            for row in this.store.open(*department) {
                if this.books.on_their_way.contains(&row.id) {
                    continue;
                }
                open += 1;
                let shown = shell.view.call(row.id);
                ensure(shown.is_some_and(|shown| same_call(shown, row)), "the_view_is_the_record", || {
                    format!("{row:?}\nshown: {shown:?}")
                })?;
                if row.phase == Phase::Waiting {
                    line.push(row);
                }
                if !pending.contains(&row.id) {
                    let live = shell.queue.call(row.id).map(|call| call.snapshot());
                    ensure(live.is_some_and(|live| same_call(live, row)), "what_is_held_is_recorded", || {
                        format!("{row:?}\nheld: {live:?}")
                    })?;
                }
            }
            line.sort_by_key(|row| place_by_the_rules(row, &this.books.due));
            let shown = shell.view.waiting(0, u32::MAX);
            let same = shown.len() == line.len()
                && shell.view.queue_size() as usize == line.len()
                && shown.iter().zip(&line).all(|((_, shown), row)| shown.id == row.id);
            ensure(same, "the_view_is_the_record", || format!("{shown:?}\n{line:?}"))?;
            let count = shell.view.active_count() as usize + line.len();
            ensure(count == open, "the_view_is_the_record", || format!("{count} shown, {open} open"))?;
        }
        Ok(())
    }

    /// At rest: the mailboxes are empty, and whoever could talk does.
    pub fn check_everything(&mut self) -> Result<(), Broken> {
        for tenant in 0..self.tenants.len() {
            self.check_roster(tenant)?;
            let departments: Vec<DepartmentId> = self.tenants[tenant].departments.keys().copied().collect();
            for department in departments {
                self.check_queue(tenant, department)?;
            }
            self.check_slots_at_rest(tenant)?;
            self.check_nobody_waits_for_nothing(tenant)?;
            self.check_lost_agents(tenant)?;
        }
        Ok(())
    }

    /// Every slot the roster lends to a living queue is with that queue.
    fn check_slots_at_rest(&self, tenant: usize) -> Result<(), Broken> {
        let this = &self.tenants[tenant];
        let Some(roster) = this.roster.as_ref() else { return Ok(()) };
        for agent in roster.roster.agents() {
            for slot in agent.slots() {
                let (grant, department, running) = match slot {
                    Slot::Granted { grant, department, .. } => (grant, department, false),
                    Slot::Running { grant, department, .. } => (grant, department, true),
                    Slot::WrapUp { .. } => continue,
                };
                let Some(shell) = self.queue(tenant, *department) else { continue };
                let found = shell.queue.open_calls().any(|call| match call.offered_to() {
                    Some((offered, _)) => !running && offered == *grant,
                    None => running && call.snapshot().grant_id == Some(*grant),
                });
                ensure(found, "a_slot_is_here_or_there_never_both", || format!("{slot:?} is with nobody"))?;
            }
        }
        Ok(())
    }

    /// An eligible present call and a free slot of an agent who may have it do not coexist.
    fn check_nobody_waits_for_nothing(&self, tenant: usize) -> Result<(), Broken> {
        let this = &self.tenants[tenant];
        let Some(roster) = this.roster.as_ref() else { return Ok(()) };
        let full = roster.roster.plan_is_full();
        if full || roster.roster.is_frozen() || self.mail.values().any(|(_, _, mail)| matches!(mail, Mail::Stopped(_)))
        {
            return Ok(());
        }
        for agent in roster.roster.agents().filter(|agent| agent.may_be_offered().is_ok()) {
            let profile = agent.profile();
            for department in &profile.departments {
                let Some(shell) = self.queue(tenant, *department).filter(|shell| !shell.queue.is_frozen()) else {
                    continue;
                };
                let waits = shell.queue.open_calls().find(|call| {
                    let snapshot = call.snapshot();
                    let meant = call.kept_for().is_none_or(|(user, _)| user == profile.user_id);
                    meant
                        && shell.queue.settings().mode == Mode::Push
                        && call.phase() == Phase::Waiting
                        && call.is_present()
                        && snapshot.requirements.iter().all(|skill| profile.skills.contains(skill))
                        && !snapshot.exclusions.iter().any(|excluded| excluded.user_id == profile.user_id)
                });
                ensure(waits.is_none(), "nobody_waits_beside_a_free_agent", || {
                    format!("{department}: {waits:?}\n{agent:?}")
                })?;
            }
        }
        Ok(())
    }

    /// Whoever talks to an agent whose lease is gone waits for him, and nobody waits for one who is there.
    fn check_lost_agents(&self, tenant: usize) -> Result<(), Broken> {
        let this = &self.tenants[tenant];
        let Some(roster) = this.roster.as_ref() else { return Ok(()) };
        if self.mail.values().any(|(_, _, mail)| matches!(mail, Mail::Stopped(_))) {
            return Ok(());
        }
        for desk in this.desks.values() {
            let DeskState::Up(shell) = desk else { continue };
            let talking = shell.queue.open_calls().filter(|call| call.offered_to().is_none());
            for call in talking {
                let user = call.snapshot().user_id;
                let Some(agent) = user.and_then(|user| roster.roster.agent(user)) else { continue };
                let away = call.agent_away_until().is_some();
                ensure(!away || !agent.is_online(), "nobody_waits_for_an_agent_who_is_there", || {
                    format!("{call:?}\n{agent:?}")
                })?;
                // Work taken without a socket is not bound by a lease.
                let grant = call.snapshot().grant_id.and_then(|grant| this.books.offers.get(&grant));
                let bound = grant.is_some_and(|offer| !offer.picked);
                ensure(away || agent.is_online() || !bound, "a_lost_agents_customer_knows", || {
                    format!("{call:?}\n{agent:?}")
                })?;
            }
        }
        Ok(())
    }

    /// After the calm: nothing is left over.
    pub fn check_end(&mut self) -> Result<(), Broken> {
        for this in &self.tenants {
            for id in this.books.acknowledged.keys() {
                let row = this.store.calls.get(id);
                ensure(row.is_some_and(|row| row.phase == Phase::Ended), "nobody_is_lost", || {
                    format!("{id:?}: {row:?}")
                })?;
            }
            ensure(this.customers.picks.is_empty(), "every_pick_is_answered", || {
                format!("{:?}", this.customers.picks)
            })?;
            let standing = this.books.offers.values().filter(|offer| offer.fate == Fate::Standing).count();
            ensure(standing == 0, "one_offer_one_outcome", || format!("{standing} offers stand before ended calls"))?;
            let slots = this.roster.as_ref().map_or(0, |shell| shell.roster.slots_in_use());
            ensure(slots == 0, "a_slot_is_here_or_there_never_both", || format!("{slots} slots are lent to nobody"))?;
        }
        Ok(())
    }
}

/// A call's place in line, as the rules say it and not as the core does: a minute earlier per step of priority. Whoever
/// joined late for his appointment has waited since it was due.
pub fn place_by_the_rules(call: &CallSnapshot, due: &BTreeMap<CallId, Timestamp>) -> Rank {
    let head_start = i64::from(call.priority.min(10)) * 60_000_000;
    let since = match due.get(&call.id) {
        Some(due) if *due < call.joined_at => *due,
        _ => call.joined_at,
    };
    Rank { at: since.micros() - head_start, number: call.number }
}

/// Whether two forms of a call say the same, of what a restart must keep. Exclusions are moved by gaps, and whether a
/// device came is not written by itself.
pub fn same_call(one: &CallSnapshot, other: &CallSnapshot) -> bool {
    one.version == other.version
        && one.id == other.id
        && one.rank() == other.rank()
        && one.phase == other.phase
        && one.user_id == other.user_id
        && one.grant_id == other.grant_id
        && one.assigned_at == other.assigned_at
        && one.accepted_at == other.accepted_at
        && one.started_at == other.started_at
        && one.ended_at == other.ended_at
        && one.end_reason == other.end_reason
        && one.wrap_up_ends_at == other.wrap_up_ends_at
        && one.last_offer == other.last_offer
        && one.join_key == other.join_key
}
