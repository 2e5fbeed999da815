//! Owns the tenant's feed: facts numbered without gaps, in the order of their commits. Numbers come from the tenant's
//! counter row inside the transaction that writes the facts, so whoever read up to n has seen everything before n.

use serde::Serialize;
use serde_json::Value;

use super::connect::unwritten;
use super::{Result, Store, Transaction};
use crate::domain::clock::Timestamp;
use crate::domain::ids::{CallId, DepartmentId, TenantId, UserId};
use crate::domain::record::RecordEvent;

/// Most facts one read of the feed returns.
pub const FEED_LIMIT_MAX: u32 = 1_000;

/// A fact as it was committed.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct StoredEvent {
    /// From 1, without gaps, per tenant.
    pub seq: i64,
    pub kind: String,
    pub at: Timestamp,
    pub call_id: Option<CallId>,
    pub department_id: Option<DepartmentId>,
    pub user_id: Option<UserId>,
    /// `Null` when there is none.
    pub data: Value,
}

/// Appends facts in the given order; the number of the first. The transaction must name `tenant` and should append
/// before it locks rows of calls, which is the order the record's writer locks in.
pub async fn append(_tx: &mut Transaction, _tenant: TenantId, _events: &[RecordEvent]) -> Result<i64> {
    Err(unwritten())
}

/// Every fact of a call, in order.
pub async fn of_call(_store: &Store, _tenant: TenantId, _call: CallId) -> Result<Vec<StoredEvent>> {
    Err(unwritten())
}

/// The facts after `seq`, in order, at most `limit`.
pub async fn after(_store: &Store, _tenant: TenantId, _seq: i64, _limit: u32) -> Result<Vec<StoredEvent>> {
    Err(unwritten())
}
