//! Owns writing generated history into a company: calls that ended long ago, their customers and links, and the facts the
//! feed would have. Which rows there are is the generator's business (`cli/generate`).
//!
//! COPY itself is refused on tables under row-level security, so rows go to temporary tables and on from there: each chunk
//! is one transaction, and a company never holds half of one.

mod rows;
mod tuples;

use sqlx::postgres::PgConnectOptions;
use sqlx::{AssertSqlSafe, ConnectOptions as _, Connection as _, PgConnection};

pub use rows::{CallRow, Chunk, Contact, CustomerRow, FactRow, IntervalRow, LinkRow, Rating};
use tuples::Tuples;

use super::connect::DatabaseRole;
use super::{Result, Store, StoreError};
use crate::domain::ids::TenantId;

/// Columns of a call in the order in which [`Chunk::call`] puts them; so for the others below.
const CALL_COLUMNS: &str = "tenant_id, id, number, department_id, link_id, customer_id, customer_name, customer_email, \
    customer_phone, reason, priority, inserted_at, ranked_at, phase, status, end_reason, user_id, grant_id, assigned_at, \
    accepted_at, started_at, completed_at, wrap_up_ends_at, last_offer, transfer, connected, updated_at, version, rating, \
    rating_comment, rating_verified, rated_at, notes, cancel_reason, service_level_seconds, estimated_wait_seconds, \
    estimated_wait_p90_seconds";
const CALL_FIELDS: i16 = 37;
const CUSTOMER_COLUMNS: &str = "tenant_id, id, name, email, phone, document, inserted_at, updated_at";
const CUSTOMER_FIELDS: i16 = 8;
const LINK_COLUMNS: &str = "tenant_id, id, token, department_id, customer_id, customer_name, customer_email, \
    customer_phone, expires_at, max_uses, use_count, used_at, call_id, cancelled_at, inserted_at";
const LINK_FIELDS: i16 = 15;
const FACT_COLUMNS: &str = "seq, kind, at, call_id, department_id, user_id, data";
const FACT_FIELDS: i16 = 7;
const INTERVAL_COLUMNS: &str = "tenant_id, user_id, status, reason, capacity, started_at, ended_at";
const INTERVAL_FIELDS: i16 = 7;

/// Bytes handed to the connection at once: it copies what it is given, so a chunk goes in slices.
const SLICE_BYTES: usize = 256 * 1024;

/// Nobody waits for these statements, and one may take many seconds on a slow disk; a chunk that is lost with a crash can be
/// generated again, so none waits for the disk. The rest as in `connect`.
const SESSION: [(&str, &str); 4] =
    [("jit", "off"), ("statement_timeout", "10min"), ("lock_timeout", "10s"), ("synchronous_commit", "off")];

/// Where generated rows are staged, by the table they go to.
const STAGES: [(&str, &str, &str); 5] = [
    ("generated_calls", CALL_COLUMNS, "calls"),
    ("generated_customers", CUSTOMER_COLUMNS, "customers"),
    ("generated_links", LINK_COLUMNS, "access_links"),
    ("generated_facts", FACT_COLUMNS, "events"),
    ("generated_intervals", INTERVAL_COLUMNS, "agent_intervals"),
];

/// Whether the company has calls, open or ended.
pub async fn has_calls(store: &Store, tenant: TenantId) -> Result<bool> {
    let mut tx = store.tenant_tx(tenant).await?;
    let has = sqlx::query_scalar!("SELECT EXISTS (SELECT FROM calls WHERE tenant_id = $1) AS \"has!\"", tenant.0)
        .fetch_one(&mut *tx)
        .await?;
    Ok(has)
}

/// Writes chunks, one after the other, on a connection of its own.
#[derive(Debug)]
pub struct Loader {
    connection: PgConnection,
}

impl Loader {
    /// Opens the connection, in the role that sees every company, and makes the temporary tables.
    pub async fn connect(options: &PgConnectOptions) -> Result<Self> {
        // Its statements are slow by nature, which is no news.
        let options = options.clone().options(SESSION).disable_statement_logging();
        let mut connection = PgConnection::connect_with(&options).await?;
        sqlx::raw_sql(DatabaseRole::System.assume()).execute(&mut connection).await?;
        for (stage, columns, table) in STAGES {
            let make = format!(
                "CREATE TEMPORARY TABLE {stage} ON COMMIT DELETE ROWS AS SELECT {columns} FROM {table} WITH NO DATA"
            );
            sqlx::raw_sql(AssertSqlSafe(make)).execute(&mut connection).await?;
        }
        Ok(Self { connection })
    }

    /// Writes a chunk, all of it or nothing. As every writer of calls and facts does, it first takes the company's counters: so
    /// the feed stays without gaps and the sums agree with the rows also beside a running server, which waits that long with
    /// what this company does.
    pub async fn write(&mut self, tenant: TenantId, chunk: Chunk) -> Result<()> {
        let mut tx = self.connection.begin().await?;
        let facts = i64::try_from(chunk.facts.rows()).unwrap_or(i64::MAX);
        let Chunk { calls, customers, links, facts: told, intervals, .. } = chunk;
        let staged = [&calls, &customers, &links, &told, &intervals].map(|tuples| tuples.rows() > 0);
        for ((stage, ..), tuples) in STAGES.into_iter().zip([calls, customers, links, told, intervals]) {
            if tuples.rows() > 0 {
                stage_rows(&mut tx, stage, tuples).await?;
            }
        }
        let last = sqlx::query_scalar!(
            "UPDATE tenant_counters SET event_seq = event_seq + $2 WHERE tenant_id = $1 RETURNING event_seq",
            tenant.0,
            facts
        )
        .fetch_optional(&mut *tx)
        .await?;
        let Some(last) = last else {
            return Err(StoreError::Corrupt { table: "tenant_counters", column: "tenant_id", row: tenant.to_string() });
        };
        for ((stage, columns, table), _) in STAGES.into_iter().zip(staged).filter(|(_, staged)| *staged) {
            let insert = match table {
                // Ids print as hexadecimal digits and hyphens, so this one cannot end its literal.
                "events" => format!(
                    "INSERT INTO events (tenant_id, {columns})
                     SELECT '{tenant}', {} + seq, kind, at, call_id, department_id, user_id, data FROM {stage}",
                    last - facts
                ),
                // No process owned the record when these calls were made.
                "calls" => format!("INSERT INTO calls ({columns}, epoch) SELECT {columns}, 0 FROM {stage}"),
                table => format!("INSERT INTO {table} ({columns}) SELECT {columns} FROM {stage}"),
            };
            sqlx::raw_sql(AssertSqlSafe(insert)).execute(&mut *tx).await?;
        }
        tx.commit().await?;
        Ok(())
    }

    /// Tells the planner of what is new. Only the tables' owner may; for anybody else Postgres does it itself, a while later.
    pub async fn close(mut self) -> Result<()> {
        sqlx::raw_sql("RESET ROLE; SET statement_timeout = 0").execute(&mut self.connection).await?;
        sqlx::raw_sql("VACUUM (ANALYZE) calls, customers, access_links, events, agent_intervals")
            .execute(&mut self.connection)
            .await?;
        Ok(self.connection.close().await?)
    }
}

/// Sends rows to their temporary table.
async fn stage_rows(tx: &mut PgConnection, stage: &str, tuples: Tuples) -> Result<()> {
    let bytes = tuples.finish();
    let mut copy = tx.copy_in_raw(&format!("COPY {stage} FROM STDIN WITH (FORMAT binary)")).await?;
    for slice in bytes.chunks(SLICE_BYTES) {
        copy.send(slice).await?;
    }
    copy.finish().await?;
    Ok(())
}
