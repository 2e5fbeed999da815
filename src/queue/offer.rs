//! Owns grants, offers and hand-picks: a grant becomes an offer or goes back within the message that brought it, and an
//! offer has exactly one outcome.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::{Value, json};

use super::apply::Reply;
use super::effect::Effect;
use super::event::{Said, Settled};
use super::exchange::{Grant, Offer, OfferedCustomer, Return, RevokeReason, ToRoster, WithdrawReason};
use super::rejection::Rejection;
use super::state::{Pick, Queue, Standing};
use crate::domain::call::{CallSnapshot, Exclusion, LastOffer, OfferOutcome, Phase, Rank, Requirements};
use crate::domain::ids::{CallId, GrantId, PickId, UserId};

/// Hand-picks of one call at once: more agents than this grabbing one customer is a mistake, not a workload.
const PICKS_MAX: usize = 8;
/// Exclusions of one call kept: one per agent who refused it within half a minute; the oldest is forgotten first.
const EXCLUSIONS_MAX: usize = 64;
/// Passed calls listed with one offer; the rest is a count, so that no row grows with the line.
pub const PASSED_MAX: usize = 256;

impl Queue {
    /// The best call to offer an agent: eligible, not excluded, and he has its skills. One that is kept for him comes first,
    /// as if he had picked it; the flag says so.
    fn best_for(&self, user: UserId, skills: &Requirements) -> Option<(Rank, CallId, bool)> {
        if self.is_frozen() || !self.offers_calls() {
            return None;
        }
        let first = |set: &BTreeMap<Rank, CallId>| {
            let open = |id: &CallId| self.calls.get(id).is_some_and(|call| !call.excludes(user, self.now));
            set.iter().find(|(_, id)| open(id)).map(|(rank, id)| (*rank, *id))
        };
        let kept = self.eligible.get(&(Some(user), Requirements::default())).and_then(first);
        if let Some((rank, id)) = kept {
            return Some((rank, id, true));
        }
        let for_all = self.eligible.iter().filter(|((named, requirements), _)| {
            named.is_none() && requirements.iter().all(|skill| skills.contains(skill))
        });
        for_all.filter_map(|(_, set)| first(set)).min().map(|(rank, id)| (rank, id, false))
    }

    pub(super) fn take_grant(&mut self, grant: Grant) {
        self.grants_seen = grant.number;
        self.demand_changed = true;
        if let Some(pick) = grant.pick {
            return self.take_pick_grant(pick, grant);
        }
        match self.best_for(grant.user, &grant.skills) {
            Some((rank, id, kept)) if kept || grant.alternative.is_none_or(|other| rank <= other) => {
                self.offer(id, grant, kept);
            }
            other => self.hand_back(grant.grant, other.map(|(rank, ..)| rank)),
        }
    }

    fn hand_back(&mut self, grant: GrantId, rank: Option<Rank>) {
        let outcome = Return::HandedBack { rank, version: self.demand_version };
        self.out.push(Effect::Roster(ToRoster::Returned { grant, outcome }));
    }

    fn offer(&mut self, id: CallId, grant: Grant, kept: bool) {
        let expires_at = self.now.plus_seconds(u64::from(self.settings.offer_timeout_seconds));
        let position = self.position(id);
        let Some(call) = self.calls.get(&id) else { return };
        let passed = self.passed_by(call.snapshot.rank(), grant.user, &grant.skills);
        // It was meant for him by name, as a call that he picks.
        let passed = if kept { picked(passed) } else { passed };
        let caller = call.snapshot.caller.clone();
        let offer = Offer {
            grant: grant.grant,
            call_id: id,
            protocol: call.snapshot.number,
            department_id: self.settings.department_id,
            department_name: self.settings.name.clone(),
            customer: OfferedCustomer {
                id: caller.customer_id,
                name: caller.name.clone(),
                email: caller.email.clone(),
                phone: caller.phone.clone(),
            },
            reason: caller.reason.clone(),
            wait_time: self.now.seconds_since(call.snapshot.joined_at),
            position_when_offered: position,
            expires_at,
            user: grant.user,
            possible_since: call.eligible_since.max(grant.ready_since),
        };
        self.grants.insert(grant.grant, id);
        if let Some(call) = self.calls.get_mut(&id) {
            call.offer = Some(Standing {
                grant: grant.grant,
                user: grant.user,
                user_name: grant.user_name,
                offered_at: self.now,
                expires_at,
                alone: grant.alone,
                passed,
            });
        }
        self.reindex(id);
        self.out.push(Effect::Roster(ToRoster::Offered(Arc::new(offer))));
        self.out.push(Effect::Say(Said::Offered { call: id, grant: grant.grant, user: grant.user, expires_at }));
    }

    /// Who waits before `rank` without an offer, and why each is passed over for this agent.
    fn passed_by(&self, rank: Rank, user: UserId, skills: &Requirements) -> Value {
        let mut ahead = self.waiting.range(..rank);
        let listed: Vec<Value> = ahead
            .by_ref()
            .take(PASSED_MAX)
            .filter_map(|(_, id)| self.calls.get(id).map(|call| (id, call)))
            .map(|(id, call)| {
                let reason = if !call.present {
                    "away"
                } else if call.excludes(user, self.now) {
                    "excluded"
                } else if !call.snapshot.requirements.iter().all(|skill| skills.contains(skill)) {
                    "skill"
                } else {
                    "picked"
                };
                json!({ "call_id": id, "reason": reason })
            })
            .collect();
        if listed.is_empty() {
            return Value::Null;
        }
        json!({ "calls": listed, "more": ahead.count() })
    }

    pub(super) fn accept(&mut self, grant: GrantId, user: UserId) -> Result<Reply, Rejection> {
        let Some(id) = self.grants.get(&grant).copied() else {
            return Err(match self.outcomes.get(&grant) {
                Some((_, _, Some(WithdrawReason::Taken))) => Rejection::AlreadyTaken,
                _ => Rejection::OfferExpired,
            });
        };
        let call = self.calls.get(&id).ok_or(Rejection::OfferExpired)?;
        match &call.offer {
            Some(offer) if offer.user != user => Err(Rejection::NotYourCall),
            Some(offer) if offer.expires_at <= self.now => Err(Rejection::OfferExpired),
            Some(_) => Ok(Reply::Call(self.accept_offer(id))),
            // Accepted before: the same command by the same agent hears the same.
            None if call.snapshot.user_id == Some(user) => Ok(Reply::Call(Arc::new(call.snapshot.clone()))),
            None => Err(Rejection::AlreadyTaken),
        }
    }

    fn accept_offer(&mut self, id: CallId) -> Arc<CallSnapshot> {
        let offer = self.calls.get_mut(&id).and_then(|call| call.offer.take());
        match offer {
            Some(offer) => {
                let data =
                    json!({ "offer_id": offer.grant, "offered_at": micros(offer.offered_at), "passed": offer.passed });
                self.assign(id, offer.grant, offer.user, offer.user_name, data)
            }
            None => self.changed(id),
        }
    }

    /// Gives the call to an agent whose slot is granted; the line loses it, every other claim on it is answered.
    fn assign(&mut self, id: CallId, grant: GrantId, user: UserId, name: Arc<str>, data: Value) -> Arc<CallSnapshot> {
        let start_by = self.now.plus_seconds(self.settings.rules.start_timeout_seconds);
        let now = self.now;
        if let Some(call) = self.calls.get_mut(&id) {
            call.snapshot.phase = Phase::Assigned;
            call.snapshot.user_id = Some(user);
            call.snapshot.user_name = Some(name);
            call.snapshot.grant_id = Some(grant);
            call.snapshot.assigned_at = Some(now);
            if call.snapshot.started_at.is_none() {
                call.snapshot.accepted_at = Some(now);
            }
            call.snapshot.last_offer =
                Some(LastOffer { offer_id: grant, user_id: user, outcome: OfferOutcome::Accepted });
            call.open_to_all();
            call.start_by = Some(start_by);
            call.told_position = 0;
        }
        self.grants.insert(grant, id);
        self.outcomes.note(now, grant, (user, OfferOutcome::Accepted, None));
        let picks = self.calls.get_mut(&id).map(|call| std::mem::take(&mut call.picks)).unwrap_or_default();
        for pick in &picks {
            self.picks.remove(&pick.id);
        }
        self.reindex(id);
        let event = self.event("call_assigned", Some(id), Some(user), data);
        let call = self.changed(id);
        self.record(call.clone(), vec![event], Settled::Assigned(call.clone()), |_| {});
        self.out.push(Effect::Roster(ToRoster::Accepted { grant, call: id }));
        self.answer_picks(id, user, picks);
        call
    }

    pub(super) fn decline(&mut self, grant: GrantId, user: UserId) -> Result<Reply, Rejection> {
        if let Some(id) = self.grants.get(&grant).copied()
            && let Some(offer) = self.calls.get(&id).and_then(|call| call.offer.as_ref())
        {
            if offer.user != user {
                return Err(Rejection::NotYourCall);
            }
            self.refused(id, OfferOutcome::Declined, Return::Declined);
            return Ok(Reply::Done);
        }
        match self.outcomes.get(&grant) {
            Some((who, OfferOutcome::Declined, _)) if *who == user => Ok(Reply::Done),
            _ => Err(Rejection::OfferExpired),
        }
    }

    /// Nobody answered in time.
    pub(super) fn offer_timed_out(&mut self, id: CallId) {
        self.refused(id, OfferOutcome::TimedOut, Return::TimedOut);
    }

    /// The agent did not take the call: it stays at its place, and he is not asked again for a while.
    fn refused(&mut self, id: CallId, outcome: OfferOutcome, returned: Return) {
        let alone = self.calls.get(&id).and_then(|c| c.offer.as_ref()).is_some_and(|offer| offer.alone);
        let user = self.calls.get(&id).and_then(|c| c.offer.as_ref()).map(|offer| offer.user);
        if let Some(user) = user {
            let rules = self.settings.rules;
            self.exclude(id, user, if alone { rules.exclusion_alone_seconds } else { rules.exclusion_seconds });
        }
        self.end_offer(id, outcome, returned, None);
    }

    pub(super) fn exclude(&mut self, id: CallId, user: UserId, seconds: u64) {
        let until = self.now.plus_seconds(seconds).micros();
        if let Some(call) = self.calls.get_mut(&id) {
            call.snapshot.exclusions.retain(|known| known.user_id != user);
            if call.snapshot.exclusions.len() >= EXCLUSIONS_MAX {
                call.snapshot.exclusions.remove(0);
            }
            call.snapshot.exclusions.push(Exclusion { user_id: user, until_micros: until });
        }
    }

    /// Takes a standing offer away from its agent without a miss.
    pub(super) fn withdraw_offer(&mut self, id: CallId, outcome: OfferOutcome, reason: Option<WithdrawReason>) {
        let returned = match (outcome, reason) {
            (OfferOutcome::CustomerLeft, _) => Return::CustomerLeft,
            (OfferOutcome::AgentLost, _) => Return::AgentLost,
            (_, reason) => Return::Withdrawn(reason.unwrap_or(WithdrawReason::Withdrawn)),
        };
        self.end_offer(id, outcome, returned, reason);
    }

    fn end_offer(&mut self, id: CallId, outcome: OfferOutcome, returned: Return, reason: Option<WithdrawReason>) {
        let now = self.now;
        let Some(offer) = self.calls.get_mut(&id).and_then(|call| call.offer.take()) else { return };
        if let Some(call) = self.calls.get_mut(&id) {
            call.snapshot.last_offer = Some(LastOffer { offer_id: offer.grant, user_id: offer.user, outcome });
            let his_doing = outcome != OfferOutcome::CustomerLeft && reason != Some(WithdrawReason::Restarted);
            if his_doing {
                // Whoever it was kept for has had his turn.
                call.open_to_all();
            }
        }
        self.grants.remove(&offer.grant);
        self.outcomes.note(now, offer.grant, (offer.user, outcome, reason));
        self.reindex(id);
        self.out.push(Effect::Roster(ToRoster::Returned { grant: offer.grant, outcome: returned }));
        let kind = match outcome {
            OfferOutcome::Declined => "offer_declined",
            OfferOutcome::TimedOut => "offer_timed_out",
            _ => "offer_withdrawn",
        };
        let data = json!({
            "offer_id": offer.grant, "offered_at": micros(offer.offered_at), "outcome": outcome, "reason": reason,
            "passed": offer.passed,
        });
        let event = self.event(kind, Some(id), Some(offer.user), data);
        let call = self.changed(id);
        self.record(call.clone(), vec![event], Settled::Noted(call), |_| {});
    }

    pub(super) fn revoke(&mut self, grant: GrantId, reason: RevokeReason) {
        let Some(id) = self.grants.get(&grant).copied() else { return };
        if self.calls.get(&id).is_some_and(|call| call.offer.is_some()) {
            match reason {
                RevokeReason::AgentPaused => {
                    self.withdraw_offer(id, OfferOutcome::Withdrawn, Some(WithdrawReason::AgentPaused));
                }
                RevokeReason::AgentLost => self.withdraw_offer(id, OfferOutcome::AgentLost, None),
            }
        }
    }

    pub(super) fn pick(&mut self, pick: PickId, id: CallId, user: UserId, by: UserId) -> Result<Reply, Rejection> {
        if self.ended.get(&id).is_some() {
            return Err(Rejection::CallEnded);
        }
        let call = self.calls.get(&id).ok_or(Rejection::UnknownCall)?;
        match call.snapshot.phase {
            Phase::Assigned | Phase::Active if call.snapshot.user_id == Some(user) => {
                return Ok(Reply::Call(Arc::new(call.snapshot.clone())));
            }
            Phase::Assigned | Phase::Active => return Err(Rejection::AlreadyTaken),
            _ => {}
        }
        if call.offer.as_ref().is_some_and(|offer| offer.user == user && offer.expires_at > self.now) {
            return Ok(Reply::Call(self.accept_offer(id)));
        }
        if call.picks.len() >= PICKS_MAX {
            return Err(Rejection::TooManyPicks);
        }
        let until = self.now.plus_seconds(self.settings.rules.pick_timeout_seconds);
        if let Some(call) = self.calls.get_mut(&id) {
            call.picks.push(Pick { id: pick, user, by, until });
        }
        self.picks.insert(pick, id);
        self.reindex(id);
        self.out.push(Effect::Roster(ToRoster::PickRequested { pick, call: id, user }));
        Ok(Reply::Deferred)
    }

    fn take_pick_grant(&mut self, pick: PickId, grant: Grant) {
        let found = self.picks.get(&pick).copied().filter(|_| !self.is_frozen());
        let Some(id) = found else {
            // The pick is over, but what goes back must not say that nobody here waits for this agent; while frozen nobody
            // does, and the thaw tells anew.
            let best = self.best_for(grant.user, &grant.skills);
            return self.hand_back(grant.grant, best.map(|(rank, ..)| rank));
        };
        let by = self.calls.get(&id).and_then(|c| c.picks.iter().find(|p| p.id == pick)).map(|p| p.by);
        self.drop_pick(id, pick);
        if self.calls.get(&id).is_some_and(|call| call.offer.is_some()) {
            self.withdraw_offer(id, OfferOutcome::Withdrawn, Some(WithdrawReason::Taken));
        }
        let passed = match self.calls.get(&id) {
            Some(call) => self.passed_by(call.snapshot.rank(), grant.user, &grant.skills),
            None => Value::Null,
        };
        let passed = picked(passed);
        let mut data = json!({ "offer_id": grant.grant, "picked_by": by, "passed": passed });
        if let Some(by) = by.filter(|by| *by != grant.user) {
            data["by"] = json!(by);
        }
        self.assign(id, grant.grant, grant.user, grant.user_name, data);
        self.out.push(Effect::Answer { pick, result: Ok(id) });
    }

    pub(super) fn refuse_pick(&mut self, pick: PickId, reason: Rejection) {
        if let Some(id) = self.picks.get(&pick).copied() {
            self.drop_pick(id, pick);
            self.out.push(Effect::Answer { pick, result: Err(reason) });
        }
    }

    fn drop_pick(&mut self, id: CallId, pick: PickId) {
        self.picks.remove(&pick);
        if let Some(call) = self.calls.get_mut(&id) {
            call.picks.retain(|known| known.id != pick);
        }
        self.reindex(id);
    }

    /// The call was taken: the same agent asking twice hears the same, everybody else that he was too late.
    fn answer_picks(&mut self, id: CallId, taker: UserId, picks: Vec<Pick>) {
        for pick in picks {
            let result = if pick.user == taker { Ok(id) } else { Err(Rejection::AlreadyTaken) };
            self.out.push(Effect::Roster(ToRoster::PickDropped { pick: pick.id }));
            self.out.push(Effect::Answer { pick: pick.id, result });
        }
    }

    /// Answers every hand-pick of a call with a refusal.
    pub(super) fn refuse_picks(&mut self, id: CallId, reason: Rejection) {
        let picks = self.calls.get_mut(&id).map(|call| std::mem::take(&mut call.picks)).unwrap_or_default();
        for pick in picks {
            self.give_up_pick(pick.id, reason);
        }
    }

    fn give_up_pick(&mut self, pick: PickId, reason: Rejection) {
        self.answer_pick(pick, Err(reason));
    }

    fn answer_pick(&mut self, pick: PickId, result: Result<CallId, Rejection>) {
        self.picks.remove(&pick);
        self.out.push(Effect::Roster(ToRoster::PickDropped { pick }));
        self.out.push(Effect::Answer { pick, result });
    }

    /// Gives up the hand-picks of a call whose deadline has come.
    pub(super) fn expire_picks(&mut self, id: CallId) {
        let now = self.now;
        let Some(call) = self.calls.get_mut(&id) else { return };
        let (due, left): (Vec<Pick>, Vec<Pick>) = call.picks.drain(..).partition(|pick| pick.until <= now);
        call.picks = left;
        for pick in due {
            self.give_up_pick(pick.id, Rejection::PickTimedOut);
        }
    }
}

/// Whoever stands before a hand-picked call, or one kept for its agent, was passed because of that, whatever else holds for
/// them.
fn picked(mut passed: Value) -> Value {
    if let Some(calls) = passed.get_mut("calls").and_then(Value::as_array_mut) {
        for call in calls {
            call["reason"] = json!("picked");
        }
    }
    passed
}

fn micros(at: crate::domain::clock::Timestamp) -> String {
    at.to_utc().to_rfc3339_opts(chrono::SecondsFormat::Micros, true)
}
