//! Owns the notices of the caller himself: list, mark as read. Whoever has news for somebody writes them by
//! `store::notifications` and has them pushed by `Queues::notify`.

use axum::extract::State;
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::domain::ids::NotificationId;
use crate::http::caller::Staff;
use crate::http::envelope::{Data, Page};
use crate::http::error::ApiError;
use crate::http::input::{Ids, Params, Query, QueryInput};
use crate::http::state::AppState;
use crate::store;
use crate::store::notifications::{self, Notification};

/// `/api/v1/notifications/*`.
pub fn routes() -> OpenApiRouter<AppState> {
    OpenApiRouter::new().routes(routes!(list)).routes(routes!(read)).routes(routes!(read_all))
}

/// Query of the list.
#[derive(Debug)]
pub struct NotificationList {
    unread: Option<bool>,
    page: store::Page,
}

impl QueryInput for NotificationList {
    fn read(params: &mut Params) -> Result<Self, ApiError> {
        Ok(Self { unread: params.boolean("unread")?, page: params.page()? })
    }
}

/// How many notices were unread until now.
#[derive(Clone, Copy, Debug, Serialize, ToSchema)]
pub struct AllRead {
    pub read_count: u64,
}

/// List notifications
///
/// The caller's own, the newest first. `unread=true` shows only those he has not read, `unread=false` only the others. New
/// ones are pushed on the topic `notification:{user_id}` as `new_notification`.
#[utoipa::path(get, path = "/api/v1/notifications", tag = "Notifications", security(("staff" = ["attendant"])),
    params(Query<NotificationList>), responses((status = 200, body = Page<Notification>)))]
async fn list(
    State(state): State<AppState>,
    staff: Staff,
    Query(query): Query<NotificationList>,
) -> Result<Page<Notification>, ApiError> {
    Ok(notifications::list(&state.store, staff.tenant, staff.user, query.unread, query.page).await?.into())
}

/// Mark a notification as read
///
/// Again is fine; the time of the first reading stays.
#[utoipa::path(post, path = "/api/v1/notifications/{id}/read", tag = "Notifications",
    security(("staff" = ["attendant"])), responses((status = 200, body = Data<Notification>)))]
async fn read(
    State(state): State<AppState>,
    staff: Staff,
    Ids(id): Ids<NotificationId>,
) -> Result<Data<Notification>, ApiError> {
    let mut work = state.work(&staff).await?;
    let notification = notifications::mark_read(&mut work, staff.user, id).await?.ok_or_else(ApiError::not_found)?;
    work.commit().await?;
    Ok(Data::new(notification))
}

/// Mark all notifications as read
///
/// All of the caller's own; answers how many were unread.
#[utoipa::path(post, path = "/api/v1/notifications/read-all", tag = "Notifications",
    security(("staff" = ["attendant"])), responses((status = 200, body = Data<AllRead>)))]
async fn read_all(State(state): State<AppState>, staff: Staff) -> Result<Data<AllRead>, ApiError> {
    let mut work = state.work(&staff).await?;
    let read_count = notifications::mark_all_read(&mut work, staff.user).await?;
    work.commit().await?;
    Ok(Data::new(AllRead { read_count }))
}
