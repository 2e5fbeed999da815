//! Owns the audit trail on the wire. Nothing writes it here: the database does, with each change.

use axum::extract::State;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use uuid::Uuid;

use super::calls::zone_of;
use crate::domain::ids::UserId;
use crate::http::caller::Manager;
use crate::http::envelope::Page;
use crate::http::error::ApiError;
use crate::http::input::{DayOrTime, Params, Query, QueryInput, WORD_CHARS_MAX};
use crate::http::state::AppState;
use crate::store;
use crate::store::audit::{self, Action, AuditEntry, AuditFilter};

/// `/api/v1/audit`.
pub fn routes() -> OpenApiRouter<AppState> {
    OpenApiRouter::new().routes(routes!(list))
}

/// Query of the list.
#[derive(Debug)]
pub struct AuditList {
    user_id: Option<UserId>,
    object: Option<String>,
    object_id: Option<Uuid>,
    action: Option<Action>,
    date_from: Option<DayOrTime>,
    date_to: Option<DayOrTime>,
    page: store::Page,
}

impl QueryInput for AuditList {
    fn read(params: &mut Params) -> Result<Self, ApiError> {
        Ok(Self {
            user_id: params.id("user_id")?,
            object: params.text("object", WORD_CHARS_MAX)?,
            object_id: params.id("object_id")?,
            action: params.word("action")?,
            date_from: params.day_or_time("date_from")?,
            date_to: params.day_or_time("date_to")?,
            page: params.page()?,
        })
    }
}

/// List what staff did
///
/// Each object that a member of staff created, changed or deleted, the newest first, with what its fields were and became. The
/// values of secrets and of personal data are not kept; what happened to a call is told by its own events.
#[utoipa::path(get, path = "/api/v1/audit", tag = "Company", security(("staff" = ["manager"])),
    params(Query<AuditList>), responses((status = 200, body = Page<AuditEntry>)))]
async fn list(
    State(state): State<AppState>,
    staff: Manager,
    Query(query): Query<AuditList>,
) -> Result<Page<AuditEntry>, ApiError> {
    let zone = zone_of(&state.store, staff.tenant).await?;
    let filter = AuditFilter {
        user_id: query.user_id,
        object: query.object,
        object_id: query.object_id,
        action: query.action,
        date_from: query.date_from.map(|from| from.start(zone)),
        date_to: query.date_to.map(|to| to.end(zone)),
    };
    Ok(audit::list(&state.store, staff.tenant, &filter, query.page).await?.into())
}
