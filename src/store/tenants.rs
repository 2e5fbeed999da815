//! Owns the rows of companies: making one, finding one by its slug, reading one.

use serde::Serialize;

use super::connect::unwritten;
use super::{Result, Store};
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
pub async fn create(_store: &Store, _new: NewTenant, _now: Timestamp) -> Result<Tenant> {
    Err(unwritten())
}

/// The company with this slug.
pub async fn by_slug(_store: &Store, _slug: &str) -> Result<Option<Tenant>> {
    Err(unwritten())
}

/// The company itself.
pub async fn company(_store: &Store, _tenant: TenantId) -> Result<Option<Company>> {
    Err(unwritten())
}
