//! Owns a user's notices.

use serde::Serialize;
use uuid::Uuid;

use super::connect::unwritten;
use super::{Result, Store};
use crate::domain::clock::Timestamp;
use crate::domain::ids::{TenantId, UserId};

/// Most unread notices that are ever shown at once.
pub const UNREAD_LIMIT: u32 = 100;

/// A notice, as `new_notification` pushes it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Notification {
    pub id: Uuid,
    #[serde(rename = "type")]
    pub kind: String,
    pub title: String,
    pub body: String,
    pub inserted_at: Timestamp,
}

/// The newest unread notices of a user, newest first.
pub async fn unread(_store: &Store, _tenant: TenantId, _user: UserId) -> Result<Vec<Notification>> {
    Err(unwritten())
}

/// Keeps a notice for a user; false when there is no such user.
pub async fn create(_store: &Store, _tenant: TenantId, _user: UserId, _new: &Notification) -> Result<bool> {
    Err(unwritten())
}

/// Marks a notice as read; false when there is none.
pub async fn mark_read(_store: &Store, _tenant: TenantId, _user: UserId, _id: Uuid, _now: Timestamp) -> Result<bool> {
    Err(unwritten())
}
