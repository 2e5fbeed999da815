//! Owns a running application: the real one, in this process, with a database, a clock and ids of its own.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use futures_util::FutureExt;
use serde_json::Value;
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::sync::{Semaphore, SemaphorePermit};
use vez::actors::Probes;
use vez::app::{App, Parts};
use vez::config::Config;
use vez::domain::clock::{Clock, Timestamp};
use vez::domain::ids::IdSource;
use vez::http::AppState;

use super::client::Client;
use super::postgres;
use super::socket::{self, Socket, Topic};

/// Applications at once: each holds up to ten connections, and the embedded Postgres allows sixty.
static ROOM: Semaphore = Semaphore::const_new(5);
/// Where manual clocks start: Monday, 2 June 2025, 12:00 UTC, in the middle of the demonstration zone's morning.
const START: Timestamp = Timestamp::from_micros(1_748_865_600_000_000);
/// The seed of ids: a failure is repeated with the same ones.
const SEED: u64 = 1;

/// What an application is started with.
pub struct Builder {
    config: Config,
    clock: Clock,
    probes: Probes,
    routes: Router<AppState>,
    /// A database other than one of the shared server.
    url: Option<String>,
}

impl Builder {
    /// On this database, which the test owns, instead of one of the shared server.
    pub fn on(mut self, url: &str) -> Self {
        self.url = Some(url.to_owned());
        self
    }

    /// Time passes by itself.
    pub fn real_clock(mut self) -> Self {
        self.clock = Clock::system();
        self
    }

    /// Another clock.
    pub fn clock(mut self, clock: Clock) -> Self {
        self.clock = clock;
        self
    }

    /// Rate limits on, as a real server has them.
    pub fn rate_limit(mut self) -> Self {
        self.config.limits.rate_limit = true;
        self
    }

    /// Any other setting.
    pub fn config(mut self, change: impl FnOnce(&mut Config)) -> Self {
        change(&mut self.config);
        self
    }

    /// Places to look in or to make something fail.
    pub fn probes(mut self, probes: Probes) -> Self {
        self.probes = probes;
        self
    }

    /// Further routes beside ours, behind the same guards.
    pub fn routes(mut self, routes: Router<AppState>) -> Self {
        self.routes = routes;
        self
    }

    /// Starts it on a database of its own.
    pub async fn start(mut self) -> TestApp {
        let room = ROOM.acquire().await.unwrap();
        let home = tempfile::Builder::new().prefix("vez-it-data-").tempdir().unwrap();
        self.config.database.data_dir = home.path().to_owned();
        let url = match self.url {
            Some(url) => url,
            None => postgres::database().await,
        };
        self.config.database.url = Some(url.into());
        let ids = IdSource::seeded(SEED);
        let app = serve(&self.config, &self.clock, &ids, &self.probes, self.routes).await;
        TestApp { app, config: self.config, clock: self.clock, ids, probes: self.probes, _home: home, _room: room }
    }
}

async fn serve(config: &Config, clock: &Clock, ids: &IdSource, probes: &Probes, routes: Router<AppState>) -> App {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let parts = Parts {
        listener: Some(listener),
        clock: clock.clone(),
        ids: ids.clone(),
        probes: probes.clone(),
        hash_program: None,
        routes,
    };
    App::start(config.clone(), parts).await.unwrap()
}

/// A running application. Dropping it ends it with the test's runtime; [`TestApp::stop`] ends it in order.
pub struct TestApp {
    pub app: App,
    config: Config,
    clock: Clock,
    ids: IdSource,
    probes: Probes,
    _home: TempDir,
    _room: SemaphorePermit<'static>,
}

impl TestApp {
    /// Defaults: a manual clock, seeded ids, no rate limits, few connections.
    pub fn builder() -> Builder {
        let mut config = Config::default();
        config.limits.rate_limit = false;
        config.database.app_connections = 5;
        config.database.writer_shards = 1;
        // Tests talk to this machine only: no name leads anywhere.
        let nowhere = |_| async { Err(std::io::Error::other("no such name")) }.boxed();
        let probes = Probes { look_up: Some(Arc::new(nowhere)), ..Probes::default() };
        Builder { config, clock: Clock::manual(START), probes, routes: Router::new(), url: None }
    }

    /// An application whose time passes only by [`TestApp::advance`].
    pub async fn start() -> Self {
        Self::builder().start().await
    }

    /// An application whose time passes by itself.
    pub async fn start_real_clock() -> Self {
        Self::builder().real_clock().start().await
    }

    /// Where it listens.
    pub fn addr(&self) -> SocketAddr {
        self.app.addr
    }

    /// A REST client without credentials.
    pub fn client(&self) -> Client {
        Client::new(self.addr())
    }

    /// A REST client with a bearer token.
    pub fn client_of(&self, token: &str) -> Client {
        self.client().with_token(token)
    }

    /// Connects a socket with a token: a user's, or a customer's `websocket_token`.
    pub async fn socket(&self, token: &str) -> Socket {
        socket::connect(self.addr(), token).await
    }

    /// Connects a socket and joins one topic on it; panics when either is refused.
    pub async fn topic(&self, token: &str, topic: &str) -> Topic {
        self.socket(token).await.join(topic, Value::Null).await.unwrap()
    }

    /// The present time of its clock.
    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }

    pub fn ids(&self) -> &IdSource {
        &self.ids
    }

    pub fn config(&self) -> &Config {
        &self.config
    }

    /// Moves a manual clock at one stroke: whatever is due by then becomes due at once.
    pub async fn advance(&self, by: Duration) {
        self.clock.advance(by);
        // Whoever was woken gets its turn before the caller goes on; commits still have to be waited for.
        for _ in 0..16 {
            tokio::task::yield_now().await;
        }
    }

    /// Moves a manual clock second by second, so that pings, leases and deadlines in between happen in their order.
    pub async fn live_through(&self, by: Duration) {
        for _ in 0..by.as_secs() {
            self.advance(Duration::from_secs(1)).await;
            tokio::time::sleep(Duration::from_millis(4)).await;
        }
    }

    /// Stops it in order and starts it again on the same database, clock and ids, at another port.
    pub async fn restart(self) -> Self {
        self.restart_after(Duration::ZERO).await
    }

    /// As [`TestApp::restart`], with so long on a manual clock in between, in which nobody serves.
    pub async fn restart_after(self, gap: Duration) -> Self {
        let Self { app, config, clock, ids, probes, _home, _room } = self;
        app.shutdown().await;
        clock.advance(gap);
        let app = serve(&config, &clock, &ids, &probes, Router::new()).await;
        Self { app, config, clock, ids, probes, _home, _room }
    }

    /// Stops it in order: sockets told, everything written.
    pub async fn stop(self) {
        self.app.shutdown().await;
    }
}
