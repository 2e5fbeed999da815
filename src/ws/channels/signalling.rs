//! Owns what passes between the two sides of a call: SDP, candidates, mutes and chat. It goes from one side's active device
//! to the other's, is never dropped and never read here, except for chat, which is kept with the call first.

use serde_json::value::RawValue;
use serde_json::{Map, Value, json};

use super::call::{Message, Side, active, side_of};
use super::{Place, check_text, read};
use crate::domain::call::Phase;
use crate::domain::ids::CallId;
use crate::store::call_messages::{self, Sender};
use crate::ws::problem::Problem;

/// Longest chat message (spec).
const MESSAGE_CHARS_MAX: usize = 4_000;

/// Where a message goes: the other side's active device, when it has one.
struct Route {
    side: Side,
    to: Option<crate::domain::ids::DeviceId>,
}

/// Who may push is asked at each push, of the call's present customer and agent.
async fn route(place: &Place, call: CallId) -> Result<Route, Problem> {
    let (tenant, state) = (place.tenant(), &place.state);
    let parties = state.queues().parties(tenant, call).await?;
    let parties = parties.ok_or(Problem::new("call_ended", "The call has ended."))?;
    let side = side_of(place, &parties).ok_or(Problem::not_your_call())?;
    if !matches!(parties.phase, Phase::Assigned | Phase::Active) {
        return Err(Problem::new("wrong_state", "There is nobody on the other side of this call yet."));
    }
    let devices = state.hub().devices(tenant, place.topic);
    if active(&devices, side.kind(&parties)) != Some(place.device) {
        return Err(Problem::new("not_active_device", "Another device of yours has joined this call since."));
    }
    Ok(Route { side, to: active(&devices, side.other().kind(&parties)) })
}

pub(super) async fn command(place: &Place, call: CallId, event: &str, payload: &RawValue) -> Result<String, Problem> {
    let (tenant, state) = (place.tenant(), &place.state);
    let event = match event {
        "signal" => "signal",
        "ice_candidate" => "ice_candidate",
        "mute" => "mute",
        _ => "message",
    };
    let from = json!(place.device);
    if event == "message" {
        let Message { text } = read(payload)?;
        check_text(&text, MESSAGE_CHARS_MAX)?;
        let route = route(place, call).await?;
        let sender = match route.side {
            Side::Customer => Sender::Customer,
            Side::Agent => Sender::Agent,
        };
        let now = state.clock().now();
        if !call_messages::keep(state.store(), tenant, call, sender, &text, now).await? {
            return Err(Problem::new("unknown_call", "There is no such call."));
        }
        let payload = json!({ "text": text, "from": from, "sent_at": now });
        let delivered = route.to.is_some_and(|to| state.hub().publish_to(tenant, place.topic, to, event, &payload));
        return Ok(json!({ "delivered": delivered }).to_string());
    }
    let mut payload: Map<String, Value> = read(payload)?;
    payload.insert("from".to_owned(), from);
    let route = route(place, call).await?;
    let delivered = route.to.is_some_and(|to| state.hub().publish_to(tenant, place.topic, to, event, &payload));
    if delivered {
        Ok(super::done())
    } else {
        Err(Problem::new("peer_absent", "The other side is not connected now. Negotiate again when it has joined."))
    }
}
