//! Owns the only door to the queues: typed calls with a time-out and one error type. No `ActorRef` passes it. Commands and
//! answers are plain values, so that a later transport can carry them between machines.

use std::sync::Arc;

use tokio::sync::oneshot;

use super::directory::{Entered, System};
pub use super::error::CallError;
use super::error::OVERLOADED;
use super::load;
use super::queue::QueueMsg;
use super::tenant::{Decision, TenantMsg};
pub use super::wire::{
    AppointmentReminder, CustomerState, DashboardState, Figures, Notice, NotificationState, Parties, PresenceState,
    QueueState, WaitingCall,
};
use crate::domain::agent::Intent;
use crate::domain::call::{CallView, Caller, EndReason, Status};
use crate::domain::clock::Timestamp;
use crate::domain::ids::{CallId, DepartmentId, DeviceId, GrantId, LinkId, TenantId, UserId};
use crate::live::topic::Topic;
pub use crate::queue::command::{LinkUses, Party};
pub use crate::queue::rejection::Rejection;
pub use crate::queue::wait::Estimate;
use crate::queue::{self, Command, Reply};
use crate::roster;
use crate::store::{calls, events, restore};

/// Entries that may wait to be written, in the whole server: about 100 MiB. Beyond it commands are answered 503.
const PENDING_WRITES_MAX: usize = 100_000;

/// A customer who asks for a place.
#[derive(Clone, Debug)]
pub struct NewCall {
    pub link_id: Option<LinkId>,
    /// How often the link may be used, when not for ever.
    pub link_uses: Option<LinkUses>,
    pub caller: Caller,
    pub priority: u8,
    /// When the appointment he joins with is or was due: from then on he ranks as if he had joined then.
    pub due_at: Option<Timestamp>,
    pub requirements: Vec<String>,
    /// The hash of the key that makes joining again the same call.
    pub join_key: Option<String>,
}

/// A place in line.
#[derive(Clone, Debug)]
pub struct Joined {
    pub call_id: CallId,
    pub protocol: i64,
    pub status: Status,
    pub position: Option<u32>,
    pub queue_size: u32,
    pub estimate: Estimate,
    /// It was joined before.
    pub resumed: bool,
}

mod ask;
mod company;
mod transfers;

use ask::open_department;
pub use transfers::TransferredBy;

/// The door; clones are cheap.
#[derive(Clone)]
pub struct Queues {
    system: System,
}

type Answer<T> = Result<T, CallError>;

impl Queues {
    /// The door to a running system.
    pub fn new(system: System) -> Self {
        Self { system }
    }

    // --- customers ---

    /// Takes a place. The answer comes after the commit.
    pub async fn join(&self, tenant: TenantId, department: DepartmentId, new: NewCall) -> Answer<Joined> {
        self.writable(tenant)?;
        let entered = self.system.enter(tenant).await?;
        let shared = self.system.shared();
        let number = self.by_then(&entered, entered.link.numbers.next(&shared.store, tenant)).await??;
        let mut requirements: Vec<Arc<str>> = new.requirements.iter().map(|skill| Arc::from(skill.as_str())).collect();
        requirements.sort();
        requirements.dedup();
        let command = Command::Join(queue::NewCall {
            id: shared.ids.next(shared.clock.now()),
            number,
            link_id: new.link_id,
            link_uses: new.link_uses,
            caller: Arc::new(new.caller),
            priority: new.priority,
            due_at: new.due_at,
            requirements: requirements.into(),
            join_key: new.join_key.as_deref().map(Arc::from),
        });
        let joined = match self.command_in(&entered, department, command).await {
            // The key means a call that was given to another department a moment ago.
            Err(CallError::Rejected(Rejection::Moved)) => {
                return self.joined_elsewhere(&entered, new.link_id, new.join_key).await;
            }
            other => other?,
        };
        match joined {
            Reply::Joined { call, position, queue_size, estimate, resumed } => Ok(Joined {
                call_id: call.id,
                protocol: call.number,
                status: call.status(),
                position,
                queue_size,
                estimate,
                resumed,
            }),
            _ => Err(CallError::Failed),
        }
    }

    /// The call of a repeated key, from the record, wherever it is now.
    async fn joined_elsewhere(
        &self,
        entered: &Entered,
        link: Option<LinkId>,
        join_key: Option<String>,
    ) -> Answer<Joined> {
        let (shared, tenant) = (self.system.shared(), entered.link.tenant);
        let (Some(link), Some(key)) = (link, join_key) else { return Err(CallError::Failed) };
        let found = calls::by_join_key(&shared.store, tenant, link, &key, shared.clock.now());
        let found = self.by_then(entered, found).await??;
        let call_id = found.ok_or(OVERLOADED)?;
        self.poll(tenant, call_id).await?;
        let state = self.customer_state(tenant, call_id).await?.ok_or(OVERLOADED)?;
        Ok(Joined {
            call_id,
            protocol: state.protocol,
            status: state.status,
            position: state.position,
            queue_size: state.queue_size,
            estimate: state.estimate,
            resumed: true,
        })
    }

    /// The customer's own view; `None` when the call is not open: then the record answers.
    pub async fn customer_state(&self, tenant: TenantId, call: CallId) -> Answer<Option<CustomerState>> {
        let entered = self.system.enter(tenant).await?;
        let Some(department) = open_department(&entered, call) else { return Ok(None) };
        self.ask(&entered, department, |reply| QueueMsg::Customer { call, reply }).await
    }

    /// A status poll: the customer counts as present for a while.
    pub async fn poll(&self, tenant: TenantId, call: CallId) -> Answer<()> {
        self.live_command(tenant, call, Command::Poll { call }).await
    }

    /// A device of the customer is connected.
    pub async fn attach_customer(&self, tenant: TenantId, call: CallId, device: DeviceId) -> Answer<CustomerState> {
        self.live_command(tenant, call, Command::Attach { call, device }).await?;
        self.customer_state(tenant, call).await?.ok_or(CallError::NotFound)
    }

    /// A device of the customer is gone.
    pub async fn detach_customer(&self, tenant: TenantId, call: CallId, device: DeviceId) -> Answer<()> {
        self.live_command(tenant, call, Command::Detach { call, device }).await
    }

    /// The customer gives the place up, or asks for another agent while his is away.
    pub async fn leave(&self, tenant: TenantId, call: CallId) -> Answer<()> {
        match self.call_command(tenant, call, Command::Leave { call }).await {
            Ok(_) | Err(CallError::Rejected(Rejection::CallEnded)) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Customer or agent ends a running call.
    pub async fn end(&self, tenant: TenantId, call: CallId, by: Party) -> Answer<()> {
        match self.call_command(tenant, call, Command::Finish { call, by }).await {
            Ok(_) => Ok(()),
            // The wish is fulfilled, whoever fulfilled it.
            Err(CallError::Rejected(Rejection::CallEnded)) => Ok(()),
            Err(error) => Err(error),
        }
    }

    // --- agents ---

    /// A device of the agent joined his notifications: it holds his lease.
    pub async fn attach_agent(&self, tenant: TenantId, user: UserId, device: DeviceId) -> Answer<NotificationState> {
        let entered = self.system.enter(tenant).await?;
        match self.attach(&entered, user, device).await {
            Err(CallError::Rejected(Rejection::UnknownAgent)) if self.learn(&entered, user).await? => {
                self.attach(&entered, user, device).await?;
            }
            other => other?,
        }
        let state: Option<NotificationState> =
            self.ask_tenant(&entered, |reply| TenantMsg::Notification { user, reply }).await?;
        state.ok_or(CallError::NotFound)
    }

    async fn attach(&self, entered: &Entered, user: UserId, device: DeviceId) -> Answer<()> {
        let (reply, answer) = oneshot::channel();
        let command = roster::Command::Attach { user, device };
        self.tell_tenant(entered, TenantMsg::Command { command, reply: Some(reply) })?;
        self.settle(entered, answer).await.map(|_| ())
    }

    /// What the agent's notifications hold now, for a resync.
    pub async fn notification_state(&self, tenant: TenantId, user: UserId) -> Answer<NotificationState> {
        let entered = self.system.enter(tenant).await?;
        let state: Option<NotificationState> =
            self.ask_tenant(&entered, |reply| TenantMsg::Notification { user, reply }).await?;
        state.ok_or(CallError::NotFound)
    }

    /// Pushes notices that were committed for a user to his sockets. Nobody hears them who is not there: he finds what was
    /// kept when he comes.
    pub async fn notify(&self, tenant: TenantId, user: UserId, notices: Vec<Notice>) {
        if notices.is_empty() || self.system.shared().hub.devices(tenant, Topic::Notification(user)).is_empty() {
            return;
        }
        let told = match self.system.enter(tenant).await {
            Ok(entered) => self.tell_tenant(&entered, TenantMsg::Notices { user, notices }),
            Err(error) => Err(error),
        };
        if let Err(error) = told {
            tracing::debug!(%tenant, %user, ?error, "a notice was not pushed");
        }
    }

    /// A device of the agent is gone.
    pub async fn detach_agent(&self, tenant: TenantId, user: UserId, device: DeviceId) -> Answer<()> {
        let entered = self.system.enter(tenant).await?;
        let command = roster::Command::Detach { user, device };
        // Without a place of its own: a device that is gone must be heard of however much is under way.
        self.tell_tenant(&entered, TenantMsg::Command { command, reply: None })
    }

    /// The agent chooses a status, or a supervisor for him.
    pub async fn set_status(
        &self,
        tenant: TenantId,
        user: UserId,
        by: Option<(UserId, String)>,
        intent: Intent,
        after_call: bool,
    ) -> Answer<()> {
        self.writable(tenant)?;
        let entered = self.system.enter(tenant).await?;
        let by = by.map(|(user_id, name)| roster::effect::Supervisor { user_id, name: Arc::from(name.as_str()) });
        let command = roster::Command::SetStatus { user, by, intent, after_call };
        match self.roster_command(&entered, command.clone()).await {
            Err(CallError::Rejected(Rejection::UnknownAgent)) if self.learn(&entered, user).await? => {
                self.roster_command(&entered, command).await.map(|_| ())
            }
            other => other.map(|_| ()),
        }
    }

    /// The agent takes an offer.
    pub async fn accept(&self, tenant: TenantId, user: UserId, offer: GrantId) -> Answer<CallView> {
        self.writable(tenant)?;
        let entered = self.system.enter(tenant).await?;
        let reply = self.answer_offer(&entered, user, offer, Decision::Accept).await?;
        self.view(&entered, reply)
    }

    /// The agent does not take an offer. The reason is for people; it is not kept.
    pub async fn decline(&self, tenant: TenantId, user: UserId, offer: GrantId, _reason: Option<String>) -> Answer<()> {
        self.writable(tenant)?;
        let entered = self.system.enter(tenant).await?;
        self.answer_offer(&entered, user, offer, Decision::Decline).await.map(|_| ())
    }

    /// The agent starts an assigned call.
    pub async fn start(&self, tenant: TenantId, user: UserId, call: CallId) -> Answer<CallView> {
        self.writable(tenant)?;
        let entered = self.system.enter(tenant).await?;
        let reply = self.call_command_in(&entered, call, Command::Start { call, user }).await?;
        self.view(&entered, reply)
    }

    /// The agent, or a supervisor, completes a running call.
    pub async fn complete(&self, tenant: TenantId, user: UserId, supervisor: bool, call: CallId) -> Answer<CallView> {
        self.writable(tenant)?;
        let entered = self.system.enter(tenant).await?;
        match self.call_command_in(&entered, call, Command::Complete { call, user, supervisor }).await {
            Ok(reply) => self.view(&entered, reply),
            Err(CallError::Rejected(Rejection::CallEnded)) => {
                // Answered from the record: the same command by the same party hears the same.
                let store = &self.system.shared().store;
                let view = self.by_then(&entered, calls::find(store, tenant, call)).await??;
                let view = view.ok_or(CallError::NotFound)?;
                let completed = view.end_reason == Some(EndReason::Completed);
                let ended_by = self.by_then(&entered, events::ended_by(store, tenant, call));
                if completed && (view.user_id == Some(user) || ended_by.await?? == Some(user)) {
                    Ok(view)
                } else {
                    Err(CallError::Rejected(Rejection::CallEnded))
                }
            }
            Err(error) => Err(error),
        }
    }

    /// Ends a wrap-up early.
    pub async fn wrap_up_end(&self, tenant: TenantId, user: UserId, call: Option<CallId>) -> Answer<()> {
        self.writable(tenant)?;
        let entered = self.system.enter(tenant).await?;
        self.roster_command(&entered, roster::Command::WrapUpEnd { user, call }).await.map(|_| ())
    }

    /// Makes a wrap-up longer; when it ends now.
    pub async fn wrap_up_extend(
        &self,
        tenant: TenantId,
        user: UserId,
        call: Option<CallId>,
        seconds: u32,
    ) -> Answer<Timestamp> {
        self.writable(tenant)?;
        let entered = self.system.enter(tenant).await?;
        let command = roster::Command::WrapUpExtend { user, call, seconds: u64::from(seconds) };
        match self.roster_command(&entered, command).await? {
            roster::Reply::WrapUp(ends_at) => Ok(ends_at),
            roster::Reply::Done => Err(CallError::Failed),
        }
    }

    /// Gives a waiting call to one named agent: `pull` and `assign`.
    pub async fn pick(&self, tenant: TenantId, call: CallId, agent: UserId, by: UserId) -> Answer<CallView> {
        self.writable(tenant)?;
        let entered = self.system.enter(tenant).await?;
        let shared = self.system.shared();
        let pick = shared.ids.next(shared.clock.now());
        let command = Command::Pick { pick, call, user: agent, by };
        let reply = match self.call_command_in(&entered, call, command).await {
            Err(CallError::Rejected(Rejection::UnknownAgent)) if self.learn(&entered, agent).await? => {
                let pick = shared.ids.next(shared.clock.now());
                self.call_command_in(&entered, call, Command::Pick { pick, call, user: agent, by }).await?
            }
            other => other?,
        };
        self.view(&entered, reply)
    }

    // --- supervision ---

    /// The join reply of `queue:`.
    pub async fn queue_state(&self, tenant: TenantId, department: DepartmentId) -> Answer<QueueState> {
        let entered = self.system.enter(tenant).await?;
        self.ask(&entered, department, QueueMsg::State).await
    }

    /// A page of the line.
    pub async fn queue_list(
        &self,
        tenant: TenantId,
        department: DepartmentId,
        after_position: u32,
        limit: u32,
    ) -> Answer<Vec<WaitingCall>> {
        let entered = self.system.enter(tenant).await?;
        self.ask(&entered, department, |reply| QueueMsg::List { after_position, limit, reply }).await
    }

    /// What a link's page shows before the join.
    pub async fn department_figures(&self, tenant: TenantId, department: DepartmentId) -> Answer<Figures> {
        let entered = self.system.enter(tenant).await?;
        self.ask(&entered, department, QueueMsg::Figures).await
    }

    /// The join reply of `tenant:`.
    pub async fn dashboard(&self, tenant: TenantId) -> Answer<DashboardState> {
        let entered = self.system.enter(tenant).await?;
        self.ask_tenant(&entered, TenantMsg::Dashboard).await
    }

    /// `presence_state` of a department.
    pub async fn presence(&self, tenant: TenantId, department: DepartmentId) -> Answer<PresenceState> {
        let entered = self.system.enter(tenant).await?;
        self.ask_tenant(&entered, |reply| TenantMsg::Presence { department, reply }).await
    }

    /// An open call as the API shows it, as committed; `None` when it is not open: then the record answers.
    pub async fn call_view(&self, tenant: TenantId, call: CallId) -> Answer<Option<CallView>> {
        let entered = self.system.enter(tenant).await?;
        let Some(department) = open_department(&entered, call) else { return Ok(None) };
        self.ask(&entered, department, |reply| QueueMsg::View { call, reply }).await
    }

    /// Who may speak on a call now; `None` when it is not open.
    pub async fn parties(&self, tenant: TenantId, call: CallId) -> Answer<Option<Parties>> {
        let entered = self.system.enter(tenant).await?;
        let Some(department) = open_department(&entered, call) else { return Ok(None) };
        self.ask(&entered, department, |reply| QueueMsg::Parties { call, reply }).await
    }

    // --- what the store changed ---

    /// A department was made or changed: its queue obeys the new settings.
    pub async fn department_changed(&self, tenant: TenantId, department: DepartmentId) -> Answer<()> {
        let entered = self.system.enter(tenant).await?;
        self.read_department(&entered, department).await
    }

    /// A user was made, changed, deactivated, or joined or left a department.
    pub async fn agent_changed(&self, tenant: TenantId, user: UserId) -> Answer<()> {
        let entered = self.system.enter(tenant).await?;
        self.learn(&entered, user).await.map(|_| ())
    }

    /// Tells the roster what the store holds of an agent; whether it holds one. Besides after changes this is asked when
    /// the roster does not know somebody: the command line may have made him meanwhile.
    async fn learn(&self, entered: &Entered, user: UserId) -> Answer<bool> {
        let shared = self.system.shared();
        let _turn = self.by_then(entered, entered.link.changes.lock()).await?;
        let agent = restore::agent(&shared.store, entered.link.tenant, user, shared.clock.now());
        let row = self.by_then(entered, agent).await??;
        let agent = row.map(load::agent);
        let known = agent.is_some();
        let (profile, snapshot) = agent.map(|agent| (agent.profile, agent.snapshot.map(Box::new))).unzip();
        let snapshot = snapshot.flatten();
        self.roster_command(entered, roster::Command::Configure { user, profile, snapshot }).await?;
        Ok(known)
    }

    /// A link was cancelled: who waits through it is told.
    pub async fn link_cancelled(&self, tenant: TenantId, department: DepartmentId, link: LinkId) -> Answer<()> {
        let entered = self.system.enter(tenant).await?;
        // Calls that came through it may have been given to another department since.
        for department in self.departments_of_calls(&entered, department) {
            self.command_in(&entered, department, Command::LinkCancelled { link }).await?;
        }
        Ok(())
    }
}
