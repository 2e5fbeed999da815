//! Owns the connections of reports: their role, their settings, the transaction that names a company, and what becomes of a
//! connection whose question nobody waits for any more.

use std::time::Duration;

use sqlx::pool::PoolConnection;
use sqlx::postgres::PgPoolOptions;
use sqlx::{AssertSqlSafe, PgConnection, PgPool, Postgres};

use crate::domain::ids::TenantId;
use crate::store::{ConnectOptions, StoreError, Transaction, begin_in_time, in_time};

/// How long a caller waits for a connection: whoever asks for a report is told soon that the database is away.
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(2);
/// Connections that nobody used for so long are closed: reports come seldom, and each holds some MiB of the database.
const IDLE_TIMEOUT: Duration = Duration::from_secs(60);

/// Run-time settings of every connection. Compiling a statement pays only for sums over millions of rows, which come from
/// rollups; a plan is made for the values it is asked with, since a range may be a day or ten years. Time zones are UTC.
///
/// A single answer may take five minutes, and who reads one waits up to a minute for its reader (`stream::TAKEN_WITHIN`).
const SESSION: [(&str, &str); 7] = [
    ("jit", "off"),
    // One question, one core: the queue needs the others.
    ("max_parallel_workers_per_gather", "0"),
    ("plan_cache_mode", "force_custom_plan"),
    ("statement_timeout", "300s"),
    ("lock_timeout", "10s"),
    ("idle_in_transaction_session_timeout", "120s"),
    ("timezone", "UTC"),
];
/// Has Postgres look, during a question, whether whoever asked is still connected; that is how a question is cancelled.
/// Some systems under an outside Postgres cannot look; there a question runs to its next row.
const LOOK_FOR_CLIENT: &str = "SET client_connection_check_interval = '500ms'";
const ASSUME_ROLE: &str = "SET ROLE vez_app";

/// A pool of at most `connections`, of which none is opened before it is needed.
pub fn open(options: ConnectOptions, connections: u32) -> PgPool {
    PgPoolOptions::new()
        .max_connections(connections)
        .acquire_timeout(ACQUIRE_TIMEOUT)
        .idle_timeout(IDLE_TIMEOUT)
        .after_connect(|connection, _| {
            Box::pin(async move {
                let looks = sqlx::raw_sql(LOOK_FOR_CLIENT).execute(&mut *connection).await;
                if let Err(error) = looks {
                    tracing::debug!(%error, "this Postgres does not look whether clients are still there");
                }
                sqlx::raw_sql(ASSUME_ROLE).execute(connection).await?;
                Ok(())
            })
        })
        .connect_lazy_with(options.options(SESSION))
}

/// Begins to read one snapshot of a company's rows. A UUID prints as hexadecimal digits and hyphens only, so it cannot end the
/// literal.
fn begin(tenant: TenantId) -> String {
    format!("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; SELECT set_config('vez.tenant', '{tenant}', true)")
}

/// A transaction that reads one snapshot of the rows of `tenant`.
pub async fn read(pool: &PgPool, tenant: TenantId) -> Result<Transaction, StoreError> {
    begin_in_time(pool, begin(tenant)).await
}

/// A connection with such a transaction that may be dropped at any moment: unless it was finished, its socket is closed, which
/// cancels whatever it runs. Given back to the pool instead, the question would run to its end.
#[derive(Debug)]
pub struct Session(Option<PoolConnection<Postgres>>);

impl Session {
    /// Begins.
    pub async fn begin(pool: &PgPool, tenant: TenantId) -> Result<Self, StoreError> {
        in_time(async {
            let mut session = Self(Some(pool.acquire().await?));
            sqlx::raw_sql(AssertSqlSafe(begin(tenant))).execute(session.connection()?).await?;
            Ok(session)
        })
        .await
    }

    /// The connection; there is one until the session is finished.
    pub fn connection(&mut self) -> Result<&mut PgConnection, StoreError> {
        self.0.as_deref_mut().ok_or_else(|| sqlx::Error::PoolClosed.into())
    }

    /// Ends the transaction and gives the connection back.
    pub async fn finish(mut self) {
        if let Some(mut connection) = self.0.take()
            && sqlx::raw_sql("COMMIT").execute(&mut *connection).await.is_err()
        {
            drop(connection.detach());
        }
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        if let Some(connection) = self.0.take() {
            drop(connection.detach());
        }
    }
}
