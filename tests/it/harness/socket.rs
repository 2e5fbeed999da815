//! Speaks Phoenix channels through the load tester's client: JSON in and out, and waits that end.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::Duration;

use serde_json::Value;
use vez_loadtests::client::frames::Vsn;
use vez_loadtests::client::socket::{self, Channel, Pushes, SocketError};

use super::PATIENCE;

/// A connected socket; it closes when it and every topic joined on it are dropped.
#[derive(Clone, Debug)]
pub struct Socket(socket::Socket);

/// Connects; panics when the upgrade is refused.
pub async fn connect(addr: SocketAddr, token: &str) -> Socket {
    try_connect(addr, token, Vsn::V2).await.unwrap()
}

/// Connects with frames of either version.
pub async fn try_connect(addr: SocketAddr, token: &str, vsn: Vsn) -> Result<Socket, SocketError> {
    socket::Socket::connect(&addr.to_string(), token, vsn).await.map(Socket)
}

impl Socket {
    /// Joins a topic; `payload` may be `Null` for none. An error carries the server's `reason` and `detail`.
    pub async fn join(&self, topic: &str, payload: Value) -> Result<Topic, SocketError> {
        let (channel, reply) = self.0.join(topic, text_of(&payload), Pushes::Keep).await?;
        Ok(Topic { name: topic.to_owned(), channel, reply: parse(reply.get()), passed: VecDeque::new() })
    }
}

/// A joined topic.
#[derive(Debug)]
pub struct Topic {
    pub name: String,
    /// The join reply's response.
    pub reply: Value,
    channel: Channel,
    /// Pushes that [`Topic::expect`] passed by while it looked for another, in order.
    pub passed: VecDeque<(String, Value)>,
}

impl Topic {
    /// Pushes an event and gives its reply's response.
    pub async fn push(&self, event: &'static str, payload: Value) -> Result<Value, SocketError> {
        self.channel.push(event, text_of(&payload)).await.map(|reply| parse(reply.get()))
    }

    /// Pushes an event that the server refuses, and gives the `reason`.
    pub async fn refused(&self, event: &'static str, payload: Value) -> String {
        match self.push(event, payload).await {
            Err(SocketError::Refused(refusal)) => refusal.reason,
            other => panic!("{} {event} was not refused: {other:?}", self.name),
        }
    }

    /// The next push, whatever it is; `None` once the topic or the socket is closed.
    pub async fn next(&mut self) -> Option<(String, Value)> {
        match tokio::time::timeout(PATIENCE, self.channel.next()).await {
            Ok(push) => push.map(|push| (push.event, parse(push.payload.get()))),
            Err(_) => panic!("{} pushed nothing within {PATIENCE:?}; passed by: {:?}", self.name, self.passed),
        }
    }

    /// The next push of `event`; others before it are put into `passed`.
    pub async fn expect(&mut self, event: &str) -> Value {
        self.expect_where(event, |_| true).await
    }

    /// The next push of `event` whose payload is as wanted; others before it are put into `passed`.
    pub async fn expect_where(&mut self, event: &str, wanted: impl Fn(&Value) -> bool) -> Value {
        loop {
            match self.next().await {
                Some((name, payload)) if name == event && wanted(&payload) => return payload,
                Some(other) => self.passed.push_back(other),
                None => panic!("{} closed before {event} ({}); passed by: {:?}", self.name, self.closed(), self.passed),
            }
        }
    }

    /// Panics when `event` is pushed within `quiet` of real time.
    pub async fn expect_no(&mut self, event: &str, quiet: Duration) {
        let listening = async {
            while let Some(push) = self.channel.next().await {
                assert_ne!(push.event, event, "{}: {}", self.name, push.payload);
                self.passed.push_back((push.event, parse(push.payload.get())));
            }
        };
        let _ = tokio::time::timeout(quiet, listening).await;
    }

    /// Returns once the topic or the socket is closed, with the reason when the socket was.
    pub async fn until_closed(&mut self) -> String {
        while let Some(push) = self.next().await {
            self.passed.push_back(push);
        }
        self.closed()
    }

    /// Leaves the topic; the socket stays.
    pub async fn leave(self) {
        self.channel.leave().await.unwrap();
    }

    fn closed(&self) -> String {
        self.channel.closed().to_string()
    }
}

fn text_of(payload: &Value) -> String {
    if payload.is_null() { "{}".to_owned() } else { payload.to_string() }
}

fn parse(text: &str) -> Value {
    serde_json::from_str(text).unwrap()
}
