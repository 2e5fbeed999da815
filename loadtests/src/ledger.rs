//! What the server acknowledged, and what was asked of it: the tester's own memory.
//!
//! It records facts with the time they were seen and judges nothing; [`crate::invariants`] and the crash test judge.
//! Every fact is noted by the party that saw it: a join by the customer, the rest by the agent or the rater.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// An agent of the tester, by its place in the list of agents.
pub type AgentIndex = usize;

/// An acknowledged join.
#[derive(Debug, Clone)]
pub struct Join {
    /// The key under which joining again gives the same call.
    pub key: String,
    pub websocket_token: String,
    /// When the customer was meant to come, by the schedule.
    pub intended_at: Instant,
    /// When the request left; nothing acknowledged before can be behind this customer.
    pub sent_at: Instant,
    pub acknowledged_at: Instant,
    /// Until when the server must take the customer for present; `None`: as long as the run lasts (a socket).
    pub present_until: Option<Instant>,
    pub free_agent: bool,
    pub measured: bool,
}

/// An offer or an acknowledged accept.
#[derive(Debug, Clone, Copy)]
pub struct Seen {
    pub agent: AgentIndex,
    pub at: Instant,
}

/// Everything known of one call.
#[derive(Debug, Clone, Default)]
pub struct CallRecord {
    pub department_id: Option<Arc<str>>,
    /// The call's number, unique in the tenant and growing within a department.
    pub protocol: Option<u64>,
    pub join: Option<Join>,
    pub first_offer: Option<Seen>,
    /// Who asked to accept, acknowledged or not.
    pub accept_attempts: Vec<AgentIndex>,
    pub accepts: Vec<Seen>,
    /// The agent of an acknowledged accept lost his connection since, so the server may have given the call to another.
    pub may_return: bool,
    pub start_attempted: bool,
    pub started_at: Option<Instant>,
    pub complete_attempted: bool,
    pub completed_at: Option<Instant>,
    pub rating_attempt: Option<u8>,
    pub rating: Option<u8>,
    /// The call's final status, once somebody was told.
    pub outcome: Option<String>,
}

impl CallRecord {
    /// Whether the customer was told "you are in the queue".
    #[must_use]
    pub fn is_acknowledged(&self) -> bool {
        self.join.is_some()
    }

    /// Whether somebody was told how the call ended.
    #[must_use]
    pub fn is_ended(&self) -> bool {
        self.completed_at.is_some() || self.outcome.is_some()
    }
}

/// A first offer and the join it answers, both known now.
#[derive(Debug, Clone, Copy)]
pub struct OfferedAfter {
    pub latency: Duration,
    pub free_agent: bool,
    pub measured: bool,
}

/// An offer that reached an agent who held a call.
#[derive(Debug, Clone)]
pub struct Overload {
    pub agent: AgentIndex,
    pub held_call_id: String,
    pub offered_call_id: String,
}

#[derive(Debug, Default)]
struct Book {
    calls: HashMap<String, CallRecord>,
    /// Each agent's latest call: from the acknowledged accept until the request to complete.
    held: HashMap<AgentIndex, (String, Instant, Option<Instant>)>,
    overloads: Vec<Overload>,
}

/// A shared record of acknowledgements.
#[derive(Debug, Default)]
pub struct Ledger {
    book: Mutex<Book>,
    /// Acknowledged joins whose end nobody was told.
    open: AtomicU64,
    acknowledged: AtomicU64,
    completed: AtomicU64,
}

impl Ledger {
    /// A customer was told that he is in the queue. Tells whether an offer was seen before that, and its latency.
    pub fn join_acknowledged(
        &self,
        call_id: &str,
        department_id: &Arc<str>,
        protocol: Option<u64>,
        join: Join,
    ) -> (bool, Option<OfferedAfter>) {
        let mut book = self.book();
        let record = book.calls.entry(call_id.to_owned()).or_default();
        if record.join.is_none() {
            self.acknowledged.fetch_add(1, Ordering::Relaxed);
            if !record.is_ended() {
                self.open.fetch_add(1, Ordering::Relaxed);
            }
        }
        record.department_id = Some(Arc::clone(department_id));
        record.protocol = record.protocol.or(protocol);
        record.join = Some(join);
        (record.first_offer.is_some(), offered_after(record))
    }

    /// An agent was offered the call. For a first offer of a call whose join is known already: its department, and
    /// the latency.
    pub fn offered(
        &self,
        call_id: &str,
        protocol: Option<u64>,
        seen: Seen,
    ) -> (Option<Arc<str>>, Option<OfferedAfter>) {
        let mut book = self.book();
        if let Some((held_call_id, from, until)) = book.held.get(&seen.agent)
            && held_call_id != call_id
            && seen.at > *from
            && until.is_none_or(|until| seen.at < until)
        {
            let overload =
                Overload { agent: seen.agent, held_call_id: held_call_id.clone(), offered_call_id: call_id.to_owned() };
            book.overloads.push(overload);
        }
        let record = book.calls.entry(call_id.to_owned()).or_default();
        record.protocol = record.protocol.or(protocol);
        if record.first_offer.is_some() {
            return (None, None);
        }
        record.first_offer = Some(seen);
        (record.department_id.clone(), offered_after(record))
    }

    pub fn accept_attempted(&self, call_id: &str, agent: AgentIndex) {
        self.change(call_id, |record| record.accept_attempts.push(agent));
    }

    pub fn accept_acknowledged(&self, call_id: &str, seen: Seen) {
        let mut book = self.book();
        book.held.insert(seen.agent, (call_id.to_owned(), seen.at, None));
        book.calls.entry(call_id.to_owned()).or_default().accepts.push(seen);
    }

    pub fn start_attempted(&self, call_id: &str) {
        self.change(call_id, |record| record.start_attempted = true);
    }

    pub fn start_acknowledged(&self, call_id: &str, at: Instant) {
        self.change(call_id, |record| record.started_at = Some(at));
    }

    /// The agent is about to ask for the end; from here on he may be offered another call.
    pub fn complete_attempted(&self, call_id: &str, agent: AgentIndex, at: Instant) {
        let mut book = self.book();
        if let Some((held, _, until)) = book.held.get_mut(&agent)
            && held == call_id
        {
            *until = Some(at);
        }
        book.calls.entry(call_id.to_owned()).or_default().complete_attempted = true;
    }

    pub fn complete_acknowledged(&self, call_id: &str, at: Instant) {
        self.end(call_id, |record| {
            // Calls that an earlier run left behind are served too, but are not this run's work.
            if record.join.is_some() && record.completed_at.is_none() {
                self.completed.fetch_add(1, Ordering::Relaxed);
            }
            record.completed_at = Some(at);
        });
    }

    /// Somebody was told the call's final status.
    pub fn ended(&self, call_id: &str, status: &str) {
        self.end(call_id, |record| {
            record.outcome.get_or_insert_with(|| status.to_owned());
        });
    }

    pub fn rating_attempted(&self, call_id: &str, rating: u8) {
        self.change(call_id, |record| record.rating_attempt = Some(rating));
    }

    pub fn rating_acknowledged(&self, call_id: &str, rating: u8) {
        self.change(call_id, |record| record.rating = Some(rating));
    }

    /// The agent's socket is gone; the call he holds may be given to another.
    pub fn agent_lost(&self, agent: AgentIndex) {
        let mut book = self.book();
        if let Some((call_id, _, _)) = book.held.remove(&agent)
            && let Some(record) = book.calls.get_mut(&call_id)
        {
            record.may_return = true;
        }
    }

    /// The server told the customer that his call went back to the queue, so another agent may take it.
    pub fn returned(&self, call_id: &str) {
        self.change(call_id, |record| record.may_return = true);
    }

    /// The call's number, told later than the join.
    pub fn learn_protocol(&self, call_id: &str, protocol: u64) {
        self.change(call_id, |record| record.protocol = Some(protocol));
    }

    /// A customer without a socket was heard of again until then.
    pub fn present_until(&self, call_id: &str, until: Option<Instant>) {
        self.change(call_id, |record| {
            if let Some(join) = &mut record.join {
                join.present_until = until;
            }
        });
    }

    /// Acknowledged joins whose end nobody was told.
    #[must_use]
    pub fn open_count(&self) -> u64 {
        self.open.load(Ordering::Relaxed)
    }

    #[must_use]
    pub fn acknowledged_count(&self) -> u64 {
        self.acknowledged.load(Ordering::Relaxed)
    }

    /// Acknowledged completions.
    #[must_use]
    pub fn completed_count(&self) -> u64 {
        self.completed.load(Ordering::Relaxed)
    }

    /// A copy of every record, by call id.
    #[must_use]
    pub fn calls(&self) -> Vec<(String, CallRecord)> {
        self.book().calls.iter().map(|(call_id, record)| (call_id.clone(), record.clone())).collect()
    }

    #[must_use]
    pub fn overloads(&self) -> Vec<Overload> {
        self.book().overloads.clone()
    }

    fn change(&self, call_id: &str, change: impl FnOnce(&mut CallRecord)) {
        let mut book = self.book();
        match book.calls.get_mut(call_id) {
            Some(record) => change(record),
            None => change(book.calls.entry(call_id.to_owned()).or_default()),
        }
    }

    fn end(&self, call_id: &str, change: impl FnOnce(&mut CallRecord)) {
        self.change(call_id, |record| {
            let was_open = record.is_acknowledged() && !record.is_ended();
            change(record);
            if was_open && record.is_ended() {
                self.open.fetch_sub(1, Ordering::Relaxed);
            }
        });
    }

    fn book(&self) -> MutexGuard<'_, Book> {
        self.book.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn offered_after(record: &CallRecord) -> Option<OfferedAfter> {
    let (join, offer) = (record.join.as_ref()?, record.first_offer?);
    Some(OfferedAfter {
        latency: offer.at.saturating_duration_since(join.intended_at),
        free_agent: join.free_agent,
        measured: join.measured,
    })
}
