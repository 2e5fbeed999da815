//! Owns `queue:{department_id}`: a department's line for its staff and for supervisors. Its pushes come from the queue's
//! actor.

use serde::Deserialize;
use serde_json::json;
use serde_json::value::RawValue;

use super::{Joined, NamesCall, Place, Snapshot, Wish, call_taken, read};
use crate::domain::ids::DepartmentId;
use crate::live::hub::Sink;
use crate::live::push::Sequence;
use crate::ws::problem::Problem;

/// Most waiting calls in one page of `list`: with some 250 bytes each a page stays below 128 KiB.
const PAGE_MAX: u32 = 500;
/// A page of `list` when the client names none: as many as the join shows.
const PAGE: u32 = 100;

pub(super) async fn join(place: &Place, department: DepartmentId, wish: Wish, sink: Sink) -> Result<Joined, Problem> {
    place.may_see(department).await?;
    let membership = place.subscribe(sink);
    let snapshot = snapshot(place, department).await?;
    Ok(place.resume(membership, wish, snapshot))
}

pub(super) async fn snapshot(place: &Place, department: DepartmentId) -> Result<Snapshot, Problem> {
    let state = place.state.queues().queue_state(place.tenant(), department).await?;
    let sequence = Some(Sequence { epoch: state.epoch, seq: state.seq });
    Ok(Snapshot { event: "resync", json: serde_json::to_string(&state)?, sequence })
}

#[derive(Deserialize)]
struct List {
    #[serde(default)]
    after_position: u32,
    #[serde(default)]
    limit: Option<u32>,
}

pub(super) async fn command(
    place: &Place,
    department: DepartmentId,
    event: &str,
    payload: &RawValue,
) -> Result<String, Problem> {
    let (user, _) = place.staff()?;
    let (tenant, queues) = (place.tenant(), place.state.queues());
    match event {
        "list" => {
            let List { after_position, limit } = read(payload)?;
            let limit = limit.unwrap_or(PAGE).clamp(1, PAGE_MAX);
            let waiting = queues.queue_list(tenant, department, after_position, limit).await?;
            Ok(serde_json::to_string(&json!({ "waiting": waiting }))?)
        }
        "pull" => {
            let NamesCall { call_id } = read(payload)?;
            let here = queues.parties(tenant, call_id).await?.is_some_and(|call| call.department_id == department);
            if !here {
                return Err(Problem::new("unknown_call", "There is no such call in this queue."));
            }
            call_taken(&queues.pick(tenant, call_id, user, user).await?)
        }
        _ => Err(Problem::unknown_event()),
    }
}
