//! Owns the company on the wire, as its own managers see and change it. Its plan is the operator's, and shown in `billing`.

use axum::extract::State;
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::domain::plan::PlanLimit;
use crate::domain::words::words;
use crate::http::caller::Manager;
use crate::http::envelope::Data;
use crate::http::error::ApiError;
use crate::http::input::{Body, Fields, Input, NAME_CHARS_MAX, PHONE_CHARS_MAX, WORD_CHARS_MAX, described_bodies};
use crate::http::state::AppState;
use crate::store::plans;
use crate::store::tenants::{self, Company, TenantChange};

/// `/api/v1/company`.
pub fn routes() -> OpenApiRouter<AppState> {
    OpenApiRouter::new().routes(routes!(show, update))
}

words! {
    /// What kind of number a company's document is.
    DocumentType {
        Cnpj = "cnpj",
        Cpf = "cpf",
    }
}

/// Voki's object, and the time zone.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct CompanyObject {
    #[serde(flatten)]
    pub company: Company,
    /// Always null: payments are not taken here.
    pub stripe_customer_id: Option<String>,
    /// Always null: payments are not taken here.
    pub stripe_subscription_id: Option<String>,
}

impl From<Company> for CompanyObject {
    fn from(company: Company) -> Self {
        Self { company, stripe_customer_id: None, stripe_subscription_id: None }
    }
}

/// Body of `PUT /company`.
#[derive(Debug)]
pub struct UpdateCompany(TenantChange);

impl Input for UpdateCompany {
    const WRAPPER: Option<&'static str> = Some("company");

    fn read(fields: &mut Fields) -> Self {
        let document_type = fields.word::<DocumentType>("document_type");
        Self(TenantChange {
            name: fields.patch_required_text("name", NAME_CHARS_MAX),
            time_zone: fields.time_zone("time_zone"),
            document: fields.patch_text("document", WORD_CHARS_MAX),
            document_type: document_type.map(|kind| Some(kind.as_str().to_owned())),
            email: fields.patch_email("email"),
            phone: fields.patch_text("phone", PHONE_CHARS_MAX),
            logo_url: fields.patch_https_url("logo_url"),
            primary_color: fields.color("primary_color"),
            recording_enabled: fields.boolean("recording_enabled"),
            transcription_enabled: fields.boolean("transcription_enabled"),
            mfa_required: fields.boolean("mfa_required"),
        })
    }
}

described_bodies!(UpdateCompany);

/// Show the company
///
/// `max_concurrent_calls` is null on a plan without that limit.
#[utoipa::path(get, path = "/api/v1/company", tag = "Company", security(("staff" = ["manager"])),
    responses((status = 200, body = Data<CompanyObject>)))]
async fn show(State(state): State<AppState>, staff: Manager) -> Result<Data<CompanyObject>, ApiError> {
    let company = tenants::company(&state.store, staff.tenant).await?;
    company.map(|company| Data::new(company.into())).ok_or_else(ApiError::not_found)
}

/// Change the company
///
/// What is absent stays as it is. The slug never changes; plan and `max_concurrent_calls` are the operator's. Recording and
/// transcription can be switched on only where the plan includes them (403). In a new `time_zone` the figures of the day count
/// from that zone's next midnight. `mfa_required` makes everybody use a second factor.
#[utoipa::path(put, path = "/api/v1/company", tag = "Company", security(("staff" = ["manager"])),
    request_body = UpdateCompany, responses((status = 200, body = Data<CompanyObject>)))]
async fn update(
    State(state): State<AppState>,
    staff: Manager,
    Body(UpdateCompany(change)): Body<UpdateCompany>,
) -> Result<Data<CompanyObject>, ApiError> {
    let mut work = state.work(&staff).await?;
    for (wanted, limit) in
        [(change.recording_enabled, PlanLimit::Recording), (change.transcription_enabled, PlanLimit::Transcription)]
    {
        if wanted == Some(true) {
            plans::check(&mut work, limit).await??;
        }
    }
    let moves = change.time_zone.is_some();
    let company = tenants::update(&mut work, change).await?.ok_or_else(ApiError::not_found)?;
    work.commit().await?;
    if moves {
        state.store.bells().time_zones.ring();
    }
    state.queues.company_changed(staff.tenant).await?;
    Ok(Data::new(company.into()))
}
