//! Owns who gets the next call: what fell due is done, then free slots meet demand, then everybody who must hear of it
//! does. Called after every command.
//!
//! Before a command no free slot and unmet demand coexisted, so only desks and agents touched by it are looked at.

use std::collections::{BTreeMap, BTreeSet};

use super::effect::{Effect, NewGrant, Said};
use super::state::{Agent, Lease, Roster, Slot};
use crate::domain::call::{Rank, Requirements};
use crate::domain::clock::Timestamp;
use crate::domain::ids::{DepartmentId, PickId, UserId};
use crate::queue::exchange::{Grant, RevokeReason, Staff, ToQueue};

/// A possible match: how the rank waiting at a desk compares with others (`Desk::weighed`), in one set of its demand, for
/// anyone or for the one agent whose hand-back told that rank.
type Candidate = (Rank, DepartmentId, usize, Option<UserId>);

impl Roster {
    pub(super) fn settle(&mut self, new_grant: NewGrant<'_>) {
        if self.frozen_since.is_none() {
            self.run_deadlines();
            self.match_all(new_grant);
        }
        self.tell_staff();
        let touched = std::mem::take(&mut self.dirty_agents);
        for user in &touched {
            if self.agents.get(user).is_some_and(|agent| agent.unrecorded) {
                self.record(*user, Vec::new(), None);
            }
            self.show(*user);
        }
        self.dirty_desks.clear();
    }

    fn run_deadlines(&mut self) {
        while let Some((at, user)) = self.deadlines.first().copied() {
            if at > self.now {
                return;
            }
            self.expire(user);
            self.reindex(user);
            self.forget_if_gone(user);
            if self.deadlines.first() == Some(&(at, user)) {
                debug_assert!(false, "a due deadline was not handled");
                self.deadlines.pop_first();
            }
        }
    }

    fn expire(&mut self, user: UserId) {
        let now = self.now;
        let Some(agent) = self.agents.get_mut(&user) else { return };
        let before = agent.slots.len();
        agent.slots.retain(|slot| !matches!(slot, Slot::WrapUp { ends_at, .. } if *ends_at <= now));
        if agent.slots.len() < before {
            agent.reset_idle_clock(now);
            self.after_work(user);
        }
        let Some(agent) = self.agents.get_mut(&user) else { return };
        if matches!(agent.lease, Lease::Missing { until } if until <= now) {
            agent.lease = Lease::Lost;
            agent.stop_idle_clock(now);
            self.revoke_offers(user, RevokeReason::AgentLost, |_| true);
            self.lose_running(user);
        }
    }

    /// Whether the plan allows no further slot to be lent.
    pub fn plan_is_full(&self) -> bool {
        self.concurrent_calls_max.is_some_and(|max| self.slots_in_use() >= max)
    }

    fn match_all(&mut self, new_grant: NewGrant<'_>) {
        let mut candidates = self.candidates();
        while let Some(candidate) = candidates.pop_first() {
            if self.plan_is_full() {
                // Once a slot is free every desk must be looked at again, not only the one that freed it.
                self.held_by_plan = true;
                return;
            }
            let (_, department, set, named) = candidate;
            let Some(user) = self.choose(department, set, named) else { continue };
            let Some(wanted) = self.desks.get(&department).and_then(|d| d.demand.sets.get(set)) else { continue };
            let wanted = (wanted.named, wanted.requirements.clone());
            self.grant(department, user, None, Some(wanted), new_grant);
            match named {
                None => {
                    candidates.insert(candidate);
                }
                // His hand-back is used up, so a further free slot of his may meet any set of this desk.
                Some(_) => candidates.extend(self.unmet(department)),
            }
        }
    }

    fn candidates(&mut self) -> BTreeSet<Candidate> {
        let mut candidates = BTreeSet::new();
        let mut desks = self.dirty_desks.clone();
        if self.held_by_plan && !self.plan_is_full() {
            self.held_by_plan = false;
            desks.extend(self.desks.keys().copied());
        }
        for user in &self.dirty_agents {
            if let Some(agent) = self.agents.get(user)
                && agent.may_be_offered().is_ok()
            {
                desks.extend(agent.profile().departments.iter().copied());
            }
        }
        for department in desks {
            let Some(desk) = self.desks.get(&department) else { continue };
            if desk.incarnation.is_none() || desk.ready.is_empty() {
                continue;
            }
            for (best, department, set, _) in self.unmet(department) {
                candidates.insert((best, department, set, None));
                for (user, rank) in &desk.backs {
                    if let Some(rank) = rank {
                        let named = desk.demand.sets.get(set).and_then(|wanted| wanted.named);
                        let claim = if named == Some(*user) { best } else { desk.weighed(*rank) };
                        candidates.insert((claim, department, set, Some(*user)));
                    }
                }
            }
        }
        candidates
    }

    /// What waits at a desk that no grant is under way for.
    fn unmet(&self, department: DepartmentId) -> Vec<Candidate> {
        let Some(desk) = self.desks.get(&department) else { return Vec::new() };
        let sets = desk.demand.sets.iter().enumerate().filter(|(set, _)| desk.remaining(*set) > 0);
        sets.map(|(set, wanted)| (desk.claim(wanted), department, set, None)).collect()
    }

    /// The best ready agent of a desk for one set of its demand.
    fn choose(&self, department: DepartmentId, set: usize, named: Option<UserId>) -> Option<UserId> {
        let desk = self.desks.get(&department)?;
        if desk.remaining(set) == 0 {
            return None;
        }
        let wanted = desk.demand.sets.get(set)?;
        let skilled = |user: UserId| {
            wanted.named.is_none_or(|named| named == user)
                && self.agents.get(&user).is_some_and(|agent| has_skills(agent, &wanted.requirements))
        };
        match named {
            Some(user) => {
                let ready = self.agents.get(&user).is_some_and(|agent| agent.may_be_offered().is_ok());
                (ready && desk.backs.get(&user).is_some_and(|rank| rank.is_some()) && skilled(user)).then_some(user)
            }
            None => desk.ready.iter().map(|key| key.2).find(|user| !desk.backs.contains_key(user) && skilled(*user)),
        }
    }

    /// The best rank waiting for this agent at any other desk, as it compares with those of this one.
    fn alternative(&self, user: UserId, except: DepartmentId) -> Option<Rank> {
        let agent = self.agents.get(&user)?;
        let own = self.desks.get(&except)?;
        let best = agent
            .profile()
            .departments
            .iter()
            .filter(|department| **department != except)
            .filter_map(|department| {
                let desk = self.desks.get(department).filter(|desk| desk.incarnation.is_some())?;
                let mut open = desk.demand.sets.iter().enumerate().filter(|(set, wanted)| {
                    desk.remaining(*set) > 0
                        && wanted.named.is_none_or(|named| named == user)
                        && has_skills(agent, &wanted.requirements)
                });
                match desk.backs.get(&user) {
                    Some(rank) => (*rank).filter(|_| open.next().is_some()).map(|rank| desk.weighed(rank)),
                    None => open.map(|(_, wanted)| desk.claim(wanted)).min(),
                }
            })
            .min()?;
        Some(own.unweighed(best))
    }

    /// Lends a free slot of an agent to a queue.
    pub(super) fn grant(
        &mut self,
        department: DepartmentId,
        user: UserId,
        pick: Option<PickId>,
        wanted: Option<(Option<UserId>, Requirements)>,
        new_grant: NewGrant<'_>,
    ) {
        let id = new_grant();
        let alternative = if pick.is_some() { None } else { self.alternative(user, department) };
        let Some(desk) = self.desks.get_mut(&department) else { return };
        desk.grants_made += 1;
        let number = desk.grants_made;
        if let Some((named, requirements)) = &wanted {
            desk.in_flight.push((number, *named, requirements.clone()));
        }
        desk.backs.remove(&user);
        let skilled = |other: &Agent| wanted.as_ref().is_none_or(|(_, skills)| has_skills(other, skills));
        let alone = !self.agents.values().any(|other| {
            other.profile().user_id != user
                && skilled(other)
                && other.profile().departments.contains(&department)
                && other.is_online()
                && other.held().is_none()
                && other.intent().0.status == crate::domain::agent::AgentStatus::Available
        });
        let Some(agent) = self.agents.get_mut(&user) else { return };
        agent.slots.push(Slot::Granted { grant: id, department, pick, offer: None, stale: false });
        self.grants.insert(id, user);
        let grant = Grant {
            grant: id,
            number,
            user,
            user_name: agent.profile().name.clone(),
            skills: agent.profile().skills.clone(),
            alternative,
            alone,
            ready_since: agent.ready_since,
            pick,
        };
        self.tell(department, ToQueue::Grant(grant));
        self.reindex(user);
    }

    /// Tells each touched desk its agents in numbers, when they changed.
    fn tell_staff(&mut self) {
        let mut desks = self.dirty_desks.clone();
        for user in &self.dirty_agents {
            if let Some(agent) = self.agents.get(user) {
                desks.extend(agent.profile().departments.iter().copied());
            }
        }
        if desks.is_empty() {
            return;
        }
        let mut counts: BTreeMap<DepartmentId, Staff> = desks.iter().map(|id| (*id, Staff::default())).collect();
        for agent in self.agents.values() {
            let running = agent.slots().iter().any(|slot| matches!(slot, Slot::Running { .. }));
            let may = agent.may_be_offered().is_ok();
            let serves = running
                || (agent.is_online()
                    && agent.held().is_none()
                    && agent.intent().0.status == crate::domain::agent::AgentStatus::Available);
            for department in &agent.profile().departments {
                if let Some(count) = counts.get_mut(department) {
                    count.online += u32::from(agent.is_online());
                    count.available += u32::from(may);
                    count.serving_slots += if serves { u32::from(agent.profile().capacity) } else { 0 };
                }
            }
        }
        for (department, staff) in counts {
            if let Some(desk) = self.desks.get_mut(&department)
                && desk.staff != staff
            {
                desk.staff = staff;
                self.tell(department, ToQueue::Staff(staff));
            }
        }
    }

    /// Presence hears of an agent whose meta changed.
    fn show(&mut self, user: UserId) {
        let Some(agent) = self.agents.get_mut(&user) else { return };
        let now_shown = agent.is_online().then(|| (agent.activity(), agent.intent.clone(), agent.held));
        if agent.shown != now_shown {
            agent.shown = now_shown;
            self.out.push(Effect::Say(Said::Presence { user }));
        }
    }

    /// The present time of the roster: that of its last command.
    pub fn now(&self) -> Timestamp {
        self.now
    }
}

fn has_skills(agent: &Agent, requirements: &Requirements) -> bool {
    requirements.iter().all(|skill| agent.profile().skills.contains(skill))
}
