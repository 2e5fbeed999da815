//! Owns bringing a database to the present schema and making the two roles. It runs with the login's own rights; nothing
//! else does.

use sqlx::postgres::PgConnectOptions;

use super::Result;

/// Brings the database to the present schema, or waits for another process that is doing so. Needs a login that may make
/// tables and roles.
pub async fn migrate(_options: &PgConnectOptions) -> Result<()> {
    Err(super::connect::unwritten())
}
