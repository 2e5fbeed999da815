//! Owns what the start and the passing of time do to logins: what was ended lately is not believed again, and what has
//! expired is deleted.

use std::time::Duration;

use crate::auth::Revocations;
use crate::domain::clock::{Clock, Timestamp};
use crate::store::{Result, Store, password_resets, sessions, users};

/// Between two rounds of deleting.
const PRUNE_PERIOD: Duration = Duration::from_secs(60 * 60);
/// How long expired rows are kept, so that a token used twice after its time is still known for one.
const KEPT: Duration = Duration::from_secs(24 * 60 * 60);
/// Rows deleted by one statement, so that none holds locks for long.
const PRUNED_AT_ONCE: i64 = 1_000;

/// Tells `revocations` what happened within the life of an access token before this start.
pub async fn recall(
    store: &Store,
    revocations: &Revocations,
    now: Timestamp,
    access_seconds: u64,
) -> Result<()> {
    let since = now - Duration::from_secs(access_seconds);
    for login in sessions::ended_since(store, since).await? {
        revocations.end(login.session, login.issued_at);
    }
    for (user, role) in users::roles_changed_since(store, since).await? {
        revocations.change_role(user, role);
    }
    Ok(())
}

/// Deletes what has expired, every hour, for ever.
pub async fn prune_forever(store: Store, clock: Clock) {
    loop {
        clock.sleep(PRUNE_PERIOD).await;
        if let Err(error) = prune(&store, clock.now() - KEPT).await {
            tracing::warn!(%error, "expired logins could not be deleted; the next round will");
        }
    }
}

async fn prune(store: &Store, before: Timestamp) -> Result<()> {
    let full = u64::try_from(PRUNED_AT_ONCE).unwrap_or(u64::MAX);
    while sessions::prune(store, before, PRUNED_AT_ONCE).await? >= full {}
    while password_resets::prune(store, before, PRUNED_AT_ONCE).await? >= full {}
    Ok(())
}
