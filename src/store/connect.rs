//! Owns the pools, the roles their connections assume, and the transaction that names a tenant. No statement about any
//! aggregate belongs here.

use sqlx::PgPool;
use sqlx::postgres::PgConnectOptions;

use super::{Result, StoreError};
use crate::domain::ids::TenantId;

/// A transaction on one of the store's connections; dropped without a commit it rolls back.
pub type Transaction = sqlx::Transaction<'static, sqlx::Postgres>;

/// The database, by two roles. Cloning it is cheap.
#[derive(Clone, Debug)]
pub struct Store {
    app: PgPool,
    system: PgPool,
}

impl Store {
    /// Opens pools of at most `app_connections` (what serves tenants, role `vez_app`) and `system_connections` (the
    /// record, start-up, deliveries; role `vez_system`). The database must have been migrated.
    pub async fn connect(_options: PgConnectOptions, _app_connections: u32, _system_connections: u32) -> Result<Self> {
        Err(unwritten())
    }

    /// A transaction that sees the rows of `tenant` and no others.
    pub async fn tenant_tx(&self, _tenant: TenantId) -> Result<Transaction> {
        Err(unwritten())
    }

    /// The pool that sees every tenant: for the record's writers and start-up only.
    pub fn system(&self) -> &PgPool {
        &self.system
    }

    /// Asks the database for an answer; for `/health/ready`.
    pub async fn ping(&self) -> Result<()> {
        let _ = &self.app;
        Err(unwritten())
    }

    /// Closes every connection, waiting for those in use.
    pub async fn close(&self) {}
}

/// The answer of what is declared and not yet written.
pub(super) fn unwritten() -> StoreError {
    StoreError::Unavailable(sqlx::Error::PoolClosed)
}
