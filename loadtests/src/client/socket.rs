//! A Phoenix client: one socket, its channels, pushes with replies, heartbeats.
//!
//! One task owns the connection; handles talk to it through bounded channels. Buffers are small, so that ten
//! thousand sockets fit in one process. It must not reconnect by itself: a bot decides what a lost socket means.

use std::collections::HashMap;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use futures_util::{SinkExt, StreamExt};
use serde_json::value::RawValue;
use tokio::net::TcpStream;
use tokio::sync::{mpsc, oneshot};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;

use super::frames::{ClientFrame, Refusal, ReplyPayload, ServerFrame, Vsn};
use crate::clock;

/// Phoenix clients say that they live every 30 seconds.
const HEARTBEAT: Duration = Duration::from_secs(30);
/// Longest wait for a connection or for a reply: above the 3 s within which the server answers when Postgres is away.
const REPLY_TIMEOUT: Duration = Duration::from_secs(10);
/// Read and write buffer of a socket. The library's default, 128 KiB each, would take gigabytes for thousands.
const SOCKET_BUFFER_BYTES: usize = 1024;
/// Commands under way to the socket's task; a bot has one or two at a time.
const COMMANDS: usize = 16;
/// Pushes kept for a bot that is busy. One that lags further is broken: its socket is closed, with that reason.
const PUSHES: usize = 1024;

/// Why a socket or a command on it failed.
#[derive(Debug, Clone, thiserror::Error)]
pub enum SocketError {
    #[error("cannot connect: {0}")]
    Connect(String),
    /// The server refused the upgrade with this HTTP status; 403 is a bad token.
    #[error("the upgrade was refused with HTTP {0}")]
    Upgrade(u16),
    /// The server answered `error`.
    #[error("{}: {}", .0.reason, .0.detail)]
    Refused(Refusal),
    /// The socket is gone; whether the command was handled is unknown.
    #[error("the socket closed: {0}")]
    Closed(String),
    /// Whether the command was handled is unknown.
    #[error("no reply within {} s", REPLY_TIMEOUT.as_secs())]
    Timeout,
    #[error("a reply that is not as promised: {0}")]
    Malformed(String),
}

/// What the server pushed on a topic.
#[derive(Debug)]
pub struct Push {
    pub event: String,
    /// JSON text.
    pub payload: Box<RawValue>,
    /// When the frame was read from the socket.
    pub received_at: Instant,
}

/// Whether a channel's pushes are wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pushes {
    Keep,
    Ignore,
}

type Reply = Result<Box<RawValue>, Refusal>;

/// One frame to send and what to do with the reply.
struct Command {
    topic: Arc<str>,
    event: &'static str,
    payload: String,
    join: Option<Option<mpsc::Sender<Push>>>,
    reply: oneshot::Sender<Reply>,
}

/// A connected socket; cheap to clone. It closes when the last handle and channel of it are dropped.
#[derive(Debug, Clone)]
pub struct Socket {
    commands: mpsc::Sender<Command>,
    closed_because: Arc<OnceLock<String>>,
}

/// A joined topic.
#[derive(Debug)]
pub struct Channel {
    topic: Arc<str>,
    socket: Socket,
    pushes: mpsc::Receiver<Push>,
}

impl Socket {
    /// Dials `ws://{authority}/socket/websocket` with a token in the query.
    ///
    /// # Errors
    /// When the server is not there or refuses the token.
    pub async fn connect(authority: &str, token: &str, vsn: Vsn) -> Result<Self, SocketError> {
        let dial = async {
            let stream =
                TcpStream::connect(authority).await.map_err(|error| SocketError::Connect(error.to_string()))?;
            // Frames are small and each is awaited by somebody.
            let _ = stream.set_nodelay(true);
            let url = format!("ws://{authority}/socket/websocket?token={token}&vsn={}", vsn.as_str());
            let config =
                WebSocketConfig::default().read_buffer_size(SOCKET_BUFFER_BYTES).write_buffer_size(SOCKET_BUFFER_BYTES);
            tokio_tungstenite::client_async_with_config(url, stream, Some(config)).await.map_err(|error| match error {
                tokio_tungstenite::tungstenite::Error::Http(response) => {
                    SocketError::Upgrade(response.status().as_u16())
                }
                other => SocketError::Connect(other.to_string()),
            })
        };
        let (stream, _response) =
            tokio::time::timeout(REPLY_TIMEOUT, dial).await.map_err(|_| SocketError::Timeout)??;
        let (commands, inbox) = mpsc::channel(COMMANDS);
        let closed_because = Arc::new(OnceLock::new());
        let driver = Driver { stream, vsn, last_ref: 0, waiting: HashMap::new(), topics: HashMap::new() };
        let reason = Arc::clone(&closed_because);
        tokio::spawn(async move {
            // Set before the driver drops its reply senders, so that whoever is woken by that can read why.
            driver.run(inbox, &reason).await;
        });
        Ok(Self { commands, closed_because })
    }

    /// Joins a topic; gives the channel and the join reply's response.
    ///
    /// # Errors
    /// When the join is refused or the socket is gone.
    pub async fn join(
        &self,
        topic: &str,
        payload: String,
        wanted: Pushes,
    ) -> Result<(Channel, Box<RawValue>), SocketError> {
        let topic: Arc<str> = Arc::from(topic);
        let (sender, pushes) = mpsc::channel(PUSHES);
        let sender = (wanted == Pushes::Keep).then_some(sender);
        let response = self.command(Arc::clone(&topic), "phx_join", payload, Some(sender)).await?;
        Ok((Channel { topic, socket: self.clone(), pushes }, response))
    }

    async fn command(
        &self,
        topic: Arc<str>,
        event: &'static str,
        payload: String,
        join: Option<Option<mpsc::Sender<Push>>>,
    ) -> Result<Box<RawValue>, SocketError> {
        let (reply, answer) = oneshot::channel();
        let command = Command { topic, event, payload, join, reply };
        self.commands.send(command).await.map_err(|_| self.closed())?;
        match tokio::time::timeout(REPLY_TIMEOUT, answer).await {
            Ok(Ok(reply)) => reply.map_err(SocketError::Refused),
            Ok(Err(_)) => Err(self.closed()),
            Err(_) => Err(SocketError::Timeout),
        }
    }

    fn closed(&self) -> SocketError {
        SocketError::Closed(self.closed_because.get().cloned().unwrap_or_else(|| "without a reason".to_owned()))
    }
}

impl Channel {
    /// Pushes an event and waits for its reply's response.
    ///
    /// # Errors
    /// When it is refused, unanswered, or the socket is gone.
    pub async fn push(&self, event: &'static str, payload: String) -> Result<Box<RawValue>, SocketError> {
        self.socket.command(Arc::clone(&self.topic), event, payload, None).await
    }

    /// Leaves the topic. The socket stays.
    ///
    /// # Errors
    /// As [`Channel::push`].
    pub async fn leave(self) -> Result<(), SocketError> {
        self.push("phx_leave", "{}".to_owned()).await.map(|_| ())
    }

    /// The next push, in the order sent; `None` once the socket or the channel is closed.
    pub async fn next(&mut self) -> Option<Push> {
        self.pushes.recv().await
    }

    /// Why the socket closed, for messages.
    #[must_use]
    pub fn closed(&self) -> SocketError {
        self.socket.closed()
    }

    #[must_use]
    pub fn socket(&self) -> &Socket {
        &self.socket
    }
}

struct Topic {
    join_ref: u64,
    pushes: Option<mpsc::Sender<Push>>,
}

/// The task that owns the connection.
struct Driver {
    stream: WebSocketStream<TcpStream>,
    vsn: Vsn,
    last_ref: u64,
    waiting: HashMap<u64, oneshot::Sender<Reply>>,
    topics: HashMap<Arc<str>, Topic>,
}

impl Driver {
    async fn run(mut self, mut inbox: mpsc::Receiver<Command>, closed_because: &OnceLock<String>) {
        let heartbeat = tokio::time::sleep(HEARTBEAT);
        tokio::pin!(heartbeat);
        let reason = loop {
            let step = tokio::select! {
                frame = self.stream.next() => match frame {
                    // Pings are answered by the library at the next read.
                    Some(Ok(Message::Text(text))) => self.receive(text.as_str()),
                    Some(Ok(Message::Close(frame))) => {
                        Err(frame.map_or_else(|| "by the server".to_owned(), |frame| format!("{} {}", u16::from(frame.code), frame.reason)))
                    }
                    Some(Ok(_)) => Ok(()),
                    Some(Err(error)) => Err(error.to_string()),
                    None => Err("by the server".to_owned()),
                },
                command = inbox.recv() => match command {
                    Some(command) => self.send_all(command, &mut inbox).await,
                    None => {
                        let _ = self.stream.close(None).await;
                        Err("by us".to_owned())
                    }
                },
                () = &mut heartbeat => {
                    heartbeat.as_mut().reset((clock::now() + HEARTBEAT).into());
                    self.beat().await
                }
            };
            if let Err(reason) = step {
                break reason;
            }
        };
        let _ = closed_because.set(reason);
    }

    /// Sends a command and whatever waits behind it, in one flush.
    async fn send_all(&mut self, first: Command, inbox: &mut mpsc::Receiver<Command>) -> Result<(), String> {
        let mut next = Some(first);
        while let Some(command) = next {
            let frame = self.enter(command);
            self.stream.feed(Message::text(frame)).await.map_err(|error| error.to_string())?;
            next = inbox.try_recv().ok();
        }
        self.stream.flush().await.map_err(|error| error.to_string())
    }

    /// Numbers a command and notes who waits for its reply.
    fn enter(&mut self, command: Command) -> String {
        let Command { topic, event, payload, join, reply } = command;
        self.last_ref += 1;
        let reference = self.last_ref;
        self.waiting.insert(reference, reply);
        let join_ref = match join {
            Some(pushes) => {
                self.topics.insert(Arc::clone(&topic), Topic { join_ref: reference, pushes });
                Some(reference)
            }
            None => self.topics.get(&topic).map(|known| known.join_ref),
        };
        if event == "phx_leave" {
            self.topics.remove(&topic);
        }
        ClientFrame { join_ref, reference, topic: &topic, event, payload: &payload }.encode(self.vsn)
    }

    async fn beat(&mut self) -> Result<(), String> {
        self.last_ref += 1;
        let frame = ClientFrame {
            join_ref: None,
            reference: self.last_ref,
            topic: "phoenix",
            event: "heartbeat",
            payload: "{}",
        };
        self.stream.send(Message::text(frame.encode(self.vsn))).await.map_err(|error| error.to_string())
    }

    fn receive(&mut self, text: &str) -> Result<(), String> {
        let frame = ServerFrame::decode(self.vsn, text).map_err(|error| format!("unreadable frame: {error}"))?;
        match frame.event.as_ref() {
            "phx_reply" => {
                let Some(waiter) = frame.reference.and_then(|reference| self.waiting.remove(&reference)) else {
                    return Ok(()); // a heartbeat's, or one whose caller gave up
                };
                let reply: ReplyPayload<'_> =
                    serde_json::from_str(frame.payload.get()).map_err(|error| format!("unreadable reply: {error}"))?;
                let outcome = if reply.status == "ok" {
                    Ok(reply.response.to_owned())
                } else {
                    Err(serde_json::from_str(reply.response.get()).unwrap_or_default())
                };
                let _ = waiter.send(outcome);
                Ok(())
            }
            "phx_close" | "phx_error" => {
                // Of an earlier join of the same topic when the refs differ.
                let current = self.topics.get(frame.topic.as_ref());
                if current.is_some_and(|topic| frame.join_ref.is_none_or(|join_ref| join_ref == topic.join_ref)) {
                    self.topics.remove(frame.topic.as_ref());
                }
                Ok(())
            }
            event => {
                let Some(Topic { pushes: Some(pushes), .. }) = self.topics.get(frame.topic.as_ref()) else {
                    return Ok(());
                };
                let push =
                    Push { event: event.to_owned(), payload: frame.payload.to_owned(), received_at: clock::now() };
                match pushes.try_send(push) {
                    Err(mpsc::error::TrySendError::Full(_)) => Err("our own bot lags".to_owned()),
                    Ok(()) | Err(mpsc::error::TrySendError::Closed(_)) => Ok(()),
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test may stop at the first surprise")]
    use super::*;
    use tokio::net::TcpListener;

    /// A server that answers every command `ok`, refuses `bad`, pushes `hello` after a join, and pings.
    async fn fake() -> (String, tokio::task::JoinHandle<u32>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let authority = listener.local_addr().unwrap().to_string();
        let task = tokio::spawn(async move {
            let (stream, _) = listener.accept().await.unwrap();
            let mut socket = tokio_tungstenite::accept_async(stream).await.unwrap();
            socket.send(Message::Ping(vec![1].into())).await.unwrap();
            let mut pongs = 0;
            while let Some(Ok(message)) = socket.next().await {
                match message {
                    Message::Pong(_) => pongs += 1,
                    Message::Text(text) => {
                        let frame: Vec<serde_json::Value> = serde_json::from_str(text.as_str()).unwrap();
                        let status = if frame[3] == "bad" { "error" } else { "ok" };
                        let payload = serde_json::json!({"status": status, "response": {"reason": "no_such"}});
                        let reply = serde_json::json!([frame[0], frame[1], frame[2], "phx_reply", payload]);
                        socket.send(Message::text(reply.to_string())).await.unwrap();
                        if frame[3] == "phx_join" {
                            let push = serde_json::json!([null, null, frame[2], "hello", {"n": 1}]);
                            socket.send(Message::text(push.to_string())).await.unwrap();
                        }
                    }
                    _ => {}
                }
            }
            pongs
        });
        (authority, task)
    }

    #[tokio::test]
    async fn joins_pushes_refusals_and_pings() {
        let (authority, server) = fake().await;
        let socket = Socket::connect(&authority, "t", Vsn::V2).await.unwrap();
        let (mut channel, _) = socket.join("call:1", "{}".to_owned(), Pushes::Keep).await.unwrap();
        assert_eq!(channel.next().await.unwrap().event, "hello");
        channel.push("good", "{}".to_owned()).await.unwrap();
        let refused = channel.push("bad", "{}".to_owned()).await.unwrap_err();
        assert!(matches!(refused, SocketError::Refused(refusal) if refusal.reason == "no_such"));
        drop((channel, socket));
        assert_eq!(server.await.unwrap(), 1, "the ping was answered once");
    }

    #[tokio::test]
    async fn a_lost_socket_fails_commands_and_ends_pushes() {
        let (authority, server) = fake().await;
        let socket = Socket::connect(&authority, "t", Vsn::V2).await.unwrap();
        let (mut channel, _) = socket.join("call:1", "{}".to_owned(), Pushes::Keep).await.unwrap();
        channel.next().await.unwrap();
        server.abort();
        assert!(channel.next().await.is_none());
        assert!(matches!(channel.push("late", "{}".to_owned()).await, Err(SocketError::Closed(_))));
    }
}
