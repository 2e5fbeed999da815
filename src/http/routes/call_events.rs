//! Owns the timeline of a call on the wire: what happened to it, from the company's feed.

use axum::extract::State;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::calls::visible;
use crate::domain::ids::CallId;
use crate::http::caller::Staff;
use crate::http::envelope::Page;
use crate::http::error::ApiError;
use crate::http::input::{Ids, Params, Query, QueryInput};
use crate::http::state::AppState;
use crate::store::call_timeline::{self, CallEvent};
use crate::store::{self, Store, feed};

/// `/api/v1/calls/:id/events`.
pub fn routes() -> OpenApiRouter<AppState> {
    OpenApiRouter::new().routes(routes!(list_events))
}

/// Query of the list.
#[derive(Debug)]
pub struct EventList(store::Page);

impl QueryInput for EventList {
    fn read(params: &mut Params) -> Result<Self, ApiError> {
        Ok(Self(params.page()?))
    }
}

/// List what happened to a call
///
/// Oldest first: joined, each offer with its outcome, assigned, started, returned, transferred, ended, rated. `data` holds
/// ids, times and reasons; names and typed texts are elsewhere. Facts are kept for a time that the operator chooses: of a call
/// whose first one is gone nothing is told, since part of a story would mislead, and the answer is 410.
#[utoipa::path(get, path = "/api/v1/calls/{id}/events", tag = "Calls", security(("staff" = ["attendant"])),
    params(Query<EventList>),
    responses(
        (status = 200, body = Page<CallEvent>),
        (status = 410, description = "It is not kept any more.", body = Object, example = json!({"errors": {
            "detail": "What happened to this call is not kept any more", "code": "events_too_old"}})),
    ))]
async fn list_events(
    State(store): State<Store>,
    staff: Staff,
    Ids(id): Ids<CallId>,
    Query(EventList(page)): Query<EventList>,
) -> Result<Page<CallEvent>, ApiError> {
    visible(&store, &staff, id).await?;
    if feed::has_forgotten(&store, staff.tenant, id).await? {
        let detail = "What happened to this call is not kept any more".into();
        return Err(ApiError::Gone { code: "events_too_old", detail });
    }
    Ok(call_timeline::list(&store, staff.tenant, id, page).await?.into())
}
