//! Owns what a member of staff sees and changes of himself. What only managers decide, his role and address among it, is in
//! `users`.

use axum::extract::State;
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::users::{locale, new_password};
use crate::auth::passwords;
use crate::domain::ids::DepartmentId;
use crate::http::caller::Staff;
use crate::http::envelope::Data;
use crate::http::error::ApiError;
use crate::http::input::{Body, Fields, Input, NAME_CHARS_MAX, described_bodies};
use crate::http::proof::{prove_password, wrong_password};
use crate::http::state::AppState;
use crate::store::sessions;
use crate::store::users::{self, User, UserChange};

/// `/api/v1/users/me`.
pub fn routes() -> OpenApiRouter<AppState> {
    OpenApiRouter::new().routes(routes!(show_me, update_me))
}

/// A department, as far as its members need it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct DepartmentName {
    pub id: DepartmentId,
    pub name: String,
}

/// Voki's user object, and the departments whose calls he takes.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct Me {
    #[serde(flatten)]
    pub user: User,
    pub departments: Vec<DepartmentName>,
}

/// Body of `PUT /users/me`.
pub struct UpdateMe {
    change: UserChange,
    password: Option<String>,
    current_password: Option<String>,
}

impl Input for UpdateMe {
    const WRAPPER: Option<&'static str> = Some("user");

    fn read(fields: &mut Fields) -> Self {
        let change = UserChange {
            name: fields.patch_required_text("name", NAME_CHARS_MAX),
            locale: locale(fields),
            avatar_url: fields.patch_https_url("avatar_url"),
            ..UserChange::default()
        };
        let password = new_password(fields);
        let current_password = fields.secret("current_password", passwords::CHARS_MAX);
        if password.is_some() && fields.is_absent("current_password") {
            fields.fault("current_password", "can't be blank");
        }
        Self { change, password, current_password }
    }
}

described_bodies!(UpdateMe);

/// Show oneself
///
/// The documented way to test a token. Voki's user object, with the departments one serves.
#[utoipa::path(get, path = "/api/v1/users/me", tag = "Users", security(("staff" = ["attendant"])),
    responses((status = 200, body = Data<Me>)))]
async fn show_me(State(state): State<AppState>, staff: Staff) -> Result<Data<Me>, ApiError> {
    // A token of someone who is gone or locked out is believed no longer.
    me(&state, &staff).await
}

/// Change oneself
///
/// What is absent stays as it is. A new `password` needs the `current_password` and a login, not an API token (403); it ends all
/// other logins of the user. Role, address and the like are changed by a manager.
#[utoipa::path(put, path = "/api/v1/users/me", tag = "Users", security(("staff" = ["attendant"])),
    request_body = UpdateMe, responses((status = 200, body = Data<Me>)))]
async fn update_me(
    State(state): State<AppState>,
    staff: Staff,
    Body(UpdateMe { mut change, password, current_password }): Body<UpdateMe>,
) -> Result<Data<Me>, ApiError> {
    let mut checked = None;
    if let Some(password) = password {
        if staff.token.is_some() {
            // Whoever got hold of an API token must not lock its owner out.
            return Err(ApiError::Forbidden);
        }
        let user = users::find(&state.store, staff.tenant, staff.user).await?.filter(|user| user.active);
        let user = user.ok_or_else(ApiError::unauthorized)?;
        prove_password(&state, &staff.slug, &user, current_password).await?;
        change.password_hash = Some(state.passwords.hash(password).await?);
        checked = Some(user.password_hash);
    }
    let mut work = state.work(&staff).await?;
    let before = users::lock(&mut work, staff.user).await?.filter(|user| user.active);
    let before = before.ok_or_else(ApiError::unauthorized)?;
    if checked.is_some_and(|hash| hash != before.password_hash) {
        // Somebody changed it between the look and the lock.
        return Err(wrong_password());
    }
    let new_password = change.password_hash.is_some();
    users::update(&mut work, staff.user, change).await?.ok_or_else(ApiError::unauthorized)?;
    let ended =
        if new_password { sessions::revoke_others(&mut work, staff.user, staff.session).await? } else { Vec::new() };
    work.commit().await?;
    state.other_logins_ended(staff.tenant, &ended);
    state.queues.agent_changed(staff.tenant, staff.user).await?;
    me(&state, &staff).await
}

async fn me(state: &AppState, staff: &Staff) -> Result<Data<Me>, ApiError> {
    let (user, departments) = tokio::try_join!(
        users::find(&state.store, staff.tenant, staff.user),
        users::departments_of(&state.store, staff.tenant, staff.user),
    )?;
    let user = user.filter(|user| user.active).ok_or_else(ApiError::unauthorized)?;
    let departments = departments.into_iter().map(|(id, name)| DepartmentName { id, name }).collect();
    Ok(Data::new(Me { user, departments }))
}
