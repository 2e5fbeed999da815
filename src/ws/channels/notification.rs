//! Owns `notification:{user_id}`: one agent's own offers, calls and state, for that user only. Its join holds the agent's
//! lease; its pushes come from the tenant's actor.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::json;
use serde_json::value::RawValue;

use super::membership::Attached;
use super::{Joined, NamesCall, Place, Snapshot, Wish, call_taken, check_text, done, read};
use crate::actors::handle::NotificationState;
use crate::domain::ids::{CallId, GrantId, UserId};
use crate::domain::role::Role;
use crate::live::hub::Sink;
use crate::live::push::Sequence;
use crate::store::{self, Author, call_notes, notifications::Notification};
use crate::ws::problem::Problem;

/// Longest reason of a decline.
const REASON_CHARS_MAX: usize = 500;
/// Longest notes of a call: a few pages.
const NOTES_CHARS_MAX: usize = 10_000;

pub(super) async fn join(place: &Place, user: UserId, wish: Wish, sink: Sink) -> Result<Joined, Problem> {
    let (me, _) = place.staff()?;
    if me != user {
        return Err(Problem::unauthorized());
    }
    let mut membership = place.subscribe(sink);
    // Set before asking: an attachment whose answer never comes must be taken back too.
    membership.attached = Some(Attached::Agent(user));
    let state = place.state.queues().attach_agent(place.tenant(), user, place.device).await?;
    // Read last: a notice that is pushed before the state's number is committed by now, and one pushed after it is heard.
    let unread = unread(place, user).await;
    Ok(place.resume(membership, wish, reply(&state, &unread)?))
}

pub(super) async fn snapshot(place: &Place, user: UserId) -> Result<Snapshot, Problem> {
    let state = place.state.queues().notification_state(place.tenant(), user).await?;
    let unread = unread(place, user).await;
    reply(&state, &unread)
}

/// The lease must not depend on Postgres: offers stand and calls go on while it is away, so notices may then be missing.
async fn unread(place: &Place, user: UserId) -> Vec<Notification> {
    let read = store::notifications::unread(place.state.store(), place.tenant(), user).await;
    read.unwrap_or_else(|error| {
        tracing::debug!(%error, "notifications could not be read");
        Vec::new()
    })
}

fn reply(state: &NotificationState, unread: &[Notification]) -> Result<Snapshot, Problem> {
    #[derive(Serialize)]
    struct Reply<'a> {
        #[serde(flatten)]
        state: &'a NotificationState,
        unread: &'a [Notification],
    }
    let json = serde_json::to_string(&Reply { state, unread })?;
    Ok(Snapshot { event: "resync", json, sequence: Some(Sequence { epoch: state.epoch, seq: state.seq }) })
}

#[derive(Deserialize)]
struct NamesOffer {
    offer_id: GrantId,
}

#[derive(Deserialize)]
struct Decline {
    offer_id: GrantId,
    #[serde(default)]
    reason: Option<String>,
}

#[derive(Deserialize)]
struct Complete {
    call_id: CallId,
    #[serde(default)]
    notes: Option<String>,
}

#[derive(Deserialize)]
struct WrapUpEnd {
    #[serde(default)]
    call_id: Option<CallId>,
}

#[derive(Deserialize)]
struct WrapUpExtend {
    #[serde(default)]
    call_id: Option<CallId>,
    seconds: u32,
}

pub(super) async fn command(place: &Place, user: UserId, event: &str, payload: &RawValue) -> Result<String, Problem> {
    let (_, role) = place.staff()?;
    let (tenant, queues) = (place.tenant(), place.state.queues());
    match event {
        "accept" => {
            let NamesOffer { offer_id } = read(payload)?;
            call_taken(&queues.accept(tenant, user, offer_id).await?)
        }
        "decline" => {
            let Decline { offer_id, reason } = read(payload)?;
            if let Some(reason) = &reason {
                check_text(reason, REASON_CHARS_MAX)?;
            }
            queues.decline(tenant, user, offer_id, reason).await?;
            Ok(done())
        }
        "start" => {
            let NamesCall { call_id } = read(payload)?;
            let call = queues.start(tenant, user, call_id).await?;
            Ok(serde_json::to_string(&json!({ "call": call }))?)
        }
        "complete" => {
            let Complete { call_id, notes } = read(payload)?;
            if let Some(notes) = &notes {
                check_text(notes, NOTES_CHARS_MAX)?;
            }
            let call = queues.complete(tenant, user, role >= Role::Supervisor, call_id).await?;
            if let Some(notes) = notes {
                // Only now: the queue's own write of this row must not wait for ours. A socket's commands have no request's id.
                let author = Author { user, token: None, request_id: Arc::from("") };
                let mut work = place.state.store().work(tenant, place.state.clock().now(), Some(&author)).await?;
                call_notes::set_notes(&mut work, call_id, Some(&notes)).await?;
                work.commit().await?;
            }
            Ok(serde_json::to_string(&json!({ "call": call }))?)
        }
        "wrap_up_end" => {
            let WrapUpEnd { call_id } = read(payload)?;
            queues.wrap_up_end(tenant, user, call_id).await?;
            Ok(done())
        }
        "wrap_up_extend" => {
            let WrapUpExtend { call_id, seconds } = read(payload)?;
            let ends_at = queues.wrap_up_extend(tenant, user, call_id, seconds).await?;
            Ok(serde_json::to_string(&json!({ "ends_at": ends_at }))?)
        }
        _ => Err(Problem::unknown_event()),
    }
}
