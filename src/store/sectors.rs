//! Owns the rows of sectors, which group departments ("Sales", "Support"). The smallest aggregate: copy it for a new one.

use chrono::{DateTime, Utc};
use serde::Serialize;
use sqlx::{Postgres, QueryBuilder};
use utoipa::ToSchema;
use uuid::Uuid;

use super::name_search::push_name_like;
use super::page::{SortKey, push_page};
use super::{Page, Paged, Result, Sort, Store, StoreError, Work, lists};
use crate::domain::clock::Timestamp;
use crate::domain::ids::{SectorId, TenantId};
use crate::domain::words::words;

/// A sector: serialises as Voki's object.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct Sector {
    pub id: SectorId,
    pub name: String,
    pub description: Option<String>,
    pub active: bool,
    /// How many departments it groups.
    pub department_count: i64,
    pub inserted_at: Timestamp,
    pub updated_at: Timestamp,
}

/// What a sector is made of or changed to: what is `None` stays, or takes its default in a new one.
#[derive(Clone, Debug, Default)]
pub struct SectorChange {
    /// A new sector must have one.
    pub name: Option<String>,
    pub description: Option<Option<String>>,
    pub active: Option<bool>,
}

words! {
    /// What sectors may be sorted by.
    #[derive(Default)]
    SectorSort {
        #[default]
        Name = "name",
        InsertedAt = "inserted_at",
    }
}

#[derive(sqlx::FromRow)]
struct SectorRow {
    id: Uuid,
    name: String,
    description: Option<String>,
    active: bool,
    department_count: i64,
    inserted_at: DateTime<Utc>,
    updated_at: DateTime<Utc>,
}

impl From<SectorRow> for Sector {
    fn from(row: SectorRow) -> Self {
        Self {
            id: SectorId(row.id),
            name: row.name,
            description: row.description,
            active: row.active,
            department_count: row.department_count,
            inserted_at: row.inserted_at.into(),
            updated_at: row.updated_at.into(),
        }
    }
}

/// One page of sectors; `search` is part of a name.
pub async fn list(
    store: &Store,
    tenant: TenantId,
    search: Option<&str>,
    active: Option<bool>,
    sort: Sort<SectorSort>,
    page: Page,
) -> Result<Paged<Sector>> {
    let narrow = |query: &mut QueryBuilder<Postgres>| {
        query.push(" FROM sectors s WHERE s.tenant_id = ").push_bind(tenant.0);
        if let Some(search) = search {
            query.push(" AND ");
            push_name_like(query, "s.name", search);
        }
        if let Some(active) = active {
            query.push(" AND s.active = ").push_bind(active);
        }
    };
    let order = match sort.field {
        SectorSort::Name => SortKey::Filled("lower(s.name) COLLATE vez_names"),
        SectorSort::InsertedAt => SortKey::Filled("s.inserted_at"),
    };
    let mut count = QueryBuilder::new("SELECT count(*)");
    narrow(&mut count);
    let mut query = QueryBuilder::new(
        "SELECT s.id, s.name, s.description, s.active, s.inserted_at, s.updated_at, (SELECT count(*) FROM departments d \
         WHERE d.tenant_id = s.tenant_id AND d.sector_id = s.id) AS department_count",
    );
    narrow(&mut query);
    push_page(&mut query, order, sort.order, "s.id", page);
    Ok(lists::read::<SectorRow>(store, tenant, page, count, query).await?.map(Sector::from))
}

/// The sector with this id.
pub async fn find(store: &Store, tenant: TenantId, sector: SectorId) -> Result<Option<Sector>> {
    let mut tx = store.tenant_tx(tenant).await?;
    read(&mut tx, tenant, sector).await
}

async fn read(connection: &mut sqlx::PgConnection, tenant: TenantId, sector: SectorId) -> Result<Option<Sector>> {
    let row = sqlx::query_as!(
        SectorRow,
        "SELECT s.id, s.name, s.description, s.active, s.inserted_at, s.updated_at,
                (SELECT count(*) FROM departments d
                 WHERE d.tenant_id = s.tenant_id AND d.sector_id = s.id) AS \"department_count!\"
         FROM sectors s WHERE s.tenant_id = $1 AND s.id = $2",
        tenant.0,
        sector.0
    )
    .fetch_optional(connection)
    .await?;
    Ok(row.map(Sector::from))
}

/// Makes a sector.
pub async fn create(work: &mut Work, id: SectorId, new: SectorChange) -> Result<Sector> {
    let (tenant, now) = (work.tenant, work.now);
    sqlx::query!(
        "INSERT INTO sectors (tenant_id, id, name, description, active, inserted_at, updated_at)
         VALUES ($1, $2, $3, $4, $5, $6, $6)",
        tenant.0,
        id.0,
        new.name.unwrap_or_default(),
        new.description.flatten(),
        new.active.unwrap_or(true),
        now.to_utc()
    )
    .execute(work.tx())
    .await?;
    let sector = read(work.tx(), tenant, id).await?;
    sector.ok_or(StoreError::Corrupt { table: "sectors", column: "id", row: id.to_string() })
}

/// Changes what is given; `None` when there is no such sector.
pub async fn update(work: &mut Work, sector: SectorId, change: SectorChange) -> Result<Option<Sector>> {
    let (tenant, now) = (work.tenant, work.now);
    // What may become null needs a second parameter that says whether it was given at all.
    sqlx::query!(
        "UPDATE sectors SET name = COALESCE($3, name), description = CASE WHEN $4 THEN $5 ELSE description END,
             active = COALESCE($6, active), updated_at = $7
         WHERE tenant_id = $1 AND id = $2",
        tenant.0,
        sector.0,
        change.name,
        change.description.is_some(),
        change.description.flatten(),
        change.active,
        now.to_utc()
    )
    .execute(work.tx())
    .await?;
    read(work.tx(), tenant, sector).await
}

/// Removes a sector, whose departments then have none; whether there was one.
pub async fn remove(work: &mut Work, sector: SectorId) -> Result<bool> {
    let (tenant, now) = (work.tenant, work.now);
    sqlx::query!(
        "UPDATE departments SET sector_id = NULL, updated_at = $3 WHERE tenant_id = $1 AND sector_id = $2",
        tenant.0,
        sector.0,
        now.to_utc()
    )
    .execute(work.tx())
    .await?;
    let removed = sqlx::query!("DELETE FROM sectors WHERE tenant_id = $1 AND id = $2", tenant.0, sector.0)
        .execute(work.tx())
        .await?;
    Ok(removed.rows_affected() == 1)
}
