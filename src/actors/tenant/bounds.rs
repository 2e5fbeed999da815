//! Owns what a running tenant does when its company was changed (another plan, another time zone, a department that is gone) or
//! turned a day.

use ractor::ActorRef;

use super::super::load;
use super::super::queue::QueueMsg;
use super::{State, TenantMsg};
use crate::domain::ids::DepartmentId;
use crate::roster::Command;
use crate::store::tenants::Bounds;

impl State {
    /// Obeys the bounds from now on. In a new time zone the figures of the day count until that zone's next midnight.
    pub(super) fn obey(&mut self, myself: &ActorRef<TenantMsg>, bounds: Bounds) {
        if bounds.time_zone != self.time_zone {
            self.time_zone = bounds.time_zone;
            (self.day_start, self.day_end) = load::day(bounds.time_zone, self.shared.clock.now());
        }
        if bounds.max_concurrent_calls != self.core.concurrent_calls_max() {
            self.apply(myself, Command::PlanLimit(bounds.max_concurrent_calls), None);
        }
    }

    /// At the company's midnight every count of the day starts anew.
    pub(super) fn turn_day(&mut self, myself: &ActorRef<TenantMsg>) {
        let now = self.shared.clock.now();
        if now < self.day_end {
            return;
        }
        (self.day_start, self.day_end) = load::day(self.time_zone, now);
        self.apply(myself, Command::DayStarted, None);
        self.topics.start_day();
        for child in self.children.values() {
            let _ = child.actor.cast(QueueMsg::DayStarted(self.day_start));
        }
    }

    /// A deleted department shows nowhere any more. Its queue, which is empty and takes no joins, ends with this life.
    pub(super) fn department_removed(&mut self, department: DepartmentId) {
        self.link.remove_department(department);
        self.topics.remove_department(department);
    }
}
