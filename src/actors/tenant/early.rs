//! Owns what an agent is told who comes back while his tenant's queues still load: nothing until they have said what they
//! hold, because his calls would seem to be gone.

use std::time::Duration;

use ractor::ActorRef;
use tokio::sync::oneshot;

use super::super::wire::NotificationState;
use super::{State, TenantMsg};
use crate::domain::ids::UserId;

/// Agents who come back before the queues have said what they hold wait for it at most so long, and at most so many:
/// more than a company has.
const EARLY_WITHIN: Duration = Duration::from_secs(2);
const EARLY_MAX: usize = 10_000;

impl State {
    /// What an agent has now. Until every queue has said what it holds his calls would seem to be gone, so he waits.
    pub(super) fn notification(
        &mut self,
        myself: &ActorRef<TenantMsg>,
        user: UserId,
        reply: oneshot::Sender<Option<NotificationState>>,
    ) {
        if self.unheard.is_empty() || self.early.len() >= EARLY_MAX {
            let _ = reply.send(self.topics.notification(&self.core, user));
            return;
        }
        if self.early.is_empty() {
            let myself = myself.clone();
            tokio::spawn(async move {
                tokio::time::sleep(EARLY_WITHIN).await;
                let _ = myself.cast(TenantMsg::AnswerEarly);
            });
        }
        self.early.push((user, reply));
    }

    pub(super) fn answer_early(&mut self) {
        for (user, reply) in std::mem::take(&mut self.early) {
            let _ = reply.send(self.topics.notification(&self.core, user));
        }
    }
}
