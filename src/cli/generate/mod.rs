//! Owns a company's generated history: a plan goes in, rows come out. A little simulation, so that waits, abandonments and
//! the agents' time are consistent with each other: agents serve in order, one call at a time.
//!
//! Must not: read a clock, touch a database, or draw anything that does not follow from the plan's seed.

pub mod calendar;
pub mod chance;
mod facts;
mod fate;
mod people;
mod rows;
mod simulation;
mod staff;
#[cfg(test)]
mod tests;
mod work;

use chrono::NaiveDate;
use chrono_tz::Tz;

use crate::domain::clock::Timestamp;
use crate::domain::ids::{CallId, DepartmentId, LinkId, UserId};
use crate::store::generated::{CallRow, CustomerRow, FactRow, IntervalRow, LinkRow};
use calendar::{Day, Opening};
use chance::Chance;

pub use simulation::run;
pub use staff::needed;

/// Calls of one day that are held in memory at once; more than any company has.
pub const CALLS_A_DAY_MAX: u64 = 1_000_000;
/// The longest a call and what follows it may go on after its day is over: two waits, two talks, a rating.
pub const LATEST_END_HOURS: u64 = 6;

/// What shall be generated.
#[derive(Clone, Debug)]
pub struct Plan {
    pub zone: Tz,
    pub first_day: NaiveDate,
    pub days: u32,
    pub calls: u64,
    /// The number of the first call.
    pub first_number: i64,
    pub desks: Vec<Desk>,
    pub workers: Vec<Worker>,
    /// Who takes calls out of the line.
    pub supervisor: Option<UserId>,
    pub seed: u64,
    /// Whether the feed's facts are wanted.
    pub facts: bool,
}

/// A department.
#[derive(Clone, Debug)]
pub struct Desk {
    pub department: DepartmentId,
    pub opening: Opening,
    /// Its part of the company's calls.
    pub share: f64,
    /// The link most people come by.
    pub link: Option<LinkId>,
    pub max_wait_seconds: Option<u32>,
    pub offer_timeout_seconds: u32,
    pub wrap_up_seconds: u32,
    pub grace_seconds: u32,
    pub service_level_seconds: u32,
}

/// An agent.
#[derive(Clone, Debug)]
pub struct Worker {
    pub user: UserId,
    /// The departments served, by place in the plan; home first.
    pub desks: Vec<usize>,
}

/// What an agent did for a while.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Doing {
    /// Waiting for a call, or asked to take one.
    Available,
    /// Beside a customer.
    InCall(CallId),
    WrapUp(CallId),
    Paused(&'static str),
    /// Without a connection.
    Disconnected,
}

/// Some of an agent's time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Interval {
    pub user: UserId,
    pub doing: Doing,
    pub from: Timestamp,
    pub until: Timestamp,
}

/// Whoever takes the rows, in the order in which they come to be.
pub trait Sink {
    fn call(&mut self, call: &CallRow<'_>);
    fn customer(&mut self, customer: &CustomerRow<'_>);
    fn link(&mut self, link: &LinkRow<'_>);
    fn fact(&mut self, fact: &FactRow<'_>);
    /// What an agent chose, as the record measures it.
    fn interval(&mut self, interval: &IntervalRow);
    /// What an agent did, in more detail than the record keeps.
    fn did(&mut self, _: &Interval) {}
    /// Whether nobody wants more.
    fn is_closed(&self) -> bool;
}

/// A department's part of the company's calls: the first is the largest.
pub fn share(place: usize) -> f64 {
    1.0 / (1.0 + 0.6 * place as f64)
}

/// When a department is served: the third one day and night, so that some calls go over midnight.
pub fn opening(place: usize) -> Opening {
    if place == 2 { Opening::Always } else { Opening::Business }
}

/// How many calls each day has, and of each day how busy each hour of each department is.
#[derive(Debug)]
struct Demand {
    days: Vec<(Day, u64)>,
}

impl Demand {
    fn of(plan: &Plan) -> Self {
        let mut chance = Chance::new(plan.seed ^ DAYS_SALT);
        let mut date = plan.first_day;
        let mut days = Vec::with_capacity(plan.days as usize);
        let mut weights = Vec::with_capacity(plan.days as usize);
        for _ in 0..plan.days {
            let day = Day::of(plan.zone, date);
            weights.push(hours(plan, &day).iter().sum::<f64>() * calendar::noise(&mut chance));
            days.push(day);
            date = calendar::next(date);
        }
        let calls = calendar::divide(plan.calls, &weights);
        Self { days: days.into_iter().zip(calls).collect() }
    }
}

/// Sets the days' draws apart from all others.
const DAYS_SALT: u64 = 0x6461_7973;

/// How busy each hour of each department is: all hours of the first, then those of the next.
fn hours(plan: &Plan, day: &Day) -> Vec<f64> {
    let of_desk = |desk: &Desk| {
        let demand = calendar::demand(desk.opening, day.weekday());
        let sum: f64 = calendar::demand(desk.opening, calendar::ORDINARY).iter().sum();
        let share = desk.share / sum;
        (0..calendar::HOURS).map(|hour| if day.skips(hour) { 0.0 } else { demand[hour] * share }).collect::<Vec<_>>()
    };
    plan.desks.iter().flat_map(of_desk).collect()
}

/// How many agents each department needs for this many calls.
pub fn agents_needed(desks: &[Desk], calls: u64, first_day: NaiveDate, days: u32) -> Vec<usize> {
    let weekdays = (0..days.max(1)).scan(first_day, |date, _| {
        let today = *date;
        *date = calendar::next(today);
        Some(chrono::Datelike::weekday(&today))
    });
    let weekdays: Vec<_> = weekdays.collect();
    let busiest = |desk: &Desk| calendar::demand(desk.opening, calendar::ORDINARY).iter().sum::<f64>();
    let weight = |desk: &Desk| -> f64 {
        let of = |weekday| calendar::demand(desk.opening, weekday).iter().sum::<f64>();
        weekdays.iter().map(|weekday| of(*weekday)).sum::<f64>() * desk.share / busiest(desk)
    };
    let sum: f64 = desks.iter().map(weight).sum();
    desks
        .iter()
        .map(|desk| {
            // Of an hour that is as busy as the busiest of an ordinary day.
            let peak = if sum > 0.0 { calls as f64 * desk.share / busiest(desk) / sum } else { 0.0 };
            needed(desk.opening, peak, fate::handle_seconds(desk))
        })
        .collect()
}
