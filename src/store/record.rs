//! Owns the group commit of the record: many changes of many tenants, one transaction. What goes into a batch and when
//! is the business of `actors/persistence`.
//!
//! A commit is one statement (`record.sql`) and one round trip: on a busy machine each further one may wait for a turn of
//! the processor on both sides. The price is that a batch whose connection broke may still lie unread at the server. So
//! each new connection of a shard raises the shard's generation, and a batch of an older generation is refused there.
//!
//! A batch waits for other people's locks for a moment only: it holds the rows of many companies, and whoever is in the way
//! is in the way of one of them.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use sqlx::pool::PoolConnection;
use sqlx::{AssertSqlSafe, Connection as _, PgConnection, PgPool, Postgres};
use uuid::Uuid;

use super::ownership::{BATCH_LOCK, LOCK_CLASS};
use super::record_columns::Columns;
use crate::domain::agent::AgentSnapshot;
use crate::domain::call::{CallSnapshot, Caller};
use crate::domain::clock::Timestamp;
use crate::domain::ids::{LinkId, TenantId};
use crate::domain::record::RecordEvent;
use crate::domain::webhook::Told;

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
    /// What webhooks are to be told, in order.
    pub told: Vec<Told>,
}

/// Why a batch is not known to be committed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CommitError {
    /// Its content is not acceptable; nothing was committed. Try tenant by tenant. The code is a SQLSTATE, among them
    /// [`STALE_VERSION`] and [`UNKNOWN_TENANT`].
    #[error("the record refused the batch ({code}): {message}")]
    Refused { code: String, message: String },
    /// Somebody else holds a lock that the batch needs; nothing was committed. Try tenant by tenant.
    #[error("somebody holds what the batch writes: {message}")]
    Locked { message: String },
    /// Nothing was committed; try again.
    #[error("the record is unavailable: {message}")]
    Retry { message: String },
    /// The connection was lost before the answer came; ask [`RecordWriter::was_committed`].
    #[error("the outcome of the batch is not known: {message}")]
    Unknown { message: String },
    /// Another process owns the database; nothing was committed, nor ever will be by us.
    #[error("another process owns the record")]
    Fenced,
}

/// How long a batch waits for a lock. Longer than our own transactions hold any, and short enough for those who wait with it.
const LOCK_WAIT: Duration = Duration::from_secs(1);
/// How long one waits that found the lock taken before: whoever is not concerned waits behind it.
const LOCK_GLANCE: Duration = Duration::from_millis(100);

/// The code of a statement that waited too long for a lock.
const LOCK_NOT_AVAILABLE: &str = "55P03";
/// The code of a batch whose owner is not the present one; it becomes [`CommitError::Fenced`].
const NOT_OWNER: &str = "VZ001";
/// The code of a batch that a connection since given up had sent; nobody listens to it any more.
const OLD_CONNECTION: &str = "VZ004";
/// The code of a refusal: the record holds a version at least as new as the batch does, and it is not this owner's.
pub const STALE_VERSION: &str = "VZ002";
/// The code of a refusal: a tenant of the batch has no counters.
pub const UNKNOWN_TENANT: &str = "VZ003";

impl CommitError {
    /// What an error of the writing statement says of its outcome. Only an answer that tells why the statement was undone
    /// is certain: one that ends the connection may come after a commit that was done.
    fn of(error: sqlx::Error) -> Self {
        let message = error.to_string();
        let Some(database) = error.as_database_error() else { return Self::Unknown { message } };
        let code = database.code().unwrap_or_default().into_owned();
        match code.get(..2) {
            Some("VZ") if code == NOT_OWNER => Self::Fenced,
            Some("VZ") if code == OLD_CONNECTION => Self::Retry { message },
            Some("22" | "23" | "42" | "VZ") => Self::Refused { code, message: database.message().to_owned() },
            _ if code == LOCK_NOT_AVAILABLE => Self::Locked { message },
            // A serialisation failure or deadlock, a statement that took too long.
            Some("40" | "55") => Self::Retry { message },
            _ if code == "57014" => Self::Retry { message },
            _ => Self::Unknown { message },
        }
    }
}

/// Writes the record of one shard of tenants, one batch at a time.
#[derive(Debug)]
pub struct RecordWriter {
    pool: PgPool,
    /// Kept between batches; taken out while one is under way, so that a batch given up half-way never leaves its
    /// connection to the next.
    connection: Option<ShardConnection>,
    shard: i32,
    epoch: i64,
}

/// The one connection that may write a shard. Dropped, it is closed: given back to the pool, one on which Postgres hangs or a
/// batch is still under way would hold its place there until that is over.
#[derive(Debug)]
struct ShardConnection {
    connection: Option<PoolConnection<Postgres>>,
    generation: i64,
}

impl ShardConnection {
    /// The connection; there is one until this is dropped.
    fn get(&mut self) -> Result<&mut PgConnection, CommitError> {
        self.connection.as_deref_mut().ok_or_else(|| retry(sqlx::Error::PoolClosed))
    }

    /// From now on its statements wait so long for a lock.
    async fn wait_for_locks(&mut self, wait: Duration) -> Result<(), CommitError> {
        let set = format!("SET lock_timeout = '{}ms'", wait.as_millis());
        sqlx::raw_sql(AssertSqlSafe(set)).execute(self.get()?).await.map(drop).map_err(retry)
    }
}

impl Drop for ShardConnection {
    fn drop(&mut self) {
        if let Some(connection) = self.connection.take() {
            drop(connection.detach());
        }
    }
}

impl RecordWriter {
    /// A writer for `shard` (from 0) in the name of the owner of `epoch`, on a connection of the store's system pool.
    pub fn new(pool: PgPool, shard: i32, epoch: i64) -> Self {
        Self { pool, connection: None, shard, epoch }
    }

    /// Commits the batch, or says what is known of it. When the future is dropped before it is done, the outcome is
    /// as unknown as after `Unknown`.
    pub async fn commit(&mut self, batch_id: Uuid, batch: &Batch) -> Result<(), CommitError> {
        let mut connection = self.take().await?;
        let result = self.commit_on(&mut connection, batch_id, batch).await;
        if is_sound(&result) {
            self.connection = Some(connection);
        }
        result
    }

    /// As [`RecordWriter::commit`], of a batch that has waited for a lock before: now it only looks whether it is free.
    pub async fn commit_if_free(&mut self, batch_id: Uuid, batch: &Batch) -> Result<(), CommitError> {
        let mut connection = self.take().await?;
        connection.wait_for_locks(LOCK_GLANCE).await?;
        let result = self.commit_on(&mut connection, batch_id, batch).await;
        // What became of the batch stands whether or not the connection can be used again.
        if is_sound(&result) && connection.wait_for_locks(LOCK_WAIT).await.is_ok() {
            self.connection = Some(connection);
        }
        result
    }

    async fn take(&mut self) -> Result<ShardConnection, CommitError> {
        match self.connection.take() {
            Some(connection) => Ok(connection),
            None => Ok(self.open().await?.0),
        }
    }

    /// Whether the last batch with an unknown outcome was committed. Whatever the answer, what is left over of it can not
    /// be committed afterwards. Errors are `Retry` or `Fenced`.
    pub async fn was_committed(&mut self, batch_id: Uuid) -> Result<bool, CommitError> {
        self.connection = None;
        let (connection, last_batch) = self.open().await?;
        self.connection = Some(connection);
        Ok(last_batch == Some(batch_id))
    }

    /// Makes a new connection the shard's only one, waiting for what an older one is committing; with the batch that was
    /// committed last.
    async fn open(&self) -> Result<(ShardConnection, Option<Uuid>), CommitError> {
        let connection = Some(self.pool.acquire().await.map_err(retry)?);
        let mut connection = ShardConnection { connection, generation: 0 };
        let (class, shard) = (LOCK_CLASS, self.shard);
        let begin = format!(
            "BEGIN; SELECT pg_advisory_xact_lock_shared({class}, {BATCH_LOCK}), pg_advisory_xact_lock({class}, {shard})"
        );
        let mut tx = connection.get()?.begin_with(AssertSqlSafe(begin)).await.map_err(retry)?;
        let mark = sqlx::query!(
            "INSERT INTO writer_marks AS mark (shard, generation, epoch) VALUES ($1, 1, $2)
             ON CONFLICT (shard) DO UPDATE SET generation = mark.generation + 1
             RETURNING generation, batch_id, (SELECT owner_epoch FROM ownership) AS owner_epoch",
            self.shard,
            self.epoch
        )
        .fetch_one(&mut *tx)
        .await
        .map_err(retry)?;
        if mark.owner_epoch != Some(self.epoch) {
            return Err(CommitError::Fenced);
        }
        tx.commit().await.map_err(retry)?;
        connection.generation = mark.generation;
        connection.wait_for_locks(LOCK_WAIT).await?;
        Ok((connection, mark.batch_id))
    }

    async fn commit_on(
        &self,
        connection: &mut ShardConnection,
        batch_id: Uuid,
        batch: &Batch,
    ) -> Result<(), CommitError> {
        let Columns { counters, calls, agents, events, customers, links, told } = Columns::of(batch);
        let generation = connection.generation;
        // The answer is read to its end, which comes after the commit.
        sqlx::query_file!(
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
            &agents.leased,
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
            LOCK_CLASS,
            BATCH_LOCK,
            generation,
            &told.tenant_id,
            &told.event as _,
            &told.subject_id,
            &told.at,
            &told.data as _,
            &calls.ranked_at,
            &calls.transfer as _,
            &calls.service_level_seconds,
            &calls.estimated_wait_seconds as _,
            &calls.estimated_wait_p90_seconds as _,
        )
        .fetch_all(connection.get()?)
        .await
        .map_err(CommitError::of)?;
        Ok(())
    }
}

/// Whether the connection can be used again: nothing is kept of one on which something went wrong.
fn is_sound(result: &Result<(), CommitError>) -> bool {
    matches!(result, Ok(()) | Err(CommitError::Refused { .. } | CommitError::Locked { .. }))
}

fn retry(error: sqlx::Error) -> CommitError {
    CommitError::Retry { message: error.to_string() }
}
