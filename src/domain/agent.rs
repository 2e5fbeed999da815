//! Owns the words of an agent: what the person chose (status), what the machine knows (activity), what holds offers back,
//! and the persisted snapshot. The rules that move them live in `roster`.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::call::words;
use super::clock::Timestamp;
use super::ids::{CallId, DepartmentId, UserId};

words! {
    /// What the person chose; the system never writes it.
    AgentStatus {
        Available = "available",
        Paused = "paused",
        Offline = "offline",
    }
}

words! {
    /// What the machine knows the agent to be doing.
    Activity {
        Idle = "idle",
        Offered = "offered",
        InCall = "in_call",
        WrapUp = "wrap_up",
    }
}

/// An intent: a status and, for a pause, its reason.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Intent {
    pub status: AgentStatus,
    pub reason: Option<Arc<str>>,
}

impl Intent {
    /// An intent without a reason.
    pub fn plain(status: AgentStatus) -> Self {
        Self { status, reason: None }
    }
}

/// Why the system holds offers back from an agent, until his next `set_status`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Held {
    pub cause: HeldCause,
    pub since: Timestamp,
}

words! {
    /// The causes of a hold.
    HeldCause {
        MissedOffers = "missed_offers",
    }
}

/// A wrap-up that the call's row does not tell: one that was ended early or extended overrules what the row plans, and
/// after a call that was given away the row plans none. Kept until both are over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WrapUp {
    pub call_id: CallId,
    /// Microseconds since 1970; kept as a number so that it survives JSON exactly.
    pub ends_at_micros: i64,
    /// When the row may be forgotten: the later of this end and the planned one.
    pub kept_until_micros: i64,
    /// Where the call was, when its row plans no wrap-up.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub department_id: Option<DepartmentId>,
}

/// The persisted form of an agent's facts. Every change makes one with `version` one higher.
#[derive(Clone, Debug, PartialEq)]
pub struct AgentSnapshot {
    pub user_id: UserId,
    pub intent: Intent,
    pub intent_since: Timestamp,
    pub after_call: Option<Intent>,
    pub held: Option<Held>,
    /// Whether a device held the agent's lease: after a restart only such an agent is waited for.
    pub leased: bool,
    /// Offers missed in a row.
    pub misses: u8,
    pub wrap_ups: Vec<WrapUp>,
    /// How long the idle clock has run, in microseconds, while it stands still; else when it began to run.
    pub idle: IdleClock,
    /// The rotation number of the last offer; round robin serves the smallest.
    pub rotation: i64,
    /// Calls accepted since the company's midnight.
    pub calls_today: i32,
    pub version: i64,
    pub changed_at: Timestamp,
}

/// The idle clock: pausing stops it, resuming continues it, so that toggling gains nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum IdleClock {
    /// Running since then (microseconds since 1970).
    Running { since_micros: i64 },
    /// Stopped after so much idle time.
    Stopped { elapsed_micros: i64 },
}

impl IdleClock {
    /// How long the agent has been idle at `now`, in microseconds.
    pub fn elapsed_micros(self, now: Timestamp) -> i64 {
        match self {
            IdleClock::Running { since_micros } => (now.micros() - since_micros).max(0),
            IdleClock::Stopped { elapsed_micros } => elapsed_micros,
        }
    }
}
