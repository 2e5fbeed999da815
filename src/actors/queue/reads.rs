//! Owns what a queue shows to whoever asks, and the numbers it tells on its own: from what is committed, with what is live of
//! it (presence, positions, estimates). It changes nothing but what was told last.

use super::super::release;
use super::super::wire::{self, ActiveCall, CustomerState, QueueState, Stats, WaitingCall};
use super::{STATS_PERIOD_MS, State};
use crate::actors::tenant::TenantMsg;
use crate::domain::call::{CallSnapshot, Phase};
use crate::domain::clock::Timestamp;
use crate::domain::ids::CallId;

/// Calls shown in a snapshot of `queue:`; the rest is paged by `list` (realtime.md).
const SNAPSHOT_CALLS: u32 = 100;
/// Calls on one page of `list`: about 100 KiB of frame.
const LIST_CALLS_MAX: u32 = 500;

impl State {
    pub(super) fn snapshot(&self) -> QueueState {
        let settings = self.core.settings();
        QueueState {
            epoch: self.incarnation,
            seq: self.seq,
            department: wire::DepartmentName { id: self.department, name: settings.name.clone() },
            queue_size: self.view.queue_size(),
            waiting: self.waiting(0, SNAPSHOT_CALLS),
            active: self.view.active().map(|call| ActiveCall::from(&**call)).collect(),
            stats: self.compute_stats(),
        }
    }

    pub(super) fn waiting(&self, after_position: u32, limit: u32) -> Vec<WaitingCall> {
        self.view
            .waiting(after_position, limit.min(LIST_CALLS_MAX))
            .into_iter()
            .map(|(position, call)| WaitingCall::of(&call, Some(position), self.is_present(call.id)))
            .collect()
    }

    pub(in crate::actors) fn is_present(&self, call: CallId) -> bool {
        self.core.call(call).is_some_and(|call| call.is_present())
    }

    /// The topic's life, for `epoch`.
    pub(in crate::actors) fn epoch(&self) -> u64 {
        self.incarnation
    }

    pub(super) fn customer_state(&self, id: CallId) -> Option<CustomerState> {
        let live = self.core.call(id);
        // What is committed wins; a join whose reply is under way has only its live form.
        let call: &CallSnapshot = match self.view.call(id) {
            Some(committed) => committed,
            None => live?.snapshot(),
        };
        let phase = match (call.phase, live) {
            (Phase::Waiting, Some(live)) if live.phase() == Phase::Offered => Phase::Offered,
            (phase, _) => phase,
        };
        let position =
            (call.phase == Phase::Waiting).then(|| self.core.position(id).or(self.view.position(call))).flatten();
        let estimate = position.map(|position| self.core.estimate_at(position)).unwrap_or_default();
        Some(CustomerState {
            status: call.status(),
            phase,
            protocol: call.number,
            position,
            queue_size: self.core.queue_size(),
            estimate,
            department_id: self.department,
            department_name: self.core.settings().name.clone(),
            agent_name: call.user_name.clone(),
            joined_at: call.joined_at,
            end_reason: call.end_reason,
        })
    }

    pub(super) fn compute_stats(&self) -> Stats {
        let staff = self.core.staff();
        let now = self.shared.clock.now();
        let queue_size = self.view.queue_size();
        Stats {
            queue_size,
            active_calls: self.view.active_count(),
            online_agents: staff.online,
            available_agents: staff.available,
            longest_wait: self.view.oldest_join().map(|joined| now.seconds_since(joined)),
            estimated_wait_time: self.core.estimate_at(queue_size + 1).p50_seconds,
            service_level: self.view.today.service_level(),
            abandoned_today: self.view.today.abandoned,
        }
    }

    pub(super) fn tell_stats(&mut self) {
        let now = self.shared.clock.now();
        if !self.stats_changed || now < self.stats_due {
            return;
        }
        self.stats_changed = false;
        self.stats_due = Timestamp::from_micros(now.micros() + STATS_PERIOD_MS * 1_000);
        let stats = self.compute_stats();
        // The company's wallboard shows sums of the day that the department's own numbers lack.
        let today = self.view.today;
        if (&stats, &today) != (&self.told.0, &self.told.1) {
            if stats != self.told.0 {
                release::push(self, "queue_stats", &stats);
            }
            self.told = (stats.clone(), today);
            let figures = wire::DepartmentFigures {
                id: self.department,
                name: self.core.settings().name.clone(),
                queue_size: stats.queue_size,
                longest_wait: stats.longest_wait,
                available_agents: stats.available_agents,
            };
            let active = stats.active_calls;
            let _ = self.tenant_actor.cast(TenantMsg::Figures { figures, active, today });
        }
    }
}
