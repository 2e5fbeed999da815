//! Owns the commands by which staff move calls that need not be theirs: to another department or agent, or out of the
//! line. It decides nothing; the queues do.

use std::sync::Arc;

use super::super::directory::Entered;
use super::super::queue::QueueMsg;
use super::ask::open_department;
use super::{Answer, CallError, Queues, Rejection};
use crate::domain::call::{CallView, EndReason};
use crate::domain::ids::{CallId, DepartmentId, TenantId, UserId};
use crate::domain::transfer::Destination;
use crate::queue::Command;
use crate::queue::command::Transferring;
use crate::store::calls;

/// Who transfers a call, and why.
#[derive(Clone, Debug)]
pub struct TransferredBy {
    pub user: UserId,
    /// May transfer any open call; others only what they are running.
    pub supervisor: bool,
    /// As typed; it goes with the call.
    pub reason: Option<String>,
}

impl Queues {
    /// Gives a call to another department, or to a named agent of one, at the place it has earned. Whether there is room is
    /// asked before: once the call is given it cannot be refused.
    pub async fn transfer(
        &self,
        tenant: TenantId,
        call: CallId,
        to: Destination,
        by: TransferredBy,
    ) -> Answer<CallView> {
        self.writable(tenant)?;
        let entered = self.system.enter(tenant).await?;
        let admission = self.ask(&entered, to.department_id, QueueMsg::Admission).await?;
        if open_department(&entered, call) != Some(to.department_id) {
            if !admission.active {
                return Err(CallError::Rejected(Rejection::DepartmentInactive));
            }
            if admission.full {
                return Err(CallError::Rejected(Rejection::QueueFull));
            }
        }
        let command = Command::Transfer(Transferring {
            call,
            to,
            by: by.user,
            supervisor: by.supervisor,
            keep_seconds: admission.keep_seconds,
            reason: by.reason.as_deref().map(Arc::from),
        });
        let reply = self.call_command_in(&entered, call, command).await?;
        self.view(&entered, reply)
    }

    /// Staff takes a call that was not started out of the line: it ends as `withdrawn`.
    pub async fn withdraw(&self, tenant: TenantId, call: CallId, by: UserId) -> Answer<CallView> {
        self.writable(tenant)?;
        let entered = self.system.enter(tenant).await?;
        let command = Command::End { call, reason: EndReason::Withdrawn, by: Some(by) };
        match self.call_command_in(&entered, call, command).await {
            Ok(reply) => self.view(&entered, reply),
            Err(CallError::Rejected(Rejection::CallEnded)) => {
                // Answered from the record: the same command hears the same.
                let view = calls::find(&self.system.shared().store, tenant, call).await?;
                let view = view.ok_or(CallError::NotFound)?;
                match view.end_reason {
                    Some(EndReason::Withdrawn) => Ok(view),
                    _ => Err(CallError::Rejected(Rejection::CallEnded)),
                }
            }
            Err(error) => Err(error),
        }
    }

    /// The departments whose queues may hold a call that came through a link of `own`: those that run.
    pub(super) fn departments_of_calls(&self, entered: &Entered, own: DepartmentId) -> Vec<DepartmentId> {
        let mut departments = entered.link.running_departments();
        if !departments.contains(&own) {
            departments.push(own);
        }
        departments
    }
}
