//! Owns the payloads that actors push and answer, exactly as `realtime.md` shapes them. It decides nothing.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::Serialize;

use crate::domain::agent::{Activity, AgentStatus, Held};
use crate::domain::call::{CallSnapshot, EndReason, Phase, Status};
use crate::domain::clock::Timestamp;
use crate::domain::ids::{AppointmentId, CallId, DepartmentId, GrantId, UserId};
use crate::queue::exchange::Offer;
use crate::queue::wait::Estimate;
use crate::store::notifications::Notification;

/// A call in line, as staff see it.
#[derive(Clone, Debug, Serialize)]
pub struct WaitingCall {
    pub call_id: CallId,
    pub protocol: i64,
    pub customer_name: Arc<str>,
    pub reason: Option<Arc<str>>,
    pub position: Option<u32>,
    pub priority: u8,
    pub joined_at: Timestamp,
    pub presence: &'static str,
}

impl WaitingCall {
    /// The call as committed, with what is live of it.
    pub fn of(call: &CallSnapshot, position: Option<u32>, present: bool) -> Self {
        Self {
            call_id: call.id,
            protocol: call.number,
            customer_name: call.caller.name.clone(),
            reason: call.caller.reason.clone(),
            position,
            priority: call.priority,
            joined_at: call.joined_at,
            presence: presence(present),
        }
    }
}

/// The word for a customer's presence.
pub const fn presence(present: bool) -> &'static str {
    if present { "present" } else { "away" }
}

/// A call with an agent.
#[derive(Clone, Debug, Serialize)]
pub struct ActiveCall {
    pub call_id: CallId,
    pub protocol: i64,
    pub department_id: DepartmentId,
    pub user_id: Option<UserId>,
    pub user_name: Option<Arc<str>>,
    pub customer_name: Arc<str>,
    pub phase: Phase,
    pub joined_at: Timestamp,
    pub assigned_at: Option<Timestamp>,
    pub started_at: Option<Timestamp>,
}

impl From<&CallSnapshot> for ActiveCall {
    fn from(call: &CallSnapshot) -> Self {
        Self {
            call_id: call.id,
            protocol: call.number,
            department_id: call.department_id,
            user_id: call.user_id,
            user_name: call.user_name.clone(),
            customer_name: call.caller.name.clone(),
            phase: call.phase,
            joined_at: call.joined_at,
            assigned_at: call.assigned_at,
            started_at: call.started_at,
        }
    }
}

/// The numbers of one queue, from what is committed.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Stats {
    pub queue_size: u32,
    pub active_calls: u32,
    pub online_agents: u32,
    pub available_agents: u32,
    /// Whole seconds; `None` when nobody waits.
    pub longest_wait: Option<i64>,
    pub estimated_wait_time: Option<u64>,
    /// 0 to 1; `None` while nobody counts today.
    pub service_level: Option<f64>,
    pub abandoned_today: u64,
}

/// The `queue:` topic's department.
#[derive(Clone, Debug, Serialize)]
pub struct DepartmentName {
    pub id: DepartmentId,
    pub name: Arc<str>,
}

/// Join reply and resync of `queue:`.
#[derive(Clone, Debug, Serialize)]
pub struct QueueState {
    pub epoch: u64,
    pub seq: u64,
    pub department: DepartmentName,
    pub queue_size: u32,
    pub waiting: Vec<WaitingCall>,
    pub active: Vec<ActiveCall>,
    pub stats: Stats,
}

/// A wrap-up under way.
#[derive(Clone, Debug, Serialize)]
pub struct WrapUpState {
    pub call_id: CallId,
    pub ends_at: Timestamp,
}

/// Join reply and resync of `notification:`, less `unread`, which the store holds.
#[derive(Clone, Debug, Serialize)]
pub struct NotificationState {
    pub epoch: u64,
    pub seq: u64,
    pub status: AgentStatus,
    pub pause_reason: Option<Arc<str>>,
    pub after_call: Option<AgentStatus>,
    pub held: Option<Held>,
    pub activity: Activity,
    pub departments: Vec<DepartmentName>,
    pub offers: Vec<Arc<Offer>>,
    pub calls: Vec<ActiveCall>,
    pub wrap_ups: Vec<WrapUpState>,
}

/// What presence shows of an agent.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Shown {
    pub name: Arc<str>,
    pub status: AgentStatus,
    pub activity: Activity,
    pub pause_reason: Option<Arc<str>>,
    pub held: Option<Held>,
    pub since: Timestamp,
}

/// `presence_state`.
pub type PresenceState = crate::live::presence::PresenceState<Shown>;

/// One department on the company's wallboard.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct DepartmentFigures {
    pub id: DepartmentId,
    pub name: Arc<str>,
    pub queue_size: u32,
    pub longest_wait: Option<i64>,
    pub available_agents: u32,
}

/// Join reply of `tenant:` and the `dashboard` push (which carries `seq` as every push does).
#[derive(Clone, Debug, Serialize)]
pub struct DashboardState {
    pub epoch: u64,
    pub seq: u64,
    #[serde(flatten)]
    pub dashboard: Dashboard,
}

/// The company's wallboard.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Dashboard {
    pub active_calls: u32,
    pub online_agents: u32,
    pub queue_size: u32,
    /// Mean wait of today's answered calls, whole seconds.
    pub average_wait_time: Option<u64>,
    /// 0 to 1.
    pub abandonment_rate: Option<f64>,
    pub departments: Vec<DepartmentFigures>,
}

/// A customer's own view of his call.
#[derive(Clone, Debug)]
pub struct CustomerState {
    pub status: Status,
    pub phase: Phase,
    pub protocol: i64,
    pub position: Option<u32>,
    pub queue_size: u32,
    pub estimate: Estimate,
    pub department_id: DepartmentId,
    pub department_name: Arc<str>,
    pub agent_name: Option<Arc<str>>,
    pub joined_at: Timestamp,
    pub end_reason: Option<EndReason>,
}

/// What a link's page shows before the join.
#[derive(Clone, Copy, Debug, Default)]
pub struct Figures {
    pub queue_size: u32,
    pub online_agents: u32,
    pub available_agents: u32,
    pub estimated_wait_time: Option<u64>,
}

/// Whether a call may be given to a department.
#[derive(Clone, Copy, Debug)]
pub struct Admission {
    pub active: bool,
    pub full: bool,
    /// How long a call is kept for the agent it is meant for; `None` where nothing is offered.
    pub keep_seconds: Option<u32>,
}

/// Who may speak on a call now.
#[derive(Clone, Debug)]
pub struct Parties {
    pub department_id: DepartmentId,
    pub phase: Phase,
    pub agent: Option<UserId>,
    pub agent_name: Option<Arc<str>>,
    pub customer_name: Arc<str>,
}

/// An answered hand: `{offer_id, call_id, reason}`.
#[derive(Clone, Debug, Serialize)]
pub struct OfferWithdrawn {
    pub offer_id: GrantId,
    pub call_id: CallId,
    pub reason: &'static str,
}

/// A difference of presence maps by department, for the tenant's actor.
pub(super) type Presences = BTreeMap<DepartmentId, crate::live::presence::Presence<Shown>>;

/// `customer_joined`; also says that a call came back to its place, with the reason it was `returned` for.
#[derive(Debug, Serialize)]
pub(super) struct CustomerJoined {
    #[serde(flatten)]
    pub call: WaitingCall,
    pub queue_size: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub returned: Option<&'static str>,
}

/// `customer_left`.
#[derive(Debug, Serialize)]
pub(super) struct CustomerLeft {
    pub call_id: CallId,
    pub reason: Option<EndReason>,
    pub queue_size: u32,
}

/// `customer_presence`.
#[derive(Debug, Serialize)]
pub(super) struct CustomerPresence {
    pub call_id: CallId,
    pub presence: &'static str,
}

/// `call_offered` on `queue:`.
#[derive(Debug, Serialize)]
pub(super) struct CallOffered {
    pub call_id: CallId,
    pub user_id: UserId,
    pub expires_at: Timestamp,
}

/// `call_assigned` on `queue:`.
#[derive(Debug, Serialize)]
pub(super) struct CallAssigned {
    pub call_id: CallId,
    pub user_id: Option<UserId>,
    pub user_name: Option<Arc<str>>,
    pub queue_size: u32,
    pub wait_time: Option<i64>,
}

/// `call_started` and `call_completed` on `queue:`.
#[derive(Debug, Serialize)]
pub(super) struct CallProgressed {
    pub call_id: CallId,
    pub user_id: Option<UserId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub duration: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub end_reason: Option<EndReason>,
}

/// `queue_position` on `call:`.
#[derive(Debug, Serialize)]
pub(super) struct QueuePosition {
    pub position: u32,
    pub queue_size: u32,
    pub estimated_wait_time: Option<u64>,
    pub estimated_wait_time_p90: Option<u64>,
}

/// `call_returned_to_queue` on `call:`.
#[derive(Debug, Serialize)]
pub(super) struct CallReturned {
    pub position: Option<u32>,
    pub reason: &'static str,
}

/// `call_transferred` on `queue:`: the call is in this department no more.
#[derive(Debug, Serialize)]
pub(super) struct CallTransferred {
    pub call_id: CallId,
    /// The agent who had it.
    pub user_id: Option<UserId>,
    pub to_department_id: DepartmentId,
    pub to_user_id: Option<UserId>,
    pub queue_size: u32,
}

/// `call_transferred` on `call:`: where the customer waits now.
#[derive(Debug, Serialize)]
pub(super) struct CustomerTransferred {
    pub department_id: DepartmentId,
    pub department_name: Arc<str>,
    pub position: Option<u32>,
    pub queue_size: u32,
    pub estimated_wait_time: Option<u64>,
    pub estimated_wait_time_p90: Option<u64>,
}

/// `call_ended` on `call:`.
#[derive(Debug, Serialize)]
pub(super) struct CallEnded {
    pub status: Status,
    pub end_reason: Option<EndReason>,
    pub can_evaluate: bool,
}

/// `status_changed` on `notification:`.
#[derive(Debug, Serialize)]
pub(super) struct StatusChanged {
    pub status: AgentStatus,
    pub held: Option<Held>,
    pub activity: Activity,
    pub pause_reason: Option<Arc<str>>,
    pub cause: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub by: Option<Arc<str>>,
}

/// What a user is told that was kept for him before.
#[derive(Clone, Debug)]
pub enum Notice {
    /// `new_notification`.
    Notification(Notification),
    /// `appointment_reminder`.
    AppointmentReminder(AppointmentReminder),
}

/// `appointment_reminder` on `notification:`.
#[derive(Clone, Debug, Serialize)]
pub struct AppointmentReminder {
    pub appointment_id: AppointmentId,
    pub title: String,
    pub scheduled_at: Timestamp,
    pub customer_name: String,
}
