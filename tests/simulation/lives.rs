//! Owns what must hold from one life of a queue or a roster to the next: a restore is the record, and the time nobody
//! served counts against nobody.

use std::collections::BTreeSet;

use vez::domain::call::Rank;
use vez::domain::ids::{CallId, DepartmentId};
use vez::queue::Effect;
use vez::queue::event::{Said, Settled};

use crate::books::Fate;
use crate::checks::{Broken, ensure, same_call};
use crate::shells::DeskState;
use crate::world::World;

impl World {
    /// Looks at a queue that came back from the record.
    pub fn after_restore(&mut self, tenant: usize, department: DepartmentId, effects: &[Effect]) -> Result<(), Broken> {
        let Some(DeskState::Up(shell)) = self.tenants[tenant].desks.get(&department) else { return Ok(()) };
        let ended: BTreeSet<CallId> = effects
            .iter()
            .filter_map(|effect| match effect {
                Effect::Record { settled: Settled::Ended(call), .. } => Some(call.id),
                _ => None,
            })
            .collect();
        let store = &self.tenants[tenant].store;
        let mut told: Vec<(CallId, u32)> = Vec::new();
        for effect in effects {
            if let Effect::Say(Said::Position { call, position, .. }) = effect {
                told.push((*call, *position));
            }
        }
        let mut count = 0;
        for row in store.open(department) {
            count += 1;
            let call = shell.queue.call(row.id).map(|call| call.snapshot());
            let same = call.is_some_and(|call| same_call(call, row) || call.version > row.version);
            ensure(same || ended.contains(&row.id), "a_restore_is_the_record", || format!("{row:?}\n{call:?}"))?;
        }
        let restored = shell.queue.open_calls().count() + ended.len();
        ensure(count == restored, "a_restore_is_the_record", || format!("{count} rows, {restored} calls"))?;
        let mut acknowledged: Vec<(Rank, CallId)> = self.tenants[tenant]
            .books
            .acknowledged
            .iter()
            .filter(|(id, _)| store.calls.get(*id).is_some_and(|row| row.department_id == department))
            .filter(|(id, _)| shell.queue.position(**id).is_some())
            .map(|(id, (_, rank))| (*rank, *id))
            .collect();
        acknowledged.sort();
        let positions: Vec<Option<u32>> = acknowledged.iter().map(|(_, id)| shell.queue.position(*id)).collect();
        ensure(positions.is_sorted(), "acknowledged_places_keep_their_order", || format!("{positions:?}"))?;
        let ids: Vec<CallId> = shell.queue.open_calls().map(|call| call.snapshot().id).collect();
        let books = &mut self.tenants[tenant].books;
        books.told.extend(told);
        let served = books.served.get(&department).copied().unwrap_or(0);
        for id in ids {
            let sign = books.signs.entry(id).or_default();
            sign.seen = served;
            sign.restored = served;
            sign.restores += 1;
        }
        Ok(())
    }

    /// Looks at a roster that came back from the record: every agent as he was, without a click of his.
    pub fn after_roster_restore(&self, tenant: usize, roster: &vez::roster::Roster) -> Result<(), Broken> {
        for (user, row) in &self.tenants[tenant].store.agents {
            let Some(agent) = roster.agent(*user) else { continue };
            let now = agent.snapshot(self.clock());
            // What was to follow the call follows at once when the call ended with the life before.
            let same = now.intent == row.intent && now.after_call == row.after_call;
            let followed = row.after_call.as_ref() == Some(&now.intent) && now.after_call.is_none();
            let kept = now.held == row.held && now.misses == row.misses && now.rotation == row.rotation;
            ensure((same || followed) && kept, "agents_are_as_they_were", || format!("{row:?}\n{now:?}"))?;
        }
        Ok(())
    }

    /// A life of a queue is over: its time counts, its standing offers do not.
    pub fn no_longer_served(&mut self, tenant: usize, department: DepartmentId) {
        let now = self.clock();
        let this = &mut self.tenants[tenant];
        let Some(DeskState::Up(shell)) = this.desks.get_mut(&department) else { return };
        let mut served = std::mem::take(&mut shell.served);
        if !shell.queue.is_frozen() {
            served += now.micros() - shell.served_at.micros();
        }
        *this.books.served.entry(department).or_default() += served;
        for offer in this.books.offers.values_mut().filter(|offer| offer.department == department) {
            offer.fate = Fate::Over;
        }
    }
}
