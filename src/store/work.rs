//! Owns one change of a tenant's rows by somebody: the transaction, in whose name and when. It knows no aggregate.

use std::sync::Arc;

use sqlx::PgConnection;
use uuid::Uuid;

use super::webhooks::Outbox;
use super::{Result, Store, Transaction};
use crate::domain::clock::Timestamp;
use crate::domain::ids::{TenantId, UserId};

/// Who makes a change.
#[derive(Clone, Debug)]
pub struct Author {
    pub user: UserId,
    /// The API token he used, if any.
    pub token: Option<Uuid>,
    pub request_id: Arc<str>,
}

/// A change under way; dropped without a commit nothing of it stays.
#[derive(Debug)]
pub struct Work {
    pub tenant: TenantId,
    pub now: Timestamp,
    tx: Transaction,
    outbox: Outbox,
    /// Whether webhooks are to be told something once this is committed.
    pub(super) tells: bool,
}

impl Store {
    /// Begins a change of `tenant`'s rows.
    pub async fn work(&self, tenant: TenantId, now: Timestamp, _author: Option<&Author>) -> Result<Work> {
        let tx = self.tenant_tx(tenant).await?;
        Ok(Work { tenant, now, tx, outbox: self.outbox().clone(), tells: false })
    }
}

impl Work {
    /// What its statements run on.
    pub fn tx(&mut self) -> &mut PgConnection {
        &mut self.tx
    }

    /// Who is told by webhooks.
    pub(super) fn outbox(&self) -> &Outbox {
        &self.outbox
    }

    /// Makes it last.
    pub async fn commit(self) -> Result<()> {
        self.tx.commit().await?;
        if self.tells {
            self.outbox.wake();
        }
        Ok(())
    }
}
