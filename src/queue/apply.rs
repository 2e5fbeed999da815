//! Owns the one door into a queue: a command goes in, its reply and effects come out. Each command's work is in the file
//! of its subject; here is only the dispatch and the order of things.

use std::sync::Arc;

use super::command::{Command, Party};
use super::effect::Effect;
use super::exchange::ToQueue;
use super::rejection::Rejection;
use super::state::Queue;
use super::wait::Estimate;
use crate::domain::call::{CallSnapshot, EndReason, Phase};
use crate::domain::clock::Timestamp;
use crate::domain::ids::CallId;

/// What a command achieved: the answer for whoever asked, and what the outside must do.
#[derive(Debug)]
pub struct Applied {
    pub reply: Reply,
    pub effects: Vec<Effect>,
}

/// The answer to a command. It is given once everything recorded so far is committed.
#[derive(Clone, Debug)]
pub enum Reply {
    /// Nothing to tell.
    Done,
    Joined {
        call: Arc<CallSnapshot>,
        position: Option<u32>,
        queue_size: u32,
        estimate: Estimate,
        resumed: bool,
    },
    Call(Arc<CallSnapshot>),
    /// The answer comes later as `Effect::Answer`.
    Deferred,
}

impl Command {
    /// The call it names.
    pub fn call(&self) -> Option<CallId> {
        match self {
            Command::Join(new) => Some(new.id),
            Command::Attach { call, .. }
            | Command::Detach { call, .. }
            | Command::Poll { call }
            | Command::Leave { call }
            | Command::Finish { call, .. }
            | Command::Start { call, .. }
            | Command::Complete { call, .. }
            | Command::Pick { call, .. }
            | Command::End { call, .. } => Some(*call),
            Command::Transfer(transfer) => Some(transfer.call),
            Command::Adopt(handover) => Some(handover.call.id),
            Command::Accept { .. }
            | Command::Decline { .. }
            | Command::LinkCancelled { .. }
            | Command::Roster(_)
            | Command::Configure(_)
            | Command::Freeze
            | Command::Thaw
            | Command::Tick => None,
        }
    }

    /// Whether the command changes the record for whoever asked, and must be refused while nothing can be stored.
    fn is_recorded(&self) -> bool {
        match self {
            Command::Join(_)
            | Command::Leave { .. }
            | Command::Finish { .. }
            | Command::Accept { .. }
            | Command::Decline { .. }
            | Command::Start { .. }
            | Command::Complete { .. }
            | Command::Pick { .. }
            | Command::End { .. }
            | Command::Transfer(_)
            | Command::LinkCancelled { .. } => true,
            Command::Attach { .. }
            | Command::Detach { .. }
            | Command::Poll { .. }
            | Command::Adopt(_)
            | Command::Roster(_)
            | Command::Configure(_)
            | Command::Freeze
            | Command::Thaw
            | Command::Tick => false,
        }
    }
}

impl Queue {
    /// Applies one command. A rejection changes nothing; otherwise the queue has settled when this returns.
    pub fn apply(&mut self, now: Timestamp, command: Command) -> Result<Applied, Rejection> {
        self.now = now.max(self.now);
        if self.is_frozen() && command.is_recorded() {
            return Err(Rejection::StorageUnavailable);
        }
        debug_assert!(self.out.is_empty(), "effects of an earlier command were not taken");
        let about = command.call();
        let reply = match self.dispatch(command) {
            Ok(reply) => reply,
            Err(Rejection::UnknownCall) if about.is_some_and(|call| self.moved_to(call).is_some()) => {
                return Err(Rejection::Moved);
            }
            Err(rejection) => {
                debug_assert!(self.out.is_empty(), "a rejected command had effects");
                return Err(rejection);
            }
        };
        self.settle();
        Ok(Applied { reply, effects: std::mem::take(&mut self.out) })
    }

    fn dispatch(&mut self, command: Command) -> Result<Reply, Rejection> {
        match command {
            Command::Join(new) => self.join(new),
            Command::Attach { call, device } => self.attach(call, device),
            Command::Detach { call, device } => self.detach(call, device),
            Command::Poll { call } => self.poll(call),
            Command::Leave { call } => self.leave(call),
            Command::Finish { call, by } => self.finish(call, by),
            Command::Accept { grant, user } => self.accept(grant, user),
            Command::Decline { grant, user } => self.decline(grant, user),
            Command::Start { call, user } => self.start(call, user),
            Command::Complete { call, user, supervisor } => self.complete(call, user, supervisor),
            Command::Pick { pick, call, user, by } => self.pick(pick, call, user, by),
            Command::End { call, reason, by } => self.end_by_staff(call, reason, by),
            Command::Transfer(transfer) => self.transfer(transfer),
            Command::Adopt(handover) => self.adopt(*handover),
            Command::LinkCancelled { link } => self.cancel_link(link),
            Command::Roster(message) => {
                match message {
                    ToQueue::Grant(grant) => self.take_grant(grant),
                    ToQueue::PickRefused { pick, reason } => self.refuse_pick(pick, reason),
                    ToQueue::Revoke { grant, reason } => self.revoke(grant, reason),
                    ToQueue::AgentLost { grant } => self.agent_lost(grant),
                    ToQueue::AgentBack { grant } => self.agent_back(grant),
                    ToQueue::Staff(staff) => self.staff = staff,
                }
                Ok(Reply::Done)
            }
            Command::Configure(settings) => {
                self.configure(settings);
                Ok(Reply::Done)
            }
            Command::Freeze => {
                self.freeze();
                Ok(Reply::Done)
            }
            Command::Thaw => {
                self.thaw();
                Ok(Reply::Done)
            }
            Command::Tick => Ok(Reply::Done),
        }
    }

    fn finish(&mut self, id: CallId, by: Party) -> Result<Reply, Rejection> {
        match by {
            Party::Agent(user) => self.complete(id, user, false),
            Party::Customer => {
                if let Some((ended, _)) = self.ended.get(&id) {
                    return Ok(Reply::Call(ended.clone()));
                }
                let call = self.calls.get(&id).ok_or(Rejection::UnknownCall)?;
                if call.snapshot.phase != Phase::Active {
                    return Err(Rejection::NotStarted);
                }
                Ok(Reply::Call(self.end(id, EndReason::Completed, None)))
            }
        }
    }
}
