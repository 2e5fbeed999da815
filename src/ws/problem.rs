//! Owns the errors a client is told of: `{"reason": "snake_case_code", "detail": "a sentence"}`. No statement, id or text of
//! another tenant ever gets into one.

use std::borrow::Cow;

use serde::Serialize;

use crate::actors::handle::CallError;
use crate::store::StoreError;

/// How long a client is asked to wait when the database is away, in seconds; it is tried again about that often.
const RETRY_AFTER_SECONDS: u64 = 2;

/// Why a join or a command was refused.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Problem {
    pub reason: &'static str,
    pub detail: Cow<'static, str>,
    /// Seconds after which trying again makes sense.
    #[serde(rename = "retry_after", skip_serializing_if = "Option::is_none")]
    pub retry_after_seconds: Option<u64>,
}

impl Problem {
    /// A refusal in fixed words.
    pub const fn new(reason: &'static str, detail: &'static str) -> Self {
        Self { reason, detail: Cow::Borrowed(detail), retry_after_seconds: None }
    }

    /// Phoenix's own words for a topic that is none, or that this socket has not joined.
    pub const fn unmatched_topic() -> Self {
        Self::new("unmatched topic", "There is no such topic, or this socket has not joined it.")
    }

    /// A forbidden topic and an absent one answer alike.
    pub const fn unauthorized() -> Self {
        Self::new("unauthorized", "You may not join this topic.")
    }

    /// The topic knows no such event.
    pub const fn unknown_event() -> Self {
        Self::new("unknown_event", "This topic takes no such event.")
    }

    /// The frame could not be read.
    pub const fn malformed(detail: &'static str) -> Self {
        Self::new("malformed_frame", detail)
    }

    /// The payload is not what the event takes.
    pub fn invalid(detail: impl Into<Cow<'static, str>>) -> Self {
        Self { reason: "invalid_payload", detail: detail.into(), retry_after_seconds: None }
    }

    /// Too many messages, or too many of them unanswered.
    pub const fn rate_limited() -> Self {
        Self::new("rate_limited", "You are sending too fast. Wait a second.")
    }

    /// Only the two sides of a call may do this.
    pub const fn not_your_call() -> Self {
        Self::new("not_your_call", "Only the customer and the present agent of the call may do this.")
    }

    /// Postgres is away.
    pub fn storage_unavailable(retry_after_seconds: u64) -> Self {
        Self {
            retry_after_seconds: Some(retry_after_seconds),
            ..Self::new("storage_unavailable", "Changes cannot be stored now. Try again in a few seconds.")
        }
    }

    /// A fault of the server; the log says which.
    pub const fn failed() -> Self {
        Self::new("internal_error", "The server failed. Try again.")
    }

    /// The JSON of the response.
    pub fn to_json(&self) -> String {
        // A struct of strings and a number always serialises.
        serde_json::to_string(self).unwrap_or_else(|_| String::from("{}"))
    }
}

impl From<CallError> for Problem {
    fn from(error: CallError) -> Self {
        match error {
            CallError::Rejected(rejection) => {
                Self { reason: rejection.code(), detail: Cow::Owned(rejection.to_string()), retry_after_seconds: None }
            }
            CallError::NotFound => Self::new("not_found", "There is no such thing here."),
            CallError::StorageUnavailable { retry_after_seconds } => Self::storage_unavailable(retry_after_seconds),
            CallError::Overloaded { retry_after_seconds } => Self {
                retry_after_seconds: Some(retry_after_seconds),
                ..Self::new("overloaded", "The server has too much to do. Try again in a few seconds.")
            },
            CallError::Failed => Self::failed(),
        }
    }
}

impl From<StoreError> for Problem {
    fn from(error: StoreError) -> Self {
        if error.is_unavailable() {
            return Self::storage_unavailable(RETRY_AFTER_SECONDS);
        }
        tracing::error!(%error, "a socket's statement failed");
        Self::failed()
    }
}

impl From<serde_json::Error> for Problem {
    fn from(error: serde_json::Error) -> Self {
        tracing::error!(%error, "an answer could not be serialised");
        Self::failed()
    }
}
