//! Owns what happens after every command: what fell due is done, the roster hears the demand, waiting customers hear
//! their places. Handlers never do these themselves.

use std::time::Duration;

use super::effect::Effect;
use super::event::ReturnReason;
use super::exchange::{Demand, DemandSet, ToRoster, WithdrawReason};
use super::state::Queue;
use crate::domain::call::{EndReason, OfferOutcome, Phase};
use crate::domain::clock::Timestamp;
use crate::domain::department::Mode;
use crate::domain::ids::CallId;

/// Deadlines of one call that may fall due in one go: one of each kind, twice over.
const ROUNDS_MAX: usize = 16;

impl Queue {
    pub(super) fn settle(&mut self) {
        if !self.is_frozen() {
            self.run_deadlines();
        }
        if self.demand_changed {
            self.demand_changed = false;
            let demand = self.demand();
            self.out.push(Effect::Roster(ToRoster::Demand(demand)));
        }
        self.announce();
    }

    /// What this queue could use now. A department that is pulled from wants nobody: its agents come by themselves.
    pub fn demand(&self) -> Demand {
        let sets = self.eligible.iter().filter(|_| self.offers_calls()).filter_map(|((named, requirements), set)| {
            let (best, _) = set.first_key_value()?;
            Some(DemandSet { named: *named, requirements: requirements.clone(), count: set.len() as u32, best: *best })
        });
        Demand { version: self.demand_version, grants_seen: self.grants_seen, sets: sets.collect() }
    }

    /// Whether this department's calls are offered to agents.
    pub(super) fn offers_calls(&self) -> bool {
        self.settings.mode == Mode::Push
    }

    fn run_deadlines(&mut self) {
        while let Some((at, id)) = self.deadlines.first().copied() {
            if at > self.now {
                return;
            }
            for _ in 0..ROUNDS_MAX {
                if !self.expire_one(id) {
                    break;
                }
            }
            self.reindex(id);
            if self.deadlines.first() == Some(&(at, id)) {
                // Every due deadline is handled above, so this one would be a fault; dropping it keeps the queue alive,
                // and the invariant Q5 finds it in tests.
                debug_assert!(false, "a due deadline was not handled");
                self.deadlines.pop_first();
            }
        }
    }

    /// Does the first thing that is due about a call; `false` when nothing is.
    fn expire_one(&mut self, id: CallId) -> bool {
        let now = self.now;
        let due = |at: Option<Timestamp>| at.is_some_and(|at| at <= now);
        let Some(call) = self.calls.get_mut(&id) else { return false };
        if call.present && call.devices.is_empty() && call.present_until <= now {
            self.went_away(id);
        } else if !call.present && due(call.grace_until) {
            self.lost_customer(id);
        } else if due(call.offer.as_ref().map(|offer| offer.expires_at)) {
            self.offer_timed_out(id);
        } else if due(call.start_by) {
            self.return_to_line(id, ReturnReason::NotStarted);
        } else if due(call.agent_lost_until) {
            self.return_to_line(id, ReturnReason::AgentLost);
        } else if call.in_line() && call.offer.is_none() && due(call.kept_for().map(|(_, until)| until)) {
            // He did not take it in time: it is everybody's, at its old place.
            call.open_to_all();
        } else if due(call.picks.iter().map(|pick| pick.until).min()) {
            self.expire_picks(id);
        } else if call.in_line() && call.snapshot.exclusions.iter().any(|e| e.until_micros <= now.micros()) {
            call.snapshot.exclusions.retain(|e| e.until_micros > now.micros());
            // Somebody may be offered this call again.
            self.demand_version += 1;
            self.demand_changed = true;
        } else if call.in_line()
            && call.offer.is_none()
            && self.settings.max_wait_seconds.is_some_and(|max| call.wait_from.plus_seconds(u64::from(max)) <= now)
        {
            self.end(id, EndReason::TimedOut, None);
        } else {
            return false;
        }
        true
    }

    /// Postgres is away: the line stands still. Standing offers are withdrawn, since nobody could accept them.
    pub(super) fn freeze(&mut self) {
        if self.frozen_since.is_none() {
            self.frozen_since = Some(self.now);
            self.withdraw_all_offers(WithdrawReason::Restarted);
            let picks: Vec<CallId> = self.picks.values().copied().collect();
            for id in picks {
                self.refuse_picks(id, super::rejection::Rejection::StorageUnavailable);
                self.reindex(id);
            }
        }
    }

    /// Postgres is back: each deadline is moved by the gap, and to at least now plus its grace.
    pub(super) fn thaw(&mut self) {
        let Some(since) = self.frozen_since.take() else { return };
        let gap = self.now.since(since);
        let rules = self.settings.rules;
        let grace = u64::from(self.settings.reconnect_grace_seconds);
        let now = self.now;
        let ids: Vec<CallId> = self.calls.keys().copied().collect();
        for id in ids {
            if let Some(call) = self.calls.get_mut(&id) {
                // Polls go on during an outage, so a sign of life lasts from then, not from before it.
                call.present_until = (call.present_until + gap).min(now.plus_seconds(rules.poll_presence_seconds));
                call.wait_from = call.wait_from + gap;
                call.grace_until = call.grace_until.map(|_| now.plus_seconds(grace));
                call.start_by = call.start_by.map(|at| (at + gap).max(now.plus_seconds(rules.assigned_return_seconds)));
                call.agent_lost_until = call.agent_lost_until.map(|_| {
                    now.plus_seconds(match call.snapshot.phase {
                        Phase::Active => rules.active_return_seconds,
                        _ => rules.assigned_return_seconds,
                    })
                });
                call.snapshot.put_off(gap);
            }
            self.keep_waiting_for_a_grace(id);
            self.reindex(id);
        }
        self.demand_version += 1;
        self.demand_changed = true;
    }

    /// After a time without service no wait limit ends a call before the grace has passed: its customer had no chance to
    /// be served meanwhile, and of several such times only the last one's length is known.
    pub(super) fn keep_waiting_for_a_grace(&mut self, id: CallId) {
        let grace = u64::from(self.settings.reconnect_grace_seconds);
        let Some(most) = self.settings.max_wait_seconds else { return };
        let earliest = self.now.plus_seconds(grace) - Duration::from_secs(u64::from(most));
        if let Some(call) = self.calls.get_mut(&id) {
            call.wait_from = call.wait_from.max(earliest);
        }
    }

    pub(super) fn withdraw_all_offers(&mut self, reason: WithdrawReason) {
        let offered: Vec<CallId> = self
            .grants
            .values()
            .copied()
            .filter(|id| self.calls.get(id).is_some_and(|call| call.offer.is_some()))
            .collect();
        for id in offered {
            self.withdraw_offer(id, OfferOutcome::Withdrawn, Some(reason));
        }
    }
}
