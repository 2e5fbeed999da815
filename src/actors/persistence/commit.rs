//! Owns one commit from the batch to its outcome, however long Postgres is away. What is refused for its content, or finds a
//! row locked, is tried tenant by tenant, so that a poison row or a foreign transaction stops nobody else.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::time::Duration;

use metrics::{counter, histogram};

use super::super::health::StorageHealth;
use super::{Finished, Write};
use crate::domain::clock::Clock;
use crate::domain::ids::IdSource;
use crate::store::record::{Batch, CommitError, RecordWriter};

/// The pause before a failed commit is tried again, and the most it grows to.
const RETRY_FIRST: Duration = Duration::from_millis(50);
const RETRY_MOST: Duration = Duration::from_millis(500);
/// A commit that takes longer is given up, and its outcome asked for: a Postgres that hangs is away, too.
const COMMIT_WITHIN: Duration = Duration::from_secs(4);
/// Companies in a row that find a row locked before the others of their batch are not tried: then it is no row of one of them
/// that is locked, and each further try would take its time from everybody.
const HELD_IN_A_ROW: u32 = 4;
/// Failures in a row before the storage counts as away: one may be a dropped connection.
const FAILURES_UNTIL_AWAY: u32 = 2;

/// One commit, from the batch to its outcome, however long Postgres is away.
pub(super) struct CommitTask {
    pub(super) index: u32,
    pub(super) clock: Clock,
    pub(super) ids: IdSource,
    pub(super) health: StorageHealth,
    pub(super) writer: RecordWriter,
    pub(super) writes: Vec<(u64, Write)>,
    /// They found a row locked before: they only look whether it is free.
    pub(super) again: bool,
}

impl CommitTask {
    pub(super) async fn run(mut self) -> Finished {
        let mut refused = HashSet::new();
        let mut held = HashSet::new();
        let mut fenced = false;
        let whole = batch(self.writes.iter().map(|(_, write)| write));
        let started = self.clock.now();
        match self.commit(&whole, self.again).await {
            Ok(()) => {}
            Err(CommitError::Fenced) => fenced = true,
            Err(CommitError::Locked { .. }) if self.again => held.extend(whole.tenants.into_keys()),
            Err(_) => {
                let mut in_a_row = 0;
                for (tenant, part) in whole.tenants {
                    if in_a_row >= HELD_IN_A_ROW {
                        held.insert(tenant);
                        continue;
                    }
                    let alone = Batch { tenants: BTreeMap::from([(tenant, part)]) };
                    match self.commit(&alone, true).await {
                        Ok(()) => in_a_row = 0,
                        Err(CommitError::Fenced) => fenced = true,
                        Err(CommitError::Locked { message }) => {
                            tracing::warn!(%tenant, %message, "somebody holds a company's rows; its changes wait");
                            in_a_row += 1;
                            held.insert(tenant);
                        }
                        Err(error) => {
                            counter!("vez_writes_refused_total").increment(1);
                            tracing::error!(%tenant, %error, "the record refused a tenant's changes; its actors restart");
                            refused.insert(tenant);
                        }
                    }
                }
            }
        }
        histogram!("vez_commit_seconds").record(self.clock.now().since(started).as_secs_f64());
        Finished { writer: Some(self.writer), writes: self.writes, refused, held, fenced }
    }

    /// Commits one batch; returns only when it is committed, refused for its content, locked out, or we are fenced.
    async fn commit(&mut self, batch: &Batch, again: bool) -> Result<(), CommitError> {
        let mut failures = 0;
        let mut pause = RETRY_FIRST;
        loop {
            let id = self.ids.uuid(self.clock.now());
            let commit = async {
                match again {
                    true => self.writer.commit_if_free(id, batch).await,
                    false => self.writer.commit(id, batch).await,
                }
            };
            let commit = tokio::time::timeout(COMMIT_WITHIN, commit).await;
            let late = || CommitError::Unknown { message: "Postgres did not answer in time".into() };
            let outcome = match commit.unwrap_or_else(|_| Err(late())) {
                Err(CommitError::Unknown { message }) => self.settle_unknown(id, message).await,
                outcome => outcome,
            };
            match outcome {
                Err(CommitError::Retry { message }) => {
                    failures += 1;
                    if failures >= FAILURES_UNTIL_AWAY {
                        if failures == FAILURES_UNTIL_AWAY {
                            tracing::warn!(shard = self.index, %message, "Postgres is away; changes wait to be written");
                        }
                        self.health.report(self.index, false);
                    }
                    tokio::time::sleep(pause).await;
                    pause = (pause * 2).min(RETRY_MOST);
                }
                outcome => {
                    if failures >= FAILURES_UNTIL_AWAY {
                        tracing::info!(shard = self.index, "Postgres is back");
                    }
                    self.health.report(self.index, true);
                    return outcome;
                }
            }
        }
    }

    /// Finds out whether the commit whose answer was lost happened; asks until Postgres answers.
    async fn settle_unknown(&mut self, id: uuid::Uuid, message: String) -> Result<(), CommitError> {
        let mut pause = RETRY_FIRST;
        let mut failures = 1;
        loop {
            match tokio::time::timeout(COMMIT_WITHIN, self.writer.was_committed(id)).await {
                Ok(Ok(true)) => {
                    self.health.report(self.index, true);
                    return Ok(());
                }
                Ok(Ok(false)) => return Err(CommitError::Retry { message }),
                Ok(Err(CommitError::Fenced)) => return Err(CommitError::Fenced),
                Ok(Err(_)) | Err(_) => {
                    failures += 1;
                    if failures >= FAILURES_UNTIL_AWAY {
                        self.health.report(self.index, false);
                    }
                    tokio::time::sleep(pause).await;
                    pause = (pause * 2).min(RETRY_MOST);
                }
            }
        }
    }
}

/// The newest form of each row, and every event in order.
fn batch<'a>(writes: impl Iterator<Item = &'a Write>) -> Batch {
    let mut batch = Batch::default();
    let mut calls = HashMap::new();
    let mut agents = HashMap::new();
    for write in writes {
        let part = batch.tenants.entry(write.tenant).or_default();
        if let Some(call) = &write.entry.call {
            match calls.get(&(write.tenant, call.id)) {
                Some(index) => part.calls[*index] = call.clone(),
                None => {
                    calls.insert((write.tenant, call.id), part.calls.len());
                    part.calls.push(call.clone());
                }
            }
            if write.entry.new_customer {
                part.new_customers.push(call.caller.clone());
            }
            if let Some(link) = write.entry.used_link {
                part.used_links.push((link, call.joined_at));
            }
        }
        if let Some(agent) = &write.entry.agent {
            match agents.get(&(write.tenant, agent.user_id)) {
                Some(index) => part.agents[*index] = agent.clone(),
                None => {
                    agents.insert((write.tenant, agent.user_id), part.agents.len());
                    part.agents.push(agent.clone());
                }
            }
        }
        part.events.extend(write.entry.events.iter().cloned());
        part.told.extend(write.entry.told.iter().cloned());
    }
    batch
}
