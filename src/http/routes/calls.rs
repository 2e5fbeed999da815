//! Owns calls on the wire for staff: list, show, assign, start, complete. An attendant sees the calls of his departments
//! and his own; to him all others do not exist. What a command may do is decided by the queue.

use axum::Router;
use axum::extract::State;
use axum::routing::{get, post};
use serde::Serialize;

use crate::actors::handle::CallError;
use crate::domain::call::CallView;
use crate::domain::ids::{CallId, DepartmentId, TenantId, UserId};
use crate::http::caller::Staff;
use crate::http::envelope::{Data, Page};
use crate::http::error::ApiError;
use crate::http::input::{Body, DayOrTime, Fields, Ids, Input, NAME_CHARS_MAX, Params};
use crate::http::state::AppState;
use crate::store::call_tags;
use crate::store::calls::{self, Attendant, CallFilter, CallSort};
use crate::store::links::CustomFields;
use crate::store::{SortOrder, Store, departments, tenants, users};

/// `/api/v1/calls/*`.
pub fn routes() -> Router<AppState> {
    Router::new()
        .route("/", get(list))
        .route("/{id}", get(show))
        .route("/{id}/assign", post(assign))
        .route("/{id}/start", post(start))
        .route("/{id}/complete", post(complete))
}

/// `GET /api/v1/calls`
async fn list(State(store): State<Store>, staff: Staff, mut params: Params) -> Result<Page<CallView>, ApiError> {
    let sort = params.sort(CallSort::InsertedAt, SortOrder::Desc)?;
    let page = params.page()?;
    let (from, to) = (params.day_or_time("date_from")?, params.day_or_time("date_to")?);
    let mut filter = CallFilter {
        status: params.word("status")?,
        phase: params.word("phase")?,
        department_id: params.id("department_id")?,
        visible_to: None,
        user_id: params.id("user_id")?,
        date_from: None,
        date_to: None,
        search: params.text("search", NAME_CHARS_MAX)?,
    };
    let zone = match (from, to) {
        // Only a bare date needs to know where the company's midnight is.
        (Some(DayOrTime::Day(_)), _) | (_, Some(DayOrTime::Day(_))) => zone_of(&store, staff.tenant).await?,
        _ => chrono_tz::UTC,
    };
    filter.date_from = from.map(|from| from.start(zone));
    filter.date_to = to.map(|to| to.end(zone));
    if !staff.supervises() {
        let department_ids = own_departments(&store, &staff).await?;
        filter.visible_to = Some(Attendant { user_id: staff.user, department_ids });
    }
    Ok(calls::list(&store, staff.tenant, &filter, sort, page).await?.into())
}

/// The company's time zone.
pub(super) async fn zone_of(store: &Store, tenant: TenantId) -> Result<chrono_tz::Tz, ApiError> {
    let company = tenants::company(store, tenant).await?.ok_or_else(ApiError::unauthorized)?;
    Ok(company.time_zone)
}

async fn own_departments(store: &Store, staff: &Staff) -> Result<Vec<DepartmentId>, ApiError> {
    let departments = users::departments_of(store, staff.tenant, staff.user).await?;
    Ok(departments.into_iter().map(|(id, _)| id).collect())
}

/// Whether a call of `department`, taken by `agent`, exists for this caller.
async fn sees(store: &Store, staff: &Staff, department: DepartmentId, agent: Option<UserId>) -> Result<bool, ApiError> {
    Ok(staff.supervises()
        || agent == Some(staff.user)
        || departments::serves(store, staff.tenant, department, staff.user).await?)
}

/// The call, if it exists for this caller.
pub(super) async fn visible(store: &Store, staff: &Staff, id: CallId) -> Result<CallView, ApiError> {
    let call = calls::find(store, staff.tenant, id).await?.ok_or_else(ApiError::not_found)?;
    if sees(store, staff, call.department_id, call.user_id).await? { Ok(call) } else { Err(ApiError::not_found()) }
}

/// A call with what is shown of it alone, not in lists.
#[derive(Clone, Debug, Serialize)]
pub struct CallDetails {
    #[serde(flatten)]
    pub call: CallView,
    /// Those of the link it was joined through, as they were then.
    pub custom_fields: CustomFields,
}

/// `GET /api/v1/calls/:id`
async fn show(State(store): State<Store>, staff: Staff, Ids(id): Ids<CallId>) -> Result<Data<CallDetails>, ApiError> {
    let call = visible(&store, &staff, id).await?;
    let custom_fields = call_tags::fields(&store, staff.tenant, id).await?;
    Ok(Data::new(CallDetails { call, custom_fields }))
}

/// Body of `POST /calls/:id/assign`; may be absent.
#[derive(Debug)]
pub struct AssignCall {
    /// Who shall take it; the caller when absent.
    pub user_id: Option<UserId>,
}

impl Input for AssignCall {
    fn read(fields: &mut Fields) -> Self {
        Self { user_id: fields.id("user_id") }
    }
}

/// `POST /api/v1/calls/:id/assign`: puts a waiting call into an agent's hands. Choosing somebody else takes a supervisor.
async fn assign(
    State(state): State<AppState>,
    staff: Staff,
    Ids(id): Ids<CallId>,
    Body(AssignCall { user_id }): Body<AssignCall>,
) -> Result<Data<CallView>, ApiError> {
    let agent = user_id.unwrap_or(staff.user);
    if agent != staff.user && !staff.supervises() {
        return Err(ApiError::Forbidden);
    }
    if !staff.supervises() {
        // Asked before the pick, since a pick that succeeds cannot be taken back.
        let department = calls::department_of(&state.store, staff.tenant, id).await?;
        let department = department.ok_or_else(ApiError::not_found)?;
        if !departments::serves(&state.store, staff.tenant, department, staff.user).await? {
            return Err(ApiError::not_found());
        }
    }
    Ok(Data::new(state.queues.pick(staff.tenant, id, agent, staff.user).await?))
}

/// `POST /api/v1/calls/:id/start`
async fn start(State(state): State<AppState>, staff: Staff, Ids(id): Ids<CallId>) -> Result<Data<CallView>, ApiError> {
    let result = state.queues.start(staff.tenant, staff.user, id).await;
    answer(&state.store, &staff, id, result).await
}

/// `POST /api/v1/calls/:id/complete`
async fn complete(
    State(state): State<AppState>,
    staff: Staff,
    Ids(id): Ids<CallId>,
) -> Result<Data<CallView>, ApiError> {
    let result = state.queues.complete(staff.tenant, staff.user, staff.supervises(), id).await;
    answer(&state.store, &staff, id, result).await
}

/// The queue refuses whoever is not the call's agent, so only a refusal has to be checked for what the caller may know.
async fn answer(
    store: &Store,
    staff: &Staff,
    id: CallId,
    result: Result<CallView, CallError>,
) -> Result<Data<CallView>, ApiError> {
    if let Err(CallError::Rejected(_)) = &result {
        visible(store, staff, id).await?;
    }
    Ok(Data::new(result?))
}
