//! Owns the rows of members of staff. What they may do is decided where a route states its least role.

use chrono::{DateTime, Utc};
use serde::Serialize;
use sqlx::{PgConnection, Postgres, QueryBuilder};
use utoipa::ToSchema;
use uuid::Uuid;

use super::name_search::push_name_like;
use super::numbers::{self, Counter};
use super::page::{SortKey, contains_pattern, push_page};
use super::{Page, Paged, Result, Sort, Store, StoreError, Work, lists};
use crate::domain::clock::Timestamp;
use crate::domain::ids::{DepartmentId, TenantId, UserId};
use crate::domain::role::Role;
use crate::domain::words::words;

/// A member of staff. Serialises as Voki's user object and ours after it, never with the password's hash.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
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
    pub active: bool,
    pub avatar_url: Option<String>,
}

/// What a user is changed to: what is `None` stays. In what may be null, `Some(None)` makes it null.
#[derive(Clone, Default)]
pub struct UserChange {
    pub name: Option<String>,
    pub email: Option<String>,
    pub password_hash: Option<String>,
    pub role: Option<Role>,
    pub active: Option<bool>,
    pub locale: Option<String>,
    /// From 1.
    pub capacity: Option<u8>,
    pub skills: Option<Vec<String>>,
    pub avatar_url: Option<Option<String>>,
}

/// Which users a list shows.
#[derive(Clone, Debug, Default)]
pub struct UserFilter {
    /// Part of a name or address.
    pub search: Option<String>,
    pub role: Option<Role>,
    pub active: Option<bool>,
}

words! {
    /// What users may be sorted by.
    #[derive(Default)]
    UserSort {
        #[default]
        Name = "name",
        Email = "email",
        Role = "role",
        InsertedAt = "inserted_at",
    }
}

/// A row of `users` as it is read; [`User`] is what it says.
#[derive(sqlx::FromRow)]
pub(super) struct UserRow {
    pub id: Uuid,
    pub number: i64,
    pub name: String,
    pub email: String,
    pub password_hash: String,
    pub role: String,
    pub active: bool,
    pub avatar_url: Option<String>,
    pub mfa_enabled: bool,
    pub locale: String,
    pub capacity: i16,
    pub skills: Vec<String>,
    pub inserted_at: DateTime<Utc>,
    pub updated_at: DateTime<Utc>,
}

impl TryFrom<UserRow> for User {
    type Error = StoreError;

    fn try_from(row: UserRow) -> Result<Self> {
        let corrupt = |column| StoreError::Corrupt { table: "users", column, row: row.id.to_string() };
        Ok(Self {
            role: row.role.parse().map_err(|_| corrupt("role"))?,
            capacity: u8::try_from(row.capacity).map_err(|_| corrupt("capacity"))?,
            id: UserId(row.id),
            number: row.number,
            name: row.name,
            email: row.email,
            password_hash: row.password_hash,
            active: row.active,
            avatar_url: row.avatar_url,
            mfa_enabled: row.mfa_enabled,
            locale: row.locale,
            skills: row.skills,
            inserted_at: row.inserted_at.into(),
            updated_at: row.updated_at.into(),
        })
    }
}

/// Makes a user. An address that is taken (whatever its case) is a `Conflict` of `users_email_key`.
pub async fn create(work: &mut Work, new: NewUser) -> Result<User> {
    let (tenant, now) = (work.tenant, work.now);
    let number = numbers::take(work.tx(), tenant, Counter::User, 1).await?;
    let row = sqlx::query_as!(
        UserRow,
        "INSERT INTO users (tenant_id, id, number, name, email, password_hash, role, active, avatar_url, locale, capacity,
                            skills, inserted_at, updated_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, COALESCE($10, 'pt-BR'), $11, $12, $13, $13)
         RETURNING id, number, name, email, password_hash, role, active, avatar_url, mfa_enabled, locale, capacity, skills,
                   inserted_at, updated_at",
        tenant.0,
        new.id.0,
        number,
        new.name,
        new.email,
        new.password_hash,
        new.role.as_str(),
        new.active,
        new.avatar_url,
        new.locale,
        i16::from(new.capacity.max(1)),
        &new.skills,
        now.to_utc()
    )
    .fetch_one(work.tx())
    .await?;
    row.try_into()
}

/// The user with this address, whatever its case.
pub async fn by_email(store: &Store, tenant: TenantId, email: &str) -> Result<Option<User>> {
    let mut tx = store.tenant_tx(tenant).await?;
    read_by_email(&mut tx, tenant, email).await
}

/// The user with this address, in a transaction of his tenant.
pub(super) async fn read_by_email(tx: &mut PgConnection, tenant: TenantId, email: &str) -> Result<Option<User>> {
    let row = sqlx::query_as!(
        UserRow,
        "SELECT id, number, name, email, password_hash, role, active, avatar_url, mfa_enabled, locale, capacity, skills,
                inserted_at, updated_at
         FROM users WHERE tenant_id = $1 AND lookup_email = lower($2)",
        tenant.0,
        email
    )
    .fetch_optional(tx)
    .await?;
    row.map(User::try_from).transpose()
}

/// The user with this id.
pub async fn find(store: &Store, tenant: TenantId, user: UserId) -> Result<Option<User>> {
    let mut tx = store.tenant_tx(tenant).await?;
    read(&mut tx, tenant, user).await
}

/// The user with this id, in a transaction of his tenant.
pub(super) async fn read(tx: &mut PgConnection, tenant: TenantId, user: UserId) -> Result<Option<User>> {
    let row = sqlx::query_as!(
        UserRow,
        "SELECT id, number, name, email, password_hash, role, active, avatar_url, mfa_enabled, locale, capacity, skills,
                inserted_at, updated_at
         FROM users WHERE tenant_id = $1 AND id = $2",
        tenant.0,
        user.0
    )
    .fetch_optional(tx)
    .await?;
    row.map(User::try_from).transpose()
}

/// One page of users.
pub async fn list(
    store: &Store,
    tenant: TenantId,
    filter: &UserFilter,
    sort: Sort<UserSort>,
    page: Page,
) -> Result<Paged<User>> {
    let narrow = |query: &mut QueryBuilder<Postgres>| {
        query.push(" FROM users WHERE tenant_id = ").push_bind(tenant.0);
        if let Some(search) = &filter.search {
            let pattern = contains_pattern(search);
            query.push(" AND (");
            push_name_like(query, "name", search);
            query.push(" OR email ILIKE ").push_bind(pattern).push(")");
        }
        if let Some(role) = filter.role {
            query.push(" AND role = ").push_bind(role.as_str());
        }
        if let Some(active) = filter.active {
            query.push(" AND active = ").push_bind(active);
        }
    };
    let order = match sort.field {
        UserSort::Name => SortKey::Filled("lower(name) COLLATE vez_names"),
        UserSort::Email => SortKey::Filled("lookup_email"),
        UserSort::Role => SortKey::Filled("array_position(ARRAY['attendant', 'supervisor', 'manager', 'owner'], role)"),
        UserSort::InsertedAt => SortKey::Filled("inserted_at"),
    };
    let mut count = QueryBuilder::new("SELECT count(*)");
    narrow(&mut count);
    let mut query = QueryBuilder::new(
        "SELECT id, number, name, email, password_hash, role, active, avatar_url, mfa_enabled, locale, capacity, skills, \
         inserted_at, updated_at",
    );
    narrow(&mut query);
    push_page(&mut query, order, sort.order, "id", page);
    lists::read::<UserRow>(store, tenant, page, count, query).await?.try_map(User::try_from)
}

/// The departments a user serves, by name.
pub async fn departments_of(store: &Store, tenant: TenantId, user: UserId) -> Result<Vec<(DepartmentId, String)>> {
    let mut tx = store.tenant_tx(tenant).await?;
    let rows = sqlx::query!(
        "SELECT d.id, d.name FROM department_users m
         JOIN departments d ON d.tenant_id = m.tenant_id AND d.id = m.department_id
         WHERE m.tenant_id = $1 AND m.user_id = $2 ORDER BY lower(d.name) COLLATE vez_names, d.id",
        tenant.0,
        user.0
    )
    .fetch_all(&mut *tx)
    .await?;
    Ok(rows.into_iter().map(|row| (DepartmentId(row.id), row.name)).collect())
}

/// The user as he is, locked until the work is over.
pub async fn lock(work: &mut Work, user: UserId) -> Result<Option<User>> {
    let tenant = work.tenant;
    let row = sqlx::query_as!(
        UserRow,
        "SELECT id, number, name, email, password_hash, role, active, avatar_url, mfa_enabled, locale, capacity, skills,
                inserted_at, updated_at
         FROM users WHERE tenant_id = $1 AND id = $2 FOR NO KEY UPDATE",
        tenant.0,
        user.0
    )
    .fetch_optional(work.tx())
    .await?;
    row.map(User::try_from).transpose()
}

/// Whether somebody else is active whose role is at least `role`. Ask under the company's lock (`plans::lock`).
pub async fn others_hold(work: &mut Work, user: UserId, role: Role) -> Result<bool> {
    let roles: Vec<String> =
        Role::ALL.iter().filter(|other| **other >= role).map(|other| other.as_str().to_owned()).collect();
    let tenant = work.tenant;
    Ok(sqlx::query_scalar!(
        "SELECT EXISTS (SELECT FROM users WHERE tenant_id = $1 AND id <> $2 AND active AND role = ANY($3)) AS \"others!\"",
        tenant.0,
        user.0,
        &roles
    )
    .fetch_one(work.tx())
    .await?)
}

/// Changes what is given; `None` when there is no such user. An address that is taken is a `Conflict` of
/// `users_email_key`. It ends no login; whoever calls it does where that is due.
pub async fn update(work: &mut Work, user: UserId, change: UserChange) -> Result<Option<User>> {
    let (tenant, now) = (work.tenant, work.now);
    let row = sqlx::query_as!(
        UserRow,
        "UPDATE users SET
             name = COALESCE($3, name),
             email = COALESCE($4, email),
             password_hash = COALESCE($5, password_hash),
             role = COALESCE($6, role),
             active = COALESCE($7, active),
             locale = COALESCE($8, locale),
             capacity = COALESCE($9, capacity),
             skills = COALESCE($10, skills),
             avatar_url = CASE WHEN $11 THEN $12 ELSE avatar_url END,
             updated_at = $13
         WHERE tenant_id = $1 AND id = $2
         RETURNING id, number, name, email, password_hash, role, active, avatar_url, mfa_enabled, locale, capacity, skills,
                   inserted_at, updated_at",
        tenant.0,
        user.0,
        change.name,
        change.email,
        change.password_hash,
        change.role.map(Role::as_str),
        change.active,
        change.locale,
        change.capacity.map(|slots| i16::from(slots.max(1))),
        change.skills.as_deref(),
        change.avatar_url.is_some(),
        change.avatar_url.flatten(),
        now.to_utc()
    )
    .fetch_optional(work.tx())
    .await?;
    row.map(User::try_from).transpose()
}

/// The present roles of users of all companies who were changed since then: what a server that starts must believe rather
/// than their tokens.
pub async fn roles_changed_since(store: &Store, since: Timestamp) -> Result<Vec<(UserId, Role)>> {
    let rows = sqlx::query!("SELECT id, role FROM users WHERE updated_at >= $1", since.to_utc())
        .fetch_all(store.system())
        .await?;
    let corrupt = |id: Uuid| StoreError::Corrupt { table: "users", column: "role", row: id.to_string() };
    rows.into_iter().map(|row| Ok((UserId(row.id), row.role.parse().map_err(|_| corrupt(row.id))?))).collect()
}
