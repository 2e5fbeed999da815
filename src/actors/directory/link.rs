//! Owns what the handle and the actors know together of one running tenant: where its queues are, which department each
//! open call is in. It decides nothing.

use std::sync::{Arc, OnceLock};

use dashmap::DashMap;
use ractor::ActorRef;
use tokio::sync::{Semaphore, watch};

use super::super::numbers::Numbers;
use super::super::queue::QueueMsg;
use super::super::tenant::TenantMsg;
use crate::domain::clock::Timestamp;
use crate::domain::department::Settings;
use crate::domain::ids::{CallId, DepartmentId, TenantId};

/// What the handle and the actors know together of one running tenant.
pub(in crate::actors) struct TenantLink {
    pub tenant: TenantId,
    /// Which life of the tenant may write.
    pub generation: u64,
    /// The department of each open call.
    pub calls: DashMap<CallId, DepartmentId>,
    pub numbers: Numbers,
    /// Held while what the store says of a department or agent is read and sent on, so that the newest is sent last.
    pub changes: tokio::sync::Mutex<()>,
    pub in_flight: Arc<Semaphore>,
    pub(super) queues: DashMap<DepartmentId, Desk>,
    pub(super) actor: OnceLock<ActorRef<TenantMsg>>,
    pub(super) joined_floor: Option<Timestamp>,
}

/// One department's queue as seen from outside: running or not, and the call touched last.
pub(super) struct Desk {
    pub(super) queue: watch::Sender<Option<ActorRef<QueueMsg>>>,
    touched: Option<CallId>,
    name: Arc<str>,
}

impl TenantLink {
    /// The tenant's actor; `None` only while it is being started.
    pub fn actor(&self) -> Option<&ActorRef<TenantMsg>> {
        self.actor.get()
    }

    pub fn has_department(&self, department: DepartmentId) -> bool {
        self.queues.contains_key(&department)
    }

    /// A department was made or renamed.
    pub fn add_department(&self, settings: &Settings) {
        let mut desk = self.queues.entry(settings.department_id).or_insert_with(|| Desk {
            queue: watch::Sender::new(None),
            touched: None,
            name: settings.name.clone(),
        });
        desk.name = settings.name.clone();
    }

    /// A department was deleted: nobody finds its queue any more.
    pub fn remove_department(&self, department: DepartmentId) {
        self.queues.remove(&department);
    }

    pub fn department_name(&self, department: DepartmentId) -> Option<Arc<str>> {
        self.queues.get(&department).map(|desk| desk.name.clone())
    }

    /// The queue of a department, now and later; `None` when there is no such department.
    pub fn queue(&self, department: DepartmentId) -> Option<watch::Receiver<Option<ActorRef<QueueMsg>>>> {
        self.queues.get(&department).map(|desk| desk.queue.subscribe())
    }

    pub fn publish_queue(&self, department: DepartmentId, actor: Option<ActorRef<QueueMsg>>) {
        if let Some(desk) = self.queues.get(&department) {
            desk.queue.send_replace(actor);
        }
    }

    /// Departments whose queues run now.
    pub fn running_departments(&self) -> Vec<DepartmentId> {
        self.queues.iter().filter(|desk| desk.queue.borrow().is_some()).map(|desk| *desk.key()).collect()
    }

    /// Notes the call a queue is about to touch.
    pub fn touch(&self, department: DepartmentId, call: Option<CallId>) {
        if let Some(mut desk) = self.queues.get_mut(&department) {
            desk.touched = call;
        }
    }

    pub fn touched(&self, department: DepartmentId) -> Option<CallId> {
        self.queues.get(&department).and_then(|desk| desk.touched)
    }

    pub fn joined_floor(&self) -> Option<Timestamp> {
        self.joined_floor
    }
}
