//! Owns the facts a queue tells of itself, in the past tense. Their wire form and the topics they go to are the shell's.

use std::sync::Arc;

use super::exchange::Handover;
use super::wait::Estimate;
use crate::domain::call::CallSnapshot;
use crate::domain::clock::Timestamp;
use crate::domain::ids::{CallId, GrantId, UserId};

/// A change of the record. Released after its commit, in order; the view is a fold of these.
#[derive(Clone, Debug)]
pub enum Settled {
    Joined(Arc<CallSnapshot>),
    Assigned(Arc<CallSnapshot>),
    Started(Arc<CallSnapshot>),
    /// Back to its old place; `from` is the agent who had it.
    Returned {
        call: Arc<CallSnapshot>,
        from: UserId,
        reason: ReturnReason,
    },
    /// Given to the department its row names, which must hear of it now; `from` is the agent who had it.
    Transferred {
        call: Arc<CallSnapshot>,
        from: Option<UserId>,
        handover: Box<Handover>,
    },
    /// Taken over from another department.
    Adopted(Arc<CallSnapshot>),
    Ended(Arc<CallSnapshot>),
    /// The row changed (an offer's outcome, an exclusion) without news for anyone's view.
    Noted(Arc<CallSnapshot>),
}

impl Settled {
    /// The call after the change.
    pub fn call(&self) -> &Arc<CallSnapshot> {
        match self {
            Settled::Joined(call)
            | Settled::Assigned(call)
            | Settled::Started(call)
            | Settled::Returned { call, .. }
            | Settled::Transferred { call, .. }
            | Settled::Adopted(call)
            | Settled::Ended(call)
            | Settled::Noted(call) => call,
        }
    }
}

/// Why a call went back to the line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReturnReason {
    /// The agent did not start it in time.
    NotStarted,
    /// The agent's lease was gone too long.
    AgentLost,
    /// The customer asked for another agent while his was away.
    CustomerAsked,
    /// His agent gave it back, or to a colleague.
    Transferred,
}

impl ReturnReason {
    /// The word used on the wire and in the record.
    pub const fn as_str(self) -> &'static str {
        match self {
            ReturnReason::NotStarted => "not_started",
            ReturnReason::AgentLost => "agent_lost",
            ReturnReason::CustomerAsked => "customer_asked",
            ReturnReason::Transferred => "transferred",
        }
    }
}

/// Said at once: promises nothing.
#[derive(Clone, Debug)]
pub enum Said {
    Offered { call: CallId, grant: GrantId, user: UserId, expires_at: Timestamp },
    Presence { call: CallId, present: bool },
    AgentAway { call: CallId, until: Timestamp },
    AgentBack { call: CallId },
    Position { call: CallId, position: u32, queue_size: u32, estimate: Estimate },
}
