//! Owns the bells: who does something about committed rows is woken when they are there, instead of looking again and
//! again. A bell promises nothing; whoever listens also looks by itself now and then, and at its start.

use std::sync::Arc;

use tokio::sync::Notify;

use super::feed_bells::FeedBells;
use super::webhooks::Outbox;

/// One bell for each follower.
#[derive(Clone, Debug, Default)]
pub struct Bells {
    /// Companies have new facts in their feeds.
    pub feed: FeedBells,
    /// Webhooks are to be called.
    pub webhooks: Outbox,
    /// A company moved to another time zone.
    pub time_zones: Bell,
    /// Mail is waiting to leave.
    pub mails: Bell,
    /// Reminders were planned or moved, or a call of an appointment was completed.
    pub appointments: Bell,
}

/// A bell: rung while nobody listens, it is heard by who listens next.
#[derive(Clone, Debug, Default)]
pub struct Bell(Arc<Notify>);

impl Bell {
    /// Wakes the follower.
    pub fn ring(&self) {
        self.0.notify_one();
    }

    /// Returns when it was rung since the last time.
    pub async fn rung(&self) {
        self.0.notified().await;
    }
}
