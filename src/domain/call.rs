//! Owns the words of a call: its phases, ends, statuses, its place in line and its persisted snapshot. The rules that
//! move a call between them live in `queue`.

use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::clock::Timestamp;
use super::ids::{CallId, CustomerId, DepartmentId, GrantId, LinkId, UserId};
use super::transfer::{Transfer, TransferView};

pub(crate) use super::words::words;

words! {
    /// What the machine does with a call now.
    Phase {
        Waiting = "waiting",
        Offered = "offered",
        Assigned = "assigned",
        Active = "active",
        Ended = "ended",
    }
}

words! {
    /// Voki's public statuses.
    Status {
        Queued = "queued",
        Active = "active",
        Completed = "completed",
        Missed = "missed",
        Cancelled = "cancelled",
    }
}

words! {
    /// Why a call ended.
    EndReason {
        Completed = "completed",
        /// The customer was away past the grace while assigned or active.
        CustomerLost = "customer_lost",
        /// Both sides were gone from a running call.
        AgentLost = "agent_lost",
        /// The customer gave the place up.
        Left = "left",
        /// Away past the grace while waiting.
        Abandoned = "abandoned",
        /// As abandoned, and no device ever came.
        NeverConnected = "never_connected",
        TimedOut = "timed_out",
        /// Taken out by staff.
        Withdrawn = "withdrawn",
        LinkCancelled = "link_cancelled",
        SystemError = "system_error",
    }
}

words! {
    /// The one outcome of an offer.
    OfferOutcome {
        Accepted = "accepted",
        Declined = "declined",
        TimedOut = "timed_out",
        Withdrawn = "withdrawn",
        CustomerLeft = "customer_left",
        AgentLost = "agent_lost",
    }
}

/// The public status of a call, from what the core knows of it (RULES.md, "Status, phase, end").
pub fn status(phase: Phase, end_reason: Option<EndReason>, started: bool) -> Status {
    match (phase, end_reason) {
        (Phase::Waiting | Phase::Offered | Phase::Assigned, _) => Status::Queued,
        (Phase::Active, _) => Status::Active,
        (Phase::Ended, reason) => match reason {
            Some(EndReason::Completed) | None => Status::Completed,
            Some(EndReason::CustomerLost | EndReason::AgentLost) if started => Status::Completed,
            Some(
                EndReason::CustomerLost
                | EndReason::AgentLost
                | EndReason::Left
                | EndReason::Abandoned
                | EndReason::NeverConnected
                | EndReason::TimedOut,
            ) => Status::Missed,
            Some(EndReason::Withdrawn | EndReason::LinkCancelled | EndReason::SystemError) => Status::Cancelled,
        },
    }
}

/// How much earlier in line one step of priority puts a call (RULES.md, "Order").
pub const PRIORITY_STEP_SECONDS: u64 = 60;
/// The highest priority; so nobody is overtaken by anyone who came more than ten minutes later.
pub const PRIORITY_MAX: u8 = 10;

/// A call's static place in line: smaller is sooner. It never changes, so nothing is ever re-sorted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Rank {
    /// Since when the call counts as waiting, less a minute per step of priority, in microseconds.
    pub at: i64,
    /// The call's number, which breaks ties.
    pub number: i64,
}

/// The time a call's rank is made of, before ties are broken by its number.
///
/// A customer with an appointment has, from its due time on, the rank of the due time (RULES.md). Who joins late has
/// waited since then; who joins early ranks by his join until the due time, like everybody. At that moment the rank of
/// the due time would be the *later* one, and nobody is put back for having come in good time, so his rank stays. In
/// both cases it is the earlier of the two times, known at the join: static, as every rank is.
pub fn ranked_at(joined_at: Timestamp, due_at: Option<Timestamp>, priority: u8) -> Timestamp {
    let since = due_at.map_or(joined_at, |due| due.min(joined_at));
    let head_start = i64::from(priority.min(PRIORITY_MAX)) * (PRIORITY_STEP_SECONDS as i64) * 1_000_000;
    Timestamp::from_micros(since.micros().saturating_sub(head_start))
}

/// Who called, as typed at the join. Names and contacts live here and in rows that can be erased, never in events.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Caller {
    pub customer_id: CustomerId,
    pub name: Arc<str>,
    pub email: Option<Arc<str>>,
    pub phone: Option<Arc<str>>,
    pub reason: Option<Arc<str>>,
}

/// The skills a call asks for: sorted, without doubles, usually empty.
pub type Requirements = Arc<[Arc<str>]>;

/// An agent who shall not be offered this call before `until`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Exclusion {
    pub user_id: UserId,
    /// Microseconds since 1970; kept as a number so that it survives JSON exactly.
    pub until_micros: i64,
}

/// The last offer of a call and what came of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct LastOffer {
    pub offer_id: GrantId,
    pub user_id: UserId,
    pub outcome: OfferOutcome,
}

/// A wait as told to who waits, in whole seconds; `None` while there is nothing to base it on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct WaitEstimate {
    /// Half of the calls wait no longer.
    pub p50_seconds: Option<u64>,
    /// Nine of ten wait no longer.
    pub p90_seconds: Option<u64>,
}

/// The persisted form of a call: the columns the core owns. Every change makes one with `version` one higher.
#[derive(Clone, Debug, PartialEq)]
pub struct CallSnapshot {
    pub id: CallId,
    /// The protocol number, unique per tenant.
    pub number: i64,
    pub department_id: DepartmentId,
    pub link_id: Option<LinkId>,
    pub caller: Arc<Caller>,
    pub priority: u8,
    pub requirements: Requirements,
    /// The hash of the key a client may join again with.
    pub join_key: Option<Arc<str>>,
    pub joined_at: Timestamp,
    /// The place in line, by [`ranked_at`]; stored, so that no later change of the rules moves those who wait.
    pub ranked_at: Timestamp,
    pub phase: Phase,
    pub end_reason: Option<EndReason>,
    /// The present agent, or the last one of an ended call.
    pub user_id: Option<UserId>,
    pub user_name: Option<Arc<str>>,
    /// The grant (and offer) the present agent holds the call by.
    pub grant_id: Option<GrantId>,
    /// When the present agent accepted.
    pub assigned_at: Option<Timestamp>,
    /// The acceptance the wait is counted to: the last one before the first start.
    pub accepted_at: Option<Timestamp>,
    /// The first start.
    pub started_at: Option<Timestamp>,
    pub ended_at: Option<Timestamp>,
    /// When the agent's wrap-up of this ended call is over, unless the agent's own row says otherwise.
    pub wrap_up_ends_at: Option<Timestamp>,
    pub exclusions: Vec<Exclusion>,
    pub last_offer: Option<LastOffer>,
    /// The last transfer, if there was one; apart, because most calls have none.
    pub transfer: Option<Box<Transfer>>,
    /// Whether a device of the customer ever came.
    pub connected: bool,
    /// The wait that is in time, as the department had it when the call came to it; fixed at the first start.
    pub service_level_seconds: u32,
    /// The wait that was told at the join.
    pub estimate: WaitEstimate,
    pub version: i64,
    /// When this version was made.
    pub changed_at: Timestamp,
}

impl CallSnapshot {
    /// The place in line.
    pub fn rank(&self) -> Rank {
        Rank { at: self.ranked_at.micros(), number: self.number }
    }

    /// Moves what its row says of deadlines by a time in which nobody served it.
    pub fn put_off(&mut self, gap: Duration) {
        let gap = i64::try_from(gap.as_micros()).unwrap_or(0);
        for exclusion in &mut self.exclusions {
            exclusion.until_micros += gap;
        }
        if let Some(until) = self.transfer.as_mut().and_then(|transfer| transfer.kept_until_micros.as_mut()) {
            *until += gap;
        }
    }

    /// The public status.
    pub fn status(&self) -> Status {
        status(self.phase, self.end_reason, self.started_at.is_some())
    }

    /// Whole seconds from the join to the acceptance; `None` while it was never accepted.
    pub fn wait_seconds(&self) -> Option<i64> {
        self.accepted_at.map(|at| at.seconds_since(self.joined_at))
    }

    /// Whole seconds for which its present agent has spoken with the customer by `now`; `None` while they do not speak.
    pub fn talk_seconds(&self, now: Timestamp) -> Option<i64> {
        let since = self.started_at?.max(self.assigned_at?);
        (self.phase == Phase::Active).then(|| now.seconds_since(since))
    }

    /// Whole seconds from start to end; `None` unless it was started and has ended.
    pub fn duration_seconds(&self) -> Option<i64> {
        Some(self.ended_at?.seconds_since(self.started_at?))
    }
}

/// A call as `GET /api/v1/calls/:id` shows it: Voki's fields first, ours after them. Built from a snapshot by the core's
/// replies and from a row by the store, so that both show the same.
#[derive(Clone, Debug, PartialEq, Serialize, utoipa::ToSchema)]
pub struct CallView {
    pub id: CallId,
    pub status: Status,
    pub department_id: DepartmentId,
    #[schema(value_type = String)]
    pub department_name: Arc<str>,
    pub user_id: Option<UserId>,
    #[schema(value_type = Option<String>)]
    pub user_name: Option<Arc<str>>,
    pub customer_id: CustomerId,
    #[schema(value_type = String)]
    pub customer_name: Arc<str>,
    #[schema(value_type = Option<String>)]
    pub customer_email: Option<Arc<str>>,
    #[schema(value_type = Option<String>)]
    pub customer_phone: Option<Arc<str>>,
    /// Seconds from start to end.
    pub duration: Option<i64>,
    /// Seconds from join to acceptance.
    pub wait_time: Option<i64>,
    pub rating: Option<i16>,
    #[schema(value_type = Option<String>)]
    pub rating_comment: Option<Arc<str>>,
    pub started_at: Option<Timestamp>,
    pub completed_at: Option<Timestamp>,
    pub inserted_at: Timestamp,
    pub updated_at: Timestamp,
    pub protocol: i64,
    pub phase: Phase,
    pub end_reason: Option<EndReason>,
    #[schema(value_type = Option<String>)]
    pub reason: Option<Arc<str>>,
    pub priority: u8,
    pub assigned_at: Option<Timestamp>,
    pub link_id: Option<LinkId>,
    pub last_offer: Option<LastOffer>,
    /// The last transfer, null if there was none.
    pub transfer: Option<TransferView>,
    /// Why staff cancelled it, if they said so.
    #[schema(value_type = Option<String>)]
    pub cancel_reason: Option<Arc<str>>,
}

impl CallView {
    /// The view of a snapshot; ratings are not the core's, so they are absent.
    pub fn of(call: &CallSnapshot, department_name: &Arc<str>) -> Self {
        Self {
            id: call.id,
            status: call.status(),
            department_id: call.department_id,
            department_name: department_name.clone(),
            user_id: call.user_id,
            user_name: call.user_name.clone(),
            customer_id: call.caller.customer_id,
            customer_name: call.caller.name.clone(),
            customer_email: call.caller.email.clone(),
            customer_phone: call.caller.phone.clone(),
            duration: call.duration_seconds(),
            wait_time: call.wait_seconds(),
            rating: None,
            rating_comment: None,
            started_at: call.started_at,
            completed_at: call.ended_at,
            inserted_at: call.joined_at,
            updated_at: call.changed_at,
            protocol: call.number,
            phase: call.phase,
            end_reason: call.end_reason,
            reason: call.caller.reason.clone(),
            priority: call.priority,
            assigned_at: call.assigned_at,
            link_id: call.link_id,
            last_offer: call.last_offer,
            transfer: call.transfer.as_deref().map(TransferView::from),
            cancel_reason: None,
        }
    }
}
