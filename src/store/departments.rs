//! Owns the rows of departments, their settings and who serves them.

use serde::Serialize;
use uuid::Uuid;

use super::connect::unwritten;
use super::users::User;
use super::{Page, Paged, Result, Sort, Store};
use crate::domain::clock::Timestamp;
use crate::domain::department::{RoutingStrategy, Settings};
use crate::domain::ids::{DepartmentId, TenantId, UserId};

/// A department: serialises as Voki's object and ours after it. Times are whole seconds.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Department {
    pub id: DepartmentId,
    pub name: String,
    /// A slug, unique in the tenant.
    pub identifier: String,
    pub description: Option<String>,
    pub active: bool,
    pub sector_id: Option<Uuid>,
    pub max_queue_size: Option<u32>,
    pub max_wait_time: Option<u32>,
    pub user_count: i64,
    pub inserted_at: Timestamp,
    pub updated_at: Timestamp,
    /// Unique in the tenant, from 1.
    pub number: i64,
    pub offer_timeout_seconds: u32,
    pub wrap_up_seconds: u32,
    pub reconnect_grace_seconds: u32,
    pub routing_strategy: RoutingStrategy,
}

impl Department {
    /// What its queue obeys.
    pub fn settings(&self) -> Settings {
        Settings {
            department_id: self.id,
            name: self.name.as_str().into(),
            active: self.active,
            max_queue_size: self.max_queue_size,
            max_wait_seconds: self.max_wait_time,
            offer_timeout_seconds: self.offer_timeout_seconds,
            wrap_up_seconds: self.wrap_up_seconds,
            reconnect_grace_seconds: self.reconnect_grace_seconds,
            routing_strategy: self.routing_strategy,
        }
    }
}

/// What a department is made of or changed to: what is `None` stays, or takes its default in a new one. In what may be
/// null, `Some(None)` makes it null.
#[derive(Clone, Debug, Default)]
pub struct DepartmentChange {
    /// A new department must have one.
    pub name: Option<String>,
    /// A new department without one gets a slug of its name.
    pub identifier: Option<String>,
    pub description: Option<Option<String>>,
    pub active: Option<bool>,
    pub sector_id: Option<Option<Uuid>>,
    pub max_queue_size: Option<Option<u32>>,
    pub max_wait_time: Option<Option<u32>>,
    pub offer_timeout_seconds: Option<u32>,
    pub wrap_up_seconds: Option<u32>,
    pub reconnect_grace_seconds: Option<u32>,
    pub routing_strategy: Option<RoutingStrategy>,
}

/// What departments may be sorted by.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DepartmentSort {
    #[default]
    Name,
    Identifier,
    InsertedAt,
}

/// What came of adding or removing a member.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Membership {
    Changed,
    /// It was so already.
    Unchanged,
    /// The department or the user is not there.
    NotFound,
}

/// One page of departments; `search` is part of a name.
pub async fn list(
    _store: &Store,
    _tenant: TenantId,
    _search: Option<&str>,
    _active: Option<bool>,
    _sort: Sort<DepartmentSort>,
    _page: Page,
) -> Result<Paged<Department>> {
    Err(unwritten())
}

/// The department with this id.
pub async fn find(_store: &Store, _tenant: TenantId, _department: DepartmentId) -> Result<Option<Department>> {
    Err(unwritten())
}

/// Makes a department. A given identifier that is taken is a `Conflict` of `departments_identifier_key`; a generated one
/// gets the department's number instead.
pub async fn create(
    _store: &Store,
    _tenant: TenantId,
    _id: DepartmentId,
    _new: DepartmentChange,
    _now: Timestamp,
) -> Result<Department> {
    Err(unwritten())
}

/// Changes what is given; `None` when there is no such department.
pub async fn update(
    _store: &Store,
    _tenant: TenantId,
    _department: DepartmentId,
    _change: DepartmentChange,
    _now: Timestamp,
) -> Result<Option<Department>> {
    Err(unwritten())
}

/// What the department's queue obeys.
pub async fn settings(_store: &Store, _tenant: TenantId, _department: DepartmentId) -> Result<Option<Settings>> {
    Err(unwritten())
}

/// One page of those who serve a department, by name; `None` when there is no such department.
pub async fn users(
    _store: &Store,
    _tenant: TenantId,
    _department: DepartmentId,
    _page: Page,
) -> Result<Option<Paged<User>>> {
    Err(unwritten())
}

/// Whether the user serves the department.
pub async fn serves(_store: &Store, _tenant: TenantId, _department: DepartmentId, _user: UserId) -> Result<bool> {
    Err(unwritten())
}

/// Lets a user serve a department.
pub async fn add_user(
    _store: &Store,
    _tenant: TenantId,
    _department: DepartmentId,
    _user: UserId,
    _now: Timestamp,
) -> Result<Membership> {
    Err(unwritten())
}

/// Ends a user's service of a department.
pub async fn remove_user(
    _store: &Store,
    _tenant: TenantId,
    _department: DepartmentId,
    _user: UserId,
) -> Result<Membership> {
    Err(unwritten())
}
