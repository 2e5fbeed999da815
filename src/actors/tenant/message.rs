//! Owns what can be said to a tenant, and what one is started with.

use std::collections::HashMap;
use std::sync::Arc;

use ractor::ActorRef;
use tokio::sync::oneshot;

use super::super::directory::{Shared, TenantLink};
use super::super::error::CallError;
use super::super::persistence::Settlement;
use super::super::queue::{QueueMsg, ReplyPort};
use super::super::wire::{ActiveCall, DashboardState, DepartmentFigures, Notice, NotificationState, PresenceState};
use crate::domain::clock::Timestamp;
use crate::domain::ids::{CallId, DepartmentId, GrantId, UserId};
use crate::queue::exchange::{Envelope, ToRoster};
use crate::queue::view::Today;
use crate::roster::effect::RestoredAgent;
use crate::roster::{Command, Reply};
use crate::store::tenants::Bounds;

/// Where the answer to a roster command goes.
pub(in crate::actors) type RosterReplyPort = oneshot::Sender<Result<Reply, CallError>>;

/// What an agent does with an offer.
#[derive(Clone, Copy, Debug)]
pub enum Decision {
    Accept,
    Decline,
}

/// Messages of one tenant.
#[derive(Debug)]
pub enum TenantMsg {
    Command {
        command: Command,
        reply: Option<RosterReplyPort>,
    },
    /// An agent answers an offer; the tenant knows which queue made it.
    Offer {
        grant: GrantId,
        user: UserId,
        decision: Decision,
        reply: ReplyPort,
    },
    FromQueue {
        department: DepartmentId,
        envelopes: Vec<Envelope<ToRoster>>,
    },
    QueueStarted {
        department: DepartmentId,
        incarnation: u64,
        actor: ActorRef<QueueMsg>,
    },
    EnsureQueue {
        department: DepartmentId,
    },
    /// From one queue to another: a call that was given to it, and what was asked of it where it was.
    Forward {
        department: DepartmentId,
        message: Box<QueueMsg>,
    },
    /// A life of a queue could not start.
    QueueFailed {
        department: DepartmentId,
        incarnation: u64,
        served_until: Option<Timestamp>,
        /// It was not the store that could not be read.
        panicked: bool,
    },
    /// A department was made or changed.
    Department {
        settings: crate::domain::department::Settings,
    },
    /// A department was deleted.
    DepartmentRemoved {
        department: DepartmentId,
    },
    /// What the store says of the company; nothing happens when it is no news.
    Bounds(Bounds),
    Settlement(Settlement),
    /// The record refused a queue's writes: the whole tenant restarts from it.
    Refused,
    Restart,
    Timer(u64),
    Storage {
        away: bool,
    },
    /// What a call of an agent looks like now, or that it is over.
    CallView {
        call: CallId,
        view: Option<ActiveCall>,
    },
    Figures {
        figures: DepartmentFigures,
        active: u32,
        today: Today,
    },
    Notification {
        user: UserId,
        reply: oneshot::Sender<Option<NotificationState>>,
    },
    /// Notices that were kept for a user are pushed to him.
    Notices {
        user: UserId,
        notices: Vec<Notice>,
    },
    Presence {
        department: DepartmentId,
        reply: oneshot::Sender<PresenceState>,
    },
    /// Whoever waits for the queues to say what they hold has waited long enough.
    AnswerEarly,
    Dashboard(oneshot::Sender<DashboardState>),
    IsIdle(oneshot::Sender<bool>),
}

/// What a tenant is started with.
pub(in crate::actors) struct Args {
    pub shared: Arc<Shared>,
    pub link: Arc<TenantLink>,
    pub incarnation: u64,
    pub time_zone: chrono_tz::Tz,
    pub concurrent_calls_max: Option<u32>,
    pub departments: Vec<crate::domain::department::Settings>,
    /// What the record says of the day so far: the queues themselves start only when somebody needs them.
    pub today: HashMap<DepartmentId, Today>,
    pub agents: Vec<RestoredAgent>,
    /// Departments that have open calls: their queues start at once.
    pub open: Vec<DepartmentId>,
    /// Since when nobody served this tenant.
    pub served_until: Option<Timestamp>,
}
