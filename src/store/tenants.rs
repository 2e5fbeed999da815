//! Owns the rows of companies: making one, finding one by its slug, reading one.

use serde::Serialize;
use utoipa::ToSchema;

use super::connect::tenant_by;
use super::{Result, Store, StoreError, Work};
use crate::domain::clock::Timestamp;
use crate::domain::ids::TenantId;
pub use crate::domain::plan::Plan;

/// A company.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
#[schema(as = Company)]
pub struct Tenant {
    pub id: TenantId,
    /// Never changes.
    pub slug: String,
    pub name: String,
    pub plan: Plan,
    /// Whose midnight begins the company's day.
    #[schema(value_type = String)]
    pub time_zone: chrono_tz::Tz,
    pub document: Option<String>,
    /// `cnpj` or `cpf`.
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

/// What a company is changed to: what is `None` stays. In what may be null, `Some(None)` makes it null.
#[derive(Clone, Debug, Default)]
pub struct TenantChange {
    pub name: Option<String>,
    pub time_zone: Option<chrono_tz::Tz>,
    pub document: Option<Option<String>>,
    pub document_type: Option<Option<String>>,
    pub email: Option<Option<String>>,
    pub phone: Option<Option<String>>,
    pub logo_url: Option<Option<String>>,
    /// `#rrggbb`.
    pub primary_color: Option<String>,
    pub recording_enabled: Option<bool>,
    pub transcription_enabled: Option<bool>,
    pub mfa_required: Option<bool>,
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
    tenant_by(sqlx::query_scalar!("SELECT vez_tenant_of_slug($1)", slug).fetch_one(store.app())).await
}

/// The company itself.
pub async fn company(store: &Store, tenant: TenantId) -> Result<Option<Company>> {
    let mut tx = store.tenant_tx(tenant).await?;
    read(&mut tx, tenant).await
}

/// The company, in a transaction of its own tenant.
pub(super) async fn read(tx: &mut sqlx::PgConnection, tenant: TenantId) -> Result<Option<Tenant>> {
    let row = sqlx::query!(
        "SELECT id, slug, name, plan, time_zone, document, document_type, email, phone, logo_url, primary_color,
                max_concurrent_calls, recording_enabled, transcription_enabled, mfa_required, inserted_at, updated_at
         FROM tenants WHERE id = $1",
        tenant.0
    )
    .fetch_optional(tx)
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
        max_concurrent_calls: bound(row.max_concurrent_calls, plan),
        recording_enabled: row.recording_enabled,
        transcription_enabled: row.transcription_enabled,
        mfa_required: row.mfa_required,
        inserted_at: row.inserted_at.into(),
        updated_at: row.updated_at.into(),
    }))
}

/// Changes what is given. Whether the plan includes it is asked before (`plans::check`).
pub async fn update(work: &mut Work, change: TenantChange) -> Result<Option<Tenant>> {
    let (tenant, now) = (work.tenant, work.now);
    sqlx::query!(
        "UPDATE tenants SET
             name = COALESCE($2, name),
             time_zone = COALESCE($3, time_zone),
             document = CASE WHEN $4 THEN $5 ELSE document END,
             document_type = CASE WHEN $6 THEN $7 ELSE document_type END,
             email = CASE WHEN $8 THEN $9 ELSE email END,
             phone = CASE WHEN $10 THEN $11 ELSE phone END,
             logo_url = CASE WHEN $12 THEN $13 ELSE logo_url END,
             primary_color = COALESCE($14, primary_color),
             recording_enabled = COALESCE($15, recording_enabled),
             transcription_enabled = COALESCE($16, transcription_enabled),
             mfa_required = COALESCE($17, mfa_required),
             updated_at = $18
         WHERE id = $1",
        tenant.0,
        change.name,
        change.time_zone.map(chrono_tz::Tz::name),
        change.document.is_some(),
        change.document.flatten(),
        change.document_type.is_some(),
        change.document_type.flatten(),
        change.email.is_some(),
        change.email.flatten(),
        change.phone.is_some(),
        change.phone.flatten(),
        change.logo_url.is_some(),
        change.logo_url.flatten(),
        change.primary_color,
        change.recording_enabled,
        change.transcription_enabled,
        change.mfa_required,
        now.to_utc()
    )
    .execute(work.tx())
    .await?;
    read(work.tx(), tenant).await
}

/// What a running company is ruled by that may change under it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    pub tenant: TenantId,
    pub time_zone: chrono_tz::Tz,
    /// `None` is without limit.
    pub max_concurrent_calls: Option<u32>,
}

/// The bounds of these companies, for whoever serves them all.
pub async fn bounds(store: &Store, tenants: &[TenantId]) -> Result<Vec<Bounds>> {
    let ids: Vec<uuid::Uuid> = tenants.iter().map(|tenant| tenant.0).collect();
    let rows = sqlx::query!("SELECT id, plan, time_zone, max_concurrent_calls FROM tenants WHERE id = ANY($1)", &ids)
        .fetch_all(store.system())
        .await?;
    rows.into_iter()
        .map(|row| {
            let corrupt = |column| StoreError::Corrupt { table: "tenants", column, row: row.id.to_string() };
            let plan = Plan::parse(&row.plan).ok_or_else(|| corrupt("plan"))?;
            Ok(Bounds {
                tenant: TenantId(row.id),
                time_zone: row.time_zone.parse().map_err(|_| corrupt("time_zone"))?,
                max_concurrent_calls: bound(row.max_concurrent_calls, plan),
            })
        })
        .collect()
}

/// The plan's, unless agreed otherwise.
fn bound(agreed: Option<i32>, plan: Plan) -> Option<u32> {
    agreed.map(i32::unsigned_abs).or(plan.limits().concurrent_calls)
}
