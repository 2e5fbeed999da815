//! Owns what a session is made of: its channels, the commands that wait in them, and the work under way. How they move is
//! the session's business.

use std::collections::VecDeque;
use std::pin::Pin;

use serde_json::value::RawValue;

use super::WsState;
use super::channels::{Joined, Membership, Place, Snapshot};
use super::frame::{Frame, Ref};
use super::problem::Problem;
use super::resync::Flow;
use crate::auth::Principal;
use crate::domain::ids::DeviceId;
use crate::live::topic::Topic;

/// A join, a command or a snapshot under way.
pub(super) type Work = Pin<Box<dyn Future<Output = Done> + Send>>;

/// What came of a piece of work.
pub(super) enum Done {
    Joined { channel: u32, reference: Option<Ref>, result: Result<Box<Joined>, Problem> },
    Answered { channel: u32, address: Address, result: Result<String, Problem> },
    Resynced { channel: u32, result: Result<Snapshot, Problem> },
}

/// What a reply is addressed to.
pub(super) struct Address {
    pub(super) join_ref: Option<Ref>,
    pub(super) reference: Option<Ref>,
    pub(super) topic: Box<str>,
}

/// A command that waits for the one before it: a channel does one at a time, as Phoenix's do, so candidates keep their
/// order.
pub(super) struct Command {
    pub(super) address: Address,
    pub(super) event: Box<str>,
    pub(super) payload: Box<RawValue>,
}

/// One joined topic, or one whose join is under way.
pub(super) struct Channel {
    pub(super) id: u32,
    pub(super) topic: Topic,
    pub(super) device: DeviceId,
    pub(super) join_ref: Option<Ref>,
    /// Present once the join was granted.
    pub(super) membership: Option<Membership>,
    pub(super) flow: Flow,
    /// A join or a command is under way.
    pub(super) busy: bool,
    pub(super) waiting: VecDeque<Command>,
}

impl Address {
    pub(super) fn of(frame: &Frame<'_>) -> Self {
        Self { join_ref: frame.join_ref.clone(), reference: frame.reference.clone(), topic: Box::from(&*frame.topic) }
    }
}

impl Channel {
    pub(super) fn place(&self, state: &WsState, principal: &Principal) -> Place {
        Place { state: state.clone(), principal: principal.clone(), topic: self.topic, device: self.device }
    }
}
