//! Owns the clock of the generated history and a call's way through it: join, wait, end. What agents do is in `work`.

use std::cmp::Reverse;
use std::collections::{BTreeSet, BinaryHeap};

use super::chance::Chance;
use super::fate::{self, Patience, TalkEnd};
use super::people::{Customer, People, describe};
use super::staff::shifts;
use super::work::Agent;
use super::{Demand, Interval, Plan, Sink, hours};
use crate::domain::call::{EndReason, LastOffer, OfferOutcome, Phase, ranked_at};
use crate::domain::clock::Timestamp;
use crate::domain::ids::{CallId, GrantId, IdSource, LinkId};
use crate::domain::transfer::Transfer;
use crate::queue::wait::{Estimate, HandleTimes, estimate};
use crate::store::generated::{Contact, CustomerRow};

/// Calls by a personal link; the others come by the department's.
const PERSONAL_LINKS: f64 = 0.12;
/// Personal links that nobody ever uses, for each call.
const UNUSED_LINKS: f64 = 0.02;
/// Calls of a priority above the usual one.
const URGENT: f64 = 0.03;
/// Calls that say why.
const REASONED: f64 = 0.45;
const DAY_SECONDS: f64 = 86_400.0;

/// A call that has not ended.
#[derive(Debug)]
pub(super) struct Call {
    pub id: CallId,
    pub number: i64,
    pub desk: usize,
    pub link: Option<LinkId>,
    /// Since when a personal link had been there.
    pub personal_since: Option<Timestamp>,
    pub customer: Customer,
    pub reason: Option<&'static str>,
    pub priority: u8,
    pub joined_at: Timestamp,
    pub ranked_at: Timestamp,
    pub phase: Phase,
    /// By place in the plan.
    pub agent: Option<usize>,
    pub grant: Option<GrantId>,
    pub offered_at: Timestamp,
    pub assigned_at: Option<Timestamp>,
    pub accepted_at: Option<Timestamp>,
    pub started_at: Option<Timestamp>,
    pub last_offer: Option<LastOffer>,
    pub transfer: Option<Box<Transfer>>,
    pub present: bool,
    pub ghost: bool,
    /// Its longest wait was over while an offer was out.
    pub overdue: bool,
    /// Who refused it, until when he is not asked again.
    pub excluded: Vec<(usize, Timestamp)>,
    pub version: i64,
    /// Of the department that it came to last.
    pub service_level_seconds: u32,
    /// What was told at the join.
    pub estimate: Estimate,
    /// What was planned for it in line, and in its present step, holds only while these are the same.
    pub in_line: u64,
    pub step: u64,
}

/// What happens to whom.
#[derive(Clone, Copy, Debug)]
pub(super) enum What {
    GoesAway { call: usize, token: u64 },
    GivesUp { call: usize, token: u64, reason: EndReason },
    Answers { call: usize, token: u64, outcome: OfferOutcome },
    AskAgain { call: usize, token: u64 },
    Starts { call: usize, token: u64 },
    Leaves { call: usize, token: u64 },
    TalkEnds { call: usize, token: u64, end: TalkEnd },
    ShiftStarts { agent: usize },
    ShiftEnds { agent: usize },
    PauseDue { agent: usize, seconds: u64, reason: &'static str },
    PauseOver { agent: usize, token: u64 },
    WrapUpOver { agent: usize, token: u64 },
    Rated { call: CallId, desk: usize, agent: Option<usize>, stars: i16, verified: bool },
}

#[derive(Debug)]
struct Scheduled {
    at: Timestamp,
    /// Breaks ties, so that the order is the same every time.
    order: u64,
    what: What,
}

impl PartialEq for Scheduled {
    fn eq(&self, other: &Self) -> bool {
        self.order == other.order
    }
}
impl Eq for Scheduled {}
impl PartialOrd for Scheduled {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}
impl Ord for Scheduled {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (self.at, self.order).cmp(&(other.at, other.order))
    }
}

/// The company while its history runs.
pub(super) struct Simulation<'a, S> {
    pub plan: &'a Plan,
    pub ids: &'a IdSource,
    pub chance: Chance,
    pub sink: &'a mut S,
    pub now: Timestamp,
    /// Open calls by place; places of ended ones are used again.
    pub calls: Vec<Call>,
    unused: Vec<usize>,
    /// Who waits and may be offered, by department: rank, number, place.
    pub lines: Vec<BTreeSet<(Timestamp, i64, usize)>>,
    /// Who is free, by department: since when, place.
    pub idle: Vec<BTreeSet<(Timestamp, usize)>>,
    pub agents: Vec<Agent>,
    /// How many are on duty and not away, by department.
    pub serving: Vec<u32>,
    /// How long calls took lately, by department.
    pub handle_times: Vec<HandleTimes>,
    people: People,
    next_number: i64,
    events: BinaryHeap<Reverse<Scheduled>>,
    order: u64,
    /// Texts on their way into a row.
    pub contact: Contact,
    pub token: String,
    pub json: String,
}

/// Runs the whole history through `sink`.
pub fn run<S: Sink>(plan: &Plan, ids: &IdSource, sink: &mut S) {
    let mut simulation = Simulation::new(plan, ids, sink);
    let demand = Demand::of(plan);
    let mut arrivals: Vec<(Timestamp, usize)> = Vec::new();
    for (index, (day, count)) in demand.days.iter().enumerate() {
        for shift in shifts(&plan.desks, &plan.workers, index, day) {
            let agent = shift.worker;
            simulation.at(shift.from, What::ShiftStarts { agent });
            for pause in shift.pauses {
                simulation.at(pause.at, What::PauseDue { agent, seconds: pause.seconds, reason: pause.reason });
            }
            simulation.at(shift.until, What::ShiftEnds { agent });
        }
        // Where the day's hours end on a scale on which any number from 0 to 1 is a call.
        let busyness = hours(plan, day);
        let sum: f64 = busyness.iter().sum();
        let mut so_far = 0.0;
        let scale: Vec<f64> = busyness
            .iter()
            .map(|part| {
                so_far += part / sum;
                so_far
            })
            .collect();
        arrivals.clear();
        for _ in 0..*count {
            let drawn = simulation.chance.unit() * so_far;
            let place = scale.partition_point(|end| *end <= drawn).min(scale.len().saturating_sub(1));
            let (desk, hour) = (place / super::calendar::HOURS, place % super::calendar::HOURS);
            arrivals.push((day.within(hour, simulation.chance.unit()), desk));
        }
        arrivals.sort_unstable();
        for (at, desk) in &arrivals {
            simulation.until(*at);
            simulation.now = *at;
            simulation.join(*desk);
            if simulation.sink.is_closed() {
                return;
            }
        }
        simulation.until(day.end());
    }
    simulation.until(Timestamp::from_micros(i64::MAX));
}

impl<'a, S: Sink> Simulation<'a, S> {
    fn new(plan: &'a Plan, ids: &'a IdSource, sink: &'a mut S) -> Self {
        Self {
            plan,
            ids,
            chance: Chance::new(plan.seed),
            sink,
            now: Timestamp::default(),
            calls: Vec::new(),
            unused: Vec::new(),
            lines: vec![BTreeSet::new(); plan.desks.len()],
            idle: vec![BTreeSet::new(); plan.desks.len()],
            agents: vec![Agent::default(); plan.workers.len()],
            serving: vec![0; plan.desks.len()],
            handle_times: vec![HandleTimes::default(); plan.desks.len()],
            people: People::new(plan.first_number.unsigned_abs()),
            next_number: plan.first_number,
            events: BinaryHeap::new(),
            order: 0,
            contact: Contact::default(),
            token: String::new(),
            json: String::new(),
        }
    }

    /// Does what is due until then.
    fn until(&mut self, end: Timestamp) {
        while self.events.peek().is_some_and(|next| next.0.at <= end) {
            let Some(Reverse(next)) = self.events.pop() else { break };
            self.now = next.at;
            self.happen(next.what);
        }
    }

    pub(super) fn at(&mut self, at: Timestamp, what: What) {
        self.order += 1;
        self.events.push(Reverse(Scheduled { at, order: self.order, what }));
    }

    /// Plans something so many seconds from now.
    pub(super) fn after(&mut self, seconds: f64, what: What) {
        let at = Timestamp::from_micros(self.now.micros() + (seconds * 1e6) as i64);
        self.at(at, what);
    }

    /// A number that was never given before.
    pub(super) fn fresh(&mut self) -> u64 {
        self.order += 1;
        self.order
    }

    fn happen(&mut self, what: What) {
        match what {
            What::GoesAway { call, token } if self.calls[call].in_line == token => self.goes_away(call),
            What::GivesUp { call, token, reason } if self.calls[call].in_line == token => self.gives_up(call, reason),
            What::Answers { call, token, outcome } if self.calls[call].step == token => self.answered(call, outcome),
            What::AskAgain { call, token } if self.calls[call].in_line == token => self.seek_agent(call),
            What::Starts { call, token } if self.calls[call].step == token => self.starts(call),
            What::Leaves { call, token } if self.calls[call].step == token => self.end(call, EndReason::Left),
            What::TalkEnds { call, token, end } if self.calls[call].step == token => match end {
                TalkEnd::Ends(reason) => self.end(call, reason),
                TalkEnd::Transferred => self.transfer(call),
            },
            What::ShiftStarts { agent } => self.shift_starts(agent),
            What::ShiftEnds { agent } => self.shift_ends(agent),
            What::PauseDue { agent, seconds, reason } => self.pause_due(agent, seconds, reason),
            What::PauseOver { agent, token } | What::WrapUpOver { agent, token }
                if self.agents[agent].token == token =>
            {
                self.free(agent);
            }
            What::Rated { call, desk, agent, stars, verified } => self.fact_rated(call, desk, agent, stars, verified),
            // It was planned for something that came otherwise.
            _ => {}
        }
    }

    fn join(&mut self, desk: usize) {
        let now = self.now;
        let (customer, new) = self.people.caller(&mut self.chance, self.ids, now);
        if new {
            describe(customer, &mut self.contact);
            self.sink.customer(&CustomerRow { id: customer.id, contact: &self.contact, at: now });
        }
        let mut personal_since = None;
        let mut link = self.plan.desks[desk].link;
        if self.chance.happens(PERSONAL_LINKS) {
            let since = now - std::time::Duration::from_secs_f64(self.chance.between(0.04, 6.0) * DAY_SECONDS);
            personal_since = Some(since);
            link = Some(self.ids.next(since));
        }
        if self.chance.happens(UNUSED_LINKS) {
            let cancelled = self.chance.happens(0.3);
            let id = self.ids.next(now);
            describe(customer, &mut self.contact);
            self.write_link(id, desk, customer, now, None, cancelled.then(|| now.plus_seconds(3_600)));
        }
        let priority = if self.chance.happens(URGENT) { 1 + self.chance.below(5) as u8 } else { 0 };
        let reason = if self.chance.happens(REASONED) { self.chance.pick(&fate::REASONS) } else { None };
        let patience = Patience::of_join(&mut self.chance, &self.plan.desks[desk], personal_since.is_some());
        let call = Call {
            id: self.ids.next(now),
            number: self.next_number,
            desk,
            link,
            personal_since,
            customer,
            reason,
            priority,
            joined_at: now,
            ranked_at: ranked_at(now, None, priority),
            phase: Phase::Waiting,
            agent: None,
            grant: None,
            offered_at: now,
            assigned_at: None,
            accepted_at: None,
            started_at: None,
            last_offer: None,
            transfer: None,
            present: true,
            ghost: patience.is_ghost(),
            overdue: false,
            excluded: Vec::new(),
            version: 1,
            service_level_seconds: self.plan.desks[desk].service_level_seconds,
            estimate: self.estimate(desk),
            in_line: 0,
            step: 0,
        };
        self.next_number += 1;
        let place = match self.unused.pop() {
            Some(place) => {
                self.calls[place] = call;
                place
            }
            None => {
                self.calls.push(call);
                self.calls.len() - 1
            }
        };
        self.fact_joined(place);
        self.wait(place, patience);
    }

    /// The wait that the next call of a department is told, by the real rule.
    fn estimate(&self, desk: usize) -> Estimate {
        let line = &self.lines[desk];
        let position = u32::try_from(line.len()).unwrap_or(u32::MAX).saturating_add(1);
        let available = u32::try_from(self.idle[desk].len()).unwrap_or(u32::MAX);
        let head = line.first().map(|(_, _, place)| self.now.since(self.calls[*place].joined_at).as_secs());
        estimate(position, available, self.serving[desk], self.handle_times[desk].mean_seconds(), head)
    }

    /// Puts a call in line, with what its customer will do about it.
    pub(super) fn wait(&mut self, place: usize, patience: Patience) {
        let token = self.fresh();
        let call = &mut self.calls[place];
        call.in_line = token;
        let desk = call.desk;
        if let Some(away) = patience.away_after {
            self.after(away, What::GoesAway { call: place, token });
        }
        self.after(patience.ends_after, What::GivesUp { call: place, token, reason: patience.reason });
        if let Some(most) = self.plan.desks[desk].max_wait_seconds {
            self.after(f64::from(most), What::GivesUp { call: place, token, reason: EndReason::TimedOut });
        }
        self.stand_in_line(place);
    }

    /// The device is gone: the place stays for a while, offers do not.
    fn goes_away(&mut self, place: usize) {
        self.calls[place].present = false;
        match self.calls[place].phase {
            Phase::Offered => self.offer_over(place, OfferOutcome::CustomerLeft),
            _ => self.leave_line(place),
        }
    }

    fn gives_up(&mut self, place: usize, reason: EndReason) {
        if self.calls[place].phase == Phase::Offered && reason == EndReason::TimedOut {
            // Not while an offer is out.
            self.calls[place].overdue = true;
            return;
        }
        self.end(place, reason);
    }

    /// Ends a call for good and writes its rows.
    pub(super) fn end(&mut self, place: usize, reason: EndReason) {
        let now = self.now;
        if self.calls[place].phase == Phase::Offered {
            let left = matches!(reason, EndReason::Left | EndReason::Abandoned | EndReason::NeverConnected);
            self.offer_over(place, if left { OfferOutcome::CustomerLeft } else { OfferOutcome::Withdrawn });
        }
        self.leave_line(place);
        let desk = &self.plan.desks[self.calls[place].desk];
        let wrap_up_seconds = u64::from(desk.wrap_up_seconds);
        let talked = self.calls[place].phase == Phase::Active && reason != EndReason::AgentLost;
        let wrap_up_ends_at = (talked && wrap_up_seconds > 0).then(|| now.plus_seconds(wrap_up_seconds));
        let busy = self.calls[place].agent;
        self.calls[place].version += 1;
        if talked && let Some(started) = self.calls[place].started_at {
            let seconds = now.seconds_since(started) as f64 + wrap_up_seconds as f64;
            self.handle_times[self.calls[place].desk].note(seconds);
        }
        self.fact_ended(place, reason);
        self.write(place, reason, wrap_up_ends_at);
        let call = &mut self.calls[place];
        let (id, phase) = (call.id, call.phase);
        (call.phase, call.agent, call.in_line, call.step) = (Phase::Ended, None, 0, 0);
        self.unused.push(place);
        if let Some(agent) = busy {
            self.after_call(agent, id, reason, wrap_up_ends_at.filter(|_| phase == Phase::Active));
        }
    }

    /// Tells of an agent's time.
    pub(super) fn spent(&mut self, interval: &Interval) {
        if interval.until > interval.from {
            self.sink.did(interval);
        }
    }
}
