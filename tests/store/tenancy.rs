//! Tenants do not exist for each other, whatever the login and whatever a query forgets.

use sqlx::postgres::PgConnection;
use sqlx::{AssertSqlSafe, Connection as _};
use vez::store::links::{self, NewLink};
use vez::store::sessions::{self, NewSession};
use vez::store::tags::{self, NewTag};
use vez::store::{Membership, Store, StoreError, call_messages, calls, departments, migrate, tenants, users};

use crate::scratch;
use crate::world::{World, batch_id, writer};

/// Every table that holds rows of tenants, with the column that says whose.
async fn tenant_tables(connection: &mut PgConnection) -> Vec<(String, String)> {
    sqlx::query_as(
        "SELECT c.relname::text, a.attname::text FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid
         WHERE c.relnamespace = 'public'::regnamespace AND c.relkind = 'r'
               AND (a.attname = 'tenant_id' OR (c.relname = 'tenants' AND a.attname = 'id'))
         ORDER BY 1",
    )
    .fetch_all(connection)
    .await
    .unwrap()
}

async fn count(connection: &mut PgConnection, table: &str, whose: &str) -> i64 {
    sqlx::query_scalar(AssertSqlSafe(format!("SELECT count(*) FROM {table} {whose}")))
        .fetch_one(connection)
        .await
        .unwrap()
}

#[tokio::test]
async fn row_level_security_is_forced_on_every_tenant_table() {
    let options = scratch::database().await;
    let mut connection = PgConnection::connect_with(&options).await.unwrap();
    let tables = tenant_tables(&mut connection).await;
    assert!(tables.len() >= 13, "{tables:?}");
    for (table, column) in tables {
        let (enabled, forced): (bool, bool) =
            sqlx::query_as("SELECT relrowsecurity, relforcerowsecurity FROM pg_class WHERE oid = $1::regclass")
                .bind(&table)
                .fetch_one(&mut connection)
                .await
                .unwrap();
        assert!(enabled && forced, "{table}: row-level security must be enabled and forced");
        let policies: Vec<(String, String, String, String, String)> = sqlx::query_as(
            "SELECT policyname::text, array_to_string(roles, ','), cmd, qual, with_check FROM pg_policies
             WHERE tablename = $1 ORDER BY 1",
        )
        .bind(&table)
        .fetch_all(&mut connection)
        .await
        .unwrap();
        let expected = format!("({column} = (NULLIF(current_setting('vez.tenant'::text, true), ''::text))::uuid)");
        let all = ("every_tenant".into(), "vez_system".into(), "ALL".into(), "true".into(), "true".into());
        let one = ("one_tenant".into(), "vez_app".into(), "ALL".into(), expected.clone(), expected);
        assert_eq!(policies, [all, one], "{table}");
    }
}

#[tokio::test]
async fn a_query_that_forgets_the_tenant_sees_nothing_and_a_named_tenant_sees_its_own() {
    let (store, options) = scratch::store().await;
    let a = full_world(&store, &options, "a").await;
    let b = full_world(&store, &options, "b").await;
    let mut owner = PgConnection::connect_with(&options).await.unwrap();
    assert_eq!(count(&mut owner, "pg_roles", "WHERE rolname = current_user AND rolsuper").await, 1);
    let mut app = PgConnection::connect_with(&options).await.unwrap();
    sqlx::raw_sql("SET ROLE vez_app").execute(&mut app).await.unwrap();
    let mut of_a = store.tenant_tx(a.tenant).await.unwrap();
    for (table, column) in tenant_tables(&mut owner).await {
        let all = count(&mut owner, &table, "").await;
        let own = count(&mut owner, &table, &format!("WHERE {column} = '{}'", a.tenant)).await;
        // Tables without rows here have the same two policies as all others, which is tested above.
        if all == 0 {
            continue;
        }
        assert!(own > 0 && own < all, "{table}: the test must have rows of both tenants ({own} of {all})");
        assert_eq!(count(&mut app, &table, "").await, 0, "{table}: forgotten tenant");
        assert_eq!(count(&mut of_a, &table, "").await, own, "{table}: tenant a");
        assert_eq!(count(&mut of_a, &table, &format!("WHERE {column} = '{}'", b.tenant)).await, 0, "{table}: b from a");
    }
    // The setting ends with the transaction.
    of_a.rollback().await.unwrap();
    for table in ["ownership", "writer_marks", "_sqlx_migrations"] {
        let refused = sqlx::raw_sql(AssertSqlSafe(format!("SELECT * FROM {table}"))).execute(&mut app).await;
        assert!(refused.is_err(), "{table} is not for serving connections");
    }
}

#[tokio::test]
async fn foreign_ids_are_absent_and_foreign_rows_cannot_be_written() {
    let (store, options) = scratch::store().await;
    let a = full_world(&store, &options, "a").await;
    let b = full_world(&store, &options, "b").await;
    assert!(users::find(&store, a.tenant, b.user).await.unwrap().is_none());
    assert!(departments::find(&store, a.tenant, b.department).await.unwrap().is_none());
    let mut work = a.work().await;
    assert!(departments::update(&mut work, b.department, Default::default()).await.unwrap().is_none());
    let added = departments::add_user(&mut work, a.department, b.user).await.unwrap();
    assert_eq!(added, Membership::NoUser);
    drop(work);
    assert!(
        calls::list(&store, a.tenant, &Default::default(), sort(), Default::default()).await.unwrap().total_count == 1
    );

    let mut of_a = store.tenant_tx(a.tenant).await.unwrap();
    let moved = sqlx::query("UPDATE users SET tenant_id = $1").bind(b.tenant.0).execute(&mut *of_a).await;
    assert!(matches!(moved.map_err(StoreError::from), Err(StoreError::Refused { code, .. }) if code == "42501"));
}

#[tokio::test]
async fn a_tenant_is_found_by_what_a_stranger_holds_and_by_nothing_else() {
    let (store, options) = scratch::store().await;
    let a = full_world(&store, &options, "acme").await;
    assert_eq!(tenants::by_slug(&store, "acme").await.unwrap().unwrap().id, a.tenant);
    assert!(tenants::by_slug(&store, "acm_").await.unwrap().is_none());
    assert_eq!(links::by_token(&store, "token-acme", a.now).await.unwrap().unwrap().0, a.tenant);
    assert!(links::by_token(&store, "other", a.now).await.unwrap().is_none());
    let mut connection = PgConnection::connect_with(&options).await.unwrap();
    let executable: Vec<(String, String, bool, bool, bool)> = sqlx::query_as(
        "SELECT p.proname::text, p.prorettype::regtype::text, p.prosecdef,
                p.proconfig @> ARRAY['search_path=pg_catalog, pg_temp'],
                EXISTS (SELECT FROM aclexplode(p.proacl) acl WHERE acl.grantee = 0)
         FROM pg_proc p WHERE p.proname LIKE 'vez_tenant_of%'",
    )
    .fetch_all(&mut connection)
    .await
    .unwrap();
    assert!(executable.len() >= 6, "{executable:?}");
    for (name, returns, definer, path, anyone) in executable {
        assert!(returns == "uuid" && definer && path && !anyone, "{name}");
    }
}

#[tokio::test]
async fn a_login_that_is_no_superuser_serves_as_well() {
    // A cluster of its own, so that this login makes the roles too.
    let server = scratch::Server::start("-c fsync=off");
    let mut superuser = PgConnection::connect_with(&server.options("postgres")).await.unwrap();
    sqlx::raw_sql("CREATE ROLE limited LOGIN CREATEROLE").execute(&mut superuser).await.unwrap();
    sqlx::raw_sql("CREATE DATABASE vez OWNER limited").execute(&mut superuser).await.unwrap();
    let limited = server.options("vez").username("limited");
    migrate(&limited).await.unwrap();
    migrate(&limited).await.unwrap();
    let store = Store::connect(limited.clone(), 2, 2).await.unwrap();
    let world = full_world(&store, &limited, "limited").await;
    assert_eq!(tenants::by_slug(&store, "limited").await.unwrap().unwrap().id, world.tenant);
}

/// A world with a row in every table.
/// One row in each table that `full_world` reaches by no function of the store; `$1` is the tenant, `$2` any id.
const OTHER_ROWS: [&str; 12] = [
    "INSERT INTO sectors (tenant_id, id, name, inserted_at, updated_at) VALUES ($1, $2, 'Sales', now(), now())",
    "INSERT INTO removed_tags (tenant_id, tag_id) VALUES ($1, $2)",
    "INSERT INTO audit (tenant_id, at, user_id, request_id, action, object, object_id)
     VALUES ($1, now(), $2, '', 'created', 'sector', $2)",
    "INSERT INTO idempotency_keys (tenant_id, user_id, key, fingerprint, status, answer, inserted_at)
     VALUES ($1, $2, 'key', '', 201, '', now())",
    "INSERT INTO webhooks (tenant_id, id, url, events, secret, inserted_at, updated_at)
     VALUES ($1, $2, 'https://hooks.example.com/', '{call.created}', '', now(), now())",
    "INSERT INTO webhook_events (tenant_id, id, event, subject_id, at, data)
     VALUES ($1, $2, 'call.created', $2, now(), '{}')",
    "INSERT INTO webhook_deliveries (tenant_id, webhook_id, event_id, seq, event, subject_id, due_at, inserted_at)
     VALUES ($1, $2, $2, 1, 'call.created', $2, now(), now())",
    "INSERT INTO webhook_attempts (tenant_id, delivery_id, number, at, duration_ms, url, request_headers)
     VALUES ($1, $2, 1, now(), 1, '', '{}')",
    "INSERT INTO second_factors (tenant_id, user_id, secret, inserted_at)
     SELECT tenant_id, id, '', now() FROM users WHERE tenant_id = $1 AND $2 IS NOT NULL LIMIT 1",
    "INSERT INTO recovery_codes (tenant_id, user_id, code_hash, inserted_at)
     SELECT tenant_id, user_id, '', now() FROM second_factors WHERE tenant_id = $1 AND $2 IS NOT NULL",
    "INSERT INTO password_resets (tenant_id, token_hash, user_id, password_mark, expires_at, inserted_at)
     SELECT tenant_id, $2::text, id, '', now(), now() FROM users WHERE tenant_id = $1 LIMIT 1",
    "INSERT INTO api_tokens (tenant_id, id, name, role, token_hash, hint, user_id, inserted_at)
     SELECT tenant_id, $2, 'CRM', 'attendant', $2::text, '', id, now() FROM users WHERE tenant_id = $1 LIMIT 1",
];

async fn full_world(store: &Store, options: &sqlx::postgres::PgConnectOptions, slug: &str) -> World {
    use std::sync::Arc;
    let world = World::new(store, slug).await;
    let (tenant, now) = (world.tenant, world.now);
    let mut work = store.work(tenant, now, None).await.unwrap();
    let tag = NewTag { id: world.ids.next(now), name: "vip".into(), color: "#6b7280".into(), parent_id: None };
    let tag = tags::create(&mut work, tag).await.unwrap().unwrap();
    // A call joined through it gets its tag and fields.
    let link = NewLink {
        max_uses: Some(1),
        tag_ids: vec![tag.id],
        custom_fields: [("order".to_owned(), "7".to_owned())].into(),
        ..NewLink::new(world.ids.next(now), format!("token-{slug}"), world.department)
    };
    let link = links::create(&mut work, &[link]).await.unwrap().pop().unwrap();
    work.commit().await.unwrap();
    let session = world.ids.next(now);
    let expires = now.plus_seconds(60);
    let token_hash = format!("hash-{slug}");
    let login =
        NewSession { user: world.user, session, token_hash: &token_hash, expires_at: expires, password_hash: None };
    sessions::create(store, tenant, login, now).await.unwrap();
    let notice = vez::store::notifications::Notification {
        id: world.ids.next(now),
        kind: "note".into(),
        title: "Olá".into(),
        body: "...".into(),
        inserted_at: now,
        read_at: None,
    };
    let mut work = store.work(tenant, now, None).await.unwrap();
    assert!(vez::store::notifications::create(&mut work, world.user, &notice).await.unwrap());
    work.commit().await.unwrap();
    let call = world.next(&world.call(1), |call| call.link_id = Some(link.id));
    let mut batch = world.batch_of(&call);
    let part = batch.tenants.get_mut(&tenant).unwrap();
    part.agents.push(Arc::new(world.agent(1)));
    part.new_customers.push(call.caller.clone());
    writer(store, options).await.commit(batch_id(), &batch).await.unwrap();
    assert!(call_messages::keep(store, tenant, call.id, call_messages::Sender::Customer, "oi", now).await.unwrap());
    for statement in OTHER_ROWS {
        sqlx::query(statement).bind(tenant.0).bind(world.ids.uuid(now)).execute(store.system()).await.unwrap();
    }
    world
}

fn sort() -> vez::store::Sort<calls::CallSort> {
    vez::store::Sort::by(calls::CallSort::InsertedAt, vez::store::SortOrder::Desc)
}
