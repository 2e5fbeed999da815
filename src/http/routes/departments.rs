//! Owns departments on the wire: list, show, create, update, and who serves them. What a setting does is the queue's
//! business; after a change the queues are told.

use axum::Router;
use axum::extract::State;
use axum::routing::{delete, get};
use serde::Serialize;
use uuid::Uuid;

use crate::actors::handle::Queues;
use crate::domain::clock::Clock;
use crate::domain::department::{QUEUE_SIZE_MAX, RoutingStrategy};
use crate::domain::ids::{DepartmentId, TenantId, UserId};
use crate::domain::role::Role;
use crate::http::caller::Supervisor;
use crate::http::envelope::{Created, Data, Page};
use crate::http::error::ApiError;
use crate::http::input::{Body, Fields, Ids, Input, NAME_CHARS_MAX, Params, TEXT_CHARS_MAX, WORD_CHARS_MAX};
use crate::http::state::AppState;
use crate::live::hub::Hub;
use crate::live::topic::Topic;
use crate::store::departments::{self, Department, DepartmentChange, DepartmentSort, Membership};
use crate::store::users::{self, User};
use crate::store::{SortOrder, Store, StoreError};

/// Longest `max_wait_time`: a day; whoever waits longer is not waiting any more.
const WAIT_SECONDS_MAX: i64 = 24 * 60 * 60;
/// Bounds of `offer_timeout_seconds`: time to look up and click, and not longer than a wrap-up may last.
const OFFER_SECONDS_MIN: i64 = 1;
const OFFER_SECONDS_MAX: i64 = 3_600;
/// Longest `wrap_up_seconds`.
const WRAP_UP_SECONDS_MAX: i64 = 3_600;
/// Longest `reconnect_grace_seconds`.
const GRACE_SECONDS_MAX: i64 = 86_400;

/// `/api/v1/departments/*`.
pub fn routes() -> Router<AppState> {
    Router::new()
        .route("/", get(list).post(create))
        .route("/{id}", get(show).put(update))
        .route("/{id}/users", get(list_users).post(add_user))
        .route("/{id}/users/{user_id}", delete(remove_user))
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
        sector_id: fields.patch_id::<Uuid>("sector_id"),
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

/// `GET /api/v1/departments`
async fn list(State(store): State<Store>, staff: Supervisor, mut params: Params) -> Result<Page<Department>, ApiError> {
    let sort = params.sort(DepartmentSort::Name, SortOrder::Asc)?;
    let search = params.text("search", NAME_CHARS_MAX)?;
    let active = params.boolean("active")?;
    Ok(departments::list(&store, staff.tenant, search.as_deref(), active, sort, params.page()?).await?.into())
}

/// `GET /api/v1/departments/:id`
async fn show(
    State(store): State<Store>,
    staff: Supervisor,
    Ids(id): Ids<DepartmentId>,
) -> Result<Data<Department>, ApiError> {
    departments::find(&store, staff.tenant, id).await?.map(Data::new).ok_or_else(ApiError::not_found)
}

/// `POST /api/v1/departments`
async fn create(
    State(state): State<AppState>,
    staff: Supervisor,
    Body(CreateDepartment(new)): Body<CreateDepartment>,
) -> Result<Created<Department>, ApiError> {
    let now = state.clock.now();
    let id = state.ids.next(now);
    let department = departments::create(&state.store, staff.tenant, id, new, now).await.map_err(taken)?;
    if let Err(error) = state.queues.department_changed(staff.tenant, id).await {
        // It stands, and its queue will read it when somebody joins; an error now would invite a second one.
        tracing::warn!(tenant = %staff.tenant, department = %id, ?error, "the queues did not hear of a new department");
    }
    Ok(Created(department))
}

/// `PUT /api/v1/departments/:id`
async fn update(
    State(state): State<AppState>,
    staff: Supervisor,
    Ids(id): Ids<DepartmentId>,
    Body(UpdateDepartment(change)): Body<UpdateDepartment>,
) -> Result<Data<Department>, ApiError> {
    let changed = departments::update(&state.store, staff.tenant, id, change, state.clock.now())
        .await
        .map_err(taken)?
        .ok_or_else(ApiError::not_found)?;
    state.queues.department_changed(staff.tenant, id).await?;
    Ok(Data::new(changed))
}

fn taken(error: StoreError) -> ApiError {
    match error {
        StoreError::Conflict { constraint } if constraint.contains("identifier") => {
            ApiError::field("identifier", "has already been taken")
        }
        StoreError::Conflict { constraint } if constraint.contains("name") => {
            ApiError::field("name", "has already been taken")
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

/// `GET /api/v1/departments/:id/users`
async fn list_users(
    State(store): State<Store>,
    staff: Supervisor,
    Ids(id): Ids<DepartmentId>,
    mut params: Params,
) -> Result<Page<User>, ApiError> {
    let members = departments::users(&store, staff.tenant, id, params.page()?).await?;
    members.map(Page::from).ok_or_else(ApiError::not_found)
}

/// Body of `POST /departments/:id/users`.
#[derive(Debug)]
pub struct AddMember {
    pub user_id: UserId,
}

impl Input for AddMember {
    fn read(fields: &mut Fields) -> Self {
        Self { user_id: fields.required_id("user_id") }
    }
}

/// Who serves a department, after a change.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Member {
    pub department_id: DepartmentId,
    pub user_id: UserId,
}

/// `POST /api/v1/departments/:id/users`: 201 when he begins to serve it, 200 when he does already.
async fn add_user(
    State(store): State<Store>,
    State(queues): State<Queues>,
    State(clock): State<Clock>,
    staff: Supervisor,
    Ids(id): Ids<DepartmentId>,
    Body(AddMember { user_id }): Body<AddMember>,
) -> Result<axum::response::Response, ApiError> {
    use axum::response::IntoResponse as _;
    let member = Member { department_id: id, user_id };
    let membership = departments::add_user(&store, staff.tenant, id, user_id, clock.now()).await?;
    if membership == Membership::NotFound {
        return Err(ApiError::not_found());
    }
    // Told again although unchanged: the first request may have died between the two steps.
    queues.agent_changed(staff.tenant, user_id).await?;
    Ok(match membership {
        Membership::Changed => Created(member).into_response(),
        Membership::Unchanged | Membership::NotFound => Data::new(member).into_response(),
    })
}

/// `DELETE /api/v1/departments/:id/users/:user_id`
async fn remove_user(
    State(store): State<Store>,
    State(queues): State<Queues>,
    State(hub): State<Hub>,
    staff: Supervisor,
    Ids((id, user_id)): Ids<(DepartmentId, UserId)>,
) -> Result<Data<Member>, ApiError> {
    if departments::remove_user(&store, staff.tenant, id, user_id).await? == Membership::NotFound {
        return Err(ApiError::not_found());
    }
    queues.agent_changed(staff.tenant, user_id).await?;
    close_topics(&store, &hub, staff.tenant, id, user_id).await?;
    Ok(Data::new(Member { department_id: id, user_id }))
}

/// An attendant who serves a department no longer may not listen to it either; supervisors may anyway.
async fn close_topics(
    store: &Store,
    hub: &Hub,
    tenant: TenantId,
    department: DepartmentId,
    user: UserId,
) -> Result<(), ApiError> {
    let role = users::find(store, tenant, user).await?.map(|user| user.role);
    if role.is_none_or(|role| role < Role::Supervisor) {
        for topic in [Topic::Queue(department), Topic::Presence(department)] {
            hub.close_topic(tenant, topic, Some(user), "membership_ended");
        }
    }
    Ok(())
}

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
