//! Owns counting everything anew: what the sums of `rollups` should be, from the calls, facts, intervals and customers
//! themselves, and mending what differs. It stands in nobody's way: it reads one snapshot, in which rows and their sums agree to
//! the last transaction, and adds the difference afterwards, whatever was added meanwhile.
//!
//! A difference may be added at any time and in any order, because everybody adds. So it is added in slices, each a short
//! transaction of its own: while one lasts, the company's row of counters is locked, which its batches of the record need,
//! and between two of them they get their turn. A slice that has to wait for anybody gives up and is tried again. What a
//! crash leaves undone is a difference still, and the next count finds it.
//!
//! Sums are by the days of one zone, and triggers add by the zone the company has then. Four steps keep the two together:
//!
//! 1. A change of the zone forgets `measured_zone` (migration 0017). Until it is set again nobody is shown these sums.
//! 2. A count by a new zone says in that column that it has begun. A further change of the zone forgets that, too, even when
//!    the company moves back to where it was.
//! 3. It waits until every transaction that was under way then is over: those may still add by an older zone. It waits
//!    without a lock, so nobody waits for it.
//! 4. At its end it sets `measured_zone` if that still says what it said, else it counts once more.

use sqlx::{AssertSqlSafe, Connection as _, PgConnection};
use tokio::time::{Duration, sleep, timeout};

mod sums;

use super::connect::DatabaseRole;
use super::{Result, Store, StoreError};
use crate::domain::clock::Clock;
use crate::domain::ids::TenantId;
use sums::{Sums, TABLES};

/// Longest time one count may take; ten million calls took two minutes.
const TAKES_MAX: Duration = Duration::from_secs(30 * 60);
/// Class of the advisory lock that keeps two counts of one company apart; the other half of its key is the company's.
const LOCK_CLASS: i32 = 0x0056_5a13;
/// Rows of sums mended in one transaction: some 10 ms, which is what a batch of the record may have to wait.
const SLICE_ROWS: i64 = 500;
/// The pause after each of them, so that mending takes no more than about half of a core.
const SLICE_PAUSE: Duration = Duration::from_millis(10);
/// The pause before a slice that gave up is tried again: batches that waited for it catch up first.
const SLICE_AGAIN: Duration = Duration::from_millis(500);
/// How often a slice is tried before the count is given up: for longer than any transaction of ours may take.
const SLICE_TRIES: u32 = 60;
/// A slice takes nothing that it has to wait for, and does not stop half-way: batches wait for it.
const SLICE_SESSION: &str = "SET statement_timeout = '5s'; SET lock_timeout = '200ms';
    SET idle_in_transaction_session_timeout = '5s'; SET synchronous_commit = off; SET enable_seqscan = off";
/// Comparing reads for minutes and locks nothing that anybody writes.
const COMPARE_SESSION: &str = "SET statement_timeout = 0; SET lock_timeout = '10s'; SET enable_seqscan = on;
    SET work_mem = '64MB'; SET timezone = 'UTC'";
/// How long transactions under way when the zone changed may take; no statement of ours takes half as long.
const WRITERS_WITHIN: Duration = Duration::from_secs(60);
/// Between two looks whether they are over.
const WRITERS_LOOK: Duration = Duration::from_millis(20);
/// What `measured_zone` says while a count by a new zone is under way: no zone's name.
const COUNTING: &str = "counting";

/// How many rows of sums were not what they should have been, by table: all zero when all was well.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Recounted {
    pub call_hours: u64,
    pub wait_days: u64,
    pub agent_days: u64,
    pub agent_months: u64,
    pub agent_status_days: u64,
    pub agent_status_months: u64,
    pub customer_days: u64,
}

/// The companies whose sums are not kept by the days of their present zone.
pub async fn outdated(store: &Store) -> Result<Vec<TenantId>> {
    let ids = sqlx::query_scalar!("SELECT id FROM tenants WHERE measured_zone IS DISTINCT FROM time_zone ORDER BY id")
        .fetch_all(store.system())
        .await?;
    Ok(ids.into_iter().map(TenantId).collect())
}

/// Counts a company's sums anew and mends them. `None` when somebody does so already.
pub async fn recount(store: &Store, tenant: TenantId) -> Result<Option<Recounted>> {
    let options = store.system().connect_options();
    // Its own connection, since it may take minutes: whatever happens, what it made for itself goes with it.
    let mut connection = PgConnection::connect_with(&options).await?;
    let counted = timeout(TAKES_MAX, count(&mut connection, tenant)).await;
    let _ = connection.close().await;
    counted.map_err(|_| StoreError::from(sqlx::Error::PoolTimedOut))?
}

async fn count(connection: &mut PgConnection, tenant: TenantId) -> Result<Option<Recounted>> {
    sqlx::raw_sql(DatabaseRole::System.assume()).execute(&mut *connection).await?;
    let locked: bool = sqlx::query_scalar("SELECT pg_try_advisory_lock($1, hashtext($2))")
        .bind(LOCK_CLASS)
        .bind(tenant.0.to_string())
        .fetch_one(&mut *connection)
        .await?;
    if !locked {
        return Ok(None);
    }
    loop {
        let Some(zone) = settled_zone(connection, tenant).await? else { return Ok(Some(Recounted::default())) };
        sqlx::raw_sql(COMPARE_SESSION).execute(&mut *connection).await?;
        compare(connection, tenant, &zone.name).await?;
        sqlx::raw_sql(SLICE_SESSION).execute(&mut *connection).await?;
        let mended = mend(connection, tenant).await?;
        if is_settled(connection, tenant, &zone).await? {
            return Ok(Some(mended));
        }
        // The company moved meanwhile.
    }
}

/// The zone to count by.
struct Zone {
    name: String,
    /// What `measured_zone` says meanwhile, unless the company moves; the zone itself when this is `None`.
    mark: Option<&'static str>,
}

/// The company's zone, once nobody writes by an older one; `None` when there is no such company.
async fn settled_zone(connection: &mut PgConnection, tenant: TenantId) -> Result<Option<Zone>> {
    loop {
        let row: Option<(String, bool)> =
            sqlx::query_as("SELECT time_zone, COALESCE(measured_zone = time_zone, false) FROM tenants WHERE id = $1")
                .bind(tenant.0)
                .fetch_optional(&mut *connection)
                .await?;
        let Some((name, measured)) = row else { return Ok(None) };
        if measured {
            // Whoever began by an older zone was over before this was said.
            return Ok(Some(Zone { name, mark: None }));
        }
        let marked = sqlx::query("UPDATE tenants SET measured_zone = $3 WHERE id = $1 AND time_zone = $2")
            .bind(tenant.0)
            .bind(&name)
            .bind(COUNTING)
            .execute(&mut *connection)
            .await?;
        if marked.rows_affected() > 0 {
            wait_for_writers(connection).await?;
            return Ok(Some(Zone { name, mark: Some(COUNTING) }));
        }
    }
}

/// Returns once every transaction that writes now is over.
async fn wait_for_writers(connection: &mut PgConnection) -> Result<()> {
    let next: String =
        sqlx::query_scalar("SELECT pg_snapshot_xmax(pg_current_snapshot())::text").fetch_one(&mut *connection).await?;
    let within = Clock::patience(WRITERS_WITHIN);
    loop {
        let over: bool = sqlx::query_scalar("SELECT pg_snapshot_xmin(pg_current_snapshot()) >= $1::text::xid8")
            .bind(&next)
            .fetch_one(&mut *connection)
            .await?;
        if over {
            return Ok(());
        }
        if Clock::is_out(within) {
            return Err(sqlx::Error::PoolTimedOut.into());
        }
        sleep(WRITERS_LOOK).await;
    }
}

async fn compare(connection: &mut PgConnection, tenant: TenantId, zone: &str) -> Result<()> {
    let mut tx = connection.begin_with("BEGIN ISOLATION LEVEL REPEATABLE READ").await?;
    // Facts are thrown away oldest first, so the day of the oldest kept one may lack some.
    let lacking: chrono::NaiveDate = sqlx::query_scalar(
        "SELECT CASE
             WHEN counter.event_seq = 0 OR oldest.seq = 1 THEN '0001-01-01'::date
             WHEN oldest.seq IS NULL THEN '9999-12-31'::date
             ELSE (oldest.at AT TIME ZONE $2)::date END
         FROM tenant_counters AS counter
         LEFT JOIN LATERAL (
             SELECT seq, at FROM events WHERE tenant_id = counter.tenant_id ORDER BY seq LIMIT 1
         ) AS oldest ON true
         WHERE counter.tenant_id = $1",
    )
    .bind(tenant.0)
    .bind(zone)
    .fetch_one(&mut *tx)
    .await?;
    for sums in &TABLES {
        sqlx::raw_sql(AssertSqlSafe(sums.drop_difference())).execute(&mut *tx).await?;
        let mut query = sqlx::query(AssertSqlSafe(sums.difference())).bind(tenant.0).bind(zone);
        if !sums.of_facts.is_empty() {
            query = query.bind(lacking);
        }
        query.execute(&mut *tx).await?;
        sqlx::raw_sql(AssertSqlSafe(sums.index())).execute(&mut *tx).await?;
    }
    tx.commit().await?;
    Ok(())
}

/// Adds the differences.
async fn mend(connection: &mut PgConnection, tenant: TenantId) -> Result<Recounted> {
    let mut changed = [0; TABLES.len()];
    for (sums, changed) in TABLES.iter().zip(&mut changed) {
        let mut place = 0;
        loop {
            let rows = mend_slice(connection, tenant, sums, place).await?;
            *changed += rows;
            place += SLICE_ROWS;
            if rows < SLICE_ROWS as u64 {
                break;
            }
            sleep(SLICE_PAUSE).await;
        }
    }
    let [call_hours, wait_days, agent_days, agent_months, agent_status_days, agent_status_months, customer_days] =
        changed;
    Ok(Recounted {
        call_hours,
        wait_days,
        agent_days,
        agent_months,
        agent_status_days,
        agent_status_months,
        customer_days,
    })
}

/// Adds the differences after `place`, at most [`SLICE_ROWS`]; how many there were. Whoever is in the way goes first.
async fn mend_slice(connection: &mut PgConnection, tenant: TenantId, sums: &Sums, place: i64) -> Result<u64> {
    let mut tries = 1;
    loop {
        match try_slice(connection, tenant, sums, place).await {
            Err(error) if tries < SLICE_TRIES && is_in_the_way(&error) => tries += 1,
            other => return Ok(other?),
        }
        sleep(SLICE_AGAIN).await;
    }
}

async fn try_slice(
    connection: &mut PgConnection,
    tenant: TenantId,
    sums: &Sums,
    place: i64,
) -> std::result::Result<u64, sqlx::Error> {
    let mut tx = connection.begin().await?;
    // Batches take this row before any sums: so neither waits for the other half-way.
    sqlx::query("SELECT FROM tenant_counters WHERE tenant_id = $1 FOR NO KEY UPDATE")
        .bind(tenant.0)
        .execute(&mut *tx)
        .await?;
    let slice = |statement: String| sqlx::query(AssertSqlSafe(statement)).bind(place).bind(place + SLICE_ROWS);
    let rows = slice(sums.mend()).execute(&mut *tx).await?.rows_affected();
    if rows > 0 {
        slice(sums.forget()).execute(&mut *tx).await?;
    }
    tx.commit().await?;
    Ok(rows)
}

/// Somebody else held a row for too long, or waited for one of ours while we waited for one of his.
fn is_in_the_way(error: &sqlx::Error) -> bool {
    matches!(error.as_database_error().and_then(|error| error.code()).as_deref(), Some("55P03" | "40P01"))
}

/// Says that the sums are those of `zone`; false when the company moved since the count began.
async fn is_settled(connection: &mut PgConnection, tenant: TenantId, zone: &Zone) -> Result<bool> {
    // What the slices wrote is as durable as this once this is.
    sqlx::raw_sql("SET synchronous_commit = on").execute(&mut *connection).await?;
    let set =
        sqlx::query("UPDATE tenants SET measured_zone = $2 WHERE id = $1 AND time_zone = $2 AND measured_zone = $3")
            .bind(tenant.0)
            .bind(&zone.name)
            .bind(zone.mark.unwrap_or(&zone.name))
            .execute(&mut *connection)
            .await?;
    Ok(set.rows_affected() > 0)
}
