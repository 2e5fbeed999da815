//! What every test of this program stands on.
//!
//! ```text
//! let app = TestApp::start().await;                 // the real application: own database, manual clock, no rate limits
//! let company = app.company("acme").await;          // builders: companies, departments, staff, links
//! let line = company.department("Support").await;
//! let ana = company.agent("Ana", &[line]).await;    // logged in: `ana.token`
//! let link = company.link(line).await;
//! let joined = app.client().join(&link, "Maria").await;
//! let maria = app.topic(joined.data("websocket_token"), &joined.call_topic()).await;
//! app.advance(Duration::from_secs(20)).await;       // time passes only so
//! ```
//!
//! - `postgres` runs one server for this program and copies a database for each test,
//! - `app` starts, moves in time, restarts and stops an application,
//! - `builders` makes what a test begins with, through the store,
//! - `client` speaks REST, `socket` speaks Phoenix.
//!
//! Every wait here ends after [`PATIENCE`] with a panic that says what it waited for.

pub mod app;
pub mod builders;
pub mod client;
pub mod mails;
pub mod postgres;
pub mod socket;

use std::time::Duration;

pub use app::TestApp;

/// Longest wait for anything that should happen by itself: far above what a busy machine of two cores needs.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// Waits until `found` gives something; `what` is what the panic says after [`PATIENCE`].
pub async fn eventually<T>(what: &str, mut found: impl AsyncFnMut() -> Option<T>) -> T {
    let looking = async {
        loop {
            if let Some(found) = found().await {
                return found;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    match tokio::time::timeout(PATIENCE, looking).await {
        Ok(found) => found,
        Err(_) => panic!("not within {PATIENCE:?}: {what}"),
    }
}
