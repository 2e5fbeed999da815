//! Owns the rows of service providers, the companies whose people take a company's calls, and who belongs to which. A
//! provider decides nothing about calls: it is there for reports.

use chrono::{DateTime, Utc};
use serde::Serialize;
use sqlx::{Postgres, QueryBuilder};
use utoipa::ToSchema;
use uuid::Uuid;

use super::name_search::push_name_like;
use super::page::{SortKey, contains_pattern, push_page};
use super::users::{User, UserRow};
use super::{Membership, Page, Paged, Result, Sort, Store, Work, lists};
use crate::domain::clock::Timestamp;
use crate::domain::ids::{ProviderId, TenantId, UserId};
use crate::domain::words::words;

/// A service provider. Serialises as Voki's object.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct Provider {
    pub id: ProviderId,
    pub name: String,
    /// A CNPJ or CPF as it was given, with its punctuation.
    pub document: Option<String>,
    pub email: Option<String>,
    pub phone: Option<String>,
    pub active: bool,
    pub user_count: i64,
    pub inserted_at: Timestamp,
    pub updated_at: Timestamp,
}

/// What a provider is made of or changed to: what is `None` stays, or takes its default in a new one. In what may be null,
/// `Some(None)` makes it null.
#[derive(Clone, Debug, Default)]
pub struct ProviderChange {
    /// A new provider must have one.
    pub name: Option<String>,
    pub document: Option<Option<String>>,
    pub email: Option<Option<String>>,
    pub phone: Option<Option<String>>,
    pub active: Option<bool>,
}

words! {
    /// What providers may be sorted by.
    ProviderSort {
        Name = "name",
        Email = "email",
        InsertedAt = "inserted_at",
    }
}

/// A row of `service_providers` as it is read.
#[derive(sqlx::FromRow)]
struct ProviderRow {
    id: Uuid,
    name: String,
    document: Option<String>,
    email: Option<String>,
    phone: Option<String>,
    active: bool,
    user_count: i64,
    inserted_at: DateTime<Utc>,
    updated_at: DateTime<Utc>,
}

impl From<ProviderRow> for Provider {
    fn from(row: ProviderRow) -> Self {
        Self {
            id: ProviderId(row.id),
            name: row.name,
            document: row.document,
            email: row.email,
            phone: row.phone,
            active: row.active,
            user_count: row.user_count,
            inserted_at: row.inserted_at.into(),
            updated_at: row.updated_at.into(),
        }
    }
}

/// One page of providers; `search` is part of a name, document or address.
pub async fn list(
    store: &Store,
    tenant: TenantId,
    search: Option<&str>,
    active: Option<bool>,
    sort: Sort<ProviderSort>,
    page: Page,
) -> Result<Paged<Provider>> {
    let narrow = |query: &mut QueryBuilder<Postgres>| {
        query.push(" FROM service_providers p WHERE p.tenant_id = ").push_bind(tenant.0);
        if let Some(search) = search {
            let pattern = contains_pattern(search);
            query.push(" AND (");
            push_name_like(query, "p.name", search);
            query.push(" OR p.document ILIKE ").push_bind(pattern.clone());
            query.push(" OR p.email ILIKE ").push_bind(pattern).push(")");
        }
        if let Some(active) = active {
            query.push(" AND p.active = ").push_bind(active);
        }
    };
    let order = match sort.field {
        ProviderSort::Name => SortKey::Filled("lower(p.name) COLLATE vez_names"),
        ProviderSort::Email => SortKey::Nullable("lower(p.email)"),
        ProviderSort::InsertedAt => SortKey::Filled("p.inserted_at"),
    };
    let mut count = QueryBuilder::new("SELECT count(*)");
    narrow(&mut count);
    let mut query = QueryBuilder::new(
        "SELECT p.id, p.name, p.document, p.email, p.phone, p.active, p.inserted_at, p.updated_at, \
         (SELECT count(*) FROM service_provider_users m WHERE m.tenant_id = p.tenant_id \
         AND m.service_provider_id = p.id) AS user_count",
    );
    narrow(&mut query);
    push_page(&mut query, order, sort.order, "p.id", page);
    Ok(lists::read::<ProviderRow>(store, tenant, page, count, query).await?.map(Provider::from))
}

/// The provider with this id.
pub async fn find(store: &Store, tenant: TenantId, provider: ProviderId) -> Result<Option<Provider>> {
    let mut tx = store.tenant_tx(tenant).await?;
    read(&mut tx, tenant, provider).await
}

async fn read(tx: &mut sqlx::PgConnection, tenant: TenantId, provider: ProviderId) -> Result<Option<Provider>> {
    let row = sqlx::query_as!(
        ProviderRow,
        "SELECT p.id, p.name, p.document, p.email, p.phone, p.active, p.inserted_at, p.updated_at,
                (SELECT count(*) FROM service_provider_users m
                 WHERE m.tenant_id = p.tenant_id AND m.service_provider_id = p.id) AS \"user_count!\"
         FROM service_providers p WHERE p.tenant_id = $1 AND p.id = $2",
        tenant.0,
        provider.0
    )
    .fetch_optional(tx)
    .await?;
    Ok(row.map(Provider::from))
}

/// Makes a provider.
pub async fn create(work: &mut Work, id: ProviderId, new: ProviderChange) -> Result<Provider> {
    let (tenant, now) = (work.tenant, work.now);
    let row = sqlx::query_as!(
        ProviderRow,
        "INSERT INTO service_providers (tenant_id, id, name, document, email, phone, active, inserted_at, updated_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $8)
         RETURNING id, name, document, email, phone, active, inserted_at, updated_at, 0::bigint AS \"user_count!\"",
        tenant.0,
        id.0,
        new.name.unwrap_or_default(),
        new.document.flatten(),
        new.email.flatten(),
        new.phone.flatten(),
        new.active.unwrap_or(true),
        now.to_utc()
    )
    .fetch_one(work.tx())
    .await?;
    Ok(row.into())
}

/// Changes what is given; `None` when there is no such provider.
pub async fn update(work: &mut Work, provider: ProviderId, change: ProviderChange) -> Result<Option<Provider>> {
    let (tenant, now) = (work.tenant, work.now);
    sqlx::query!(
        "UPDATE service_providers SET
             name = COALESCE($3, name),
             document = CASE WHEN $4 THEN $5 ELSE document END,
             email = CASE WHEN $6 THEN $7 ELSE email END,
             phone = CASE WHEN $8 THEN $9 ELSE phone END,
             active = COALESCE($10, active),
             updated_at = $11
         WHERE tenant_id = $1 AND id = $2",
        tenant.0,
        provider.0,
        change.name,
        change.document.is_some(),
        change.document.flatten(),
        change.email.is_some(),
        change.email.flatten(),
        change.phone.is_some(),
        change.phone.flatten(),
        change.active,
        now.to_utc()
    )
    .execute(work.tx())
    .await?;
    read(work.tx(), tenant, provider).await
}

/// Deletes a provider and who belonged to it; the people stay. Whether there was one.
pub async fn remove(work: &mut Work, provider: ProviderId) -> Result<bool> {
    let tenant = work.tenant;
    let done = sqlx::query!("DELETE FROM service_providers WHERE tenant_id = $1 AND id = $2", tenant.0, provider.0)
        .execute(work.tx())
        .await?;
    Ok(done.rows_affected() > 0)
}

/// One page of those who belong to a provider, by name; `None` when there is no such provider.
pub async fn users(store: &Store, tenant: TenantId, provider: ProviderId, page: Page) -> Result<Option<Paged<User>>> {
    let mut tx = store.tenant_tx(tenant).await?;
    let Some(Provider { user_count: total_count, .. }) = read(&mut tx, tenant, provider).await? else {
        return Ok(None);
    };
    let rows = sqlx::query_as!(
        UserRow,
        "SELECT u.id, u.number, u.name, u.email, u.password_hash, u.role, u.active, u.avatar_url, u.mfa_enabled, u.locale,
                u.capacity, u.skills, u.inserted_at, u.updated_at
         FROM service_provider_users m JOIN users u ON u.tenant_id = m.tenant_id AND u.id = m.user_id
         WHERE m.tenant_id = $1 AND m.service_provider_id = $2 ORDER BY lower(u.name) COLLATE vez_names, u.id LIMIT $3 OFFSET $4",
        tenant.0,
        provider.0,
        page.limit(),
        page.offset()
    )
    .fetch_all(&mut *tx)
    .await?;
    let items = rows.into_iter().map(User::try_from).collect::<Result<_>>()?;
    Ok(Some(Paged { items, page, total_count }))
}

/// Lets a user belong to a provider.
pub async fn add_user(work: &mut Work, provider: ProviderId, user: UserId) -> Result<Membership> {
    let (tenant, now) = (work.tenant, work.now);
    if let Some(missing) = missing(work, provider, user).await? {
        return Ok(missing);
    }
    let done = sqlx::query!(
        "INSERT INTO service_provider_users (tenant_id, service_provider_id, user_id, inserted_at) VALUES ($1, $2, $3, $4)
         ON CONFLICT DO NOTHING",
        tenant.0,
        provider.0,
        user.0,
        now.to_utc()
    )
    .execute(work.tx())
    .await?;
    Ok(if done.rows_affected() > 0 { Membership::Changed } else { Membership::Unchanged })
}

/// Lets a user belong to a provider no longer.
pub async fn remove_user(work: &mut Work, provider: ProviderId, user: UserId) -> Result<Membership> {
    let tenant = work.tenant;
    if let Some(missing) = missing(work, provider, user).await? {
        return Ok(missing);
    }
    let done = sqlx::query!(
        "DELETE FROM service_provider_users WHERE tenant_id = $1 AND service_provider_id = $2 AND user_id = $3",
        tenant.0,
        provider.0,
        user.0
    )
    .execute(work.tx())
    .await?;
    Ok(if done.rows_affected() > 0 { Membership::Changed } else { Membership::Unchanged })
}

async fn missing(work: &mut Work, provider: ProviderId, user: UserId) -> Result<Option<Membership>> {
    let tenant = work.tenant;
    // The provider stays while the work lasts: it could be deleted between this look and what follows.
    let there = sqlx::query_scalar!(
        "SELECT EXISTS (SELECT FROM users WHERE tenant_id = $1 AND id = $3) AS \"user!\"
         FROM service_providers WHERE tenant_id = $1 AND id = $2 FOR KEY SHARE",
        tenant.0,
        provider.0,
        user.0
    );
    Ok(match there.fetch_optional(work.tx()).await? {
        None => Some(Membership::NotFound),
        Some(false) => Some(Membership::NoUser),
        Some(true) => None,
    })
}
