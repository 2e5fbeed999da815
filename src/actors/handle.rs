//! Stands in for the door to the actors until it comes: the contract's types, and functions that fail.

use std::fmt;
use std::sync::Arc;

use serde::Serialize;
use serde_json::Value;

use crate::domain::agent::Intent;
use crate::domain::call::{CallView, Phase, Status};
use crate::domain::clock::Timestamp;
use crate::domain::ids::{CallId, DepartmentId, DeviceId, GrantId, TenantId, UserId};

#[derive(Clone, Debug)]
pub enum CallError {
    Rejected(Rejection),
    NotFound,
    StorageUnavailable { retry_after_seconds: u64 },
    Overloaded { retry_after_seconds: u64 },
    Failed,
}

#[derive(Clone, Copy, Debug)]
pub enum Rejection {
    WrongState,
}

impl Rejection {
    pub const fn code(self) -> &'static str {
        "wrong_state"
    }
}

impl fmt::Display for Rejection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("The call is not in a state that allows this.")
    }
}

#[derive(Clone, Copy, Debug, Default)]
pub struct Estimate {
    pub p50_seconds: Option<u64>,
    pub p90_seconds: Option<u64>,
}

#[derive(Clone, Debug)]
pub struct CustomerState {
    pub status: Status,
    pub phase: Phase,
    pub protocol: i64,
    pub position: Option<u32>,
    pub queue_size: u32,
    pub estimate: Estimate,
    pub department_name: Arc<str>,
    pub agent_name: Option<Arc<str>>,
    pub joined_at: Timestamp,
}

#[derive(Clone, Debug, Serialize)]
pub struct NotificationState {
    pub epoch: u64,
    pub seq: u64,
    #[serde(flatten)]
    pub rest: Value,
}

pub type QueueState = NotificationState;
pub type DashboardState = NotificationState;
pub type PresenceState = Value;
pub type WaitingCall = Value;

#[derive(Clone, Debug)]
pub struct Parties {
    pub department_id: DepartmentId,
    pub phase: Phase,
    pub agent: Option<UserId>,
    pub agent_name: Option<Arc<str>>,
    pub customer_name: Arc<str>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Party {
    Customer,
    Agent(UserId),
}

#[derive(Clone)]
pub struct Queues;

type Answer<T> = Result<T, CallError>;

#[allow(unused_variables, clippy::unused_async)]
impl Queues {
    pub async fn customer_state(&self, tenant: TenantId, call: CallId) -> Answer<Option<CustomerState>> {
        Err(CallError::Failed)
    }
    pub async fn attach_customer(&self, tenant: TenantId, call: CallId, device: DeviceId) -> Answer<CustomerState> {
        Err(CallError::Failed)
    }
    pub async fn detach_customer(&self, tenant: TenantId, call: CallId, device: DeviceId) -> Answer<()> {
        Err(CallError::Failed)
    }
    pub async fn leave(&self, tenant: TenantId, call: CallId) -> Answer<()> {
        Err(CallError::Failed)
    }
    pub async fn end(&self, tenant: TenantId, call: CallId, by: Party) -> Answer<()> {
        Err(CallError::Failed)
    }
    pub async fn attach_agent(&self, tenant: TenantId, user: UserId, device: DeviceId) -> Answer<NotificationState> {
        Err(CallError::Failed)
    }
    pub async fn detach_agent(&self, tenant: TenantId, user: UserId, device: DeviceId) -> Answer<()> {
        Err(CallError::Failed)
    }
    pub async fn set_status(
        &self,
        tenant: TenantId,
        user: UserId,
        by: Option<(UserId, String)>,
        intent: Intent,
        after_call: bool,
    ) -> Answer<()> {
        Err(CallError::Failed)
    }
    pub async fn accept(&self, tenant: TenantId, user: UserId, offer: GrantId) -> Answer<CallView> {
        Err(CallError::Failed)
    }
    pub async fn decline(&self, tenant: TenantId, user: UserId, offer: GrantId, reason: Option<String>) -> Answer<()> {
        Err(CallError::Failed)
    }
    pub async fn start(&self, tenant: TenantId, user: UserId, call: CallId) -> Answer<CallView> {
        Err(CallError::Failed)
    }
    pub async fn complete(&self, tenant: TenantId, user: UserId, supervisor: bool, call: CallId) -> Answer<CallView> {
        Err(CallError::Failed)
    }
    pub async fn wrap_up_end(&self, tenant: TenantId, user: UserId, call: Option<CallId>) -> Answer<()> {
        Err(CallError::Failed)
    }
    pub async fn wrap_up_extend(
        &self,
        tenant: TenantId,
        user: UserId,
        call: Option<CallId>,
        seconds: u32,
    ) -> Answer<Timestamp> {
        Err(CallError::Failed)
    }
    pub async fn pick(&self, tenant: TenantId, call: CallId, agent: UserId, by: UserId) -> Answer<CallView> {
        Err(CallError::Failed)
    }
    pub async fn queue_state(&self, tenant: TenantId, department: DepartmentId) -> Answer<QueueState> {
        Err(CallError::Failed)
    }
    pub async fn queue_list(
        &self,
        tenant: TenantId,
        department: DepartmentId,
        after_position: u32,
        limit: u32,
    ) -> Answer<Vec<WaitingCall>> {
        Err(CallError::Failed)
    }
    pub async fn dashboard(&self, tenant: TenantId) -> Answer<DashboardState> {
        Err(CallError::Failed)
    }
    pub async fn presence(&self, tenant: TenantId, department: DepartmentId) -> Answer<PresenceState> {
        Err(CallError::Failed)
    }
    pub async fn parties(&self, tenant: TenantId, call: CallId) -> Answer<Option<Parties>> {
        Err(CallError::Failed)
    }
}
