//! Lists of large companies: what a page costs, how many are read at once, and that the totals are those of the rows.

use std::sync::Arc;
use std::time::Duration;

use sqlx::{AssertSqlSafe, Connection as _, PgConnection};
use vez::domain::call::{EndReason, Phase, Status};
use vez::domain::clock::Clock;
use vez::store::calls::{self, Attendant, CallFilter, CallSort};
use vez::store::customers::{self, CustomerFilter, CustomerSort};
use vez::store::departments::{self, DepartmentChange};
use vez::store::links::{self, LinkFilter, LinkSort};
use vez::store::record::TenantBatch;
use vez::store::{Page, Sort, SortOrder, StoreError, notifications};

use crate::scratch;
use crate::world::{World, batch_id, writer};

/// Enough rows that a page is found by an index, and reading all of them shows.
const ROWS: i64 = 3_000;

fn newest() -> Sort<CallSort> {
    Sort::by(CallSort::InsertedAt, SortOrder::Desc)
}

/// How many rows of a table were fetched so far, once every connection of the store has told.
async fn rows_read(connection: &mut PgConnection, table: &str) -> i64 {
    let mut last = -1;
    loop {
        tokio::time::sleep(Duration::from_millis(200)).await;
        let read: i64 = sqlx::query_scalar(
            "SELECT COALESCE(idx_tup_fetch, 0) + seq_tup_read FROM pg_stat_user_tables WHERE relname = $1",
        )
        .bind(table)
        .fetch_one(&mut *connection)
        .await
        .unwrap();
        if read == last {
            return read;
        }
        last = read;
    }
}

async fn fill(connection: &mut PgConnection, world: &World) {
    let (tenant, department, user) = (world.tenant, world.department, world.user);
    let fill = format!(
        "INSERT INTO calls (tenant_id, id, number, department_id, customer_id, customer_name, priority, inserted_at, phase,
                            status, connected, updated_at, epoch, version, completed_at)
         SELECT '{tenant}', gen_random_uuid(), n, '{department}', gen_random_uuid(), 'C', 0, now() - n * interval '1 minute',
                CASE WHEN n % 100 = 0 THEN 'waiting' ELSE 'ended' END, CASE WHEN n % 100 = 0 THEN 'queued' ELSE 'missed' END,
                true, now(), 1, 1, CASE WHEN n % 100 <> 0 THEN now() END FROM generate_series(1, {ROWS}) AS n;
         INSERT INTO access_links (tenant_id, id, token, department_id, inserted_at)
         SELECT '{tenant}', gen_random_uuid(), 'token' || n, '{department}', now() - n * interval '1 minute'
         FROM generate_series(1, {ROWS}) AS n;
         INSERT INTO notifications (tenant_id, id, user_id, kind, title, body, inserted_at)
         SELECT '{tenant}', gen_random_uuid(), '{user}', 'k', 't', 'b', now() - n * interval '1 minute'
         FROM generate_series(1, {ROWS}) AS n;"
    );
    sqlx::raw_sql(AssertSqlSafe(fill)).execute(&mut *connection).await.unwrap();
    sqlx::raw_sql("VACUUM ANALYZE").execute(connection).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_page_reads_few_rows_more_than_it_shows() {
    let (store, options) = scratch::store().await;
    let world = World::new(&store, "a").await;
    let mut owner = PgConnection::connect_with(&options).await.unwrap();
    fill(&mut owner, &world).await;
    let tables = ["calls", "access_links", "notifications"];
    let mut before = Vec::new();
    for table in tables {
        before.push(rows_read(&mut owner, table).await);
    }
    let (tenant, page) = (world.tenant, Page::new(2, 20));
    let calls = calls::list(&store, tenant, &CallFilter::default(), newest(), page).await.unwrap();
    assert_eq!((calls.total_count, calls.items.len()), (ROWS, 20));
    let waiting = CallFilter { phase: Some(Phase::Waiting), ..CallFilter::default() };
    let waiting = calls::list(&store, tenant, &waiting, newest(), Page::default()).await.unwrap();
    assert_eq!((waiting.total_count, waiting.items.len()), (ROWS / 100, 20));
    let sort = Sort::by(LinkSort::InsertedAt, SortOrder::Desc);
    let links = links::list(&store, tenant, &LinkFilter::default(), sort, page, world.now).await.unwrap();
    assert_eq!((links.total_count, links.items.len()), (ROWS, 20));
    let notices = notifications::list(&store, tenant, world.user, None, page).await.unwrap();
    assert_eq!((notices.total_count, notices.items.len()), (ROWS, 20));
    store.close().await;
    for (table, before) in tables.into_iter().zip(before) {
        let read = rows_read(&mut owner, table).await - before;
        // Calls are counted by their sums, the others row by row, once; nothing is sorted to find a page.
        let most = if table == "calls" { 300 } else { ROWS + 300 };
        assert!(read < most, "{read} rows of {table}");
    }
}

#[tokio::test]
async fn the_total_of_a_list_is_that_of_its_rows() {
    let (store, options) = scratch::store().await;
    let world = World::new(&store, "a").await;
    let mut work = world.work().await;
    let other = world.ids.next(world.now);
    let change = DepartmentChange { name: Some("Vendas".to_owned()), ..DepartmentChange::default() };
    departments::create(&mut work, other, change).await.unwrap();
    work.commit().await.unwrap();
    let bia = world.add_user("Bia", "bia@example.com").await.unwrap().id;
    let mut writer = writer(&store, &options).await;
    let fates = [None, Some(EndReason::Completed), Some(EndReason::Abandoned), Some(EndReason::Withdrawn)];
    let mut calls = Vec::new();
    for (number, fate) in (1..).zip(fates.into_iter().cycle().take(24)) {
        calls.push(Arc::new(world.next(&world.call(number), |call| {
            call.department_id = if number % 3 == 0 { other } else { world.department };
            call.user_id = [None, Some(world.user), Some(bia)][number as usize % 5 % 3];
            if let Some(reason) = fate {
                (call.phase, call.end_reason) = (Phase::Ended, Some(reason));
                call.ended_at = Some(world.now.plus_seconds(60));
            }
        })));
    }
    writer.commit(batch_id(), &world.batch(TenantBatch { calls, ..TenantBatch::default() })).await.unwrap();
    let attendant = |department_ids: Vec<_>| Some(Attendant { user_id: world.user, department_ids });
    let mut seen = 0;
    for status in [None, Some(Status::Queued), Some(Status::Completed), Some(Status::Missed), Some(Status::Cancelled)] {
        for phase in [None, Some(Phase::Waiting), Some(Phase::Ended)] {
            for department_id in [None, Some(other)] {
                for visible_to in
                    [None, attendant(vec![]), attendant(vec![other]), attendant(vec![other, world.department])]
                {
                    for user_id in [None, Some(world.user), Some(bia)] {
                        let visible_to = visible_to.clone();
                        let filter =
                            CallFilter { status, phase, department_id, visible_to, user_id, ..CallFilter::default() };
                        let all = Page::new(1, 100);
                        let list = calls::list(&store, world.tenant, &filter, newest(), all).await.unwrap();
                        assert_eq!(list.total_count, list.items.len() as i64, "{filter:?}");
                        seen += list.items.len();
                    }
                }
            }
        }
    }
    assert!(seen > 100, "{seen}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn slow_lists_of_one_company_leave_connections_to_joins_and_end_with_who_asked() {
    let (store, options) = scratch::store().await;
    let (world, other) = (World::new(&store, "a").await, World::new(&store, "b").await);
    let mut owner = PgConnection::connect_with(&options).await.unwrap();
    let mut lock = owner.begin().await.unwrap();
    sqlx::raw_sql("LOCK TABLE customers IN ACCESS EXCLUSIVE MODE").execute(&mut *lock).await.unwrap();
    let sort = Sort::by(CustomerSort::Name, SortOrder::Asc);
    let slow: Vec<_> = (0..8)
        .map(|_| {
            let (store, tenant) = (store.clone(), world.tenant);
            tokio::spawn(async move {
                customers::list(&store, tenant, &CustomerFilter::default(), sort, Page::default()).await
            })
        })
        .collect();
    tokio::time::sleep(Duration::from_millis(300)).await;
    // Who does not read a list is served, and so is another company's list.
    let began = Clock::system().now();
    assert!(departments::find(&store, world.tenant, world.department).await.unwrap().is_some());
    let lists = calls::list(&store, other.tenant, &CallFilter::default(), newest(), Page::default()).await.unwrap();
    assert_eq!(lists.total_count, 0);
    assert!(Clock::system().now().since(began) < Duration::from_secs(1));
    // Six of eight get no turn; the other two wait for the lock.
    tokio::time::sleep(Duration::from_secs(3)).await;
    let (mut busy, mut reading) = (0, Vec::new());
    for list in slow {
        if list.is_finished() {
            assert!(matches!(list.await.unwrap(), Err(StoreError::CompanyBusy)));
            busy += 1;
        } else {
            reading.push(list);
        }
    }
    assert_eq!((busy, reading.len()), (6, 2));
    // Whoever asked leaves, and what he asked is given up while it still cannot go on.
    reading.iter().for_each(tokio::task::JoinHandle::abort);
    let waiting =
        "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'";
    let mut left = -1_i64;
    for _ in 0..30 {
        left = sqlx::query_scalar(waiting).fetch_one(&mut *lock).await.unwrap();
        if left == 0 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert_eq!(left, 0, "questions that nobody waits for");
    lock.rollback().await.unwrap();
    let list = customers::list(&store, world.tenant, &CustomerFilter::default(), sort, Page::default()).await.unwrap();
    assert_eq!(list.total_count, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn duplicates_are_found_by_keys_and_not_by_going_through_everybody() {
    let (store, options) = scratch::store().await;
    let world = World::new(&store, "a").await;
    let mut owner = PgConnection::connect_with(&options).await.unwrap();
    let fill = format!(
        "INSERT INTO customers (tenant_id, id, name, email, phone, document, inserted_at, updated_at)
         SELECT '{}', ('00000000-0000-0000-0000-' || lpad(n::text, 12, '0'))::uuid, 'C' || n, 'c' || n || '@example.com',
                CASE WHEN n % 1000 = 7 THEN '+55 11 7' ELSE n::text END, n::text, now(), now()
         FROM generate_series(1, {ROWS}) AS n",
        world.tenant
    );
    sqlx::raw_sql(AssertSqlSafe(fill)).execute(&mut owner).await.unwrap();
    sqlx::raw_sql("VACUUM ANALYZE").execute(&mut owner).await.unwrap();
    let before = rows_read(&mut owner, "customers").await;
    let seventh = vez::domain::ids::CustomerId("00000000-0000-0000-0000-000000000007".parse().unwrap());
    let filter = CustomerFilter { duplicates_of: Some(seventh), ..CustomerFilter::default() };
    let sort = Sort::by(CustomerSort::Name, SortOrder::Asc);
    let found = customers::list(&store, world.tenant, &filter, sort, Page::default()).await.unwrap();
    assert_eq!(found.items.iter().map(|customer| &*customer.name).collect::<Vec<_>>(), ["C1007", "C2007"]);
    store.close().await;
    let read = rows_read(&mut owner, "customers").await - before;
    assert!(read < 100, "{read} rows");
}
