//! Owns the analytics on the wire: sums of whole days as figures. What each figure means is for `domain::measures`; here stands
//! only how it is written: rates in percent to one decimal, means in whole seconds, nothing as null.

use axum::extract::State;
use chrono::NaiveDate;
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::domain::ids::{DepartmentId, UserId};
use crate::domain::measures::{AgentTime, Answers, Figures, percent, tenths, whole};
use crate::domain::plan::{PlanExceeded, PlanLimit};
use crate::http::caller::{Manager, Staff};
use crate::http::envelope::Data;
use crate::http::error::{ApiError, FieldErrors};
use crate::http::input::{DateRange, Params, Query, QueryInput};
use crate::http::state::AppState;
use crate::reports::analytics::{self, AgentReport, Customers, Days, Waits};
use crate::store::Transaction;
use crate::store::recount::Recounted;
use crate::store::tenants;

/// Days before its end at which a range begins when nobody says otherwise (Voki: 30, and 7 for the hours).
pub const DAYS: u64 = 30;
const DAYS_OF_HOURS: u64 = 7;
/// Longest range: ten years, so that an answer by days stays below a megabyte.
const DAYS_MAX: i64 = 3_660;
/// When figures that are being counted anew may be asked for again, in seconds.
const RECOUNTED_WITHIN_SECONDS: u64 = 5;

/// `/api/v1/analytics/*`.
pub fn routes() -> OpenApiRouter<AppState> {
    OpenApiRouter::new()
        .routes(routes!(overview))
        .routes(routes!(hourly))
        .routes(routes!(agents))
        .routes(routes!(trends))
        .routes(routes!(refresh_views))
}

/// Which days, and perhaps which department.
#[derive(Debug)]
pub struct AnalyticsRange {
    range: DateRange,
    department_id: Option<DepartmentId>,
}

impl QueryInput for AnalyticsRange {
    fn read(params: &mut Params) -> Result<Self, ApiError> {
        let (range, department_id) = (params.date_range(), params.id("department_id"));
        Ok(Self { range: range?, department_id: department_id? })
    }
}

/// How long the answered waited, in whole seconds; the least wait that so many percent of them did not exceed.
#[derive(Debug, Serialize, ToSchema)]
pub struct WaitPercentiles {
    pub p50: Option<i64>,
    pub p90: Option<i64>,
    pub p95: Option<i64>,
    pub p99: Option<i64>,
}

impl From<&Waits> for WaitPercentiles {
    fn from(waits: &Waits) -> Self {
        let Waits { p50_seconds, p90_seconds, p95_seconds, p99_seconds, .. } = *waits;
        Self { p50: p50_seconds, p90: p90_seconds, p95: p95_seconds, p99: p99_seconds }
    }
}

/// The figures of a range of days.
#[derive(Debug, Serialize, ToSchema)]
pub struct Overview {
    /// Ended calls.
    pub total_calls: u64,
    pub completed_calls: u64,
    pub missed_calls: u64,
    pub cancelled_calls: u64,
    /// Mean talk time of the calls that were started and ended, in whole seconds.
    pub avg_duration: Option<u64>,
    /// Average speed of answer: mean wait of the answered, in whole seconds.
    pub avg_wait_time: Option<u64>,
    /// 1 to 5, to one decimal.
    pub avg_rating: Option<f64>,
    /// Customers of the company at the end of the range, whatever the department.
    pub total_customers: i64,
    /// Of these, those who became known in the range.
    pub new_customers: i64,
    /// Completed over ended calls, in percent.
    pub completion_rate: Option<f64>,
    /// Ratings of 4 and 5 over all ratings, in percent.
    pub satisfaction_rate: Option<f64>,
    /// Calls that were connected to an agent, those included that still run.
    pub answered_calls: u64,
    /// Calls whose customers gave up unanswered.
    pub abandoned_calls: u64,
    /// Of these, within 5 seconds.
    pub short_abandoned_calls: u64,
    /// Answered within the department's `service_level_seconds`, over answered plus abandoned without the short ones, in percent.
    pub service_level: Option<f64>,
    /// Abandoned over answered plus abandoned, both without the short ones, in percent.
    pub abandonment_rate: Option<f64>,
    /// The short ones over answered plus abandoned, in percent.
    pub short_abandonment_rate: Option<f64>,
    /// Mean of talk and wrap-up, in whole seconds.
    pub avg_handle_time: Option<u64>,
    /// Mean wrap-up, as it really was, in whole seconds.
    pub avg_wrap_up_time: Option<u64>,
    /// Talk and wrap-up of all agents over the time they were available times the calls they may have at once, in percent. Null
    /// for a single department, as an agent's time is not divided among his departments.
    pub occupancy: Option<f64>,
    pub wait_percentiles: WaitPercentiles,
    /// In whole seconds, of the answered.
    pub longest_wait: Option<i64>,
    /// Offers that ran out, in the hours in which they did.
    pub offers_missed: u64,
    pub offers_declined: u64,
    /// How often calls were given on to a department or an agent.
    pub transfers: u64,
    /// Of the answered who were told a wait that nine of ten do not exceed: how many did not, in percent. 90 is right. Who was
    /// told that an agent is free (0 seconds) does not count.
    pub wait_estimate_coverage: Option<f64>,
    #[schema(value_type = String, format = Date)]
    pub date_from: NaiveDate,
    #[schema(value_type = String, format = Date)]
    pub date_to: NaiveDate,
    /// The company's, by whose days and hours is counted.
    pub time_zone: String,
}

/// The figures of one hour of the day, over all days of the range.
#[derive(Debug, Serialize, ToSchema)]
pub struct HourFigures {
    /// 0 to 23, on the company's clocks.
    pub hour: i32,
    #[serde(flatten)]
    pub counts: Counts,
}

/// The figures of one day.
#[derive(Debug, Serialize, ToSchema)]
pub struct DayFigures {
    #[schema(value_type = String, format = Date)]
    pub date: NaiveDate,
    #[serde(flatten)]
    pub counts: Counts,
}

/// What hours and days tell alike; the names mean what they mean in the overview.
#[derive(Debug, Serialize, ToSchema)]
pub struct Counts {
    pub total: u64,
    pub completed: u64,
    pub missed: u64,
    pub cancelled: u64,
    pub answered: u64,
    pub abandoned: u64,
    pub avg_wait_time: Option<u64>,
    pub avg_duration: Option<u64>,
    pub avg_handle_time: Option<u64>,
    pub avg_rating: Option<f64>,
    pub service_level: Option<f64>,
    pub abandonment_rate: Option<f64>,
}

impl From<&Figures> for Counts {
    fn from(figures: &Figures) -> Self {
        Self {
            total: figures.total(),
            completed: figures.completed,
            missed: figures.missed,
            cancelled: figures.cancelled,
            answered: figures.answers.answered,
            abandoned: figures.answers.abandoned,
            avg_wait_time: figures.answers.average_speed_of_answer_seconds().map(whole),
            avg_duration: figures.average_talk_seconds().map(whole),
            avg_handle_time: figures.average_handle_seconds().map(whole),
            avg_rating: figures.average_rating().map(tenths),
            service_level: figures.answers.service_level().map(percent),
            abandonment_rate: figures.answers.abandonment_rate().map(percent),
        }
    }
}

/// One agent's. Calls are those he was the last agent of: a call given on is in `transfers` and `talk_seconds` only.
#[derive(Debug, Serialize, ToSchema)]
pub struct AgentFigures {
    pub user_id: UserId,
    pub name: String,
    /// Whether he can log in.
    pub active: bool,
    pub total_calls: u64,
    pub completed_calls: u64,
    pub missed_calls: u64,
    pub cancelled_calls: u64,
    pub answered_calls: u64,
    /// Mean talk with him, without that of others before him.
    pub avg_duration: Option<u64>,
    /// Mean wait of their customers until somebody first answered them, whoever that was.
    pub avg_wait_time: Option<u64>,
    /// Mean of his talk and wrap-up.
    pub avg_handle_time: Option<u64>,
    pub avg_wrap_up_time: Option<u64>,
    pub avg_rating: Option<f64>,
    pub satisfaction_rate: Option<f64>,
    /// Offers to him that ran out.
    pub offers_missed: u64,
    pub offers_declined: u64,
    /// Calls he gave on.
    pub transfers: u64,
    /// Available with a device connected, calls included. This and the following are his whole times, whatever the department.
    pub available_seconds: u64,
    pub paused_seconds: u64,
    /// Held back after missed offers.
    pub held_seconds: u64,
    /// Available, but without any device.
    pub disconnected_seconds: u64,
    /// Speaking with customers, those included whom he gave on.
    pub talk_seconds: u64,
    pub wrap_up_seconds: u64,
    /// In percent; null for a single department.
    pub occupancy: Option<f64>,
}

/// What counting anew found.
#[derive(Debug, Serialize, ToSchema)]
pub struct Refreshed {
    /// Rows of sums that were not what they should have been; zero when all was well. They are now.
    pub changed_rows: u64,
    pub changed: ChangedRows,
}

/// By what the sums are of.
#[derive(Debug, Serialize, ToSchema)]
pub struct ChangedRows {
    /// Of hours and departments.
    pub call_hours: u64,
    /// Of waits.
    pub wait_days: u64,
    /// Of agents' days and months.
    pub agents: u64,
    /// Of agents' times, likewise.
    pub agent_times: u64,
    /// Of customers.
    pub customer_days: u64,
}

/// Show the figures of a range
///
/// Of whole days of the company's calendar: 30 days ago to today unless said otherwise; a moment stands for the day it lies in.
/// A call belongs to the day and hour at which it joined, and to the department where it is. Rates are in percent, to one
/// decimal; what cannot be said of nobody is null. Figures are kept current by the very transactions that change calls.
#[utoipa::path(get, path = "/api/v1/analytics/overview", tag = "Analytics", security(("staff" = ["manager"])),
    params(Query<AnalyticsRange>), responses((status = 200, body = Data<Overview>)))]
async fn overview(
    State(state): State<AppState>,
    staff: Manager,
    Query(query): Query<AnalyticsRange>,
) -> Result<Data<Overview>, ApiError> {
    let Asked { mut tx, days, time_zone } = ask(&state, &staff, query, DAYS, false).await?;
    let figures = analytics::total(&mut tx, &days).await?;
    let waits = analytics::waits(&mut tx, &days).await?;
    let customers = analytics::customers(&mut tx, &days).await?;
    let occupancy = match days.department {
        None => analytics::summed(&analytics::agents(&mut tx, &days, state.clock.now()).await?).occupancy(),
        // An agent's time is not divided among his departments.
        Some(_) => None,
    };
    Ok(Data::new(overview_of(&days, time_zone, &figures, &waits, customers, occupancy)))
}

/// Show the figures by hour of the day
///
/// All 24 hours of the company's clocks, each over all days of the range: the last 7 days and today unless said otherwise.
#[utoipa::path(get, path = "/api/v1/analytics/hourly", tag = "Analytics", security(("staff" = ["manager"])),
    params(Query<AnalyticsRange>), responses((status = 200, body = Data<Vec<HourFigures>>)))]
async fn hourly(
    State(state): State<AppState>,
    staff: Manager,
    Query(query): Query<AnalyticsRange>,
) -> Result<Data<Vec<HourFigures>>, ApiError> {
    let Asked { mut tx, days, .. } = ask(&state, &staff, query, DAYS_OF_HOURS, false).await?;
    let hours = analytics::by_hour(&mut tx, &days).await?;
    Ok(Data::new(hours.iter().map(|(hour, figures)| HourFigures { hour: *hour, counts: figures.into() }).collect()))
}

/// Show the figures of each agent
///
/// Everybody who is active or has something to show, by name; 30 days ago to today unless said otherwise. In the plans with
/// full analytics.
#[utoipa::path(get, path = "/api/v1/analytics/agents", tag = "Analytics", security(("staff" = ["manager"])),
    params(Query<AnalyticsRange>), responses((status = 200, body = Data<Vec<AgentFigures>>)))]
async fn agents(
    State(state): State<AppState>,
    staff: Manager,
    Query(query): Query<AnalyticsRange>,
) -> Result<Data<Vec<AgentFigures>>, ApiError> {
    let Asked { mut tx, days, .. } = ask(&state, &staff, query, DAYS, true).await?;
    let agents = analytics::agents(&mut tx, &days, state.clock.now()).await?;
    Ok(Data::new(agents.into_iter().map(|agent| agent_figures(agent, &days)).collect()))
}

/// Show the figures of each day
///
/// Every day of the range, those without calls included; 30 days ago to today unless said otherwise. In the plans with full
/// analytics.
#[utoipa::path(get, path = "/api/v1/analytics/trends", tag = "Analytics", security(("staff" = ["manager"])),
    params(Query<AnalyticsRange>), responses((status = 200, body = Data<Vec<DayFigures>>)))]
async fn trends(
    State(state): State<AppState>,
    staff: Manager,
    Query(query): Query<AnalyticsRange>,
) -> Result<Data<Vec<DayFigures>>, ApiError> {
    let Asked { mut tx, days, .. } = ask(&state, &staff, query, DAYS, true).await?;
    let found = analytics::by_day(&mut tx, &days).await?;
    let none = Figures::default();
    let every = days.first.iter_days().take_while(|day| *day <= days.last);
    Ok(Data::new(every.map(|date| DayFigures { date, counts: found.get(&date).unwrap_or(&none).into() }).collect()))
}

/// Count all figures anew
///
/// From the calls themselves, and mend what differs: nothing, when all is well. Nobody has to call this; it is how you can be
/// sure. Takes some seconds for each million calls, and nobody waits for it but you. One company is counted at a time in the
/// whole server: 429 with `Retry-After` while a count is under way.
#[utoipa::path(post, path = "/api/v1/analytics/refresh-views", tag = "Analytics", security(("staff" = ["manager"])),
    responses((status = 200, body = Data<Refreshed>), (status = 429, description = "A count is under way; `Retry-After` says when to come back.")))]
async fn refresh_views(State(state): State<AppState>, staff: Manager) -> Result<Data<Refreshed>, ApiError> {
    let busy = ApiError::TooManyRequests { retry_after_seconds: RECOUNTED_WITHIN_SECONDS };
    let counted = state.recounts.ask(staff.tenant).await?.ok_or(busy)?;
    let Recounted { call_hours, wait_days, customer_days, .. } = counted;
    let agents = counted.agent_days + counted.agent_months;
    let agent_times = counted.agent_status_days + counted.agent_status_months;
    Ok(Data::new(Refreshed {
        changed_rows: call_hours + wait_days + agents + agent_times + customer_days,
        changed: ChangedRows { call_hours, wait_days, agents, agent_times, customer_days },
    }))
}

/// A question that can be answered: one snapshot, and the days it is about.
struct Asked {
    tx: Transaction,
    days: Days,
    time_zone: String,
}

async fn ask(state: &AppState, staff: &Staff, query: AnalyticsRange, days: u64, full: bool) -> Result<Asked, ApiError> {
    let company = tenants::company(&state.store, staff.tenant).await?.ok_or_else(ApiError::not_found)?;
    if full && !company.plan.limits().analytics {
        return Err(PlanExceeded { plan: company.plan, limit: PlanLimit::Analytics }.into());
    }
    let span = query.range.required_span(company.time_zone, state.clock.now(), days)?;
    if (span.last_day - span.first_day).num_days() >= DAYS_MAX {
        return Err(ApiError::BadParameters(FieldErrors::of(
            "date_from",
            "must be less than ten years before date_to",
        )));
    }
    let mut tx = state.reports.read(staff.tenant).await?;
    if !analytics::are_current(&mut tx, staff.tenant).await? {
        let cause = "the company's figures are being counted by its new time zone".to_owned();
        return Err(ApiError::Unavailable { retry_after_seconds: RECOUNTED_WITHIN_SECONDS, cause });
    }
    let (tenant, department) = (staff.tenant, query.department_id);
    let days = Days { tenant, first: span.first_day, last: span.last_day, department };
    Ok(Asked { tx, days, time_zone: company.time_zone.name().to_owned() })
}

/// The figures of a range as the API writes them.
pub fn overview_of(
    days: &Days,
    time_zone: String,
    figures: &Figures,
    waits: &Waits,
    customers: Customers,
    occupancy: Option<f64>,
) -> Overview {
    let Answers { answered, abandoned, abandoned_short, .. } = figures.answers;
    Overview {
        total_calls: figures.total(),
        completed_calls: figures.completed,
        missed_calls: figures.missed,
        cancelled_calls: figures.cancelled,
        avg_duration: figures.average_talk_seconds().map(whole),
        avg_wait_time: figures.answers.average_speed_of_answer_seconds().map(whole),
        avg_rating: figures.average_rating().map(tenths),
        total_customers: customers.total,
        new_customers: customers.new,
        completion_rate: figures.completion_rate().map(percent),
        satisfaction_rate: figures.satisfaction_rate().map(percent),
        answered_calls: answered,
        abandoned_calls: abandoned,
        short_abandoned_calls: abandoned_short,
        service_level: figures.answers.service_level().map(percent),
        abandonment_rate: figures.answers.abandonment_rate().map(percent),
        short_abandonment_rate: figures.answers.short_abandonment_rate().map(percent),
        avg_handle_time: figures.average_handle_seconds().map(whole),
        avg_wrap_up_time: figures.average_wrap_up_seconds().map(whole),
        occupancy: occupancy.map(percent),
        wait_percentiles: waits.into(),
        longest_wait: waits.longest_seconds,
        offers_missed: figures.offers_missed,
        offers_declined: figures.offers_declined,
        transfers: figures.transfers,
        wait_estimate_coverage: figures.estimate_coverage().map(percent),
        date_from: days.first,
        date_to: days.last,
        time_zone,
    }
}

fn agent_figures(agent: AgentReport, days: &Days) -> AgentFigures {
    let AgentReport { user_id, name, active, figures, time } = agent;
    let AgentTime {
        available_seconds,
        paused_seconds,
        held_seconds,
        disconnected_seconds,
        talk_seconds,
        wrap_up_seconds,
        ..
    } = time;
    AgentFigures {
        user_id,
        name,
        active,
        total_calls: figures.total(),
        completed_calls: figures.completed,
        missed_calls: figures.missed,
        cancelled_calls: figures.cancelled,
        answered_calls: figures.answers.answered,
        avg_duration: figures.average_talk_seconds().map(whole),
        avg_wait_time: figures.answers.average_speed_of_answer_seconds().map(whole),
        avg_handle_time: figures.average_handle_seconds().map(whole),
        avg_wrap_up_time: figures.average_wrap_up_seconds().map(whole),
        avg_rating: figures.average_rating().map(tenths),
        satisfaction_rate: figures.satisfaction_rate().map(percent),
        offers_missed: figures.offers_missed,
        offers_declined: figures.offers_declined,
        transfers: figures.transfers,
        available_seconds,
        paused_seconds,
        held_seconds,
        disconnected_seconds,
        talk_seconds,
        wrap_up_seconds,
        occupancy: time.occupancy().filter(|_| days.department.is_none()).map(percent),
    }
}
