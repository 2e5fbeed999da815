//! Owns what the start does to logins: what was ended lately, before a restart, is not believed again.

use std::time::Duration;

use crate::auth::Revocations;
use crate::domain::clock::Timestamp;
use crate::store::{Result, Store, sessions, users};

/// Tells `revocations` what happened within the life of an access token before this start.
pub async fn recall(store: &Store, revocations: &Revocations, now: Timestamp, access_seconds: u64) -> Result<()> {
    let since = now - Duration::from_secs(access_seconds);
    for login in sessions::ended_since(store, since).await? {
        revocations.end(login.session, login.issued_at);
    }
    for (user, role) in users::roles_changed_since(store, since).await? {
        revocations.change_role(user, role);
    }
    Ok(())
}
