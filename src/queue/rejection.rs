//! Owns why a command was refused. A refusal changes nothing. Its status on the wire is the edge's business.

use thiserror::Error;

/// Why the queue or the roster refused a command; each names what to do next.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum Rejection {
    #[error("The queue is full. Try again later.")]
    QueueFull,
    #[error("This department is not taking calls now.")]
    DepartmentInactive,
    #[error("This link was cancelled.")]
    LinkCancelled,
    #[error("This link was used up.")]
    LinkUsed,
    #[error("This call was taken by another agent.")]
    AlreadyTaken,
    #[error("This offer has expired or was withdrawn. Wait for the next one.")]
    OfferExpired,
    #[error("This call is not yours.")]
    NotYourCall,
    #[error("The call has not been started. Start it first.")]
    NotStarted,
    #[error("The call is not in a state that allows this.")]
    WrongState,
    #[error("The call has ended.")]
    CallEnded,
    #[error("The agent has no free slot. End the running call or the wrap-up first.")]
    NoFreeSlot,
    #[error("The company's plan allows no more concurrent calls.")]
    PlanLimit,
    #[error("There is no such agent.")]
    UnknownAgent,
    #[error("The agent does not serve this department.")]
    NotInDepartment,
    #[error("There is no wrap-up to change.")]
    NoWrapUp,
    #[error("A wrap-up may last at most an hour from now.")]
    WrapUpTooLong,
    #[error("The call has moved to another department. Ask there.")]
    Moved,
    #[error("There is no such call in this queue.")]
    UnknownCall,
    #[error("Too many agents are picking this call at once.")]
    TooManyPicks,
    #[error("The agent did not get the call in time. Try again.")]
    PickTimedOut,
    #[error("Changes cannot be stored now. Try again in a few seconds.")]
    StorageUnavailable,
}

impl Rejection {
    /// The code of the refusal on sockets (`reason`) and in REST bodies (`code`).
    pub const fn code(self) -> &'static str {
        match self {
            Rejection::QueueFull => "queue_full",
            Rejection::DepartmentInactive => "department_inactive",
            Rejection::LinkCancelled => "link_cancelled",
            Rejection::LinkUsed => "link_used",
            Rejection::AlreadyTaken => "already_taken",
            Rejection::OfferExpired => "offer_expired",
            Rejection::NotYourCall => "not_your_call",
            Rejection::NotStarted => "not_started",
            Rejection::WrongState => "wrong_state",
            Rejection::CallEnded => "call_ended",
            Rejection::NoFreeSlot => "no_free_slot",
            Rejection::PlanLimit => "plan_limit",
            Rejection::UnknownAgent => "unknown_agent",
            Rejection::NotInDepartment => "not_in_department",
            Rejection::NoWrapUp => "no_wrap_up",
            Rejection::WrapUpTooLong => "wrap_up_too_long",
            Rejection::Moved => "moved",
            Rejection::UnknownCall => "unknown_call",
            Rejection::TooManyPicks => "too_many_picks",
            Rejection::PickTimedOut => "pick_timed_out",
            Rejection::StorageUnavailable => "storage_unavailable",
        }
    }
}
