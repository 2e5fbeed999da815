//! What is thrown away in slices, and what is found of one person among many rows.

use std::time::Duration;

use sqlx::{AssertSqlSafe, Connection as _, PgConnection};
use vez::domain::ids::{CustomerId, NotificationId};
use vez::store::customer_erasure::{self, Erased};
use vez::store::customers::{self, NewCustomer};
use vez::store::departments::{self, Removal};
use vez::store::links::{self, Link, LinkFilter, LinkSort, LinkStatus, NewLink};
use vez::store::notifications::{self, Notification};
use vez::store::tags::{self, NewTag, Tag};
use vez::store::{Page, Sort, SortOrder, audit, calls};

use crate::scratch;
use crate::world::{World, batch_id, writer};

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

async fn count(world: &World, table: &str) -> i64 {
    let query = format!("SELECT count(*) FROM {table}");
    sqlx::query_scalar(AssertSqlSafe(query)).fetch_one(world.store.system()).await.unwrap()
}

async fn customer(world: &World, email: Option<&str>, phone: Option<&str>) -> CustomerId {
    let new = NewCustomer {
        id: world.ids.next(world.now),
        name: "Maria".to_owned(),
        email: email.map(str::to_owned),
        phone: phone.map(str::to_owned),
        document: None,
        notes: None,
    };
    let mut work = world.work().await;
    let made = customers::create(&mut work, new).await.unwrap();
    work.commit().await.unwrap();
    made.id
}

async fn link(world: &World, token: &str, change: impl FnOnce(&mut NewLink)) -> Link {
    let mut new = NewLink::new(world.ids.next(world.now), token.to_owned(), world.department);
    change(&mut new);
    let mut work = world.work().await;
    let made = links::create(&mut work, &[new]).await.unwrap().pop().unwrap();
    work.commit().await.unwrap();
    made
}

async fn tag(world: &World, name: &str) -> Tag {
    let new = NewTag { id: world.ids.next(world.now), name: name.into(), color: "#6b7280".into(), parent_id: None };
    let mut work = world.work().await;
    let made = tags::create(&mut work, new).await.unwrap().unwrap();
    work.commit().await.unwrap();
    made
}

fn notice(world: &World, body: &str) -> Notification {
    Notification {
        id: world.ids.next::<NotificationId>(world.now),
        kind: "appointment_reminder".into(),
        title: "Visit".into(),
        body: body.into(),
        inserted_at: world.now,
        read_at: None,
    }
}

#[tokio::test]
async fn an_erasure_finds_links_by_every_contact_and_the_notices_that_name_him() {
    let (store, _) = scratch::store().await;
    let world = World::new(&store, "a").await;
    let maria = customer(&world, Some("Maria@example.com"), Some("+55 11 99999-8888")).await;
    let named = Some("Maria".to_owned());
    let his = [
        link(&world, "1", |link| (link.customer_id, link.customer_name) = (Some(maria), named.clone())).await,
        link(&world, "2", |link| link.customer_email = Some("MARIA@example.com".into())).await,
        link(&world, "3", |link| link.customer_phone = Some("5511999998888".into())).await,
    ];
    let others = link(&world, "4", |link| link.customer_email = Some("m@example.com".into())).await;
    let mut work = world.work().await;
    assert!(notifications::create_naming(&mut work, world.user, &notice(&world, "Maria, today"), maria).await.unwrap());
    assert!(notifications::create(&mut work, world.user, &notice(&world, "your own")).await.unwrap());
    assert_eq!(customer_erasure::erase(&mut work, maria).await.unwrap(), Erased::Done);
    work.commit().await.unwrap();
    for link in his {
        let now = links::find(&store, world.tenant, link.id, world.now).await.unwrap().unwrap();
        assert_eq!(
            (now.customer_id, now.customer_name, now.customer_email, now.customer_phone),
            (None, None, None, None)
        );
    }
    let now = links::find(&store, world.tenant, others.id, world.now).await.unwrap().unwrap();
    assert_eq!(now.customer_email.as_deref(), Some("m@example.com"));
    let left = notifications::list(&store, world.tenant, world.user, None, Page::default()).await.unwrap();
    assert_eq!(left.items.into_iter().map(|notice| notice.body).collect::<Vec<_>>(), ["your own"]);
}

#[tokio::test]
async fn notices_and_the_trail_end_in_slices_when_their_time_is_over() {
    let (store, _) = scratch::store().await;
    let world = World::new(&store, "a").await;
    let mut work = world.work().await;
    notifications::create(&mut work, world.user, &notice(&world, "young")).await.unwrap();
    work.commit().await.unwrap();
    for fill in [
        "INSERT INTO notifications (tenant_id, id, user_id, kind, title, body, inserted_at, read_at)
         SELECT $1, gen_random_uuid(), $2, 'k', 't', 'old', $3, CASE WHEN n % 2 = 0 THEN $3 END FROM generate_series(1, 1500) n",
        "INSERT INTO audit (tenant_id, at, user_id, request_id, action, object, object_id)
         SELECT $1, $3 + n * interval '1 day', $2, '', 'created', 'sector', $2 FROM generate_series(0, 1) n",
    ] {
        let at = (world.now - DAY).to_utc();
        sqlx::query(fill).bind(world.tenant.0).bind(world.user.0).bind(at).execute(store.system()).await.unwrap();
    }
    let before = world.now - DAY / 2;
    assert_eq!(notifications::sweep(&store, before).await.unwrap(), 1_000, "a slice");
    assert_eq!(notifications::sweep(&store, before).await.unwrap(), 500);
    assert_eq!((notifications::sweep(&store, before).await.unwrap(), count(&world, "notifications").await), (0, 1));
    assert_eq!((audit::sweep(&store, before).await.unwrap(), count(&world, "audit").await), (1, 1));
}

#[tokio::test]
async fn a_deleted_tag_is_gone_at_once_and_its_rows_go_in_slices() {
    let (store, options) = scratch::store().await;
    let world = World::new(&store, "a").await;
    let (vip, other) = (tag(&world, "vip").await, tag(&world, "other").await);
    let giving = link(&world, "giving", |link| link.tag_ids = vec![other.id, vip.id]).await;
    let mut writer = writer(&store, &options).await;
    let call = world.next(&world.call(1), |call| call.link_id = Some(giving.id));
    writer.commit(batch_id(), &world.batch_of(&call)).await.unwrap();
    let uses = async |tag: &Tag| tags::find(&store, world.tenant, tag.id).await.unwrap().map(|tag| tag.usage_count);
    assert_eq!((uses(&vip).await, uses(&other).await), (Some(1), Some(1)));
    tags::sum_uses(&store).await.unwrap();
    assert_eq!(uses(&vip).await, Some(1), "summed up or not");
    let mut work = world.work().await;
    assert!(tags::delete(&mut work, vip.id).await.unwrap().unwrap());
    work.commit().await.unwrap();
    assert_eq!(count(&world, "call_tags").await, 2, "they are taken later");
    let ids = async || -> Vec<_> {
        let page = Page::default();
        let sort = Sort::by(LinkSort::InsertedAt, SortOrder::Asc);
        let all = links::list(&store, world.tenant, &LinkFilter::default(), sort, page, world.now).await.unwrap();
        let one = links::find(&store, world.tenant, giving.id, world.now).await.unwrap().unwrap();
        assert_eq!(all.items[0].tag_ids, one.tag_ids);
        one.tag_ids
    };
    let found = async || {
        let filter = calls::CallFilter { tag_id: Some(vip.id), ..calls::CallFilter::default() };
        let sort = Sort::by(calls::CallSort::InsertedAt, SortOrder::Desc);
        calls::list(&store, world.tenant, &filter, sort, Page::default()).await.unwrap().total_count
    };
    assert_eq!((uses(&vip).await, ids().await, found().await), (None, vec![other.id], 0));
    let mut rounds = 0;
    while tags::sweep(&store).await.unwrap() > 0 {
        rounds += 1;
    }
    assert_eq!(rounds, 3, "its calls, its links, its mark");
    assert_eq!((count(&world, "call_tags").await, count(&world, "removed_tags").await), (1, 0));
    assert_eq!((uses(&other).await, ids().await, found().await), (Some(1), vec![other.id], 0));
}

#[tokio::test]
async fn links_of_a_deleted_department_are_cancelled_however_many_they_are() {
    let (store, options) = scratch::store().await;
    let world = World::new(&store, "a").await;
    let mut owner = PgConnection::connect_with(&options).await.unwrap();
    sqlx::query(
        "INSERT INTO access_links (tenant_id, id, token, department_id, inserted_at)
         SELECT $1, gen_random_uuid(), 'token' || n, $2, now() FROM generate_series(1, 2500) n",
    )
    .bind(world.tenant.0)
    .bind(world.department.0)
    .execute(&mut owner)
    .await
    .unwrap();
    let mut work = world.work().await;
    let removal = departments::remove(&mut work, world.department).await.unwrap();
    assert_eq!(removal, Removal::Done { members: vec![world.user] });
    work.commit().await.unwrap();
    let listed = async |status| {
        let filter = LinkFilter { status: Some(status), ..LinkFilter::default() };
        let sort = Sort::by(LinkSort::InsertedAt, SortOrder::Asc);
        let page = links::list(&store, world.tenant, &filter, sort, Page::default(), world.now).await.unwrap();
        assert!(page.items.iter().all(|link| link.status == status));
        page.total_count
    };
    assert_eq!((listed(LinkStatus::Active).await, listed(LinkStatus::Cancelled).await), (0, 2_500));
    let (_, link) = links::by_token(&store, "token2500", world.now).await.unwrap().unwrap();
    assert_eq!(link.status, LinkStatus::Cancelled);
    let left = async || count(&world, "access_links WHERE cancelled_at IS NULL").await;
    assert_eq!(left().await, 1_500, "a slice went with the department");
    assert_eq!(departments::sweep_links(&store).await.unwrap(), 1_000);
    assert_eq!(departments::sweep_links(&store).await.unwrap(), 500);
    assert_eq!((departments::sweep_links(&store).await.unwrap(), left().await), (0, 0));
    assert_eq!(listed(LinkStatus::Cancelled).await, 2_500);
}
