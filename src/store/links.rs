//! Owns the rows of access links. Using one up is part of the record (`record`), never done here.

use serde::Serialize;

use super::connect::unwritten;
use super::{Page, Paged, Result, Sort, Store};
use crate::domain::call::words;
use crate::domain::clock::Timestamp;
use crate::domain::ids::{CallId, DepartmentId, LinkId, TenantId};

words! {
    /// Voki's link statuses, derived from the row and the time.
    LinkStatus {
        Active = "active",
        Used = "used",
        Expired = "expired",
        Cancelled = "cancelled",
    }
}

/// An access link: serialises as Voki's object (less `url`, which only the route knows) and ours after it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Link {
    pub id: LinkId,
    pub token: String,
    pub status: LinkStatus,
    pub department_id: DepartmentId,
    pub department_name: String,
    pub customer_name: Option<String>,
    pub customer_email: Option<String>,
    pub customer_phone: Option<String>,
    pub expires_at: Option<Timestamp>,
    pub used_at: Option<Timestamp>,
    pub inserted_at: Timestamp,
    pub single_use: bool,
    /// 0 to 10; calls through this link get it.
    pub priority: u8,
    pub required_skills: Vec<String>,
    /// The call that used a single-use link up.
    pub call_id: Option<CallId>,
}

/// What a new link is made of.
#[derive(Clone, Debug)]
pub struct NewLink {
    pub id: LinkId,
    pub token: String,
    pub department_id: DepartmentId,
    pub customer_name: Option<String>,
    pub customer_email: Option<String>,
    pub customer_phone: Option<String>,
    pub expires_at: Option<Timestamp>,
    pub single_use: bool,
    pub priority: u8,
    pub required_skills: Vec<String>,
}

/// Which links a list shows.
#[derive(Clone, Debug, Default)]
pub struct LinkFilter {
    pub status: Option<LinkStatus>,
    pub department_id: Option<DepartmentId>,
}

/// What links may be sorted by.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LinkSort {
    #[default]
    InsertedAt,
    ExpiresAt,
    CustomerName,
}

/// One page of links, with their status at `now`.
pub async fn list(
    _store: &Store,
    _tenant: TenantId,
    _filter: &LinkFilter,
    _sort: Sort<LinkSort>,
    _page: Page,
    _now: Timestamp,
) -> Result<Paged<Link>> {
    Err(unwritten())
}

/// The link with this id.
pub async fn find(_store: &Store, _tenant: TenantId, _link: LinkId, _now: Timestamp) -> Result<Option<Link>> {
    Err(unwritten())
}

/// Makes a link; `None` when there is no such department. A token that is taken is a `Conflict` of
/// `access_links_token_key`.
pub async fn create(_store: &Store, _tenant: TenantId, _new: NewLink, _now: Timestamp) -> Result<Option<Link>> {
    Err(unwritten())
}

/// Cancels a link unless it was used up; the link as it is then, `None` when there is none.
pub async fn cancel(_store: &Store, _tenant: TenantId, _link: LinkId, _now: Timestamp) -> Result<Option<Link>> {
    Err(unwritten())
}

/// The link with this token, whoever's it is: the one way from a token to its tenant.
pub async fn by_token(_store: &Store, _token: &str, _now: Timestamp) -> Result<Option<(TenantId, Link)>> {
    Err(unwritten())
}
