//! Owns the rows of members of staff. What they may do is decided where a route states its least role.

use serde::Serialize;

use super::connect::unwritten;
use super::{Page, Paged, Result, Sort, Store};
use crate::domain::clock::Timestamp;
use crate::domain::ids::{DepartmentId, TenantId, UserId};
use crate::domain::role::Role;

/// A member of staff. Serialises as Voki's user object and ours after it, never with the password's hash.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct User {
    pub id: UserId,
    pub name: String,
    pub email: String,
    pub role: Role,
    pub active: bool,
    pub avatar_url: Option<String>,
    pub mfa_enabled: bool,
    pub locale: String,
    pub inserted_at: Timestamp,
    pub updated_at: Timestamp,
    /// Unique in the tenant, from 1.
    pub number: i64,
    /// Calls this agent may have at once.
    pub capacity: u8,
    pub skills: Vec<String>,
    #[serde(skip)]
    pub password_hash: String,
}

/// What a new user is made of.
#[derive(Clone, Debug)]
pub struct NewUser {
    pub id: UserId,
    pub name: String,
    pub email: String,
    pub password_hash: String,
    pub role: Role,
    /// `None` is `pt-BR`.
    pub locale: Option<String>,
    /// From 1.
    pub capacity: u8,
    pub skills: Vec<String>,
}

/// Which users a list shows.
#[derive(Clone, Debug, Default)]
pub struct UserFilter {
    /// Part of a name or address.
    pub search: Option<String>,
    pub role: Option<Role>,
    pub active: Option<bool>,
}

/// What users may be sorted by.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum UserSort {
    #[default]
    Name,
    Email,
    Role,
    InsertedAt,
}

/// Makes a user. An address that is taken (whatever its case) is a `Conflict` of `users_email_key`.
pub async fn create(_store: &Store, _tenant: TenantId, _new: NewUser, _now: Timestamp) -> Result<User> {
    Err(unwritten())
}

/// The user with this address, whatever its case.
pub async fn by_email(_store: &Store, _tenant: TenantId, _email: &str) -> Result<Option<User>> {
    Err(unwritten())
}

/// The user with this id.
pub async fn find(_store: &Store, _tenant: TenantId, _user: UserId) -> Result<Option<User>> {
    Err(unwritten())
}

/// One page of users.
pub async fn list(
    _store: &Store,
    _tenant: TenantId,
    _filter: &UserFilter,
    _sort: Sort<UserSort>,
    _page: Page,
) -> Result<Paged<User>> {
    Err(unwritten())
}

/// The departments a user serves, by name.
pub async fn departments_of(_store: &Store, _tenant: TenantId, _user: UserId) -> Result<Vec<(DepartmentId, String)>> {
    Err(unwritten())
}

/// Lets a user in or out; out also revokes every login. `None` when there is no such user.
pub async fn set_active(
    _store: &Store,
    _tenant: TenantId,
    _user: UserId,
    _active: bool,
    _now: Timestamp,
) -> Result<Option<User>> {
    Err(unwritten())
}
