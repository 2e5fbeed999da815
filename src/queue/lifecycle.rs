//! Owns a call from its assignment to its end: start, complete, back to the line, lost agents. `can_become` is the whole
//! life cycle; a test walks every pair.

use std::sync::Arc;

use serde_json::json;

use super::apply::Reply;
use super::effect::Effect;
use super::event::{ReturnReason, Said, Settled};
use super::exchange::{ToRoster, WithdrawReason};
use super::rejection::Rejection;
use super::state::Queue;
use crate::domain::call::{CallSnapshot, EndReason, OfferOutcome, Phase};
use crate::domain::ids::{CallId, GrantId, UserId};

/// Whether a call in `from` may ever be in `to` next.
pub const fn can_become(from: Phase, to: Phase) -> bool {
    use Phase::{Active, Assigned, Ended, Offered, Waiting};
    matches!(
        (from, to),
        (Waiting, Offered | Assigned | Ended)
            | (Offered, Waiting | Assigned | Ended)
            | (Assigned, Waiting | Active | Ended)
            | (Active, Waiting | Ended)
    )
}

impl Queue {
    pub(super) fn start(&mut self, id: CallId, user: UserId) -> Result<Reply, Rejection> {
        if self.ended.get(&id).is_some() {
            return Err(Rejection::CallEnded);
        }
        let now = self.now;
        let call = self.calls.get_mut(&id).ok_or(Rejection::UnknownCall)?;
        match call.snapshot.phase {
            Phase::Assigned | Phase::Active if call.snapshot.user_id != Some(user) => {
                return Err(Rejection::NotYourCall);
            }
            Phase::Active => return Ok(Reply::Call(Arc::new(call.snapshot.clone()))),
            Phase::Assigned => {}
            _ => return Err(Rejection::NotYourCall),
        }
        let first = call.snapshot.started_at.is_none();
        call.snapshot.phase = Phase::Active;
        call.snapshot.started_at.get_or_insert(now);
        call.start_by = None;
        self.reindex(id);
        // `call.started` fires once, however often the call goes back and is taken again.
        let kind = if first { "call_started" } else { "call_resumed" };
        let event = self.event(kind, Some(id), Some(user), serde_json::Value::Null);
        let call = self.changed(id);
        self.record(call.clone(), vec![event], Settled::Started(call.clone()), |_| {});
        Ok(Reply::Call(call))
    }

    pub(super) fn complete(&mut self, id: CallId, user: UserId, supervisor: bool) -> Result<Reply, Rejection> {
        if let Some((ended, by)) = self.ended.get(&id) {
            let his = ended.user_id == Some(user) || *by == Some(user);
            let same = ended.end_reason == Some(EndReason::Completed) && his;
            return if same { Ok(Reply::Call(ended.clone())) } else { Err(Rejection::CallEnded) };
        }
        let call = self.calls.get(&id).ok_or(Rejection::UnknownCall)?;
        let own = call.snapshot.user_id == Some(user);
        match call.snapshot.phase {
            Phase::Active if own || supervisor => Ok(Reply::Call(self.end(id, EndReason::Completed, Some(user)))),
            Phase::Assigned if own => Err(Rejection::NotStarted),
            Phase::Active | Phase::Assigned => Err(Rejection::NotYourCall),
            _ => Err(Rejection::NotStarted),
        }
    }

    /// Ends a call for good. Offers are withdrawn, picks answered, the slot goes to wrap-up or is free.
    pub(super) fn end(&mut self, id: CallId, reason: EndReason, by: Option<UserId>) -> Arc<CallSnapshot> {
        self.refuse_picks(id, Rejection::CallEnded);
        if self.calls.get(&id).is_some_and(|call| call.offer.is_some()) {
            let outcome = match reason {
                EndReason::Left | EndReason::Abandoned | EndReason::NeverConnected => OfferOutcome::CustomerLeft,
                _ => OfferOutcome::Withdrawn,
            };
            self.withdraw_offer(id, outcome, Some(WithdrawReason::Withdrawn));
        }
        let now = self.now;
        let wrap_up_seconds = u64::from(self.settings.wrap_up_seconds);
        let mut held = None;
        if let Some(call) = self.calls.get_mut(&id) {
            let talked = call.snapshot.phase == Phase::Active && reason != EndReason::AgentLost;
            held = call.snapshot.grant_id.filter(|_| matches!(call.snapshot.phase, Phase::Assigned | Phase::Active));
            call.snapshot.phase = Phase::Ended;
            call.snapshot.end_reason = Some(reason);
            call.snapshot.ended_at = Some(now);
            call.snapshot.wrap_up_ends_at = (talked && wrap_up_seconds > 0).then(|| now.plus_seconds(wrap_up_seconds));
            call.snapshot.exclusions.clear();
            call.start_by = None;
            call.agent_lost_until = None;
            if talked && let Some(seconds) = call.snapshot.duration_seconds() {
                self.handle_times.note(seconds as f64 + wrap_up_seconds as f64);
            }
        }
        self.reindex(id);
        let ended = self.calls.get(&id).map(|call| &call.snapshot);
        let agent = ended.and_then(|call| call.user_id);
        let mut data = json!({ "end_reason": reason, "status": ended.map(CallSnapshot::status) });
        // Whoever acted on what was not his is named.
        if let Some(by) = by.filter(|by| agent != Some(*by)) {
            data["by"] = json!(by);
        }
        let event = self.event("call_ended", Some(id), by, data);
        let call = self.changed(id);
        self.calls.remove(&id);
        if let (Some(link), Some(key)) = (call.link_id, &call.join_key) {
            self.join_keys.remove(&(link, key.clone()));
        }
        self.ended.note(now, id, (call.clone(), by));
        // The record first: were the slot free before it, a panic between the two would leave it lent twice.
        self.record(call.clone(), vec![event], Settled::Ended(call.clone()), |_| {});
        if let Some(grant) = held {
            self.grants.remove(&grant);
            let wrap_up_ends_at = call.wrap_up_ends_at;
            self.out.push(Effect::Roster(ToRoster::Ended { grant, call: id, wrap_up_ends_at, planned: true }));
        }
        call
    }

    /// Gives an assigned or active call back to its old place; the agent is not offered it for a while.
    pub(super) fn return_to_line(&mut self, id: CallId, reason: ReturnReason) -> Arc<CallSnapshot> {
        let now = self.now;
        let (mut had, mut talked) = (None, None);
        if let Some(call) = self.calls.get_mut(&id) {
            talked = call.snapshot.talk_seconds(now);
            had = call.snapshot.user_id.zip(call.snapshot.grant_id);
            call.snapshot.phase = Phase::Waiting;
            call.snapshot.user_id = None;
            call.snapshot.user_name = None;
            call.snapshot.grant_id = None;
            call.snapshot.assigned_at = None;
            call.start_by = None;
            call.agent_lost_until = None;
            call.wait_from = now;
        }
        if let Some((user, grant)) = had {
            self.exclude(id, user, self.settings.rules.exclusion_seconds);
            self.grants.remove(&grant);
        }
        self.reindex(id);
        let user = had.map(|(user, _)| user);
        let mut data = json!({ "reason": reason.as_str() });
        if let Some(seconds) = talked {
            data["talk_seconds"] = json!(seconds);
        }
        let event = self.event("call_returned", Some(id), user, data);
        let call = self.changed(id);
        if let Some(from) = user {
            let settled = Settled::Returned { call: call.clone(), from, reason };
            self.record(call.clone(), vec![event], settled, |_| {});
        }
        if let Some((_, grant)) = had {
            self.out.push(Effect::Roster(ToRoster::Ended { grant, call: id, wrap_up_ends_at: None, planned: true }));
        }
        if let Some(position) = self.position(id)
            && let Some(open) = self.calls.get_mut(&id)
        {
            // `call_returned_to_queue` tells it.
            open.told_position = position;
        }
        call
    }

    pub(super) fn agent_lost(&mut self, grant: GrantId) {
        let Some(id) = self.grants.get(&grant).copied() else { return };
        let Some(call) = self.calls.get_mut(&id) else { return };
        let seconds = match call.snapshot.phase {
            Phase::Assigned => self.settings.rules.assigned_return_seconds,
            Phase::Active => self.settings.rules.active_return_seconds,
            _ => return,
        };
        if call.agent_lost_until.is_some() {
            return;
        }
        let until = self.now.plus_seconds(seconds);
        call.agent_lost_until = Some(until);
        self.reindex(id);
        self.out.push(Effect::Say(Said::AgentAway { call: id, until }));
    }

    pub(super) fn agent_back(&mut self, grant: GrantId) {
        let Some(id) = self.grants.get(&grant).copied() else { return };
        if let Some(call) = self.calls.get_mut(&id)
            && call.agent_lost_until.take().is_some()
        {
            self.reindex(id);
            self.out.push(Effect::Say(Said::AgentBack { call: id }));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_ended_call_stays_ended_and_nothing_stays_where_it_is() {
        for phase in Phase::ALL {
            assert!(!can_become(Phase::Ended, *phase));
            assert!(!can_become(*phase, *phase));
            assert_eq!(can_become(*phase, Phase::Ended), *phase != Phase::Ended);
        }
        assert!(!can_become(Phase::Waiting, Phase::Active), "nobody talks before he was assigned");
        assert!(!can_become(Phase::Assigned, Phase::Offered));
    }
}
