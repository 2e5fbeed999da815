//! Owns `tenant:{tenant_id}`: the company's dashboard, for supervisors up. It takes no commands; its pushes come from the
//! tenant's actor.

use super::{Joined, Place, Snapshot, Wish};
use crate::domain::ids::TenantId;
use crate::domain::role::Role;
use crate::live::hub::Sink;
use crate::live::push::Sequence;
use crate::ws::problem::Problem;

pub(super) async fn join(place: &Place, tenant: TenantId, wish: Wish, sink: Sink) -> Result<Joined, Problem> {
    let (_, role) = place.staff()?;
    if role < Role::Supervisor || tenant != place.tenant() {
        return Err(Problem::unauthorized());
    }
    let membership = place.subscribe(sink);
    let snapshot = snapshot(place).await?;
    Ok(place.resume(membership, wish, snapshot))
}

pub(super) async fn snapshot(place: &Place) -> Result<Snapshot, Problem> {
    let state = place.state.queues().dashboard(place.tenant()).await?;
    let sequence = Some(Sequence { epoch: state.epoch, seq: state.seq });
    Ok(Snapshot { event: "resync", json: serde_json::to_string(&state)?, sequence })
}
