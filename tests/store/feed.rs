//! The feed has no gaps and keeps the order of commits, whoever appends; numbers are never given out twice.

use std::collections::BTreeSet;

use vez::store::numbers::{Counter, reserve};
use vez::store::{Store, events};

use crate::scratch;
use crate::world::{World, batch_id, writer};

/// Writers at once, and how often each writes.
const WRITERS: usize = 6;
const ROUNDS: usize = 25;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn events_are_gap_free_and_in_the_order_of_their_commits() {
    let (store, options) = scratch::store().await;
    let world = std::sync::Arc::new(World::new(&store, "a").await);
    let mut writer = writer(&store, &options).await;
    let mut tasks = tokio::task::JoinSet::new();
    for index in 0..WRITERS {
        let (store, world) = (store.clone(), world.clone());
        tasks.spawn(async move {
            for round in 0..ROUNDS {
                let mut tx = store.tenant_tx(world.tenant).await.unwrap();
                let two = [world.event("first", None), world.event("second", None)];
                let first = events::append(&mut tx, world.tenant, &two).await.unwrap();
                assert!(first > 0);
                // Every third changes its mind.
                if (index + round) % 3 == 0 { tx.rollback().await.unwrap() } else { tx.commit().await.unwrap() }
            }
        });
    }
    let recorder = {
        let world = world.clone();
        tokio::spawn(async move {
            for number in 1..=ROUNDS {
                writer.commit(batch_id(), &world.batch_of(&world.call(number as i64))).await.unwrap();
            }
        })
    };
    // A reader that follows the feed meanwhile never sees a number it has to come back for.
    let reader = tokio::spawn(follow(store.clone(), world.clone()));
    while let Some(done) = tasks.join_next().await {
        done.unwrap();
    }
    recorder.await.unwrap();
    let mut tx = store.tenant_tx(world.tenant).await.unwrap();
    events::append(&mut tx, world.tenant, &[world.event("last", None)]).await.unwrap();
    tx.commit().await.unwrap();
    let seen = reader.await.unwrap();
    let kept = (0..WRITERS).flat_map(|index| (0..ROUNDS).map(move |round| (index + round) % 3 != 0));
    assert_eq!(seen, 2 * kept.filter(|kept| *kept).count() + ROUNDS + 1);
}

async fn follow(store: Store, world: std::sync::Arc<World>) -> usize {
    let mut read = 0;
    let mut previous = String::new();
    loop {
        for event in scratch::facts(&store, world.tenant, read, 50).await {
            assert_eq!(event.seq, read + 1, "a gap");
            assert_eq!(event.kind == "second", previous == "first", "a pair was torn apart");
            read = event.seq;
            previous = event.kind;
        }
        if previous == "last" {
            return read as usize;
        }
        tokio::time::sleep(std::time::Duration::from_millis(2)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn numbers_are_never_given_out_twice() {
    let (store, _) = scratch::store().await;
    let world = World::new(&store, "a").await;
    let tenant = world.tenant;
    let mut tasks = tokio::task::JoinSet::new();
    for _ in 0..WRITERS {
        let store = store.clone();
        tasks.spawn(async move {
            let mut taken = Vec::new();
            for _ in 0..ROUNDS {
                let first = reserve(&store, tenant, Counter::Call, 10).await.unwrap();
                taken.extend(first..first + 10);
            }
            taken
        });
    }
    let mut all = BTreeSet::new();
    while let Some(taken) = tasks.join_next().await {
        for number in taken.unwrap() {
            assert!(all.insert(number), "{number} twice");
        }
    }
    assert_eq!(all.len(), WRITERS * ROUNDS * 10);
    assert_eq!(all.first(), Some(&1));
    // The department and the user of the world took the first of theirs.
    assert_eq!(reserve(&store, tenant, Counter::User, 1).await.unwrap(), 2);
    assert_eq!(reserve(&store, tenant, Counter::Department, 3).await.unwrap(), 2);
}
