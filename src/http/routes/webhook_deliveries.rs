//! Owns a webhook's deliveries on the wire: what was sent and answered, tests, and replays.

use axum::extract::State;
use serde::Serialize;
use serde_json::json;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use uuid::Uuid;

use crate::domain::webhook::TEST_EVENT;
use crate::http::caller::Manager;
use crate::http::envelope::{Data, Page};
use crate::http::error::ApiError;
use crate::http::input::{Ids, Params, Query, QueryInput, WORD_CHARS_MAX};
use crate::http::state::AppState;
use crate::store::webhooks::{
    self, Delivery, DeliveryDetail, DeliveryFilter, DeliverySort, DeliveryStatus, Message, Replayed,
};
use crate::store::{self, Sort, SortOrder};

/// When to come back while too many tests are under way: about when the slowest of them are over.
const BUSY_SECONDS: u64 = 10;

/// `/api/v1/webhooks/:id/*`.
pub fn routes() -> OpenApiRouter<AppState> {
    OpenApiRouter::new()
        .routes(routes!(list_deliveries))
        .routes(routes!(show_delivery))
        .routes(routes!(test))
        .routes(routes!(replay_delivery))
        .routes(routes!(replay_dead_deliveries))
}

/// Query of the list.
#[derive(Debug)]
pub struct DeliveryList {
    filter: DeliveryFilter,
    sort: Sort<DeliverySort>,
    page: store::Page,
}

impl QueryInput for DeliveryList {
    fn read(params: &mut Params) -> Result<Self, ApiError> {
        Ok(Self {
            filter: DeliveryFilter {
                status: params.word::<DeliveryStatus>("status")?,
                event: params.text("event", WORD_CHARS_MAX)?,
            },
            sort: params.sort(DeliverySort::InsertedAt, SortOrder::Desc)?,
            page: params.page()?,
        })
    }
}

/// How many deliveries are sent anew.
#[derive(Clone, Copy, Debug, Serialize, ToSchema)]
pub struct ReplayedCount {
    replayed: u64,
}

/// List deliveries of a webhook
///
/// The newest first, each with the request and the answer of its last attempt: headers, the beginning of the answer's body,
/// and how long it took. `pending` is what is not over yet, `dead` what was given up. Kept for 30 days.
#[utoipa::path(get, path = "/api/v1/webhooks/{id}/deliveries", tag = "Webhooks", security(("staff" = ["manager"])),
    params(Query<DeliveryList>), responses((status = 200, body = Page<Delivery>)))]
async fn list_deliveries(
    State(state): State<AppState>,
    staff: Manager,
    Ids(id): Ids<Uuid>,
    Query(query): Query<DeliveryList>,
) -> Result<Page<Delivery>, ApiError> {
    webhooks::find(&state.store, staff.tenant, id).await?.ok_or_else(ApiError::not_found)?;
    let DeliveryList { filter, sort, page } = query;
    Ok(webhooks::list_deliveries(&state.store, staff.tenant, id, &filter, sort, page).await?.into())
}

/// Show a delivery
///
/// With every attempt, the last one first.
#[utoipa::path(get, path = "/api/v1/webhooks/{id}/deliveries/{delivery_id}", tag = "Webhooks",
    security(("staff" = ["manager"])), responses((status = 200, body = Data<DeliveryDetail>)))]
async fn show_delivery(
    State(state): State<AppState>,
    staff: Manager,
    Ids((id, delivery)): Ids<(Uuid, Uuid)>,
) -> Result<Data<DeliveryDetail>, ApiError> {
    webhooks::find(&state.store, staff.tenant, id).await?.ok_or_else(ApiError::not_found)?;
    shown(&state, &staff, id, delivery).await
}

/// Test a webhook
///
/// Sends an event `webhook.test` now, even if the webhook is switched off, and answers with what came of it. It is made once
/// and listed as a delivery.
#[utoipa::path(post, path = "/api/v1/webhooks/{id}/test", tag = "Webhooks", security(("staff" = ["manager"])),
    responses((status = 200, body = Data<DeliveryDetail>), (status = 429, description = "Too many tests are under way; `Retry-After` says when to come back.")))]
async fn test(
    State(state): State<AppState>,
    staff: Manager,
    Ids(id): Ids<Uuid>,
) -> Result<Data<DeliveryDetail>, ApiError> {
    let now = state.clock.now();
    let target = webhooks::target(&state.store, staff.tenant, id, now).await?.ok_or_else(ApiError::not_found)?;
    let message = Message {
        id: state.ids.next(now),
        event: TEST_EVENT.to_owned(),
        at: now,
        data: json!({ "webhook_id": id, "message": "This is a test." }).to_string(),
    };
    let busy = |_| ApiError::TooManyRequests { retry_after_seconds: BUSY_SECONDS };
    let (delivered, attempt) = state.webhooks.test(&message, &target).await.map_err(busy)?;
    let mut work = state.work(&staff).await?;
    let delivery: Uuid = state.ids.next(work.now);
    webhooks::keep_test(&mut work, id, delivery, &message, attempt, delivered).await?;
    work.commit().await?;
    shown(&state, &staff, id, delivery).await
}

/// Replay a delivery
///
/// Sends a delivery anew that is over, delivered or dead, with all its attempts before it; one that is pending stays as it
/// is. It keeps its `webhook-id`, and waits for what is still to be sent about the same call.
#[utoipa::path(post, path = "/api/v1/webhooks/{id}/deliveries/{delivery_id}/replay", tag = "Webhooks",
    security(("staff" = ["manager"])), responses((status = 200, body = Data<DeliveryDetail>)))]
async fn replay_delivery(
    State(state): State<AppState>,
    staff: Manager,
    Ids((id, delivery)): Ids<(Uuid, Uuid)>,
) -> Result<Data<DeliveryDetail>, ApiError> {
    let mut work = state.work(&staff).await?;
    match webhooks::replay(&mut work, id, delivery).await?.ok_or_else(ApiError::not_found)? {
        Replayed::Yes | Replayed::Pending => {}
        Replayed::Inactive => return Err(inactive()),
    }
    work.commit().await?;
    shown(&state, &staff, id, delivery).await
}

/// Replay all dead deliveries
///
/// Sends anew what was given up, the oldest first, up to 10,000 deliveries; call it again for more.
#[utoipa::path(post, path = "/api/v1/webhooks/{id}/replay", tag = "Webhooks", security(("staff" = ["manager"])),
    responses((status = 200, body = Data<ReplayedCount>)))]
async fn replay_dead_deliveries(
    State(state): State<AppState>,
    staff: Manager,
    Ids(id): Ids<Uuid>,
) -> Result<Data<ReplayedCount>, ApiError> {
    let webhook = webhooks::find(&state.store, staff.tenant, id).await?.ok_or_else(ApiError::not_found)?;
    if !webhook.active {
        return Err(inactive());
    }
    let mut work = state.work(&staff).await?;
    let replayed = webhooks::replay_dead(&mut work, id).await?;
    work.commit().await?;
    Ok(Data::new(ReplayedCount { replayed }))
}

fn inactive() -> ApiError {
    ApiError::Rejected { code: "webhook_inactive", detail: "The webhook is switched off".into() }
}

async fn shown(state: &AppState, staff: &Manager, id: Uuid, delivery: Uuid) -> Result<Data<DeliveryDetail>, ApiError> {
    let detail = webhooks::find_delivery(&state.store, staff.tenant, id, delivery).await?;
    detail.map(Data::new).ok_or_else(ApiError::not_found)
}
