//! Counting anew while others write: nobody waits for it, what it left undone is mended by the next one, and a company that
//! moves is counted by the zone it ends in.

use std::time::Duration;

use sqlx::{Connection as _, PgConnection};
use vez::domain::clock::Clock;
use vez::store::recount::{Recounted, outdated, recount};
use vez::store::tenants::{self, TenantChange};

use crate::scratch;
use crate::world::World;

/// Rows of sums that should not be there: several slices of them.
const WRONG_ROWS: i32 = 2_000;
/// A batch that waits for longer is no longer written in time.
const BATCH_WAITS_MAX: Duration = Duration::from_millis(800);

async fn damage(world: &World) {
    sqlx::query(
        "INSERT INTO wait_days (tenant_id, day, department_id, wait_seconds, answered)
         SELECT $1, '2026-01-01', $2, seconds, 1 FROM generate_series(1, $3) AS seconds",
    )
    .bind(world.tenant.0)
    .bind(world.department.0)
    .bind(WRONG_ROWS)
    .execute(world.store.system())
    .await
    .unwrap();
}

fn wait_days(rows: i32) -> Recounted {
    Recounted { wait_days: rows as u64, ..Recounted::default() }
}

/// Somebody holds one of the sums in the middle, until this is rolled back.
async fn hold_the_middle(holder: &mut PgConnection) -> sqlx::Transaction<'_, sqlx::Postgres> {
    let mut held = holder.begin().await.unwrap();
    sqlx::query("UPDATE wait_days SET answered = answered WHERE wait_seconds = $1")
        .bind(WRONG_ROWS / 2 + 1)
        .execute(&mut *held)
        .await
        .unwrap();
    held
}

async fn move_to(world: &World, zone: chrono_tz::Tz) {
    let mut work = world.work().await;
    tenants::update(&mut work, TenantChange { time_zone: Some(zone), ..TenantChange::default() }).await.unwrap();
    work.commit().await.unwrap();
}

#[tokio::test]
async fn batches_need_not_wait_for_a_count_that_has_to_wait() {
    let (store, options) = scratch::store().await;
    let world = World::new(&store, "a").await;
    damage(&world).await;
    let mut holder = PgConnection::connect_with(&options).await.unwrap();
    let held = hold_the_middle(&mut holder).await;
    let counting = recount(&store, world.tenant);
    let others = async {
        let until = Clock::patience(Duration::from_secs(2));
        let mut longest = Duration::ZERO;
        while !Clock::is_out(until) {
            let began = Clock::patience(Duration::ZERO);
            sqlx::query("UPDATE tenant_counters SET event_seq = event_seq WHERE tenant_id = $1")
                .bind(world.tenant.0)
                .execute(store.system())
                .await
                .unwrap();
            longest = longest.max(began.elapsed());
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        held.rollback().await.unwrap();
        longest
    };
    let (counted, longest) = tokio::join!(counting, others);
    assert!(longest < BATCH_WAITS_MAX, "a batch would have waited for {longest:?}");
    assert_eq!(counted.unwrap(), Some(wait_days(WRONG_ROWS)));
    assert_eq!(recount(&store, world.tenant).await.unwrap(), Some(Recounted::default()));
}

#[tokio::test]
async fn what_a_count_left_undone_is_mended_by_the_next() {
    let (store, options) = scratch::store().await;
    let world = World::new(&store, "a").await;
    damage(&world).await;
    let mut holder = PgConnection::connect_with(&options).await.unwrap();
    let held = hold_the_middle(&mut holder).await;
    let left = async || -> i64 {
        sqlx::query_scalar("SELECT count(*) FROM wait_days").fetch_one(store.system()).await.unwrap()
    };
    // Dropped half-way, as by a crash.
    tokio::select! {
        counted = recount(&store, world.tenant) => panic!("{counted:?}"),
        () = async {
            while left().await > i64::from(WRONG_ROWS / 2) {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        } => {}
    }
    held.rollback().await.unwrap();
    let mut counted = None;
    for _ in 0..500 {
        // Postgres may take a moment to notice that the first one is gone.
        counted = recount(&store, world.tenant).await.unwrap();
        if counted.is_some() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(counted, Some(wait_days(WRONG_ROWS / 2)));
    assert_eq!(left().await, 0);
    assert_eq!(recount(&store, world.tenant).await.unwrap(), Some(Recounted::default()));
}

#[tokio::test]
async fn a_company_that_moves_there_and_back_is_counted_all_the_same() {
    let (store, options) = scratch::store().await;
    let world = World::new(&store, "a").await;
    assert_eq!(outdated(&store).await.unwrap(), []);
    move_to(&world, chrono_tz::America::Sao_Paulo).await;
    assert_eq!(outdated(&store).await.unwrap(), [], "it did not move");
    move_to(&world, chrono_tz::Asia::Kathmandu).await;
    move_to(&world, chrono_tz::America::Sao_Paulo).await;
    assert_eq!(outdated(&store).await.unwrap(), [world.tenant]);

    // A customer's row that is being written by the older zone is counted, too.
    let mut writer = PgConnection::connect_with(&options).await.unwrap();
    let mut late = writer.begin().await.unwrap();
    sqlx::query(
        "INSERT INTO customers (tenant_id, id, name, inserted_at, updated_at)
         VALUES ($1, gen_random_uuid(), 'Late', '2026-01-01T01:00:00Z', now())",
    )
    .bind(world.tenant.0)
    .execute(&mut *late)
    .await
    .unwrap();
    move_to(&world, chrono_tz::Asia::Kathmandu).await;
    let (counted, ()) = tokio::join!(recount(&store, world.tenant), async {
        tokio::time::sleep(Duration::from_millis(100)).await;
        late.commit().await.unwrap();
    });
    assert_eq!(counted.unwrap().unwrap().customer_days, 2, "gone from one day, come to the other");
    assert_eq!(outdated(&store).await.unwrap(), []);
    assert_eq!(recount(&store, world.tenant).await.unwrap(), Some(Recounted::default()));
}
