//! Owns the rows of companies: making one, finding one by its slug, reading one.

use serde::Serialize;

use super::{Result, Store, StoreError, Transaction};
use crate::domain::call::words;
use crate::domain::clock::Timestamp;
use crate::domain::ids::TenantId;

words! {
    /// Voki's plans.
    Plan {
        Free = "free",
        Basic = "basic",
        Advanced = "advanced",
        Professional = "professional",
        Enterprise = "enterprise",
    }
}

impl Plan {
    /// Calls that may run at once; `None` is without limit.
    pub const fn concurrent_calls(self) -> Option<u32> {
        match self {
            Plan::Free => Some(1),
            Plan::Basic => Some(3),
            Plan::Advanced => Some(5),
            Plan::Professional => Some(10),
            Plan::Enterprise => None,
        }
    }
}

/// A company.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Tenant {
    pub id: TenantId,
    /// Never changes.
    pub slug: String,
    pub name: String,
    pub plan: Plan,
    /// Whose midnight begins the company's day.
    pub time_zone: chrono_tz::Tz,
    pub document: Option<String>,
    pub document_type: Option<String>,
    pub email: Option<String>,
    pub phone: Option<String>,
    pub logo_url: Option<String>,
    /// `#rrggbb`.
    pub primary_color: String,
    /// The plan's, unless agreed otherwise; `None` is without limit.
    pub max_concurrent_calls: Option<u32>,
    pub recording_enabled: bool,
    pub transcription_enabled: bool,
    pub mfa_required: bool,
    pub inserted_at: Timestamp,
    pub updated_at: Timestamp,
}

/// A tenant as its own staff see it.
pub type Company = Tenant;

/// What a new company is made of.
#[derive(Clone, Debug)]
pub struct NewTenant {
    pub id: TenantId,
    pub slug: String,
    pub name: String,
    pub plan: Plan,
    pub time_zone: chrono_tz::Tz,
}

/// Makes a company and its counters. A slug that is taken is a `Conflict` of `tenants_slug_key`.
pub async fn create(store: &Store, new: NewTenant, now: Timestamp) -> Result<Tenant> {
    let mut tx = store.tenant_tx(new.id).await?;
    sqlx::query!(
        "INSERT INTO tenants (id, slug, name, plan, time_zone, inserted_at, updated_at) VALUES ($1, $2, $3, $4, $5, $6, $6)",
        new.id.0,
        new.slug,
        new.name,
        new.plan.as_str(),
        new.time_zone.name(),
        now.to_utc()
    )
    .execute(&mut *tx)
    .await?;
    sqlx::query!("INSERT INTO tenant_counters (tenant_id) VALUES ($1)", new.id.0).execute(&mut *tx).await?;
    let tenant = read(&mut tx, new.id).await?;
    tx.commit().await?;
    tenant.ok_or(StoreError::Corrupt { table: "tenants", column: "id", row: new.id.to_string() })
}

/// The company with this slug.
pub async fn by_slug(store: &Store, slug: &str) -> Result<Option<Tenant>> {
    match id_of_slug(store, slug).await? {
        Some(tenant) => company(store, tenant).await,
        None => Ok(None),
    }
}

/// The id of the company with this slug, and nothing else of it.
pub async fn id_of_slug(store: &Store, slug: &str) -> Result<Option<TenantId>> {
    let id = sqlx::query_scalar!("SELECT vez_tenant_of_slug($1)", slug).fetch_one(store.app()).await?;
    Ok(id.map(TenantId))
}

/// The company itself.
pub async fn company(store: &Store, tenant: TenantId) -> Result<Option<Company>> {
    let mut tx = store.tenant_tx(tenant).await?;
    read(&mut tx, tenant).await
}

/// The company, in a transaction of its own tenant.
pub(super) async fn read(tx: &mut Transaction, tenant: TenantId) -> Result<Option<Tenant>> {
    let row = sqlx::query!(
        "SELECT id, slug, name, plan, time_zone, document, document_type, email, phone, logo_url, primary_color,
                max_concurrent_calls, recording_enabled, transcription_enabled, mfa_required, inserted_at, updated_at
         FROM tenants WHERE id = $1",
        tenant.0
    )
    .fetch_optional(&mut **tx)
    .await?;
    let Some(row) = row else { return Ok(None) };
    let corrupt = |column| StoreError::Corrupt { table: "tenants", column, row: tenant.to_string() };
    let plan = Plan::parse(&row.plan).ok_or_else(|| corrupt("plan"))?;
    Ok(Some(Tenant {
        id: TenantId(row.id),
        slug: row.slug,
        name: row.name,
        plan,
        time_zone: row.time_zone.parse().map_err(|_| corrupt("time_zone"))?,
        document: row.document,
        document_type: row.document_type,
        email: row.email,
        phone: row.phone,
        logo_url: row.logo_url,
        primary_color: row.primary_color,
        max_concurrent_calls: row.max_concurrent_calls.map(i32::unsigned_abs).or(plan.concurrent_calls()),
        recording_enabled: row.recording_enabled,
        transcription_enabled: row.transcription_enabled,
        mfa_required: row.mfa_required,
        inserted_at: row.inserted_at.into(),
        updated_at: row.updated_at.into(),
    }))
}
