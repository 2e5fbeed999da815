//! Owns what a queue asks of the outside. The core never does, it asks; the shell performs effects in order.

use super::event::{Said, Settled};
use super::exchange::ToRoster;
use super::rejection::Rejection;
use crate::domain::ids::{CallId, PickId};
use crate::domain::record::Entry;

/// One thing to do outside. Order matters within one `apply`.
#[derive(Clone, Debug)]
pub enum Effect {
    /// Commit `entry`; when it is committed, and every earlier one of this queue is, release `settled`.
    Record { entry: Entry, settled: Settled },
    /// Release `settled` once every earlier record of this queue is committed; its own is another queue's, and is.
    Tell(Settled),
    /// Push at once.
    Say(Said),
    /// Send to the roster, after this queue's earlier messages to it.
    Roster(ToRoster),
    /// Answer a hand-pick that was deferred, once what was recorded so far is committed.
    Answer { pick: PickId, result: Result<CallId, Rejection> },
}
