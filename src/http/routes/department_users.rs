//! Owns who serves a department on the wire. A user receives calls of the departments he serves, and of no others.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::domain::ids::{DepartmentId, TenantId, UserId};
use crate::domain::role::Role;
use crate::http::caller::Supervisor;
use crate::http::envelope::{Data, Page};
use crate::http::error::ApiError;
use crate::http::input::{Body, Fields, Ids, Input, Params, Query, QueryInput, described_bodies};
use crate::http::state::AppState;
use crate::live::topic::Topic;
use crate::store::users::{self, User};
use crate::store::{self, Membership, departments};

/// `/api/v1/departments/{id}/users`.
pub fn routes() -> OpenApiRouter<AppState> {
    OpenApiRouter::new().routes(routes!(list_users, add_user)).routes(routes!(remove_user))
}

/// Query of a list of members, sorted by name.
#[derive(Debug)]
pub struct MemberList {
    pub(super) page: store::Page,
}

impl QueryInput for MemberList {
    fn read(params: &mut Params) -> Result<Self, ApiError> {
        Ok(Self { page: params.page()? })
    }
}

/// Body of `POST /departments/:id/users` and `POST /providers/:id/users`.
#[derive(Debug)]
pub struct AddMember {
    pub(super) user_id: UserId,
}

impl Input for AddMember {
    fn read(fields: &mut Fields) -> Self {
        Self { user_id: fields.required_id("user_id") }
    }
}

described_bodies!(AddMember);

/// Who serves a department, after a change.
#[derive(Clone, Copy, Debug, Serialize, ToSchema)]
pub struct Member {
    pub department_id: DepartmentId,
    pub user_id: UserId,
}

/// List who serves a department
///
/// By name.
#[utoipa::path(get, path = "/api/v1/departments/{id}/users", tag = "Departments",
    security(("staff" = ["supervisor"])), params(Query<MemberList>), responses((status = 200, body = Page<User>)))]
async fn list_users(
    State(state): State<AppState>,
    staff: Supervisor,
    Ids(id): Ids<DepartmentId>,
    Query(MemberList { page }): Query<MemberList>,
) -> Result<Page<User>, ApiError> {
    let members = departments::users(&state.store, staff.tenant, id, page).await?;
    members.map(Page::from).ok_or_else(ApiError::not_found)
}

/// Let a user serve a department
///
/// 201 when he begins to, 200 when he does already.
#[utoipa::path(post, path = "/api/v1/departments/{id}/users", tag = "Departments",
    security(("staff" = ["supervisor"])), request_body = AddMember,
    responses((status = 201, body = Data<Member>), (status = 200, body = Data<Member>)))]
async fn add_user(
    State(state): State<AppState>,
    staff: Supervisor,
    Ids(id): Ids<DepartmentId>,
    Body(AddMember { user_id }): Body<AddMember>,
) -> Result<Response, ApiError> {
    let mut work = state.creation(&staff).await?;
    let status = match departments::add_user(&mut work, id, user_id).await? {
        Membership::NotFound => return Err(ApiError::not_found()),
        Membership::NoUser => return Err(ApiError::field("user_id", "does not exist")),
        Membership::Changed => StatusCode::CREATED,
        Membership::Unchanged => StatusCode::OK,
    };
    let member = Data::new(Member { department_id: id, user_id });
    let answer = state.answered(work, &staff, status, member).await?;
    // Told again although unchanged: the first request may have died between the two steps.
    state.queues.agent_changed(staff.tenant, user_id).await?;
    Ok(answer)
}

/// Let a user serve a department no longer
///
/// An offer that stands before him is withdrawn; what he has he keeps. Who does not serve it is answered alike.
#[utoipa::path(delete, path = "/api/v1/departments/{id}/users/{user_id}", tag = "Departments",
    security(("staff" = ["supervisor"])), responses((status = 200, body = Data<Member>)))]
async fn remove_user(
    State(state): State<AppState>,
    staff: Supervisor,
    Ids((id, user_id)): Ids<(DepartmentId, UserId)>,
) -> Result<Data<Member>, ApiError> {
    let mut work = state.work(&staff).await?;
    match departments::remove_user(&mut work, id, user_id).await? {
        Membership::NotFound | Membership::NoUser => return Err(ApiError::not_found()),
        Membership::Changed | Membership::Unchanged => work.commit().await?,
    }
    state.queues.agent_changed(staff.tenant, user_id).await?;
    close_topics(&state, staff.tenant, id, user_id).await?;
    Ok(Data::new(Member { department_id: id, user_id }))
}

/// An attendant who serves a department no longer may not listen to it either; supervisors may anyway.
async fn close_topics(
    state: &AppState,
    tenant: TenantId,
    department: DepartmentId,
    user: UserId,
) -> Result<(), ApiError> {
    let role = users::find(&state.store, tenant, user).await?.map(|user| user.role);
    if role.is_none_or(|role| role < Role::Supervisor) {
        for topic in [Topic::Queue(department), Topic::Presence(department)] {
            state.hub.close_topic(tenant, topic, Some(user), "membership_ended");
        }
    }
    Ok(())
}
