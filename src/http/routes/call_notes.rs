//! Owns what staff write about a call on the wire: the agents' notes, and the supervisors' own. Each is one text.

use axum::extract::State;
use serde::Serialize;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::calls::{NOTES_CHARS_MAX, visible};
use crate::domain::ids::CallId;
use crate::http::caller::{Staff, Supervisor};
use crate::http::envelope::Data;
use crate::http::error::ApiError;
use crate::http::input::{Body, Fields, Ids, Input, described_bodies};
use crate::http::state::AppState;
use crate::store::{Store, call_notes};

/// `/api/v1/calls/:id/notes` and `/manager-notes`.
pub fn routes() -> OpenApiRouter<AppState> {
    OpenApiRouter::new()
        .routes(routes!(show_notes, update_notes))
        .routes(routes!(show_manager_notes, update_manager_notes))
}

/// Body of `PUT /calls/:id/notes`.
#[derive(Debug)]
pub struct UpdateNotes {
    notes: Option<Option<String>>,
}

impl Input for UpdateNotes {
    fn read(fields: &mut Fields) -> Self {
        Self { notes: fields.patch_text("notes", NOTES_CHARS_MAX) }
    }
}

/// Body of `POST /calls/:id/manager-notes`.
#[derive(Debug)]
pub struct UpdateManagerNotes {
    notes: Option<Option<String>>,
}

impl Input for UpdateManagerNotes {
    fn read(fields: &mut Fields) -> Self {
        let manager_notes = fields.patch_text("manager_notes", NOTES_CHARS_MAX);
        let notes = fields.patch_text("notes", NOTES_CHARS_MAX);
        let notes = manager_notes.or(notes);
        if notes.is_none() && fields.faultless() {
            fields.fault("manager_notes", "can't be blank");
        }
        Self { notes }
    }
}

described_bodies!(UpdateNotes, UpdateManagerNotes);

/// Notes of agents.
#[derive(Clone, Debug, Serialize, utoipa::ToSchema)]
pub struct CallNotes {
    pub call_id: CallId,
    pub notes: Option<String>,
}

/// Notes of supervisors.
#[derive(Clone, Debug, Serialize, utoipa::ToSchema)]
pub struct ManagerNotes {
    pub call_id: CallId,
    pub manager_notes: Option<String>,
}

/// Show the notes of a call
///
/// What its agents wrote, also with the command that completes it.
#[utoipa::path(get, path = "/api/v1/calls/{id}/notes", tag = "Calls", security(("staff" = ["attendant"])),
    responses((status = 200, body = Data<CallNotes>)))]
async fn show_notes(
    State(store): State<Store>,
    staff: Staff,
    Ids(id): Ids<CallId>,
) -> Result<Data<CallNotes>, ApiError> {
    visible(&store, &staff, id).await?;
    let notes = call_notes::notes(&store, staff.tenant, id).await?.ok_or_else(ApiError::not_found)?;
    Ok(Data::new(CallNotes { call_id: id, notes }))
}

/// Write the notes of a call
///
/// Replaces them; null or an empty text takes them away, and without the field they stay.
#[utoipa::path(put, path = "/api/v1/calls/{id}/notes", tag = "Calls", security(("staff" = ["attendant"])),
    request_body = UpdateNotes, responses((status = 200, body = Data<CallNotes>)))]
async fn update_notes(
    State(state): State<AppState>,
    staff: Staff,
    Ids(id): Ids<CallId>,
    Body(UpdateNotes { notes }): Body<UpdateNotes>,
) -> Result<Data<CallNotes>, ApiError> {
    visible(&state.store, &staff, id).await?;
    if let Some(notes) = notes {
        let mut work = state.work(&staff).await?;
        if !call_notes::set_notes(&mut work, id, notes.as_deref()).await? {
            return Err(ApiError::not_found());
        }
        work.commit().await?;
    }
    let notes = call_notes::notes(&state.store, staff.tenant, id).await?.ok_or_else(ApiError::not_found)?;
    Ok(Data::new(CallNotes { call_id: id, notes }))
}

/// Show the supervisors' notes of a call
#[utoipa::path(get, path = "/api/v1/calls/{id}/manager-notes", tag = "Calls", security(("staff" = ["supervisor"])),
    responses((status = 200, body = Data<ManagerNotes>)))]
async fn show_manager_notes(
    State(store): State<Store>,
    staff: Supervisor,
    Ids(id): Ids<CallId>,
) -> Result<Data<ManagerNotes>, ApiError> {
    let notes = call_notes::manager_notes(&store, staff.tenant, id).await?.ok_or_else(ApiError::not_found)?;
    Ok(Data::new(ManagerNotes { call_id: id, manager_notes: notes }))
}

/// Write the supervisors' notes of a call
///
/// One text for all supervisors, replaced whole, as `manager_notes` or `notes`; null takes it away. Attendants never see
/// it.
#[utoipa::path(post, path = "/api/v1/calls/{id}/manager-notes", tag = "Calls", security(("staff" = ["supervisor"])),
    request_body = UpdateManagerNotes, responses((status = 200, body = Data<ManagerNotes>)))]
async fn update_manager_notes(
    State(state): State<AppState>,
    staff: Supervisor,
    Ids(id): Ids<CallId>,
    Body(UpdateManagerNotes { notes }): Body<UpdateManagerNotes>,
) -> Result<Data<ManagerNotes>, ApiError> {
    let notes = notes.flatten();
    let mut work = state.work(&staff).await?;
    if !call_notes::set_manager_notes(&mut work, id, notes.as_deref()).await? {
        return Err(ApiError::not_found());
    }
    work.commit().await?;
    Ok(Data::new(ManagerNotes { call_id: id, manager_notes: notes }))
}
