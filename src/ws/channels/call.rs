//! Owns `call:{call_id}`: the customer of the call, its present agent, supervisors as observers. State events come from
//! the queue's actor; joins and commands are here, signalling and chat in `signalling`.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::membership::Attached;
use super::signalling;
use super::{Joined, Membership, Place, Snapshot, done};
use crate::actors::handle::{CallError, CustomerState, Estimate, Parties, Party};
use crate::auth::Principal;
use crate::domain::call::{CallView, EndReason, Phase, Status};
use crate::domain::clock::Timestamp;
use crate::domain::ids::{CallId, DeviceId};
use crate::domain::role::Role;
use crate::live::hub::{Sink, SubscriberKind};
use crate::store;
use crate::store::calls::OPEN_AFTER_END_SECONDS;
use crate::ws::problem::Problem;

/// One of the two sides of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Side {
    Customer,
    Agent,
}

impl Side {
    /// The word for it in `participant_joined`.
    const fn role(self) -> &'static str {
        match self {
            Side::Customer => "customer",
            Side::Agent => "agent",
        }
    }

    pub(super) const fn other(self) -> Side {
        match self {
            Side::Customer => Side::Agent,
            Side::Agent => Side::Customer,
        }
    }

    /// Which subscribers are this side now.
    pub(super) fn kind(self, parties: &Parties) -> Option<SubscriberKind> {
        match self {
            Side::Customer => Some(SubscriberKind::Customer),
            Side::Agent => parties.agent.map(|user| SubscriberKind::Staff { user }),
        }
    }

    fn name(self, parties: &Parties) -> Arc<str> {
        match self {
            Side::Customer => Arc::clone(&parties.customer_name),
            Side::Agent => parties.agent_name.clone().unwrap_or_default(),
        }
    }
}

/// The side this place is on now; `None` for an observer.
pub(super) fn side_of(place: &Place, parties: &Parties) -> Option<Side> {
    match place.principal {
        Principal::Customer { .. } => Some(Side::Customer),
        Principal::User { user, .. } if parties.agent == Some(user) => Some(Side::Agent),
        Principal::User { .. } => None,
    }
}

/// The active device of a side: the last to join.
pub(super) fn active(devices: &[(DeviceId, SubscriberKind)], kind: Option<SubscriberKind>) -> Option<DeviceId> {
    devices.iter().rev().find(|(_, one)| Some(*one) == kind).map(|(device, _)| *device)
}

/// The customer's view of the call, as joins and resyncs show it.
#[derive(Serialize)]
struct CustomerReply<'a> {
    status: Status,
    phase: Phase,
    protocol: i64,
    position: Option<u32>,
    queue_size: u32,
    estimated_wait_time: Option<u64>,
    estimated_wait_time_p90: Option<u64>,
    department_name: &'a str,
    agent_name: Option<&'a str>,
    joined_at: Timestamp,
    #[serde(skip_serializing_if = "Option::is_none")]
    end_reason: Option<EndReason>,
}

fn open_json(state: &CustomerState) -> Result<String, Problem> {
    let Estimate { p50_seconds, p90_seconds } = state.estimate;
    Ok(serde_json::to_string(&CustomerReply {
        status: state.status,
        phase: state.phase,
        protocol: state.protocol,
        position: state.position,
        queue_size: state.queue_size,
        estimated_wait_time: p50_seconds,
        estimated_wait_time_p90: p90_seconds,
        department_name: &state.department_name,
        agent_name: state.agent_name.as_deref(),
        joined_at: state.joined_at,
        end_reason: state.end_reason,
    })?)
}

/// The customer's view of a call that is not open, from the record; refused a day after its end.
async fn ended_json(place: &Place, call: CallId) -> Result<String, Problem> {
    let view = find(place, call).await?;
    let now = place.state.clock().now();
    if view.completed_at.is_some_and(|at| at.plus_seconds(OPEN_AFTER_END_SECONDS) < now) {
        return Err(Problem::unauthorized());
    }
    Ok(serde_json::to_string(&CustomerReply {
        status: view.status,
        phase: view.phase,
        protocol: view.protocol,
        position: None,
        queue_size: 0,
        estimated_wait_time: None,
        estimated_wait_time_p90: None,
        department_name: &view.department_name,
        agent_name: view.user_name.as_deref(),
        joined_at: view.inserted_at,
        end_reason: view.end_reason,
    })?)
}

async fn find(place: &Place, call: CallId) -> Result<CallView, Problem> {
    store::calls::find(place.state.store(), place.tenant(), call).await?.ok_or(Problem::unauthorized())
}

pub(super) async fn join(place: &Place, call: CallId, sink: Sink) -> Result<Joined, Problem> {
    match place.principal {
        Principal::Customer { call: own, .. } if own == call => join_customer(place, call, sink).await,
        Principal::Customer { .. } => Err(Problem::unauthorized()),
        Principal::User { .. } => join_staff(place, call, sink).await,
    }
}

async fn join_customer(place: &Place, call: CallId, sink: Sink) -> Result<Joined, Problem> {
    let (tenant, queues) = (place.tenant(), place.state.queues());
    let mut membership = place.subscribe(sink);
    // Set before asking: an attachment whose answer never comes must be taken back too.
    membership.attached = Some(Attached::Customer(call));
    let response = match queues.attach_customer(tenant, call, place.device).await {
        Ok(state) => open_json(&state)?,
        Err(CallError::NotFound) => {
            membership.attached = None;
            let response = ended_json(place, call).await?;
            return Ok(joined(membership, response, Vec::new()));
        }
        Err(error) => return Err(error.into()),
    };
    // Nearly every customer joins alone and waits; whoever else is here is told, and told of.
    let mut first = Vec::new();
    let alone = place.state.hub().devices(tenant, place.topic).len() < 2;
    if !alone && let Some(parties) = queues.parties(tenant, call).await? {
        announce(place, Side::Customer, &parties, &mut first);
    }
    membership.announced = Some(Announced { side: Side::Customer, name: None });
    Ok(joined(membership, response, first))
}

async fn join_staff(place: &Place, call: CallId, sink: Sink) -> Result<Joined, Problem> {
    let (_, role) = place.staff()?;
    let tenant = place.tenant();
    let parties = match place.state.queues().parties(tenant, call).await {
        Ok(parties) => parties,
        Err(CallError::NotFound) => None,
        Err(error) => return Err(error.into()),
    };
    let side = parties.as_ref().and_then(|parties| side_of(place, parties));
    if side.is_none() && role < Role::Supervisor {
        return Err(Problem::unauthorized());
    }
    let mut membership = place.subscribe(sink);
    let response = serde_json::to_string(&find(place, call).await?)?;
    let mut first = Vec::new();
    if let (Some(side), Some(parties)) = (side, parties) {
        announce(place, side, &parties, &mut first);
        membership.announced = Some(Announced { side, name: Some(side.name(&parties)) });
    }
    Ok(joined(membership, response, first))
}

fn joined(membership: Membership, response: String, first: Vec<(&'static str, String)>) -> Joined {
    Joined { membership, response, sequence: None, replayed: Vec::new(), first }
}

pub(super) async fn snapshot(place: &Place, call: CallId) -> Result<Snapshot, Problem> {
    let json = match place.principal {
        Principal::Customer { .. } => match place.state.queues().customer_state(place.tenant(), call).await {
            Ok(Some(state)) => open_json(&state)?,
            Ok(None) | Err(CallError::NotFound) => ended_json(place, call).await?,
            Err(error) => return Err(error.into()),
        },
        Principal::User { .. } => serde_json::to_string(&find(place, call).await?)?,
    };
    Ok(Snapshot { event: "resync", json, sequence: None })
}

pub(super) async fn command(place: &Place, call: CallId, event: &str, payload: &RawValue) -> Result<String, Problem> {
    let (tenant, queues) = (place.tenant(), place.state.queues());
    match (event, &place.principal) {
        ("leave", Principal::Customer { .. }) => queues.leave(tenant, call).await?,
        ("leave", Principal::User { .. }) => return Err(Problem::not_your_call()),
        ("end", Principal::Customer { .. }) => queues.end(tenant, call, Party::Customer).await?,
        ("end", Principal::User { user, .. }) => queues.end(tenant, call, Party::Agent(*user)).await?,
        ("signal" | "ice_candidate" | "mute" | "message", _) => {
            return signalling::command(place, call, event, payload).await;
        }
        _ => return Err(Problem::unknown_event()),
    }
    Ok(done())
}

/// `participant_joined` and `participant_left`.
#[derive(Serialize)]
struct ParticipantPush<'a> {
    participant_id: DeviceId,
    role: &'static str,
    name: &'a str,
}

/// Tells everybody else that this device is now its side's active one in place of an earlier, and this device of the
/// other side's.
fn announce(place: &Place, side: Side, parties: &Parties, first: &mut Vec<(&'static str, String)>) {
    let (hub, tenant, topic) = (place.state.hub(), place.tenant(), place.topic);
    let mut devices = hub.devices(tenant, topic);
    devices.retain(|(device, _)| *device != place.device);
    let name = side.name(parties);
    let push = |participant_id| ParticipantPush { participant_id, role: side.role(), name: &name };
    if let Some(earlier) = active(&devices, side.kind(parties)) {
        hub.publish_from(tenant, topic, place.device, "participant_left", &push(earlier));
    }
    hub.publish_from(tenant, topic, place.device, "participant_joined", &push(place.device));
    let other = side.other();
    if let Some(participant_id) = active(&devices, other.kind(parties)) {
        let push = ParticipantPush { participant_id, role: other.role(), name: &other.name(parties) };
        if let Ok(json) = serde_json::to_string(&push) {
            first.push(("participant_joined", json));
        }
    }
}

/// That others were, or would have been, told of this device's coming.
#[derive(Clone, Debug)]
pub(super) struct Announced {
    side: Side,
    /// A customer's is looked up when somebody must be told.
    name: Option<Arc<str>>,
}

/// What to tell of a device that is going.
pub(super) struct Left {
    announced: Announced,
    /// The device of the same side that is active from now on.
    successor: Option<DeviceId>,
}

impl Announced {
    /// Whether anybody must be told, asked while the device is still on the topic (unless the server took it off).
    pub(super) fn leaving(self, place: &Place) -> Option<Left> {
        let devices = place.state.hub().devices(place.tenant(), place.topic);
        let own = devices.iter().position(|(device, _)| *device == place.device);
        let kind = match place.principal {
            Principal::Customer { .. } => SubscriberKind::Customer,
            Principal::User { user, .. } => SubscriberKind::Staff { user },
        };
        let (before, after) = match own {
            Some(index) => (devices.get(..index).unwrap_or_default(), devices.get(index + 1..).unwrap_or_default()),
            None => (devices.as_slice(), [].as_slice()),
        };
        let nobody = before.is_empty() && after.is_empty();
        let replaced = active(after, Some(kind)).is_some();
        if nobody || replaced {
            return None;
        }
        Some(Left { announced: self, successor: active(before, Some(kind)) })
    }
}

impl Left {
    /// Tells whoever is still on the topic.
    pub(super) async fn tell(self, place: &Place) {
        let (hub, tenant, topic) = (place.state.hub(), place.tenant(), place.topic);
        let Announced { side, name } = self.announced;
        let name = match (name, topic) {
            (Some(name), _) => name,
            (None, crate::live::topic::Topic::Call(call)) => match place.state.queues().parties(tenant, call).await {
                Ok(Some(parties)) => side.name(&parties),
                // The call is over, as everybody has heard.
                _ => return,
            },
            (None, _) => return,
        };
        let push = |participant_id| ParticipantPush { participant_id, role: side.role(), name: &name };
        hub.publish(tenant, topic, "participant_left", &push(place.device));
        if let Some(successor) = self.successor {
            hub.publish_from(tenant, topic, successor, "participant_joined", &push(successor));
        }
    }
}

/// A chat message.
#[derive(Deserialize)]
pub(super) struct Message {
    pub(super) text: String,
}
