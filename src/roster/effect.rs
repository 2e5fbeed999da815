//! Owns what may be asked of a roster and what it asks of the outside.

use std::sync::Arc;

use super::state::Profile;
use crate::domain::agent::{AgentSnapshot, Intent, WrapUp};
use crate::domain::clock::Timestamp;
use crate::domain::department::RoutingStrategy;
use crate::domain::ids::{CallId, DepartmentId, DeviceId, GrantId, PickId, UserId};
use crate::domain::record::Entry;
use crate::queue::Rejection;
use crate::queue::exchange::{Envelope, Offer, ToQueue, ToRoster, WithdrawReason};

/// A supervisor who changes somebody else's status, named.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Supervisor {
    pub user_id: UserId,
    pub name: Arc<str>,
}

/// A command to the roster. Grant ids are given by the outside, since the core draws no randomness.
#[derive(Clone, Debug)]
pub enum Command {
    /// A new or changed agent; `None` for the profile of one who is gone. The snapshot is what the record holds of him: one
    /// who was not known is as he was then, and his next version is a higher one.
    Configure {
        user: UserId,
        profile: Option<Profile>,
        snapshot: Option<Box<AgentSnapshot>>,
    },
    Department {
        department: DepartmentId,
        strategy: RoutingStrategy,
        /// Steps by which its calls compete for free agents; higher is sooner.
        weight: i8,
    },
    PlanLimit(Option<u32>),
    SetStatus {
        user: UserId,
        by: Option<Supervisor>,
        intent: Intent,
        after_call: bool,
    },
    Attach {
        user: UserId,
        device: DeviceId,
    },
    Detach {
        user: UserId,
        device: DeviceId,
    },
    WrapUpEnd {
        user: UserId,
        call: Option<CallId>,
    },
    WrapUpExtend {
        user: UserId,
        call: Option<CallId>,
        seconds: u64,
    },
    /// From a queue; stale ones are dropped here.
    Queue {
        department: DepartmentId,
        envelope: Envelope<ToRoster>,
    },
    /// A new life of the queue begins to speak; the one before it is dead.
    QueueStarted {
        department: DepartmentId,
        incarnation: u64,
    },
    QueueStopped {
        department: DepartmentId,
        incarnation: u64,
    },
    /// The company's midnight.
    DayStarted,
    Freeze,
    Thaw,
    Tick,
}

/// One thing to do outside, in order.
#[derive(Clone, Debug)]
pub enum Effect {
    /// Commit; when it is committed, and every earlier one of this roster is, release `changed`.
    Record { entry: Entry, changed: Option<StatusChanged> },
    /// Push at once.
    Say(Said),
    /// Send to that queue, after this roster's earlier messages to it.
    Queue { department: DepartmentId, envelope: Envelope<ToQueue> },
}

/// A change of what the person chose or of what holds him.
#[derive(Clone, Debug)]
pub struct StatusChanged {
    pub user: UserId,
    pub cause: StatusCause,
}

/// Who changed it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StatusCause {
    You,
    MissedOffers,
    Supervisor(Arc<str>),
    /// An `after_call` status took effect.
    AfterCall,
}

/// Said at once.
#[derive(Clone, Debug)]
pub enum Said {
    Offered(Arc<Offer>),
    OfferWithdrawn {
        user: UserId,
        offer: Arc<Offer>,
        reason: OfferEnd,
    },
    WrapUp {
        user: UserId,
        call: CallId,
        ends_at: Timestamp,
    },
    /// What presence shows of this agent changed.
    Presence {
        user: UserId,
    },
}

/// Why an offer left the agent's screen, in the words of `offer_withdrawn`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OfferEnd {
    CustomerLeft,
    TimedOut,
    Taken,
    Withdrawn,
    AgentPaused,
    Restarted,
}

impl OfferEnd {
    /// The word on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            OfferEnd::CustomerLeft => "customer_left",
            OfferEnd::TimedOut => "timed_out",
            OfferEnd::Taken => "taken",
            OfferEnd::Withdrawn => "withdrawn",
            OfferEnd::AgentPaused => "agent_paused",
            OfferEnd::Restarted => "restarted",
        }
    }
}

impl From<WithdrawReason> for OfferEnd {
    fn from(reason: WithdrawReason) -> Self {
        match reason {
            WithdrawReason::Taken => OfferEnd::Taken,
            WithdrawReason::Withdrawn => OfferEnd::Withdrawn,
            WithdrawReason::AgentPaused => OfferEnd::AgentPaused,
            WithdrawReason::Restarted => OfferEnd::Restarted,
        }
    }
}

/// The answer to a command.
#[derive(Clone, Debug)]
pub enum Reply {
    Done,
    /// The wrap-up ends then.
    WrapUp(Timestamp),
}

/// What a command achieved.
#[derive(Debug)]
pub struct Applied {
    pub reply: Reply,
    pub effects: Vec<Effect>,
}

/// What `Roster::apply` answers.
pub type Outcome = Result<Applied, Rejection>;

/// What the record holds of one agent.
#[derive(Clone, Debug)]
pub struct RestoredAgent {
    pub profile: Profile,
    /// Removed from the company while he had a call: kept until it has gone on or ended.
    pub removed: bool,
    pub snapshot: Option<AgentSnapshot>,
    /// Wrap-ups planned in the rows of calls that ended lately.
    pub planned_wrap_ups: Vec<PlannedWrapUp>,
    /// His assigned and active calls in every department: their slots are his before any queue speaks.
    pub running: Vec<RestoredCall>,
}

/// A call an agent holds, as its row says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RestoredCall {
    pub grant: GrantId,
    pub call: CallId,
    pub department: DepartmentId,
}

/// A wrap-up as the call's row planned it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PlannedWrapUp {
    pub call: CallId,
    pub department: DepartmentId,
    pub ends_at: Timestamp,
}

/// The end of a wrap-up that a call's row planned, when the agent changed it.
pub(super) fn overruled(wrap_ups: &[WrapUp], call: CallId) -> Option<Timestamp> {
    let of_call = wrap_ups.iter().find(|w| w.call_id == call && w.department_id.is_none());
    of_call.map(|w| Timestamp::from_micros(w.ends_at_micros))
}

/// The source of grant ids: given by the outside for each `apply`.
pub type NewGrant<'a> = &'a mut dyn FnMut() -> GrantId;

/// A hand-pick asked of the roster.
#[derive(Clone, Copy, Debug)]
pub(super) struct PickRequest {
    pub pick: PickId,
    pub user: UserId,
}
