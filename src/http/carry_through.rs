//! Owns that what a client began to change is carried through when he hangs up: the connection's future goes with him, and with
//! it would go whatever has to follow a commit, so such requests run in tasks of their own.
//!
//! While a client waits, his task is one of his connection, which carries one request at a time and is one open file. Those
//! whose clients left have a bound of their own. A body that was not whole breaks off when its connection does, so nobody goes
//! on with half of one.

use std::sync::{Arc, OnceLock};

use axum::extract::{Request, State};
use axum::http::Method;
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::AbortHandle;
use tracing::Instrument as _;

use super::error::ApiError;

/// Requests that go on without their clients: far above what hangs up in the moment that a commit takes. Beyond it a request
/// ends with its connection, so that nobody piles up work by asking and leaving.
pub const ABANDONED_MAX: usize = 1_000;

/// Places for requests that go on without their clients. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Places(Arc<Semaphore>);

impl Places {
    /// So many places.
    pub fn new(count: usize) -> Self {
        Self(Arc::new(Semaphore::new(count)))
    }
}

/// Middleware: runs whatever may change something to its end. What only reads ends with its reader.
pub async fn carry_through(State(places): State<Places>, request: Request, next: Next) -> Response {
    if matches!(*request.method(), Method::GET | Method::HEAD | Method::OPTIONS) {
        return next.run(request).await;
    }
    let place = Arc::new(OnceLock::new());
    let held = Arc::clone(&place);
    let running = async move {
        let response = next.run(request).await;
        drop(held);
        response
    };
    let task = tokio::spawn(running.in_current_span());
    let _leaving = Leaving { places, place, task: task.abort_handle() };
    match task.await {
        Ok(response) => response,
        // It goes on where it would be met without the task.
        Err(error) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
        Err(error) => ApiError::internal(error).into_response(),
    }
}

/// Dropped before its task has ended, the client is gone: the task gets a place, or ends as well.
struct Leaving {
    places: Places,
    /// Shared with the task: the place is free again once both have dropped it.
    place: Arc<OnceLock<OwnedSemaphorePermit>>,
    task: AbortHandle,
}

impl Drop for Leaving {
    fn drop(&mut self) {
        if self.task.is_finished() {
            return;
        }
        match Arc::clone(&self.places.0).try_acquire_owned() {
            Ok(place) => {
                // Only here is one set, once.
                let _ = self.place.set(place);
            }
            Err(_) => {
                tracing::warn!("too many requests go on without their clients; one was broken off");
                self.task.abort();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

    use std::time::Duration;

    use axum::Router;
    use axum::body::Body;
    use axum::http::StatusCode;
    use axum::middleware::from_fn_with_state;
    use axum::routing::any;
    use tokio::sync::{Notify, mpsc};
    use tower::ServiceExt as _;
    use tower_http::catch_panic::CatchPanicLayer;

    use super::*;
    use crate::http::error::answer_panic;

    /// Says when it begins and when it has ended, and waits in between.
    struct Stage {
        app: Router,
        places: Places,
        goes_on: Arc<Notify>,
        said: mpsc::UnboundedReceiver<&'static str>,
    }

    fn stage(count: usize) -> Stage {
        let (say, said) = mpsc::unbounded_channel();
        let (places, goes_on) = (Places::new(count), Arc::new(Notify::new()));
        let waits = Arc::clone(&goes_on);
        let route = any(async move || {
            say.send("began").unwrap();
            waits.notified().await;
            say.send("ended").unwrap();
        });
        let app = Router::new()
            .route("/", route)
            .route("/broken", any(async || -> StatusCode { panic!("it broke") }))
            .layer(from_fn_with_state(places.clone(), carry_through))
            .layer(CatchPanicLayer::custom(answer_panic));
        Stage { app, places, goes_on, said }
    }

    fn request(method: Method, path: &str) -> Request {
        Request::builder().method(method).uri(path).body(Body::empty()).unwrap()
    }

    /// Hangs up once the handler has begun.
    async fn hang_up(stage: &mut Stage, method: Method) {
        let asking = stage.app.clone().oneshot(request(method, "/"));
        tokio::select! {
            _ = asking => panic!("it was answered"),
            said = stage.said.recv() => assert_eq!(said, Some("began")),
        }
    }

    /// What is said next, or nothing for a while.
    async fn next(stage: &mut Stage) -> Option<&'static str> {
        tokio::time::timeout(Duration::from_millis(200), stage.said.recv()).await.ok().flatten()
    }

    #[tokio::test]
    async fn what_changes_something_goes_on_and_what_reads_does_not() {
        for (method, expected) in [(Method::PUT, Some("ended")), (Method::DELETE, Some("ended")), (Method::GET, None)] {
            let mut stage = stage(1);
            hang_up(&mut stage, method.clone()).await;
            stage.goes_on.notify_one();
            assert_eq!(next(&mut stage).await, expected, "{method}");
        }
    }

    #[tokio::test]
    async fn who_finds_no_place_ends_with_his_client_and_places_become_free() {
        let mut stage = stage(1);
        hang_up(&mut stage, Method::POST).await;
        hang_up(&mut stage, Method::POST).await;
        stage.goes_on.notify_one();
        assert_eq!(next(&mut stage).await, Some("ended"));
        stage.goes_on.notify_one();
        assert_eq!(next(&mut stage).await, None, "the second one was broken off");
        assert_eq!(stage.places.0.available_permits(), 1);
    }

    #[tokio::test]
    async fn a_panic_is_met_where_it_was() {
        let stage = stage(1);
        let answer = stage.app.oneshot(request(Method::POST, "/broken")).await.unwrap();
        assert_eq!(answer.status(), StatusCode::INTERNAL_SERVER_ERROR);
    }
}
