//! Owns reading calls, and the columns and rows of a call that the core does not own: rating, notes, chat. The core's
//! columns are written by `record` alone.

use super::connect::unwritten;
use super::{Page, Paged, Result, Sort, Store};
use crate::domain::call::{CallView, Phase, Status, words};
use crate::domain::clock::Timestamp;
use crate::domain::ids::{CallId, DepartmentId, LinkId, TenantId, UserId};

/// How long after its end a call may be rated and joined again, in seconds (RULES.md: 24 h).
pub const OPEN_AFTER_END_SECONDS: u64 = 24 * 60 * 60;

/// Which calls a list shows; what is `None` does not narrow it.
#[derive(Clone, Debug, Default)]
pub struct CallFilter {
    pub status: Option<Status>,
    pub phase: Option<Phase>,
    pub department_id: Option<DepartmentId>,
    /// Only calls of these departments: what an attendant may see. An empty list shows nothing.
    pub department_ids: Option<Vec<DepartmentId>>,
    pub user_id: Option<UserId>,
    /// Joined at or after.
    pub date_from: Option<Timestamp>,
    /// Joined before.
    pub date_to: Option<Timestamp>,
    /// Part of the customer's name or address.
    pub search: Option<String>,
}

/// What calls may be sorted by.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CallSort {
    #[default]
    InsertedAt,
    StartedAt,
    CompletedAt,
    CustomerName,
    Status,
}

/// What came of rating a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Rated {
    Done,
    /// It was rated before, so.
    Already {
        rating: i16,
        comment: Option<String>,
    },
    NotEnded,
    /// It ended too long ago.
    Closed,
    NotFound,
}

words! {
    /// Who wrote a chat message.
    Sender {
        Customer = "customer",
        Agent = "agent",
    }
}

/// A chat message of a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    pub from: Sender,
    pub text: String,
    pub at: Timestamp,
}

/// The call as `GET /calls/:id` shows it.
pub async fn find(_store: &Store, _tenant: TenantId, _call: CallId) -> Result<Option<CallView>> {
    Err(unwritten())
}

/// One page of calls.
pub async fn list(
    _store: &Store,
    _tenant: TenantId,
    _filter: &CallFilter,
    _sort: Sort<CallSort>,
    _page: Page,
) -> Result<Paged<CallView>> {
    Err(unwritten())
}

/// The tenant of a call, and nothing else of it.
pub async fn tenant_of(_store: &Store, _call: CallId) -> Result<Option<TenantId>> {
    Err(unwritten())
}

/// The department of a call.
pub async fn department_of(_store: &Store, _tenant: TenantId, _call: CallId) -> Result<Option<DepartmentId>> {
    Err(unwritten())
}

/// The call that was joined through this link with this key, while it is open or ended less than 24 h before `now`.
pub async fn by_join_key(
    _store: &Store,
    _tenant: TenantId,
    _link: LinkId,
    _join_key_hash: &str,
    _now: Timestamp,
) -> Result<Option<CallId>> {
    Err(unwritten())
}

/// The call that used this single-use link up, while it is open or ended less than 24 h before `now`.
pub async fn by_single_use_link(
    _store: &Store,
    _tenant: TenantId,
    _link: LinkId,
    _now: Timestamp,
) -> Result<Option<CallId>> {
    Err(unwritten())
}

/// Rates an ended call once, and tells of it in the tenant's feed.
pub async fn rate(
    _store: &Store,
    _tenant: TenantId,
    _call: CallId,
    _rating: i16,
    _comment: Option<&str>,
    _verified: bool,
    _now: Timestamp,
) -> Result<Rated> {
    Err(unwritten())
}

/// Keeps a chat message; false when there is no such call.
pub async fn add_message(
    _store: &Store,
    _tenant: TenantId,
    _call: CallId,
    _from: Sender,
    _text: &str,
    _now: Timestamp,
) -> Result<bool> {
    Err(unwritten())
}

/// The chat of a call, oldest first, at most `limit`.
pub async fn messages(_store: &Store, _tenant: TenantId, _call: CallId, _limit: u32) -> Result<Vec<Message>> {
    Err(unwritten())
}

/// Sets the agent's notes of a call; false when there is no such call.
pub async fn set_notes(_store: &Store, _tenant: TenantId, _call: CallId, _notes: &str) -> Result<bool> {
    Err(unwritten())
}
