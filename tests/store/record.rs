//! The group commit: what it writes is what a restore yields, and versions and epochs hold.

use std::sync::Arc;

use vez::domain::call::{CallSnapshot, Caller};
use vez::domain::ids::TenantId;
use vez::store::record::{Batch, CommitError, STALE_VERSION, TenantBatch, UNKNOWN_TENANT};
use vez::store::{events, restore};

use crate::scratch;
use crate::world::{World, batch_id, writer};

async fn open_calls(world: &World) -> Vec<CallSnapshot> {
    restore::queue(&world.store, world.tenant, world.department, world.now).await.unwrap().unwrap().calls
}

#[tokio::test]
async fn what_was_committed_is_what_is_restored() {
    let (store, options) = scratch::store().await;
    let world = World::new(&store, "a").await;
    let mut writer = writer(&store, &options).await;
    assert!(restore::tenants_to_restore(&store, world.now).await.unwrap().is_empty());

    let (first, second) = (world.call(1), world.call(2));
    let agent = world.agent(1);
    let part = TenantBatch {
        calls: vec![Arc::new(first.clone()), Arc::new(second.clone())],
        agents: vec![Arc::new(agent.clone())],
        events: vec![world.event("call_created", Some(&first)), world.event("call_created", Some(&second))],
        new_customers: vec![first.caller.clone()],
        ..TenantBatch::default()
    };
    writer.commit(batch_id(), &world.batch(part)).await.unwrap();

    assert_eq!(open_calls(&world).await, [first.clone(), second]);
    assert_eq!(restore::tenants_to_restore(&store, world.now).await.unwrap(), [world.tenant]);
    let tenant = restore::tenant(&store, world.tenant, world.now, world.now).await.unwrap().unwrap();
    assert_eq!(tenant.joined_at_max, Some(world.now));
    assert_eq!(tenant.departments.len(), 1);
    let [row] = tenant.agents.as_slice() else { panic!("one agent") };
    assert_eq!(row.snapshot.as_ref(), Some(&agent));
    assert_eq!((row.capacity, row.skills.len(), row.department_ids.as_slice()), (2, 2, &[world.department][..]));
    let feed = events::of_call(&store, world.tenant, first.id).await.unwrap();
    assert_eq!((feed.len(), feed[0].seq, feed[0].data["why"].as_str()), (1, 1, Some("call_created")));

    // An ended call is in line no more; its wrap-up keeps the tenant awake until it is over.
    let done = world.completed(&first, world.now.plus_seconds(100));
    writer.commit(batch_id(), &world.batch_of(&done)).await.unwrap();
    assert_eq!(open_calls(&world).await.len(), 1);
    let agent = restore::agent(&store, world.tenant, world.user, world.now).await.unwrap().unwrap();
    assert_eq!(agent.recent_wrap_ups, [(done.id, world.department, done.wrap_up_ends_at.unwrap())]);
    let later = restore::agent(&store, world.tenant, world.user, world.now.plus_seconds(200)).await.unwrap().unwrap();
    assert!(later.recent_wrap_ups.is_empty());
    let queue = restore::queue(&store, world.tenant, world.department, world.now).await.unwrap().unwrap();
    assert_eq!(queue.handle_seconds, [105], "90 s of talk and 15 s of wrap-up");
    let today = queue.today;
    assert_eq!((today.answered_in_time, today.answered, today.abandoned, today.wait_seconds), (1, 1, 0, 5));
}

#[tokio::test]
async fn an_older_version_never_replaces_a_newer_one() {
    let (store, options) = scratch::store().await;
    let world = World::new(&store, "a").await;
    let mut first_owner = writer(&store, &options).await;
    let call = world.call(1);
    let newer = world.next(&call, |call| call.connected = false);
    first_owner.commit(batch_id(), &world.batch_of(&newer)).await.unwrap();
    // The same owner may write again what is there already.
    first_owner.commit(batch_id(), &world.batch_of(&newer)).await.unwrap();
    first_owner.commit(batch_id(), &world.batch_of(&call)).await.unwrap();
    assert_eq!(open_calls(&world).await, std::slice::from_ref(&newer));

    // Another owner who comes with less than is stored did not restore what it should have.
    let mut second_owner = writer(&store, &options).await;
    let stale = second_owner.commit(batch_id(), &world.batch_of(&call)).await;
    assert!(matches!(stale, Err(CommitError::Refused { code, .. }) if code == STALE_VERSION));
    let stale = second_owner.commit(batch_id(), &world.batch_of(&newer)).await;
    assert!(matches!(stale, Err(CommitError::Refused { code, .. }) if code == STALE_VERSION));
    let feed = scratch::facts(&store, world.tenant, 0, 100).await;
    assert_eq!(feed.len(), 3, "nothing of a refused batch is kept");
    let newest = world.next(&newer, |call| call.connected = true);
    second_owner.commit(batch_id(), &world.batch_of(&newest)).await.unwrap();
    assert_eq!(open_calls(&world).await, [newest]);
}

#[tokio::test]
async fn an_owner_that_was_replaced_writes_nothing() {
    let (store, options) = scratch::store().await;
    let world = World::new(&store, "a").await;
    let mut former = writer(&store, &options).await;
    former.commit(batch_id(), &world.batch_of(&world.call(1))).await.unwrap();
    let mut present = writer(&store, &options).await;
    assert_eq!(former.commit(batch_id(), &world.batch_of(&world.call(2))).await, Err(CommitError::Fenced));
    assert_eq!(former.was_committed(batch_id()).await, Err(CommitError::Fenced));
    assert_eq!(open_calls(&world).await.len(), 1);
    present.commit(batch_id(), &world.batch_of(&world.call(3))).await.unwrap();
}

#[tokio::test]
async fn content_that_postgres_cannot_keep_is_refused_and_leaves_the_writer_usable() {
    let (store, options) = scratch::store().await;
    let world = World::new(&store, "a").await;
    let mut writer = writer(&store, &options).await;
    let poison = |change: &dyn Fn(&mut Caller)| {
        world.next(&world.call(1), |call| {
            let mut caller = Caller::clone(&call.caller);
            change(&mut caller);
            call.caller = Arc::new(caller);
        })
    };
    let in_name = poison(&|caller| caller.name = "Car\0los".into());
    let in_skill = world.next(&world.call(1), |call| call.requirements = ["v\0ip".into()].into());
    for call in [in_name, in_skill] {
        let refused = writer.commit(batch_id(), &world.batch_of(&call)).await;
        assert!(matches!(&refused, Err(CommitError::Refused { code, .. }) if code.starts_with("22")), "{refused:?}");
    }
    let good = world.call(2);
    let nobody = TenantId(world.ids.uuid(world.now));
    let mut batch = world.batch_of(&good);
    let events = vec![world.event("call_created", None)];
    batch.tenants.insert(nobody, TenantBatch { events, ..TenantBatch::default() });
    let refused = writer.commit(batch_id(), &batch).await;
    assert!(matches!(&refused, Err(CommitError::Refused { code, .. }) if code == UNKNOWN_TENANT), "{refused:?}");
    writer.commit(batch_id(), &world.batch_of(&good)).await.unwrap();
    writer.commit(batch_id(), &Batch::default()).await.unwrap();
    assert_eq!(open_calls(&world).await, [good]);
}

#[tokio::test]
async fn numbers_are_unique_whoever_sends_them() {
    let (store, options) = scratch::store().await;
    let world = World::new(&store, "a").await;
    let mut writer = writer(&store, &options).await;
    writer.commit(batch_id(), &world.batch_of(&world.call(1))).await.unwrap();
    let twice = writer.commit(batch_id(), &world.batch_of(&world.call(1))).await;
    assert!(matches!(&twice, Err(CommitError::Refused { code, .. }) if code == "23505"), "{twice:?}");
}
