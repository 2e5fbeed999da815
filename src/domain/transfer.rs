//! Owns what is remembered of the transfer of a call: where it came from and for whom it is kept a while. Who may
//! transfer what lives in `queue`.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::clock::Timestamp;
use super::ids::{DepartmentId, UserId};

/// Where a call shall go on: a department, and perhaps one agent of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Destination {
    pub department_id: DepartmentId,
    pub user_id: Option<UserId>,
}

/// The last transfer of a call, as it is stored with it. Times are microseconds since 1970, which JSON keeps exactly.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Transfer {
    /// How often the call was transferred so far.
    pub count: u32,
    pub at_micros: i64,
    pub by: UserId,
    pub from_department_id: DepartmentId,
    /// The agent who had it.
    pub from_user_id: Option<UserId>,
    /// The agent it is meant for.
    pub to_user_id: Option<UserId>,
    /// Until then nobody else is offered the call; `None` once it is open to all.
    pub kept_until_micros: Option<i64>,
    /// As typed by whoever transferred it; it lives in the call's row, which can be erased, and in no event.
    pub reason: Option<Arc<str>>,
}

impl Transfer {
    /// When it was made.
    pub fn at(&self) -> Timestamp {
        Timestamp::from_micros(self.at_micros)
    }

    /// The agent the call is kept for, and until when.
    pub fn kept_for(&self) -> Option<(UserId, Timestamp)> {
        Some((self.to_user_id?, Timestamp::from_micros(self.kept_until_micros?)))
    }
}

/// The last transfer as the API shows it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct TransferView {
    /// How often the call was transferred so far.
    pub count: u32,
    pub at: Timestamp,
    pub by: UserId,
    pub from_department_id: DepartmentId,
    /// The agent who had it.
    pub from_user_id: Option<UserId>,
    /// The agent it was meant for.
    pub to_user_id: Option<UserId>,
    #[schema(value_type = Option<String>)]
    pub reason: Option<Arc<str>>,
}

impl From<&Transfer> for TransferView {
    fn from(transfer: &Transfer) -> Self {
        Self {
            count: transfer.count,
            at: transfer.at(),
            by: transfer.by,
            from_department_id: transfer.from_department_id,
            from_user_id: transfer.from_user_id,
            to_user_id: transfer.to_user_id,
            reason: transfer.reason.clone(),
        }
    }
}
