//! Owns `presence:{department_id}`: who of a department is there. Joining only subscribes; an agent is present while his
//! lease holds. The differences come from the tenant's actor.

use serde::Deserialize;
use serde_json::value::RawValue;

use super::{Joined, Place, Snapshot, check_text, done, read};
use crate::domain::agent::{AgentStatus, Intent};
use crate::domain::ids::{DepartmentId, UserId};
use crate::domain::role::Role;
use crate::live::hub::Sink;
use crate::store;
use crate::ws::problem::Problem;

/// Longest reason of a pause: it is shown in one line.
const REASON_CHARS_MAX: usize = 200;

pub(super) async fn join(place: &Place, department: DepartmentId, sink: Sink) -> Result<Joined, Problem> {
    place.may_see(department).await?;
    // Supervisors may see every department; only its queue knows whether there is such a one.
    place.state.queues().department_figures(place.tenant(), department).await?;
    let membership = place.subscribe(sink);
    let state = snapshot(place, department).await?;
    Ok(Joined {
        membership,
        response: done(),
        sequence: None,
        replayed: Vec::new(),
        first: vec![(state.event, state.json)],
    })
}

pub(super) async fn snapshot(place: &Place, department: DepartmentId) -> Result<Snapshot, Problem> {
    let state = place.state.queues().presence(place.tenant(), department).await?;
    Ok(Snapshot { event: "presence_state", json: serde_json::to_string(&state)?, sequence: None })
}

#[derive(Deserialize)]
struct SetStatus {
    status: AgentStatus,
    #[serde(default)]
    reason: Option<String>,
    #[serde(default)]
    after_call: bool,
    /// Whose; a supervisor may choose for somebody else, who is told by whom.
    #[serde(default)]
    user_id: Option<UserId>,
}

pub(super) async fn command(place: &Place, event: &str, payload: &RawValue) -> Result<String, Problem> {
    let (me, role) = place.staff()?;
    if event != "set_status" {
        return Err(Problem::unknown_event());
    }
    let SetStatus { status, reason, after_call, user_id } = read(payload)?;
    let user = user_id.unwrap_or(me);
    if user != me && role < Role::Supervisor {
        return Err(Problem::new("forbidden", "Only supervisors may choose a status for somebody else."));
    }
    if let Some(reason) = &reason {
        check_text(reason, REASON_CHARS_MAX)?;
    }
    // Only a pause has a reason.
    let reason = reason.filter(|_| status == AgentStatus::Paused).map(Into::into);
    let intent = Intent { status, reason };
    let by = if user == me {
        None
    } else {
        let found = store::users::find(place.state.store(), place.tenant(), me).await?;
        Some((me, found.ok_or(Problem::unauthorized())?.name))
    };
    place.state.queues().set_status(place.tenant(), user, by, intent, after_call).await?;
    Ok(done())
}
