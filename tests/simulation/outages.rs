//! Owns outages of Postgres: when they begin and end, and when each actor hears of it.

use vez::domain::ids::DepartmentId;

use crate::checks::Broken;
use crate::world::{Event, World};

/// News of an outage reach every actor within this; an outage lasts longer.
const NEWS_MICROS: u64 = 2_000_000;

impl World {
    /// Postgres goes away; every actor hears of it a little later.
    pub fn outage(&mut self) {
        if self.storage_away || !self.up {
            return;
        }
        self.storage_away = true;
        self.away_since = Some(self.clock());
        self.tally.note("outages");
        self.say(|| "OUTAGE".into());
        self.tell_all(NEWS_MICROS, vez::queue::Command::Freeze, vez::roster::Command::Freeze);
        let lasts = self.dice.span(NEWS_MICROS + 1_000, 90_000_000);
        self.later(0, lasts, Event::OutageOver);
    }

    pub fn outage_over(&mut self) -> Result<(), Broken> {
        self.storage_away = false;
        self.away_since = None;
        self.say(|| "OUTAGE OVER".into());
        for tenant in &mut self.tenants {
            tenant.books.forget_refusals();
        }
        self.tell_all(NEWS_MICROS / 4, vez::queue::Command::Thaw, vez::roster::Command::Thaw);
        Ok(())
    }

    fn tell_all(&mut self, most: u64, queue: vez::queue::Command, roster: vez::roster::Command) {
        for tenant in 0..self.tenants.len() {
            let after = self.dice.span(0, most);
            self.later(tenant, after, Event::Roster { command: roster.clone(), request: None });
            let departments: Vec<DepartmentId> = self.tenants[tenant].departments.keys().copied().collect();
            for department in departments {
                if self.queue(tenant, department).is_some() {
                    let after = self.dice.span(0, most);
                    self.later(tenant, after, Event::Queue { department, command: queue.clone(), request: None });
                }
            }
        }
    }
}
