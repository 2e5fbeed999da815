//! Owns the group commit of the record: many changes of many tenants, one transaction. What goes into a batch and when
//! is the business of `actors/persistence`.

use std::collections::BTreeMap;
use std::sync::Arc;

use sqlx::PgPool;
use uuid::Uuid;

use crate::domain::agent::AgentSnapshot;
use crate::domain::call::{CallSnapshot, Caller};
use crate::domain::clock::Timestamp;
use crate::domain::ids::{LinkId, TenantId};
use crate::domain::record::RecordEvent;

/// What one transaction writes. Tenants are in order, which is the order their counters are locked in.
#[derive(Clone, Debug, Default)]
pub struct Batch {
    pub tenants: BTreeMap<TenantId, TenantBatch>,
}

/// One tenant's part of a batch.
#[derive(Clone, Debug, Default)]
pub struct TenantBatch {
    /// Each call once, the newest version.
    pub calls: Vec<Arc<CallSnapshot>>,
    /// Each agent once, the newest version.
    pub agents: Vec<Arc<AgentSnapshot>>,
    /// In order.
    pub events: Vec<RecordEvent>,
    /// Kept as they are when a row of the same id is there already.
    pub new_customers: Vec<Arc<Caller>>,
    /// Single-use links and when they were used; the call that used one is in `calls`.
    pub used_links: Vec<(LinkId, Timestamp)>,
}

/// Why a batch is not known to be committed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CommitError {
    /// Its content is not acceptable; nothing was committed. Try tenant by tenant.
    #[error("the record refused the batch ({code}): {message}")]
    Refused { code: String, message: String },
    /// Nothing was committed; try again.
    #[error("the record is unavailable: {message}")]
    Retry { message: String },
    /// The connection was lost at the COMMIT; ask `was_committed`.
    #[error("the outcome of the batch is not known: {message}")]
    Unknown { message: String },
    /// Another process owns the database; nothing was committed, nor ever will be by us.
    #[error("another process owns the record")]
    Fenced,
}

/// Writes the record of one shard of tenants, one batch at a time.
#[derive(Debug)]
pub struct RecordWriter {
    pool: PgPool,
    shard: i32,
    epoch: i64,
}

impl RecordWriter {
    /// A writer for `shard` in the name of the owner of `epoch`, on connections of the store's system pool.
    pub fn new(pool: PgPool, shard: i32, epoch: i64) -> Self {
        Self { pool, shard, epoch }
    }

    /// Commits the batch, or says what is known of it.
    pub async fn commit(&mut self, _batch_id: Uuid, _batch: &Batch) -> Result<(), CommitError> {
        let _ = (&self.pool, self.shard, self.epoch);
        Err(CommitError::Retry { message: String::new() })
    }

    /// Whether the last batch with an unknown outcome was committed. Whatever the answer, no left-over COMMIT of it can
    /// come afterwards. Only `Retry` and `Fenced` are possible errors.
    pub async fn was_committed(&mut self, _batch_id: Uuid) -> Result<bool, CommitError> {
        Err(CommitError::Retry { message: String::new() })
    }
}
