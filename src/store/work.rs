//! Owns one change of a tenant's rows by somebody: the transaction, in whose name and when. It knows no aggregate.

use std::sync::Arc;

use sqlx::PgConnection;
use uuid::Uuid;

use super::{Bell, Bells, Result, Store, Transaction};
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
    /// Rung once it lasts.
    bells: Vec<Bell>,
    all_bells: Bells,
}

impl Store {
    /// Begins a change of `tenant`'s rows.
    pub async fn work(&self, tenant: TenantId, now: Timestamp, _author: Option<&Author>) -> Result<Work> {
        Ok(Work { tenant, now, tx: self.tenant_tx(tenant).await?, bells: Vec::new(), all_bells: self.bells().clone() })
    }
}

impl Work {
    /// What its statements run on.
    pub fn tx(&mut self) -> &mut PgConnection {
        &mut self.tx
    }

    /// Once it lasts, this bell is rung.
    pub(super) fn then_ring(&mut self, which: impl FnOnce(&Bells) -> &Bell) {
        self.bells.push(which(&self.all_bells).clone());
    }

    /// Makes it last.
    pub async fn commit(self) -> Result<()> {
        self.tx.commit().await?;
        for bell in &self.bells {
            bell.ring();
        }
        Ok(())
    }
}
