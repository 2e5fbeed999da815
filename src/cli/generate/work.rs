//! Owns what agents do: shifts, offers, talks, wrap-ups, transfers. Free agents take whoever has waited longest among their
//! departments; calls go to whoever is free longest.

use super::fate::{self, Patience};
use super::simulation::{Simulation, What};
use super::{Doing, Interval, Sink};
use crate::domain::call::{EndReason, LastOffer, OfferOutcome, Phase};
use crate::domain::clock::Timestamp;
use crate::domain::ids::CallId;
use crate::domain::rules::Rules;
use crate::domain::transfer::Transfer;
use crate::store::generated::IntervalRow;

/// An agent now.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Agent {
    /// None: off duty.
    pub doing: Option<Doing>,
    /// An offer is out to him; he still counts as available.
    ringing: bool,
    since: Timestamp,
    /// Since when his status is what it is: being in a call is still being available.
    chosen_since: Timestamp,
    /// Since when he waits for a call: an offer that was refused begins it anew.
    idle_since: Option<Timestamp>,
    /// What comes after the call.
    next: Option<Next>,
    /// The pause or wrap-up that was planned to end holds only while this is the same.
    pub token: u64,
}

#[derive(Clone, Copy, Debug)]
enum Next {
    Pause { seconds: u64, reason: &'static str },
    Home,
}

/// Whether no call comes to him, whatever he finishes.
fn is_away(doing: Doing) -> bool {
    matches!(doing, Doing::Paused(_) | Doing::Disconnected)
}

/// The status that the record measures; none while off duty.
fn chosen(doing: Option<Doing>) -> Option<(&'static str, Option<&'static str>)> {
    Some(match doing? {
        Doing::Paused(reason) => ("paused", Some(reason)),
        Doing::Disconnected => ("disconnected", None),
        Doing::Available | Doing::InCall(_) | Doing::WrapUp(_) => ("available", None),
    })
}

impl<S: Sink> Simulation<'_, S> {
    /// Makes a call one that may be offered, if its customer is there.
    pub(super) fn stand_in_line(&mut self, place: usize) {
        let call = &mut self.calls[place];
        call.phase = Phase::Waiting;
        if call.present {
            let (desk, key) = (call.desk, (call.ranked_at, call.number, place));
            self.lines[desk].insert(key);
            self.seek_agent(place);
        }
    }

    pub(super) fn leave_line(&mut self, place: usize) {
        let call = &self.calls[place];
        let (desk, key) = (call.desk, (call.ranked_at, call.number, place));
        self.lines[desk].remove(&key);
    }

    /// Offers a waiting call to whoever is free longest.
    pub(super) fn seek_agent(&mut self, place: usize) {
        let call = &self.calls[place];
        if call.phase != Phase::Waiting || !call.present {
            return;
        }
        let found = self.idle[call.desk].iter().map(|(_, agent)| *agent).find(|agent| !self.excludes(place, *agent));
        if let Some(agent) = found {
            self.offer(place, agent);
        }
    }

    /// Offers a free agent whoever has waited longest among his departments.
    fn seek_call(&mut self, agent: usize) {
        let open = |desk: &usize| self.lines[*desk].iter().find(|(_, _, place)| !self.excludes(*place, agent)).copied();
        let first = self.plan.workers[agent].desks.iter().filter_map(open).min();
        if let Some((_, _, place)) = first {
            self.offer(place, agent);
        }
    }

    fn excludes(&self, place: usize, agent: usize) -> bool {
        self.calls[place].excluded.iter().any(|(excluded, until)| *excluded == agent && *until > self.now)
    }

    fn offer(&mut self, place: usize, agent: usize) {
        let now = self.now;
        self.leave_line(place);
        self.stop_waiting(agent);
        self.agents[agent].ringing = true;
        let (step, grant) = (self.fresh(), self.ids.next(now));
        let call = &mut self.calls[place];
        (call.phase, call.agent, call.grant) = (Phase::Offered, Some(agent), Some(grant));
        (call.offered_at, call.step) = (now, step);
        let (desk, ghost) = (call.desk, call.ghost);
        let (seconds, outcome) = fate::answer(&mut self.chance, &self.plan.desks[desk], ghost);
        self.after(seconds, What::Answers { call: place, token: step, outcome });
    }

    pub(super) fn answered(&mut self, place: usize, outcome: OfferOutcome) {
        if outcome != OfferOutcome::Accepted {
            return self.offer_over(place, outcome);
        }
        let now = self.now;
        let step = self.fresh();
        let Some(agent) = self.calls[place].agent else { return };
        let starts = fate::start(&mut self.chance);
        let call = &mut self.calls[place];
        call.phase = Phase::Assigned;
        call.assigned_at = Some(now);
        if call.started_at.is_none() {
            call.accepted_at = Some(now);
        }
        call.last_offer = call.grant.map(|offer_id| LastOffer {
            offer_id,
            user_id: self.plan.workers[agent].user,
            outcome: OfferOutcome::Accepted,
        });
        (call.in_line, call.step) = (0, step);
        call.version += 1;
        let id = call.id;
        self.fact_assigned(place);
        self.agents[agent].ringing = false;
        self.turn(agent, Some(Doing::InCall(id)));
        match starts {
            Ok(seconds) => self.after(seconds, What::Starts { call: place, token: step }),
            Err(seconds) => self.after(seconds, What::Leaves { call: place, token: step }),
        }
    }

    /// An offer that was not accepted: the call stays at its place.
    pub(super) fn offer_over(&mut self, place: usize, outcome: OfferOutcome) {
        let now = self.now;
        let refused = matches!(outcome, OfferOutcome::Declined | OfferOutcome::TimedOut);
        let call = &mut self.calls[place];
        let (Some(agent), Some(offer_id)) = (call.agent.take(), call.grant.take()) else { return };
        let user_id = self.plan.workers[agent].user;
        call.last_offer = Some(LastOffer { offer_id, user_id, outcome });
        call.step = 0;
        call.version += 1;
        call.phase = Phase::Waiting;
        let token = call.in_line;
        if refused {
            let seconds = Rules::default().exclusion_seconds;
            call.excluded.retain(|(_, until)| *until > now);
            call.excluded.push((agent, now.plus_seconds(seconds)));
            self.after(seconds as f64, What::AskAgain { call: place, token });
        }
        self.fact_offer_over(place, agent, offer_id, outcome);
        self.agents[agent].ringing = false;
        if refused && self.calls[place].overdue {
            self.end(place, EndReason::TimedOut);
        } else if refused {
            self.stand_in_line(place);
        }
        self.free(agent);
    }

    pub(super) fn starts(&mut self, place: usize) {
        let now = self.now;
        let step = self.fresh();
        let call = &mut self.calls[place];
        let first = call.started_at.is_none();
        call.phase = Phase::Active;
        call.started_at.get_or_insert(now);
        call.step = step;
        call.version += 1;
        let (desk, may_transfer) = (call.desk, call.transfer.is_none());
        self.fact_started(place, first);
        let (seconds, end) = fate::talk(&mut self.chance, &self.plan.desks[desk], may_transfer);
        self.after(seconds, What::TalkEnds { call: place, token: step, end });
    }

    /// Gives a running call to another department, where it keeps its rank.
    pub(super) fn transfer(&mut self, place: usize) {
        let now = self.now;
        let from = self.calls[place].desk;
        let to = fate::destination(&mut self.chance, self.plan, from);
        let Some(agent) = self.calls[place].agent else { return };
        let by = self.plan.workers[agent].user;
        let reason = self.chance.pick(&fate::TRANSFER_REASONS);
        self.fact_transferred(place, agent, to);
        let call = &mut self.calls[place];
        let id = call.id;
        call.transfer = Some(Box::new(Transfer {
            count: 1,
            at_micros: now.micros(),
            by,
            from_department_id: self.plan.desks[from].department,
            from_user_id: Some(by),
            to_user_id: None,
            kept_until_micros: None,
            reason: reason.map(Into::into),
        }));
        (call.agent, call.grant, call.assigned_at, call.step) = (None, None, None, 0);
        call.desk = to;
        call.service_level_seconds = self.plan.desks[to].service_level_seconds;
        call.overdue = false;
        call.version += 1;
        call.excluded.push((agent, now.plus_seconds(Rules::default().exclusion_seconds)));
        let patience = Patience::of_waiting(&mut self.chance, &self.plan.desks[to]);
        self.wait(place, patience);
        let seconds = u64::from(self.plan.desks[from].wrap_up_seconds);
        self.after_call(agent, id, EndReason::Completed, (seconds > 0).then(|| now.plus_seconds(seconds)));
    }

    /// What an agent does whose call is over.
    pub(super) fn after_call(
        &mut self,
        agent: usize,
        call: CallId,
        reason: EndReason,
        wrap_up_ends_at: Option<Timestamp>,
    ) {
        if reason == EndReason::AgentLost {
            let seconds = fate::reconnects_after(&mut self.chance);
            return self.be_away(agent, seconds, Doing::Disconnected);
        }
        let Some(until) = wrap_up_ends_at else { return self.free(agent) };
        self.turn(agent, Some(Doing::WrapUp(call)));
        let token = self.fresh();
        self.agents[agent].token = token;
        self.after(until.since(self.now).as_secs_f64(), What::WrapUpOver { agent, token });
    }

    /// Done with everything: pauses, goes home, or takes the next call.
    pub(super) fn free(&mut self, agent: usize) {
        match self.agents[agent].next.take() {
            Some(Next::Home) => self.turn(agent, None),
            Some(Next::Pause { seconds, reason }) => self.be_away(agent, seconds, Doing::Paused(reason)),
            None => {
                if self.agents[agent].doing != Some(Doing::Available) {
                    self.turn(agent, Some(Doing::Available));
                }
                self.start_waiting(agent);
                self.seek_call(agent);
            }
        }
    }

    fn be_away(&mut self, agent: usize, seconds: u64, doing: Doing) {
        if matches!(self.agents[agent].next, Some(Next::Home)) {
            return self.free(agent);
        }
        self.turn(agent, Some(doing));
        let token = self.fresh();
        self.agents[agent].token = token;
        self.after(seconds as f64, What::PauseOver { agent, token });
    }

    pub(super) fn shift_starts(&mut self, agent: usize) {
        match self.agents[agent].doing {
            None => self.free(agent),
            // The shift before is not over yet; he stays.
            Some(_) => self.agents[agent].next = None,
        }
    }

    pub(super) fn shift_ends(&mut self, agent: usize) {
        self.agents[agent].next = Some(Next::Home);
        self.go_unless_busy(agent);
    }

    pub(super) fn pause_due(&mut self, agent: usize, seconds: u64, reason: &'static str) {
        let state = &mut self.agents[agent];
        if state.doing.is_some_and(|doing| !is_away(doing)) && state.next.is_none() {
            state.next = Some(Next::Pause { seconds, reason });
            self.go_unless_busy(agent);
        }
    }

    fn go_unless_busy(&mut self, agent: usize) {
        let state = &self.agents[agent];
        match state.doing {
            Some(Doing::Available) if !state.ringing => self.free(agent),
            Some(doing) if is_away(doing) => self.free(agent),
            None => self.agents[agent].next = None,
            _ => {}
        }
    }

    fn start_waiting(&mut self, agent: usize) {
        let (now, plan) = (self.now, self.plan);
        self.agents[agent].idle_since = Some(now);
        for desk in &plan.workers[agent].desks {
            self.idle[*desk].insert((now, agent));
        }
    }

    fn stop_waiting(&mut self, agent: usize) {
        let plan = self.plan;
        if let Some(since) = self.agents[agent].idle_since.take() {
            for desk in &plan.workers[agent].desks {
                self.idle[*desk].remove(&(since, agent));
            }
        }
    }

    /// Tells what the agent chose until now, and counts who serves.
    fn chose(&mut self, agent: usize, doing: Option<Doing>) {
        let (now, plan, was) = (self.now, self.plan, self.agents[agent]);
        let worker = &plan.workers[agent];
        if let Some((status, reason)) = chosen(was.doing).filter(|_| was.chosen_since < now) {
            let interval =
                IntervalRow { user_id: worker.user, status, reason, capacity: 1, from: was.chosen_since, until: now };
            self.sink.interval(&interval);
        }
        let serves = |doing: Option<Doing>| doing.is_some_and(|doing| !is_away(doing));
        for desk in &worker.desks {
            match (serves(was.doing), serves(doing)) {
                (false, true) => self.serving[*desk] += 1,
                (true, false) => self.serving[*desk] = self.serving[*desk].saturating_sub(1),
                _ => {}
            }
        }
        self.agents[agent].chosen_since = now;
    }

    /// The agent does something else from now on.
    fn turn(&mut self, agent: usize, doing: Option<Doing>) {
        self.stop_waiting(agent);
        let now = self.now;
        let was = self.agents[agent];
        if let Some(doing) = was.doing {
            let user = self.plan.workers[agent].user;
            self.spent(&Interval { user, doing, from: was.since, until: now });
        }
        if chosen(was.doing) != chosen(doing) {
            self.chose(agent, doing);
        }
        let state = &mut self.agents[agent];
        (state.doing, state.since) = (doing, now);
        // Whatever was to end before is over.
        state.token = 0;
        self.fact_turned(agent, was.doing, doing);
    }
}
