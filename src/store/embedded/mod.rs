//! The private Postgres: a cluster in the data folder, run by the server programs of this machine.
//!
//! Owns: the lock on the data folder, the server process from start to stop, and bringing it back when it dies.
//! Must not: know what the database holds; migrations and statements are the rest of `store`.
//!
//! - `binaries` finds the programs, `folder` decides where everything lies and who may see it,
//! - `lock` keeps a second Vez out, `server` makes, starts and stops one server process,
//! - this file ties them together and watches.
//!
//! After `kill -9` of Vez the server lives on. The next start takes the lock, stops that server, and starts anew.

mod binaries;
mod error;
mod folder;
mod lock;
mod server;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use nix::sys::signal::Signal;
use sqlx::postgres::PgConnectOptions;
use tokio::process::Child;
use tokio::sync::Mutex;
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;

use binaries::Binaries;
pub use binaries::MAJOR_MIN;
pub use error::EmbeddedError;
use folder::Layout;
use lock::FolderLock;
pub use lock::WAIT_SECONDS;

/// First pause before a server that died is started again.
const RESTART_PAUSE_MIN: Duration = Duration::from_millis(100);
/// Longest such pause: when the disk is full again and again, no need to ask more often.
const RESTART_PAUSE_MAX: Duration = Duration::from_secs(10);
/// A server that lived this long is healthy, and the next pause is the first again.
const HEALTHY_AFTER: Duration = Duration::from_secs(60);
/// Attempts to start while processes of a killed server still hold its memory.
const START_ATTEMPTS: u32 = 5;

/// A running private Postgres and the ownership of its data folder.
///
/// Dropping it asks the server to stop but does not wait; [`Embedded::stop`] waits.
#[derive(Debug)]
pub struct Embedded {
    layout: Layout,
    /// Process id of the server, 0 while there is none.
    pid: Arc<AtomicU32>,
    stopping: CancellationToken,
    watcher: Mutex<Option<JoinHandle<()>>>,
    /// Freed last, when nothing of ours touches the folder any more.
    lock: Mutex<Option<FolderLock>>,
}

impl Embedded {
    /// Takes the data folder and brings its Postgres up, making both when they are missing.
    ///
    /// Waits up to [`WAIT_SECONDS`] for another Vez to leave the folder. Takes about a second the first time, and a
    /// fraction of it later.
    pub async fn start(data_dir: &Path) -> Result<Self, EmbeddedError> {
        Self::start_within(data_dir, WAIT_SECONDS).await
    }

    /// The same, with another patience for a Vez that is there already, in seconds.
    pub async fn start_within(data_dir: &Path, wait_seconds: u64) -> Result<Self, EmbeddedError> {
        let data = folder::data_folder(data_dir)?;
        let lock = FolderLock::take(&data, wait_seconds).await?;
        let layout = folder::layout(&data).await?;
        let binaries = Binaries::find(folder::cluster_major(&layout.cluster)).await?;
        let stopping = CancellationToken::new();
        server::initialise(&binaries, &layout).await?;
        let mut child = start_patiently(&binaries, &layout, &stopping).await?;
        if let Err(error) = server::create_database(&layout).await {
            server::stop(&mut child).await;
            return Err(error);
        }
        tracing::info!(cluster = %layout.cluster.display(), version = binaries.major(), "Postgres is ready");

        let pid = Arc::new(AtomicU32::new(child.id().unwrap_or(0)));
        let watcher = tokio::spawn(watch(child, binaries, layout.clone(), pid.clone(), stopping.clone()));
        Ok(Self { layout, pid, stopping, watcher: Mutex::new(Some(watcher)), lock: Mutex::new(Some(lock)) })
    }

    /// How to connect to its database.
    pub fn connect_options(&self) -> PgConnectOptions {
        server::connect_options(&self.layout, server::DATABASE)
    }

    /// The same as an address for `DATABASE_URL`.
    pub fn database_url(&self) -> String {
        let socket = self.layout.socket.to_string_lossy();
        // What has a meaning in an address is written as its code; a folder's name seldom holds any of it.
        let socket: String = socket
            .bytes()
            .map(|byte| match byte {
                b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'/' | b'-' | b'_' | b'.' | b'~' => char::from(byte).into(),
                other => format!("%{other:02X}"),
            })
            .collect();
        format!("postgres://{}@localhost/{}?host={socket}", server::USER, server::DATABASE)
    }

    /// Folder of its Unix socket.
    pub fn socket_folder(&self) -> &Path {
        &self.layout.socket
    }

    /// Its log file.
    pub fn log_file(&self) -> &PathBuf {
        &self.layout.log
    }

    /// Process id of the server; `None` while it is down.
    pub fn pid(&self) -> Option<u32> {
        Some(self.pid.load(Ordering::Acquire)).filter(|pid| *pid != 0)
    }

    /// Stops the server cleanly, ending its connections, and frees the folder. Takes less than eight seconds.
    /// A second call does nothing.
    pub async fn stop(&self) {
        self.stopping.cancel();
        if let Some(watcher) = self.watcher.lock().await.take()
            && let Err(error) = watcher.await
        {
            tracing::error!(%error, "the watcher of Postgres failed");
        }
        drop(self.lock.lock().await.take());
    }
}

impl Drop for Embedded {
    fn drop(&mut self) {
        self.stopping.cancel();
        if let Some(pid) = self.pid() {
            server::signal(pid, Signal::SIGINT);
        }
    }
}

/// Starts the server; processes of a server that was killed take a moment to notice and to free its memory.
async fn start_patiently(
    binaries: &Binaries,
    layout: &Layout,
    stopping: &CancellationToken,
) -> Result<Child, EmbeddedError> {
    let mut pause = RESTART_PAUSE_MIN;
    for _ in 1..START_ATTEMPTS {
        match server::start(binaries, layout, stopping).await {
            Err(EmbeddedError::Start { reason, .. }) => tracing::warn!(reason, "Postgres did not start; trying again"),
            done => return done,
        }
        sleep(pause).await;
        pause *= 2;
    }
    server::start(binaries, layout, stopping).await
}

/// Keeps the server running until it is asked to stop.
async fn watch(mut child: Child, binaries: Binaries, layout: Layout, pid: Arc<AtomicU32>, stopping: CancellationToken) {
    let mut pause = RESTART_PAUSE_MIN;
    loop {
        tokio::select! {
            status = async { timeout(HEALTHY_AFTER, child.wait()).await } => match status {
                Err(_) => {
                    pause = RESTART_PAUSE_MIN;
                    continue;
                }
                Ok(status) => {
                    pid.store(0, Ordering::Release);
                    if stopping.is_cancelled() {
                        return;
                    }
                    tracing::error!(?status, log = %layout.log.display(), "Postgres died; starting it again");
                }
            },
            () = stopping.cancelled() => {
                server::stop(&mut child).await;
                pid.store(0, Ordering::Release);
                return;
            }
        }
        // Until it runs again or nobody wants it any more.
        loop {
            if stopping.run_until_cancelled(sleep(pause)).await.is_none() {
                return;
            }
            pause = (pause * 2).min(RESTART_PAUSE_MAX);
            match server::start(&binaries, &layout, &stopping).await {
                Ok(started) => {
                    child = started;
                    pid.store(child.id().unwrap_or(0), Ordering::Release);
                    tracing::info!("Postgres is ready again");
                    break;
                }
                Err(error) => tracing::error!(%error, "Postgres does not start; trying again"),
            }
        }
    }
}
