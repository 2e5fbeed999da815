//! Owns what a running tenant does when its company was changed: another plan, another time zone, a department that is gone.

use ractor::ActorRef;

use super::super::load;
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

    /// A deleted department shows nowhere any more. Its queue, which is empty and takes no joins, ends with this life.
    pub(super) fn department_removed(&mut self, department: DepartmentId) {
        self.link.remove_department(department);
        self.topics.remove_department(department);
    }
}
