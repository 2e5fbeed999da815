//! Owns who works when: how many agents a load needs, and the shifts and pauses of one day.

use super::calendar::{Day, HOURS, ORDINARY, Opening, demand};
use super::{Desk, Worker};
use crate::domain::clock::Timestamp;
use chrono::Weekday;

/// How much of their time on duty agents shall be busy in the hour that decides: beyond it lines grow quickly.
const OCCUPANCY: f64 = 0.95;
/// Time on duty left after short pauses.
const PRESENT: f64 = 0.95;
/// The fewest who can serve a department of each kind without holes.
const BUSINESS_MIN: usize = 3;
const ALWAYS_MIN: usize = 5;

/// Hours at which shifts begin, in the order in which a day's people are assigned to them; every few people cover the day.
const BUSINESS_STARTS: [usize; 10] = [8, 11, 9, 8, 9, 8, 10, 11, 8, 9];
const ALWAYS_STARTS: [usize; 8] = [6, 14, 22, 7, 12, 9, 15, 17];
/// Hours of a shift, with its long pause; the short one of the night has none.
const BUSINESS_HOURS: usize = 9;
const ALWAYS_HOURS: usize = 8;
/// Seconds of the long and of the short pauses.
const LUNCH_SECONDS: u64 = 3_600;
const BREAK_SECONDS: u64 = 600;

/// A pause of a shift.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pause {
    pub at: Timestamp,
    pub seconds: u64,
    pub reason: &'static str,
}

/// One agent's working day.
#[derive(Clone, Debug)]
pub struct Shift {
    /// The agent, by place in the plan.
    pub worker: usize,
    pub from: Timestamp,
    pub until: Timestamp,
    pub pauses: Vec<Pause>,
}

/// The part of a department's people who work on a weekday.
fn at_work(opening: Opening, weekday: Weekday) -> f64 {
    match (opening, weekday) {
        (Opening::Business, Weekday::Sat) => 0.24,
        (Opening::Business, Weekday::Sun) => 0.05,
        (Opening::Business, Weekday::Mon) => 0.97,
        (Opening::Business, _) => 0.90,
        (Opening::Always, _) => 0.72,
    }
}

/// The hours (from, until) of the place-th person of a day.
fn hours_of(opening: Opening, weekday: Weekday, place: usize) -> (usize, usize) {
    match (opening, weekday) {
        (Opening::Business, Weekday::Sat) => (9, 14),
        (Opening::Business, Weekday::Sun) => (9, 13),
        (Opening::Business, _) => {
            let from = BUSINESS_STARTS[place % BUSINESS_STARTS.len()];
            (from, from + BUSINESS_HOURS)
        }
        (Opening::Always, _) => {
            let from = ALWAYS_STARTS[place % ALWAYS_STARTS.len()];
            (from, from + ALWAYS_HOURS)
        }
    }
}

/// When the long pause of a shift begins, if it has one: neighbours in the plan go one after the other.
fn lunch_hour(from: usize, until: usize, place: usize) -> Option<usize> {
    (until - from >= BUSINESS_HOURS).then_some(from + 4 + place / 2 % 2)
}

/// The part of a day's people on duty in each hour, pauses taken off.
fn coverage(opening: Opening, weekday: Weekday) -> [f64; HOURS] {
    // Two rounds of the longest list: every combination of start and pause.
    let people = 2 * BUSINESS_STARTS.len() * ALWAYS_STARTS.len();
    let mut on_duty = [0.0; HOURS];
    for place in 0..people {
        let (from, until) = hours_of(opening, weekday, place);
        for hour in from..until {
            if lunch_hour(from, until, place) != Some(hour) {
                on_duty[hour % HOURS] += 1.0;
            }
        }
    }
    on_duty.map(|count| count / people as f64)
}

/// How many agents a department needs that takes `peak` calls in the busiest hour of an ordinary day, of so many seconds each.
pub fn needed(opening: Opening, peak: f64, handle_seconds: f64) -> usize {
    let (hours, on_duty) = (demand(opening, ORDINARY), coverage(opening, ORDINARY));
    let most = hours.iter().zip(on_duty).filter(|(_, on_duty)| *on_duty > 0.0).map(|(part, on_duty)| {
        let busy = part * peak * handle_seconds / 3_600.0;
        // Small groups need more to spare: the square root rule of staffing.
        (busy / OCCUPANCY + 0.2 * busy.sqrt()) / (on_duty * PRESENT)
    });
    let needed = most.fold(0.0, f64::max) / at_work(opening, ORDINARY);
    (needed.ceil() as usize).max(match opening {
        Opening::Business => BUSINESS_MIN,
        Opening::Always => ALWAYS_MIN,
    })
}

/// Who works on that day, the `day`-th of the history: everybody in turn.
pub fn shifts(desks: &[Desk], workers: &[Worker], day: usize, calendar: &Day) -> Vec<Shift> {
    let mut shifts = Vec::new();
    let weekday = calendar.weekday();
    for (desk_place, desk) in desks.iter().enumerate() {
        let home: Vec<usize> = (0..workers.len()).filter(|w| workers[*w].desks.first() == Some(&desk_place)).collect();
        let count = ((home.len() as f64 * at_work(desk.opening, weekday)).ceil() as usize).min(home.len());
        for place in 0..count {
            // Seven days on: nobody has the same day off, or the same shift, for ever.
            let worker = home[(place + day * 3) % home.len()];
            shifts.push(shift(worker, place, desk.opening, calendar));
        }
    }
    shifts
}

fn shift(worker: usize, place: usize, opening: Opening, calendar: &Day) -> Shift {
    let (from, until) = hours_of(opening, calendar.weekday(), place);
    // Shifts over midnight go on for their hours, whatever the clocks do.
    let at = |hour: usize| match calendar.hours.get(hour) {
        Some(at) => *at,
        None => calendar.end().plus_seconds((hour - HOURS) as u64 * 3_600),
    };
    let mut pauses = Vec::new();
    let late = (place % 6) as u64 * BREAK_SECONDS;
    if let Some(hour) = lunch_hour(from, until, place) {
        pauses.push(Pause { at: at(from + 2).plus_seconds(late), seconds: BREAK_SECONDS, reason: "pausa" });
        pauses.push(Pause { at: at(hour), seconds: LUNCH_SECONDS, reason: "almoço" });
        pauses.push(Pause { at: at(until - 2).plus_seconds(late / 2), seconds: BREAK_SECONDS, reason: "pausa" });
    } else {
        pauses.push(Pause { at: at(from + 2).plus_seconds(late / 2), seconds: BREAK_SECONDS, reason: "pausa" });
    }
    Shift { worker, from: at(from), until: at(until), pauses }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn somebody_is_on_duty_whenever_people_call() {
        use Weekday::{Fri, Mon, Sat, Sun};
        for (opening, least) in [(Opening::Business, BUSINESS_MIN), (Opening::Always, ALWAYS_MIN)] {
            for weekday in [Mon, Fri, Sat, Sun] {
                let people = (least as f64 * at_work(opening, weekday)).ceil() as usize;
                for (hour, part) in demand(opening, weekday).iter().enumerate().filter(|(_, part)| **part > 0.0) {
                    let covered = (0..people).any(|place| {
                        let (from, until) = hours_of(opening, weekday, place);
                        (from..until).any(|on| on % HOURS == hour)
                    });
                    assert!(covered, "{opening:?} {weekday:?} {hour}: {part} calls, nobody there");
                }
            }
        }
    }

    #[test]
    fn more_calls_need_more_agents_but_not_in_proportion() {
        let (few, many) = (needed(Opening::Business, 20.0, 300.0), needed(Opening::Business, 2_000.0, 300.0));
        assert!(few >= BUSINESS_MIN && many > 60 * few / 2 && many < 100 * few, "{few} {many}");
    }
}
