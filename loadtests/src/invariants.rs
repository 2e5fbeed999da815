//! What must never happen to a customer, judged from the [`crate::ledger`] after a run.
//!
//! *Lost*: an acknowledged join without an end that is not waiting any more. *Doubled*: a call accepted by two agents,
//! or an offer to an agent who holds a call (the tester's agents have capacity one). *Out of order*: a call offered
//! while an earlier one of its department, acknowledged and present, had had no offer yet.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use crate::client::http::{Rest, RestError};
use crate::ledger::{CallRecord, Ledger};

/// Two offers to two agents travel on two sockets, and this process reads one before the other. A passing is counted
/// between different agents only when it is older than this; between two offers to the same agent it is exact.
const RACE: Duration = Duration::from_millis(100);

/// Examples printed of each kind of failure; the counts are complete.
const EXAMPLES: usize = 5;

/// The judgement on a run.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Verdict {
    pub lost: u64,
    pub doubled: u64,
    pub out_of_order: u64,
    /// Acknowledged calls that still wait; not a failure.
    pub still_waiting: u64,
    /// Acknowledged calls that ended without having been served, such as customers who gave up.
    pub unserved: u64,
    /// A few failures in words.
    pub examples: Vec<String>,
}

impl Verdict {
    /// Whether nothing went wrong.
    #[must_use]
    pub fn holds(&self) -> bool {
        self.lost == 0 && self.doubled == 0 && self.out_of_order == 0
    }

    fn example(&mut self, text: String) {
        if self.examples.len() < EXAMPLES {
            self.examples.push(text);
        }
    }
}

/// Asks the server about every acknowledged call whose end nobody was told, then judges everything.
pub async fn judge(ledger: &Ledger, rest: &Rest) -> Verdict {
    let mut verdict = Verdict::default();
    for (call_id, record) in ledger.calls() {
        if !record.is_acknowledged() || record.is_ended() {
            continue;
        }
        match rest.status(&call_id).await {
            Ok(status) if matches!(status.status.as_str(), "queued" | "active") => verdict.still_waiting += 1,
            Ok(status) => ledger.ended(&call_id, &status.status),
            Err(RestError::Refused { status: 404, .. }) => {
                verdict.lost += 1;
                verdict.example(format!("lost: call {call_id} was acknowledged and is unknown now"));
            }
            Err(error) => {
                verdict.lost += 1;
                verdict.example(format!("lost: call {call_id} was acknowledged and its status is not told: {error}"));
            }
        }
    }
    let calls = ledger.calls();
    verdict.unserved = calls
        .iter()
        .filter(|(_, record)| record.outcome.as_deref().is_some_and(|status| status != "completed"))
        .count() as u64;
    count_doubled(&calls, ledger, &mut verdict);
    count_out_of_order(&calls, &mut verdict);
    verdict
}

fn count_doubled(calls: &[(String, CallRecord)], ledger: &Ledger, verdict: &mut Verdict) {
    for (call_id, record) in calls {
        let agents: BTreeSet<_> = record.accepts.iter().map(|accept| accept.agent).collect();
        if agents.len() > 1 && !record.may_return {
            verdict.doubled += 1;
            verdict.example(format!("doubled: call {call_id} was accepted by agents {agents:?}"));
        }
    }
    for overload in ledger.overloads() {
        verdict.doubled += 1;
        verdict.example(format!(
            "doubled: agent {} was offered call {} while holding {}",
            overload.agent, overload.offered_call_id, overload.held_call_id
        ));
    }
}

/// A call as the order check sees it.
struct InLine<'a> {
    call_id: &'a str,
    protocol: u64,
    record: &'a CallRecord,
    offered_at: Option<Instant>,
}

fn count_out_of_order(calls: &[(String, CallRecord)], verdict: &mut Verdict) {
    let mut departments: BTreeMap<Arc<str>, Vec<InLine<'_>>> = BTreeMap::new();
    for (call_id, record) in calls {
        if let (Some(department_id), Some(protocol)) = (&record.department_id, record.protocol) {
            let offered_at = record.first_offer.map(|offer| offer.at);
            let line = departments.entry(Arc::clone(department_id)).or_default();
            line.push(InLine { call_id, protocol, record, offered_at });
        }
    }
    for line in departments.values_mut() {
        line.sort_by_key(|call| call.protocol);
        // The earliest first offer among all calls behind each place: only a call that one of those beat is looked at closely.
        let mut earliest_behind = vec![None; line.len()];
        let mut earliest: Option<Instant> = None;
        for index in (0..line.len()).rev() {
            earliest_behind[index] = earliest;
            earliest = [earliest, line[index].offered_at].into_iter().flatten().min();
        }
        for (index, call) in line.iter().enumerate() {
            let suspect = match (earliest_behind[index], call.offered_at) {
                (Some(behind), Some(own)) => behind < own,
                (Some(_), None) => true,
                (None, _) => false,
            };
            if suspect && let Some(passer) = line[index + 1..].iter().find(|later| passed(call, later)) {
                verdict.out_of_order += 1;
                verdict.example(format!(
                    "out of order: call {} (number {}) was passed by {} (number {})",
                    call.call_id, call.protocol, passer.call_id, passer.protocol
                ));
            }
        }
    }
}

/// Whether `later` was offered while `earlier` was acknowledged, present, and had had no offer.
fn passed(earlier: &InLine<'_>, later: &InLine<'_>) -> bool {
    let (Some(join), Some(offer)) = (&earlier.record.join, later.record.first_offer) else { return false };
    let same_agent = earlier.record.first_offer.is_some_and(|own| own.agent == offer.agent);
    let race = if same_agent { Duration::ZERO } else { RACE };
    // Without an offer of his own, he was waiting until his end at the latest; its time is not known, so only calls
    // that still wait are judged by the run's end.
    let waiting_after = match earlier.offered_at {
        Some(own) => own > offer.at + race,
        None => !earlier.record.is_ended(),
    };
    join.acknowledged_at < offer.at && join.present_until.is_none_or(|until| offer.at < until) && waiting_after
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock;
    use crate::ledger::{Join, Seen};

    fn join(at: Instant) -> Join {
        Join {
            key: String::new(),
            websocket_token: String::new(),
            intended_at: at,
            sent_at: at,
            acknowledged_at: at,
            present_until: None,
            free_agent: false,
            measured: true,
        }
    }

    /// Two calls joined at 0, the first and second offered after so many milliseconds to these agents.
    fn line(offers: [Option<(u64, usize)>; 2]) -> (Ledger, Verdict) {
        let start = clock::now();
        let ledger = Ledger::default();
        let department: Arc<str> = Arc::from("d");
        for (index, offer) in offers.into_iter().enumerate() {
            let call_id = format!("call-{index}");
            ledger.join_acknowledged(&call_id, &department, Some(index as u64), join(start));
            if let Some((millis, agent)) = offer {
                ledger.offered(&call_id, None, Seen { agent, at: start + Duration::from_millis(millis) });
            }
        }
        let mut verdict = Verdict::default();
        count_out_of_order(&ledger.calls(), &mut verdict);
        (ledger, verdict)
    }

    #[test]
    fn order_kept_or_raced_between_agents_is_no_failure() {
        assert!(line([Some((1, 0)), Some((2, 0))]).1.holds());
        assert!(line([Some((20, 0)), Some((10, 1))]).1.holds());
        assert!(line([Some((1, 0)), None]).1.holds());
    }

    #[test]
    fn a_passing_is_found() {
        assert_eq!(line([Some((20, 0)), Some((10, 0))]).1.out_of_order, 1, "the same agent saw both");
        assert_eq!(line([Some((200, 0)), Some((10, 1))]).1.out_of_order, 1, "far beyond a race");
        assert_eq!(line([None, Some((10, 1))]).1.out_of_order, 1, "the first was never offered");
    }

    #[test]
    fn whoever_was_away_may_be_passed() {
        let (ledger, _) = line([Some((200, 0)), Some((10, 0))]);
        ledger.present_until("call-0", Some(clock::now() - Duration::from_secs(60)));
        let mut verdict = Verdict::default();
        count_out_of_order(&ledger.calls(), &mut verdict);
        assert!(verdict.holds());
    }

    #[test]
    fn two_agents_on_one_call_and_two_calls_on_one_agent_are_doubled() {
        let (ledger, _) = line([None, None]);
        let at = clock::now();
        for agent in 0..2 {
            ledger.accept_acknowledged("call-0", Seen { agent, at });
        }
        ledger.offered("call-1", None, Seen { agent: 0, at: at + Duration::from_millis(1) });
        let mut verdict = Verdict::default();
        count_doubled(&ledger.calls(), &ledger, &mut verdict);
        assert_eq!(verdict.doubled, 2);
    }

    #[test]
    fn a_call_taken_over_after_a_lost_agent_is_not_doubled() {
        let (ledger, _) = line([None, None]);
        ledger.accept_acknowledged("call-0", Seen { agent: 0, at: clock::now() });
        ledger.agent_lost(0);
        ledger.accept_acknowledged("call-0", Seen { agent: 1, at: clock::now() });
        let mut verdict = Verdict::default();
        count_doubled(&ledger.calls(), &ledger, &mut verdict);
        assert!(verdict.holds());
    }
}
