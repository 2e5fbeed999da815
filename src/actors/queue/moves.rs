//! Owns what a queue does about calls that go to another department or come from one: handing over, taking over, sending
//! on what is asked of a call that has gone. All of it goes through the tenant, which keeps the order.

use std::collections::HashSet;

use ractor::ActorRef;

use super::super::tenant::TenantMsg;
use super::super::wire::Admission;
use super::{QueueMsg, State};
use crate::domain::call::CallSnapshot;
use crate::domain::department::{Mode, QUEUE_SIZE_MAX};
use crate::domain::ids::{CallId, DepartmentId};
use crate::live::hub::SubscriberKind;
use crate::live::topic::Topic;
use crate::queue::Command;
use crate::queue::exchange::Handover;
use crate::store::{StoreError, restore};

impl State {
    /// Whether a call may be given to this department now; once it was, it cannot be refused any more.
    pub(super) fn admission(&self) -> Admission {
        let settings = self.core.settings();
        Admission {
            active: settings.active,
            full: self.core.queue_size() >= settings.max_queue_size.unwrap_or(QUEUE_SIZE_MAX),
            keep_seconds: (settings.mode == Mode::Push).then_some(settings.offer_timeout_seconds),
        }
    }

    /// Where the call went that a message is about, when it went from here lately. What this queue still shows of it, until
    /// the change is committed, it answers itself.
    pub(super) fn gone_to(&self, message: &QueueMsg) -> Option<DepartmentId> {
        let call = match message {
            QueueMsg::Command { command: Command::Adopt(_), .. } => return None,
            QueueMsg::Command { command, .. } => command.call()?,
            QueueMsg::Customer { call, .. } | QueueMsg::View { call, .. } | QueueMsg::Parties { call, .. } => {
                if self.view.call(*call).is_some() {
                    return None;
                }
                *call
            }
            _ => return None,
        };
        self.core.moved_to(call)
    }

    /// Gives a call to the department its row names.
    pub(in crate::actors) fn hand_over(&self, handover: Box<Handover>) {
        let department = handover.call.department_id;
        let message = Box::new(QueueMsg::Command { command: Command::Adopt(handover), reply: None });
        let _ = self.tenant_actor.cast(TenantMsg::Forward { department, message });
    }

    /// Takes a call over, unless that is old news: it is known here already and went on since, or has ended.
    pub(super) fn adopt(&mut self, myself: &ActorRef<QueueMsg>, handover: Box<Handover>) {
        let call = handover.call.id;
        let here = self.core.call(call).is_some();
        let comes = self.link.calls.get(&call).is_some_and(|at| *at != self.department);
        if here || comes {
            self.apply(myself, Command::Adopt(handover), None);
            if self.core.call(call).is_some() {
                self.link.calls.insert(call, self.department);
            }
        }
    }

    /// Makes what is known of this department's calls outside what was read of them. Calls that went elsewhere, and whose
    /// new queue the life before could not tell, are handed over now. Returns those whose end nobody was told.
    pub(super) async fn claim(&mut self, open: &HashSet<CallId>) -> Result<Vec<CallId>, StoreError> {
        let department = self.department;
        let known = self.link.calls.iter().filter(|entry| *entry.value() == department).map(|entry| *entry.key());
        let gone: Vec<CallId> = known.filter(|call| !open.contains(call)).collect();
        let moved: Vec<CallSnapshot> = if gone.is_empty() {
            Vec::new()
        } else {
            let rows = restore::open_calls_of(&self.shared.store, self.tenant, &gone).await?;
            // One that is this department's ended as it was restored.
            rows.into_iter().filter(|row| row.department_id != department).collect()
        };
        let stays = |call: &CallId| moved.iter().any(|row| row.id == *call);
        let ended: Vec<CallId> = gone.iter().filter(|call| !stays(call)).copied().collect();
        for call in &ended {
            self.link.calls.remove(call);
        }
        for call in open {
            self.link.calls.insert(*call, department);
        }
        for row in moved {
            let topic = Topic::Call(row.id);
            let devices = self.shared.hub.devices(self.tenant, topic).into_iter();
            let devices = devices.filter(|(_, kind)| *kind == SubscriberKind::Customer).map(|(device, _)| device);
            let seconds = self.shared.rules.join_presence_seconds;
            let handover = Handover {
                devices: devices.collect(),
                present_until: self.shared.clock.now().plus_seconds(seconds),
                grace_until: None,
                call: row.into(),
            };
            self.core.gone(&handover.call);
            self.hand_over(Box::new(handover));
        }
        Ok(ended)
    }
}
