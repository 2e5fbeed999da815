//! Owns the model of the record: an in-memory store that commits a tenant's entries in order, and holds each new row
//! against the one it replaces. It must not know actors, messages or clients.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use vez::domain::agent::AgentSnapshot;
use vez::domain::call::{CallSnapshot, Phase};
use vez::domain::clock::Timestamp;
use vez::domain::ids::{CallId, DepartmentId, LinkId, UserId};
use vez::domain::record::Entry;
use vez::queue::event::Settled;
use vez::queue::lifecycle::can_become;

use crate::checks::{Broken, ensure};

/// Whose write it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Owner {
    Roster,
    /// One life of a queue.
    Queue(DepartmentId, u64),
}

/// An entry on its way into the record.
#[derive(Clone, Debug)]
pub struct Write {
    pub ticket: u64,
    pub owner: Owner,
    pub entry: Entry,
    pub settled: Option<Settled>,
}

/// What becomes of the batch under way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    Committed,
    /// Committed, but the answer is lost: the writer finds out later.
    CommittedUnheard,
    /// Not committed and the answer is lost: the writer finds out later and tries again.
    LostUnheard,
    /// Refused for its content.
    Refused,
}

/// The batch under way: the first `count` pending writes.
#[derive(Clone, Copy, Debug)]
pub struct Batch {
    pub count: usize,
    pub fate: Fate,
    /// The rows are in the record, whether or not the writer knows.
    pub applied: bool,
    /// The writer must ask what became of it.
    pub unheard: bool,
}

/// One tenant's record.
#[derive(Debug, Default)]
pub struct Store {
    pub calls: BTreeMap<CallId, Arc<CallSnapshot>>,
    pub agents: BTreeMap<UserId, Arc<AgentSnapshot>>,
    /// The newest heartbeat of the server that is in the record.
    pub served_until: Option<Timestamp>,
    /// The latest join in the record.
    pub last_join: Option<Timestamp>,
    pub used_links: BTreeSet<LinkId>,
    pub pending: VecDeque<Write>,
    pub batch: Option<Batch>,
    pub next_ticket: u64,
    /// Everything up to this ticket is committed.
    pub through: u64,
    /// Calls whose department the last batch changed.
    pub moved: Vec<CallId>,
    started: BTreeSet<CallId>,
}

impl Store {
    /// Takes a write in; it is committed after everything taken in before.
    pub fn push(&mut self, owner: Owner, entry: Entry, settled: Option<Settled>) -> u64 {
        self.next_ticket += 1;
        self.pending.push_back(Write { ticket: self.next_ticket, owner, entry, settled });
        self.next_ticket
    }

    /// Puts the rows of the batch under way into the record.
    pub fn apply_batch(&mut self) -> Result<(), Broken> {
        let Some(mut batch) = self.batch else { return Ok(()) };
        if !batch.applied {
            batch.applied = true;
            self.batch = Some(batch);
            for index in 0..batch.count {
                let entry = self.pending[index].entry.clone();
                self.put(&entry)?;
            }
        }
        Ok(())
    }

    fn put(&mut self, entry: &Entry) -> Result<(), Broken> {
        if let Some(call) = &entry.call {
            let old = self.calls.get(&call.id);
            let stored = old.map_or(0, |old| old.version);
            ensure(call.version == stored + 1, "record_versions_follow_each_other", || {
                format!("{:?}: version {} over {stored}", call.id, call.version)
            })?;
            if let Some(old) = old {
                let moved = old.phase == call.phase || can_become(old.phase, call.phase);
                ensure(moved, "record_phases_follow_the_life_cycle", || format!("{old:?} -> {call:?}"))?;
                let same = old.rank() == call.rank() && old.number == call.number && old.joined_at == call.joined_at;
                ensure(same, "a_call_keeps_its_key", || format!("{old:?} -> {call:?}"))?;
                if old.department_id != call.department_id {
                    self.moved.push(call.id);
                }
                let kept = old.started_at.is_none() || old.started_at == call.started_at;
                ensure(kept, "the_first_start_stays", || format!("{old:?} -> {call:?}"))?;
            } else {
                ensure(call.phase == Phase::Waiting, "record_phases_follow_the_life_cycle", || format!("{call:?}"))?;
                ensure(entry.new_customer, "a_join_makes_its_customer", || format!("{call:?}"))?;
                self.last_join = self.last_join.max(Some(call.joined_at));
            }
            let starts = entry.events.iter().filter(|event| event.kind == "call_started").count();
            if starts > 0 {
                ensure(starts == 1 && self.started.insert(call.id), "call_started_once", || format!("{call:?}"))?;
            }
            self.calls.insert(call.id, call.clone());
        }
        if let Some(agent) = &entry.agent {
            let stored = self.agents.get(&agent.user_id).map_or(0, |old| old.version);
            ensure(agent.version == stored + 1, "record_versions_follow_each_other", || {
                format!("{:?}: version {} over {stored}", agent.user_id, agent.version)
            })?;
            self.agents.insert(agent.user_id, agent.clone());
        }
        self.used_links.extend(entry.used_link);
        ensure(!entry.events.is_empty() || entry.agent.is_some(), "a_change_of_a_call_tells_why", || {
            format!("{entry:?}")
        })
    }

    /// The batch under way is over and committed: its writes, in order.
    pub fn finish_batch(&mut self) -> Vec<Write> {
        let Some(batch) = self.batch.take() else { return Vec::new() };
        let done: Vec<Write> = self.pending.drain(..batch.count).collect();
        if let Some(last) = done.last() {
            self.through = last.ticket;
        }
        done
    }

    /// Nothing pending will be written: the tenant was refused, or the process is gone.
    pub fn forget_pending(&mut self) {
        self.batch = None;
        self.pending.clear();
        self.through = self.next_ticket;
    }

    /// Open calls of one department.
    pub fn open(&self, department: DepartmentId) -> impl Iterator<Item = &Arc<CallSnapshot>> {
        self.calls.values().filter(move |call| call.department_id == department && call.phase != Phase::Ended)
    }
}
