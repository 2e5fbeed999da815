//! Owns switching a webhook off that has only failed for days, and telling the company's managers.

use std::time::Duration;

use crate::domain::clock::Timestamp;
use crate::domain::ids::IdSource;
use crate::store::notifications::{self, Notification};
use crate::store::webhooks::{self, Endpoint};
use crate::store::{Result, Store};

const SECONDS_PER_DAY: u64 = 24 * 60 * 60;

/// When it is time, and what is said then.
#[derive(Clone)]
pub(super) struct Disabling {
    pub ids: IdSource,
    /// Days of nothing but failures.
    pub after_days: u32,
}

impl Disabling {
    /// Whoever has failed since then, or longer, is switched off.
    pub fn failing_before(&self, now: Timestamp) -> Timestamp {
        now - Duration::from_secs(u64::from(self.after_days) * SECONDS_PER_DAY)
    }

    /// Switches a webhook off, unless it recovered meanwhile. What waits for it stays and is sent when it is switched on.
    pub async fn disable(&self, store: &Store, webhook: Endpoint, now: Timestamp) -> Result<()> {
        let mut work = store.work(webhook.tenant, now, None).await?;
        let Some((url, managers)) =
            webhooks::disable_failing(&mut work, webhook, self.failing_before(now)).await?
        else {
            return Ok(());
        };
        for manager in &managers {
            let notice = Notification {
                id: self.ids.uuid(now),
                kind: "webhook_disabled".to_owned(),
                title: "Webhook switched off".to_owned(),
                body: format!("{url} has not answered well for {} days", self.after_days),
                inserted_at: now,
            };
            notifications::create_in(&mut work, manager.user, &notice).await?;
        }
        work.commit().await?;
        tracing::warn!(tenant = %webhook.tenant, webhook = %webhook.webhook, "a webhook was switched off for its failures");
        metrics::counter!("vez_webhooks_disabled_total").increment(1);
        Ok(())
    }
}
