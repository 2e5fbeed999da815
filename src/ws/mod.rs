//! Owns the sockets: the upgrade, Phoenix's frames in both versions, one session per socket and the channels on it. It
//! decides nothing about calls or agents (`actors/handle` is asked) and writes nothing but chat and notes.
//!
//! | file | owns |
//! |---|---|
//! | `upgrade` | who may open a socket, and with which buffers |
//! | `frame`, `frame_v1`, `frame_v2` | the wire formats |
//! | `socket` | one task per socket: reading, writing, pings, the end |
//! | `session`, `work` | what a socket has joined and what is on its way; no I/O |
//! | `resync` | the order of pushes on one channel: snapshots, gaps, floods (pure) |
//! | `limits` | how much one client may say (pure) |
//! | `problem` | the errors a client is told of |
//! | `channels` | the five kinds of topics |

mod channels;
mod frame;
mod frame_v1;
mod frame_v2;
mod limits;
mod problem;
mod resync;
mod session;
mod socket;
mod upgrade;
mod work;

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::routing::any;

use crate::actors::handle::Queues;
use crate::auth::{Revocations, Tokens};
use crate::config::Config;
use crate::domain::clock::Clock;
use crate::domain::ids::IdSource;
use crate::live::hub::Hub;
use crate::store::Store;

/// What every socket shares; cloning it is cheap.
#[derive(Clone)]
pub struct WsState(Arc<Shared>);

struct Shared {
    parts: WsParts,
    settings: Settings,
}

/// What sockets need of the rest of the server.
pub struct WsParts {
    pub hub: Hub,
    pub queues: Queues,
    pub store: Store,
    pub tokens: Tokens,
    pub revocations: Revocations,
    pub clock: Clock,
    pub ids: IdSource,
}

/// The settings of sockets, out of the server's.
#[derive(Clone, Debug)]
struct Settings {
    /// Largest frame a client may send, in bytes.
    frame_bytes_max: usize,
    /// Topics one socket may have joined.
    topics_max: usize,
    /// Messages a client may send per second; `None` is no limit.
    messages_per_second: Option<u32>,
    /// Frames that wait before a slow socket.
    outbox_frames: usize,
    /// After which any socket is closed.
    socket_age_max: Duration,
    /// Between pings to staff.
    staff_ping: Duration,
    /// Between pings to customers.
    customer_ping: Duration,
    /// Web origins that may open sockets besides our own host.
    origins: Vec<String>,
}

impl WsState {
    /// Puts the parts together.
    pub fn new(parts: WsParts, config: &Config) -> Self {
        let (limits, seconds) = (&config.limits, |seconds: u32| Duration::from_secs(u64::from(seconds.max(1))));
        let settings = Settings {
            frame_bytes_max: limits.frame_bytes_max,
            topics_max: limits.topics_per_socket_max,
            messages_per_second: limits.rate_limit.then_some(limits.client_messages_per_second_max),
            outbox_frames: limits.outbox_frames_max.max(1),
            socket_age_max: seconds(limits.socket_hours_max.saturating_mul(3_600)),
            staff_ping: seconds(config.queue.agent_ping_seconds),
            customer_ping: seconds(config.queue.customer_ping_seconds),
            origins: config.server.origins.clone(),
        };
        Self(Arc::new(Shared { parts, settings }))
    }

    fn hub(&self) -> &Hub {
        &self.0.parts.hub
    }

    fn queues(&self) -> &Queues {
        &self.0.parts.queues
    }

    fn store(&self) -> &Store {
        &self.0.parts.store
    }

    fn tokens(&self) -> &Tokens {
        &self.0.parts.tokens
    }

    fn revocations(&self) -> &Revocations {
        &self.0.parts.revocations
    }

    fn clock(&self) -> &Clock {
        &self.0.parts.clock
    }

    fn ids(&self) -> &IdSource {
        &self.0.parts.ids
    }

    fn settings(&self) -> &Settings {
        &self.0.settings
    }
}

/// The socket's routes: the stock one, and the doubled one that Voki's own sample dials.
pub fn routes<S: Clone + Send + Sync + 'static>(state: WsState) -> Router<S> {
    Router::new()
        .route("/socket/websocket", any(upgrade::upgrade))
        .route("/socket/websocket/websocket", any(upgrade::upgrade))
        .with_state(state)
}
