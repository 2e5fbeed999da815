//! Owns the pools, the roles their connections assume, and the transaction that names a tenant. No statement about any
//! aggregate belongs here.

use std::time::Duration;

use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::{AssertSqlSafe, Connection as _, PgPool};
use uuid::Uuid;

use super::Result;
use super::bells::Bells;
use super::lists::ListTurns;
use crate::domain::ids::TenantId;

/// A transaction on one of the store's connections; dropped without a commit it rolls back.
pub type Transaction = sqlx::Transaction<'static, sqlx::Postgres>;

/// How long a caller waits for a connection: commands must be answered within 3 s while Postgres is away (RULES.md).
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(2);

/// How long a short question may take on which somebody waits (RULES.md, as above).
const ANSWER_TIMEOUT: Duration = Duration::from_secs(2);

/// A connection idle for longer is asked for a sign of life before it is used; asking each time would cost a round trip.
const CHECK_AFTER_IDLE: Duration = Duration::from_secs(1);

/// Run-time settings of every connection. Statements here are short and many, so compiling them never pays; nothing may
/// run or hold locks for long, so that a vanished client cannot stand in anybody's way.
///
/// Sequential scans are discouraged because plans are kept: one made while a table was new and small would read all of it
/// for ever after. Measured: without this a join by key took 1 ms at first and 150 ms after 15,000 calls.
const SESSION: [(&str, &str); 5] = [
    ("jit", "off"),
    ("enable_seqscan", "off"),
    ("statement_timeout", "15s"),
    ("lock_timeout", "10s"),
    ("idle_in_transaction_session_timeout", "30s"),
];

/// Has Postgres look, during a statement, whether whoever asked is still connected: so a list that nobody waits for any more
/// is given up (`lists`). Some systems under an outside Postgres cannot look; there it runs to its end.
const LOOK_FOR_CLIENT: &str = "SET client_connection_check_interval = '500ms'";

/// The database, by two roles. Cloning it is cheap.
#[derive(Clone, Debug)]
pub struct Store {
    app: PgPool,
    system: PgPool,
    lists: ListTurns,
    bells: Bells,
}

/// The role a connection assumes after its login, which may be a superuser's.
#[derive(Clone, Copy, Debug)]
pub(super) enum DatabaseRole {
    /// Sees the tenant its transaction names.
    App,
    /// Sees every tenant.
    System,
}

impl DatabaseRole {
    pub(super) const fn assume(self) -> &'static str {
        match self {
            DatabaseRole::App => "SET ROLE vez_app",
            DatabaseRole::System => "SET ROLE vez_system",
        }
    }
}

impl Store {
    /// Opens pools of at most `app_connections` (what serves tenants, role `vez_app`) and `system_connections` (the
    /// record, start-up, deliveries; role `vez_system`). The database must have been migrated.
    pub async fn connect(options: PgConnectOptions, app_connections: u32, system_connections: u32) -> Result<Self> {
        let app = pool(options.clone(), app_connections, DatabaseRole::App).await?;
        // The record repeats one long statement whose plan does not depend on its values: planning it once is enough.
        let options = options.options([("plan_cache_mode", "force_generic_plan")]);
        let system = pool(options, system_connections, DatabaseRole::System).await?;
        Ok(Self { app, system, lists: ListTurns::of(app_connections), bells: Bells::default() })
    }

    /// A transaction that sees the rows of `tenant` and no others. A Postgres that hangs is mostly found out here, where nothing
    /// was asked of it yet: so whoever waits is told in time.
    pub async fn tenant_tx(&self, tenant: TenantId) -> Result<Transaction> {
        begin_in_time(&self.app, begin(tenant)).await
    }

    /// Whose turn it is to read a list.
    pub(super) fn lists(&self) -> &ListTurns {
        &self.lists
    }

    /// The pool that names no tenant and so sees no row: for the look-ups of a tenant.
    pub(super) fn app(&self) -> &PgPool {
        &self.app
    }

    /// The pool that sees every tenant: for the record's writers and start-up only.
    pub fn system(&self) -> &PgPool {
        &self.system
    }

    /// Who is woken by what is committed.
    pub fn bells(&self) -> &Bells {
        &self.bells
    }

    /// Asks the database for an answer; for `/health/ready`.
    pub async fn ping(&self) -> Result<()> {
        let mut connection = self.app.acquire().await?;
        Ok(connection.ping().await?)
    }

    /// Closes every connection, waiting for those in use.
    pub async fn close(&self) {
        self.app.close().await;
        self.system.close().await;
    }
}

/// Begins a transaction that names `tenant`, in one round trip. A UUID prints as hexadecimal digits and hyphens only, so it
/// cannot end the literal.
pub(super) fn begin(tenant: TenantId) -> String {
    format!("BEGIN; SELECT set_config('vez.tenant', '{tenant}', true)")
}

/// Begins a transaction by `statement`, or says that the database is unavailable.
pub async fn begin_in_time(pool: &PgPool, statement: String) -> Result<Transaction> {
    let pool = pool.clone();
    // A task of its own: a beginning that is given up would come back to the pool as an open transaction, while this one is
    // rolled back as soon as it has begun.
    let begun = tokio::spawn(async move { pool.begin_with(AssertSqlSafe(statement)).await });
    in_time(async { Ok(begun.await.map_err(|_| sqlx::Error::WorkerCrashed)??) }).await
}

/// The tenant to whom a token or the like belongs, by a `question` that names none.
pub(super) async fn tenant_by(question: impl Future<Output = sqlx::Result<Option<Uuid>>>) -> Result<Option<TenantId>> {
    in_time(async { Ok(question.await?.map(TenantId)) }).await
}

/// The answer of a short question, or that the database is unavailable: one that hangs refuses nobody by itself.
pub async fn in_time<T>(question: impl Future<Output = Result<T>>) -> Result<T> {
    match tokio::time::timeout(ANSWER_TIMEOUT, question).await {
        Ok(answer) => answer,
        Err(_) => Err(sqlx::Error::PoolTimedOut.into()),
    }
}

async fn pool(options: PgConnectOptions, connections: u32, role: DatabaseRole) -> Result<PgPool> {
    let pool = PgPoolOptions::new()
        .max_connections(connections)
        .acquire_timeout(ACQUIRE_TIMEOUT)
        .test_before_acquire(false)
        .before_acquire(|connection, metadata| {
            Box::pin(async move {
                if metadata.idle_for > CHECK_AFTER_IDLE {
                    connection.ping().await?;
                }
                Ok(true)
            })
        })
        .after_connect(move |connection, _| {
            Box::pin(async move {
                if let Err(error) = sqlx::raw_sql(LOOK_FOR_CLIENT).execute(&mut *connection).await {
                    tracing::debug!(%error, "this Postgres does not look whether clients are still there");
                }
                sqlx::raw_sql(role.assume()).execute(connection).await?;
                Ok(())
            })
        })
        .connect_with(options.options(SESSION))
        .await?;
    Ok(pool)
}
