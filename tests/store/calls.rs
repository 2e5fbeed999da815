//! Reading calls, rating them once, and joining again.

use std::sync::Arc;

use vez::domain::call::{Phase, Status};
use vez::store::call_messages::{self, Sender};
use vez::store::calls::{self, Attendant, CallFilter, CallSort, OPEN_AFTER_END_SECONDS, Rated};
use vez::store::links::{self, LinkFilter, LinkSort, LinkStatus, NewLink};
use vez::store::record::TenantBatch;
use vez::store::{Page, Sort, SortOrder, customers, events};

use crate::scratch;
use crate::world::{World, batch_id, writer};

fn newest() -> Sort<CallSort> {
    Sort::by(CallSort::InsertedAt, SortOrder::Desc)
}

#[tokio::test]
async fn a_call_reads_as_the_core_shows_it() {
    let (store, options) = scratch::store().await;
    let world = World::new(&store, "a").await;
    let mut writer = writer(&store, &options).await;
    let call = world.next(&world.call(7), |call| {
        call.user_id = Some(world.user);
        call.user_name = Some("Ana".into());
    });
    let done = world.completed(&call, world.now.plus_seconds(355));
    writer.commit(batch_id(), &world.batch_of(&done)).await.unwrap();
    let view = calls::find(&store, world.tenant, call.id).await.unwrap().unwrap();
    assert_eq!(view, vez::domain::call::CallView::of(&done, &"Suporte Técnico".into()));
    assert_eq!((view.duration, view.wait_time), (Some(345), Some(5)));
    assert_eq!(calls::tenant_of(&store, call.id).await.unwrap(), Some(world.tenant));
    assert_eq!(calls::department_of(&store, world.tenant, call.id).await.unwrap(), Some(world.department));
    assert!(call_messages::keep(&store, world.tenant, call.id, Sender::Agent, "olá", world.now).await.unwrap());
    let chat = call_messages::list(&store, world.tenant, call.id, Page::default()).await.unwrap().items;
    assert_eq!((chat[0].sender, chat[0].text.as_str()), (Sender::Agent, "olá"));
}

#[tokio::test]
async fn lists_are_filtered_searched_literally_and_paged() {
    let (store, options) = scratch::store().await;
    let world = World::new(&store, "a").await;
    let mut writer = writer(&store, &options).await;
    let calls: Vec<_> = (1..=25)
        .map(|number| {
            Arc::new(world.next(&world.call(number), |call| call.joined_at = world.now.plus_seconds(number as u64)))
        })
        .collect();
    let part = TenantBatch { calls: calls.clone(), ..TenantBatch::default() };
    writer.commit(batch_id(), &world.batch(part)).await.unwrap();
    let list =
        async |filter: CallFilter, page| calls::list(&store, world.tenant, &filter, newest(), page).await.unwrap();
    let second = list(CallFilter::default(), Page::new(2, 10)).await;
    assert_eq!((second.total_count, second.total_pages(), second.items.len()), (25, 3, 10));
    assert_eq!(second.items[0].protocol, 15);
    let search = |text: &str| CallFilter { search: Some(text.to_owned()), ..CallFilter::default() };
    assert_eq!(list(search("carlos1@"), Page::default()).await.total_count, 1);
    assert_eq!(list(search("100%"), Page::default()).await.total_count, 25);
    assert_eq!(list(search("10_%"), Page::default()).await.total_count, 0);
    assert_eq!(list(search("\\"), Page::default()).await.total_count, 0);
    let narrowed = CallFilter {
        status: Some(Status::Queued),
        phase: Some(Phase::Waiting),
        department_id: Some(world.department),
        visible_to: Some(Attendant { user_id: world.user, department_ids: vec![world.department] }),
        date_from: Some(world.now.plus_seconds(5)),
        date_to: Some(world.now.plus_seconds(8)),
        ..CallFilter::default()
    };
    assert_eq!(list(narrowed, Page::default()).await.total_count, 3);
    let stranger = Attendant { user_id: world.user, department_ids: Vec::new() };
    let nothing = CallFilter { visible_to: Some(stranger), ..CallFilter::default() };
    assert_eq!(list(nothing, Page::default()).await.total_count, 0);
    assert_eq!(Page::new(0, 1_000).size(), 100);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_call_is_rated_once_after_its_end_and_within_a_day() {
    let (store, options) = scratch::store().await;
    let world = World::new(&store, "a").await;
    let mut writer = writer(&store, &options).await;
    let call = world.call(1);
    writer.commit(batch_id(), &world.batch_of(&call)).await.unwrap();
    let rate =
        async |rating, now| calls::rate(&store, world.tenant, call.id, rating, Some("bom"), true, now).await.unwrap();
    assert_eq!(rate(5, world.now).await, Rated::NotEnded);
    let ended = world.now.plus_seconds(60);
    let done = world.completed(&call, ended);
    writer.commit(batch_id(), &world.batch_of(&done)).await.unwrap();
    assert_eq!(rate(5, ended.plus_seconds(OPEN_AFTER_END_SECONDS)).await, Rated::Closed);

    let in_time = ended.plus_seconds(OPEN_AFTER_END_SECONDS - 1);
    let (a, b, c, d) = tokio::join!(rate(5, in_time), rate(5, in_time), rate(5, in_time), rate(5, in_time));
    let outcomes = [a, b, c, d];
    assert_eq!(outcomes.iter().filter(|outcome| **outcome == Rated::Done).count(), 1);
    let already = Rated::Already { rating: 5, comment: Some("bom".into()) };
    assert_eq!(outcomes.iter().filter(|outcome| **outcome == already).count(), 3);
    let feed = events::of_call(&store, world.tenant, call.id).await.unwrap();
    assert_eq!(feed.iter().filter(|event| event.kind == "call_rated").count(), 1);
    assert_eq!(feed.last().unwrap().seq, feed.len() as i64, "no number was lost to those that came too late");

    // The core's next version leaves the rating alone.
    let again = world.next(&done, |call| call.wrap_up_ends_at = None);
    writer.commit(batch_id(), &world.batch_of(&again)).await.unwrap();
    let view = calls::find(&store, world.tenant, call.id).await.unwrap().unwrap();
    assert_eq!((view.rating, view.rating_comment.as_deref()), (Some(5), Some("bom")));
    let unknown = world.ids.next(world.now);
    let rated = calls::rate(&store, world.tenant, unknown, 1, None, false, world.now).await.unwrap();
    assert_eq!(rated, Rated::NotFound);
}

#[tokio::test]
async fn joining_again_finds_the_call_while_it_is_open_and_for_a_day() {
    let (store, options) = scratch::store().await;
    let world = World::new(&store, "a").await;
    let mut writer = writer(&store, &options).await;
    let new = NewLink {
        customer_name: Some("Carlos".into()),
        expires_at: Some(world.now.plus_seconds(3600)),
        max_uses: Some(1),
        priority: 4,
        required_skills: vec!["vip".into()],
        ..NewLink::new(world.ids.next(world.now), "abc123def456".into(), world.department)
    };
    let mut work = store.work(world.tenant, world.now, None).await.unwrap();
    let link = links::create(&mut work, &[new]).await.unwrap().pop().unwrap();
    work.commit().await.unwrap();
    assert_eq!(link.status, LinkStatus::Active);
    let call = world.next(&world.call(1), |call| {
        call.link_id = Some(link.id);
        call.join_key = Some("hash".into());
    });
    let mut batch = world.batch_of(&call);
    let part = batch.tenants.get_mut(&world.tenant).unwrap();
    part.used_links.push((link.id, world.now));
    part.new_customers.push(call.caller.clone());
    writer.commit(batch_id(), &batch).await.unwrap();

    let by_key = async |hash: &str, now| calls::by_join_key(&store, world.tenant, link.id, hash, now).await.unwrap();
    let by_link = async |now| calls::by_single_use_link(&store, world.tenant, link.id, now).await.unwrap();
    let far = world.now.plus_seconds(10 * OPEN_AFTER_END_SECONDS);
    assert_eq!((by_key("hash", far).await, by_link(far).await), (Some(call.id), Some(call.id)), "open calls stay");
    assert_eq!(by_key("other", world.now).await, None);
    let ended = world.now.plus_seconds(60);
    writer.commit(batch_id(), &world.batch_of(&world.completed(&call, ended))).await.unwrap();
    let inside = ended.plus_seconds(OPEN_AFTER_END_SECONDS - 1);
    assert_eq!((by_key("hash", inside).await, by_link(inside).await), (Some(call.id), Some(call.id)));
    let outside = ended.plus_seconds(OPEN_AFTER_END_SECONDS);
    assert_eq!((by_key("hash", outside).await, by_link(outside).await), (None, None));

    let used = links::find(&store, world.tenant, link.id, world.now).await.unwrap().unwrap();
    assert_eq!((used.status, used.used_at, used.call_id), (LinkStatus::Used, Some(world.now), Some(call.id)));
    let mut work = store.work(world.tenant, world.now, None).await.unwrap();
    let cancelled = links::cancel(&mut work, link.id).await.unwrap().unwrap();
    work.commit().await.unwrap();
    assert_eq!(cancelled.status, LinkStatus::Used, "what is used up cannot be cancelled");
    let list = async |status| {
        let filter = LinkFilter { status: Some(status), department_id: Some(world.department), ..Default::default() };
        let sort = Sort::by(LinkSort::InsertedAt, SortOrder::Desc);
        links::list(&store, world.tenant, &filter, sort, Page::default(), world.now).await.unwrap().total_count
    };
    assert_eq!((list(LinkStatus::Used).await, list(LinkStatus::Active).await), (1, 0));

    let caller = &call.caller;
    let found = customers::match_contact(&store, world.tenant, Some("CARLOS1@example.com"), None).await.unwrap();
    assert_eq!(found, Some(caller.customer_id));
    let found = customers::match_contact(&store, world.tenant, Some("no@no"), caller.phone.as_deref()).await.unwrap();
    assert_eq!(found, Some(caller.customer_id));
    assert_eq!(customers::match_contact(&store, world.tenant, None, None).await.unwrap(), None);
}
