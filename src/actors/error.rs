//! Owns the one error of the door: why a command or question was not answered. Its form on the wire is the edge's.

use std::time::Duration;

use crate::queue::Rejection;
use crate::store::StoreError;

/// A command that is not answered by then is answered 503 (RULES.md: within 3 s); it may still happen, and is idempotent.
pub(super) const ANSWER_WITHIN: Duration = Duration::from_millis(2_500);
/// What a client is told to wait before it tries again.
const RETRY_AFTER_SECONDS: u64 = 2;

/// Why a command or question was not answered.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CallError {
    /// A rule of the queue refused it; nothing changed.
    #[error("{0}")]
    Rejected(Rejection),
    #[error("There is no such thing.")]
    NotFound,
    /// Postgres is away; try again. What was asked may have happened: every command is idempotent.
    #[error("Changes cannot be stored now. Try again in {retry_after_seconds} seconds.")]
    StorageUnavailable { retry_after_seconds: u64 },
    /// More is under way than the server takes at once, or the queue is restarting.
    #[error("The server is busy. Try again in {retry_after_seconds} seconds.")]
    Overloaded { retry_after_seconds: u64 },
    /// A fault of ours, or the record refused the change for its content.
    #[error("The change could not be made.")]
    Failed,
}

pub(super) const UNAVAILABLE: CallError = CallError::StorageUnavailable { retry_after_seconds: RETRY_AFTER_SECONDS };
pub(super) const OVERLOADED: CallError = CallError::Overloaded { retry_after_seconds: RETRY_AFTER_SECONDS };

impl From<StoreError> for CallError {
    fn from(error: StoreError) -> Self {
        if error.is_unavailable() {
            return UNAVAILABLE;
        }
        tracing::error!(%error, "a question to the store failed");
        CallError::Failed
    }
}

impl From<Rejection> for CallError {
    fn from(rejection: Rejection) -> Self {
        match rejection {
            Rejection::StorageUnavailable => UNAVAILABLE,
            Rejection::UnknownCall => CallError::NotFound,
            other => CallError::Rejected(other),
        }
    }
}
