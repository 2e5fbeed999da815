//! Owns counting a company's sums anew after it moved to another time zone, and after an upgrade from before there were any.
//! It decides nothing: the store says whose sums are outdated, and mends them.

use std::time::Duration;

use crate::domain::clock::Clock;
use crate::store::recount::{outdated, recount};
use crate::store::{Result, Store};

/// Between two looks; the bell of a company that moves is heard at once.
const EVERY: Duration = Duration::from_secs(60);

/// Looks at the start, when the bell rings, and now and then, for ever. Spawned once by whoever starts the server.
pub async fn run(store: Store, clock: Clock) {
    let bell = store.bells().time_zones.clone();
    loop {
        if let Err(error) = round(&store).await {
            tracing::warn!(%error, "sums could not be counted anew; the next round tries again");
        }
        tokio::select! {
            () = bell.rung() => {}
            () = clock.sleep(EVERY) => {}
        }
    }
}

async fn round(store: &Store) -> Result<()> {
    for tenant in outdated(store).await? {
        tracing::info!(%tenant, "counting the company's sums anew");
        if let Some(changed) = recount(store, tenant).await? {
            tracing::info!(%tenant, ?changed, "the company's sums are current");
        }
    }
    Ok(())
}
