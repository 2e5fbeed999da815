//! Owns what is thrown away when its time is over: slowly, in slices, so that nobody notices. Each kind of row says itself how
//! long it is kept, unless the operator does; here stands only how often is looked.

use std::time::Duration;

use crate::domain::clock::{Clock, Timestamp};
use crate::store::{
    Result, Store, audit, departments, feed, idempotency, mails, notifications, password_resets, sessions, tags,
    webhooks,
};

/// Between two rounds: what is kept for days may stay some minutes longer.
const EVERY: Duration = Duration::from_secs(10 * 60);
/// Between two slices of a round, so that the log of changes and the disks breathe.
const BETWEEN_SLICES: Duration = Duration::from_millis(200);
/// Most slices of one kind in a round; the next round goes on.
const SLICES_MAX: usize = 500;
const SECONDS_PER_DAY: u64 = 24 * 60 * 60;

/// How long the operator wants things kept.
#[derive(Clone, Copy, Debug)]
pub struct Kept {
    /// What webhooks were told.
    pub webhook_days: u32,
    /// Facts of the feed; 0 is for ever.
    pub event_days: u32,
    /// Notices to staff; 0 is for ever.
    pub notification_days: u32,
    /// The trail of what staff did; 0 is for ever.
    pub audit_days: u32,
}

/// Throws away what is over, for ever. Spawned once by whoever starts the server.
pub async fn run(store: Store, clock: Clock, kept: Kept) {
    loop {
        clock.sleep(EVERY).await;
        if let Err(error) = round(&store, &clock, kept).await {
            tracing::warn!(%error, "housekeeping could not finish; the next round goes on");
        }
    }
}

async fn round(store: &Store, clock: &Clock, kept: Kept) -> Result<()> {
    let mut outcome = Ok(());
    for kind in KINDS {
        for _ in 0..SLICES_MAX {
            match kind.sweep(store, clock.now(), kept).await {
                Ok(0) => break,
                Ok(_) => tokio::time::sleep(BETWEEN_SLICES).await,
                Err(error) => {
                    // One kind that fails does not keep the others.
                    outcome = Err(error);
                    break;
                }
            }
        }
    }
    outcome
}

/// What is thrown away.
#[derive(Clone, Copy, Debug)]
enum Kind {
    Answers,
    RefreshTokens,
    PasswordResets,
    Mails,
    WebhookDeliveries,
    Facts,
    Notices,
    Trail,
    /// What still names tags that are gone.
    TagsLeft,
    /// What was noted of the uses of tags since it was summed up last.
    TagUses,
    /// Links to departments that are gone.
    LinksLeft,
}

const KINDS: [Kind; 11] = [
    Kind::Answers,
    Kind::RefreshTokens,
    Kind::PasswordResets,
    Kind::Mails,
    Kind::WebhookDeliveries,
    Kind::Facts,
    Kind::Notices,
    Kind::Trail,
    Kind::TagsLeft,
    Kind::TagUses,
    Kind::LinksLeft,
];

/// When what is kept for so many days was written at the earliest; none when it is kept for ever.
fn kept_since(now: Timestamp, days: u32) -> Option<Timestamp> {
    (days > 0).then(|| now - Duration::from_secs(u64::from(days) * SECONDS_PER_DAY))
}

impl Kind {
    /// Throws away a slice; how many rows it had.
    async fn sweep(self, store: &Store, now: Timestamp, kept: Kept) -> Result<u64> {
        match self {
            Kind::Answers => idempotency::sweep(store, now).await,
            Kind::RefreshTokens => sessions::sweep(store, now).await,
            Kind::PasswordResets => password_resets::sweep(store, now).await,
            Kind::Mails => mails::sweep(store, now).await,
            Kind::WebhookDeliveries => match kept_since(now, kept.webhook_days.max(1)) {
                Some(since) => webhooks::sweep(store, since).await,
                None => Ok(0),
            },
            Kind::Facts => match kept_since(now, kept.event_days) {
                Some(since) => feed::sweep(store, since).await,
                None => Ok(0),
            },
            Kind::Notices => match kept_since(now, kept.notification_days) {
                Some(since) => notifications::sweep(store, since).await,
                None => Ok(0),
            },
            Kind::Trail => match kept_since(now, kept.audit_days) {
                Some(since) => audit::sweep(store, since).await,
                None => Ok(0),
            },
            Kind::TagsLeft => tags::sweep(store).await,
            Kind::TagUses => tags::sum_uses(store).await,
            Kind::LinksLeft => departments::sweep_links(store).await,
        }
    }
}
