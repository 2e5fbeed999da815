//! Owns the rule that one process serves a database: a session lock says who, an epoch says since when, and every batch
//! of the record checks the epoch in its own transaction.
//!
//! The lock comes first, then the migrations, then the epoch: a migration may rewrite a table, which must not happen under a
//! server that still serves. So the lock needs nothing of the schema, not even its roles.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use sqlx::postgres::PgConnectOptions;
use sqlx::{AssertSqlSafe, Connection as _, PgConnection};
use tokio::sync::Mutex;
use uuid::Uuid;

use super::connect::DatabaseRole;
use super::{Result, StoreError};
use crate::domain::clock::{Clock, Timestamp};

/// The first half of the keys of our advisory locks ("vez"), so that they meet nobody else's in a shared database.
pub(super) const LOCK_CLASS: i32 = 0x0076_657a;
/// The session lock of the process that serves.
const OWNER_LOCK: i32 = -1;
/// The session lock of a process that has the other one and does not serve yet, nor has said who it is.
const CLAIM_LOCK: i32 = -3;
/// Every batch holds it shared; who takes the database over holds it exclusively while it raises the epoch.
pub(super) const BATCH_LOCK: i32 = -2;

/// How often a waiting process looks whether the owner has let go.
const POLL: Duration = Duration::from_millis(100);

/// This process' hold on the database, on a connection of its own. Dropping it lets go.
#[derive(Debug)]
pub struct Ownership {
    /// Raised at every start; written with every row of the record.
    pub epoch: i64,
    /// When the previous owner last said that it served; `None` on the first start.
    pub served_until: Option<Timestamp>,
    id: Uuid,
    options: PgConnectOptions,
    connection: Mutex<Option<PgConnection>>,
    lost: AtomicBool,
}

/// The right to become the owner, on a connection of its own. While it lasts nobody else serves the database, unless he has
/// lost his connection and does not know yet. Dropping it lets go.
#[derive(Debug)]
pub struct Claim {
    options: PgConnectOptions,
    connection: PgConnection,
}

impl Claim {
    /// Waits up to `wait` for another process to let go; then says who has the database (`OwnedElsewhere`, or `BeingMigrated`
    /// when he only has a claim himself).
    pub async fn wait(options: &PgConnectOptions, wait: Duration) -> Result<Self> {
        let options = session(options);
        let mut connection = PgConnection::connect_with(&options).await?;
        let waiting = async {
            while !try_lock(&mut connection).await? {
                tokio::time::sleep(POLL).await;
            }
            let claimed = format!("SELECT pg_advisory_lock({LOCK_CLASS}, {CLAIM_LOCK})");
            sqlx::raw_sql(AssertSqlSafe(claimed)).execute(&mut connection).await?;
            Ok::<_, StoreError>(())
        };
        match tokio::time::timeout(wait, waiting).await {
            Ok(locked) => locked?,
            Err(_) => return Err(who_owns(&options).await?),
        }
        Ok(Self { options, connection })
    }

    /// Takes the database for the process `id`; it must have been migrated. No batch of an earlier owner is under way any more
    /// when this returns.
    ///
    /// The stored heartbeat stays that of the previous owner until the first [`Ownership::heartbeat`], so that a start
    /// which fails half-way does not hide for how long nobody was served.
    pub async fn own(self, id: Uuid, clock: &Clock) -> Result<Ownership> {
        let Self { options, mut connection } = self;
        sqlx::raw_sql(DatabaseRole::System.assume()).execute(&mut connection).await?;
        let (epoch, served_until) = raise_epoch(&mut connection, id, clock.now()).await?;
        let claimed = format!("SELECT pg_advisory_unlock({LOCK_CLASS}, {CLAIM_LOCK})");
        sqlx::raw_sql(AssertSqlSafe(claimed)).execute(&mut connection).await?;
        let connection = Mutex::new(Some(connection));
        Ok(Ownership { epoch, served_until, id, options, connection, lost: AtomicBool::new(false) })
    }

    /// Lets go.
    pub async fn release(self) -> Result<()> {
        Ok(self.connection.close().await?)
    }
}

impl Ownership {
    /// Takes a migrated database for the process `id`, waiting up to `wait` for another to let go.
    pub async fn acquire(options: &PgConnectOptions, id: Uuid, wait: Duration, clock: &Clock) -> Result<Self> {
        Claim::wait(options, wait).await?.own(id, clock).await
    }

    /// Says that we serve at `now`; cheap, and lost with a crash of the server only for its last moments. Any error of
    /// the connection marks the hold as lost.
    pub async fn heartbeat(&self, now: Timestamp) -> Result<()> {
        let mut guard = self.connection.lock().await;
        let Some(connection) = guard.as_mut() else {
            return Err(StoreError::Unavailable(sqlx::Error::PoolClosed));
        };
        match write_heartbeat(connection, self.epoch, self.id, now).await {
            Err(error) if error.is_unavailable() => {
                *guard = None;
                self.lost.store(true, Ordering::Release);
                Err(error)
            }
            other => other,
        }
    }

    /// Whether the connection that holds the lock is known to be gone; then [`Ownership::reacquire`].
    pub fn is_lost(&self) -> bool {
        self.lost.load(Ordering::Acquire)
    }

    /// Takes the lock again on a new connection, with the same epoch. `Fenced` when another owner came between, or
    /// `OwnedElsewhere` when one holds it now; `Unavailable` may be tried again.
    pub async fn reacquire(&self) -> Result<()> {
        let mut guard = self.connection.lock().await;
        let mut connection = connect(&self.options).await?;
        if !try_lock(&mut connection).await? {
            return match who_owns(&self.options).await? {
                // Our own former connection, which the server has not noticed to be gone.
                StoreError::OwnedElsewhere { id, .. } if id == self.id => {
                    Err(StoreError::Unavailable(sqlx::Error::PoolTimedOut))
                }
                other => Err(other),
            };
        }
        let ours = sqlx::query_scalar!(
            "SELECT EXISTS (SELECT FROM ownership WHERE owner_epoch = $1 AND owner_id = $2) AS \"ours!\"",
            self.epoch,
            self.id
        )
        .fetch_one(&mut connection)
        .await?;
        if !ours {
            return Err(StoreError::Fenced);
        }
        *guard = Some(connection);
        self.lost.store(false, Ordering::Release);
        Ok(())
    }

    /// Says a last time that we served, and lets go.
    pub async fn release(self, now: Timestamp) -> Result<()> {
        if let Some(mut connection) = self.connection.into_inner() {
            write_heartbeat(&mut connection, self.epoch, self.id, now).await?;
            connection.close().await?;
        }
        Ok(())
    }
}

/// A heartbeat need not survive a crash of the server: it would only make the gap look longer.
fn session(options: &PgConnectOptions) -> PgConnectOptions {
    options.clone().application_name("vez owner").options([("synchronous_commit", "off"), ("jit", "off")])
}

async fn connect(options: &PgConnectOptions) -> Result<PgConnection> {
    let mut connection = PgConnection::connect_with(options).await?;
    sqlx::raw_sql(DatabaseRole::System.assume()).execute(&mut connection).await?;
    Ok(connection)
}

async fn try_lock(connection: &mut PgConnection) -> Result<bool> {
    Ok(sqlx::query_scalar!("SELECT pg_try_advisory_lock($1, $2) AS \"locked!\"", LOCK_CLASS, OWNER_LOCK)
        .fetch_one(connection)
        .await?)
}

async fn raise_epoch(connection: &mut PgConnection, id: Uuid, now: Timestamp) -> Result<(i64, Option<Timestamp>)> {
    let begin =
        format!("BEGIN; SET LOCAL synchronous_commit = on; SELECT pg_advisory_xact_lock({LOCK_CLASS}, {BATCH_LOCK})");
    let mut tx = connection.begin_with(AssertSqlSafe(begin)).await?;
    let row = sqlx::query!(
        "INSERT INTO ownership (owner_epoch, owner_id, pid, host, acquired_at) VALUES (1, $1, $2, $3, $4)
         ON CONFLICT (singleton) DO UPDATE SET owner_epoch = ownership.owner_epoch + 1, owner_id = excluded.owner_id,
             pid = excluded.pid, host = excluded.host, acquired_at = excluded.acquired_at
         RETURNING owner_epoch, heartbeat_at",
        id,
        i32::try_from(std::process::id()).unwrap_or_default(),
        host_name(),
        now.to_utc()
    )
    .fetch_one(&mut *tx)
    .await?;
    tx.commit().await?;
    Ok((row.owner_epoch, row.heartbeat_at.map(Timestamp::from)))
}

async fn write_heartbeat(connection: &mut PgConnection, epoch: i64, id: Uuid, now: Timestamp) -> Result<()> {
    let done = sqlx::query!(
        "UPDATE ownership SET heartbeat_at = $3 WHERE owner_epoch = $1 AND owner_id = $2",
        epoch,
        id,
        now.to_utc()
    )
    .execute(connection)
    .await?;
    if done.rows_affected() == 0 { Err(StoreError::Fenced) } else { Ok(()) }
}

async fn who_owns(options: &PgConnectOptions) -> Result<StoreError> {
    let mut connection = PgConnection::connect_with(options).await?;
    // Whoever has only a claim is not in the table, which may not be there either.
    let served: bool = sqlx::query_scalar("SELECT pg_try_advisory_lock_shared($1, $2)")
        .bind(LOCK_CLASS)
        .bind(CLAIM_LOCK)
        .fetch_one(&mut connection)
        .await?;
    if !served {
        return Ok(StoreError::BeingMigrated);
    }
    sqlx::raw_sql(DatabaseRole::System.assume()).execute(&mut connection).await?;
    let row = sqlx::query!("SELECT owner_id, pid, host, acquired_at, heartbeat_at FROM ownership")
        .fetch_optional(&mut connection)
        .await?;
    Ok(match row {
        Some(row) => StoreError::OwnedElsewhere {
            id: row.owner_id,
            pid: row.pid,
            host: row.host,
            since: row.acquired_at.into(),
            seen: row.heartbeat_at.map(Timestamp::from),
        },
        // Somebody holds the lock and has not yet said who it is.
        None => StoreError::BeingMigrated,
    })
}

/// The machine's name, to be told to whoever finds the database taken.
fn host_name() -> String {
    std::fs::read_to_string("/proc/sys/kernel/hostname")
        .ok()
        .map(|name| name.trim().to_owned())
        .or_else(|| std::env::var("HOSTNAME").ok())
        .filter(|name| !name.is_empty())
        .unwrap_or_else(|| "unknown host".to_owned())
}
