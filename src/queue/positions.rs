//! Owns when waiting customers are told a changed position: at once for the first places, at a falling rate further
//! back, in slices. It never walks the whole line at once.

use super::effect::Effect;
use super::event::Said;
use super::state::Queue;
use crate::domain::clock::Timestamp;

/// A stretch of the line and the shortest time between two rounds of news for it.
struct Band {
    first: u32,
    last: u32,
    period_ms: i64,
}

/// The first ten places hear at once: they look at the screen. Further back a stale number hurts less the larger it is.
const BANDS: [Band; 4] = [
    Band { first: 1, last: 10, period_ms: 0 },
    Band { first: 11, last: 100, period_ms: 1_000 },
    Band { first: 101, last: 1_000, period_ms: 5_000 },
    Band { first: 1_001, last: u32::MAX, period_ms: 30_000 },
];

/// Calls looked at per `apply`: at about 1 µs each this stays far below the time of one commit.
const SLICE: u32 = 256;
/// The pause between two slices of one round, so that commands get their turn between them.
const SLICE_PAUSE_MS: i64 = 5;

#[derive(Clone, Copy, Debug, Default)]
struct Round {
    /// Something in this band changed since its last round began.
    changed: bool,
    /// Where an unfinished round goes on.
    cursor: Option<u32>,
    /// Not before then.
    due: Timestamp,
}

/// Which bands have news, and how far each round has come.
#[derive(Clone, Debug, Default)]
pub(super) struct Announcer {
    rounds: [Round; 4],
}

impl Announcer {
    /// The positions from `position` on have changed.
    pub fn changed_from(&mut self, position: u32) {
        for (band, round) in BANDS.iter().zip(&mut self.rounds) {
            if band.last >= position {
                round.changed = true;
            }
        }
    }

    /// When the next slice is due.
    pub fn next_due(&self) -> Option<Timestamp> {
        self.rounds.iter().filter(|r| r.changed || r.cursor.is_some()).map(|r| r.due).min()
    }
}

impl Queue {
    /// Tells the next slice of every band that is due.
    pub(super) fn announce(&mut self) {
        let now = self.now;
        for (index, band) in BANDS.iter().enumerate() {
            let round = &mut self.announcer.rounds[index];
            if (!round.changed && round.cursor.is_none()) || round.due > now {
                continue;
            }
            let from = match round.cursor {
                Some(cursor) => cursor,
                None => {
                    round.changed = false;
                    band.first
                }
            };
            let limit = SLICE.min(band.last.saturating_sub(from).saturating_add(1));
            let slice = if from > self.line.len() { Vec::new() } else { self.line.slice(from, limit) };
            let next = from + slice.len() as u32;
            let finished = next > band.last || next > self.line.len();
            let round = &mut self.announcer.rounds[index];
            if finished {
                round.cursor = None;
                round.due = Timestamp::from_micros(now.micros() + band.period_ms * 1_000);
            } else {
                round.cursor = Some(next);
                round.due = Timestamp::from_micros(now.micros() + SLICE_PAUSE_MS * 1_000);
            }
            let queue_size = self.line.len();
            for (offset, (_, id)) in slice.into_iter().enumerate() {
                let position = from + offset as u32;
                let estimate = self.estimate_at(position);
                if let Some(call) = self.calls.get_mut(&id)
                    && call.told_position != position
                {
                    call.told_position = position;
                    self.out.push(Effect::Say(Said::Position { call: id, position, queue_size, estimate }));
                }
            }
        }
    }
}
