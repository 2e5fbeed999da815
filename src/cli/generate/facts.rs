//! Owns the facts of a generated history, in the words of the real ones (`queue`, `roster`): ids, times and reasons only.

use std::fmt::Write as _;

use serde_json::json;

use super::simulation::Simulation;
use super::{Doing, Sink};
use crate::domain::call::{EndReason, OfferOutcome, Phase, status};
use crate::domain::ids::{CallId, GrantId, UserId};
use crate::store::generated::FactRow;

impl<S: Sink> Simulation<'_, S> {
    /// Tells a fact of a call whose data was written to `json` before, if there is any.
    fn tell(&mut self, kind: &'static str, place: usize, user_id: Option<UserId>, with_data: bool) {
        let call = &self.calls[place];
        self.sink.fact(&FactRow {
            kind,
            at: self.now,
            call_id: Some(call.id),
            department_id: Some(self.plan.desks[call.desk].department),
            user_id,
            data: with_data.then_some(&self.json),
        });
    }

    /// Writes the data of the next fact; writing to a text cannot fail.
    fn data(&mut self, data: std::fmt::Arguments<'_>) {
        self.json.clear();
        let _ = self.json.write_fmt(data);
    }

    pub(super) fn fact_joined(&mut self, place: usize) {
        if !self.plan.facts {
            return;
        }
        let call = &self.calls[place];
        let data = json!({
            "priority": call.priority, "link_id": call.link,
            "service_level_seconds": self.plan.desks[call.desk].service_level_seconds,
            "estimated_wait_seconds": call.estimate.p50_seconds,
            "estimated_wait_p90_seconds": call.estimate.p90_seconds,
        });
        self.data(format_args!("{data}"));
        self.tell("call_joined", place, None, true);
    }

    pub(super) fn fact_assigned(&mut self, place: usize) {
        let call = &self.calls[place];
        let (Some(grant), Some(agent), true) = (call.grant, call.agent, self.plan.facts) else { return };
        let offered_at = micros(call.offered_at);
        self.data(format_args!(r#"{{"offer_id":"{grant}","offered_at":"{offered_at}","passed":null}}"#));
        let user = self.plan.workers[agent].user;
        self.tell("call_assigned", place, Some(user), true);
    }

    pub(super) fn fact_offer_over(&mut self, place: usize, agent: usize, grant: GrantId, outcome: OfferOutcome) {
        if !self.plan.facts {
            return;
        }
        let kind = match outcome {
            OfferOutcome::Declined => "offer_declined",
            OfferOutcome::TimedOut => "offer_timed_out",
            _ => "offer_withdrawn",
        };
        let (offered_at, outcome) = (micros(self.calls[place].offered_at), outcome.as_str());
        self.data(format_args!(
            r#"{{"offer_id":"{grant}","offered_at":"{offered_at}","outcome":"{outcome}","reason":null,"passed":null}}"#
        ));
        let user = self.plan.workers[agent].user;
        self.tell(kind, place, Some(user), true);
    }

    pub(super) fn fact_started(&mut self, place: usize, first: bool) {
        if self.plan.facts {
            let user = self.calls[place].agent.map(|agent| self.plan.workers[agent].user);
            self.tell(if first { "call_started" } else { "call_resumed" }, place, user, false);
        }
    }

    pub(super) fn fact_transferred(&mut self, place: usize, agent: usize, to: usize) {
        if !self.plan.facts {
            return;
        }
        let (to, by) = (self.plan.desks[to].department, self.plan.workers[agent].user);
        let call = &self.calls[place];
        let since = call.started_at.max(call.assigned_at).unwrap_or(self.now);
        let talk = self.now.seconds_since(since);
        self.data(format_args!(
            r#"{{"to_department_id":"{to}","to_user_id":null,"transferred_by":"{by}","talk_seconds":{talk}}}"#
        ));
        self.tell("call_transferred", place, Some(by), true);
    }

    pub(super) fn fact_ended(&mut self, place: usize, reason: EndReason) {
        if !self.plan.facts {
            return;
        }
        let agent = self.calls[place].agent.map(|agent| self.plan.workers[agent].user);
        let word = reason.as_str();
        let status = status(Phase::Ended, Some(reason), self.calls[place].started_at.is_some()).as_str();
        // Who ended it; whoever acted on what was not his is named in the data, too.
        let by = match reason {
            EndReason::Completed => agent,
            EndReason::Withdrawn => self.plan.supervisor,
            _ => None,
        };
        match by.filter(|by| agent != Some(*by)) {
            Some(by) => self.data(format_args!(r#"{{"end_reason":"{word}","status":"{status}","by":"{by}"}}"#)),
            None => self.data(format_args!(r#"{{"end_reason":"{word}","status":"{status}"}}"#)),
        }
        self.tell("call_ended", place, by, true);
    }

    pub(super) fn fact_rated(&mut self, call: CallId, desk: usize, agent: Option<usize>, stars: i16, verified: bool) {
        if !self.plan.facts {
            return;
        }
        self.data(format_args!(r#"{{"rating":{stars},"verified":{verified}}}"#));
        self.sink.fact(&FactRow {
            kind: "call_rated",
            at: self.now,
            call_id: Some(call),
            department_id: Some(self.plan.desks[desk].department),
            user_id: agent.map(|agent| self.plan.workers[agent].user),
            data: Some(&self.json),
        });
    }

    /// Tells what an agent chose, where that changed: on duty, in a pause, gone.
    pub(super) fn fact_turned(&mut self, agent: usize, was: Option<Doing>, doing: Option<Doing>) {
        let status = |doing: Option<Doing>| match doing {
            None => "offline",
            Some(Doing::Paused(_)) => "paused",
            // A lost connection is nobody's choice.
            Some(_) => "available",
        };
        let now = status(doing);
        if !self.plan.facts || status(was) == now {
            return;
        }
        let reason_given = now == "paused";
        self.data(format_args!(r#"{{"status":"{now}","reason_given":{reason_given},"after_call":false,"by":null}}"#));
        self.sink.fact(&FactRow {
            kind: "agent_status_changed",
            at: self.now,
            call_id: None,
            department_id: None,
            user_id: Some(self.plan.workers[agent].user),
            data: Some(&self.json),
        });
    }
}

fn micros(at: crate::domain::clock::Timestamp) -> String {
    at.to_utc().to_rfc3339_opts(chrono::SecondsFormat::Micros, true)
}
