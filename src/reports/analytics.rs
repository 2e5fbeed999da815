//! Owns the analytics of a company: sums of whole days of its own calendar, read from what `migrations/0013_measures.sql` keeps.
//! What each figure means is for `domain::measures`; nothing is defined here.

use std::collections::{BTreeMap, HashMap};

use chrono::{Datelike as _, Months, NaiveDate};
use sqlx::{AssertSqlSafe, Row as _};
use uuid::Uuid;

use crate::domain::clock::Timestamp;
use crate::domain::ids::{DepartmentId, TenantId, UserId};
use crate::domain::measures::{AgentTime, Answers, Figures};
use crate::store::rollups::CALL_SUMS;
use crate::store::{StoreError, Transaction};

/// Which calls: those that joined on these days of the company's calendar, the last one included.
#[derive(Clone, Copy, Debug)]
pub struct Days {
    pub tenant: TenantId,
    pub first: NaiveDate,
    pub last: NaiveDate,
    pub department: Option<DepartmentId>,
}

/// How long the answered waited, in whole seconds: the least wait that so many percent did not exceed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Waits {
    pub p50_seconds: Option<i64>,
    pub p90_seconds: Option<i64>,
    pub p95_seconds: Option<i64>,
    pub p99_seconds: Option<i64>,
    pub longest_seconds: Option<i64>,
}

/// The company's customers: all that there were at the end of the last day, and those the days brought.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Customers {
    pub total: i64,
    pub new: i64,
}

/// One agent's share.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AgentReport {
    pub user_id: UserId,
    pub name: String,
    pub active: bool,
    /// Of calls he was the last agent of, with his own talk of them; offers and transfers are his own, too.
    pub figures: Figures,
    pub time: AgentTime,
}

/// Those that nobody counts for an agent: who is not answered has none.
const NOT_OF_AGENTS: [&str; 4] = ["abandoned", "abandoned_short", "estimated", "estimate_kept"];

const IN_DAYS: &str = "tenant_id = $1 AND day BETWEEN $2 AND $3 AND ($4::uuid IS NULL OR department_id = $4)";

/// Whether the sums are kept by the days of the company's present zone. If not, they are being counted anew.
pub async fn are_current(tx: &mut Transaction, tenant: TenantId) -> Result<bool, StoreError> {
    let current = sqlx::query_scalar!(
        "SELECT COALESCE(measured_zone = time_zone, false) AS \"current!\" FROM tenants WHERE id = $1",
        tenant.0
    )
    .fetch_optional(&mut **tx)
    .await?;
    Ok(current.unwrap_or(false))
}

/// The sums of all days together.
pub async fn total(tx: &mut Transaction, days: &Days) -> Result<Figures, StoreError> {
    let rows = grouped::<i32>(tx, days, "0").await?;
    Ok(rows.into_values().next().unwrap_or_default())
}

/// By hour of the day, 0 to 23. On a day on which clocks are put back an hour comes twice and counts twice.
pub async fn by_hour(tx: &mut Transaction, days: &Days) -> Result<BTreeMap<i32, Figures>, StoreError> {
    let mut hours: BTreeMap<i32, Figures> = (0..24).map(|hour| (hour, Figures::default())).collect();
    hours.extend(grouped(tx, days, "hour::integer").await?);
    Ok(hours)
}

/// By day; days without calls have nothing.
pub async fn by_day(tx: &mut Transaction, days: &Days) -> Result<BTreeMap<NaiveDate, Figures>, StoreError> {
    grouped(tx, days, "day").await
}

async fn grouped<K>(tx: &mut Transaction, days: &Days, key: &str) -> Result<BTreeMap<K, Figures>, StoreError>
where
    K: Ord + for<'r> sqlx::Decode<'r, sqlx::Postgres> + sqlx::Type<sqlx::Postgres>,
{
    let sql = format!("SELECT {key} AS key, {} FROM call_hours WHERE {IN_DAYS} GROUP BY 1", sums(&[]));
    let rows = sqlx::query(AssertSqlSafe(sql))
        .bind(days.tenant.0)
        .bind(days.first)
        .bind(days.last)
        .bind(days.department.map(|id| id.0))
        .fetch_all(&mut **tx)
        .await?;
    rows.iter()
        .map(|row| Ok((row.try_get("key")?, figures(row)?)))
        .collect::<Result<_, sqlx::Error>>()
        .map_err(Into::into)
}

/// How long the answered waited.
pub async fn waits(tx: &mut Transaction, days: &Days) -> Result<Waits, StoreError> {
    let row = sqlx::query!(
        "WITH waits AS (
             SELECT wait_seconds, sum(answered) AS answered FROM wait_days
             WHERE tenant_id = $1 AND day BETWEEN $2 AND $3 AND ($4::uuid IS NULL OR department_id = $4)
             GROUP BY wait_seconds HAVING sum(answered) > 0
         ), running AS (
             SELECT wait_seconds, sum(answered) OVER (ORDER BY wait_seconds) AS upto, sum(answered) OVER () AS every FROM waits
         )
         SELECT min(wait_seconds) FILTER (WHERE upto * 100 >= every * 50) AS p50,
                min(wait_seconds) FILTER (WHERE upto * 100 >= every * 90) AS p90,
                min(wait_seconds) FILTER (WHERE upto * 100 >= every * 95) AS p95,
                min(wait_seconds) FILTER (WHERE upto * 100 >= every * 99) AS p99,
                max(wait_seconds) AS longest
         FROM running",
        days.tenant.0,
        days.first,
        days.last,
        days.department.map(|id| id.0)
    )
    .fetch_one(&mut **tx)
    .await?;
    Ok(Waits {
        p50_seconds: row.p50.map(i64::from),
        p90_seconds: row.p90.map(i64::from),
        p95_seconds: row.p95.map(i64::from),
        p99_seconds: row.p99.map(i64::from),
        longest_seconds: row.longest.map(i64::from),
    })
}

/// The company's customers, of whatever department.
pub async fn customers(tx: &mut Transaction, days: &Days) -> Result<Customers, StoreError> {
    let row = sqlx::query!(
        "SELECT COALESCE(sum(customers), 0)::bigint AS \"total!\",
                COALESCE(sum(customers) FILTER (WHERE day >= $2), 0)::bigint AS \"new!\"
         FROM customer_days WHERE tenant_id = $1 AND day <= $3",
        days.tenant.0,
        days.first,
        days.last
    )
    .fetch_one(&mut **tx)
    .await?;
    Ok(Customers { total: row.total, new: row.new })
}

/// Whole months of the range, and the days before and after them: `[from, to)` each.
struct Parts {
    first_month: NaiveDate,
    end_month: NaiveDate,
}

impl Parts {
    /// Without a whole month both are the day after the last, so that all of the range is days.
    fn of(days: &Days) -> Self {
        let month_of = |day: NaiveDate| day.with_day(1).unwrap_or(day);
        let after = days.last.succ_opt().unwrap_or(days.last);
        let first_month = match month_of(days.first) == days.first {
            true => days.first,
            false => month_of(days.first).checked_add_months(Months::new(1)).unwrap_or(after),
        };
        let end_month = month_of(after);
        if first_month < end_month {
            Self { first_month, end_month }
        } else {
            Self { first_month: after, end_month: after }
        }
    }
}

/// Every agent who is active or has something to show, by name. Times by status are his whole ones, also when the calls are of
/// one department; the status he has at `now` counts up to then. Whole months come from sums by month.
pub async fn agents(tx: &mut Transaction, days: &Days, now: Timestamp) -> Result<Vec<AgentReport>, StoreError> {
    let mut times = agent_times(tx, days, now).await?;
    let parts = Parts::of(days);
    // An agent's talk begins when he took the call: what another one talked before him is not his.
    let own = |column: &&'static str| match *column {
        "talk_seconds" => "call_talk_seconds AS talk_seconds",
        column => column,
    };
    let columns =
        CALL_SUMS.iter().filter(|column| !NOT_OF_AGENTS.contains(column)).map(own).collect::<Vec<_>>().join(", ");
    let sql = format!(
        "SELECT users.id, users.name, users.active, COALESCE(work.own_talk_seconds, 0)::bigint AS own_talk_seconds, {}
         FROM users LEFT JOIN (
             SELECT user_id, sum(call_talk_seconds + given_talk_seconds)::bigint AS own_talk_seconds, {} FROM (
                 SELECT user_id, call_talk_seconds, given_talk_seconds, {columns} FROM agent_months
                 WHERE tenant_id = $1 AND month >= $5 AND month < $6 AND ($4::uuid IS NULL OR department_id = $4)
                 UNION ALL
                 SELECT user_id, call_talk_seconds, given_talk_seconds, {columns} FROM agent_days
                 WHERE {IN_DAYS} AND day < $5
                 UNION ALL
                 SELECT user_id, call_talk_seconds, given_talk_seconds, {columns} FROM agent_days
                 WHERE {IN_DAYS} AND day >= $6
             ) AS parts GROUP BY user_id
         ) AS work ON work.user_id = users.id
         WHERE users.tenant_id = $1 ORDER BY lower(users.name) COLLATE vez_names, users.id",
        CALL_SUMS.map(|column| format!("COALESCE(work.{column}, 0) AS {column}")).join(", "),
        sums(&NOT_OF_AGENTS)
    );
    let rows = sqlx::query(AssertSqlSafe(sql))
        .bind(days.tenant.0)
        .bind(days.first)
        .bind(days.last)
        .bind(days.department.map(|id| id.0))
        .bind(parts.first_month)
        .bind(parts.end_month)
        .fetch_all(&mut **tx)
        .await?;
    let mut agents = Vec::with_capacity(rows.len());
    for row in &rows {
        let (id, figures): (Uuid, Figures) = (row.try_get("id")?, figures(row)?);
        let time = AgentTime {
            talk_seconds: row.try_get::<i64, _>("own_talk_seconds")?.unsigned_abs(),
            wrap_up_seconds: figures.wrap_up_seconds,
            ..times.remove(&id).unwrap_or_default()
        };
        let active: bool = row.try_get("active")?;
        if active || figures != Figures::default() || time != AgentTime::default() {
            agents.push(AgentReport { user_id: UserId(id), name: row.try_get("name")?, active, figures, time });
        }
    }
    Ok(agents)
}

/// All agents' times together.
pub fn summed(agents: &[AgentReport]) -> AgentTime {
    agents.iter().fold(AgentTime::default(), |sum, agent| AgentTime {
        available_seconds: sum.available_seconds + agent.time.available_seconds,
        capacity_seconds: sum.capacity_seconds + agent.time.capacity_seconds,
        paused_seconds: sum.paused_seconds + agent.time.paused_seconds,
        held_seconds: sum.held_seconds + agent.time.held_seconds,
        disconnected_seconds: sum.disconnected_seconds + agent.time.disconnected_seconds,
        talk_seconds: sum.talk_seconds + agent.time.talk_seconds,
        wrap_up_seconds: sum.wrap_up_seconds + agent.time.wrap_up_seconds,
    })
}

async fn agent_times(
    tx: &mut Transaction,
    days: &Days,
    now: Timestamp,
) -> Result<HashMap<Uuid, AgentTime>, StoreError> {
    let parts = Parts::of(days);
    let rows = sqlx::query_as!(
        TimeRow,
        "SELECT user_id AS \"user_id!\",
                sum(available_seconds)::bigint AS \"available!\", sum(capacity_seconds)::bigint AS \"capacity!\",
                sum(paused_seconds)::bigint AS \"paused!\", sum(held_seconds)::bigint AS \"held!\",
                sum(disconnected_seconds)::bigint AS \"disconnected!\"
         FROM (
             SELECT user_id, available_seconds, capacity_seconds, paused_seconds, held_seconds, disconnected_seconds
             FROM agent_status_months WHERE tenant_id = $1 AND month >= $5 AND month < $6
             UNION ALL
             SELECT user_id, available_seconds, capacity_seconds, paused_seconds, held_seconds, disconnected_seconds
             FROM agent_status_days WHERE tenant_id = $1 AND day BETWEEN $2 AND $3 AND day < $5
             UNION ALL
             SELECT user_id, available_seconds, capacity_seconds, paused_seconds, held_seconds, disconnected_seconds
             FROM agent_status_days WHERE tenant_id = $1 AND day BETWEEN $2 AND $3 AND day >= $6
             UNION ALL
             SELECT agents.user_id, spent.available_seconds, spent.capacity_seconds, spent.paused_seconds,
                    spent.held_seconds, spent.disconnected_seconds
             FROM agents
             JOIN tenants ON tenants.id = agents.tenant_id
             CROSS JOIN LATERAL vez_interval_days(
                 agents.measured_from, $4, agents.measured_status, agents.measured_capacity, tenants.time_zone
             ) AS spent
             WHERE agents.tenant_id = $1 AND agents.measured_status <> 'offline' AND agents.measured_from < $4
                   AND spent.day BETWEEN $2 AND $3
         ) AS times
         GROUP BY user_id",
        days.tenant.0,
        days.first,
        days.last,
        now.to_utc(),
        parts.first_month,
        parts.end_month
    )
    .fetch_all(&mut **tx)
    .await?;
    let time = |row: &TimeRow| AgentTime {
        available_seconds: row.available.unsigned_abs(),
        capacity_seconds: row.capacity.unsigned_abs(),
        paused_seconds: row.paused.unsigned_abs(),
        held_seconds: row.held.unsigned_abs(),
        disconnected_seconds: row.disconnected.unsigned_abs(),
        ..AgentTime::default()
    };
    Ok(rows.iter().map(|row| (row.user_id, time(row))).collect())
}

struct TimeRow {
    user_id: Uuid,
    available: i64,
    capacity: i64,
    paused: i64,
    held: i64,
    disconnected: i64,
}

fn sums(absent: &[&str]) -> String {
    let sum = |column: &&str| match absent.contains(column) {
        true => format!("0::bigint AS {column}"),
        false => format!("COALESCE(sum({column}), 0)::bigint AS {column}"),
    };
    CALL_SUMS.iter().map(sum).collect::<Vec<_>>().join(", ")
}

fn figures(row: &sqlx::postgres::PgRow) -> Result<Figures, sqlx::Error> {
    let sum = |column: &str| row.try_get::<i64, _>(column).map(i64::unsigned_abs);
    Ok(Figures {
        answers: Answers {
            answered: sum("answered")?,
            answered_in_time: sum("answered_in_time")?,
            wait_seconds: sum("wait_seconds")?,
            abandoned: sum("abandoned")?,
            abandoned_short: sum("abandoned_short")?,
        },
        completed: sum("completed")?,
        missed: sum("missed")?,
        cancelled: sum("cancelled")?,
        handled: sum("handled")?,
        talk_seconds: sum("talk_seconds")?,
        wrap_up_seconds: sum("wrap_up_seconds")?,
        rated: sum("rated")?,
        rating_total: sum("rating_total")?,
        satisfied: sum("satisfied")?,
        estimated: sum("estimated")?,
        estimate_kept: sum("estimate_kept")?,
        transfers: sum("transfers")?,
        offers_missed: sum("offers_missed")?,
        offers_declined: sum("offers_declined")?,
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;

    #[test]
    fn a_range_is_its_whole_months_and_the_days_around_them() {
        let day = |text: &str| text.parse::<NaiveDate>().unwrap();
        for (first, last, months) in [
            ("2026-01-01", "2026-01-31", ("2026-01-01", "2026-02-01")),
            ("2026-01-02", "2026-03-31", ("2026-02-01", "2026-04-01")),
            ("2025-12-15", "2026-03-30", ("2026-01-01", "2026-03-01")),
            // None is whole: the days before them are all.
            ("2026-01-02", "2026-01-31", ("2026-02-01", "2026-02-01")),
            ("2026-01-02", "2026-02-27", ("2026-02-28", "2026-02-28")),
            ("2026-05-05", "2026-05-05", ("2026-05-06", "2026-05-06")),
        ] {
            let days = Days { tenant: TenantId(Uuid::nil()), first: day(first), last: day(last), department: None };
            let Parts { first_month, end_month } = Parts::of(&days);
            assert_eq!((first_month, end_month), (day(months.0), day(months.1)), "{first} to {last}");
        }
    }
}
