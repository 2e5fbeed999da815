//! The composition root: builds every part, starts serving, and stops everything in order. It decides nothing itself.

mod database;
mod logins;
mod secret;
mod serving;
mod stalled;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::Context as _;
use axum::Router;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::actors::appointments::Follower;
use crate::actors::directory;
use crate::actors::handle::Queues;
use crate::actors::health::{Health, StorageHealth};
use crate::actors::mail::Deliverer;
use crate::actors::persistence::Persistence;
use crate::actors::recounting::Recounts;
use crate::actors::webhooks::Webhooks;
use crate::actors::{Probes, System, housekeeping};
use crate::auth::{Passwords, Revocations, Seal, Tokens};
use crate::config::{self, Config};
use crate::domain::clock::Clock;
use crate::domain::ids::IdSource;
use crate::domain::rules::Rules;
use crate::files::{Files, Upkeep};
use crate::http::state::{AppState, Readiness, StateParts};
use crate::live::hub::Hub;
use crate::live::outbox::Close;
use crate::mail::{Sender, Transport};
use crate::reports::Reports;
use crate::store::record::RecordWriter;
use crate::store::{Store, webhooks};
use crate::ws::{WsParts, WsState};
use crate::{http, telemetry, ws};
pub use database::{Database, OWNED_WITHIN, connect};

/// How long stopping may take before what is left is dropped; SIGTERM promises ten seconds in all.
const SOCKETS_WITHIN: Duration = Duration::from_millis(1_500);
const WRITES_WITHIN: Duration = Duration::from_secs(4);
/// Where mails are written when no SMTP server is set; in the data folder.
const MAIL_FOLDER: &str = "mail";
const DELIVERIES_WITHIN: Duration = Duration::from_secs(3);
/// Connections that see every tenant, beside one for each writer: start-up and heartbeat, webhooks, mail, one to spare.
const SYSTEM_CONNECTIONS: u32 = 4;

/// What tests replace: everything else is the same code in both.
pub struct Parts {
    /// A listener that is bound already; else the configured address.
    pub listener: Option<TcpListener>,
    pub clock: Clock,
    pub ids: IdSource,
    pub probes: Probes,
    /// The program whose processes hash passwords; without one, threads do.
    pub hash_program: Option<PathBuf>,
    /// Routes beside ours, behind the same guards; none in production.
    pub routes: Router<AppState>,
}

impl Parts {
    /// The real clock, real randomness, nothing in the way.
    pub fn real() -> Self {
        Self {
            listener: None,
            clock: Clock::system(),
            ids: IdSource::random(),
            probes: Probes::default(),
            hash_program: std::env::current_exe().ok(),
            routes: Router::new(),
        }
    }
}

/// A running Vez.
pub struct App {
    /// Where it listens.
    pub addr: SocketAddr,
    database: Database,
    running: Running,
}

/// Everything that runs on the database: apart from it, so that a failed start can still close it.
struct Running {
    addr: SocketAddr,
    store: Store,
    reports: Reports,
    queues: Queues,
    system: System,
    hub: Hub,
    clock: Clock,
    ids: IdSource,
    passwords: Passwords,
    tokens: Tokens,
    secret: Vec<u8>,
    readiness: Readiness,
    stopping: CancellationToken,
    health: StorageHealth,
    serving: JoinHandle<()>,
    deliveries: JoinHandle<()>,
    background: Vec<JoinHandle<()>>,
}

impl App {
    /// Starts everything; returns once it listens and every open call stands in its queue again.
    pub async fn start(config: Config, parts: Parts) -> anyhow::Result<Self> {
        let Parts { listener, clock, ids, probes, hash_program, routes } = parts;
        // One cryptography for all TLS of this process; whoever installed one before us has ours already.
        let _installed = rustls::crypto::ring::default_provider().install_default();
        let metrics = telemetry::metrics();
        let database = Database::open(&config.database, &clock, &ids).await?;
        let started =
            Self::start_on(&database, config, listener, clock, ids, probes, hash_program, routes, metrics).await;
        match started {
            Ok(running) => Ok(Self { addr: running.addr, database, running }),
            Err(error) => {
                database.close(None).await;
                Err(error)
            }
        }
    }

    async fn start_on(
        database: &Database,
        config: Config,
        listener: Option<TcpListener>,
        clock: Clock,
        ids: IdSource,
        probes: Probes,
        hash_program: Option<PathBuf>,
        routes: Router<AppState>,
        metrics: metrics_exporter_prometheus::PrometheusHandle,
    ) -> anyhow::Result<Running> {
        let shards = config.database.writer_shards.clamp(1, 16);
        let store =
            Store::connect(database.options(), config.database.app_connections.max(1), shards + SYSTEM_CONNECTIONS)
                .await
                .context("cannot connect to Postgres")?;
        let health = StorageHealth::new();
        let writers = (0..shards)
            .map(|shard| RecordWriter::new(store.system().clone(), i32::try_from(shard).unwrap_or(0), database.epoch()))
            .collect();
        webhooks::load_listening(&store).await.context("cannot read the webhooks")?;
        let persistence =
            Persistence::start(writers, clock.clone(), ids.clone(), health.clone(), store.bells().clone()).await?;
        let hub = Hub::new(clock.clone());
        let system = System::start(directory::Parts {
            store: store.clone(),
            hub: hub.clone(),
            clock: clock.clone(),
            ids: ids.clone(),
            persistence,
            health: health.clone(),
            epoch: database.epoch(),
            served_until: database.served_until(),
            rules: rules(&config.queue),
            probes: probes.clone(),
        })
        .await?;
        let queues = Queues::new(system.clone());
        let secret = secret::jwt_secret(&config, &ids)?;
        let tokens = Tokens::with_lifetimes(
            &secret,
            clock.clone(),
            u64::from(config.auth.access_seconds),
            u64::from(config.auth.refresh_seconds),
        );
        let revocations = Revocations::new(clock.clone(), u64::from(config.auth.access_seconds));
        logins::recall(&store, &revocations, clock.now(), u64::from(config.auth.access_seconds)).await?;
        let passwords = Passwords::new(ids.clone(), hash_program.as_deref())?;
        let files = Files::open(&config.files, &config.database.data_dir, store.clone(), clock.clone())?;
        let upkeep = Upkeep::new(files.clone(), store.clone(), clock.clone());
        let seal = Seal::new(&secret);
        let webhooks =
            Webhooks::new(&config.webhooks, probes.look_up, seal.clone(), clock.clone()).map_err(anyhow::Error::msg)?;
        let readiness = Readiness::default();
        let reports = Reports::connect(database.options());
        let recounts = Recounts::new(store.clone());
        let parts = StateParts {
            store: store.clone(),
            recounts: recounts.clone(),
            reports: reports.clone(),
            queues: queues.clone(),
            hub: hub.clone(),
            tokens: tokens.clone(),
            revocations: revocations.clone(),
            passwords: passwords.clone(),
            seal,
            files,
            webhooks: webhooks.clone(),
            metrics: Some(metrics),
            readiness: readiness.clone(),
            clock: clock.clone(),
            ids: ids.clone(),
        };
        let state = AppState::new(&config, parts).map_err(anyhow::Error::msg)?;
        let (deliverer, follower) = followers(&config, &state)?;
        let ws_parts = WsParts {
            hub: hub.clone(),
            queues: queues.clone(),
            store: store.clone(),
            tokens: tokens.clone(),
            revocations,
            clock: clock.clone(),
            ids: ids.clone(),
        };
        let sockets = ws::routes(WsState::new(ws_parts, &config));
        let limits = state.limits.clone();
        let router = http::router(state, sockets.merge(routes)).map_err(anyhow::Error::msg)?;
        let listener = match listener {
            Some(listener) => listener,
            None => {
                let address = config.server.listen_address();
                TcpListener::bind(address).await.with_context(|| format!("cannot listen on {address}"))?
            }
        };
        let addr = listener.local_addr()?;
        let stopping = CancellationToken::new();
        let serving = tokio::spawn(serving::serve(listener, router, stopping.clone()));
        let restored = system.restore().await.context("cannot restore the queues")?;
        readiness.set_restored();
        tracing::info!(%addr, tenants = restored, "serving");
        let deliveries = webhooks.deliver(
            &config.webhooks,
            store.clone(),
            queues.clone(),
            clock.clone(),
            ids.clone(),
            database.epoch(),
            stopping.clone(),
        );
        let kept = housekeeping::Kept {
            webhook_days: config.webhooks.retention_days,
            event_days: config.feed.event_retention_days,
            notification_days: config.retention.notification_retention_days,
            audit_days: config.retention.audit_retention_days,
        };
        let background = vec![
            tokio::spawn(deliverer.run()),
            tokio::spawn(follower.run()),
            tokio::spawn(async move { limits.sweep_forever().await }),
            tokio::spawn(housekeeping::run(store.clone(), clock.clone(), kept)),
            tokio::spawn(recounts.run(clock.clone())),
            tokio::spawn(database.keep(clock.clone(), health.clone())),
            tokio::spawn(upkeep.run()),
        ];
        Ok(Running {
            addr,
            store,
            reports,
            queues,
            system,
            hub,
            clock,
            ids,
            passwords,
            tokens,
            secret,
            readiness,
            stopping,
            health,
            serving,
            deliveries,
            background,
        })
    }

    /// The door to the queues.
    pub fn queues(&self) -> &Queues {
        &self.running.queues
    }

    /// The store.
    pub fn store(&self) -> &Store {
        &self.running.store
    }

    /// The clock everything runs by.
    pub fn clock(&self) -> &Clock {
        &self.running.clock
    }

    /// The source of ids.
    pub fn ids(&self) -> &IdSource {
        &self.running.ids
    }

    /// Hashes and checks passwords.
    pub fn passwords(&self) -> &Passwords {
        &self.running.passwords
    }

    /// Issues tokens.
    pub fn tokens(&self) -> &Tokens {
        &self.running.tokens
    }

    /// The secret tokens are signed with; other secrets are derived from it.
    pub fn secret(&self) -> &[u8] {
        &self.running.secret
    }

    /// Open sockets.
    pub fn hub(&self) -> &Hub {
        &self.running.hub
    }

    /// Returns when another process has taken the database: this one must stop.
    pub async fn fenced(&self) {
        let mut health = self.running.health.watch();
        let _ = health.wait_for(|health| *health == Health::Fenced).await;
    }

    /// Stops in order: nothing new, sockets are told, what was acknowledged or applied is written, Postgres stops.
    pub async fn shutdown(self) {
        let Self { database, running, .. } = self;
        running.readiness.set_stopping();
        running.stopping.cancel();
        running.hub.close_all(Close::GOING_AWAY);
        if tokio::time::timeout(SOCKETS_WITHIN, running.serving).await.is_err() {
            tracing::warn!("some connections did not end in time");
        }
        running.reports.close().await;
        running.system.stop(WRITES_WITHIN).await;
        // They were told to stop with the sockets; what is cut off here is sent again at the next start.
        if tokio::time::timeout(DELIVERIES_WITHIN, running.deliveries).await.is_err() {
            tracing::warn!("some webhooks were not called to the end");
        }
        for task in running.background {
            task.abort();
            // Only once it is gone is what it held ours to close.
            let _ = task.await;
        }
        running.store.close().await;
        database.close(Some(running.clock.now())).await;
        tracing::info!("stopped");
    }
}

/// Who follows committed rows: delivers mail, reminds of appointments.
fn followers(config: &Config, state: &AppState) -> anyhow::Result<(Deliverer, Follower)> {
    let within = Duration::from_secs(u64::from(config.mail.mail_timeout_seconds.max(1)));
    let transport = match config.mail.smtp_server() {
        Some(url) => Transport::smtp(url, within).map_err(anyhow::Error::msg)?,
        None => Transport::folder(config.database.data_dir.join(MAIL_FOLDER)),
    };
    let from = Sender::new(&config.mail.mail_from).map_err(anyhow::Error::msg)?;
    let AppState { store, queues, seal, clock, ids, .. } = state.clone();
    let follower = Follower { store: store.clone(), queues, seal, clock: clock.clone(), ids: ids.clone() };
    Ok((Deliverer { store, transport, from, within, clock, ids }, follower))
}

/// The numbers of the rules, as configured.
fn rules(config: &config::QueueDefaults) -> Rules {
    Rules {
        start_timeout_seconds: u64::from(config.start_timeout_seconds),
        join_presence_seconds: u64::from(config.join_presence_seconds),
        poll_presence_seconds: u64::from(config.poll_presence_seconds),
        agent_lease_seconds: u64::from(config.agent_lease_seconds),
        assigned_return_seconds: u64::from(config.assigned_return_seconds),
        active_return_seconds: u64::from(config.active_return_seconds),
        exclusion_seconds: u64::from(config.exclusion_seconds),
        exclusion_alone_seconds: u64::from(config.exclusion_alone_seconds),
        missed_offers_max: u8::try_from(config.missed_offers_max).unwrap_or(u8::MAX),
        pick_timeout_seconds: u64::from(config.pick_timeout_seconds),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_settings_default_to_the_rules_own_numbers() {
        assert_eq!(rules(&config::QueueDefaults::default()), Rules::default());
    }
}
