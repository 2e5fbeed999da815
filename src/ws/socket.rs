//! Owns one socket's task: it reads, writes, pings and ends. What the frames mean is the session's business.

use std::pin::Pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use axum::extract::ws::{CloseFrame, Message, Utf8Bytes, WebSocket};
use bytes::Bytes;
use futures_util::{SinkExt, StreamExt};
use metrics::gauge;

use super::WsState;
use super::session::Session;
use crate::auth::Principal;
use crate::domain::clock::{Clock, Timestamp};
use crate::live::hub::{SocketOwner, SocketRegistration};
use crate::live::outbox::{Close, Outbox};
use crate::live::push::Version;

/// Pings in a row that may stay unanswered; at the next one's time the device is away (RULES.md).
const UNANSWERED_MAX: u8 = 2;
/// How long a socket may take nothing of what is written to it.
const WRITE_TIMEOUT: Duration = Duration::from_secs(10);
/// How long a client gets to answer our close before the connection is dropped.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(1);
/// Deliveries taken in one go before the socket is written to and read from again.
const DELIVERIES_PER_TURN: usize = 64;

/// Two pings stayed unanswered.
const UNRESPONSIVE: Close = Close { code: 4004, reason: "unresponsive" };
/// The socket is a day old; its client dials again.
const TOO_OLD: Close = Close { code: 4002, reason: "socket_expired" };
/// The frame is larger than a client may send.
const TOO_LARGE: Close = Close { code: 1009, reason: "frame_too_large" };

/// Why a socket is served no longer.
enum End {
    /// We close it.
    Close(Close),
    /// It is gone, or going by itself.
    Gone,
}

/// Serves a socket to its end. Dropping the future at any point ends every membership. It is not an `async fn`, which would
/// keep room for its arguments beside what is made of them, for as long as the socket lives.
pub(super) fn serve(
    socket: WebSocket,
    state: WsState,
    principal: Principal,
    version: Version,
) -> impl Future<Output = ()> + Send {
    let mut socket = Socket::new(socket, state, principal, version);
    async move {
        if let End::Close(close) = socket.run().await {
            Box::pin(socket.close(close)).await;
        }
    }
}

/// Counts open sockets for `/metrics`.
struct Counted(&'static str);

impl Counted {
    fn new(owner: SocketOwner) -> Self {
        let kind = match owner {
            SocketOwner::Customer { .. } => "customer",
            SocketOwner::Staff { .. } => "staff",
        };
        gauge!("vez_sockets", "kind" => kind).increment(1.0);
        Self(kind)
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        gauge!("vez_sockets", "kind" => self.0).decrement(1.0);
    }
}

/// The one timer of a socket.
struct Wake {
    clock: Clock,
    at: Timestamp,
    sleep: Pin<Box<dyn Future<Output = ()> + Send>>,
}

impl Wake {
    fn new(clock: Clock, at: Timestamp) -> Self {
        Self { sleep: sleep_until(clock.clone(), at), clock, at }
    }

    /// Wakes at `at` at the latest. A later time is left for when the present one has come: most never matter.
    fn no_later_than(&mut self, at: Timestamp) {
        if at < self.at {
            self.set(at);
        }
    }

    fn set(&mut self, at: Timestamp) {
        self.at = at;
        self.sleep = sleep_until(self.clock.clone(), at);
    }
}

fn sleep_until(clock: Clock, at: Timestamp) -> Pin<Box<dyn Future<Output = ()> + Send>> {
    Box::pin(async move { clock.sleep_until(at).await })
}

struct Socket {
    socket: WebSocket,
    session: Session,
    outbox: Arc<Outbox>,
    clock: Clock,
    wake: Wake,
    ping: Duration,
    ping_at: Timestamp,
    expires_at: Timestamp,
    unanswered: u8,
    /// Dropped with the socket.
    _registered: (SocketRegistration, Counted),
}

impl Socket {
    fn new(socket: WebSocket, state: WsState, principal: Principal, version: Version) -> Self {
        let (tenant, owner, ping) = match principal {
            Principal::User { tenant, user, session, .. } => {
                (tenant, SocketOwner::Staff { user, session }, state.settings().staff_ping)
            }
            Principal::Customer { tenant, call } => {
                (tenant, SocketOwner::Customer { call }, state.settings().customer_ping)
            }
        };
        let outbox = Arc::new(Outbox::new(state.settings().outbox_frames));
        let clock = state.clock().clone();
        let now = clock.now();
        Self {
            socket,
            wake: Wake::new(clock.clone(), now + ping),
            ping,
            ping_at: now + ping,
            expires_at: now + state.settings().socket_age_max,
            unanswered: 0,
            _registered: (state.hub().register_socket(tenant, owner, Arc::clone(&outbox)), Counted::new(owner)),
            session: Session::new(state, principal, version, Arc::clone(&outbox)),
            outbox,
            clock,
        }
    }

    async fn run(&mut self) -> End {
        loop {
            tokio::select! {
                delivery = self.outbox.next() => {
                    let now = self.clock.now();
                    self.session.on_delivery(now, delivery);
                    for _ in 1..DELIVERIES_PER_TURN {
                        let Some(delivery) = self.outbox.try_next() else { break };
                        self.session.on_delivery(now, delivery);
                        if self.session.closing.is_some() {
                            break;
                        }
                    }
                }
                Some(done) = self.session.work.next(), if !self.session.work.is_empty() => {
                    self.session.on_done(self.clock.now(), done);
                }
                message = self.socket.recv() => match message {
                    Some(Ok(message)) => {
                        // Whatever it says, somebody is there.
                        self.unanswered = 0;
                        match message {
                            Message::Text(text) => self.session.on_text(self.clock.now(), &text),
                            Message::Binary(bytes) => self.session.on_binary(self.clock.now(), &bytes),
                            Message::Ping(_) | Message::Pong(_) => {}
                            Message::Close(_) => return End::Gone,
                        }
                    }
                    Some(Err(error)) => return end_of(&error),
                    None => return End::Gone,
                },
                () = &mut self.wake.sleep => {
                    let now = self.clock.now();
                    if let Err(end) = self.on_wake(now).await {
                        return end;
                    }
                }
            }
            let now = self.clock.now();
            self.session.on_time(now);
            if let Err(end) = self.write_all().await {
                return end;
            }
            if let Some(close) = self.session.closing {
                return End::Close(close);
            }
            if let Some(at) = self.session.due_at() {
                self.wake.no_later_than(at);
            }
        }
    }

    /// Pings, or ends what does not answer or is too old.
    async fn on_wake(&mut self, now: Timestamp) -> Result<(), End> {
        if now >= self.expires_at {
            return Err(End::Close(TOO_OLD));
        }
        if now >= self.ping_at {
            if self.unanswered >= UNANSWERED_MAX {
                return Err(End::Close(UNRESPONSIVE));
            }
            self.unanswered += 1;
            self.ping_at = now + self.ping;
            self.write(Message::Ping(Bytes::new())).await?;
            self.flush().await?;
        }
        let next = self.ping_at.min(self.expires_at);
        self.wake.set(self.session.due_at().map_or(next, |due| due.min(next)));
        Ok(())
    }

    async fn write_all(&mut self) -> Result<(), End> {
        if self.session.out.is_empty() {
            return Ok(());
        }
        while let Some(frame) = self.session.out.pop_front() {
            self.write(Message::Text(frame)).await?;
        }
        // A burst's room is given back.
        self.session.out = Default::default();
        self.flush().await
    }

    async fn write(&mut self, message: Message) -> Result<(), End> {
        let feed = self.socket.feed(message);
        in_time(&self.clock, feed).await
    }

    async fn flush(&mut self) -> Result<(), End> {
        let flush = self.socket.flush();
        in_time(&self.clock, flush).await
    }

    /// Says why, and gives the client a moment to answer.
    async fn close(&mut self, close: Close) {
        let frame = CloseFrame { code: close.code, reason: Utf8Bytes::from_static(close.reason) };
        let clock = self.clock.clone();
        // What was gathered before the end, such as the answer that says why, goes out first; memberships end at once.
        let last = self.session.end();
        let goodbye = async {
            for frame in last {
                if self.socket.feed(Message::Text(frame)).await.is_err() {
                    return;
                }
            }
            if self.socket.send(Message::Close(Some(frame))).await.is_ok() {
                while let Some(Ok(_)) = self.socket.recv().await {}
            }
        };
        tokio::select! {
            () = goodbye => {}
            () = clock.sleep(CLOSE_TIMEOUT) => {}
        }
    }
}

/// Does a write that usually succeeds at once; only one that does not pays for a timer.
async fn in_time(clock: &Clock, write: impl Future<Output = Result<(), axum::Error>>) -> Result<(), End> {
    let mut write = std::pin::pin!(write);
    let at_once = std::future::poll_fn(|context| Poll::Ready(write.as_mut().poll(context))).await;
    let result = match at_once {
        Poll::Ready(result) => result,
        Poll::Pending => {
            let timeout = sleep_until(clock.clone(), clock.now() + WRITE_TIMEOUT);
            tokio::select! {
                result = write => result,
                () = timeout => return Err(End::Close(Close::LAGGING)),
            }
        }
    };
    result.map_err(|_| End::Gone)
}

/// A frame that is too large is the one fault worth a word; after any other there is nobody to talk to.
fn end_of(error: &axum::Error) -> End {
    // The library's own error type is not ours to name: it comes through axum. Its words for this are stable and tested.
    if error.to_string().starts_with("Space limit exceeded") { End::Close(TOO_LARGE) } else { End::Gone }
}
