//! Owns the transaction in which staff change a tenant's rows: it names the tenant, who acts and when, so that the audit rows
//! are written by the database itself and no statement can forget them. What is changed is for the aggregates.

use std::sync::Arc;

use sqlx::{AssertSqlSafe, PgConnection};
use uuid::Uuid;

use super::{Bell, Bells, Result, Store, Transaction};
use crate::domain::clock::Timestamp;
use crate::domain::ids::{TenantId, UserId};

/// Who acts.
#[derive(Clone, Debug)]
pub struct Author {
    pub user: UserId,
    /// The API token used, if any.
    pub token: Option<Uuid>,
    /// Of the request; letters, digits and `-_.` only.
    pub request_id: Arc<str>,
}

/// One change of a tenant's rows, of one or more statements. Whoever opened it commits it; dropped, it never was.
#[derive(Debug)]
pub struct Work {
    tx: Transaction,
    pub tenant: TenantId,
    /// When it happens; also what `inserted_at` and `updated_at` become.
    pub now: Timestamp,
    /// Rung once it lasts.
    rings: Vec<Bell>,
    bells: Bells,
}

impl Store {
    /// Opens the work of `author` (none for the server itself and the command line, which leaves no audit rows).
    pub async fn work(&self, tenant: TenantId, now: Timestamp, author: Option<&Author>) -> Result<Work> {
        let mut tx = self.tenant_tx(tenant).await?;
        if let Some(author) = author {
            // Ids print as hexadecimal digits and hyphens, times as digits and letters, and of the request's id only what
            // cannot end a literal is taken, so one round trip without parameters will do.
            let token = author.token.map(|token| token.to_string()).unwrap_or_default();
            let request: String =
                author.request_id.chars().filter(|c| c.is_ascii_alphanumeric() || "-_.:".contains(*c)).collect();
            let settings = format!(
                "SELECT set_config('vez.author', '{}', true), set_config('vez.token', '{token}', true), \
                 set_config('vez.request', '{request}', true), set_config('vez.at', '{}', true)",
                author.user,
                now.to_utc().to_rfc3339(),
            );
            sqlx::raw_sql(AssertSqlSafe(settings)).execute(&mut *tx).await?;
        }
        Ok(Work { tx, tenant, now, rings: Vec::new(), bells: self.bells().clone() })
    }
}

impl Work {
    /// Where its statements run.
    pub fn tx(&mut self) -> &mut PgConnection {
        &mut self.tx
    }

    /// The bells of whoever follows what is committed.
    pub(super) fn bells(&self) -> &Bells {
        &self.bells
    }

    /// Once it lasts, this bell is rung.
    pub(super) fn then_ring(&mut self, which: impl FnOnce(&Bells) -> &Bell) {
        self.rings.push(which(&self.bells).clone());
    }

    /// Makes it durable, all of it or nothing.
    pub async fn commit(self) -> Result<()> {
        self.tx.commit().await?;
        for bell in &self.rings {
            bell.ring();
        }
        Ok(())
    }
}
