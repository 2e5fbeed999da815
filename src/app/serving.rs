//! Owns accepting connections: one task each, bounded in what it waits for and in memory, ended in good order.

use std::time::Duration;

use axum::Router;
use axum::extract::{ConnectInfo, Request};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tower::ServiceExt as _;

use super::stalled::CutWhenStalled;
use crate::reports::stream::TAKEN_WITHIN;

/// A client that has not sent a request's head by then is dropped; idle keep-alive connections end so, too.
const HEAD_WITHIN: Duration = Duration::from_secs(60);
/// The most buffered of one request's head; beyond it 431. Keeps an idle connection small.
const HEAD_BYTES_MAX: usize = 32 * 1024;
/// The pause after a failed accept (out of files, say), so that the loop does not spin.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Serves until `stopping`, then lets requests under way end. Whoever takes nothing of any answer for as long as a report waits
/// for its reader is cut.
pub async fn serve(listener: TcpListener, router: Router, stopping: CancellationToken) {
    serve_patiently(listener, router, stopping, TAKEN_WITHIN).await;
}

async fn serve_patiently(listener: TcpListener, router: Router, stopping: CancellationToken, taken_within: Duration) {
    let mut builder = hyper::server::conn::http1::Builder::new();
    builder.timer(TokioTimer::new()).header_read_timeout(HEAD_WITHIN).max_buf_size(HEAD_BYTES_MAX);
    let connections = TaskTracker::new();
    loop {
        let (stream, peer) = tokio::select! {
            () = stopping.cancelled() => break,
            accepted = listener.accept() => match accepted {
                Ok(accepted) => accepted,
                Err(error) => {
                    tracing::warn!(%error, "cannot accept a connection");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                    continue;
                }
            },
        };
        // Offers and positions are small and urgent; waiting to fill a packet would only delay them.
        let _ = stream.set_nodelay(true);
        let router = router.clone();
        let service = hyper::service::service_fn(move |mut request: Request<hyper::body::Incoming>| {
            request.extensions_mut().insert(ConnectInfo(peer));
            router.clone().oneshot(request)
        });
        let stream = TokioIo::new(CutWhenStalled::new(stream, taken_within));
        let connection = builder.serve_connection(stream, service).with_upgrades();
        let stopping = stopping.clone();
        connections.spawn(async move {
            let mut connection = std::pin::pin!(connection);
            let ended = tokio::select! {
                ended = connection.as_mut() => ended,
                () = stopping.cancelled() => {
                    connection.as_mut().graceful_shutdown();
                    connection.await
                }
            };
            if let Err(error) = ended {
                tracing::trace!(%error, "a connection ended");
            }
        });
    }
    drop(listener);
    connections.close();
    connections.wait().await;
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use std::sync::{Arc, Mutex};

    use axum::body::Body;
    use axum::routing::get;
    use bytes::Bytes;
    use futures_util::stream;
    use tokio::io::AsyncWriteExt as _;
    use tokio::net::TcpStream;
    use tokio::sync::mpsc;

    use super::*;

    #[tokio::test]
    async fn a_download_of_which_nothing_is_taken_is_let_go_with_all_it_holds() {
        let (held, mut holders) = mpsc::channel::<()>(1);
        // Taken by the only answer, so that nothing but its body holds it.
        let held = Arc::new(Mutex::new(Some(held)));
        let router = Router::new().route(
            "/",
            get(async move || {
                let held = held.lock().unwrap().take();
                Body::from_stream(stream::repeat_with(move || {
                    let _open = &held;
                    Ok::<_, std::convert::Infallible>(Bytes::from(vec![0; 64 * 1024]))
                }))
            }),
        );
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(serve_patiently(listener, router, CancellationToken::new(), Duration::from_millis(100)));
        let mut reader = TcpStream::connect(address).await.unwrap();
        reader.write_all(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
        let let_go = tokio::time::timeout(Duration::from_secs(20), holders.recv()).await;
        assert_eq!(let_go, Ok(None));
    }
}
