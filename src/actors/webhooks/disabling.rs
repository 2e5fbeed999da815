//! Owns switching a webhook off that has only failed for days, and telling the company's managers: by a notice at once, and by
//! mail, since whoever looks after an integration seldom looks at the desk.

use std::time::Duration;

use crate::actors::handle::Queues;
use crate::actors::wire::Notice;
use crate::domain::clock::Timestamp;
use crate::domain::ids::IdSource;
use crate::domain::locale::Locale;
use crate::mail::notices;
use crate::store::mails::{self, Message, NewMail};
use crate::store::notifications::{self, Notification};
use crate::store::webhooks::{self, Disabled, Endpoint};
use crate::store::{Result, Store};

const SECONDS_PER_DAY: u64 = 24 * 60 * 60;

/// When it is time, and what is said then.
#[derive(Clone)]
pub(super) struct Disabling {
    pub queues: Queues,
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
        let Some(disabled) = webhooks::disable_failing(&mut work, webhook, self.failing_before(now)).await? else {
            return Ok(());
        };
        let Disabled { url, company, failing_since, managers } = disabled;
        let mut told = Vec::with_capacity(managers.len());
        for manager in managers {
            let notice = self.notice(manager.locale, &url, now);
            notifications::create(&mut work, manager.user, &notice).await?;
            told.push((manager.user, notice));
            let mail = NewMail {
                id: self.ids.uuid(now),
                to: manager.email,
                locale: manager.locale,
                message: Message::WebhookDisabled {
                    name: manager.name,
                    company: company.clone(),
                    url: url.clone(),
                    failing_since,
                },
                send_at: None,
            };
            mails::enqueue(&mut work, mail).await?;
        }
        work.commit().await?;
        for (user, notice) in told {
            self.queues.notify(webhook.tenant, user, vec![Notice::Notification(notice)]).await;
        }
        tracing::warn!(tenant = %webhook.tenant, webhook = %webhook.webhook, "a webhook was switched off for its failures");
        metrics::counter!("vez_webhooks_disabled_total").increment(1);
        Ok(())
    }

    fn notice(&self, locale: Locale, url: &str, now: Timestamp) -> Notification {
        let (title, body) = notices::webhook_disabled(url, self.after_days, locale);
        Notification {
            id: self.ids.next(now),
            kind: "webhook_disabled".to_owned(),
            title: title.to_owned(),
            body,
            inserted_at: now,
            read_at: None,
        }
    }
}
