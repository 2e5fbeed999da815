//! Owns what a member of staff learns about himself. Managing users is not here yet.

use axum::Router;
use axum::extract::State;
use axum::routing::get;
use serde::Serialize;

use crate::domain::ids::DepartmentId;
use crate::http::caller::Staff;
use crate::http::envelope::Data;
use crate::http::error::ApiError;
use crate::http::state::AppState;
use crate::store::Store;
use crate::store::users::{self, User};

/// `/api/v1/users/*`.
pub fn routes() -> Router<AppState> {
    Router::new().route("/me", get(me))
}

/// A department, as far as its members need it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct DepartmentName {
    pub id: DepartmentId,
    pub name: String,
}

/// Voki's user object, and the departments whose calls he takes.
#[derive(Clone, Debug, Serialize)]
pub struct Me {
    #[serde(flatten)]
    pub user: User,
    pub departments: Vec<DepartmentName>,
}

/// `GET /api/v1/users/me`
async fn me(State(store): State<Store>, staff: Staff) -> Result<Data<Me>, ApiError> {
    let (user, departments) = tokio::try_join!(
        users::find(&store, staff.tenant, staff.user),
        users::departments_of(&store, staff.tenant, staff.user),
    )?;
    // A token of someone who is gone or locked out is believed no longer.
    let user = user.filter(|user| user.active).ok_or_else(ApiError::unauthorized)?;
    let departments = departments.into_iter().map(|(id, name)| DepartmentName { id, name }).collect();
    Ok(Data::new(Me { user, departments }))
}
