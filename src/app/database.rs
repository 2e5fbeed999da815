//! Owns the way to the database: the embedded Postgres or an outside one, the migrations, and this process' hold on it.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;

use crate::actors::health::StorageHealth;
use crate::config;
use crate::domain::clock::{Clock, Timestamp};
use crate::domain::ids::IdSource;
use crate::store::embedded::Embedded;
use crate::store::ownership::{Claim, Ownership};
use crate::store::{self, ConnectOptions, StoreError};

/// How long to wait for another process to let go of the database: a deploy in progress (RULES.md).
pub const OWNED_WITHIN: Duration = Duration::from_secs(30);
/// How often we say that we serve; a crash forgets at most so much.
const HEARTBEAT: Duration = Duration::from_secs(1);
/// A database that does not answer by then did not hear us.
const HEARD_WITHIN: Duration = Duration::from_secs(2);
/// Missed heartbeats in a row before the storage counts as away: one may be a dropped connection.
const FAILURES_UNTIL_AWAY: u32 = 2;
/// The heartbeat's place among the reporters of the storage's health; the shards have the low ones.
const REPORTER: u32 = 63;

/// A database this process owns.
pub struct Database {
    embedded: Option<Embedded>,
    options: ConnectOptions,
    ownership: Arc<Ownership>,
}

/// Where the database is, started if it is ours to start.
pub async fn connect(config: &config::Database) -> anyhow::Result<(Option<Embedded>, ConnectOptions)> {
    match config.connection_url() {
        Some(url) => Ok((None, url.parse().context("DATABASE_URL is not a Postgres address")?)),
        None => {
            let embedded = Embedded::start(&config.data_dir).await?;
            let options = embedded.connect_options();
            Ok((Some(embedded), options))
        }
    }
}

impl Database {
    /// Brings the database up and to date, and takes it for this process alone.
    pub async fn open(config: &config::Database, clock: &Clock, ids: &IdSource) -> anyhow::Result<Self> {
        let (embedded, options) = connect(config).await?;
        let owned = async {
            // First of all, so that nothing is changed under a server that still serves.
            let claim = Claim::wait(&options, OWNED_WITHIN).await.context("cannot take the database")?;
            store::migrate(&options).await.context("cannot bring the database up to date")?;
            claim.own(ids.uuid(clock.now()), clock).await.context("cannot take the database")
        };
        match owned.await {
            Ok(ownership) => Ok(Self { embedded, options, ownership: Arc::new(ownership) }),
            Err(error) => {
                if let Some(embedded) = &embedded {
                    embedded.stop().await;
                }
                Err(error)
            }
        }
    }

    /// How to connect.
    pub fn options(&self) -> ConnectOptions {
        self.options.clone()
    }

    /// The number of this hold; every batch checks it.
    pub fn epoch(&self) -> i64 {
        self.ownership.epoch
    }

    /// When the process before us last served.
    pub fn served_until(&self) -> Option<Timestamp> {
        self.ownership.served_until
    }

    /// Says every second that we serve, and takes the hold again when its connection was lost.
    pub fn keep(&self, clock: Clock, health: StorageHealth) -> impl Future<Output = ()> + use<> {
        let ownership = self.ownership.clone();
        async move {
            let mut failures = 0;
            loop {
                tokio::time::sleep(HEARTBEAT).await;
                let beat = async {
                    if ownership.is_lost() {
                        ownership.reacquire().await
                    } else {
                        ownership.heartbeat(clock.now()).await
                    }
                };
                match tokio::time::timeout(HEARD_WITHIN, beat).await {
                    Ok(Ok(())) => {
                        failures = 0;
                        health.report(REPORTER, true);
                    }
                    Ok(Err(StoreError::Fenced | StoreError::OwnedElsewhere { .. })) => {
                        tracing::error!("another process owns the database; stopping");
                        health.fenced();
                        return;
                    }
                    missed => {
                        tracing::debug!(?missed, "the database did not hear that we serve");
                        failures += 1;
                        if failures >= FAILURES_UNTIL_AWAY {
                            health.report(REPORTER, false);
                        }
                    }
                }
            }
        }
    }

    /// Lets go, and stops the embedded Postgres. `served_until` is said a last time.
    pub async fn close(self, served_until: Option<Timestamp>) {
        if let (Some(now), Ok(ownership)) = (served_until, Arc::try_unwrap(self.ownership))
            && let Err(error) = ownership.release(now).await
        {
            tracing::debug!(%error, "the database did not hear that we stopped");
        }
        if let Some(embedded) = self.embedded {
            embedded.stop().await;
        }
    }
}
