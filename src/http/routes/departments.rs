//! Owns departments on the wire: list, show, create, change, delete. Who serves them is in `department_users`; what a setting
//! does is the queue's business, and after a change the queues are told.

use axum::extract::State;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::actors::handle::CallError;
use crate::domain::department::{Mode, QUEUE_SIZE_MAX, RoutingStrategy, WEIGHT_MAX};
use crate::domain::ids::{DepartmentId, TenantId, UserId};
use crate::domain::plan::PlanLimit;
use crate::http::caller::Supervisor;
use crate::http::envelope::{Created, Data, Deleted, Page};
use crate::http::error::ApiError;
use crate::http::input::{
    Body, Fields, Ids, Input, NAME_CHARS_MAX, Params, Query, QueryInput, TEXT_CHARS_MAX, WORD_CHARS_MAX,
    described_bodies,
};
use crate::http::state::AppState;
use crate::live::topic::Topic;
use crate::store::departments::{self, Department, DepartmentChange, DepartmentSort, Removal};
use crate::store::{self, Sort, SortOrder, StoreError, plans};

/// Longest `max_wait_time`: a day; whoever waits longer is not waiting any more.
const WAIT_SECONDS_MAX: i64 = 24 * 60 * 60;
/// Bounds of `offer_timeout_seconds`: time to look up and click, and not longer than a wrap-up may last.
const OFFER_SECONDS_MIN: i64 = 1;
const OFFER_SECONDS_MAX: i64 = 3_600;
/// Longest `wrap_up_seconds`.
const WRAP_UP_SECONDS_MAX: i64 = 3_600;
/// Longest `reconnect_grace_seconds`.
const GRACE_SECONDS_MAX: i64 = 86_400;
/// Longest `service_level_seconds`: whoever is answered after an hour was not answered in time.
const SERVICE_LEVEL_SECONDS_MAX: i64 = 3_600;

/// `/api/v1/departments` and `/api/v1/departments/{id}`.
pub fn routes() -> OpenApiRouter<AppState> {
    OpenApiRouter::new().routes(routes!(list, create)).routes(routes!(show, update, remove))
}

/// Query of the list.
#[derive(Debug)]
pub struct DepartmentList {
    search: Option<String>,
    active: Option<bool>,
    sort: Sort<DepartmentSort>,
    page: store::Page,
}

impl QueryInput for DepartmentList {
    fn read(params: &mut Params) -> Result<Self, ApiError> {
        Ok(Self {
            search: params.text("search", NAME_CHARS_MAX)?,
            active: params.boolean("active")?,
            sort: params.sort(DepartmentSort::Name, SortOrder::Asc)?,
            page: params.page()?,
        })
    }
}

/// Body of `POST /departments` (`name` required) and `PUT /departments/:id` (what is absent stays), wrapped in
/// `department` or flat.
#[derive(Debug)]
pub struct CreateDepartment(DepartmentChange);

/// See [`CreateDepartment`].
#[derive(Debug)]
pub struct UpdateDepartment(DepartmentChange);

impl Input for CreateDepartment {
    const WRAPPER: Option<&'static str> = Some("department");

    fn read(fields: &mut Fields) -> Self {
        let name = Some(fields.required_text("name", NAME_CHARS_MAX));
        // A new department may leave the identifier blank to have one made.
        let identifier = fields.text("identifier", WORD_CHARS_MAX);
        Self(DepartmentChange { name, identifier: slug(fields, identifier), ..settings(fields) })
    }
}

impl Input for UpdateDepartment {
    const WRAPPER: Option<&'static str> = Some("department");

    fn read(fields: &mut Fields) -> Self {
        let name = fields.patch_required_text("name", NAME_CHARS_MAX);
        let identifier = fields.patch_required_text("identifier", WORD_CHARS_MAX);
        Self(DepartmentChange { name, identifier: slug(fields, identifier), ..settings(fields) })
    }
}

/// What both bodies share.
fn settings(fields: &mut Fields) -> DepartmentChange {
    let to_u32 = |number: i64| u32::try_from(number).unwrap_or(u32::MAX);
    DepartmentChange {
        name: None,
        identifier: None,
        description: fields.patch_text("description", TEXT_CHARS_MAX),
        active: fields.boolean("active"),
        sector_id: fields.patch_id("sector_id"),
        max_queue_size: fields
            .patch_integer("max_queue_size", 1..=i64::from(QUEUE_SIZE_MAX))
            .map(|size| size.map(to_u32)),
        max_wait_time: fields.patch_integer("max_wait_time", 1..=WAIT_SECONDS_MAX).map(|wait| wait.map(to_u32)),
        offer_timeout_seconds: fields
            .patch_required_integer("offer_timeout_seconds", OFFER_SECONDS_MIN..=OFFER_SECONDS_MAX)
            .map(to_u32),
        wrap_up_seconds: fields.patch_required_integer("wrap_up_seconds", 0..=WRAP_UP_SECONDS_MAX).map(to_u32),
        reconnect_grace_seconds: fields
            .patch_required_integer("reconnect_grace_seconds", 0..=GRACE_SECONDS_MAX)
            .map(to_u32),
        routing_strategy: fields.word::<RoutingStrategy>("routing_strategy"),
        mode: fields.word::<Mode>("mode"),
        weight: fields
            .patch_required_integer("weight", -i64::from(WEIGHT_MAX)..=i64::from(WEIGHT_MAX))
            .map(|steps| i8::try_from(steps).unwrap_or(0)),
        service_level_seconds: fields
            .patch_required_integer("service_level_seconds", 1..=SERVICE_LEVEL_SECONDS_MAX)
            .map(to_u32),
    }
}

/// An identifier is a slug: lower-case letters, digits, hyphens and underscores.
fn slug(fields: &mut Fields, identifier: Option<String>) -> Option<String> {
    let identifier = identifier?;
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'-' | b'_');
    // A blank one has its own fault already.
    if !identifier.is_empty() && !identifier.bytes().all(plain) {
        fields.fault("identifier", "has invalid format");
    }
    Some(identifier)
}

described_bodies!(CreateDepartment, UpdateDepartment);

/// List departments
///
/// `search` is part of a name.
#[utoipa::path(get, path = "/api/v1/departments", tag = "Departments", security(("staff" = ["supervisor"])),
    params(Query<DepartmentList>), responses((status = 200, body = Page<Department>)))]
async fn list(
    State(state): State<AppState>,
    staff: Supervisor,
    Query(query): Query<DepartmentList>,
) -> Result<Page<Department>, ApiError> {
    let DepartmentList { search, active, sort, page } = query;
    Ok(departments::list(&state.store, staff.tenant, search.as_deref(), active, sort, page).await?.into())
}

/// Show a department
#[utoipa::path(get, path = "/api/v1/departments/{id}", tag = "Departments", security(("staff" = ["supervisor"])),
    responses((status = 200, body = Data<Department>)))]
async fn show(
    State(state): State<AppState>,
    staff: Supervisor,
    Ids(id): Ids<DepartmentId>,
) -> Result<Data<Department>, ApiError> {
    departments::find(&state.store, staff.tenant, id).await?.map(Data::new).ok_or_else(ApiError::not_found)
}

/// Create a department
///
/// Without an `identifier` one is made of the name. The defaults: `offer_timeout_seconds` 20, `wrap_up_seconds` 15,
/// `reconnect_grace_seconds` 60, `routing_strategy` `longest_idle`, `mode` `push`, `weight` 0, `service_level_seconds` 20; the
/// line has no bound on its length nor on the wait. With `mode` `pull` nothing is offered, agents take calls by hand. Each step
/// of `weight` lets the department's calls compete for free agents as if they had waited a minute longer, with a minus shorter.
/// The plan bounds how many departments are active.
#[utoipa::path(post, path = "/api/v1/departments", tag = "Departments", security(("staff" = ["supervisor"])),
    request_body = CreateDepartment, responses((status = 201, body = Data<Department>)))]
async fn create(
    State(state): State<AppState>,
    staff: Supervisor,
    Body(CreateDepartment(new)): Body<CreateDepartment>,
) -> Result<Created<Department>, ApiError> {
    let mut work = state.creation(&staff).await?;
    if new.active.unwrap_or(true) {
        plans::check(&mut work, PlanLimit::Departments).await??;
    }
    let id = state.ids.next(work.now);
    let department = departments::create(&mut work, id, new).await.map_err(taken)?;
    let created = state.created(work, &staff, department).await?;
    if let Err(error) = state.queues.department_changed(staff.tenant, id).await {
        // It stands, and its queue will read it when somebody joins; an error now would invite a second one.
        tracing::warn!(tenant = %staff.tenant, department = %id, ?error, "the queues did not hear of a new department");
    }
    Ok(created)
}

/// Change a department
///
/// What is absent stays as it is. An inactive department takes no new joins; those who wait are still served.
#[utoipa::path(put, path = "/api/v1/departments/{id}", tag = "Departments", security(("staff" = ["supervisor"])),
    request_body = UpdateDepartment, responses((status = 200, body = Data<Department>)))]
async fn update(
    State(state): State<AppState>,
    staff: Supervisor,
    Ids(id): Ids<DepartmentId>,
    Body(UpdateDepartment(change)): Body<UpdateDepartment>,
) -> Result<Data<Department>, ApiError> {
    let mut work = state.work(&staff).await?;
    if change.active == Some(true) {
        plans::lock(&mut work).await?;
        let active = departments::is_active(&mut work, id).await?.ok_or_else(ApiError::not_found)?;
        if !active {
            plans::check(&mut work, PlanLimit::Departments).await??;
        }
    }
    let changed = departments::update(&mut work, id, change).await.map_err(taken)?.ok_or_else(ApiError::not_found)?;
    work.commit().await?;
    state.queues.department_changed(staff.tenant, id).await?;
    Ok(Data::new(changed))
}

/// Delete a department
///
/// Refused with 422 and a code while calls wait in it or are under way (`has_open_calls`) or appointments with it lie ahead
/// (`has_appointments`), and for good when calls of it have recordings (`has_recordings`): deactivate it instead. Otherwise nobody serves it any more, its links are cancelled and it
/// shows nowhere but as a name in the history of its calls.
#[utoipa::path(delete, path = "/api/v1/departments/{id}", tag = "Departments", security(("staff" = ["supervisor"])),
    responses((status = 200, body = Data<Deleted>)))]
async fn remove(
    State(state): State<AppState>,
    staff: Supervisor,
    Ids(id): Ids<DepartmentId>,
) -> Result<Data<Deleted>, ApiError> {
    // First of all nobody joins any more, and who has joined is in the record; else a call could be left behind.
    state.queues.close_department(staff.tenant, id).await?;
    let removal = async {
        let mut work = state.work(&staff).await?;
        let removal = departments::remove(&mut work, id).await?;
        if matches!(removal, Removal::Done { .. }) {
            work.commit().await?;
        }
        Ok::<Removal, ApiError>(removal)
    };
    let refused = match removal.await {
        Ok(Removal::Done { members }) => {
            gone(&state, staff.tenant, id, &members).await;
            return Ok(Deleted::of(id.0));
        }
        Ok(Removal::HasOpenCalls) => {
            let detail = "Calls wait in this department or are under way";
            ApiError::Rejected { code: "has_open_calls", detail: detail.into() }
        }
        Ok(Removal::HasAppointments) => {
            let detail = "Customers have appointments with this department";
            ApiError::Rejected { code: "has_appointments", detail: detail.into() }
        }
        Ok(Removal::HasRecordings) => {
            let detail = "Calls of this department have recordings; deactivate it instead";
            ApiError::Rejected { code: "has_recordings", detail: detail.into() }
        }
        Ok(Removal::NotFound) => ApiError::not_found(),
        Err(error) => error,
    };
    // It is open again, if it was.
    match state.queues.department_changed(staff.tenant, id).await {
        Ok(()) | Err(CallError::NotFound) => Err(refused),
        Err(error) => Err(error.into()),
    }
}

/// Tells everybody that a department is gone. What fails here is mended by a restart of the company, for the store knows.
async fn gone(state: &AppState, tenant: TenantId, department: DepartmentId, members: &[UserId]) {
    for topic in [Topic::Queue(department), Topic::Presence(department)] {
        state.hub.close_topic(tenant, topic, None, "department_deleted");
    }
    let mut told = state.queues.department_removed(tenant, department).await;
    for user in members {
        told = told.and(state.queues.agent_changed(tenant, *user).await);
    }
    if let Err(error) = told {
        tracing::warn!(%tenant, %department, ?error, "the queues did not hear of everything that a deletion changed");
    }
}

fn taken(error: StoreError) -> ApiError {
    match error {
        StoreError::Conflict { constraint } if constraint.contains("identifier") => {
            ApiError::field("identifier", "has already been taken")
        }
        // The only other row a department names is its sector.
        StoreError::Refused { code, .. } if code == FOREIGN_KEY_VIOLATION => {
            ApiError::field("sector_id", "does not exist")
        }
        other => other.into(),
    }
}

/// The SQLSTATE of a reference to a row that is not there.
const FOREIGN_KEY_VIOLATION: &str = "23503";

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use serde_json::{Value, json};

    use super::*;
    use crate::http::input::parse;

    fn faults<T: Input>(body: Value) -> Value {
        match parse::<T>(body.to_string().as_bytes()) {
            Err(ApiError::Invalid(errors)) => serde_json::to_value(errors).unwrap(),
            _ => Value::Null,
        }
    }

    #[test]
    fn an_update_changes_only_what_it_names() {
        let body =
            json!({"department": {"max_queue_size": null, "wrap_up_seconds": 0, "routing_strategy": "round_robin"}});
        let UpdateDepartment(change) = parse(body.to_string().as_bytes()).unwrap();
        assert_eq!(change.max_queue_size, Some(None));
        assert_eq!(change.max_wait_time, None);
        assert_eq!(change.wrap_up_seconds, Some(0));
        assert_eq!(change.routing_strategy, Some(RoutingStrategy::RoundRobin));
        assert_eq!(change.name, None);
    }

    #[test]
    fn settings_out_of_bounds_are_named() {
        assert_eq!(
            faults::<UpdateDepartment>(json!({"max_queue_size": 1_000_001, "wrap_up_seconds": 3_601,
                "reconnect_grace_seconds": 86_401, "offer_timeout_seconds": null, "routing_strategy": "random",
                "name": "", "identifier": "Not A Slug", "active": 1})),
            json!({"max_queue_size": ["must be less than or equal to 1000000"],
                "wrap_up_seconds": ["must be less than or equal to 3600"],
                "reconnect_grace_seconds": ["must be less than or equal to 86400"],
                "offer_timeout_seconds": ["can't be blank"], "routing_strategy": ["is invalid"],
                "name": ["can't be blank"], "identifier": ["has invalid format"], "active": ["is invalid"]})
        );
    }

    #[test]
    fn a_new_department_needs_a_name_alone() {
        assert_eq!(faults::<CreateDepartment>(json!({})), json!({"name": ["can't be blank"]}));
        let CreateDepartment(new) = parse(br#"{"name": "Suporte", "identifier": ""}"#).unwrap();
        assert_eq!((new.name.as_deref(), new.identifier), (Some("Suporte"), None));
    }

    #[test]
    fn a_taken_identifier_is_a_fault_of_that_field() {
        let error = taken(StoreError::Conflict { constraint: "departments_identifier_key".to_owned() });
        assert_eq!(error.status(), 422);
    }
}
