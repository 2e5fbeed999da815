//! One process owns a database; the next one takes over only what was let go, and says who is in the way.

use std::time::Duration;

use sqlx::postgres::PgConnection;
use sqlx::{Connection as _, query_scalar};
use uuid::Uuid;
use vez::domain::clock::{Clock, Timestamp};
use vez::store::ownership::{Claim, Ownership};
use vez::store::{StoreError, migrate, migrate_unserved};

use crate::scratch;

const AT_ONCE: Duration = Duration::from_millis(300);

#[tokio::test]
async fn a_second_process_waits_and_then_says_who_is_there() {
    let options = scratch::database().await;
    let clock = Clock::manual(Timestamp::from_micros(1_800_000_000_000_000));
    let first = Ownership::acquire(&options, Uuid::from_u128(1), AT_ONCE, &clock).await.unwrap();
    assert_eq!((first.epoch, first.served_until), (1, None));
    let served = clock.now().plus_seconds(9);
    first.heartbeat(served).await.unwrap();

    let second = Ownership::acquire(&options, Uuid::from_u128(2), AT_ONCE, &clock).await;
    let Err(StoreError::OwnedElsewhere { id, pid, seen, .. }) = second else { panic!("{second:?}") };
    assert_eq!((id, pid, seen), (Uuid::from_u128(1), std::process::id() as i32, Some(served)));

    // A deploy: the next one is waiting when the first lets go.
    let waiting = {
        let (options, clock) = (options.clone(), clock.clone());
        tokio::spawn(
            async move { Ownership::acquire(&options, Uuid::from_u128(2), Duration::from_secs(10), &clock).await },
        )
    };
    tokio::time::sleep(AT_ONCE).await;
    let stopped = served.plus_seconds(1);
    first.release(stopped).await.unwrap();
    let second = waiting.await.unwrap().unwrap();
    assert_eq!((second.epoch, second.served_until), (2, Some(stopped)));

    // One that never came to serve does not hide since when nobody was served.
    drop(second);
    let third = Ownership::acquire(&options, Uuid::from_u128(3), Duration::from_secs(10), &clock).await.unwrap();
    assert_eq!((third.epoch, third.served_until), (3, Some(stopped)));
}

#[tokio::test]
async fn a_lost_hold_is_taken_again_with_the_same_epoch_unless_another_came_between() {
    let options = scratch::database().await;
    let clock = Clock::system();
    let owner = Ownership::acquire(&options, Uuid::from_u128(1), AT_ONCE, &clock).await.unwrap();
    let mut admin = PgConnection::connect_with(&options).await.unwrap();
    let lose = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity
                WHERE application_name = 'vez owner' AND datname = current_database()";
    assert_eq!(query_scalar::<_, i64>(lose).fetch_one(&mut admin).await.unwrap(), 1);
    assert!(owner.heartbeat(clock.now()).await.is_err_and(|error| error.is_unavailable()));
    assert!(owner.is_lost());
    // The server may need a moment to clear the old connection away.
    for attempt in 0.. {
        match owner.reacquire().await {
            Ok(()) => break,
            Err(error) => assert!(error.is_unavailable() && attempt < 50, "{error}"),
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert!(!owner.is_lost());
    owner.heartbeat(clock.now()).await.unwrap();

    assert_eq!(query_scalar::<_, i64>(lose).fetch_one(&mut admin).await.unwrap(), 1);
    owner.heartbeat(clock.now()).await.unwrap_err();
    let other = Ownership::acquire(&options, Uuid::from_u128(2), Duration::from_secs(5), &clock).await.unwrap();
    assert_eq!(other.epoch, owner.epoch + 1);
    assert!(matches!(owner.reacquire().await, Err(StoreError::OwnedElsewhere { .. })));
    drop(other);
    for _ in 0..50 {
        match owner.reacquire().await {
            Err(StoreError::Fenced) => return,
            other => assert!(matches!(other, Err(StoreError::OwnedElsewhere { .. })), "{other:?}"),
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("the lost owner was not told that another came between");
}

#[tokio::test]
async fn a_database_is_changed_only_while_nobody_serves_it() {
    let (_, options) = scratch::store().await;
    let clock = Clock::system();
    let moment = Duration::from_millis(200);
    let owner = Ownership::acquire(&options, Uuid::from_u128(1), moment, &clock).await.unwrap();
    // There is nothing to change.
    migrate_unserved(&options, moment).await.unwrap();
    let mut admin = PgConnection::connect_with(&options).await.unwrap();
    let last = "(SELECT max(version) FROM _sqlx_migrations)";
    let older = format!(
        "CREATE TABLE kept AS SELECT * FROM _sqlx_migrations WHERE version = {last};
                         DELETE FROM _sqlx_migrations WHERE version = {last}"
    );
    sqlx::raw_sql(sqlx::AssertSqlSafe(older)).execute(&mut admin).await.unwrap();
    let found = migrate_unserved(&options, moment).await;
    assert!(matches!(found, Err(StoreError::OwnedElsewhere { .. })), "{found:?}");
    owner.release(clock.now()).await.unwrap();
    sqlx::raw_sql("INSERT INTO _sqlx_migrations SELECT * FROM kept").execute(&mut admin).await.unwrap();
    migrate_unserved(&options, moment).await.unwrap();
}

#[tokio::test]
async fn an_empty_database_is_claimed_before_it_is_made() {
    let mut admin = PgConnection::connect_with(&scratch::server().options("postgres")).await.unwrap();
    sqlx::raw_sql("CREATE DATABASE empty_one").execute(&mut admin).await.unwrap();
    let options = scratch::server().options("empty_one");
    let clock = Clock::system();
    let moment = Duration::from_millis(200);
    let claim = Claim::wait(&options, moment).await.unwrap();
    for found in [Claim::wait(&options, moment).await.map(drop), migrate_unserved(&options, moment).await] {
        assert!(matches!(found, Err(StoreError::BeingMigrated)), "{found:?}");
    }
    migrate(&options).await.unwrap();
    let owner = claim.own(Uuid::from_u128(1), &clock).await.unwrap();
    assert_eq!((owner.epoch, owner.served_until), (1, None));
    let found = Claim::wait(&options, moment).await;
    assert!(matches!(found, Err(StoreError::OwnedElsewhere { .. })), "{found:?}");
}

#[tokio::test]
async fn the_index_of_names_is_made_anew_when_their_order_has_moved() {
    let (_, options) = scratch::store().await;
    let mut admin = PgConnection::connect_with(&options).await.unwrap();
    let file = "SELECT pg_relation_filenode('customers_name')::bigint";
    let before: i64 = sqlx::query_scalar(file).fetch_one(&mut admin).await.unwrap();
    // As after an upgrade of the operating system.
    let moved = "UPDATE pg_collation SET collversion = '1' WHERE collname = 'vez_names' AND collprovider = 'i'";
    if sqlx::raw_sql(moved).execute(&mut admin).await.unwrap().rows_affected() == 0 {
        eprintln!("this Postgres was built without ICU, so its order never moves");
        return;
    }
    for _ in 0..2 {
        migrate_unserved(&options, Duration::from_millis(200)).await.unwrap();
        let stale: bool = sqlx::query_scalar(
            "SELECT collversion <> pg_collation_actual_version(oid) FROM pg_collation WHERE collname = 'vez_names'",
        )
        .fetch_one(&mut admin)
        .await
        .unwrap();
        assert!(!stale, "what was put right stays so");
    }
    let after: i64 = sqlx::query_scalar(file).fetch_one(&mut admin).await.unwrap();
    assert_ne!(before, after);
}
