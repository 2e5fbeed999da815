//! Owns bringing a database to the present schema and letting the login assume the two roles. It runs with the login's
//! own rights; nothing else does.

use std::time::Duration;

use sqlx::migrate::{MigrateError, Migrator};
use sqlx::postgres::PgConnectOptions;
use sqlx::{Connection as _, PgConnection};

use super::ownership::Claim;
use super::{Result, StoreError};

/// The migrations of this version, carried in the binary.
static MIGRATOR: Migrator = sqlx::migrate!("./migrations");

/// Oldest major version of Postgres that we are tested with.
pub const POSTGRES_MAJOR_MIN: i32 = 14;

/// For commands beside the server: as [`migrate`], but a database that has to be changed is changed only while nobody serves
/// it. Waits up to `wait` for that, then says who is there.
pub async fn migrate_unserved(options: &PgConnectOptions, wait: Duration) -> Result<()> {
    if is_current(options).await? {
        return migrate(options).await;
    }
    let claim = Claim::wait(options, wait).await?;
    migrate(options).await?;
    claim.release().await
}

/// Whether there is nothing to do.
async fn is_current(options: &PgConnectOptions) -> Result<bool> {
    let mut connection = PgConnection::connect_with(options).await?;
    let begun: bool =
        sqlx::query_scalar("SELECT to_regclass('_sqlx_migrations') IS NOT NULL").fetch_one(&mut connection).await?;
    let mut done: Vec<i64> = Vec::new();
    if begun {
        done =
            sqlx::query_scalar("SELECT version FROM _sqlx_migrations WHERE success").fetch_all(&mut connection).await?;
    }
    let moved = order_moved(&mut connection).await?;
    connection.close().await?;
    Ok(!moved && MIGRATOR.iter().all(|migration| done.contains(&migration.version)))
}

/// Brings the database to the present schema, or waits for another process that is doing so. Needs a login that may make
/// tables and, on first use, roles. Whoever serves the database must hold it already (`ownership`): a migration may rewrite a
/// table under those who write it.
pub async fn migrate(options: &PgConnectOptions) -> Result<()> {
    let mut connection = PgConnection::connect_with(options).await?;
    let version = sqlx::query_scalar!("SELECT current_setting('server_version_num')::int AS \"version!\"")
        .fetch_one(&mut connection)
        .await?;
    if version / 10_000 < POSTGRES_MAJOR_MIN {
        return Err(StoreError::ServerTooOld { found: version / 10_000, least: POSTGRES_MAJOR_MIN });
    }
    // The migrator takes an advisory lock of the database for as long as it runs.
    MIGRATOR.run(&mut connection).await.map_err(|error| match error {
        MigrateError::Execute(error) => StoreError::from(error),
        other => StoreError::Migration(other),
    })?;
    let_login_assume_roles(&mut connection).await?;
    if order_moved(&mut connection).await? {
        follow_order(&mut connection).await?;
    }
    connection.close().await?;
    Ok(())
}

/// Whether names are sorted otherwise than when their index was made: the operating system has another ICU since.
async fn order_moved(connection: &mut PgConnection) -> Result<bool> {
    let moved: Option<bool> = sqlx::query_scalar(
        "SELECT collversion IS DISTINCT FROM pg_collation_actual_version(oid)
         FROM pg_collation WHERE oid = to_regcollation('vez_names')",
    )
    .fetch_optional(connection)
    .await?;
    Ok(moved.unwrap_or(false))
}

/// Makes the index of names anew; read in an order that is no longer its own, it would skip rows.
async fn follow_order(connection: &mut PgConnection) -> Result<()> {
    tracing::info!("names are sorted by another version of ICU; their index is made anew");
    let mut tx = connection.begin().await?;
    sqlx::raw_sql("REINDEX INDEX customers_name; ALTER COLLATION vez_names REFRESH VERSION").execute(&mut *tx).await?;
    tx.commit().await?;
    Ok(())
}

/// The first migration grants the roles to the login that ran it; this one may be another.
async fn let_login_assume_roles(connection: &mut PgConnection) -> Result<()> {
    sqlx::raw_sql(
        "DO $$
         DECLARE wanted text;
         BEGIN
             FOREACH wanted IN ARRAY ARRAY['vez_app', 'vez_system'] LOOP
                 IF NOT pg_catalog.pg_has_role(current_user, wanted,
                     CASE WHEN current_setting('server_version_num')::int >= 160000 THEN 'SET' ELSE 'MEMBER' END)
                 THEN
                     EXECUTE format('GRANT %I TO CURRENT_USER', wanted);
                 END IF;
             END LOOP;
         END $$",
    )
    .execute(connection)
    .await?;
    Ok(())
}
