//! Whether analytics come from sums: the four questions asked of a real server over a company's whole past, against the same
//! figures computed from `calls` in SQL, in one run and digit for digit.
//!
//!     cargo bench --bench analytics -- --calls 10000000
//!
//! Ten million calls take five to twenty minutes to make and 17 GB of disk; the database is a temporary one of its own, or stays
//! in `--data-dir` for another run. Ends with 1 when a figure differs or an answer takes more than a fiftieth of the SQL's time.

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "a benchmark reads the real clock, says what it found, and fails by panicking"
)]

use std::path::PathBuf;
use std::time::{Duration, Instant};

use chrono::NaiveDate;
use clap::Parser as _;
use serde_json::{Value, json};
use sqlx::postgres::PgConnection;
use sqlx::{AssertSqlSafe, Connection as _, Row as _};
use uuid::Uuid;
use vez::app::{App, Parts};
use vez::auth::tokens::Bearer;
use vez::cli::{Cli, commands};
use vez::config::Config;
use vez::domain::clock::Clock;
use vez::domain::ids::{IdSource, TenantId};
use vez::domain::measures::{Answers, Figures, percent, tenths};
use vez::domain::role::Role;
use vez::store::embedded::Embedded;
use vez::store::users::{self, NewUser};

/// Answers may take so much of the SQL's time.
const SHARE_MAX: f64 = 1.0 / 50.0;
/// Each question is asked so often; the median counts.
const ASKED: usize = 5;
const DAYS: u32 = 730;
const LAST_DAY: &str = "2026-06-30";
const FIRST_DAY: &str = "2024-07-01";
const ZONE: &str = "America/Sao_Paulo";
const SLUG: &str = "benchmark";

/// What is computed from the calls themselves, by whatever key: nothing of ours but the formulas of `domain::measures`. Seconds
/// are between times without fractions.
const SUMS: &str = "
    count(*) FILTER (WHERE status = 'completed') AS completed, count(*) FILTER (WHERE status = 'missed') AS missed,
    count(*) FILTER (WHERE status = 'cancelled') AS cancelled, count(started_at) AS answered,
    count(*) FILTER (WHERE started_at IS NOT NULL
        AND floor(date_part('epoch', accepted_at)) - floor(date_part('epoch', inserted_at)) <= service_level_seconds)
        AS answered_in_time,
    coalesce(sum(floor(date_part('epoch', accepted_at)) - floor(date_part('epoch', inserted_at)))
        FILTER (WHERE started_at IS NOT NULL), 0)::bigint AS wait_seconds,
    count(*) FILTER (WHERE started_at IS NULL AND end_reason IN ('left', 'abandoned', 'never_connected', 'timed_out')) AS abandoned,
    count(*) FILTER (WHERE started_at IS NULL AND end_reason IN ('left', 'abandoned', 'never_connected', 'timed_out')
        AND floor(date_part('epoch', completed_at)) - floor(date_part('epoch', inserted_at)) < 5) AS abandoned_short,
    coalesce(sum(floor(date_part('epoch', completed_at)) - floor(date_part('epoch', started_at))), 0)::bigint AS talk_seconds,
    coalesce(sum(floor(date_part('epoch', wrap_up_ends_at)) - floor(date_part('epoch', completed_at)))
        FILTER (WHERE started_at IS NOT NULL), 0)::bigint AS wrap_up_seconds,
    count(rating) AS rated, coalesce(sum(rating), 0)::bigint AS rating_total, count(*) FILTER (WHERE rating >= 4) AS satisfied";

/// The command line; `cargo bench` adds `--bench`.
#[derive(Debug, clap::Parser)]
struct Arguments {
    /// How many calls to make.
    #[arg(long, default_value_t = 1_000_000)]
    calls: u64,
    /// Where the database stays for another run, which then makes no calls; else it is a temporary one.
    #[arg(long)]
    data_dir: Option<PathBuf>,
    #[arg(long, hide = true)]
    bench: bool,
}

fn main() {
    let arguments = Arguments::parse();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let held = runtime.block_on(run(&arguments));
    std::process::exit(i32::from(!held));
}

async fn run(arguments: &Arguments) -> bool {
    let temporary = tempfile::Builder::new()
        .prefix("vez-bench-")
        .permissions(std::os::unix::fs::PermissionsExt::from_mode(0o711))
        .tempdir()
        .unwrap();
    let home = arguments.data_dir.as_deref().unwrap_or(temporary.path());
    let embedded = Embedded::start(&home.join("postgres")).await.unwrap();
    let url = embedded.database_url();
    if is_made(&embedded).await {
        println!("the calls are those of an earlier run");
    } else {
        let (calls, days) = (arguments.calls.to_string(), DAYS.to_string());
        let generate = ["vez", "data", "generate", "--calls", &calls, "--days", &days, "--until", LAST_DAY];
        let rest = ["--tenant", SLUG, "--zone", ZONE, "--departments", "8", "--database-url", &url];
        commands::run(Cli::parse_from(generate.into_iter().chain(rest))).await.unwrap();
    }

    let mut database = PgConnection::connect_with(&embedded.connect_options()).await.unwrap();
    let began = Instant::now();
    sqlx::raw_sql("VACUUM ANALYZE").execute(&mut database).await.unwrap();
    println!("vacuumed and analysed in {:.1} s", began.elapsed().as_secs_f64());
    let mut config = Config::default();
    config.database.url = Some(url.into());
    config.database.data_dir = home.to_owned();
    config.limits.rate_limit = false;
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let app = App::start(config, Parts { listener: Some(listener), ..Parts::real() }).await.unwrap();
    let bench = Bench::new(&app, database).await;
    let held = bench.compare().await;
    app.shutdown().await;
    embedded.stop().await;
    held
}

/// Whether an earlier run left the company here.
async fn is_made(embedded: &Embedded) -> bool {
    let mut database = PgConnection::connect_with(&embedded.connect_options()).await.unwrap();
    let migrated: bool =
        sqlx::query_scalar("SELECT to_regclass('tenants') IS NOT NULL").fetch_one(&mut database).await.unwrap();
    let made = "SELECT EXISTS (SELECT FROM tenants WHERE slug = $1)";
    migrated && sqlx::query_scalar::<_, bool>(made).bind(SLUG).fetch_one(&mut database).await.unwrap()
}

struct Bench {
    database: tokio::sync::Mutex<PgConnection>,
    http: reqwest::Client,
    base: String,
    token: String,
    tenant: Uuid,
}

impl Bench {
    async fn new(app: &App, mut database: PgConnection) -> Self {
        let tenant: Uuid = sqlx::query_scalar("SELECT id FROM tenants WHERE slug = $1")
            .bind(SLUG)
            .fetch_one(&mut database)
            .await
            .unwrap();
        let (ids, now) = (IdSource::random(), Clock::system().now());
        let user = ids.next(now);
        let mut work = app.store().work(TenantId(tenant), now, None).await.unwrap();
        let new = NewUser {
            id: user,
            name: "Boss".into(),
            email: format!("{user}@benchmark.example"),
            password_hash: String::new(),
            role: Role::Manager,
            locale: None,
            capacity: 1,
            skills: Vec::new(),
            active: true,
            avatar_url: None,
        };
        users::create(&mut work, new).await.unwrap();
        work.commit().await.unwrap();
        let session = ids.next(now);
        let bearer = Bearer { tenant: TenantId(tenant), slug: SLUG.into(), user, role: Role::Manager, session };
        let token = app.tokens().issue_access(&bearer).unwrap();
        Self {
            database: tokio::sync::Mutex::new(database),
            http: reqwest::Client::new(),
            base: format!("http://{}", app.addr),
            token,
            tenant,
        }
    }

    async fn compare(&self) -> bool {
        let mut held = true;
        println!("{:<10} {:>12} {:>12} {:>9}   figures", "", "answer", "SQL", "ratio");
        for what in ["overview", "hourly", "trends", "agents"] {
            let (told, answer_time) = self.ask(what).await;
            let (computed, sql_time) = match what {
                "overview" => self.overview().await,
                "hourly" => self.grouped("date_part('hour', inserted_at AT TIME ZONE $4)::integer::text").await,
                "trends" => self.grouped("(inserted_at AT TIME ZONE $4)::date::text").await,
                _ => self.by_agent().await,
            };
            let differences = differences(what, &told, &computed);
            let ratio = sql_time.as_secs_f64() / answer_time.as_secs_f64();
            let word = if differences.is_empty() { "equal" } else { "DIFFERENT" };
            println!(
                "{what:<10} {:>9.1} ms {:>9.1} ms {ratio:>8.0}x   {word}",
                answer_time.as_secs_f64() * 1e3,
                sql_time.as_secs_f64() * 1e3
            );
            for difference in differences.iter().take(10) {
                println!("    {difference}");
            }
            held &= differences.is_empty() && ratio.recip() <= SHARE_MAX;
        }
        let began = Instant::now();
        let url = format!("{}/api/v1/analytics/refresh-views", self.base);
        let answer = self.http.post(url).bearer_auth(&self.token).send().await.unwrap();
        let answer: Value = answer.json().await.unwrap();
        println!("counted anew in {:.1} s: {answer}", began.elapsed().as_secs_f64());
        held && answer["data"]["changed_rows"] == json!(0)
    }

    /// The answer, and the median time it took.
    async fn ask(&self, what: &str) -> (Value, Duration) {
        let url = format!("{}/api/v1/analytics/{what}?date_from={FIRST_DAY}&date_to={LAST_DAY}", self.base);
        let (mut told, mut times) = (Value::Null, Vec::new());
        for _ in 0..ASKED {
            let began = Instant::now();
            let answer = self.http.get(&url).bearer_auth(&self.token).send().await.unwrap();
            assert_eq!(answer.status().as_u16(), 200, "{what}");
            told = answer.json::<Value>().await.unwrap()["data"].take();
            times.push(began.elapsed());
        }
        times.sort();
        (told, times[ASKED / 2])
    }

    async fn rows(&self, sql: &str) -> (Vec<sqlx::postgres::PgRow>, Duration) {
        let mut database = self.database.lock().await;
        let mut fastest = Duration::MAX;
        let mut rows = Vec::new();
        // The second time everything is in memory that fits.
        for _ in 0..2 {
            let began = Instant::now();
            rows = sqlx::query(AssertSqlSafe(sql.to_owned()))
                .bind(self.tenant)
                .bind(FIRST_DAY.parse::<NaiveDate>().unwrap())
                .bind(LAST_DAY.parse::<NaiveDate>().unwrap().succ_opt().unwrap())
                .bind(ZONE)
                .fetch_all(&mut *database)
                .await
                .unwrap();
            fastest = fastest.min(began.elapsed());
        }
        (rows, fastest)
    }

    async fn grouped(&self, key: &str) -> (Value, Duration) {
        self.counted(key, SUMS).await
    }

    async fn counted(&self, key: &str, sums: &str) -> (Value, Duration) {
        let sql = format!("SELECT {key} AS key, {sums} FROM {CALLS} GROUP BY 1");
        let (rows, time) = self.rows(&sql).await;
        let map = rows.iter().map(|row| (row.get::<String, _>("key"), counts(&figures(row)))).collect();
        (Value::Object(map), time)
    }

    /// Agents' figures are of their own talk.
    async fn by_agent(&self) -> (Value, Duration) {
        let own = SUMS.replace("date_part('epoch', started_at)", &format!("date_part('epoch', {OWN_TALK_BEGINS})"));
        self.counted("coalesce(user_id::text, '')", &own).await
    }

    async fn overview(&self) -> (Value, Duration) {
        let sql = format!(
            "SELECT {SUMS}, percentile_disc(ARRAY[0.5, 0.9, 0.95, 0.99]) WITHIN GROUP (
                 ORDER BY (floor(date_part('epoch', accepted_at)) - floor(date_part('epoch', inserted_at)))::bigint
             ) FILTER (WHERE started_at IS NOT NULL) AS waits,
             max((floor(date_part('epoch', accepted_at)) - floor(date_part('epoch', inserted_at)))) FILTER (WHERE started_at IS NOT NULL)::bigint AS longest,
             (SELECT count(*) FROM customers WHERE tenant_id = $1 AND merged_into IS NULL
                 AND inserted_at < $3::timestamp AT TIME ZONE $4) AS customers
             FROM {CALLS}"
        );
        let (rows, time) = self.rows(&sql).await;
        let row = &rows[0];
        let sum = figures(row);
        let waits: Vec<i64> = row.get("waits");
        let mut told = counts(&sum);
        told["total_customers"] = json!(row.get::<i64, _>("customers"));
        told["longest_wait"] = json!(row.get::<i64, _>("longest"));
        told["wait_percentiles"] = json!({"p50": waits[0], "p90": waits[1], "p95": waits[2], "p99": waits[3]});
        told["short_abandonment_rate"] = json!(sum.answers.short_abandonment_rate().map(percent));
        (told, time)
    }
}

/// An agent's talk begins when he took the call: what another one talked before him is not his. Who took a call that never
/// began did not talk at all.
const OWN_TALK_BEGINS: &str = "CASE WHEN started_at IS NOT NULL THEN greatest(started_at, assigned_at) END";

const CALLS: &str = "calls WHERE tenant_id = $1 AND NOT open
    AND inserted_at >= $2::timestamp AT TIME ZONE $4 AND inserted_at < $3::timestamp AT TIME ZONE $4";

fn figures(row: &sqlx::postgres::PgRow) -> Figures {
    let sum = |column: &str| row.get::<i64, _>(column).unsigned_abs();
    Figures {
        answers: Answers {
            answered: sum("answered"),
            answered_in_time: sum("answered_in_time"),
            wait_seconds: sum("wait_seconds"),
            abandoned: sum("abandoned"),
            abandoned_short: sum("abandoned_short"),
        },
        completed: sum("completed"),
        missed: sum("missed"),
        cancelled: sum("cancelled"),
        handled: sum("answered"),
        talk_seconds: sum("talk_seconds"),
        wrap_up_seconds: sum("wrap_up_seconds"),
        rated: sum("rated"),
        rating_total: sum("rating_total"),
        satisfied: sum("satisfied"),
        ..Figures::default()
    }
}

/// By all the names that the four answers have for them.
fn counts(sum: &Figures) -> Value {
    let whole = |seconds: Option<f64>| json!(seconds.map(|seconds| seconds.round() as u64));
    let mut told = json!({
        "answered": sum.answers.answered, "abandoned": sum.answers.abandoned,
        "avg_duration": whole(sum.average_talk_seconds()),
        "avg_wait_time": whole(sum.answers.average_speed_of_answer_seconds()),
        "avg_handle_time": whole(sum.average_handle_seconds()), "avg_wrap_up_time": whole(sum.average_wrap_up_seconds()),
        "avg_rating": sum.average_rating().map(tenths), "satisfaction_rate": sum.satisfaction_rate().map(percent),
        "service_level": sum.answers.service_level().map(percent),
        "abandonment_rate": sum.answers.abandonment_rate().map(percent),
        "completion_rate": sum.completion_rate().map(percent),
        "short_abandoned_calls": sum.answers.abandoned_short,
    });
    for (name, count) in [
        ("total", sum.total()),
        ("completed", sum.completed),
        ("missed", sum.missed),
        ("cancelled", sum.cancelled),
        ("answered", sum.answers.answered),
        ("abandoned", sum.answers.abandoned),
    ] {
        told[name] = json!(count);
        told[format!("{name}_calls")] = json!(count);
    }
    told
}

/// What the answer tells otherwise than the SQL, of everything both tell.
fn differences(what: &str, told: &Value, computed: &Value) -> Vec<String> {
    let rows: Vec<(String, &Value)> = match (what, told) {
        ("overview", _) => vec![(String::new(), told)],
        (_, Value::Array(rows)) => {
            let key = match what {
                "hourly" => "hour",
                "trends" => "date",
                _ => "user_id",
            };
            rows.iter().map(|row| (row[key].to_string().trim_matches('"').to_owned(), row)).collect()
        }
        _ => return vec![format!("no rows: {told}")],
    };
    let mut found = Vec::new();
    let mut compared = 0;
    for (key, row) in rows {
        let expected = if key.is_empty() { computed } else { &computed[&key] };
        for (name, value) in row.as_object().unwrap() {
            // Who had no calls is in no group; what only sums know has no other side.
            let Some(expected) = expected.get(name) else { continue };
            compared += 1;
            if expected != value {
                found.push(format!("{key} {name}: {value}, and {expected} by SQL"));
            }
        }
    }
    if compared < 10 {
        found.push(format!("only {compared} figures could be compared"));
    }
    found
}
