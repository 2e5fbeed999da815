//! Owns calls on the wire for staff: list, show, assign, start, complete. An attendant sees the calls of his departments
//! and his own; to him all others do not exist. What a command may do is decided by the queue.

use axum::extract::State;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::actors::handle::CallError;
use crate::domain::call::CallView;
use crate::domain::ids::{CallId, DepartmentId, TenantId, UserId};
use crate::http::caller::Staff;
use crate::http::envelope::{Data, Page};
use crate::http::error::ApiError;
use crate::http::input::{
    Body, DayOrTime, Fields, Ids, Input, NAME_CHARS_MAX, Params, Query, QueryInput, described_bodies,
};
use crate::http::state::AppState;
use crate::store::calls::{self, Attendant, CallFilter, CallSort};
use crate::store::{self, Sort, SortOrder, Store, call_notes, departments, tenants, users};

/// Longest notes of a call: a few pages, as on sockets.
pub(super) const NOTES_CHARS_MAX: usize = 10_000;

/// `/api/v1/calls/*`.
pub fn routes() -> OpenApiRouter<AppState> {
    OpenApiRouter::new()
        .routes(routes!(list))
        .routes(routes!(show))
        .routes(routes!(assign))
        .routes(routes!(start))
        .routes(routes!(complete))
}

/// Query of the list.
#[derive(Debug)]
pub struct CallList {
    filter: CallFilter,
    date_from: Option<DayOrTime>,
    date_to: Option<DayOrTime>,
    sort: Sort<CallSort>,
    page: store::Page,
}

impl QueryInput for CallList {
    fn read(params: &mut Params) -> Result<Self, ApiError> {
        let status = params.word("status");
        let phase = params.word("phase");
        let department_id = params.id("department_id");
        let user_id = params.id("user_id");
        let customer_id = params.id("customer_id");
        let provider_id = params.id("provider_id");
        let tag_id = params.id("tag_id");
        let (date_from, date_to) = (params.day_or_time("date_from"), params.day_or_time("date_to"));
        let search = params.text("search", NAME_CHARS_MAX);
        let sort = params.sort(CallSort::InsertedAt, SortOrder::Desc);
        let page = params.page();
        let filter = CallFilter {
            status: status?,
            phase: phase?,
            department_id: department_id?,
            visible_to: None,
            user_id: user_id?,
            customer_id: customer_id?,
            provider_id: provider_id?,
            tag_id: tag_id?,
            date_from: None,
            date_to: None,
            search: search?,
        };
        Ok(Self { filter, date_from: date_from?, date_to: date_to?, sort: sort?, page: page? })
    }
}

/// List calls
///
/// An attendant sees those of his departments and those he took himself. `search` is part of the customer's name or
/// address; `user_id` is the agent, `provider_id` the service provider he works for. Dates are of the join; a bare date is the
/// company's whole day.
#[utoipa::path(get, path = "/api/v1/calls", tag = "Calls", security(("staff" = ["attendant"])),
    params(Query<CallList>), responses((status = 200, body = Page<CallView>)))]
async fn list(
    State(store): State<Store>,
    staff: Staff,
    Query(query): Query<CallList>,
) -> Result<Page<CallView>, ApiError> {
    let CallList { mut filter, date_from: from, date_to: to, sort, page } = query;
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

/// Show a call
#[utoipa::path(get, path = "/api/v1/calls/{id}", tag = "Calls", security(("staff" = ["attendant"])),
    responses((status = 200, body = Data<CallView>)))]
async fn show(State(store): State<Store>, staff: Staff, Ids(id): Ids<CallId>) -> Result<Data<CallView>, ApiError> {
    visible(&store, &staff, id).await.map(Data::new)
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

/// Body of `POST /calls/:id/start`; may be absent, and says nothing.
#[derive(Debug)]
pub struct StartCall;

impl Input for StartCall {
    fn read(_: &mut Fields) -> Self {
        Self
    }
}

/// Body of `POST /calls/:id/complete`; may be absent.
#[derive(Debug)]
pub struct CompleteCall {
    /// Replaces the call's notes.
    pub notes: Option<String>,
}

impl Input for CompleteCall {
    fn read(fields: &mut Fields) -> Self {
        Self { notes: fields.text("notes", NOTES_CHARS_MAX) }
    }
}

described_bodies!(AssignCall, StartCall, CompleteCall);

/// Assign a call
///
/// Puts a waiting call into an agent's hands: the caller's, or those of `user_id`, which takes a supervisor.
#[utoipa::path(post, path = "/api/v1/calls/{id}/assign", tag = "Calls", security(("staff" = ["attendant"])),
    request_body = AssignCall, responses((status = 200, body = Data<CallView>)))]
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

/// Start a call
///
/// By the agent it is assigned to, within a minute.
#[utoipa::path(post, path = "/api/v1/calls/{id}/start", tag = "Calls", security(("staff" = ["attendant"])),
    request_body = StartCall, responses((status = 200, body = Data<CallView>)))]
async fn start(
    State(state): State<AppState>,
    staff: Staff,
    Ids(id): Ids<CallId>,
    Body(StartCall): Body<StartCall>,
) -> Result<Data<CallView>, ApiError> {
    let result = state.queues.start(staff.tenant, staff.user, id).await;
    answer(&state.store, &staff, id, result).await
}

/// Complete a call
///
/// By its agent, or by a supervisor for him. `notes` replaces what was noted of it.
#[utoipa::path(post, path = "/api/v1/calls/{id}/complete", tag = "Calls", security(("staff" = ["attendant"])),
    request_body = CompleteCall, responses((status = 200, body = Data<CallView>)))]
async fn complete(
    State(state): State<AppState>,
    staff: Staff,
    Ids(id): Ids<CallId>,
    Body(CompleteCall { notes }): Body<CompleteCall>,
) -> Result<Data<CallView>, ApiError> {
    let result = state.queues.complete(staff.tenant, staff.user, staff.supervises(), id).await;
    let completed = answer(&state.store, &staff, id, result).await?;
    if let Some(notes) = notes {
        // Only now: the queue's own write of this row must not wait for ours.
        let mut work = state.work(&staff).await?;
        call_notes::set_notes(&mut work, id, Some(&notes)).await?;
        work.commit().await?;
    }
    Ok(completed)
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
