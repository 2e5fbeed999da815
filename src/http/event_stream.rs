//! Owns a company's feed as a stream of server-sent events (the HTML standard's `text/event-stream`): a task that is woken by
//! commits, and the body that gives out what it wrote. It ends with the login as a socket does, and with a reader who does not
//! read; whoever comes back says by `Last-Event-ID` where he was.

use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderName, HeaderValue};
use axum::response::Response;
use bytes::Bytes;
use futures_util::stream;
use metrics::gauge;
use tokio::sync::mpsc;

use super::error::ApiError;
use super::routes::events::FeedEvent;
use super::state::AppState;
use crate::domain::clock::Timestamp;
use crate::domain::ids::TenantId;
use crate::domain::role::Role;
use crate::live::hub::{SocketOwner, SocketRegistration};
use crate::live::outbox::{Delivery, Outbox};
use crate::store::feed::{self, Look};
use crate::store::{FeedListener, Full, StoreError};

/// Where a client was when it lost its connection.
pub static LAST_EVENT_ID: HeaderName = HeaderName::from_static("last-event-id");
/// Has a proxy in front of us pass the bytes on as they come (nginx's word for it).
const UNBUFFERED: HeaderName = HeaderName::from_static("x-accel-buffering");

/// Between two signs of life; also how often is looked without being woken, for facts that another process wrote.
pub const HEARTBEAT: Duration = Duration::from_secs(15);
/// After news the next ones are gathered for so long, so that a busy company costs a look every so often and not each commit.
const GATHER: Duration = Duration::from_millis(50);
/// How long the reader may take nothing.
pub const TAKEN_WITHIN: Duration = Duration::from_secs(30);
/// As the oldest socket: whoever listens for longer connects anew, and no forgotten client stays for ever.
const LASTS_MAX_SECONDS: u64 = 24 * 60 * 60;
/// Facts read at once: some 150 KB.
const LOOK_FACTS: u32 = 500;
/// Looks that wait for the reader.
const WAITING_MAX: usize = 2;
/// When a listener that finds no place shall come again.
const RETRY_AFTER_SECONDS: u64 = 30;
/// The first words: how many milliseconds a client waits before it connects anew.
const GREETING: &[u8] = b"retry: 3000\n\n";
/// A comment, which clients skip.
const SIGN_OF_LIFE: &[u8] = b":\n\n";

/// Who listens.
pub struct Reader {
    pub tenant: TenantId,
    /// The login, or the API token; the stream ends with it.
    pub owner: SocketOwner,
    /// Of a reader by an API token: looked at again now and then, since another process may revoke it.
    pub token: Option<String>,
}

/// 200 with the facts after `after`, and whatever comes.
pub fn answer(state: &AppState, reader: Reader, after: i64) -> Result<Response, ApiError> {
    let listener = state.store.bells().feed.listen(reader.tenant).map_err(|full| match full {
        Full::Company => ApiError::TooManyRequests { retry_after_seconds: RETRY_AFTER_SECONDS },
        Full::Server => ApiError::Unavailable {
            retry_after_seconds: RETRY_AFTER_SECONDS,
            cause: "every place for listeners to event feeds is taken".to_owned(),
        },
    })?;
    let outbox = Arc::new(Outbox::new(1));
    let registered = state.hub.register_socket(reader.tenant, reader.owner, Arc::clone(&outbox));
    let (sender, waiting) = mpsc::channel(WAITING_MAX);
    let task = Task {
        state: state.clone(),
        tenant: reader.tenant,
        token: reader.token,
        listener,
        ends_at: state.clock.now().plus_seconds(LASTS_MAX_SECONDS),
        after,
        sender,
        _counted: Counted::new(),
        _registered: registered,
    };
    tokio::spawn(task.run(outbox));
    let pieces = stream::unfold(waiting, async |mut waiting: mpsc::Receiver<Bytes>| {
        let piece = waiting.recv().await?;
        Some((Ok::<_, std::convert::Infallible>(piece), waiting))
    });
    let mut response = Response::new(Body::from_stream(pieces));
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
    response.headers_mut().insert(UNBUFFERED, HeaderValue::from_static("no"));
    Ok(response)
}

/// Counts listeners for `/metrics`.
struct Counted;

impl Counted {
    fn new() -> Self {
        gauge!("vez_feed_listeners").increment(1.0);
        Self
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        gauge!("vez_feed_listeners").decrement(1.0);
    }
}

struct Task {
    state: AppState,
    tenant: TenantId,
    token: Option<String>,
    listener: FeedListener,
    ends_at: Timestamp,
    after: i64,
    sender: mpsc::Sender<Bytes>,
    // Dropped with the task.
    _counted: Counted,
    _registered: SocketRegistration,
}

/// The stream is over; a client that comes back learns why.
struct Over;

impl Task {
    async fn run(mut self, outbox: Arc<Outbox>) {
        let gone = self.sender.clone();
        tokio::select! {
            () = closed(&outbox) => {}
            () = gone.closed() => {}
            Over = self.follow() => {}
        }
    }

    async fn follow(&mut self) -> Over {
        if self.send(Bytes::from_static(GREETING)).await.is_err() {
            return Over;
        }
        loop {
            if self.catch_up().await.is_err() {
                return Over;
            }
            tokio::select! {
                () = self.listener.rung() => tokio::time::sleep(GATHER).await,
                () = self.state.clock.sleep(HEARTBEAT) => {
                    if self.is_over().await || self.send(Bytes::from_static(SIGN_OF_LIFE)).await.is_err() {
                        return Over;
                    }
                }
            }
        }
    }

    /// Sends everything that is there.
    async fn catch_up(&mut self) -> Result<(), Over> {
        loop {
            let facts = match feed::look(&self.state.store, self.tenant, Some(self.after), LOOK_FACTS).await {
                Ok(Look::Facts(facts)) => facts,
                Ok(Look::Lost(_)) => return Err(Over),
                Err(error) => {
                    // Postgres is away, mostly: the next look is the next sign of life's.
                    log(&error);
                    return Ok(());
                }
            };
            let Some(last) = facts.last() else { return Ok(()) };
            let (last, is_all) = (last.seq, facts.len() < LOOK_FACTS as usize);
            let mut text = String::new();
            for fact in facts {
                let (seq, kind) = (fact.seq, fact.kind.clone());
                match serde_json::to_string(&FeedEvent::from(fact)) {
                    // JSON has no line breaks, so one line of data is all of it.
                    Ok(json) => {
                        let _ = write!(text, "id: {seq}\nevent: {kind}\ndata: {json}\n\n");
                    }
                    Err(error) => {
                        tracing::error!(%error, seq, "a fact cannot be told");
                        return Err(Over);
                    }
                }
            }
            self.send(text.into()).await?;
            self.after = last;
            if is_all {
                return Ok(());
            }
        }
    }

    async fn send(&self, piece: Bytes) -> Result<(), Over> {
        tokio::select! {
            sent = self.sender.send(piece) => sent.map_err(|_| Over),
            () = self.state.clock.sleep(TAKEN_WITHIN) => {
                tracing::debug!(tenant = %self.tenant, "a listener to the event feed took nothing and is let go");
                Err(Over)
            }
        }
    }

    /// Whether it lasted long enough, or its token is good no more.
    async fn is_over(&self) -> bool {
        if self.state.clock.now() >= self.ends_at {
            return true;
        }
        match &self.token {
            Some(token) => !self.state.callers.still_reaches(token, Role::Supervisor).await,
            None => false,
        }
    }
}

/// Returns when the login is over, the role changed, or the server stops.
async fn closed(outbox: &Outbox) {
    while !matches!(outbox.next().await, Delivery::SocketClosed(_)) {}
}

fn log(error: &StoreError) {
    if error.is_unavailable() {
        tracing::debug!(%error, "the event feed cannot be read now");
    } else {
        tracing::error!(%error, "the event feed could not be read");
    }
}
