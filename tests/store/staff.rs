//! Companies, staff, departments and logins.

use sqlx::Connection as _;
use vez::domain::department::RoutingStrategy;
use vez::store::departments::{self, DepartmentChange, DepartmentSort};
use vez::store::sessions::{self, NewSession, Rotated};
use vez::store::tenants::TenantChange;
use vez::store::users::{self, UserChange, UserFilter, UserSort};
use vez::store::{Membership, Page, Sort, SortOrder, StoreError, plans, tenants};

use crate::scratch;
use crate::world::World;

#[tokio::test]
async fn a_refresh_token_is_good_once_and_its_second_use_revokes_the_family() {
    let (store, _) = scratch::store().await;
    let world = World::new(&store, "a").await;
    let (tenant, user, now) = (world.tenant, world.user, world.now);
    let session = world.ids.next(now);
    let until = now.plus_seconds(7 * 86_400);
    let new = |session, token_hash| NewSession { user, session, token_hash, expires_at: until, password_hash: None };
    sessions::create(&store, tenant, new(session, "one"), now).await.unwrap();
    assert_eq!(sessions::tenant_of(&store, "one").await.unwrap(), Some(tenant));
    let rotate = async |old: &str, new: &str, at| sessions::rotate(&store, tenant, old, new, until, at).await.unwrap();
    assert_eq!(rotate("one", "two", now).await, Rotated::Ok { user, session });
    assert_eq!(rotate("two", "three", now).await, Rotated::Ok { user, session });
    assert_eq!(rotate("one", "stolen", now).await, Rotated::Reused { user, session });
    assert_eq!(rotate("three", "four", now).await, Rotated::Unknown, "the whole family is gone");
    assert_eq!(rotate("nothing", "four", now).await, Rotated::Unknown);

    let other = world.ids.next(now);
    sessions::create(&store, tenant, new(other, "five"), now).await.unwrap();
    assert_eq!(rotate("five", "six", until).await, Rotated::Unknown, "expired");
    assert!(sessions::revoke_family(&store, tenant, other, now).await.unwrap());
    assert!(!sessions::revoke_family(&store, tenant, other, now).await.unwrap());

    let third = world.ids.next(now);
    sessions::create(&store, tenant, new(third, "seven"), now).await.unwrap();
    let (a, b) = tokio::join!(rotate("seven", "eight", now), rotate("seven", "nine", now));
    assert!([a, b].contains(&Rotated::Reused { user, session: third }), "{a:?} {b:?}");
}

#[tokio::test]
async fn staff_are_unique_by_address_and_lose_their_logins_when_let_out() {
    let (store, _) = scratch::store().await;
    let world = World::new(&store, "a").await;
    let (tenant, now) = (world.tenant, world.now);
    let taken = world.add_user("Outra", "ANA@example.com").await;
    assert!(matches!(taken, Err(StoreError::Conflict { constraint }) if constraint == "users_email_key"));
    let bia = world.add_user("Bia", "bia@example.com").await.unwrap();
    assert_eq!((bia.number, bia.locale.as_str(), bia.capacity), (2, "pt-BR", 2), "a refused one takes no number");
    assert_eq!(users::by_email(&store, tenant, "Bia@Example.com").await.unwrap(), Some(bia.clone()));
    let search = UserFilter { search: Some("bi".into()), ..Default::default() };
    let sort = Sort::by(UserSort::Name, SortOrder::Asc);
    assert_eq!(
        users::list(&store, tenant, &search, sort, Page::default()).await.unwrap().items,
        std::slice::from_ref(&bia)
    );
    for field in [UserSort::Email, UserSort::Role, UserSort::InsertedAt] {
        let sort = Sort::by(field, SortOrder::Desc);
        assert_eq!(
            users::list(&store, tenant, &Default::default(), sort, Page::default()).await.unwrap().total_count,
            2
        );
    }
    let session = world.ids.next(now);
    let expires_at = now.plus_seconds(60);
    let login = NewSession { user: bia.id, session, token_hash: "t", expires_at, password_hash: None };
    sessions::create(&store, tenant, login, now).await.unwrap();
    let mut work = world.work().await;
    let out = UserChange { active: Some(false), ..UserChange::default() };
    assert!(!users::update(&mut work, bia.id, out).await.unwrap().unwrap().active);
    sessions::revoke_user(&mut work, bia.id).await.unwrap();
    work.commit().await.unwrap();
    let rotated = sessions::rotate(&store, tenant, "t", "u", now.plus_seconds(60), now).await.unwrap();
    assert_eq!(rotated, Rotated::Unknown);
}

#[tokio::test]
async fn departments_change_only_where_told() {
    let (store, _) = scratch::store().await;
    let world = World::new(&store, "a").await;
    let (tenant, now) = (world.tenant, world.now);
    let first = departments::find(&store, tenant, world.department).await.unwrap().unwrap();
    assert_eq!((first.identifier.as_str(), first.number, first.user_count), ("suporte-tecnico", 1, 1));
    assert_eq!(first.settings(), vez::domain::department::Settings::new(first.id, "Suporte Técnico"));

    let same_name = DepartmentChange { name: Some("Suporte técnico!".into()), ..Default::default() };
    let mut work = world.work().await;
    let second = departments::create(&mut work, world.ids.next(now), same_name).await.unwrap();
    work.commit().await.unwrap();
    assert_eq!(second.identifier, "suporte-tecnico-2");
    let taken = DepartmentChange { identifier: Some("suporte-tecnico".into()), ..Default::default() };
    let taken = departments::update(&mut world.work().await, second.id, taken).await;
    assert!(matches!(taken, Err(StoreError::Conflict { constraint }) if constraint == "departments_identifier_key"));

    let change = DepartmentChange {
        description: Some(Some("Ajuda".into())),
        max_queue_size: Some(Some(1_000_000)),
        max_wait_time: Some(Some(300)),
        routing_strategy: Some(RoutingStrategy::FewestCalls),
        active: Some(false),
        ..Default::default()
    };
    let mut work = world.work().await;
    let changed = departments::update(&mut work, first.id, change).await.unwrap().unwrap();
    assert_eq!((changed.max_queue_size, changed.max_wait_time, changed.active), (Some(1_000_000), Some(300), false));
    assert_eq!((changed.offer_timeout_seconds, changed.name.as_str()), (20, "Suporte Técnico"));
    let back = DepartmentChange { max_queue_size: Some(None), ..Default::default() };
    let back = departments::update(&mut work, first.id, back).await.unwrap().unwrap();
    work.commit().await.unwrap();
    assert_eq!((back.max_queue_size, back.max_wait_time), (None, Some(300)));
    assert_eq!(departments::settings(&store, tenant, first.id).await.unwrap(), Some(back.settings()));

    let sort = Sort::by(DepartmentSort::Name, SortOrder::Asc);
    let list = departments::list(&store, tenant, Some("t_c"), None, sort, Page::default()).await.unwrap();
    assert_eq!(list.total_count, 0, "an underscore is an underscore");
    let list = departments::list(&store, tenant, Some("SUPORTE"), Some(true), sort, Page::default()).await.unwrap();
    assert_eq!(list.items, std::slice::from_ref(&second));
}

#[tokio::test]
async fn memberships_say_what_they_did() {
    let (store, _) = scratch::store().await;
    let world = World::new(&store, "a").await;
    let (tenant, department, user, now) = (world.tenant, world.department, world.user, world.now);
    assert!(departments::serves(&store, tenant, department, user).await.unwrap());
    let mut work = world.work().await;
    assert_eq!(departments::add_user(&mut work, department, user).await.unwrap(), Membership::Unchanged);
    let names = users::departments_of(&store, tenant, user).await.unwrap();
    assert_eq!(names, [(department, "Suporte Técnico".to_owned())]);
    let page = departments::users(&store, tenant, department, Page::default()).await.unwrap().unwrap();
    assert_eq!((page.total_count, page.items[0].id), (1, user));
    assert_eq!(departments::remove_user(&mut work, department, user).await.unwrap(), Membership::Changed);
    assert_eq!(departments::remove_user(&mut work, department, user).await.unwrap(), Membership::Unchanged);
    let nobody = world.ids.next(now);
    assert_eq!(departments::add_user(&mut work, department, nobody).await.unwrap(), Membership::NoUser);
    let nowhere = world.ids.next(now);
    assert_eq!(departments::add_user(&mut work, nowhere, user).await.unwrap(), Membership::NotFound);
    assert!(departments::users(&store, tenant, nowhere, Page::default()).await.unwrap().is_none());
}

#[tokio::test]
async fn a_company_reads_as_it_was_made() {
    let (store, _) = scratch::store().await;
    let world = World::new(&store, "acme").await;
    let company = tenants::company(&store, world.tenant).await.unwrap().unwrap();
    assert_eq!((company.slug.as_str(), company.time_zone), ("acme", chrono_tz::America::Sao_Paulo));
    assert_eq!(company.max_concurrent_calls, Some(10));
    let again = tenants::NewTenant {
        id: world.ids.next(world.now),
        slug: "acme".into(),
        name: "Other".into(),
        plan: tenants::Plan::Free,
        time_zone: chrono_tz::UTC,
    };
    let taken = tenants::create(&store, again, world.now).await;
    assert!(matches!(taken, Err(StoreError::Conflict { constraint }) if constraint == "tenants_slug_key"));
    store.ping().await.unwrap();
    store.close().await;
}

#[tokio::test]
async fn a_company_is_changed_while_others_are_made_in_it() {
    let (store, options) = scratch::store().await;
    let world = World::new(&store, "a").await;
    let moved = |zone| TenantChange { time_zone: Some(zone), ..TenantChange::default() };
    // One has asked the plan and will take a number, the other moves the company meanwhile.
    let mut making = world.work().await;
    plans::lock(&mut making).await.unwrap();
    let moving = async {
        let mut work = world.work().await;
        tenants::update(&mut work, moved(chrono_tz::Asia::Kathmandu)).await.unwrap();
        work.commit().await.unwrap();
    };
    let made = async {
        tokio::time::sleep(std::time::Duration::from_millis(200)).await;
        let change = DepartmentChange { name: Some("Nova".to_owned()), ..DepartmentChange::default() };
        departments::create(&mut making, world.ids.next(world.now), change).await.unwrap();
        making.commit().await.unwrap();
    };
    tokio::join!(moving, made);

    // A change of the company waits for nobody who appends to its feed.
    let mut appending = sqlx::PgConnection::connect_with(&options).await.unwrap();
    let mut held = appending.begin().await.unwrap();
    sqlx::query("SELECT FROM tenant_counters FOR UPDATE").execute(&mut *held).await.unwrap();
    let mut work = world.work().await;
    sqlx::raw_sql("SET LOCAL lock_timeout = '200ms'").execute(work.tx()).await.unwrap();
    let company = tenants::update(&mut work, moved(chrono_tz::Asia::Tokyo)).await.unwrap().unwrap();
    work.commit().await.unwrap();
    assert_eq!(company.time_zone, chrono_tz::Asia::Tokyo);
}
