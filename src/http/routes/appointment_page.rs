//! Owns what a customer does with his appointment by the link in his mail, without any login: look, confirm, cancel. Looking
//! changes nothing, because programs that check mails open every link in them; deciding takes a POST.
//!
//! Browsers, which ask for HTML, get a small page; everybody else gets JSON.

use axum::extract::State;
use axum::http::HeaderMap;
use axum::http::header::ACCEPT;
use axum::response::{IntoResponse as _, Response};
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::appointments::turn;
use crate::auth::appointment_tokens;
use crate::domain::appointment::AppointmentStatus;
use crate::domain::clock::Timestamp;
use crate::domain::ids::TenantId;
use crate::domain::locale::Locale;
use crate::http::envelope::Data;
use crate::http::error::ApiError;
use crate::http::input::{Ids, Params, Query, QueryInput};
use crate::http::pages;
use crate::http::state::AppState;
use crate::store::appointments::{self, Appointment};
use crate::store::tenants;

/// `/api/v1/appointment/:token*`.
pub fn routes() -> OpenApiRouter<AppState> {
    OpenApiRouter::new().routes(routes!(show)).routes(routes!(confirm)).routes(routes!(cancel))
}

/// An appointment as its customer sees it.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct AppointmentPage {
    pub title: String,
    pub status: AppointmentStatus,
    pub scheduled_at: Timestamp,
    pub duration_minutes: u32,
    /// The company's zone (IANA).
    pub time_zone: String,
    pub company_name: String,
    pub department_name: String,
    pub agent_name: String,
    pub customer_name: String,
    /// Where the call is joined.
    pub join_url: String,
    pub can_confirm: bool,
    pub can_cancel: bool,
    pub locale: Locale,
    #[serde(skip)]
    pub zone: chrono_tz::Tz,
}

impl AppointmentPage {
    async fn of(state: &AppState, tenant: TenantId, appointment: Appointment) -> Result<Self, ApiError> {
        let company = tenants::company(&state.store, tenant).await?.ok_or_else(no_such_appointment)?;
        Ok(Self {
            join_url: appointment.join_url(),
            can_confirm: appointment.status.can_become(AppointmentStatus::Confirmed),
            can_cancel: appointment.status.can_become(AppointmentStatus::Cancelled),
            title: appointment.title,
            status: appointment.status,
            scheduled_at: appointment.scheduled_at,
            duration_minutes: appointment.duration_minutes,
            time_zone: company.time_zone.name().to_owned(),
            company_name: company.name,
            department_name: appointment.department_name,
            agent_name: appointment.user_name,
            customer_name: appointment.customer_name,
            locale: appointment.locale,
            zone: company.time_zone,
        })
    }
}

/// Query of a decision.
#[derive(Debug)]
pub struct Decision {
    /// The time the customer was shown.
    scheduled_at: Option<Timestamp>,
}

impl QueryInput for Decision {
    fn read(params: &mut Params) -> Result<Self, ApiError> {
        Ok(Self { scheduled_at: params.time("scheduled_at")? })
    }
}

/// One answer for every token that leads nowhere.
fn no_such_appointment() -> ApiError {
    ApiError::NotFound("Invalid appointment link".into())
}

async fn answer(
    state: &AppState,
    tenant: TenantId,
    appointment: Appointment,
    token: &str,
    headers: &HeaderMap,
) -> Result<Response, ApiError> {
    let page = AppointmentPage::of(state, tenant, appointment).await?;
    let wants_html =
        headers.get(ACCEPT).and_then(|accept| accept.to_str().ok()).is_some_and(|a| a.contains("text/html"));
    if wants_html { pages::appointment::show(&page, token) } else { Ok(Data::new(page).into_response()) }
}

/// Look at an appointment
///
/// For its customer, by the token in the mail. Changes nothing. A client that accepts `text/html` gets a page with the
/// choice.
#[utoipa::path(get, path = "/api/v1/appointment/{token}", tag = "Public",
    responses((status = 200, body = Data<AppointmentPage>)))]
async fn show(
    State(state): State<AppState>,
    Ids(token): Ids<String>,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let (tenant, id) = appointment_tokens::read(&state.seal, &token).ok_or_else(no_such_appointment)?;
    let appointment = appointments::find(&state.store, tenant, id).await?.ok_or_else(no_such_appointment)?;
    answer(&state, tenant, appointment, &token, &headers).await
}

/// Confirm an appointment as its customer
///
/// Again is fine. One that is over is 422 (`appointment_closed`). With `scheduled_at`, one that was moved since the customer
/// looked is 422 (`appointment_moved`).
#[utoipa::path(post, path = "/api/v1/appointment/{token}/confirm", tag = "Public", params(Query<Decision>),
    responses((status = 200, body = Data<AppointmentPage>)))]
async fn confirm(
    State(state): State<AppState>,
    Ids(token): Ids<String>,
    Query(decision): Query<Decision>,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    decide(&state, &token, &decision, AppointmentStatus::Confirmed, &headers).await
}

/// Cancel an appointment as its customer
///
/// Its agent is told. Again is fine. One that is over is 422 (`appointment_closed`). With `scheduled_at`, one that was moved
/// since the customer looked is 422 (`appointment_moved`).
#[utoipa::path(post, path = "/api/v1/appointment/{token}/cancel", tag = "Public", params(Query<Decision>),
    responses((status = 200, body = Data<AppointmentPage>)))]
async fn cancel(
    State(state): State<AppState>,
    Ids(token): Ids<String>,
    Query(decision): Query<Decision>,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    decide(&state, &token, &decision, AppointmentStatus::Cancelled, &headers).await
}

async fn decide(
    state: &AppState,
    token: &str,
    decision: &Decision,
    next: AppointmentStatus,
    headers: &HeaderMap,
) -> Result<Response, ApiError> {
    let (tenant, id) = appointment_tokens::read(&state.seal, token).ok_or_else(no_such_appointment)?;
    let mut work = state.store.work(tenant, state.clock.now(), None).await?;
    // Locked before it is compared, so that it cannot move in between.
    let seen = appointments::lock(&mut work, id).await?.ok_or_else(no_such_appointment)?;
    // Seconds are all a page shows.
    if decision.scheduled_at.is_some_and(|shown| shown.to_string() != seen.scheduled_at.to_string()) {
        let detail = "The appointment was moved meanwhile; please look again";
        return Err(ApiError::Rejected { code: "appointment_moved", detail: detail.into() });
    }
    let appointment = turn(state, work, id, next, None, None).await?;
    answer(state, tenant, appointment, token, headers).await
}
