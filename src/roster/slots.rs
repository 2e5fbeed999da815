//! Owns what the roster hears from queues: demand, offers and their outcomes, running calls, and a queue's restart. A slot
//! is in the roster or with one queue, never both.

use std::sync::Arc;

use serde_json::json;

use super::apply::agent_event;
use super::effect::{Effect, NewGrant, OfferEnd, PickRequest, Said, StatusCause, StatusChanged};
use super::state::{Lease, Roster, Slot};
use crate::domain::agent::{Held, HeldCause, WrapUp};
use crate::domain::clock::Timestamp;
use crate::domain::ids::{CallId, DepartmentId, GrantId, UserId};
use crate::domain::role::Role;
use crate::queue::Rejection;
use crate::queue::exchange::{Demand, Envelope, HeldGrant, Offer, Return, RevokeReason, ToQueue, ToRoster};

impl Roster {
    pub(super) fn hear(&mut self, department: DepartmentId, envelope: Envelope<ToRoster>, new_grant: NewGrant<'_>) {
        let Some(desk) = self.desks.get_mut(&department) else { return };
        if desk.incarnation != Some(envelope.incarnation) || envelope.sequence <= desk.sequence_in {
            return;
        }
        desk.sequence_in = envelope.sequence;
        match envelope.message {
            ToRoster::Demand(demand) => self.demand(department, demand),
            ToRoster::Offered(offer) => self.offered(offer),
            ToRoster::Returned { grant, outcome } => self.returned(department, grant, outcome),
            ToRoster::Accepted { grant, call } => self.accepted(grant, call),
            ToRoster::Ended { grant, call, wrap_up_ends_at, planned } => {
                self.ended(department, grant, call, wrap_up_ends_at, planned);
            }
            ToRoster::PickRequested { pick, user, .. } => self.pick(department, PickRequest { pick, user }, new_grant),
            // A grant already under way for it comes back as handed back.
            ToRoster::PickDropped { .. } => {}
            ToRoster::Holds(held) => self.reconcile(department, &held),
        }
    }

    fn demand(&mut self, department: DepartmentId, demand: Demand) {
        if let Some(desk) = self.desks.get_mut(&department) {
            if demand.version > desk.demand.version {
                desk.backs.clear();
            }
            desk.in_flight.retain(|(number, ..)| *number > demand.grants_seen);
            desk.demand = demand;
        }
        self.dirty_desks.insert(department);
    }

    fn offered(&mut self, offer: Arc<Offer>) {
        let Some(user) = self.grants.get(&offer.grant).copied() else { return };
        self.rotation += 1;
        let rotation = self.rotation;
        if let Some(agent) = self.agents.get_mut(&user) {
            agent.rotation = rotation;
            for slot in &mut agent.slots {
                if let Slot::Granted { grant, offer: made, .. } = slot
                    && *grant == offer.grant
                {
                    *made = Some(offer.clone());
                }
            }
        }
        self.reindex(user);
        self.out.push(Effect::Say(Said::Offered(offer)));
    }

    /// Takes the slot of a grant back; its agent, the offer that was made of it, and whether his skills changed since.
    fn take_back(&mut self, grant: GrantId) -> Option<(UserId, Option<Arc<Offer>>, bool)> {
        let user = self.grants.remove(&grant)?;
        let agent = self.agents.get_mut(&user)?;
        let index = agent.slots.iter().position(|slot| match slot {
            Slot::Granted { grant: id, .. } | Slot::Running { grant: id, .. } => *id == grant,
            Slot::WrapUp { .. } => false,
        })?;
        let (offer, stale) = match agent.slots.remove(index) {
            Slot::Granted { offer, stale, .. } => (offer, stale),
            _ => (None, false),
        };
        Some((user, offer, stale))
    }

    fn returned(&mut self, department: DepartmentId, grant: GrantId, outcome: Return) {
        let now = self.now;
        let Some((user, offer, stale)) = self.take_back(grant) else { return };
        self.dirty_desks.insert(department);
        if let Return::HandedBack { rank, version } = outcome
            && let Some(desk) = self.desks.get_mut(&department)
            && version >= desk.demand.version
            && !stale
        {
            desk.backs.insert(user, rank);
        }
        if let Some(agent) = self.agents.get_mut(&user) {
            match outcome {
                // A missed offer counts only if somebody could have heard it.
                Return::TimedOut if !agent.devices.is_empty() => {
                    agent.misses = agent.misses.saturating_add(1);
                    agent.reset_idle_clock(now);
                    agent.unrecorded = true;
                }
                Return::Declined => {
                    agent.misses = 0;
                    agent.reset_idle_clock(now);
                    agent.unrecorded = true;
                }
                _ => {}
            }
        }
        if let Some(offer) = offer {
            let reason = match outcome {
                Return::TimedOut => OfferEnd::TimedOut,
                Return::CustomerLeft => OfferEnd::CustomerLeft,
                Return::Withdrawn(reason) => reason.into(),
                _ => OfferEnd::Withdrawn,
            };
            self.out.push(Effect::Say(Said::OfferWithdrawn { user, offer, reason }));
        }
        self.hold_if_missing(user);
        self.reindex(user);
        self.forget_if_gone(user);
    }

    fn hold_if_missing(&mut self, user: UserId) {
        let (now, misses_max) = (self.now, self.rules.missed_offers_max);
        let Some(agent) = self.agents.get_mut(&user) else { return };
        if agent.misses >= misses_max && agent.held.is_none() {
            agent.held = Some(Held { cause: HeldCause::MissedOffers, since: now });
            let event = agent_event("agent_held", now, user, json!({ "cause": HeldCause::MissedOffers }));
            self.record(user, vec![event], Some(StatusChanged { user, cause: StatusCause::MissedOffers }));
        }
    }

    fn accepted(&mut self, grant: GrantId, call: CallId) {
        let Some(user) = self.grants.get(&grant).copied() else { return };
        let Some(agent) = self.agents.get_mut(&user) else { return };
        agent.misses = 0;
        agent.calls_today += 1;
        let mut withdrawn = None;
        let mut lost = None;
        for slot in &mut agent.slots {
            if let Slot::Granted { grant: id, department, offer, pick, .. } = slot
                && *id == grant
            {
                // An offer is made to a device; the accept crossed our word that the last one is gone.
                lost = (pick.is_none() && agent.lease == Lease::Lost).then_some(*department);
                withdrawn = offer.take();
                *slot = Slot::Running { grant, department: *department, call };
            }
        }
        agent.bound |= lost.is_some();
        if let Some(offer) = withdrawn {
            // His other devices hear that it is taken.
            self.out.push(Effect::Say(Said::OfferWithdrawn { user, offer, reason: OfferEnd::Taken }));
        }
        if let Some(department) = lost {
            self.tell(department, ToQueue::AgentLost { grant });
        }
        self.reindex(user);
    }

    /// `planned`: the call's row says when the wrap-up ends, else the agent's own row must.
    fn ended(
        &mut self,
        department: DepartmentId,
        grant: GrantId,
        call: CallId,
        wrap_up_ends_at: Option<Timestamp>,
        planned: bool,
    ) {
        let now = self.now;
        let Some((user, ..)) = self.take_back(grant) else { return };
        if let Some(agent) = self.agents.get_mut(&user) {
            agent.reset_idle_clock(now);
            agent.unrecorded = true;
            // He may have given the same call away before: what he wraps up now is this.
            agent.wrap_ups.retain(|wrap_up| wrap_up.call_id != call && wrap_up.kept_until_micros > now.micros());
            agent.slots.retain(|slot| !matches!(slot, Slot::WrapUp { call: wrapped, .. } if *wrapped == call));
            if let Some(ends_at) = wrap_up_ends_at.filter(|at| *at > now) {
                if !planned {
                    agent.wrap_ups.push(WrapUp {
                        call_id: call,
                        ends_at_micros: ends_at.micros(),
                        kept_until_micros: ends_at.micros(),
                        department_id: Some(department),
                    });
                }
                agent.slots.push(Slot::WrapUp { call, department, ends_at });
                self.out.push(Effect::Say(Said::WrapUp { user, call, ends_at }));
            }
        }
        self.after_work(user);
        self.dirty_desks.insert(department);
        self.reindex(user);
        self.forget_if_gone(user);
    }

    /// An `after_call` intent takes effect when the running call and its wrap-up are over.
    pub(super) fn after_work(&mut self, user: UserId) {
        let now = self.now;
        let Some(agent) = self.agents.get_mut(&user) else { return };
        if agent.slots.iter().any(|slot| !matches!(slot, Slot::Granted { .. })) {
            return;
        }
        if let Some(intent) = agent.after_call.take() {
            let data = json!({ "status": intent.status, "after_call": true });
            self.take_intent(user, intent);
            let event = agent_event("agent_status_changed", now, user, data);
            self.record(user, vec![event], Some(StatusChanged { user, cause: StatusCause::AfterCall }));
        }
    }

    fn pick(&mut self, department: DepartmentId, request: PickRequest, new_grant: NewGrant<'_>) {
        let refusal = match self.agents.get(&request.user).filter(|agent| !agent.removed) {
            None => Some(Rejection::UnknownAgent),
            Some(_) if self.frozen_since.is_some() => Some(Rejection::StorageUnavailable),
            Some(agent)
                if !agent.profile.departments.contains(&department) && agent.profile.role < Role::Supervisor =>
            {
                Some(Rejection::NotInDepartment)
            }
            Some(agent) if !agent.has_free_slot() => Some(Rejection::NoFreeSlot),
            Some(_) if self.plan_is_full() => Some(Rejection::PlanLimit),
            Some(_) => None,
        };
        match refusal {
            Some(reason) => self.tell(department, ToQueue::PickRefused { pick: request.pick, reason }),
            None => self.grant(department, request.user, Some(request.pick), None, new_grant),
        }
    }

    /// A new life of a queue says what it holds: everything else of that department is free.
    fn reconcile(&mut self, department: DepartmentId, held: &[HeldGrant]) {
        let known: Vec<(GrantId, UserId)> = self
            .agents
            .values()
            .flat_map(|agent| agent.slots.iter().map(|slot| (agent.profile.user_id, slot)))
            .filter_map(|(user, slot)| match slot {
                Slot::Granted { grant, department: at, .. } | Slot::Running { grant, department: at, .. }
                    if *at == department =>
                {
                    Some((*grant, user))
                }
                _ => None,
            })
            .collect();
        for (grant, user) in known {
            if !held.iter().any(|one| one.grant == grant) {
                let ran = self.runs(grant);
                self.take_back(grant);
                if ran {
                    // The call ended or went back in the dead life's last words, which the roster never heard.
                    self.worked(user);
                }
                self.reindex(user);
                self.forget_if_gone(user);
            }
        }
        for one in held {
            if self.grants.contains_key(&one.grant) {
                if !self.runs(one.grant) {
                    self.accepted(one.grant, one.call);
                }
            } else if let Some(agent) = self.agents.get_mut(&one.user) {
                agent.slots.push(Slot::Running { grant: one.grant, department, call: one.call });
                self.grants.insert(one.grant, one.user);
                self.reindex(one.user);
            }
            // The new life does not know who is gone.
            let agent = self.agents.get(&one.user);
            if agent.is_none_or(|agent| agent.removed || (agent.lease == Lease::Lost && agent.bound)) {
                self.tell(department, ToQueue::AgentLost { grant: one.grant });
            }
        }
    }

    fn runs(&self, grant: GrantId) -> bool {
        let agent = self.grants.get(&grant).and_then(|user| self.agents.get(user));
        agent.is_some_and(|agent| {
            agent.slots.iter().any(|slot| matches!(slot, Slot::Running { grant: id, .. } if *id == grant))
        })
    }

    /// Work is over: the idle clock starts anew, and what was to follow the call follows.
    fn worked(&mut self, user: UserId) {
        let now = self.now;
        if let Some(agent) = self.agents.get_mut(&user) {
            agent.reset_idle_clock(now);
            agent.unrecorded = true;
        }
        self.after_work(user);
    }

    pub(super) fn queue_started(&mut self, department: DepartmentId, incarnation: u64) {
        let Some(desk) = self.desks.get(&department) else { return };
        if let Some(old) = desk.incarnation
            && old != incarnation
        {
            self.queue_stopped(department, old);
        }
        if let Some(desk) = self.desks.get_mut(&department) {
            desk.incarnation = Some(incarnation);
            desk.sequence_in = 0;
            desk.sequence_out = 0;
            desk.grants_made = 0;
            desk.in_flight.clear();
            desk.backs.clear();
            desk.demand = Demand::default();
            // The new life has heard nothing yet.
            desk.staff = Default::default();
        }
        self.dirty_desks.insert(department);
    }

    /// That life of the queue is dead and its offers are gone. Whether its last words accepted one of them only the record
    /// knows, so slots it was lent are spent until its next life says what it holds: freed now, they could be lent twice.
    pub(super) fn queue_stopped(&mut self, department: DepartmentId, incarnation: u64) {
        let Some(desk) = self.desks.get_mut(&department) else { return };
        if desk.incarnation != Some(incarnation) {
            return;
        }
        desk.incarnation = None;
        desk.demand = Demand::default();
        desk.in_flight.clear();
        let lent: Vec<GrantId> = self
            .agents
            .values()
            .flat_map(|agent| &agent.slots)
            .filter_map(|slot| match slot {
                Slot::Granted { grant, department: at, .. } if *at == department => Some(*grant),
                _ => None,
            })
            .collect();
        for grant in lent {
            let Some(user) = self.grants.get(&grant).copied() else { continue };
            let slots = self.agents.get_mut(&user).map(|agent| &mut agent.slots).into_iter().flatten();
            let withdrawn: Vec<Arc<Offer>> = slots
                .filter_map(|slot| match slot {
                    Slot::Granted { grant: id, offer, .. } if *id == grant => offer.take(),
                    _ => None,
                })
                .collect();
            for offer in withdrawn {
                self.out.push(Effect::Say(Said::OfferWithdrawn { user, offer, reason: OfferEnd::Restarted }));
            }
            self.reindex(user);
        }
    }

    /// Asks for the offers of an agent back, in the departments that match.
    pub(super) fn revoke_offers(&mut self, user: UserId, reason: RevokeReason, wanted: impl Fn(DepartmentId) -> bool) {
        let lent: Vec<(GrantId, DepartmentId)> = self.agents.get(&user).map_or_else(Vec::new, |agent| {
            agent
                .slots
                .iter()
                .filter_map(|slot| match slot {
                    Slot::Granted { grant, department, pick: None, .. } if wanted(*department) => {
                        Some((*grant, *department))
                    }
                    _ => None,
                })
                .collect()
        });
        for (grant, department) in lent {
            self.tell(department, ToQueue::Revoke { grant, reason });
        }
    }

    /// Tells the queues of an agent's running calls.
    pub(super) fn tell_running(&mut self, user: UserId, message: impl Fn(GrantId) -> ToQueue) {
        let running: Vec<(GrantId, DepartmentId)> = self.agents.get(&user).map_or_else(Vec::new, |agent| {
            agent
                .slots
                .iter()
                .filter_map(|slot| match slot {
                    Slot::Running { grant, department, .. } => Some((*grant, *department)),
                    _ => None,
                })
                .collect()
        });
        for (grant, department) in running {
            self.tell(department, message(grant));
        }
    }

    pub(super) fn lose_running(&mut self, user: UserId) {
        self.tell_running(user, |grant| ToQueue::AgentLost { grant });
    }

    /// Sends to the life of a queue that speaks now; a dead one needs nothing.
    pub(super) fn tell(&mut self, department: DepartmentId, message: ToQueue) {
        if let Some(desk) = self.desks.get_mut(&department)
            && let Some(incarnation) = desk.incarnation
        {
            desk.sequence_out += 1;
            let envelope = Envelope { incarnation, sequence: desk.sequence_out, message };
            self.out.push(Effect::Queue { department, envelope });
        }
    }
}
