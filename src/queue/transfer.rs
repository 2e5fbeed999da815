//! Owns how a call goes on elsewhere: in another department, or with one named agent, at the place it has earned. The
//! giving queue writes one row that names the new department; after its commit that department's queue adopts the call
//! and may not refuse it, so whether it has room is asked before. It must not know how the two queues reach each other.

use std::sync::Arc;

use serde_json::json;

use super::apply::Reply;
use super::command::Transferring;
use super::effect::Effect;
use super::event::{ReturnReason, Settled};
use super::exchange::{Handover, ToRoster, WithdrawReason};
use super::recent::RECENT_SECONDS;
use super::rejection::Rejection;
use super::state::{Call, Queue};
use crate::domain::call::{CallSnapshot, EndReason, OfferOutcome, Phase};
use crate::domain::clock::Timestamp;
use crate::domain::ids::{CallId, GrantId, LinkId, UserId};
use crate::domain::transfer::Transfer;

/// The slot of the agent who gives a call away.
struct Slot {
    user: UserId,
    grant: GrantId,
    /// How long they spoke, if they did.
    talk_seconds: Option<i64>,
    wrap_up_ends_at: Option<Timestamp>,
}

impl Queue {
    pub(super) fn transfer(&mut self, wish: Transferring) -> Result<Reply, Rejection> {
        let id = wish.call;
        if self.ended.get(&id).is_some() {
            return Err(Rejection::CallEnded);
        }
        let call = self.calls.get(&id).ok_or(Rejection::UnknownCall)?;
        if self.was_done(call, &wish) {
            return Ok(Reply::Call(Arc::new(call.snapshot.clone())));
        }
        let runs = matches!(call.snapshot.phase, Phase::Assigned | Phase::Active);
        if !(wish.supervisor || runs && call.snapshot.user_id == Some(wish.by)) {
            return Err(Rejection::NotYourCall);
        }
        if runs && wish.to.user_id.is_some() && wish.to.user_id == call.snapshot.user_id {
            // He has it already.
            return Err(Rejection::WrongState);
        }
        Ok(Reply::Call(if wish.to.department_id == self.settings.department_id {
            self.transfer_here(wish)
        } else {
            self.give_away(wish)
        }))
    }

    /// Whether the call is where it was wished to be: by this wish, sent again, or since nothing was to change.
    fn was_done(&self, call: &Call, wish: &Transferring) -> bool {
        let stays = wish.to.department_id == self.settings.department_id;
        let last = call.snapshot.transfer.as_ref().filter(|last| last.at().plus_seconds(RECENT_SECONDS) > self.now);
        let again = last.is_some_and(|last| last.by == wish.by && last.to_user_id == wish.to.user_id);
        let open_to_all = call.kept_for().is_none();
        stays && (again || (call.in_line() && wish.to.user_id.is_none() && open_to_all))
    }

    /// The call stays in this line: with another agent, or with whoever is next.
    fn transfer_here(&mut self, wish: Transferring) -> Arc<CallSnapshot> {
        let id = wish.call;
        self.let_go(id, Rejection::AlreadyTaken);
        let slot = self.take_from_agent(id);
        // Out of the indexes first: they find a call that was kept for somebody by who that was.
        self.unindex(id);
        self.note_transfer(&wish, slot.as_ref());
        self.reindex(id);
        let event = self.transfer_event(&wish, slot.as_ref());
        let call = self.changed(id);
        let settled = match &slot {
            Some(slot) => Settled::Returned { call: call.clone(), from: slot.user, reason: ReturnReason::Transferred },
            None => Settled::Noted(call.clone()),
        };
        self.record(call.clone(), vec![event], settled, |_| {});
        if let (Some(_), Some(position)) = (&slot, self.position(id))
            && let Some(open) = self.calls.get_mut(&id)
        {
            // `call_returned_to_queue` tells it.
            open.told_position = position;
        }
        self.free(id, slot);
        call
    }

    /// The call leaves this queue for good: whatever is asked of it here from now on is answered `moved`.
    fn give_away(&mut self, wish: Transferring) -> Arc<CallSnapshot> {
        let (id, to) = (wish.call, wish.to.department_id);
        self.let_go(id, Rejection::Moved);
        let slot = self.take_from_agent(id);
        self.unindex(id);
        self.note_transfer(&wish, slot.as_ref());
        if let Some(call) = self.calls.get_mut(&id) {
            call.snapshot.department_id = to;
        }
        let event = self.transfer_event(&wish, slot.as_ref());
        let call = self.changed(id);
        if let Some(gone) = self.calls.remove(&id) {
            if let (Some(link), Some(key)) = (call.link_id, &call.join_key) {
                self.join_keys.remove(&(link, key.clone()));
            }
            let handover = Box::new(Handover {
                call: call.clone(),
                devices: gone.devices,
                present_until: gone.present_until,
                grace_until: gone.grace_until,
            });
            self.gone(&call);
            let from = slot.as_ref().map(|slot| slot.user);
            let settled = Settled::Transferred { call: call.clone(), from, handover };
            self.record(call.clone(), vec![event], settled, |_| {});
        }
        self.free(id, slot);
        call
    }

    /// An earlier life of this queue gave the call away: whoever still asks here is sent on.
    pub fn gone(&mut self, call: &CallSnapshot) {
        if let (Some(link), Some(key)) = (call.link_id, &call.join_key) {
            self.moved_keys.note(self.now, (link, key.clone()), call.id);
        }
        self.moved.note(self.now, call.id, (call.department_id, call.version));
    }

    /// Takes back what was under way for a call in line.
    fn let_go(&mut self, id: CallId, why: Rejection) {
        self.refuse_picks(id, why);
        if self.calls.get(&id).is_some_and(|call| call.offer.is_some()) {
            self.withdraw_offer(id, OfferOutcome::Withdrawn, Some(WithdrawReason::Withdrawn));
        }
    }

    /// Takes a running call out of its agent's hands; he is not asked for it again at once.
    fn take_from_agent(&mut self, id: CallId) -> Option<Slot> {
        let (now, wrap_up_seconds) = (self.now, u64::from(self.settings.wrap_up_seconds));
        let call = self.calls.get_mut(&id)?;
        call.wait_from = now;
        let runs = matches!(call.snapshot.phase, Phase::Assigned | Phase::Active);
        let (user, grant) = call.snapshot.user_id.zip(call.snapshot.grant_id).filter(|_| runs)?;
        let wraps_up = call.snapshot.phase == Phase::Active && wrap_up_seconds > 0;
        let talk_seconds = call.snapshot.talk_seconds(now);
        call.snapshot.phase = Phase::Waiting;
        call.snapshot.user_id = None;
        call.snapshot.user_name = None;
        call.snapshot.grant_id = None;
        call.snapshot.assigned_at = None;
        call.start_by = None;
        call.agent_lost_until = None;
        self.exclude(id, user, self.settings.rules.exclusion_seconds);
        self.grants.remove(&grant);
        Some(Slot { user, grant, talk_seconds, wrap_up_ends_at: wraps_up.then(|| now.plus_seconds(wrap_up_seconds)) })
    }

    /// Writes the transfer into the call, and whom it is kept for.
    fn note_transfer(&mut self, wish: &Transferring, slot: Option<&Slot>) {
        let (now, here) = (self.now, self.settings.department_id);
        let Some(call) = self.calls.get_mut(&wish.call) else { return };
        let count = call.snapshot.transfer.as_ref().map_or(0, |last| last.count).saturating_add(1);
        let until = wish.keep_seconds.map(|seconds| now.plus_seconds(u64::from(seconds)).micros());
        call.snapshot.transfer = Some(Box::new(Transfer {
            count,
            at_micros: now.micros(),
            by: wish.by,
            from_department_id: here,
            from_user_id: slot.map(|slot| slot.user),
            to_user_id: wish.to.user_id,
            kept_until_micros: wish.to.user_id.and(until),
            reason: wish.reason.clone(),
        }));
        // Whoever is asked by name is asked, although he refused it a moment ago.
        call.snapshot.exclusions.retain(|excluded| Some(excluded.user_id) != wish.to.user_id);
    }

    fn transfer_event(&self, wish: &Transferring, slot: Option<&Slot>) -> crate::domain::record::RecordEvent {
        let from = slot.map(|slot| slot.user);
        let mut data = json!({
            "to_department_id": wish.to.department_id, "to_user_id": wish.to.user_id, "transferred_by": wish.by,
        });
        if let Some(seconds) = slot.and_then(|slot| slot.talk_seconds) {
            data["talk_seconds"] = json!(seconds);
        }
        if from != Some(wish.by) {
            data["by"] = json!(wish.by);
        }
        self.event("call_transferred", Some(wish.call), from, data)
    }

    /// The record has it, so the slot may be told free.
    fn free(&mut self, id: CallId, slot: Option<Slot>) {
        if let Some(Slot { grant, wrap_up_ends_at, .. }) = slot {
            // The call goes on, so its row cannot hold this wrap-up: the agent's own must.
            let ended = ToRoster::Ended { grant, call: id, wrap_up_ends_at, planned: false };
            self.out.push(Effect::Roster(ended));
        }
    }

    pub(super) fn adopt(&mut self, handover: Handover) -> Result<Reply, Rejection> {
        let Handover { call: row, devices, present_until, grace_until } = handover;
        let id = row.id;
        if self.calls.contains_key(&id) {
            // This life read it from the record before it was told.
            for device in devices {
                self.attach(id, device)?;
            }
            return Ok(Reply::Done);
        }
        let gone_on = self.moved.get(&id).is_some_and(|(_, version)| *version >= row.version);
        if self.ended.get(&id).is_some() || gone_on {
            return Ok(Reply::Done);
        }
        let key = row.link_id.zip(row.join_key.clone());
        self.join_keys.extend(key.map(|key: (LinkId, Arc<str>)| (key, id)));
        // The wait limit of a line counts from when he came to it.
        let wait_from = row.transfer.as_ref().map_or(self.now, |transfer| transfer.at());
        let mut call = Call::new((*row).clone(), present_until, wait_from);
        if row.started_at.is_none() {
            // Who was not answered yet waits for this department now; the next version of his row says so.
            call.snapshot.service_level_seconds = self.settings.service_level_seconds;
        }
        call.present = !devices.is_empty() || grace_until.is_none();
        call.grace_until = grace_until.filter(|_| devices.is_empty());
        call.devices = devices;
        self.calls.insert(id, Box::new(call));
        self.reindex(id);
        if let Some(position) = self.position(id)
            && let Some(call) = self.calls.get_mut(&id)
        {
            // `call_transferred` tells it.
            call.told_position = position;
        }
        self.out.push(Effect::Tell(Settled::Adopted(row.clone())));
        let cancelled = row.link_id.is_some_and(|link| self.cancelled_links.get(&link).is_some());
        if cancelled && !self.is_frozen() {
            self.end(id, EndReason::LinkCancelled, None);
        }
        Ok(Reply::Done)
    }
}
