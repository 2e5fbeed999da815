//! Owns the chat of a call on the wire, for agents who are not on its socket: reading it, and saying something. Sockets
//! have it in `ws/channels/signalling`; both keep a message first and deliver it then.

use axum::extract::State;
use serde_json::json;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::calls::visible;
use crate::actors::handle::Rejection;
use crate::domain::call::Phase;
use crate::domain::ids::CallId;
use crate::http::caller::Staff;
use crate::http::envelope::{Created, Page};
use crate::http::error::ApiError;
use crate::http::input::{Body, Fields, Ids, Input, Params, Query, QueryInput, described_bodies};
use crate::http::state::AppState;
use crate::live::hub::SubscriberKind;
use crate::live::topic::Topic;
use crate::store::call_messages::{self, CallMessage};
use crate::store::{self, Store};

/// Longest chat message (realtime.md).
const MESSAGE_CHARS_MAX: usize = 4_000;

/// `/api/v1/calls/:id/messages`.
pub fn routes() -> OpenApiRouter<AppState> {
    OpenApiRouter::new().routes(routes!(list_messages, send_message))
}

/// Query of the list.
#[derive(Debug)]
pub struct MessageList(store::Page);

impl QueryInput for MessageList {
    fn read(params: &mut Params) -> Result<Self, ApiError> {
        Ok(Self(params.page()?))
    }
}

/// Body of `POST /calls/:id/messages`.
#[derive(Debug)]
pub struct CreateMessage {
    text: String,
}

impl Input for CreateMessage {
    fn read(fields: &mut Fields) -> Self {
        Self { text: fields.required_text("text", MESSAGE_CHARS_MAX) }
    }
}

described_bodies!(CreateMessage);

/// List the chat of a call
///
/// Oldest first.
#[utoipa::path(get, path = "/api/v1/calls/{id}/messages", tag = "Calls", security(("staff" = ["attendant"])),
    params(Query<MessageList>), responses((status = 200, body = Page<CallMessage>)))]
async fn list_messages(
    State(store): State<Store>,
    staff: Staff,
    Ids(id): Ids<CallId>,
    Query(MessageList(page)): Query<MessageList>,
) -> Result<Page<CallMessage>, ApiError> {
    visible(&store, &staff, id).await?;
    Ok(call_messages::list(&store, staff.tenant, id, page).await?.into())
}

/// Say something to the customer
///
/// Only the agent of an assigned or active call speaks in it. The message is kept, and pushed to the customer's device as
/// `message` on `call:` when one is connected.
#[utoipa::path(post, path = "/api/v1/calls/{id}/messages", tag = "Calls", security(("staff" = ["attendant"])),
    request_body = CreateMessage, responses((status = 201, body = crate::http::envelope::Data<CallMessage>)))]
async fn send_message(
    State(state): State<AppState>,
    staff: Staff,
    Ids(id): Ids<CallId>,
    Body(CreateMessage { text }): Body<CreateMessage>,
) -> Result<Created<CallMessage>, ApiError> {
    visible(&state.store, &staff, id).await?;
    let refused = |rejection: Rejection| ApiError::from(crate::actors::handle::CallError::Rejected(rejection));
    let parties = state.queues.parties(staff.tenant, id).await?.ok_or_else(|| refused(Rejection::CallEnded))?;
    if parties.agent != Some(staff.user) || !matches!(parties.phase, Phase::Assigned | Phase::Active) {
        return Err(refused(Rejection::NotYourCall));
    }
    let mut work = state.creation(&staff).await?;
    let message = call_messages::add(&mut work, id, &text).await?;
    let created = state.created(work, &staff, message).await?;
    let topic = Topic::Call(id);
    let devices = state.hub.devices(staff.tenant, topic);
    // The last device to join is a side's active one.
    let last = |kind: SubscriberKind| devices.iter().rev().find(|(_, one)| *one == kind).map(|(device, _)| *device);
    if let Some(customer) = last(SubscriberKind::Customer) {
        let from = last(SubscriberKind::Staff { user: staff.user });
        let payload = json!({ "text": text, "from": from, "sent_at": created.0.sent_at });
        state.hub.publish_to(staff.tenant, topic, customer, "message", &payload);
    }
    Ok(created)
}
