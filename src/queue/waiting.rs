//! Owns the customer's side of a queue: joining, presence, leaving. What happens to offers and running calls when he
//! goes is asked of `offer` and `lifecycle`.

use std::sync::Arc;

use serde_json::json;

use super::apply::Reply;
use super::command::NewCall;
use super::effect::Effect;
use super::event::{ReturnReason, Said, Settled};
use super::exchange::WithdrawReason;
use super::rejection::Rejection;
use super::state::{Call, Queue};
use super::wait::Estimate;
use crate::domain::call::{CallSnapshot, EndReason, OfferOutcome, PRIORITY_MAX, Phase, ranked_at};
use crate::domain::clock::Timestamp;
use crate::domain::department::{QUEUE_SIZE_MAX, Settings};
use crate::domain::ids::{CallId, DeviceId, LinkId, UserId};
use crate::domain::record::{Entry, RecordEvent};

/// `leave` asks for another agent while the present one is away, else it gives the place up. Sent again within this (a
/// retry, a second tap), the same wish must not cost the place it just kept.
pub const LEAVE_AGAIN_SECONDS: u64 = 5;
/// Devices of one customer's call kept track of; a socket beyond them does not add to presence.
const DEVICES_MAX: usize = 16;

impl Queue {
    pub(super) fn join(&mut self, new: NewCall) -> Result<Reply, Rejection> {
        if let (Some(link), Some(key)) = (new.link_id, &new.join_key)
            && let Some(id) = self.by_join_key(link, key)
        {
            return Ok(self.joined_again(id));
        }
        if let (Some(link), Some(key)) = (new.link_id, &new.join_key)
            && self.moved_keys.get(&(link, key.clone())).is_some_and(|call| self.moved_to(*call).is_some())
        {
            return Err(Rejection::Moved);
        }
        if !self.settings.active {
            return Err(Rejection::DepartmentInactive);
        }
        if new.link_id.is_some_and(|link| self.cancelled_links.get(&link).is_some()) {
            return Err(Rejection::LinkCancelled);
        }
        let used_link = self.take_use(&new)?;
        let size_max = self.settings.max_queue_size.unwrap_or(QUEUE_SIZE_MAX);
        if self.line.len() >= size_max {
            return Err(Rejection::QueueFull);
        }
        let joined_at = self.now.max(self.joined_floor);
        self.joined_floor = joined_at;
        let priority = new.priority.min(PRIORITY_MAX);
        let snapshot = CallSnapshot {
            id: new.id,
            number: new.number,
            department_id: self.settings.department_id,
            link_id: new.link_id,
            caller: new.caller,
            priority,
            requirements: new.requirements,
            join_key: new.join_key,
            joined_at,
            ranked_at: ranked_at(joined_at, new.due_at, priority),
            phase: Phase::Waiting,
            end_reason: None,
            user_id: None,
            user_name: None,
            grant_id: None,
            assigned_at: None,
            accepted_at: None,
            started_at: None,
            ended_at: None,
            wrap_up_ends_at: None,
            exclusions: Vec::new(),
            last_offer: None,
            transfer: None,
            connected: false,
            service_level_seconds: self.settings.service_level_seconds,
            estimate: Estimate::default(),
            version: 0,
            changed_at: self.now,
        };
        let id = snapshot.id;
        if let (Some(link), Some(key)) = (snapshot.link_id, &snapshot.join_key) {
            self.join_keys.insert((link, key.clone()), id);
        }
        let present_until = self.now.plus_seconds(self.settings.rules.join_presence_seconds);
        self.calls.insert(id, Box::new(Call::new(snapshot, present_until, self.now)));
        self.reindex(id);
        let position = self.position(id);
        let estimate = self.estimate_at(position.unwrap_or(1));
        // With what service level and coverage are made of, so that both can be folded from the feed.
        let data = json!({
            "priority": priority, "link_id": new.link_id, "service_level_seconds": self.settings.service_level_seconds,
            "estimated_wait_seconds": estimate.p50_seconds, "estimated_wait_p90_seconds": estimate.p90_seconds,
        });
        let event = self.event("call_joined", Some(id), None, data);
        if let Some(call) = self.calls.get_mut(&id) {
            call.snapshot.estimate = estimate;
        }
        let call = self.changed(id);
        if let Some(call) = self.calls.get_mut(&id) {
            // The reply tells this position, so no push repeats it.
            call.told_position = position.unwrap_or(0);
        }
        self.record(call.clone(), vec![event], Settled::Joined(call.clone()), |entry| {
            entry.new_customer = true;
            entry.used_link = used_link.map(|(link, _)| link);
        });
        if let Some((link, used)) = used_link {
            self.used_links.note(self.now, link, used);
        }
        Ok(Reply::Joined { call, position, queue_size: self.line.len(), estimate, resumed: false })
    }

    /// The link a join uses and how often it is used then, if it may not be used for ever. All joins through a link come
    /// to one queue, so nobody else counts at the same time; what was read from the record lacks the uses of the last
    /// moments, which are remembered here.
    fn take_use(&self, new: &NewCall) -> Result<Option<(LinkId, u32)>, Rejection> {
        let (Some(link), Some(uses)) = (new.link_id, new.link_uses) else { return Ok(None) };
        let used = self.used_links.get(&link).map_or(uses.used, |lately| uses.used.max(*lately));
        if used < uses.max { Ok(Some((link, used + 1))) } else { Err(Rejection::LinkUsed) }
    }

    fn joined_again(&mut self, id: CallId) -> Reply {
        let position = self.position(id);
        let estimate = self.estimate_at(position.unwrap_or(1));
        let call = match self.calls.get(&id) {
            Some(call) => Arc::new(call.snapshot.clone()),
            None => return Reply::Done,
        };
        self.seen(id, self.settings.rules.join_presence_seconds);
        Reply::Joined { call, position, queue_size: self.line.len(), estimate, resumed: true }
    }

    pub(super) fn attach(&mut self, id: CallId, device: DeviceId) -> Result<Reply, Rejection> {
        let call = self.calls.get_mut(&id).ok_or(Rejection::UnknownCall)?;
        if !call.devices.contains(&device) && call.devices.len() < DEVICES_MAX {
            call.devices.push(device);
        }
        call.snapshot.connected = true;
        self.came_back(id);
        Ok(Reply::Done)
    }

    pub(super) fn detach(&mut self, id: CallId, device: DeviceId) -> Result<Reply, Rejection> {
        let call = self.calls.get_mut(&id).ok_or(Rejection::UnknownCall)?;
        call.devices.retain(|known| *known != device);
        if call.devices.is_empty() && call.present && call.present_until <= self.now {
            self.went_away(id);
        }
        self.reindex(id);
        Ok(Reply::Done)
    }

    pub(super) fn poll(&mut self, id: CallId) -> Result<Reply, Rejection> {
        let call = self.calls.get_mut(&id).ok_or(Rejection::UnknownCall)?;
        call.snapshot.connected = true;
        self.seen(id, self.settings.rules.poll_presence_seconds);
        Ok(Reply::Done)
    }

    /// A sign of life without a device: the customer counts as present for `seconds`.
    fn seen(&mut self, id: CallId, seconds: u64) {
        if let Some(call) = self.calls.get_mut(&id) {
            call.present_until = call.present_until.max(self.now.plus_seconds(seconds));
        }
        self.came_back(id);
    }

    fn came_back(&mut self, id: CallId) {
        if let Some(call) = self.calls.get_mut(&id)
            && !call.present
        {
            call.present = true;
            call.grace_until = None;
            self.out.push(Effect::Say(Said::Presence { call: id, present: true }));
        }
        self.reindex(id);
    }

    /// The customer's device stopped answering: the place stays, the offer does not.
    pub(super) fn went_away(&mut self, id: CallId) {
        let grace = u64::from(self.settings.reconnect_grace_seconds);
        let Some(call) = self.calls.get_mut(&id) else { return };
        call.present = false;
        call.grace_until = Some(self.now.plus_seconds(grace));
        let offered = call.offer.is_some();
        self.out.push(Effect::Say(Said::Presence { call: id, present: false }));
        if offered {
            self.withdraw_offer(id, OfferOutcome::CustomerLeft, None);
        }
        self.reindex(id);
    }

    /// Away past the grace: the end depends on how far the call had come.
    pub(super) fn lost_customer(&mut self, id: CallId) {
        let Some(call) = self.calls.get(&id) else { return };
        let reason = match call.snapshot.phase {
            Phase::Active if call.agent_lost_until.is_some() => EndReason::AgentLost,
            Phase::Assigned | Phase::Active => EndReason::CustomerLost,
            _ if call.snapshot.connected => EndReason::Abandoned,
            _ => EndReason::NeverConnected,
        };
        self.end(id, reason, None);
    }

    pub(super) fn leave(&mut self, id: CallId) -> Result<Reply, Rejection> {
        if let Some((ended, _)) = self.ended.get(&id) {
            return Ok(Reply::Call(ended.clone()));
        }
        let now = self.now;
        let call = self.calls.get_mut(&id).ok_or(Rejection::UnknownCall)?;
        if call.asked_back_at.is_some_and(|at| at.plus_seconds(LEAVE_AGAIN_SECONDS) > now) {
            return Ok(Reply::Call(Arc::new(call.snapshot.clone())));
        }
        let call = match (call.snapshot.phase, call.agent_lost_until.is_some()) {
            (Phase::Assigned | Phase::Active, true) => {
                call.asked_back_at = Some(now);
                self.return_to_line(id, ReturnReason::CustomerAsked)
            }
            (Phase::Active, false) => return Err(Rejection::WrongState),
            _ => self.end(id, EndReason::Left, None),
        };
        Ok(Reply::Call(call))
    }

    pub(super) fn end_by_staff(
        &mut self,
        id: CallId,
        reason: EndReason,
        by: Option<UserId>,
    ) -> Result<Reply, Rejection> {
        if let Some((ended, _)) = self.ended.get(&id) {
            return if ended.end_reason == Some(reason) {
                Ok(Reply::Call(ended.clone()))
            } else {
                Err(Rejection::CallEnded)
            };
        }
        let call = self.calls.get(&id).ok_or(Rejection::UnknownCall)?;
        if reason == EndReason::Withdrawn && call.snapshot.phase == Phase::Active {
            return Err(Rejection::WrongState);
        }
        Ok(Reply::Call(self.end(id, reason, by)))
    }

    /// Ends every call still in line that came through a link which was cancelled.
    pub(super) fn cancel_link(&mut self, link: LinkId) -> Result<Reply, Rejection> {
        let through: Vec<CallId> = self
            .line
            .slice(1, self.line.len())
            .into_iter()
            .map(|(_, id)| id)
            .filter(|id| self.calls.get(id).is_some_and(|call| call.snapshot.link_id == Some(link)))
            .collect();
        for id in through {
            self.end(id, EndReason::LinkCancelled, None);
        }
        self.cancelled_links.note(self.now, link, ());
        Ok(Reply::Done)
    }

    pub(super) fn configure(&mut self, settings: Settings) {
        let offered = self.offers_calls();
        self.settings = settings;
        if offered != self.offers_calls() {
            // Hand-backs made before this say nothing any more, and neither does the demand.
            self.demand_version += 1;
            self.demand_changed = true;
            if offered {
                self.withdraw_all_offers(WithdrawReason::Withdrawn);
            }
        }
        // A changed wait limit moves every deadline; this is rare and a department's own doing.
        let ids: Vec<CallId> = self.calls.keys().copied().collect();
        for id in ids {
            self.reindex(id);
        }
    }

    /// Makes the next version of a call's row.
    pub(super) fn changed(&mut self, id: CallId) -> Arc<CallSnapshot> {
        let now = self.now;
        match self.calls.get_mut(&id) {
            Some(call) => {
                call.snapshot.version += 1;
                call.snapshot.changed_at = now;
                Arc::new(call.snapshot.clone())
            }
            None => unreachable!("only open calls change"),
        }
    }

    pub(super) fn record(
        &mut self,
        call: Arc<CallSnapshot>,
        events: Vec<RecordEvent>,
        settled: Settled,
        more: impl FnOnce(&mut Entry),
    ) {
        let mut entry = Entry { call: Some(call), events, ..Entry::default() };
        more(&mut entry);
        self.out.push(Effect::Record { entry, settled });
    }

    pub(super) fn event(
        &self,
        kind: &'static str,
        call: Option<CallId>,
        user: Option<UserId>,
        data: serde_json::Value,
    ) -> RecordEvent {
        RecordEvent {
            kind,
            at: self.now,
            call_id: call,
            department_id: Some(self.settings.department_id),
            user_id: user,
            data,
        }
    }

    /// The earliest `joined_at` the next join may have.
    pub fn joined_floor(&self) -> Timestamp {
        self.joined_floor
    }
}
