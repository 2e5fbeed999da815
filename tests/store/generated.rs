//! Generated history in a real database: rows the record could have left, a feed without gaps, sums that agree.

use std::sync::Arc;

use chrono::NaiveDate;
use vez::cli::generate::calendar::Opening;
use vez::cli::generate::{self, Desk, Plan, Sink, Worker};
use vez::domain::ids::{IdSource, TenantId};
use vez::store::generated::{CallRow, Chunk, CustomerRow, FactRow, IntervalRow, LinkRow, Loader, has_calls};
use vez::store::numbers::{Counter, reserve};
use vez::store::{events, recount};

use crate::scratch;
use crate::world::World;

const CALLS: u32 = 1_500;

/// Gathers everything into chunks.
struct Gathered {
    tenant: TenantId,
    chunk: Chunk,
    chunks: Vec<Chunk>,
}

impl Sink for Gathered {
    fn call(&mut self, call: &CallRow<'_>) {
        if self.chunk.calls() >= 400 {
            self.chunks.push(std::mem::replace(&mut self.chunk, Chunk::new(self.tenant)));
        }
        self.chunk.call(call);
    }
    fn customer(&mut self, customer: &CustomerRow<'_>) {
        self.chunk.customer(customer);
    }
    fn link(&mut self, link: &LinkRow<'_>) {
        self.chunk.link(link);
    }
    fn fact(&mut self, fact: &FactRow<'_>) {
        self.chunk.fact(fact);
    }
    fn interval(&mut self, interval: &IntervalRow) {
        self.chunk.interval(interval);
    }
    fn is_closed(&self) -> bool {
        false
    }
}

fn chunks(world: &World, first_number: i64) -> Vec<Chunk> {
    let desk = Desk {
        department: world.department,
        opening: Opening::Business,
        share: 1.0,
        link: None,
        max_wait_seconds: Some(300),
        offer_timeout_seconds: 20,
        wrap_up_seconds: 15,
        grace_seconds: 60,
        service_level_seconds: 20,
    };
    let plan = Plan {
        zone: chrono_tz::America::Sao_Paulo,
        first_day: NaiveDate::from_ymd_opt(2026, 1, 5).unwrap(),
        days: 5,
        calls: u64::from(CALLS),
        first_number,
        desks: vec![desk],
        // One agent for them all, so that people wait and give up.
        workers: vec![Worker { user: world.user, desks: vec![0] }],
        supervisor: Some(world.user),
        seed: 7,
        facts: true,
    };
    let mut gathered = Gathered { tenant: world.tenant, chunk: Chunk::new(world.tenant), chunks: Vec::new() };
    generate::run(&plan, &IdSource::seeded(7), &mut gathered);
    gathered.chunks.push(gathered.chunk);
    gathered.chunks
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn generated_history_is_written_beside_others_who_write() {
    let (store, options) = scratch::store().await;
    let world = Arc::new(World::new(&store, "a").await);
    assert!(!has_calls(&store, world.tenant).await.unwrap());
    let first_number = reserve(&store, world.tenant, Counter::Call, CALLS).await.unwrap();
    let chunks = chunks(&world, first_number);
    assert!(chunks.len() > 3);
    let rows = chunks.iter().map(Chunk::rows).fold([0; 4], |mut sum, rows| {
        sum.iter_mut().zip(rows).for_each(|(sum, rows)| *sum += rows);
        sum
    });
    // Somebody appends to the same feed meanwhile.
    let appending = tokio::spawn({
        let (store, world) = (store.clone(), world.clone());
        async move {
            for _ in 0..40 {
                let mut tx = store.tenant_tx(world.tenant).await.unwrap();
                events::append(&mut tx, world.tenant, &[world.event("other", None)]).await.unwrap();
                tx.commit().await.unwrap();
            }
        }
    });
    let mut loader = Loader::connect(&options).await.unwrap();
    for chunk in chunks {
        loader.write(world.tenant, chunk).await.unwrap();
    }
    loader.close().await.unwrap();
    appending.await.unwrap();

    let count = async |table: &'static str| -> i64 {
        let query = format!("SELECT count(*) FROM {table} WHERE tenant_id = $1");
        sqlx::query_scalar(sqlx::AssertSqlSafe(query)).bind(world.tenant.0).fetch_one(store.system()).await.unwrap()
    };
    assert_eq!(rows[0], u64::from(CALLS));
    for (table, rows) in ["calls", "customers", "access_links"].into_iter().zip(rows) {
        assert_eq!(count(table).await, rows as i64, "{table}");
    }
    assert_eq!(count("events").await, rows[3] as i64 + 40);
    let last: i64 = sqlx::query_scalar("SELECT max(seq) FROM events WHERE tenant_id = $1")
        .bind(world.tenant.0)
        .fetch_one(store.system())
        .await
        .unwrap();
    assert_eq!(last, rows[3] as i64 + 40, "no gaps");
    assert!(count("agent_intervals").await > 5);
    assert!(has_calls(&store, world.tenant).await.unwrap());
    // What triggers summed up is what a count finds.
    let mended = recount::recount(&store, world.tenant).await.unwrap().unwrap();
    assert_eq!(mended, recount::Recounted::default());
    let (missed, open): (i64, i64) = sqlx::query_as(
        "SELECT count(*) FILTER (WHERE status = 'missed'), count(*) FILTER (WHERE open) FROM calls WHERE tenant_id = $1",
    )
    .bind(world.tenant.0)
    .fetch_one(store.system())
    .await
    .unwrap();
    assert!(missed > 300 && open == 0, "{missed} missed, {open} open");
}

#[tokio::test]
async fn a_chunk_that_cannot_be_written_leaves_nothing() {
    let (store, options) = scratch::store().await;
    let world = World::new(&store, "a").await;
    let mut loader = Loader::connect(&options).await.unwrap();
    let first = chunks(&world, 1).swap_remove(0);
    loader.write(world.tenant, first).await.unwrap();
    let before: i64 = sqlx::query_scalar("SELECT count(*) FROM events").fetch_one(store.system()).await.unwrap();
    let again = chunks(&world, 1).swap_remove(0);
    loader.write(world.tenant, again).await.unwrap_err();
    let after: i64 = sqlx::query_scalar("SELECT count(*) FROM events").fetch_one(store.system()).await.unwrap();
    assert_eq!(before, after);
}
