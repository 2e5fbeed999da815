//! A generated history keeps the promises a real one keeps.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use std::collections::{BTreeMap, HashMap};

use super::calendar::Opening;
use super::*;
use crate::domain::call::{EndReason, OfferOutcome, Phase, Status, status};
use crate::domain::ids::{CustomerId, IdSource};

/// What a test looks at of a call.
#[derive(Clone, Debug, PartialEq)]
struct Seen {
    id: CallId,
    number: i64,
    department: DepartmentId,
    customer: CustomerId,
    name: String,
    status: Status,
    end_reason: EndReason,
    user: Option<UserId>,
    joined: Timestamp,
    accepted: Option<Timestamp>,
    assigned: Option<Timestamp>,
    started: Option<Timestamp>,
    ended: Timestamp,
    wrap_up_ends: Option<Timestamp>,
    transferred: bool,
    connected: bool,
    outcome: Option<OfferOutcome>,
    stars: Option<i16>,
}

#[derive(Default)]
struct Collected {
    calls: Vec<Seen>,
    customers: Vec<CustomerId>,
    links: usize,
    facts: Vec<(&'static str, Timestamp, Option<CallId>, String)>,
    intervals: Vec<Interval>,
    statuses: Vec<IntervalRow>,
}

impl Sink for Collected {
    fn call(&mut self, call: &CallRow<'_>) {
        self.calls.push(Seen {
            id: call.id,
            number: call.number,
            department: call.department_id,
            customer: call.customer_id,
            name: call.customer.name.clone(),
            status: status(Phase::Ended, Some(call.end_reason), call.started_at.is_some()),
            end_reason: call.end_reason,
            user: call.user_id,
            joined: call.joined_at,
            accepted: call.accepted_at,
            assigned: call.assigned_at,
            started: call.started_at,
            ended: call.ended_at,
            wrap_up_ends: call.wrap_up_ends_at,
            transferred: call.transfer.is_some(),
            connected: call.connected,
            outcome: call.last_offer.map(|offer| offer.outcome),
            stars: call.rating.map(|rating| rating.stars),
        });
    }
    fn customer(&mut self, customer: &CustomerRow<'_>) {
        self.customers.push(customer.id);
    }
    fn link(&mut self, _: &LinkRow<'_>) {
        self.links += 1;
    }
    fn fact(&mut self, fact: &FactRow<'_>) {
        self.facts.push((fact.kind, fact.at, fact.call_id, fact.data.unwrap_or_default().to_owned()));
    }
    fn interval(&mut self, interval: &IntervalRow) {
        self.statuses.push(*interval);
    }
    fn did(&mut self, interval: &Interval) {
        self.intervals.push(*interval);
    }
    fn is_closed(&self) -> bool {
        false
    }
}

fn plan(calls: u64, days: u32, seed: u64) -> Plan {
    let ids = IdSource::seeded(99);
    let at = Timestamp::from_micros(1_700_000_000_000_000);
    let desk = |place: usize| Desk {
        department: ids.next(at),
        opening: opening(place),
        share: share(place),
        link: Some(ids.next(at)),
        max_wait_seconds: (place == 0).then_some(900),
        offer_timeout_seconds: 20,
        wrap_up_seconds: 15,
        grace_seconds: 60,
        service_level_seconds: 20,
    };
    let desks: Vec<Desk> = (0..4).map(desk).collect();
    let first_day = NaiveDate::from_ymd_opt(2026, 10, 1).unwrap();
    let needed = agents_needed(&desks, calls, first_day, days);
    let mut workers = Vec::new();
    for (place, count) in needed.iter().enumerate() {
        for index in 0..*count {
            let mut serves = vec![place];
            if index % 4 == 3 {
                serves.push((place + 1) % desks.len());
            }
            workers.push(Worker { user: ids.next(at), desks: serves });
        }
    }
    Plan {
        zone: chrono_tz::Europe::Berlin,
        first_day,
        days,
        calls,
        first_number: 1,
        desks,
        workers,
        supervisor: Some(ids.next(at)),
        seed,
        facts: true,
    }
}

fn history(plan: &Plan) -> Collected {
    let mut collected = Collected::default();
    run(plan, &IdSource::seeded(plan.seed), &mut collected);
    collected
}

#[test]
fn the_same_seed_makes_the_same_history_and_another_seed_another() {
    let (first, again, other) = (history(&plan(3_000, 7, 1)), history(&plan(3_000, 7, 1)), history(&plan(3_000, 7, 2)));
    assert_eq!(first.calls, again.calls);
    assert_eq!(first.facts, again.facts);
    assert_eq!(first.intervals, again.intervals);
    assert_ne!(first.calls, other.calls);
    for history in [&first, &other] {
        assert_eq!(history.calls.len(), 3_000, "as many calls as asked for");
    }
}

#[test]
fn nobody_is_in_two_places_at_once() {
    let history = history(&plan(20_000, 10, 3));
    let mut by_user: HashMap<UserId, Vec<&Interval>> = HashMap::new();
    for interval in &history.intervals {
        assert!(interval.from < interval.until);
        by_user.entry(interval.user).or_default().push(interval);
    }
    for intervals in by_user.values() {
        for pair in intervals.windows(2) {
            assert!(pair[0].until <= pair[1].from, "{pair:?}");
        }
    }
    // What agents chose covers what they did, and the same holds for it.
    let mut by_user: HashMap<UserId, Vec<&IntervalRow>> = HashMap::new();
    for status in &history.statuses {
        assert!(status.from < status.until);
        by_user.entry(status.user_id).or_default().push(status);
    }
    for statuses in by_user.values() {
        assert!(statuses.windows(2).all(|pair| pair[0].until <= pair[1].from));
    }
    let seconds = |from: Timestamp, until: Timestamp| until.since(from).as_secs_f64();
    let did: f64 = history.intervals.iter().map(|one| seconds(one.from, one.until)).sum();
    let chose: f64 = history.statuses.iter().map(|one| seconds(one.from, one.until)).sum();
    assert!((did - chose).abs() < 1.0, "{did} s done, {chose} s chosen");
    // The same by the calls' own rows: from acceptance to end, calls of one agent follow each other. An agent's part of a
    // call that went on to somebody else is told by the intervals alone.
    let mut talks: HashMap<UserId, Vec<(Timestamp, Timestamp)>> = HashMap::new();
    for call in &history.calls {
        if let (Some(user), Some(assigned)) = (call.user, call.assigned) {
            talks.entry(user).or_default().push((assigned, call.wrap_up_ends.unwrap_or(call.ended)));
        }
    }
    for talks in talks.values_mut() {
        talks.sort_unstable();
        for pair in talks.windows(2) {
            assert!(pair[0].1 <= pair[1].0, "{pair:?}");
        }
    }
}

#[test]
fn rows_are_such_as_the_record_leaves() {
    let history = history(&plan(20_000, 14, 4));
    let mut ends: BTreeMap<&str, usize> = BTreeMap::new();
    let mut numbers: Vec<i64> = history.calls.iter().map(|call| call.number).collect();
    numbers.sort_unstable();
    assert!(numbers.iter().copied().eq(1..=20_000), "every number once");
    for call in &history.calls {
        *ends.entry(call.end_reason.as_str()).or_default() += 1;
        assert!(call.joined <= call.ended);
        assert!(call.accepted.is_none_or(|at| at >= call.joined && at <= call.ended));
        assert!(call.started.is_none_or(|at| call.accepted.is_some_and(|accepted| accepted <= at) && at <= call.ended));
        assert_eq!(call.user.is_some(), call.assigned.is_some(), "{call:?}");
        assert_eq!(call.connected, call.end_reason != EndReason::NeverConnected);
        match call.end_reason {
            EndReason::Completed => {
                assert!(call.started.is_some() && call.user.is_some() && call.wrap_up_ends.is_some());
                assert_eq!(call.outcome, Some(OfferOutcome::Accepted));
            }
            EndReason::NeverConnected | EndReason::Withdrawn | EndReason::LinkCancelled | EndReason::TimedOut => {
                assert!(call.user.is_none() && (call.started.is_none() || call.transferred), "{call:?}");
            }
            _ => {}
        }
        assert!(call.stars.is_none() || call.status == Status::Completed);
        assert!(call.wrap_up_ends.is_none_or(|until| until.seconds_since(call.ended) == 15));
    }
    for reason in ["completed", "left", "abandoned", "never_connected", "withdrawn", "customer_lost", "agent_lost"] {
        assert!(ends.contains_key(reason), "{reason} is missing among {ends:?}");
    }
    assert!(history.links > 2_000 && history.customers.len() > 5_000 && history.customers.len() < 7_000);
    assert!(history.calls.iter().any(|call| call.transferred));
}

#[test]
fn waits_abandonments_and_occupancy_are_plausible_at_any_size() {
    for (calls, days) in [(2_000, 14), (30_000, 14), (60_000, 7)] {
        let plan = plan(calls, days, 5);
        let history = history(&plan);
        let missed = history.calls.iter().filter(|call| call.status == Status::Missed).count() as f64 / calls as f64;
        assert!((0.01..0.20).contains(&missed), "{calls} calls: {missed} missed");
        let mut waits: Vec<i64> =
            history.calls.iter().filter_map(|call| Some(call.accepted?.seconds_since(call.joined))).collect();
        waits.sort_unstable();
        let (median, p95) = (waits[waits.len() / 2], waits[waits.len() * 95 / 100]);
        assert!(median < 60 && p95 > 8 && p95 < 600, "{calls} calls: median {median} s, p95 {p95} s");
        let spent = |doing: fn(Doing) -> bool| -> f64 {
            let those = history.intervals.iter().filter(|interval| doing(interval.doing));
            those.map(|interval| interval.until.since(interval.from).as_secs_f64()).sum()
        };
        let busy = spent(|doing| matches!(doing, Doing::InCall(_) | Doing::WrapUp(_)));
        let occupancy = busy / (busy + spent(|doing| doing == Doing::Available));
        // A few calls a day keep nobody busy, whatever one does.
        let least = if calls < 10_000 { 0.05 } else { 0.5 };
        assert!((least..0.92).contains(&occupancy), "{calls} calls: occupancy {occupancy}");
    }
}

#[test]
fn calls_come_when_departments_are_served_and_some_go_over_midnight() {
    let plan = plan(20_000, 30, 6);
    let history = history(&plan);
    let always = plan.desks.iter().find(|desk| desk.opening == Opening::Always).unwrap().department;
    let local = |at: Timestamp| at.to_utc().with_timezone(&plan.zone);
    for call in history.calls.iter().filter(|call| !call.transferred && call.department != always) {
        let hour = chrono::Timelike::hour(&local(call.joined));
        assert!((8..20).contains(&hour), "{hour}");
    }
    assert!(history.calls.iter().any(|call| local(call.joined).date_naive() != local(call.ended).date_naive()));
    // The clocks go back on 25 October: the hour that comes twice has its calls.
    let first = plan.first_day;
    assert!(history.calls.iter().all(|call| local(call.joined).date_naive() >= first));
}

#[test]
fn facts_come_in_order_and_tell_of_every_call() {
    let history = history(&plan(3_000, 7, 8));
    assert!(history.facts.is_sorted_by_key(|(_, at, ..)| *at));
    let count = |kind| history.facts.iter().filter(|(this, ..)| *this == kind).count();
    assert_eq!((count("call_joined"), count("call_ended")), (3_000, 3_000));
    let rated = history.calls.iter().filter(|call| call.stars.is_some()).count();
    assert_eq!(count("call_rated"), rated);
    let started = history.calls.iter().filter(|call| call.started.is_some()).count();
    assert_eq!(count("call_started"), started);
    for (kind, _, _, data) in &history.facts {
        assert!(data.is_empty() || serde_json::from_str::<serde_json::Value>(data).is_ok(), "{kind}: {data}");
    }
}
