//! Owns everything that can be asked of a queue. Whoever asks was authorised before; the queue checks only its own rules.

use std::sync::Arc;

use super::exchange::{Handover, ToQueue};
use crate::domain::call::{Caller, EndReason, Requirements};
use crate::domain::clock::Timestamp;
use crate::domain::department::Settings;
use crate::domain::ids::{CallId, DeviceId, GrantId, LinkId, PickId, UserId};
use crate::domain::transfer::Destination;

/// A customer who asks for a place.
#[derive(Clone, Debug)]
pub struct NewCall {
    pub id: CallId,
    /// From a committed block: never used before.
    pub number: i64,
    pub link_id: Option<LinkId>,
    /// Of a link that may not be used for ever: this join takes one of its uses.
    pub link_uses: Option<LinkUses>,
    pub caller: Arc<Caller>,
    pub priority: u8,
    /// When the appointment he joins with is or was due.
    pub due_at: Option<Timestamp>,
    pub requirements: Requirements,
    /// Hash of the key that makes joining again the same call.
    pub join_key: Option<Arc<str>>,
}

/// How often a link may be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LinkUses {
    pub max: u32,
    /// Uses known to whoever asks; it may be some seconds old, the queue knows the latest ones itself.
    pub used: u32,
}

/// Who ends a call by his own wish.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Party {
    Customer,
    Agent(UserId),
}

/// Who sends a call where.
#[derive(Clone, Debug)]
pub struct Transferring {
    pub call: CallId,
    pub to: Destination,
    pub by: UserId,
    /// May transfer any open call; others only what they are running.
    pub supervisor: bool,
    /// How long it is kept for the agent it is meant for; `None` when nothing is offered where it goes.
    pub keep_seconds: Option<u32>,
    pub reason: Option<Arc<str>>,
}

/// A command to one queue.
#[derive(Clone, Debug)]
pub enum Command {
    Join(NewCall),
    /// A device of the customer is connected.
    Attach {
        call: CallId,
        device: DeviceId,
    },
    Detach {
        call: CallId,
        device: DeviceId,
    },
    /// A status poll: keeps the customer present for a while.
    Poll {
        call: CallId,
    },
    /// The customer gives the place up, or asks for another agent while his is away.
    Leave {
        call: CallId,
    },
    /// Customer or agent ends a running call.
    Finish {
        call: CallId,
        by: Party,
    },
    Accept {
        grant: GrantId,
        user: UserId,
    },
    Decline {
        grant: GrantId,
        user: UserId,
    },
    Start {
        call: CallId,
        user: UserId,
    },
    /// `supervisor`: may complete a call of somebody else.
    Complete {
        call: CallId,
        user: UserId,
        supervisor: bool,
    },
    Pick {
        pick: PickId,
        call: CallId,
        user: UserId,
        by: UserId,
    },
    /// Staff or the system takes the call out.
    End {
        call: CallId,
        reason: EndReason,
        by: Option<UserId>,
    },
    /// The call goes on in another department, or with another agent, at the place it has earned.
    Transfer(Transferring),
    /// Another queue gave a call to this one. The record has it here already, so this is never refused.
    Adopt(Box<Handover>),
    LinkCancelled {
        link: LinkId,
    },
    /// From the roster; stale ones are dropped before they get here.
    Roster(ToQueue),
    Configure(Settings),
    /// Postgres is away: no deadline runs, no offer is made, nothing is recorded.
    Freeze,
    Thaw,
    /// The time may have come for something.
    Tick,
}
