//! Owns which sums there are, what each is counted from, and the statements that compare and mend one table of them. When they
//! run, and under which locks, is the business of `recount`.

use crate::store::rollups::CALL_SUMS;

/// A table of sums and where they come from. `$1` is the company, `$2` its zone, `$3` the last day of which not all facts are
/// kept any more.
pub(super) struct Sums {
    pub(super) table: &'static str,
    /// The column that says when: `day` or `month`, and how the source tells it.
    period: (&'static str, &'static str),
    keys: &'static [&'static str],
    /// The sums, each with what one row of the source adds.
    columns: &'static [&'static str],
    /// Of these, those that come from facts, which are not kept for ever.
    pub(super) of_facts: &'static [&'static str],
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

pub(super) const TABLES: [Sums; 7] = [
    Sums {
        table: "call_hours",
        period: DAY,
        keys: &["tenant_id", "day", "department_id", "hour"],
        columns: &CALL_SUMS,
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

    /// Puts what differs into a table of the connection's own: what should be, less what is. Its rows are numbered, so that
    /// they can be added some at a time.
    pub(super) fn difference(&self) -> String {
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
             SELECT row_number() OVER (ORDER BY {keys}) AS place, summed.* FROM (
                 SELECT {keys}, {sums} FROM (
                     {source} UNION ALL SELECT {keys}, {stored} FROM {table} WHERE tenant_id = $1
                 ) AS every GROUP BY {keys}
             ) AS summed WHERE ({columns}) <> ({zeros})",
            table = self.table,
            columns = self.columns.join(", "),
            zeros = Self::list(self.columns, |_| "0".to_owned()),
        )
    }

    /// Makes the rows of that table quick to find by their numbers.
    pub(super) fn index(&self) -> String {
        format!("CREATE UNIQUE INDEX ON recount_{table} (place); ANALYZE recount_{table}", table = self.table)
    }

    pub(super) fn drop_difference(&self) -> String {
        format!("DROP TABLE IF EXISTS pg_temp.recount_{}", self.table)
    }

    /// Adds the differences after the place `$1` and up to the place `$2`, in the order of the keys, which is the triggers'.
    pub(super) fn mend(&self) -> String {
        let added = Self::list(self.columns, |column| format!("{column} = stored.{column} + excluded.{column}"));
        format!(
            "INSERT INTO {table} AS stored ({keys}, {columns})
             SELECT {keys}, {columns} FROM recount_{table} WHERE place > $1 AND place <= $2 ORDER BY place
             ON CONFLICT ({keys}) DO UPDATE SET {added}",
            table = self.table,
            keys = self.keys.join(", "),
            columns = self.columns.join(", "),
        )
    }

    /// Deletes those of them that are all zeros now.
    pub(super) fn forget(&self) -> String {
        let same = self.keys.iter().map(|key| format!("stored.{key} = mended.{key}")).collect::<Vec<_>>().join(" AND ");
        format!(
            "DELETE FROM {table} AS stored USING recount_{table} AS mended
             WHERE mended.place > $1 AND mended.place <= $2 AND {same} AND ({columns}) = ({zeros})",
            table = self.table,
            columns = Self::list(self.columns, |column| format!("stored.{column}")),
            zeros = Self::list(self.columns, |_| "0".to_owned()),
        )
    }
}
