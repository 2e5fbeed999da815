//! How fast the record is written: rows and commits a second for several batch sizes and shards, and how long one commit
//! takes, on a throw-away Postgres that syncs as in production, without and with the triggers that keep the sums.
//! `cargo bench --bench record [seconds per case]`.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stdout, clippy::disallowed_methods)] // A measurement prints, reads the real clock, and stops where it fails.

#[path = "../tests/store/scratch.rs"]
#[allow(dead_code)]
mod scratch;
#[path = "../tests/store/world.rs"]
#[allow(dead_code)]
mod world;

use std::sync::Arc;
use std::time::{Duration, Instant};

use vez::domain::call::{CallSnapshot, Phase};
use vez::store::Store;
use vez::store::record::{RecordWriter, TenantBatch};
use world::World;

/// Transitions a call goes through here: join, offer, accept, start, end.
const STEPS: usize = 5;

/// The triggers that keep the sums (migration 0013).
const MEASURING: [(&str, &str); 7] = [
    ("calls", "measured_new"),
    ("calls", "measured_changed"),
    ("events", "measured"),
    ("agents", "measured"),
    ("agents", "measured_first_capacity"),
    ("agents", "measured_wrap_ups"),
    ("customers", "measured_new"),
];

/// A shard's writer and the calls it moves: every batch moves each of its calls one step, so that all steps are mixed.
struct Load {
    world: World,
    writer: RecordWriter,
    calls: Vec<CallSnapshot>,
    next: usize,
    number: i64,
    agent_version: i64,
}

impl Load {
    /// One batch of `rows` transitions with their facts; every accept and end also writes the agent.
    async fn commit(&mut self, rows: usize) -> Duration {
        let mut part = TenantBatch::default();
        for _ in 0..rows {
            self.next = (self.next + 1) % self.calls.len();
            let world = &self.world;
            let call = match (self.calls[self.next].phase, self.calls[self.next].version) {
                (Phase::Ended, _) => {
                    self.number += 1;
                    let call = CallSnapshot {
                        requirements: Arc::new([]),
                        exclusions: Vec::new(),
                        last_offer: None,
                        transfer: None,
                        ..world.call(self.number)
                    };
                    part.new_customers.push(call.caller.clone());
                    call
                }
                (Phase::Active, _) => world.completed(&self.calls[self.next], world.now.plus_seconds(300)),
                (phase, _) => world.next(&self.calls[self.next], |call| {
                    call.phase = match phase {
                        Phase::Waiting => Phase::Offered,
                        Phase::Offered => Phase::Assigned,
                        _ => Phase::Active,
                    };
                    call.user_id = Some(world.user);
                    if call.phase == Phase::Active {
                        (call.accepted_at, call.started_at) = (Some(world.now), Some(world.now));
                    }
                }),
            };
            part.events.push(world.event("call_changed", Some(&call)));
            if matches!(call.phase, Phase::Assigned | Phase::Ended) && part.agents.is_empty() {
                self.agent_version += 1;
                part.agents.push(Arc::new(world.agent(self.agent_version)));
            }
            self.calls[self.next] = call.clone();
            part.calls.push(Arc::new(call));
        }
        let batch = self.world.batch(part);
        let began = Instant::now();
        self.writer.commit(world::batch_id(), &batch).await.unwrap();
        began.elapsed()
    }
}

async fn loads(
    store: &Store,
    options: &sqlx::postgres::PgConnectOptions,
    shards: i32,
    rows: usize,
    name: &str,
) -> Vec<Load> {
    let owner = vez::store::ownership::Ownership::acquire(
        options,
        uuid::Uuid::from_u128(9),
        Duration::from_secs(5),
        &vez::domain::clock::Clock::system(),
    )
    .await
    .unwrap();
    let mut loads = Vec::new();
    for shard in 0..shards {
        let world = World::new(store, &format!("{name}-{shard}")).await;
        let writer = RecordWriter::new(store.system().clone(), shard, owner.epoch);
        // As many calls as keep every batch full of different ones, at all steps of their lives.
        let mut load = Load { world, writer, calls: Vec::new(), next: 0, number: 0, agent_version: 0 };
        for index in 0..(rows * STEPS) {
            load.number += 1;
            let mut call = load.world.call(load.number);
            if index % STEPS > 0 {
                call.phase = Phase::Ended;
            }
            load.calls.push(call);
        }
        for _ in 0..2 * STEPS {
            load.commit(rows).await;
        }
        loads.push(load);
    }
    owner.release(vez::domain::clock::Clock::system().now()).await.unwrap();
    loads
}

fn main() {
    // `cargo test --all-targets` runs this program too, without saying that it is a measurement.
    if !std::env::args().any(|argument| argument == "--bench") {
        return;
    }
    let seconds = std::env::args().filter_map(|argument| argument.parse().ok()).next().unwrap_or(3u64);
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(async {
        let server = scratch::Server::start("-c shared_buffers=128MB");
        let mut admin =
            <sqlx::PgConnection as sqlx::Connection>::connect_with(&server.options("postgres")).await.unwrap();
        sqlx::raw_sql("CREATE DATABASE bench").execute(&mut admin).await.unwrap();
        let options = server.options("bench");
        vez::store::migrate(&options).await.unwrap();
        let mut bench = <sqlx::PgConnection as sqlx::Connection>::connect_with(&options).await.unwrap();
        let store = Store::connect(options.clone(), 4, 4).await.unwrap();
        println!("sums  shards  rows/batch  rows/s  commits/s  p50 ms  p99 ms");
        for (shards, rows) in [(1, 1usize), (1, 20), (1, 200), (2, 1), (2, 20), (2, 200)] {
            for sums in ["no", "yes"] {
                for (table, trigger) in MEASURING {
                    let word = if sums == "yes" { "ENABLE" } else { "DISABLE" };
                    let alter = format!("ALTER TABLE {table} {word} TRIGGER {trigger}");
                    sqlx::raw_sql(sqlx::AssertSqlSafe(alter)).execute(&mut bench).await.unwrap();
                }
                let loads = loads(&store, &options, shards, rows, &format!("b{shards}-{rows}-{sums}")).await;
                let until = Instant::now() + Duration::from_secs(seconds);
                let mut tasks = tokio::task::JoinSet::new();
                for mut load in loads {
                    tasks.spawn(async move {
                        let mut times = Vec::new();
                        while Instant::now() < until {
                            times.push(load.commit(rows).await);
                        }
                        times
                    });
                }
                let mut times: Vec<Duration> = tasks.join_all().await.into_iter().flatten().collect();
                times.sort();
                let commits = times.len() as f64 / seconds as f64;
                let at = |share: f64| times[(times.len() as f64 * share) as usize].as_secs_f64() * 1e3;
                println!(
                    "{sums:>4}  {shards:>6}  {rows:>10}  {:>6.0}  {commits:>9.0}  {:>6.2}  {:>6.2}",
                    commits * rows as f64,
                    at(0.5),
                    at(0.99)
                );
            }
        }
        // How many changes stayed in their page: the rest also touched every index of their table.
        tokio::time::sleep(Duration::from_secs(1)).await;
        let hot: Vec<(String, i64, i64)> = sqlx::query_as(
            "SELECT relname::text, n_tup_upd, n_tup_hot_upd FROM pg_stat_user_tables WHERE n_tup_upd > 0 ORDER BY 1",
        )
        .fetch_all(&mut bench)
        .await
        .unwrap();
        for (table, updates, hot) in hot {
            println!("{table}: {updates} updates, {:.0} % in their page", 100.0 * hot as f64 / updates as f64);
        }
        store.close().await;
    });
}
