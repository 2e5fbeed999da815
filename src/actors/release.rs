//! Owns which pushes tell of which fact of a queue, and on which topics. State events come here after their commit, in
//! the order of the record; what promises nothing comes at once.

use serde::Serialize;
use serde_json::json;

use super::queue::State;
use super::wire::{
    CallAssigned, CallEnded, CallOffered, CallProgressed, CallReturned, CallTransferred, CustomerJoined, CustomerLeft,
    CustomerPresence, CustomerTransferred, QueuePosition, WaitingCall, presence,
};
use crate::domain::call::{CallSnapshot, Phase};
use crate::live::topic::Topic;
use crate::queue::event::{ReturnReason, Said, Settled};

/// Numbers and pushes an event of `queue:`.
pub(super) fn push(state: &mut State, event: &'static str, payload: &impl Serialize) {
    state.seq += 1;
    let topic = Topic::Queue(state.department);
    state.shared.hub.publish_sequenced(state.tenant, topic, state.epoch(), state.seq, event, payload);
}

fn push_call(state: &State, call: &CallSnapshot, event: &'static str, payload: &impl Serialize) {
    state.shared.hub.publish(state.tenant, Topic::Call(call.id), event, payload);
}

/// Says what promises nothing.
pub(super) fn say(state: &mut State, said: Said) {
    match said {
        Said::Offered { call, user, expires_at, .. } => {
            push(state, "call_offered", &CallOffered { call_id: call, user_id: user, expires_at });
        }
        Said::Presence { call, present } => {
            push(state, "customer_presence", &CustomerPresence { call_id: call, presence: presence(present) });
        }
        Said::AgentAway { call, until } => {
            state.shared.hub.publish(state.tenant, Topic::Call(call), "agent_away", &json!({ "until": until }));
        }
        Said::AgentBack { call } => {
            state.shared.hub.publish(state.tenant, Topic::Call(call), "agent_back", &json!({}));
        }
        Said::Position { call, position, queue_size, estimate } => {
            let payload = QueuePosition {
                position,
                queue_size,
                estimated_wait_time: estimate.p50_seconds,
                estimated_wait_time_p90: estimate.p90_seconds,
            };
            state.shared.hub.publish(state.tenant, Topic::Call(call), "queue_position", &payload);
        }
    }
}

/// Tells of a committed change; the view already knows it.
pub(super) fn settled(state: &mut State, settled: &Settled) {
    let queue_size = state.view.queue_size();
    match settled {
        Settled::Joined(call) => {
            let shown = WaitingCall::of(call, state.view.position(call), state.is_present(call.id));
            push(state, "customer_joined", &CustomerJoined { call: shown, queue_size, returned: None });
        }
        Settled::Assigned(call) => {
            let payload = CallAssigned {
                call_id: call.id,
                user_id: call.user_id,
                user_name: call.user_name.clone(),
                queue_size,
                wait_time: call.wait_seconds(),
            };
            push(state, "call_assigned", &payload);
            push_call(state, call, "call_assigned", &json!({ "agent_name": call.user_name }));
            state.tell_call(call, true);
        }
        Settled::Started(call) => {
            let payload = CallProgressed { call_id: call.id, user_id: call.user_id, duration: None, end_reason: None };
            push(state, "call_started", &payload);
            push_call(state, call, "call_started", &json!({ "started_at": call.started_at }));
            state.tell_call(call, true);
        }
        Settled::Returned { call, from, reason } => {
            let position = state.view.position(call);
            let shown = WaitingCall::of(call, position, state.is_present(call.id));
            let joined = CustomerJoined { call: shown, queue_size, returned: Some(reason.as_str()) };
            push(state, "customer_joined", &joined);
            push_call(state, call, "call_returned_to_queue", &CallReturned { position, reason: reason.as_str() });
            if *reason == ReturnReason::Transferred {
                metrics::counter!("vez_calls_transferred_total").increment(1);
            }
            state.shared.hub.close_topic(state.tenant, Topic::Call(call.id), Some(*from), "returned");
            state.tell_call(call, false);
        }
        Settled::Transferred { call, from, handover } => {
            let payload = CallTransferred {
                call_id: call.id,
                user_id: *from,
                to_department_id: call.department_id,
                to_user_id: call.transfer.as_ref().and_then(|transfer| transfer.to_user_id),
                queue_size,
            };
            push(state, "call_transferred", &payload);
            if let Some(from) = from {
                state.shared.hub.close_topic(state.tenant, Topic::Call(call.id), Some(*from), "transferred");
                state.tell_call(call, false);
            }
            metrics::counter!("vez_calls_transferred_total").increment(1);
            state.hand_over(handover.clone());
        }
        Settled::Adopted(call) => {
            let position = state.view.position(call);
            let shown = WaitingCall::of(call, position, state.is_present(call.id));
            let returned = Some(ReturnReason::Transferred.as_str());
            push(state, "customer_joined", &CustomerJoined { call: shown, queue_size, returned });
            let estimate = position.map(|position| state.core.estimate_at(position)).unwrap_or_default();
            let payload = CustomerTransferred {
                department_id: state.department,
                department_name: state.core.settings().name.clone(),
                position,
                queue_size,
                estimated_wait_time: estimate.p50_seconds,
                estimated_wait_time_p90: estimate.p90_seconds,
            };
            push_call(state, call, "call_transferred", &payload);
        }
        Settled::Ended(call) => ended(state, call, queue_size),
        Settled::Noted(_) => {}
    }
}

fn ended(state: &mut State, call: &CallSnapshot, queue_size: u32) {
    // A call that ends out of the line has no agent; one that ends beside an agent was no longer in line.
    match call.user_id {
        None => {
            push(state, "customer_left", &CustomerLeft { call_id: call.id, reason: call.end_reason, queue_size });
        }
        Some(_) => {
            let payload = CallProgressed {
                call_id: call.id,
                user_id: call.user_id,
                duration: call.duration_seconds(),
                end_reason: call.end_reason,
            };
            push(state, "call_completed", &payload);
        }
    }
    debug_assert_eq!(call.phase, Phase::Ended);
    // Whoever left may say why, too: every ended call can be rated while its rating is open.
    let payload = CallEnded { status: call.status(), end_reason: call.end_reason, can_evaluate: true };
    push_call(state, call, "call_ended", &payload);
    if let Some(user) = call.user_id {
        state.shared.hub.close_topic(state.tenant, Topic::Call(call.id), Some(user), "ended");
    }
    state.tell_call(call, false);
    state.link.calls.remove(&call.id);
}
