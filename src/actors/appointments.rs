//! Owns what happens to appointments by itself: reminders at their time, and completion by the call the customer joined.
//! It sleeps until the next reminder is due and is woken when one is planned or such a call ends. What it does is one
//! transaction each, so that after a crash nothing is done twice and nothing is left out.

use std::time::Duration;

use super::handle::{Notice, Queues};
use super::wire::AppointmentReminder;
use crate::auth::Seal;
use crate::domain::appointment::AppointmentStatus;
use crate::domain::clock::{Clock, Timestamp};
use crate::domain::ids::{IdSource, TenantId};
use crate::store::appointment_changes::{Turned, turn};
use crate::store::appointment_followers::{self as followers, Followed};
use crate::store::appointment_news::{News, Told, tell};
use crate::store::{Result, Store};

/// How many are looked for at a time; more follow at once.
const AT_ONCE: u32 = 100;
/// How often it looks by itself, should a wake-up have been lost or the machine have slept.
const LOOK_EVERY: Duration = Duration::from_secs(60);
/// The pause when something could not be done: usually Postgres is away.
const FAILED_PAUSE: Duration = Duration::from_secs(2);

/// The follower's parts.
#[derive(Clone)]
pub struct Follower {
    pub store: Store,
    pub queues: Queues,
    pub seal: Seal,
    pub clock: Clock,
    pub ids: IdSource,
}

impl Follower {
    /// Follows until it is aborted.
    pub async fn run(self) {
        loop {
            let next = match self.follow().await {
                Ok(next) => next,
                Err(error) => {
                    tracing::debug!(%error, "appointments could not be followed");
                    tokio::time::sleep(FAILED_PAUSE).await;
                    continue;
                }
            };
            let latest = self.clock.now() + LOOK_EVERY;
            tokio::select! {
                () = self.store.bells().appointments.rung() => {}
                () = self.clock.sleep_until(next.unwrap_or(latest).min(latest)) => {}
            }
        }
    }

    /// Does all that is due; when the next reminder is.
    async fn follow(&self) -> Result<Option<Timestamp>> {
        loop {
            let met = followers::met(&self.store, AT_ONCE).await?;
            let due = followers::due(&self.store, self.clock.now(), AT_ONCE).await?;
            if met.is_empty() && due.is_empty() {
                return followers::next_due(&self.store).await;
            }
            let mut failed = None;
            for (followed, call) in met {
                if let Err(error) = self.complete(followed).await {
                    tracing::warn!(tenant = %followed.0, appointment = %followed.1, %call, %error, "not completed");
                    failed = Some(error);
                }
            }
            for followed in due {
                if let Err(error) = self.remind(followed).await {
                    tracing::warn!(tenant = %followed.0, appointment = %followed.1, %error, "not reminded of");
                    failed = Some(error);
                }
            }
            // What failed comes again, after a pause; all others were done.
            if let Some(error) = failed {
                return Err(error);
            }
        }
    }

    /// The call was completed, so the appointment is, unless staff said otherwise meanwhile.
    async fn complete(&self, (tenant, id): Followed) -> Result<()> {
        let mut work = self.store.work(tenant, self.clock.now(), None).await?;
        let turned = turn(&mut work, id, AppointmentStatus::Completed, None).await?;
        followers::take_met(&mut work, id).await?;
        let told = match turned {
            Some(Turned::Done(appointment, _)) => {
                tell(&mut work, &appointment, News::Completed, None, &self.seal, &self.ids).await?
            }
            _ => Vec::new(),
        };
        work.commit().await?;
        self.push(tenant, told, None).await;
        Ok(())
    }

    async fn remind(&self, (tenant, id): Followed) -> Result<()> {
        let mut work = self.store.work(tenant, self.clock.now(), None).await?;
        let Some(appointment) = followers::take_reminder(&mut work, id).await? else {
            return work.commit().await;
        };
        let told = tell(&mut work, &appointment, News::Near, None, &self.seal, &self.ids).await?;
        work.commit().await?;
        let reminder = AppointmentReminder {
            appointment_id: appointment.id,
            title: appointment.title,
            scheduled_at: appointment.scheduled_at,
            customer_name: appointment.customer_name,
        };
        self.push(tenant, told, Some(reminder)).await;
        Ok(())
    }

    async fn push(&self, tenant: TenantId, told: Vec<Told>, reminder: Option<AppointmentReminder>) {
        for (user, notification) in told {
            let reminder = reminder.clone().map(Notice::AppointmentReminder);
            let notices = reminder.into_iter().chain([Notice::Notification(notification)]).collect();
            self.queues.notify(tenant, user, notices).await;
        }
    }
}
