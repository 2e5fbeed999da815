//! Owns the lives of a tenant's queues: starting one, noticing that it died, starting the next from the settled record, and
//! ending the call that kills one life after the other.

use std::time::Duration;

use ractor::{Actor, ActorId, ActorRef};

use super::super::queue::{self, QueueActor, QueueMsg};
use super::{State, TenantMsg};
use crate::domain::clock::Timestamp;
use crate::domain::ids::{CallId, DepartmentId};
use crate::roster::Command;
use crate::store::StoreError;

/// Panics of one queue within a minute before the call last touched is ended instead of tried again.
const PANICS_MAX: usize = 3;
const PANICS_WITHIN_SECONDS: u64 = 60;
/// The pause before a queue that could not be loaded is tried again: Postgres may be away.
const RESTART_PAUSE: Duration = Duration::from_millis(250);

impl State {
    pub(super) fn ensure_queue(&mut self, myself: &ActorRef<TenantMsg>, department: DepartmentId) {
        if self.children.contains_key(&department) || !self.link.has_department(department) {
            return;
        }
        self.begin_queue(myself, department, self.served_until, false, None, Duration::ZERO);
    }

    /// Passes on what one queue tells another. All of it goes this way, so that it comes in order; what comes while the other
    /// starts waits for it, and is as many messages as calls were given to it and asked for meanwhile.
    pub(super) fn forward(&mut self, myself: &ActorRef<TenantMsg>, department: DepartmentId, message: QueueMsg) {
        match self.children.get(&department) {
            // One that is dying loses it; its next life reads what was written, which an adoption is.
            Some(child) => {
                let _ = child.actor.cast(message);
            }
            None => {
                self.forwarded.entry(department).or_default().push(message);
                self.ensure_queue(myself, department);
            }
        }
    }

    /// Starts a life of a queue in a task of its own; it says so by `QueueStarted`, or the task by `QueueFailed`.
    pub(super) fn begin_queue(
        &mut self,
        myself: &ActorRef<TenantMsg>,
        department: DepartmentId,
        served_until: Option<Timestamp>,
        again: bool,
        condemned: Option<CallId>,
        pause: Duration,
    ) {
        if self.starting.contains_key(&department) {
            return;
        }
        let incarnation = self.shared.next_incarnation();
        self.starting.insert(department, incarnation);
        let args = queue::Args {
            shared: self.shared.clone(),
            link: self.link.clone(),
            department,
            incarnation,
            tenant_actor: myself.clone(),
            day_start: self.day_start,
            served_until,
            again,
            condemned,
        };
        let (shared, tenant, myself) = (self.shared.clone(), self.tenant, myself.clone());
        tokio::spawn(async move {
            tokio::time::sleep(pause).await;
            // What the life before wrote is committed or refused before the next one reads.
            shared.persistence.flush(tenant).await;
            if let Err(error) = Actor::spawn_linked(None, QueueActor, args, myself.get_cell()).await {
                tracing::warn!(%tenant, %department, %error, "a queue could not start; trying again");
                // A store that cannot be read is nobody's fault here; anything else went wrong with what was read.
                let unread = std::error::Error::source(&error).is_some_and(|cause| cause.is::<StoreError>());
                let failed = TenantMsg::QueueFailed { department, incarnation, served_until, panicked: !unread };
                let _ = myself.cast(failed);
            }
        });
    }

    /// A queue died: its slots are free, and a new life starts from the settled record.
    pub(super) fn lost(&mut self, myself: &ActorRef<TenantMsg>, id: ActorId, failed: bool) {
        let Some((department, incarnation)) =
            self.children.iter().find(|(_, child)| child.id == id).map(|(d, child)| (*d, child.incarnation))
        else {
            return;
        };
        self.children.remove(&department);
        self.link.publish_queue(department, None);
        self.apply(myself, Command::QueueStopped { department, incarnation }, None);
        if failed {
            let now = self.shared.clock.now();
            self.restart(myself, department, Some(now), true);
        }
    }

    /// Starts the next life of a queue that failed, without the call that was touched before each of three failures.
    pub(super) fn restart(
        &mut self,
        myself: &ActorRef<TenantMsg>,
        department: DepartmentId,
        served_until: Option<Timestamp>,
        panicked: bool,
    ) {
        metrics::counter!("vez_queue_restarts_total").increment(1);
        let now = self.shared.clock.now();
        let panics = self.panics.entry(department).or_default();
        if panicked {
            panics.push_back(now);
        }
        while panics.front().is_some_and(|at| at.plus_seconds(PANICS_WITHIN_SECONDS) < now) {
            panics.pop_front();
        }
        let in_a_row = !panicked || panics.len() > 1;
        let condemned = if panicked && panics.len() >= PANICS_MAX {
            panics.clear();
            self.link.touched(department)
        } else {
            None
        };
        let pause = if in_a_row { RESTART_PAUSE } else { Duration::ZERO };
        self.begin_queue(myself, department, served_until, true, condemned, pause);
    }
}
