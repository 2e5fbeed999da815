//! Keep-alive HTTP/1.1 connections to one server, bounded in number.
//!
//! It owns connecting, reuse and time-outs; it must not know any endpoint. Plain HTTP only: the tester is run
//! beside the server or behind a proxy that speaks plain HTTP to it.

use std::sync::Mutex;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::Request;
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::sync::Semaphore;

/// Longest time for one request, connecting included: longer than any answer the server promises (3 s while
/// Postgres is away), short enough that a dead server is noticed within a run.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(10);

/// What a server answered, unparsed.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    /// Seconds of the `Retry-After` header, when it was sent.
    pub retry_after_seconds: Option<u64>,
    pub body: Bytes,
}

/// Why there was no answer.
#[derive(Debug, thiserror::Error)]
pub enum NoAnswer {
    /// Nothing was sent: the server does not accept connections.
    #[error("cannot connect to {authority}: {cause}")]
    Connect { authority: String, cause: std::io::Error },
    /// The request may or may not have been handled.
    #[error("the connection broke: {0}")]
    Broken(hyper::Error),
    /// The request may or may not have been handled.
    #[error("no answer within {} s", REQUEST_TIMEOUT.as_secs())]
    Timeout,
    #[error("not a request that HTTP can carry: {0}")]
    Request(#[from] hyper::http::Error),
}

type Connection = SendRequest<Full<Bytes>>;

/// A pool of at most `size` connections; requests beyond that wait for one, in order.
#[derive(Debug)]
pub struct Pool {
    authority: String,
    idle: Mutex<Vec<Connection>>,
    permits: Semaphore,
}

impl Pool {
    /// `authority` is `host:port`.
    #[must_use]
    pub fn new(authority: String, size: usize) -> Self {
        Self { authority, idle: Mutex::new(Vec::new()), permits: Semaphore::new(size) }
    }

    #[must_use]
    pub fn authority(&self) -> &str {
        &self.authority
    }

    /// Sends one request and reads the whole answer.
    ///
    /// # Errors
    /// When no answer came; a 4xx or 5xx is an answer.
    pub async fn send(&self, request: Request<Full<Bytes>>) -> Result<Answer, NoAnswer> {
        // The semaphore is never closed; if it were, going on without a permit would do no harm.
        let _permit = self.permits.acquire().await;
        match tokio::time::timeout(REQUEST_TIMEOUT, self.exchange(request)).await {
            Ok(outcome) => outcome,
            Err(_) => Err(NoAnswer::Timeout),
        }
    }

    async fn exchange(&self, mut request: Request<Full<Bytes>>) -> Result<Answer, NoAnswer> {
        loop {
            let (mut connection, reused) = match self.take_idle().await {
                Some(connection) => (connection, true),
                None => (self.connect().await?, false),
            };
            match connection.try_send_request(request).await {
                Ok(response) => {
                    let status = response.status().as_u16();
                    let retry_after_seconds = response
                        .headers()
                        .get(hyper::header::RETRY_AFTER)
                        .and_then(|value| value.to_str().ok())
                        .and_then(|text| text.parse().ok());
                    let body = response.into_body().collect().await.map_err(NoAnswer::Broken)?.to_bytes();
                    self.lock_idle().push(connection);
                    return Ok(Answer { status, retry_after_seconds, body });
                }
                Err(mut failure) => match failure.take_message() {
                    // An idle connection the server had closed meanwhile: the request never left, so it is
                    // sent again on another one.
                    Some(unsent) if reused => request = unsent,
                    _ => return Err(NoAnswer::Broken(failure.into_error())),
                },
            }
        }
    }

    /// The most recently used connection that is still open: the fewest connections stay warm.
    async fn take_idle(&self) -> Option<Connection> {
        loop {
            let mut connection = self.lock_idle().pop()?;
            if connection.ready().await.is_ok() {
                return Some(connection);
            }
        }
    }

    async fn connect(&self) -> Result<Connection, NoAnswer> {
        let stream = TcpStream::connect(&self.authority)
            .await
            .map_err(|cause| NoAnswer::Connect { authority: self.authority.clone(), cause })?;
        // Small requests must not wait for the other side's acknowledgement.
        let _ = stream.set_nodelay(true);
        let (sender, connection) = handshake(TokioIo::new(stream)).await.map_err(NoAnswer::Broken)?;
        tokio::spawn(async move {
            // An error here reaches the request that was under way through its own future.
            let _ = connection.await;
        });
        Ok(sender)
    }

    fn lock_idle(&self) -> std::sync::MutexGuard<'_, Vec<Connection>> {
        self.idle.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}
