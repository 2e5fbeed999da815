//! Owns moving calls on the wire: to another department or agent, or out of the line. Whether a call may go is decided by
//! the queues; here is found where to.

use axum::extract::State;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::calls::visible;
use crate::actors::handle::TransferredBy;
use crate::domain::call::CallView;
use crate::domain::ids::{CallId, DepartmentId, UserId};
use crate::domain::transfer::Destination;
use crate::http::caller::{Staff, Supervisor};
use crate::http::envelope::Data;
use crate::http::error::ApiError;
use crate::http::input::{Body, Fields, Ids, Input, TEXT_CHARS_MAX, described_bodies};
use crate::http::state::AppState;
use crate::store::{call_notes, departments, users};

/// `/api/v1/calls/:id/transfer` and `/cancel`.
pub fn routes() -> OpenApiRouter<AppState> {
    OpenApiRouter::new().routes(routes!(transfer)).routes(routes!(cancel))
}

/// Body of `POST /calls/:id/transfer`.
#[derive(Debug)]
pub struct TransferCall {
    department_id: Option<DepartmentId>,
    user_id: Option<UserId>,
    reason: Option<String>,
}

impl Input for TransferCall {
    fn read(fields: &mut Fields) -> Self {
        let (department_id, user_id) = (fields.id("department_id"), fields.id("user_id"));
        if department_id.is_none() && user_id.is_none() && fields.faultless() {
            fields.fault("department_id", "can't be blank");
        }
        Self { department_id, user_id, reason: fields.text("reason", TEXT_CHARS_MAX) }
    }
}

/// Body of `POST /calls/:id/cancel`; may be absent.
#[derive(Debug)]
pub struct CancelCall {
    reason: Option<String>,
}

impl Input for CancelCall {
    fn read(fields: &mut Fields) -> Self {
        Self { reason: fields.text("reason", TEXT_CHARS_MAX) }
    }
}

described_bodies!(TransferCall, CancelCall);

/// Transfer a call
///
/// To `department_id`, or to the agent `user_id`: in that department if both are given, else in the call's own if he serves
/// it, else in the first of his. An attendant transfers the call he runs; a supervisor any open one. The call keeps its
/// place by when it was joined and is `queued` again. For an agent it is kept for the time of an offer; if he does not take
/// it, it is everybody's. `reason` is shown to whoever takes it.
#[utoipa::path(post, path = "/api/v1/calls/{id}/transfer", tag = "Calls", security(("staff" = ["attendant"])),
    request_body = TransferCall, responses((status = 200, body = Data<CallView>)))]
async fn transfer(
    State(state): State<AppState>,
    staff: Staff,
    Ids(id): Ids<CallId>,
    Body(wish): Body<TransferCall>,
) -> Result<Data<CallView>, ApiError> {
    let call = visible(&state.store, &staff, id).await?;
    let to = destination(&state, &staff, call.department_id, &wish).await?;
    let by = TransferredBy { user: staff.user, supervisor: staff.supervises(), reason: wish.reason };
    Ok(Data::new(state.queues.transfer(staff.tenant, id, to, by).await?))
}

/// Where a call of `here` shall go.
async fn destination(
    state: &AppState,
    staff: &Staff,
    here: DepartmentId,
    wish: &TransferCall,
) -> Result<Destination, ApiError> {
    let (store, tenant) = (&state.store, staff.tenant);
    if let Some(department) = wish.department_id
        && departments::find(store, tenant, department).await?.is_none()
    {
        return Err(ApiError::field("department_id", "does not exist"));
    }
    let Some(user) = wish.user_id else {
        return Ok(Destination { department_id: wish.department_id.unwrap_or(here), user_id: None });
    };
    if !users::find(store, tenant, user).await?.is_some_and(|user| user.active) {
        return Err(ApiError::field("user_id", "does not exist"));
    }
    let serves: Vec<DepartmentId> =
        users::departments_of(store, tenant, user).await?.into_iter().map(|(id, _)| id).collect();
    let wanted = wish.department_id.or_else(|| serves.contains(&here).then_some(here));
    let department = match wanted {
        Some(department) if serves.contains(&department) => department,
        Some(_) => return Err(ApiError::field("user_id", "does not serve this department")),
        None => *serves.first().ok_or_else(|| ApiError::field("user_id", "serves no department"))?,
    };
    Ok(Destination { department_id: department, user_id: Some(user) })
}

/// Cancel a call
///
/// Takes a call that was not started out of the line: it ends as `withdrawn`, and its status is `cancelled`. Cancelling it
/// twice is answered alike.
#[utoipa::path(post, path = "/api/v1/calls/{id}/cancel", tag = "Calls", security(("staff" = ["supervisor"])),
    request_body = CancelCall, responses((status = 200, body = Data<CallView>)))]
async fn cancel(
    State(state): State<AppState>,
    Supervisor(staff): Supervisor,
    Ids(id): Ids<CallId>,
    Body(CancelCall { reason }): Body<CancelCall>,
) -> Result<Data<CallView>, ApiError> {
    state.queues.withdraw(staff.tenant, id, staff.user).await?;
    if let Some(reason) = reason {
        // Only now: the queue's own write of this row must not wait for ours.
        let mut work = state.work(&staff).await?;
        call_notes::set_cancel_reason(&mut work, id, &reason).await?;
        work.commit().await?;
    }
    visible(&state.store, &staff, id).await.map(Data::new)
}
