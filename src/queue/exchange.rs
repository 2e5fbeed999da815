//! Owns what a queue and its roster tell each other, and what one queue hands to another. Neither awaits the other: every message is one way, carries its
//! sender's incarnation and sequence in an [`Envelope`], and a stale one is dropped by its receiver.

use std::sync::Arc;

use serde::Serialize;

use super::rejection::Rejection;
use crate::domain::call::{CallSnapshot, Rank, Requirements};
use crate::domain::clock::Timestamp;
use crate::domain::ids::{CallId, CustomerId, DepartmentId, DeviceId, GrantId, PickId, UserId};

/// A message between one incarnation of a queue and the roster.
#[derive(Clone, Debug)]
pub struct Envelope<T> {
    /// Which life of the queue speaks or is spoken to.
    pub incarnation: u64,
    /// Grows by one per message and direction within an incarnation.
    pub sequence: u64,
    pub message: T,
}

/// One distinct set of requirements and how much of it waits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DemandSet {
    /// Only this agent is wanted, whatever his skills: the calls are kept for him.
    pub named: Option<UserId>,
    pub requirements: Requirements,
    /// Eligible present calls.
    pub count: u32,
    /// The best rank among them.
    pub best: Rank,
}

/// A call on its way from one queue to another: the row that was written, and what lives only in memory.
#[derive(Clone, Debug)]
pub struct Handover {
    pub call: Arc<CallSnapshot>,
    pub devices: Vec<DeviceId>,
    /// Present without a device until then.
    pub present_until: Timestamp,
    /// While away: when the place is lost.
    pub grace_until: Option<Timestamp>,
}

/// What a queue could use now. Level-triggered: the newest one says everything.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Demand {
    /// Grows when somebody became offerable to somebody: a join, an exclusion made or expired, a return from away.
    pub version: u64,
    /// The last grant this demand already knows of; later ones count against it.
    pub grants_seen: u64,
    pub sets: Vec<DemandSet>,
}

/// From a queue to the roster.
#[derive(Clone, Debug)]
pub enum ToRoster {
    Demand(Demand),
    /// The grant has become this offer.
    Offered(Arc<Offer>),
    /// The slot is the roster's again.
    Returned {
        grant: GrantId,
        outcome: Return,
    },
    /// The slot runs this call from now on.
    Accepted {
        grant: GrantId,
        call: CallId,
    },
    /// The call is over, went back to the line or elsewhere; the slot is in wrap-up until then, or free.
    Ended {
        grant: GrantId,
        call: CallId,
        wrap_up_ends_at: Option<Timestamp>,
        /// The call's row says when the wrap-up ends; else only the agent's own can.
        planned: bool,
    },
    /// A demand for one named agent.
    PickRequested {
        pick: PickId,
        call: CallId,
        user: UserId,
    },
    /// The pick is over; a grant for it would be handed back.
    PickDropped {
        pick: PickId,
    },
    /// What a new incarnation holds after a restore; every other grant of this department is free.
    Holds(Vec<HeldGrant>),
}

/// A grant that a restored queue still holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HeldGrant {
    pub grant: GrantId,
    pub user: UserId,
    pub call: CallId,
}

/// What came of a grant that did not become a running call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Return {
    /// Not used: the rank the queue has for that agent, or none, at that version of its demand.
    HandedBack {
        rank: Option<Rank>,
        version: u64,
    },
    Declined,
    /// Nobody answered; a miss.
    TimedOut,
    Withdrawn(WithdrawReason),
    CustomerLeft,
    AgentLost,
}

/// Why a standing offer was withdrawn, in the words of `offer_withdrawn`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum WithdrawReason {
    /// Somebody else took the call.
    Taken,
    /// The call ended otherwise, by staff, link or wait limit, went elsewhere, or its department offers nothing any more.
    Withdrawn,
    AgentPaused,
    /// After a restart or an outage.
    Restarted,
}

/// From the roster to a queue.
#[derive(Clone, Debug)]
pub enum ToQueue {
    Grant(Grant),
    PickRefused {
        pick: PickId,
        reason: Rejection,
    },
    /// Asks for a granted slot back; only an offer still standing obeys.
    Revoke {
        grant: GrantId,
        reason: RevokeReason,
    },
    /// The agent's lease is gone: until the deadlines of this call, the customer waits for him.
    AgentLost {
        grant: GrantId,
    },
    /// The agent is back before the deadline.
    AgentBack {
        grant: GrantId,
    },
    Staff(Staff),
}

/// Why the roster asks for a slot back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RevokeReason {
    AgentPaused,
    AgentLost,
}

/// A slot lent to one queue. The offer made of it carries the grant's id.
#[derive(Clone, Debug)]
pub struct Grant {
    pub grant: GrantId,
    /// Grows by one per grant to this incarnation; the queue's demand says which it has seen.
    pub number: u64,
    pub user: UserId,
    pub user_name: Arc<str>,
    pub skills: Requirements,
    /// The best rank another queue has for this agent: if ours is later, the grant goes back.
    pub alternative: Option<Rank>,
    /// Nobody else could be offered calls of this department now.
    pub alone: bool,
    /// Since when he could have been offered a call.
    pub ready_since: Timestamp,
    /// The hand-pick this slot is for.
    pub pick: Option<PickId>,
}

/// The agents of a department, in numbers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Staff {
    /// Agents whose lease holds.
    pub online: u32,
    /// Agents who may be offered a call now.
    pub available: u32,
    /// Slots of agents who are available or in a call: what the line is served by.
    pub serving_slots: u32,
}

/// An offer as the agent sees it (realtime.md, `notification:`).
#[derive(Clone, Debug, Serialize)]
pub struct Offer {
    #[serde(rename = "offer_id")]
    pub grant: GrantId,
    pub call_id: CallId,
    pub protocol: i64,
    pub department_id: DepartmentId,
    pub department_name: Arc<str>,
    pub customer: OfferedCustomer,
    pub reason: Option<Arc<str>>,
    /// Whole seconds waited so far.
    pub wait_time: i64,
    pub position_when_offered: Option<u32>,
    pub expires_at: Timestamp,
    #[serde(skip)]
    pub user: UserId,
    /// Since when both the call and the agent were free for each other.
    #[serde(skip)]
    pub possible_since: Timestamp,
}

/// The customer of an offer.
#[derive(Clone, Debug, Serialize)]
pub struct OfferedCustomer {
    pub id: CustomerId,
    pub name: Arc<str>,
    pub email: Option<Arc<str>>,
    pub phone: Option<Arc<str>>,
}
