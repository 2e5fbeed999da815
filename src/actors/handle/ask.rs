//! Owns how a question of the door gets to an actor and back: the bounds on what is under way, the deadline, the errors.

use tokio::sync::oneshot;

use super::super::directory::Entered;
use super::super::error::{OVERLOADED, UNAVAILABLE};
use super::super::health::Health;
use super::super::queue::QueueMsg;
use super::super::tenant::{Decision, TenantMsg};
use super::{Answer, CallError, PENDING_WRITES_MAX, Queues};
use crate::domain::call::{CallSnapshot, CallView};
use crate::domain::ids::{CallId, DepartmentId, GrantId, TenantId, UserId};
use crate::queue::{Command, Rejection, Reply};
use crate::roster;
use crate::store::calls;

/// Departments in which a call is looked for that moves on while it is asked for: more is no accident.
const MOVES_MAX: usize = 3;

impl Queues {
    /// Whether changes of this company can be stored now.
    pub(super) fn writable(&self, tenant: TenantId) -> Answer<()> {
        let shared = self.system.shared();
        if shared.health.now() != Health::Up || shared.persistence.held().contains(tenant) {
            return Err(UNAVAILABLE);
        }
        if shared.persistence.pending() > PENDING_WRITES_MAX {
            return Err(OVERLOADED);
        }
        Ok(())
    }

    /// A command that changes the record, to the queue of an open call.
    pub(super) async fn call_command(&self, tenant: TenantId, call: CallId, command: Command) -> Answer<Reply> {
        self.writable(tenant)?;
        let entered = self.system.enter(tenant).await?;
        self.call_command_in(&entered, call, command).await
    }

    pub(super) async fn call_command_in(&self, entered: &Entered, call: CallId, command: Command) -> Answer<Reply> {
        self.writable(entered.link.tenant)?;
        let mut department = match open_department(entered, call) {
            Some(department) => department,
            None => {
                let store = &self.system.shared().store;
                let found = self.by_then(entered, calls::department_of(store, entered.link.tenant, call)).await??;
                found.ok_or(CallError::NotFound)?
            }
        };
        for _ in 0..MOVES_MAX {
            match self.command_in(entered, department, command.clone()).await {
                Err(CallError::NotFound) => {}
                other => return other,
            }
            // The record knows it and the queue does not: it ended a while ago, or went elsewhere a moment ago.
            match open_department(entered, call) {
                Some(now) if now != department => department = now,
                _ => break,
            }
        }
        Err(CallError::Rejected(Rejection::CallEnded))
    }

    /// A command about presence, to the queue of an open call; it changes no record.
    pub(super) async fn live_command(&self, tenant: TenantId, call: CallId, command: Command) -> Answer<()> {
        let entered = self.system.enter(tenant).await?;
        let department = open_department(&entered, call).ok_or(CallError::NotFound)?;
        let actor = self.queue(&entered, department).await?;
        actor.cast(QueueMsg::Command { command, reply: None }).map_err(|_| OVERLOADED)
    }

    pub(super) async fn command_in(
        &self,
        entered: &Entered,
        department: DepartmentId,
        command: Command,
    ) -> Answer<Reply> {
        self.writable(entered.link.tenant)?;
        let _place = entered.link.in_flight.clone().try_acquire_owned().map_err(|_| OVERLOADED)?;
        let actor = self.queue(entered, department).await?;
        let (reply, answer) = oneshot::channel();
        actor.cast(QueueMsg::Command { command, reply: Some(reply) }).map_err(|_| OVERLOADED)?;
        self.settle(entered, answer).await
    }

    pub(super) async fn answer_offer(
        &self,
        entered: &Entered,
        user: UserId,
        grant: GrantId,
        decision: Decision,
    ) -> Answer<Reply> {
        self.writable(entered.link.tenant)?;
        let _place = entered.link.in_flight.clone().try_acquire_owned().map_err(|_| OVERLOADED)?;
        let (reply, answer) = oneshot::channel();
        self.tell_tenant(entered, TenantMsg::Offer { grant, user, decision, reply })?;
        self.settle(entered, answer).await
    }

    pub(super) async fn roster_command(&self, entered: &Entered, command: roster::Command) -> Answer<roster::Reply> {
        let _place = entered.link.in_flight.clone().try_acquire_owned().map_err(|_| OVERLOADED)?;
        let (reply, answer) = oneshot::channel();
        self.tell_tenant(entered, TenantMsg::Command { command, reply: Some(reply) })?;
        self.settle(entered, answer).await
    }

    pub(super) async fn ask<T>(
        &self,
        entered: &Entered,
        department: DepartmentId,
        message: impl FnOnce(oneshot::Sender<T>) -> QueueMsg,
    ) -> Answer<T> {
        let actor = self.queue(entered, department).await?;
        let (reply, answer) = oneshot::channel();
        actor.cast(message(reply)).map_err(|_| OVERLOADED)?;
        self.by_then(entered, answer).await?.map_err(|_| OVERLOADED)
    }

    pub(super) async fn ask_tenant<T>(
        &self,
        entered: &Entered,
        message: impl FnOnce(oneshot::Sender<T>) -> TenantMsg,
    ) -> Answer<T> {
        let (reply, answer) = oneshot::channel();
        self.tell_tenant(entered, message(reply))?;
        self.by_then(entered, answer).await?.map_err(|_| OVERLOADED)
    }

    pub(super) fn tell_tenant(&self, entered: &Entered, message: TenantMsg) -> Answer<()> {
        let actor = entered.link.actor().ok_or(OVERLOADED)?;
        actor.cast(message).map_err(|_| OVERLOADED)
    }

    /// Waits for `answer` until the whole question is due.
    pub(super) async fn by_then<F: Future>(&self, entered: &Entered, answer: F) -> Answer<F::Output> {
        tokio::time::timeout_at(entered.due, answer).await.map_err(|_| self.system.too_late())
    }

    pub(super) async fn settle<T>(
        &self,
        entered: &Entered,
        answer: oneshot::Receiver<Result<T, CallError>>,
    ) -> Answer<T> {
        match tokio::time::timeout_at(entered.due, answer).await {
            Ok(Ok(Err(CallError::Rejected(rejection)))) => Err(rejection.into()),
            Ok(Ok(answer)) => answer,
            // The actor died with the question; its next life can be asked.
            Ok(Err(_)) => Err(OVERLOADED),
            // Applied, and not committed in time: the storage is away, or so slow that it might as well be.
            Err(_) => Err(UNAVAILABLE),
        }
    }

    /// The running queue of a department; waits a while for one that is starting.
    pub(super) async fn queue(
        &self,
        entered: &Entered,
        department: DepartmentId,
    ) -> Answer<ractor::ActorRef<QueueMsg>> {
        let mut queue = match entered.link.queue(department) {
            Some(queue) => queue,
            None => {
                // Made while nobody could tell us.
                self.read_department(entered, department).await?;
                entered.link.queue(department).ok_or(CallError::NotFound)?
            }
        };
        if let Some(actor) = queue.borrow().clone() {
            return Ok(actor);
        }
        self.tell_tenant(entered, TenantMsg::EnsureQueue { department })?;
        match self.by_then(entered, queue.wait_for(Option::is_some)).await? {
            Ok(actor) => actor.clone().ok_or(OVERLOADED),
            Err(_) => Err(OVERLOADED),
        }
    }

    /// Reads a department's settings and sends them to its queue, the newest last.
    pub(super) async fn read_department(&self, entered: &Entered, department: DepartmentId) -> Answer<()> {
        let tenant = entered.link.tenant;
        let _turn = self.by_then(entered, entered.link.changes.lock()).await?;
        let settings = self.by_then(entered, self.system.settings(tenant, department)).await??;
        let settings = settings.ok_or(CallError::NotFound)?;
        // The handle must find the department as soon as this returns.
        entered.link.add_department(&settings);
        self.tell_tenant(entered, TenantMsg::Department { settings })
    }

    /// The call as the API shows it.
    pub(super) fn view(&self, entered: &Entered, reply: Reply) -> Answer<CallView> {
        let Reply::Call(call) = reply else { return Err(CallError::Failed) };
        let call: &CallSnapshot = &call;
        let name = entered.link.department_name(call.department_id).ok_or(CallError::NotFound)?;
        Ok(CallView::of(call, &name))
    }
}

/// The department of an open call.
pub(super) fn open_department(entered: &Entered, call: CallId) -> Option<DepartmentId> {
    entered.link.calls.get(&call).map(|department| *department)
}
