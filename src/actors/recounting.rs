//! Owns when companies' sums are counted anew: one company at a time in the whole server, since each count reads everything the
//! company has. It happens after a company moved to another time zone, after an upgrade from before there were any sums, and
//! when somebody asks. It decides nothing about the sums: the store says whose are outdated, and mends them.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio::time::timeout;

use crate::domain::clock::Clock;
use crate::domain::ids::TenantId;
use crate::store::recount::{Recounted, outdated, recount};
use crate::store::{Result, Store};

/// Between two looks; the bell of a company that moves is heard at once.
const EVERY: Duration = Duration::from_secs(60);
/// How long whoever asks waits for another count to end: most take less than a second.
const TURN_WITHIN: Duration = Duration::from_secs(2);

/// Counts anew, one company at a time. Clones share the turn.
#[derive(Clone, Debug)]
pub struct Recounts {
    store: Store,
    turn: Arc<Semaphore>,
}

impl Recounts {
    /// Nobody's turn yet.
    pub fn new(store: Store) -> Self {
        Self { store, turn: Arc::new(Semaphore::new(1)) }
    }

    /// Counts a company's sums anew because somebody asks. `None` while another count is under way.
    pub async fn ask(&self, tenant: TenantId) -> Result<Option<Recounted>> {
        let Ok(Ok(turn)) = timeout(TURN_WITHIN, self.turn.clone().acquire_owned()).await else { return Ok(None) };
        let store = self.store.clone();
        // In a task of its own: Postgres goes on for whoever asked and left, and so does his turn.
        let counting = tokio::spawn(async move {
            let _turn = turn;
            recount(&store, tenant).await
        });
        counting.await.unwrap_or_else(|fault| {
            tracing::error!(%fault, "a count of sums panicked");
            Ok(None)
        })
    }

    /// Looks for outdated sums at the start, when the bell rings, and now and then, for ever. Spawned once by whoever starts
    /// the server.
    pub async fn run(self, clock: Clock) {
        let bell = self.store.bells().time_zones.clone();
        loop {
            if let Err(error) = self.round().await {
                tracing::warn!(%error, "sums could not be counted anew; the next round tries again");
            }
            tokio::select! {
                () = bell.rung() => {}
                () = clock.sleep(EVERY) => {}
            }
        }
    }

    async fn round(&self) -> Result<()> {
        for tenant in outdated(&self.store).await? {
            let Ok(_turn) = self.turn.acquire().await else { return Ok(()) };
            tracing::info!(%tenant, "counting the company's sums anew");
            if let Some(changed) = recount(&self.store, tenant).await? {
                tracing::info!(%tenant, ?changed, "the company's sums are current");
            }
        }
        Ok(())
    }
}
