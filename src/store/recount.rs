//! Owns counting everything anew: what the sums of `rollups` should be, from the calls, facts, intervals and customers
//! themselves, and mending what differs. It stands in nobody's way: it reads one snapshot, in which rows and their sums agree to
//! the last transaction, and adds the difference afterwards, whatever was added meanwhile.

use sqlx::{AssertSqlSafe, Connection as _, PgConnection};
use tokio::time::{Duration, timeout};

use super::connect::DatabaseRole;
use super::{Result, Store, StoreError};
use crate::domain::ids::TenantId;

/// Longest time one count may take; ten million calls took two minutes.
const TAKES_MAX: Duration = Duration::from_secs(30 * 60);
/// Class of the advisory lock that keeps two counts of one company apart; the other half of its key is the company's.
const LOCK_CLASS: i32 = 0x0056_5a13;

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

/// A table of sums and where they come from. `$1` is the company, `$2` its zone, `$3` the last day of which not all facts are
/// kept any more.
struct Sums {
    table: &'static str,
    /// The column that says when: `day` or `month`, and how the source tells it.
    period: (&'static str, &'static str),
    keys: &'static [&'static str],
    /// The sums, each with what one row of the source adds.
    columns: &'static [&'static str],
    /// Of these, those that come from facts, which are not kept for ever.
    of_facts: &'static [&'static str],
    /// Yields `keys` and `columns`, as often as it likes.
    source: &'static str,
}

const CALLS: &str = "FROM calls AS call
    CROSS JOIN LATERAL (SELECT call.inserted_at AT TIME ZONE $2 AS at) AS local
    CROSS JOIN LATERAL vez_call_figures(
        call.inserted_at, call.status, call.end_reason, call.assigned_at, call.accepted_at, call.started_at,
        call.completed_at, call.wrap_up_ends_at, call.rating, call.service_level_seconds, call.estimated_wait_p90_seconds
    ) AS f
    WHERE call.tenant_id = $1 AND (call.started_at IS NOT NULL OR call.completed_at IS NOT NULL)";

const FACTS: &str = "FROM events AS fact
    CROSS JOIN LATERAL (SELECT fact.at AT TIME ZONE $2 AS at) AS local
    CROSS JOIN LATERAL vez_fact_figures(fact.kind, fact.data) AS f
    WHERE fact.tenant_id = $1 AND fact.department_id IS NOT NULL AND {date} > $3
      AND fact.kind IN ('call_transferred', 'call_returned', 'offer_timed_out', 'offer_declined')";

const DAY: (&str, &str) = ("day", "local.at::date");
const MONTH: (&str, &str) = ("month", "date_trunc('month', local.at)::date");

const AGENT_COLUMNS: &[&str] = &[
    "completed",
    "missed",
    "cancelled",
    "answered",
    "answered_in_time",
    "wait_seconds",
    "handled",
    "talk_seconds",
    "wrap_up_seconds",
    "rated",
    "rating_total",
    "satisfied",
    "call_talk_seconds",
    "transfers",
    "offers_missed",
    "offers_declined",
    "given_talk_seconds",
];
const AGENT_SOURCE: &str = "SELECT call.tenant_id, {date} AS {period}, call.department_id, call.user_id,
                    f.completed, f.missed, f.cancelled, f.answered, f.answered_in_time, f.wait_seconds, f.handled,
                    f.talk_seconds, f.wrap_up_seconds, f.rated, f.rating_total, f.satisfied,
                    f.call_talk_seconds, 0 AS transfers, 0 AS offers_missed, 0 AS offers_declined,
                    0 AS given_talk_seconds
                 {calls} AND call.user_id IS NOT NULL
                 UNION ALL
                 SELECT fact.tenant_id, {date}, fact.department_id, fact.user_id, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
                    f.transfers, f.offers_missed, f.offers_declined, f.given_talk_seconds
                 {facts} AND fact.user_id IS NOT NULL";
const STATUS_COLUMNS: &[&str] =
    &["available_seconds", "capacity_seconds", "paused_seconds", "held_seconds", "disconnected_seconds"];
const STATUS_SOURCE: &str = "SELECT spent.tenant_id, {date} AS {period}, spent.user_id, f.available_seconds, f.capacity_seconds, f.paused_seconds,
                    f.held_seconds, f.disconnected_seconds
                 FROM agent_intervals AS spent
                 CROSS JOIN LATERAL vez_interval_days(
                     spent.started_at, spent.ended_at, spent.status, spent.capacity, $2
                 ) AS f
                 WHERE spent.tenant_id = $1";

const TABLES: [Sums; 7] = [
    Sums {
        table: "call_hours",
        period: DAY,
        keys: &["tenant_id", "day", "department_id", "hour"],
        columns: &[
            "completed",
            "missed",
            "cancelled",
            "answered",
            "answered_in_time",
            "wait_seconds",
            "abandoned",
            "abandoned_short",
            "handled",
            "talk_seconds",
            "wrap_up_seconds",
            "rated",
            "rating_total",
            "satisfied",
            "estimated",
            "estimate_kept",
            "transfers",
            "offers_missed",
            "offers_declined",
        ],
        of_facts: &["transfers", "offers_missed", "offers_declined"],
        source: "SELECT call.tenant_id, {date} AS {period}, call.department_id, date_part('hour', local.at)::smallint AS hour,
                    f.completed, f.missed, f.cancelled, f.answered, f.answered_in_time, f.wait_seconds, f.abandoned,
                    f.abandoned_short, f.handled, f.talk_seconds, f.wrap_up_seconds, f.rated, f.rating_total, f.satisfied,
                    f.estimated, f.estimate_kept, 0 AS transfers, 0 AS offers_missed, 0 AS offers_declined
                 {calls}
                 UNION ALL
                 SELECT fact.tenant_id, {date}, fact.department_id, date_part('hour', local.at)::smallint,
                    0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, f.transfers, f.offers_missed, f.offers_declined
                 {facts}",
    },
    Sums {
        table: "wait_days",
        period: DAY,
        keys: &["tenant_id", "day", "department_id", "wait_seconds"],
        columns: &["answered"],
        of_facts: &[],
        source: "SELECT call.tenant_id, {date} AS {period}, call.department_id, f.wait_seconds::integer AS wait_seconds,
                    f.answered
                 {calls} AND f.answered > 0",
    },
    Sums {
        table: "agent_days",
        period: DAY,
        keys: &["tenant_id", "day", "department_id", "user_id"],
        columns: AGENT_COLUMNS,
        of_facts: &["transfers", "offers_missed", "offers_declined", "given_talk_seconds"],
        source: AGENT_SOURCE,
    },
    Sums {
        table: "agent_months",
        period: MONTH,
        keys: &["tenant_id", "month", "department_id", "user_id"],
        columns: AGENT_COLUMNS,
        of_facts: &["transfers", "offers_missed", "offers_declined", "given_talk_seconds"],
        source: AGENT_SOURCE,
    },
    Sums {
        table: "agent_status_days",
        period: ("day", "f.day"),
        keys: &["tenant_id", "day", "user_id"],
        columns: STATUS_COLUMNS,
        of_facts: &[],
        source: STATUS_SOURCE,
    },
    Sums {
        table: "agent_status_months",
        period: ("month", "date_trunc('month', f.day)::date"),
        keys: &["tenant_id", "month", "user_id"],
        columns: STATUS_COLUMNS,
        of_facts: &[],
        source: STATUS_SOURCE,
    },
    Sums {
        table: "customer_days",
        period: ("day", "(inserted_at AT TIME ZONE $2)::date"),
        keys: &["tenant_id", "day"],
        columns: &["customers"],
        of_facts: &[],
        source: "SELECT tenant_id, {date} AS {period}, 1 AS customers
                 FROM customers WHERE tenant_id = $1 AND merged_into IS NULL",
    },
];

impl Sums {
    fn list(names: &[&str], each: impl Fn(&str) -> String) -> String {
        names.iter().map(|name| each(name)).collect::<Vec<_>>().join(", ")
    }

    /// Puts what differs into a table of the connection's own: what should be, less what is.
    fn difference(&self) -> String {
        let keys = self.keys.join(", ");
        let stored = Self::list(self.columns, |column| match self.of_facts.contains(&column) {
            true => format!("CASE WHEN {} > $3 THEN -{column} ELSE 0 END", self.period.0),
            false => format!("-{column}"),
        });
        let sums = Self::list(self.columns, |column| format!("sum({column})::bigint AS {column}"));
        let (period, date) = self.period;
        let source = self.source.replace("{calls}", CALLS).replace("{facts}", FACTS);
        let source = source.replace("{date}", date).replace("{period}", period);
        format!(
            "CREATE TEMPORARY TABLE recount_{table} AS
             SELECT * FROM (
                 SELECT {keys}, {sums} FROM (
                     {source} UNION ALL SELECT {keys}, {stored} FROM {table} WHERE tenant_id = $1
                 ) AS every GROUP BY {keys}
             ) AS summed WHERE ({columns}) <> ({zeros})",
            table = self.table,
            columns = self.columns.join(", "),
            zeros = Self::list(self.columns, |_| "0".to_owned()),
        )
    }

    fn mend(&self) -> String {
        let added = Self::list(self.columns, |column| format!("{column} = stored.{column} + excluded.{column}"));
        format!(
            "INSERT INTO {table} AS stored ({keys}, {columns}) SELECT {keys}, {columns} FROM recount_{table} ORDER BY {keys}
             ON CONFLICT ({keys}) DO UPDATE SET {added}",
            table = self.table,
            keys = self.keys.join(", "),
            columns = self.columns.join(", "),
        )
    }

    fn forget(&self) -> String {
        format!(
            "DELETE FROM {table} WHERE tenant_id = $1 AND ({columns}) = ({zeros})",
            table = self.table,
            columns = self.columns.join(", "),
            zeros = Self::list(self.columns, |_| "0".to_owned()),
        )
    }
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
    sqlx::raw_sql("SET statement_timeout = 0; SET enable_seqscan = on; SET work_mem = '64MB'; SET timezone = 'UTC'")
        .execute(&mut *connection)
        .await?;
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
        compare(connection, tenant, &zone).await?;
        if let Some(counted) = mend(connection, tenant, &zone).await? {
            return Ok(Some(counted));
        }
        // The company moved to another zone meanwhile.
        for sums in &TABLES {
            let drop = format!("DROP TABLE recount_{}", sums.table);
            sqlx::raw_sql(AssertSqlSafe(drop)).execute(&mut *connection).await?;
        }
    }
}

/// The company's zone, once nobody writes by an older one: every writer of facts holds the counters' row.
async fn settled_zone(connection: &mut PgConnection, tenant: TenantId) -> Result<Option<String>> {
    let mut tx = connection.begin().await?;
    sqlx::query("SELECT FROM tenant_counters WHERE tenant_id = $1 FOR UPDATE").bind(tenant.0).execute(&mut *tx).await?;
    let zone = sqlx::query_scalar("SELECT time_zone FROM tenants WHERE id = $1")
        .bind(tenant.0)
        .fetch_optional(&mut *tx)
        .await?;
    tx.commit().await?;
    Ok(zone)
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
        let mut query = sqlx::query(AssertSqlSafe(sums.difference())).bind(tenant.0).bind(zone);
        if !sums.of_facts.is_empty() {
            query = query.bind(lacking);
        }
        query.execute(&mut *tx).await?;
    }
    tx.commit().await?;
    Ok(())
}

/// Adds the differences; `None` when the company has another zone by now.
async fn mend(connection: &mut PgConnection, tenant: TenantId, zone: &str) -> Result<Option<Recounted>> {
    let mut tx = connection.begin().await?;
    sqlx::query("SELECT FROM tenant_counters WHERE tenant_id = $1 FOR UPDATE").bind(tenant.0).execute(&mut *tx).await?;
    let set = sqlx::query("UPDATE tenants SET measured_zone = $2 WHERE id = $1 AND time_zone = $2")
        .bind(tenant.0)
        .bind(zone)
        .execute(&mut *tx)
        .await?;
    if set.rows_affected() == 0 {
        return Ok(None);
    }
    let mut changed = [0; TABLES.len()];
    for (sums, changed) in TABLES.iter().zip(&mut changed) {
        *changed = sqlx::query(AssertSqlSafe(sums.mend())).execute(&mut *tx).await?.rows_affected();
        if *changed > 0 {
            sqlx::query(AssertSqlSafe(sums.forget())).bind(tenant.0).execute(&mut *tx).await?;
        }
    }
    tx.commit().await?;
    let [call_hours, wait_days, agent_days, agent_months, agent_status_days, agent_status_months, customer_days] =
        changed;
    Ok(Some(Recounted {
        call_hours,
        wait_days,
        agent_days,
        agent_months,
        agent_status_days,
        agent_status_months,
        customer_days,
    }))
}
