//! Holds a finished day against the rules of the order, from the record alone: who was offered when, who stood before
//! him then, and which reason the record gives for each who was passed.

use std::collections::{BTreeMap, HashMap};

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::Value;
use uuid::Uuid;

use crate::record::{CallRow, EventRow};

/// One priority step is worth so much of waiting (RULES.md, "Order").
const PRIORITY_STEP: TimeDelta = TimeDelta::seconds(60);
/// A refusal keeps the agent from that call for so long.
const EXCLUSION: TimeDelta = TimeDelta::seconds(30);

/// From when until when something was so. The ends belong to it only in doubt.
type Span = (DateTime<Utc>, DateTime<Utc>);

/// An offer as the record tells it, whatever came of it.
struct Offered<'a> {
    call: Uuid,
    user: Uuid,
    span: Span,
    passed: &'a Value,
}

/// What the record says of one call.
#[derive(Default)]
struct Story {
    /// When it stood in line.
    waiting: Vec<Span>,
    /// When it was before an agent.
    offered: Vec<Span>,
}

/// What was found.
#[derive(Debug, Default)]
pub struct Findings {
    pub problems: Vec<String>,
    /// How often each reason was given.
    pub reasons: BTreeMap<String, usize>,
    pub offers: usize,
}

/// Checks every offer of the day.
pub fn check(calls: &[CallRow], events: &[EventRow]) -> Findings {
    let rows: HashMap<Uuid, &CallRow> = calls.iter().map(|row| (row.id, row)).collect();
    let rank = |id: Uuid| {
        let row = rows[&id];
        (row.inserted_at - PRIORITY_STEP * i32::from(row.priority), row.number)
    };
    let offers = offers(events);
    let stories = stories(events, &offers);
    let mut findings = Findings { offers: offers.len(), ..Findings::default() };
    for offer in &offers {
        let at = offer.span.0;
        let (own_rank, department) = (rank(offer.call), rows[&offer.call].department_id);
        let listed = passed(offer.passed);
        for (id, reason) in &listed {
            *findings.reasons.entry(reason.clone()).or_default() += 1;
            if rank(*id) >= own_rank {
                findings.problems.push(format!("{id} was passed by {} which is not behind it", offer.call));
            }
            if !stories[id].waiting.iter().any(|span| within(at, *span)) {
                findings.problems.push(format!("{id} was passed at {at} and was not in line then"));
            }
            if reason == "excluded" && !refused_before(events, *id, offer.user, at) {
                findings.problems.push(format!("{id} was excluded for {} at {at} without a refusal", offer.user));
            }
        }
        for row in calls.iter().filter(|row| row.department_id == department && rank(row.id) < own_rank) {
            let story = &stories[&row.id];
            let stood = story.waiting.iter().any(|span| strictly_within(at, *span));
            let was_offered = story.offered.iter().any(|span| within(at, *span));
            if stood && !was_offered && !listed.contains_key(&row.id) {
                findings.problems.push(format!("{} was passed by {} at {at} without a reason", row.id, offer.call));
            }
        }
    }
    findings
}

/// No agent with two calls at once, no call with two agents at once.
pub fn check_no_doubles(events: &[EventRow]) -> Vec<String> {
    let mut problems = Vec::new();
    let mut agent_of: HashMap<Uuid, Uuid> = HashMap::new();
    let mut call_of: HashMap<Uuid, Uuid> = HashMap::new();
    for event in events {
        let Some(call) = event.call_id else { continue };
        match event.kind.as_str() {
            "call_assigned" => {
                let user = event.user_id.unwrap();
                if let Some(other) = agent_of.insert(call, user) {
                    problems.push(format!("{call} went to {user} while it was with {other}"));
                }
                if let Some(other) = call_of.insert(user, call) {
                    problems.push(format!("{user} got {call} while he had {other}"));
                }
            }
            "call_returned" | "call_ended" => {
                if let Some(user) = agent_of.remove(&call) {
                    call_of.remove(&user);
                }
            }
            _ => {}
        }
    }
    problems
}

fn offers(events: &[EventRow]) -> Vec<Offered<'_>> {
    events
        .iter()
        .filter_map(|event| {
            let data = event.data.as_ref()?;
            let from: DateTime<Utc> = data.get("offered_at")?.as_str()?.parse().unwrap();
            let passed = data.get("passed").unwrap_or(&Value::Null);
            Some(Offered { call: event.call_id?, user: event.user_id?, span: (from, event.at), passed })
        })
        .collect()
}

fn stories(events: &[EventRow], offers: &[Offered<'_>]) -> HashMap<Uuid, Story> {
    let mut stories: HashMap<Uuid, Story> = HashMap::new();
    let mut since: HashMap<Uuid, DateTime<Utc>> = HashMap::new();
    for event in events {
        let Some(call) = event.call_id else { continue };
        match event.kind.as_str() {
            "call_joined" | "call_returned" => {
                since.insert(call, event.at);
                stories.entry(call).or_default();
            }
            "call_assigned" | "call_ended" => {
                if let Some(from) = since.remove(&call) {
                    stories.entry(call).or_default().waiting.push((from, event.at));
                }
            }
            _ => {}
        }
    }
    for offer in offers {
        stories.entry(offer.call).or_default().offered.push(offer.span);
    }
    stories
}

fn passed(value: &Value) -> HashMap<Uuid, String> {
    let calls = value.get("calls").and_then(Value::as_array);
    calls
        .into_iter()
        .flatten()
        .map(|call| (call["call_id"].as_str().unwrap().parse().unwrap(), call["reason"].as_str().unwrap().to_owned()))
        .collect()
}

fn refused_before(events: &[EventRow], call: Uuid, user: Uuid, at: DateTime<Utc>) -> bool {
    events.iter().any(|event| {
        event.call_id == Some(call)
            && event.user_id == Some(user)
            && matches!(event.kind.as_str(), "offer_declined" | "offer_timed_out" | "call_returned")
            && event.at <= at
            && at - event.at <= EXCLUSION
    })
}

fn within(at: DateTime<Utc>, (from, until): Span) -> bool {
    from <= at && at <= until
}

fn strictly_within(at: DateTime<Utc>, (from, until): Span) -> bool {
    from < at && at < until
}
