//! Owns what a company is told of its plan. It is read-only: the operator sets the plan by the command line.

use axum::extract::State;
use chrono::Datelike as _;
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::domain::clock::Timestamp;
use crate::domain::plan::Plan;
use crate::http::caller::Manager;
use crate::http::envelope::Data;
use crate::http::error::ApiError;
use crate::http::input::DayOrTime;
use crate::http::state::AppState;
use crate::store::{plans, tenants};

/// `/api/v1/billing/plan`.
pub fn routes() -> OpenApiRouter<AppState> {
    OpenApiRouter::new().routes(routes!(show_plan))
}

/// What the company's plan includes and what is used of it. A limit that is null is none.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct PlanObject {
    pub plan: Plan,
    /// Always `active`: payments are not taken here.
    #[schema(value_type = String)]
    pub status: &'static str,
    pub max_concurrent_calls: Option<u32>,
    pub max_users: Option<u32>,
    pub max_departments: Option<u32>,
    pub recording_enabled: bool,
    pub transcription_enabled: bool,
    /// The full analytics; the basic ones are in every plan.
    pub analytics_enabled: bool,
    pub webhooks_enabled: bool,
    /// The calendar month, in the company's time zone.
    pub current_period_start: Timestamp,
    pub current_period_end: Timestamp,
    pub usage: PlanUsage,
}

/// What is used of a plan.
#[derive(Clone, Copy, Debug, Serialize, ToSchema)]
pub struct PlanUsage {
    pub active_users: i64,
    pub active_departments: i64,
    /// Calls that joined in the current period.
    pub calls_this_month: i64,
    /// Of 1,000,000 bytes each, rounded up.
    pub recording_storage_mb: i64,
}

/// Show the plan
///
/// What it includes, and what is used of it.
#[utoipa::path(get, path = "/api/v1/billing/plan", tag = "Company", security(("staff" = ["manager"])),
    responses((status = 200, body = Data<PlanObject>)))]
async fn show_plan(State(state): State<AppState>, staff: Manager) -> Result<Data<PlanObject>, ApiError> {
    let company = tenants::company(&state.store, staff.tenant).await?.ok_or_else(ApiError::not_found)?;
    let (current_period_start, current_period_end) = month(state.clock.now(), company.time_zone);
    let usage = plans::usage(&state.store, staff.tenant, current_period_start).await?;
    let limits = company.plan.limits();
    Ok(Data::new(PlanObject {
        plan: company.plan,
        status: "active",
        max_concurrent_calls: company.max_concurrent_calls,
        max_users: limits.users,
        max_departments: limits.departments,
        recording_enabled: limits.recording,
        transcription_enabled: limits.transcription,
        analytics_enabled: limits.analytics,
        webhooks_enabled: limits.webhooks,
        current_period_start,
        current_period_end,
        usage: PlanUsage {
            active_users: usage.active_users,
            active_departments: usage.active_departments,
            calls_this_month: usage.calls_this_month,
            recording_storage_mb: (usage.recording_bytes + MEGABYTE - 1) / MEGABYTE,
        },
    }))
}

/// Bytes that count as one of `recording_storage_mb`.
const MEGABYTE: i64 = 1_000_000;

/// The first moment of the calendar month of `now` in `zone`, and that of the next.
pub fn month(now: Timestamp, zone: chrono_tz::Tz) -> (Timestamp, Timestamp) {
    let today = now.to_utc().with_timezone(&zone).date_naive();
    let first = today.with_day(1).unwrap_or(today);
    let next = first.checked_add_months(chrono::Months::new(1)).unwrap_or(first);
    (DayOrTime::Day(first).start(zone), DayOrTime::Day(next).start(zone))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;

    #[test]
    fn a_month_is_the_calendars_of_the_companys_zone() {
        let at = |text: &str| Timestamp::from(chrono::DateTime::parse_from_rfc3339(text).unwrap().to_utc());
        let zone = chrono_tz::America::Sao_Paulo;
        // Still January there.
        assert_eq!(month(at("2026-02-01T02:59:59Z"), zone), (at("2026-01-01T03:00:00Z"), at("2026-02-01T03:00:00Z")));
        assert_eq!(month(at("2026-12-31T12:00:00Z"), zone), (at("2026-12-01T03:00:00Z"), at("2027-01-01T03:00:00Z")));
    }
}
