//! Owns the words of the record: one entry is one change and is committed whole. How it is written lives in `store`,
//! when in `actors/persistence`.

use std::sync::Arc;

use serde_json::Value;

use super::agent::AgentSnapshot;
use super::call::CallSnapshot;
use super::clock::Timestamp;
use super::ids::{CallId, DepartmentId, LinkId, UserId};
use super::webhook::Told;

/// One change: the newest form of what it touched, and the facts that tell of it.
#[derive(Clone, Debug, Default)]
pub struct Entry {
    pub call: Option<Arc<CallSnapshot>>,
    pub agent: Option<Arc<AgentSnapshot>>,
    pub events: Vec<RecordEvent>,
    /// The join also makes the customer's row, unless it is there.
    pub new_customer: bool,
    /// The link this join takes a use of, when its uses are counted.
    pub used_link: Option<LinkId>,
    /// What webhooks are to be told of it; empty for companies without any.
    pub told: Vec<Told>,
}

/// A fact of the record: ids, times and reasons only. No names, contacts or typed text.
#[derive(Clone, Debug)]
pub struct RecordEvent {
    pub kind: &'static str,
    pub at: Timestamp,
    pub call_id: Option<CallId>,
    pub department_id: Option<DepartmentId>,
    pub user_id: Option<UserId>,
    /// More ids, times and reasons; `Null` when there are none.
    pub data: Value,
}
