//! The customer bot: joins through a link by REST, perhaps opens a socket, waits to be served, perhaps rates.
//!
//! A join that was not acknowledged is sent again under the same key, as a browser would; what was acknowledged goes
//! to the ledger.

use std::sync::Arc;
use std::time::{Duration, Instant};

use serde::Deserialize;
use tokio::sync::watch;

use crate::client::frames::Vsn;
use crate::client::http::{Joined, RestError};
use crate::client::socket::{Pushes, Socket, SocketError};
use crate::clock;
use crate::latency::Step;
use crate::ledger::Join;
use crate::target::Link;
use crate::world::World;

/// Tries of one join before the customer goes away.
const JOIN_TRIES: u32 = 40;
/// Pause between tries.
const JOIN_PAUSE: Duration = Duration::from_millis(250);
/// A join without a socket counts as present for 10 s; one less, for what passes on the way.
const PRESENT_AFTER_JOIN: Duration = Duration::from_secs(9);
/// Pause before a lost socket is opened again.
const RECONNECT_PAUSE: Duration = Duration::from_millis(500);

/// What a customer is going to do.
#[derive(Debug, Clone)]
pub struct Plan {
    pub link: Link,
    pub name: String,
    pub intended_at: Instant,
    /// Whether this customer's latencies count.
    pub measured: bool,
    /// Whether he opens a socket, as every browser does.
    pub opens_socket: bool,
    /// The rating he gives after the end, if he gives one; needs a socket.
    pub rating: Option<u8>,
}

/// A key under which a join can be repeated.
#[must_use]
pub fn new_join_key() -> String {
    format!("{:032x}", rand::random::<u128>())
}

/// Lives one customer's life. Returns the call id once it is over, or `None` when he never got in.
pub async fn live(world: Arc<World>, plan: Plan, mut stop: watch::Receiver<bool>) -> Option<String> {
    let free_agent = world.fleet.arrive(&plan.link.department_id);
    let Some(joined) = join(&world, &plan, free_agent, &stop).await else {
        world.fleet.settle(&plan.link.department_id);
        return None;
    };
    if plan.opens_socket {
        while !*stop.borrow() {
            match wait_on_socket(&world, &joined, &mut stop).await {
                Ok(()) => break,
                Err(SocketError::Refused(refusal)) => {
                    world.error("customer's channel", &refusal.reason);
                    break;
                }
                Err(error) => {
                    world.ledger.present_until(&joined.call_id, Some(clock::now()));
                    world.error("customer disconnected", &error);
                    tokio::time::sleep(RECONNECT_PAUSE).await;
                }
            }
        }
        if let Some(rating) = plan.rating.filter(|_| !*stop.borrow()) {
            rate(&world, &joined.call_id, rating, Some(&joined.websocket_token)).await;
        }
    }
    Some(joined.call_id)
}

async fn join(world: &World, plan: &Plan, free_agent: bool, stop: &watch::Receiver<bool>) -> Option<Joined> {
    let key = new_join_key();
    for _ in 0..JOIN_TRIES {
        let sent_at = clock::now();
        match world.rest.join(&plan.link.token, &plan.name, &key).await {
            Ok(joined) => {
                let acknowledged_at = clock::now();
                if plan.measured {
                    world.latencies.record(Step::JoinAcknowledged, acknowledged_at - plan.intended_at);
                }
                let join = Join {
                    key,
                    websocket_token: joined.websocket_token.clone(),
                    intended_at: plan.intended_at,
                    sent_at,
                    acknowledged_at,
                    present_until: Some(acknowledged_at + PRESENT_AFTER_JOIN),
                    free_agent,
                    measured: plan.measured,
                };
                let ledger = &world.ledger;
                let department_id = &plan.link.department_id;
                let (offered, offered_after) =
                    ledger.join_acknowledged(&joined.call_id, department_id, joined.protocol, join);
                world.record_offer(offered_after);
                if offered {
                    // The offer overtook the answer; the agent could not know the department then.
                    world.fleet.settle(department_id);
                }
                return Some(joined);
            }
            Err(error) if error.is_passing() && !*stop.borrow() => {
                world.retried();
                tokio::time::sleep(JOIN_PAUSE).await;
            }
            Err(error) => {
                if !*stop.borrow() {
                    world.error("join", &error);
                }
                return None;
            }
        }
    }
    world.error("join", &"given up");
    None
}

#[derive(Deserialize)]
struct CustomerView {
    status: String,
    #[serde(default)]
    protocol: Option<u64>,
}

#[derive(Deserialize)]
struct CallEnded {
    status: String,
}

/// Opens a socket and stays on it until the call has ended or the run stops.
async fn wait_on_socket(world: &World, joined: &Joined, stop: &mut watch::Receiver<bool>) -> Result<(), SocketError> {
    let malformed = |error: serde_json::Error| SocketError::Malformed(error.to_string());
    let socket = Socket::connect(world.rest.authority(), &joined.websocket_token, Vsn::V2).await?;
    let topic = format!("call:{}", joined.call_id);
    let (mut channel, view) = socket.join(&topic, "{}".to_owned(), Pushes::Keep).await?;
    let view: CustomerView = serde_json::from_str(view.get()).map_err(malformed)?;
    if let Some(protocol) = view.protocol {
        world.ledger.learn_protocol(&joined.call_id, protocol);
    }
    if is_final(&view.status) {
        world.ledger.ended(&joined.call_id, &view.status);
        return Ok(());
    }
    world.ledger.present_until(&joined.call_id, None);
    loop {
        let push = tokio::select! {
            push = channel.next() => push.ok_or_else(|| channel.closed())?,
            _ = stop.wait_for(|stopped| *stopped) => return Ok(()),
        };
        match push.event.as_str() {
            "call_ended" => {
                let ended: CallEnded = serde_json::from_str(push.payload.get()).map_err(malformed)?;
                world.ledger.ended(&joined.call_id, &ended.status);
                return Ok(());
            }
            "call_returned_to_queue" => world.ledger.returned(&joined.call_id),
            _ => {}
        }
    }
}

/// Rates a call that has ended; true when the server acknowledged it.
pub async fn rate(world: &World, call_id: &str, rating: u8, websocket_token: Option<&str>) -> bool {
    world.ledger.rating_attempted(call_id, rating);
    match world.rest.evaluate(call_id, rating, websocket_token).await {
        Ok(_) => {
            world.ledger.rating_acknowledged(call_id, rating);
            true
        }
        // A rating whose answer was lost may be there already; which of the two, the next look at the call tells.
        Err(RestError::NoAnswer(_)) => false,
        Err(error) => {
            world.error("rating", &error);
            false
        }
    }
}

fn is_final(status: &str) -> bool {
    matches!(status, "completed" | "missed" | "cancelled")
}
