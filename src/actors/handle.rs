//! STUB of the only door to the queues: the contract's types, every answer `Failed`. The lead's module replaces it.

use crate::domain::call::{CallView, Caller, Phase, Status};
use crate::domain::clock::Timestamp;
use crate::domain::ids::{CallId, DepartmentId, LinkId, TenantId, UserId};
use std::sync::Arc;

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Rejection {
    QueueFull,
    DepartmentInactive,
    AlreadyTaken,
    OfferExpired,
    NotYourCall,
    WrongState(&'static str),
    NoFreeSlot,
    PlanLimit,
    UnknownAgent,
    NotInDepartment,
}

impl Rejection {
    pub fn code(&self) -> &'static str {
        "rejected"
    }
}

impl std::fmt::Display for Rejection {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.code())
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CallError {
    Rejected(Rejection),
    NotFound,
    StorageUnavailable { retry_after_seconds: u64 },
    Overloaded { retry_after_seconds: u64 },
    Failed,
}

#[derive(Clone, Debug)]
pub struct NewCall {
    pub link_id: Option<LinkId>,
    pub single_use: bool,
    pub caller: Caller,
    pub priority: u8,
    pub requirements: Vec<String>,
    pub join_key: Option<String>,
}

#[derive(Clone, Copy, Debug, Default)]
pub struct Estimate {
    pub p50_seconds: Option<u64>,
    pub p90_seconds: Option<u64>,
}

#[derive(Clone, Debug)]
pub struct Joined {
    pub call_id: CallId,
    pub protocol: i64,
    pub status: Status,
    pub position: Option<u32>,
    pub queue_size: u32,
    pub estimate: Estimate,
    pub resumed: bool,
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

#[derive(Clone, Copy, Debug)]
pub struct Figures {
    pub queue_size: u32,
    pub online_agents: u32,
    pub available_agents: u32,
    pub estimated_wait_time: Option<u64>,
}

#[derive(Clone, Debug, Default)]
pub struct Queues;

impl Queues {
    pub async fn join(&self, _: TenantId, _: DepartmentId, _: NewCall) -> Result<Joined, CallError> {
        Err(CallError::Failed)
    }
    pub async fn customer_state(&self, _: TenantId, _: CallId) -> Result<Option<CustomerState>, CallError> {
        Err(CallError::Failed)
    }
    pub async fn poll(&self, _: TenantId, _: CallId) -> Result<(), CallError> {
        Err(CallError::Failed)
    }
    pub async fn start(&self, _: TenantId, _: UserId, _: CallId) -> Result<CallView, CallError> {
        Err(CallError::Failed)
    }
    pub async fn complete(&self, _: TenantId, _: UserId, _supervisor: bool, _: CallId) -> Result<CallView, CallError> {
        Err(CallError::Failed)
    }
    pub async fn pick(&self, _: TenantId, _: CallId, _agent: UserId, _by: UserId) -> Result<CallView, CallError> {
        Err(CallError::Failed)
    }
    pub async fn department_figures(&self, _: TenantId, _: DepartmentId) -> Result<Figures, CallError> {
        Err(CallError::Failed)
    }
    pub async fn department_changed(&self, _: TenantId, _: DepartmentId) -> Result<(), CallError> {
        Err(CallError::Failed)
    }
    pub async fn agent_changed(&self, _: TenantId, _: UserId) -> Result<(), CallError> {
        Err(CallError::Failed)
    }
    pub async fn link_cancelled(&self, _: TenantId, _: DepartmentId, _: LinkId) -> Result<(), CallError> {
        Err(CallError::Failed)
    }
}
