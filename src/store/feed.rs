//! Owns the reading of a tenant's feed by a cursor, which says so when what comes next is not kept any more, and throwing away
//! what was kept long enough. Facts go oldest first, so what is kept is always the feed's end without gaps.

use super::events::{self, StoredEvent};
use super::{Result, Store};
use crate::domain::clock::Timestamp;
use crate::domain::ids::{CallId, TenantId};

/// Most facts one look at the feed returns.
pub const LOOK_MAX: u32 = 1_000;
/// Facts thrown away in one transaction: some tens of milliseconds.
const SLICE: i64 = 5_000;

/// What stands after a cursor.
#[derive(Clone, Debug, PartialEq)]
pub enum Look {
    /// The facts right after it, in order; none when it stands at the end.
    Facts(Vec<StoredEvent>),
    /// Not all that stood after it is kept, or it never was a place of this feed.
    Lost(Kept),
}

/// Which facts there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Kept {
    /// The number of the oldest fact; of the next one to come when there is none.
    pub oldest: i64,
    /// The number of the newest fact ever; 0 before the first.
    pub last: i64,
}

impl Kept {
    /// Whether nothing is missing between the cursor and what is kept.
    fn continues(self, after: i64) -> bool {
        self.oldest <= after.saturating_add(1) && after <= self.last
    }
}

/// The facts after `after`, at most `limit`; without a cursor the oldest that are kept.
pub async fn look(store: &Store, tenant: TenantId, after: Option<i64>, limit: u32) -> Result<Look> {
    let mut tx = store.tenant_tx(tenant).await?;
    let facts = events::after(&mut tx, tenant, after.unwrap_or(0), limit.min(LOOK_MAX)).await?;
    if let Some(after) = after
        && facts.first().is_none_or(|first| first.seq != after.saturating_add(1))
    {
        // At its end, or beyond a gap. Facts committed since the first look change nothing about which of both.
        let kept = kept_in(&mut tx, tenant).await?;
        return Ok(if kept.continues(after) { Look::Facts(Vec::new()) } else { Look::Lost(kept) });
    }
    Ok(Look::Facts(facts))
}

/// Which facts there are.
pub async fn kept(store: &Store, tenant: TenantId) -> Result<Kept> {
    kept_in(&mut *store.tenant_tx(tenant).await?, tenant).await
}

async fn kept_in(tx: &mut sqlx::PgConnection, tenant: TenantId) -> Result<Kept> {
    // One statement, so one snapshot: a fact that comes meanwhile is in both or in none.
    let row = sqlx::query!(
        "SELECT counter.event_seq AS last,
                COALESCE((SELECT seq FROM events WHERE tenant_id = $1 ORDER BY seq LIMIT 1), counter.event_seq + 1) AS \"oldest!\"
         FROM tenant_counters AS counter WHERE counter.tenant_id = $1",
        tenant.0
    )
    .fetch_optional(tx)
    .await?;
    Ok(row.map_or(Kept { oldest: 1, last: 0 }, |row| Kept { oldest: row.oldest, last: row.last }))
}

/// Whether what happened to a call is not known any more: it joined, and the fact that says so was thrown away.
pub async fn has_forgotten(store: &Store, tenant: TenantId, call: CallId) -> Result<bool> {
    let mut tx = store.tenant_tx(tenant).await?;
    let forgotten = sqlx::query_scalar!(
        "SELECT COALESCE((SELECT seq FROM events WHERE tenant_id = $1 ORDER BY seq LIMIT 1), counter.event_seq + 1) > 1
                AND NOT EXISTS (SELECT FROM events WHERE tenant_id = $1 AND call_id = $2 AND kind = 'call_joined')
                AS \"forgotten!\"
         FROM tenant_counters AS counter WHERE counter.tenant_id = $1",
        tenant.0,
        call.0
    )
    .fetch_optional(&mut *tx)
    .await?;
    Ok(forgotten.unwrap_or(false))
}

/// Throws away a slice of one tenant's facts from before a time; how many there were. A fact that came late, whose time is
/// older than that of those before it, waits for them: there are never gaps.
pub async fn sweep(store: &Store, before: Timestamp) -> Result<u64> {
    let done = sqlx::query!(
        "WITH due AS (
             SELECT tenants.id FROM tenants
             CROSS JOIN LATERAL (SELECT at FROM events WHERE tenant_id = tenants.id ORDER BY seq LIMIT 1) AS oldest
             WHERE oldest.at < $1 ORDER BY tenants.id LIMIT 1
         ),
         slice AS (
             SELECT events.seq, events.at FROM due
             CROSS JOIN LATERAL (SELECT seq, at FROM events WHERE tenant_id = due.id ORDER BY seq LIMIT $2) AS events
         ),
         upto AS (
             SELECT COALESCE(min(seq) FILTER (WHERE at >= $1), max(seq) + 1) AS seq FROM slice
         )
         DELETE FROM events USING due, upto WHERE events.tenant_id = due.id AND events.seq < upto.seq",
        before.to_utc(),
        SLICE
    )
    .execute(store.system())
    .await?;
    Ok(done.rows_affected())
}
