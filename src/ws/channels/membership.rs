//! Owns what ends with a membership of a topic, however it ends: the subscription, the attachment by which the actors
//! know that somebody is there, and the word to the other side of a call. It may be dropped in any task of the runtime.

use super::{Place, call};
use crate::domain::ids::{CallId, UserId};
use crate::live::hub::Subscription;

/// What the actors were told of a device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Attached {
    /// Keeps the customer present.
    Customer(CallId),
    /// Holds the agent's lease.
    Agent(UserId),
}

/// One device's membership of one topic; dropping it ends it.
pub struct Membership {
    place: Place,
    subscription: Option<Subscription>,
    pub(super) attached: Option<Attached>,
    pub(super) announced: Option<call::Announced>,
}

impl Membership {
    pub(super) fn new(place: Place, subscription: Subscription) -> Self {
        Self { place, subscription: Some(subscription), attached: None, announced: None }
    }

    /// Stops broadcasts until [`Membership::unmute`].
    pub fn mute(&self) {
        if let Some(subscription) = &self.subscription {
            subscription.mute();
        }
    }

    /// Lets broadcasts in again; before the snapshot is taken.
    pub fn unmute(&self) {
        if let Some(subscription) = &self.subscription {
            subscription.unmute();
        }
    }

    /// How many broadcasts were dropped since this was last asked.
    pub fn take_missed(&self) -> u32 {
        self.subscription.as_ref().map_or(0, Subscription::take_missed)
    }
}

impl Drop for Membership {
    fn drop(&mut self) {
        let (attached, announced) = (self.attached.take(), self.announced.take());
        let left = announced.and_then(|announced| announced.leaving(&self.place));
        drop(self.subscription.take());
        if attached.is_none() && left.is_none() {
            return;
        }
        // Without a runtime the process is ending, and presence with it.
        let Ok(runtime) = tokio::runtime::Handle::try_current() else { return };
        let place = self.place.clone();
        runtime.spawn(async move {
            if let Some(left) = left {
                left.tell(&place).await;
            }
            let (tenant, device, queues) = (place.tenant(), place.device, place.state.queues());
            // Whoever cannot be told now finds the device gone from the hub when it looks.
            let told = match attached {
                Some(Attached::Customer(call)) => queues.detach_customer(tenant, call, device).await,
                Some(Attached::Agent(user)) => queues.detach_agent(tenant, user, device).await,
                None => Ok(()),
            };
            if let Err(error) = told {
                tracing::debug!(topic = %place.topic, ?error, "a device's leaving was not taken");
            }
        });
    }
}
