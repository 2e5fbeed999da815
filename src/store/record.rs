//! Owns the group commit of the record: many changes of many tenants, one transaction. What goes into a batch and when
//! is the business of `actors/persistence`.
//!
//! A commit takes three round trips: BEGIN with the locks, one statement that writes everything (`record.sql`), COMMIT.
//! The locks come first, in a statement of their own, so that the writing statement's snapshot is taken under them.

use std::collections::BTreeMap;
use std::sync::Arc;

use sqlx::pool::PoolConnection;
use sqlx::{AssertSqlSafe, Connection as _, PgPool, Postgres};
use uuid::Uuid;

use super::StoreError;
use super::ownership::{BATCH_LOCK, LOCK_CLASS};
use super::record_columns::Columns;
use crate::domain::agent::AgentSnapshot;
use crate::domain::call::{CallSnapshot, Caller};
use crate::domain::clock::Timestamp;
use crate::domain::ids::{LinkId, TenantId};
use crate::domain::record::RecordEvent;

/// What one transaction writes. Tenants are in order, which is the order their feed numbers are taken in.
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
    /// Kept as they are when a row of the same id is there already. The call that brought each is in `calls`.
    pub new_customers: Vec<Arc<Caller>>,
    /// Single-use links and when they were used; the call that used each is in `calls`.
    pub used_links: Vec<(LinkId, Timestamp)>,
}

/// Why a batch is not known to be committed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CommitError {
    /// Its content is not acceptable; nothing was committed. Try tenant by tenant. The code is a SQLSTATE, or
    /// [`STALE_VERSION`] or [`UNKNOWN_TENANT`].
    #[error("the record refused the batch ({code}): {message}")]
    Refused { code: String, message: String },
    /// Nothing was committed; try again.
    #[error("the record is unavailable: {message}")]
    Retry { message: String },
    /// The connection was lost at the COMMIT; ask [`RecordWriter::was_committed`].
    #[error("the outcome of the batch is not known: {message}")]
    Unknown { message: String },
    /// Another process owns the database; nothing was committed, nor ever will be by us.
    #[error("another process owns the record")]
    Fenced,
}

/// The code of a refusal: the record holds a newer version than the batch does, and it is not this owner's.
pub const STALE_VERSION: &str = "stale_version";
/// The code of a refusal: a tenant of the batch has no counters.
pub const UNKNOWN_TENANT: &str = "unknown_tenant";

impl CommitError {
    /// An error of a statement before the COMMIT: nothing was committed.
    fn before_commit(error: sqlx::Error) -> Self {
        match StoreError::from(error) {
            StoreError::Refused { code, message } => Self::Refused { code, message },
            StoreError::Conflict { constraint } => {
                Self::Refused { code: "23505".to_owned(), message: format!("{constraint} is taken") }
            }
            other => Self::Retry { message: other.to_string() },
        }
    }

    /// An error of the COMMIT itself. Only an answer that says why the transaction was rolled back tells its outcome; one
    /// that ends the connection may follow a commit that was done.
    fn at_commit(error: sqlx::Error) -> Self {
        let answered = error
            .as_database_error()
            .and_then(|error| error.code())
            .is_some_and(|code| matches!(code.get(..2), Some("22" | "23" | "40" | "42")));
        if answered { Self::before_commit(error) } else { Self::Unknown { message: error.to_string() } }
    }
}

/// Writes the record of one shard of tenants, one batch at a time.
#[derive(Debug)]
pub struct RecordWriter {
    pool: PgPool,
    /// Kept between batches; taken out while one is under way, so that a batch given up half-way never leaves its
    /// connection to the next.
    connection: Option<PoolConnection<Postgres>>,
    begin: String,
    shard: i32,
    epoch: i64,
}

impl RecordWriter {
    /// A writer for `shard` (from 0) in the name of the owner of `epoch`, on a connection of the store's system pool.
    pub fn new(pool: PgPool, shard: i32, epoch: i64) -> Self {
        let begin = format!(
            "BEGIN; SELECT pg_advisory_xact_lock_shared({LOCK_CLASS}, {BATCH_LOCK}), \
             pg_advisory_xact_lock({LOCK_CLASS}, {shard})"
        );
        Self { pool, connection: None, begin, shard, epoch }
    }

    /// Commits the batch, or says what is known of it. When the future is dropped before it is done, the outcome is
    /// as unknown as after `Unknown`.
    pub async fn commit(&mut self, batch_id: Uuid, batch: &Batch) -> Result<(), CommitError> {
        let mut connection = self.take_connection().await?;
        let result = self.commit_on(&mut connection, batch_id, batch).await;
        match result {
            Ok(()) | Err(CommitError::Refused { .. }) => self.connection = Some(connection),
            Err(_) => close(connection),
        }
        result
    }

    /// Whether the last batch with an unknown outcome was committed. Whatever the answer, no left-over COMMIT of it can
    /// come afterwards: the shard's lock is held by a transaction until it is over. Errors are `Retry` or `Fenced`.
    pub async fn was_committed(&mut self, batch_id: Uuid) -> Result<bool, CommitError> {
        let mut connection = self.take_connection().await?;
        let result = self.was_committed_on(&mut connection, batch_id).await;
        match result {
            Ok(_) => self.connection = Some(connection),
            Err(_) => close(connection),
        }
        result
    }

    async fn take_connection(&mut self) -> Result<PoolConnection<Postgres>, CommitError> {
        match self.connection.take() {
            Some(connection) => Ok(connection),
            None => self.pool.acquire().await.map_err(retry),
        }
    }

    async fn commit_on(
        &self,
        connection: &mut PoolConnection<Postgres>,
        batch_id: Uuid,
        batch: &Batch,
    ) -> Result<(), CommitError> {
        let mut tx = connection.begin_with(AssertSqlSafe(self.begin.clone())).await.map_err(retry)?;
        let columns = Columns::of(batch);
        let Columns { counters, calls, agents, events, customers, links } = &columns;
        let written = sqlx::query_file!(
            "src/store/record.sql",
            self.epoch,
            self.shard,
            batch_id,
            &counters.tenant_id,
            &counters.events,
            &calls.tenant_id,
            &calls.id,
            &calls.number,
            &calls.department_id,
            &calls.link_id as _,
            &calls.customer_id,
            &calls.customer_name as _,
            &calls.customer_email as _,
            &calls.customer_phone as _,
            &calls.reason as _,
            &calls.priority,
            &calls.requirements as _,
            &calls.join_key as _,
            &calls.inserted_at,
            &calls.phase as _,
            &calls.status as _,
            &calls.end_reason as _,
            &calls.user_id as _,
            &calls.grant_id as _,
            &calls.assigned_at as _,
            &calls.accepted_at as _,
            &calls.started_at as _,
            &calls.completed_at as _,
            &calls.wrap_up_ends_at as _,
            &calls.exclusions as _,
            &calls.last_offer as _,
            &calls.connected,
            &calls.updated_at,
            &calls.version,
            &agents.tenant_id,
            &agents.user_id,
            &agents.status as _,
            &agents.pause_reason as _,
            &agents.status_since,
            &agents.after_call_status as _,
            &agents.after_call_reason as _,
            &agents.held_cause as _,
            &agents.held_since as _,
            &agents.misses,
            &agents.wrap_ups as _,
            &agents.wrap_up_until as _,
            &agents.idle as _,
            &agents.rotation,
            &agents.calls_today,
            &agents.updated_at,
            &agents.version,
            &events.tenant_id,
            &events.place,
            &events.kind as _,
            &events.at,
            &events.call_id as _,
            &events.department_id as _,
            &events.user_id as _,
            &events.data as _,
            &customers.tenant_id,
            &customers.id,
            &customers.name as _,
            &customers.email as _,
            &customers.phone as _,
            &customers.at,
            &links.tenant_id,
            &links.id,
            &links.at,
            &links.call_id as _,
        )
        .fetch_one(&mut *tx)
        .await
        .map_err(CommitError::before_commit)?;

        // Dropping the transaction in any of these rolls it back.
        if written.owner_epoch != Some(self.epoch) {
            return Err(CommitError::Fenced);
        }
        if written.counters != counters.tenant_id.len() as i64 {
            return Err(CommitError::Refused {
                code: UNKNOWN_TENANT.to_owned(),
                message: "a tenant of the batch has no counters".to_owned(),
            });
        }
        let settled = written.calls == calls.id.len() as i64 && written.agents == agents.user_id.len() as i64;
        if !settled && !self.holds_all(&mut tx, &columns).await.map_err(CommitError::before_commit)? {
            return Err(CommitError::Refused {
                code: STALE_VERSION.to_owned(),
                message: "the record holds a newer version of another owner".to_owned(),
            });
        }
        tx.commit().await.map_err(CommitError::at_commit)
    }

    /// Whether every row sent is stored in this epoch with the same version or a newer one: then what touched no row had
    /// been written before.
    async fn holds_all(
        &self,
        tx: &mut sqlx::Transaction<'_, Postgres>,
        columns: &Columns<'_>,
    ) -> Result<bool, sqlx::Error> {
        let (calls, agents) = (&columns.calls, &columns.agents);
        let stored = sqlx::query!(
            "SELECT
                (SELECT count(*) FROM unnest($2::uuid[], $3::uuid[], $4::bigint[]) AS sent (tenant_id, id, version)
                 JOIN calls USING (tenant_id, id) WHERE calls.epoch = $1 AND calls.version >= sent.version) AS \"calls!\",
                (SELECT count(*) FROM unnest($5::uuid[], $6::uuid[], $7::bigint[]) AS sent (tenant_id, user_id, version)
                 JOIN agents USING (tenant_id, user_id)
                 WHERE agents.epoch = $1 AND agents.version >= sent.version) AS \"agents!\"",
            self.epoch,
            &calls.tenant_id,
            &calls.id,
            &calls.version,
            &agents.tenant_id,
            &agents.user_id,
            &agents.version
        )
        .fetch_one(&mut **tx)
        .await?;
        Ok(stored.calls == calls.id.len() as i64 && stored.agents == agents.user_id.len() as i64)
    }

    async fn was_committed_on(
        &self,
        connection: &mut PoolConnection<Postgres>,
        batch_id: Uuid,
    ) -> Result<bool, CommitError> {
        let mut tx = connection.begin_with(AssertSqlSafe(self.begin.clone())).await.map_err(retry)?;
        let row = sqlx::query!(
            "SELECT (SELECT owner_epoch FROM ownership),
                    EXISTS (SELECT FROM writer_marks WHERE shard = $1 AND batch_id = $2) AS \"marked!\"",
            self.shard,
            batch_id
        )
        .fetch_one(&mut *tx)
        .await
        .map_err(retry)?;
        // Nothing was written, so it does not matter how this transaction ends.
        tx.rollback().await.map_err(retry)?;
        // A batch that was committed stays so, whoever owns the database now.
        if !row.marked && row.owner_epoch != Some(self.epoch) {
            return Err(CommitError::Fenced);
        }
        Ok(row.marked)
    }
}

/// Nothing is kept of a connection on which something went wrong: the next batch begins on a new one.
fn close(connection: PoolConnection<Postgres>) {
    drop(connection.detach());
}

fn retry(error: sqlx::Error) -> CommitError {
    CommitError::Retry { message: error.to_string() }
}
