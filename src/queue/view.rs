//! Owns what the outside may be told of a queue: a fold of the committed changes. Snapshots, stats and `queue_size` in
//! pushes come from here, so that no push tells of a change that a crash could take back.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use super::event::Settled;
use super::line::Line;
use crate::domain::call::{CallSnapshot, EndReason, Phase};
use crate::domain::clock::Timestamp;
use crate::domain::ids::CallId;
use crate::domain::measures::{Answers, SHORT_ABANDON_SECONDS};

/// Counts of the calls that joined since the company's midnight.
pub type Today = Answers;

/// Counts a call that joined since `from` and was answered, or takes it back because it is another department's now.
fn count_answer(today: &mut Today, call: &CallSnapshot, from: Timestamp, counts: bool) {
    if call.started_at.is_none() || call.joined_at < from {
        return;
    }
    let wait = call.wait_seconds().unwrap_or(0);
    let one = Answers {
        answered: 1,
        answered_in_time: u64::from(wait <= i64::from(call.service_level_seconds)),
        wait_seconds: wait.unsigned_abs(),
        ..Answers::default()
    };
    *today = if counts { today.plus(&one) } else { today.less(&one) };
}

/// The committed state of one queue as clients fold it.
#[derive(Clone, Debug, Default)]
pub struct View {
    line: Line,
    calls: HashMap<CallId, Arc<CallSnapshot>>,
    active: BTreeMap<i64, CallId>,
    arrivals: BTreeSet<(Timestamp, i64)>,
    pub today: Today,
    /// When the day began.
    today_from: Timestamp,
}

impl View {
    /// The view of a freshly restored queue.
    pub fn restore<'a>(calls: impl Iterator<Item = &'a CallSnapshot>, today: Today, today_from: Timestamp) -> Self {
        let mut view = View { today, today_from, ..View::default() };
        for call in calls {
            view.put(Arc::new(call.clone()));
        }
        view
    }

    /// Folds one committed change.
    pub fn fold(&mut self, settled: &Settled) {
        let call = settled.call();
        match settled {
            // Answered is who was connected to an agent, once; a call that goes back and is taken again counts no more.
            Settled::Started(call) if call.started_at == Some(call.changed_at) => {
                count_answer(&mut self.today, call, self.today_from, true);
            }
            Settled::Ended(call) if was_abandoned(call) && call.joined_at >= self.today_from => {
                let waited = call.ended_at.unwrap_or(call.joined_at).seconds_since(call.joined_at);
                self.today.abandoned += 1;
                self.today.abandoned_short += u64::from(waited < SHORT_ABANDON_SECONDS);
            }
            // What was answered is counted where the call is, as a restart counts it from the record.
            Settled::Transferred { call, .. } => {
                count_answer(&mut self.today, call, self.today_from, false);
                self.remove(call);
                return;
            }
            Settled::Adopted(call) => count_answer(&mut self.today, call, self.today_from, true),
            _ => {}
        }
        self.put(call.clone());
    }

    fn remove(&mut self, call: &CallSnapshot) {
        if self.line.remove(call.rank()) {
            self.arrivals.remove(&(call.joined_at, call.number));
        }
        self.active.remove(&call.number);
        self.calls.remove(&call.id);
    }

    /// A new day, which began at the company's `midnight`.
    pub fn start_day(&mut self, midnight: Timestamp) {
        self.today = Today::default();
        self.today_from = midnight;
    }

    fn put(&mut self, call: Arc<CallSnapshot>) {
        let rank = call.rank();
        if call.phase == Phase::Waiting {
            if self.line.insert(rank, call.id) {
                self.arrivals.insert((call.joined_at, call.number));
            }
        } else if self.line.remove(rank) {
            self.arrivals.remove(&(call.joined_at, call.number));
        }
        if matches!(call.phase, Phase::Assigned | Phase::Active) {
            self.active.insert(call.number, call.id);
        } else {
            self.active.remove(&call.number);
        }
        if call.phase == Phase::Ended {
            self.calls.remove(&call.id);
        } else {
            self.calls.insert(call.id, call);
        }
    }

    /// How many calls are in line.
    pub fn queue_size(&self) -> u32 {
        self.line.len()
    }

    /// How many calls are assigned or active.
    pub fn active_count(&self) -> u32 {
        self.active.len() as u32
    }

    /// When the one who waits longest joined.
    pub fn oldest_join(&self) -> Option<Timestamp> {
        self.arrivals.first().map(|(joined, _)| *joined)
    }

    /// Up to `limit` calls in line after `after_position`, each with its position.
    pub fn waiting(&self, after_position: u32, limit: u32) -> Vec<(u32, Arc<CallSnapshot>)> {
        self.line
            .slice(after_position.saturating_add(1), limit)
            .into_iter()
            .enumerate()
            .filter_map(|(index, (_, id))| Some((after_position + 1 + index as u32, self.calls.get(&id)?.clone())))
            .collect()
    }

    /// Assigned and active calls, by number.
    pub fn active(&self) -> impl Iterator<Item = &Arc<CallSnapshot>> {
        self.active.values().filter_map(|id| self.calls.get(id))
    }

    /// An open call as committed.
    pub fn call(&self, id: CallId) -> Option<&Arc<CallSnapshot>> {
        self.calls.get(&id)
    }

    /// A call's position in the committed line.
    pub fn position(&self, call: &CallSnapshot) -> Option<u32> {
        self.line.position(call.rank())
    }
}

/// Whether the customer gave up unserved: what abandonment counts.
pub fn was_abandoned(call: &CallSnapshot) -> bool {
    call.started_at.is_none()
        && matches!(
            call.end_reason,
            Some(EndReason::Left | EndReason::Abandoned | EndReason::NeverConnected | EndReason::TimedOut)
        )
}
