//! One run of the Postgres server process: making the cluster, starting, becoming ready, stopping.
//!
//! Owns: the settings the server runs with, and the care taken with one left over from an earlier run. Must not:
//! decide when to restart; the watcher in `mod.rs` does.

use std::fs::{self, OpenOptions};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use nix::errno::Errno;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use sqlx::postgres::{PgConnectOptions, PgSslMode};
use sqlx::{ConnectOptions, Connection};
use tokio::process::Child;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use super::binaries::Binaries;
use super::error::EmbeddedError;
use super::folder::Layout;

/// The only role of the cluster; it exists behind a 0700 folder, so it needs no password.
pub const USER: &str = "vez";
/// The database Vez keeps everything in.
pub const DATABASE: &str = "vez";

/// Part of the socket's file name; no TCP port is opened.
const PORT: u16 = 5432;
/// Between two attempts to connect while the server starts.
const READY_EVERY: Duration = Duration::from_millis(15);
/// Replaying the log after a crash takes its time; 20,000 looks are five minutes.
const READY_LOOKS_MAX: u32 = 20_000;
/// One attempt to connect; a server that accepts but does not answer counts as not ready.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);
/// Time for a fast shutdown with its checkpoint; then the server is ended at once and replays its log next time.
pub const FAST_STOP_SECONDS: u64 = 6;
/// Time for ending at once; together with the above below the eight seconds a stop may take.
const IMMEDIATE_STOP_SECONDS: u64 = 1;
/// Between two looks at a server that is not our child.
const GONE_EVERY: Duration = Duration::from_millis(20);
/// The log file is set aside at a start when it is larger than this.
const LOG_BYTES_MAX: u64 = 16 * 1024 * 1024;
/// How much of the end of a log goes into an error message.
const TAIL_BYTES: usize = 2_000;

/// Settings of every run. They are given on the command line, so a change here reaches clusters made long ago.
const SETTINGS: [&str; 18] = [
    "listen_addresses=",
    "unix_socket_permissions=0700",
    // Acknowledged means durable.
    "fsync=on",
    "synchronous_commit=on",
    "full_page_writes=on",
    "wal_compression=on",
    "shared_buffers=128MB",
    "max_connections=60",
    "max_wal_size=1GB",
    "checkpoint_timeout=15min",
    // Statements are short and prepared; compiling them costs more than it saves.
    "jit=off",
    "timezone=UTC",
    "log_timezone=UTC",
    "logging_collector=off",
    "log_destination=stderr",
    "log_line_prefix=%m [%p] ",
    // Statements may hold names of people; the caller logs its own errors without them.
    "log_min_error_statement=panic",
    "log_checkpoints=off",
];

/// How to reach the server.
pub fn connect_options(layout: &Layout, database: &str) -> PgConnectOptions {
    PgConnectOptions::new_without_pgpass()
        .socket(&layout.socket)
        .port(PORT)
        .username(USER)
        .database(database)
        .ssl_mode(PgSslMode::Disable)
        .application_name("vez")
}

/// Makes the cluster when there is none.
pub async fn initialise(binaries: &Binaries, layout: &Layout) -> Result<(), EmbeddedError> {
    if layout.cluster.join("PG_VERSION").is_file() {
        return Ok(());
    }
    // Made under another name first, so that a start interrupted half-way never leaves half a cluster behind.
    let fresh = layout.cluster.with_extension("new");
    let mut last = None;
    // Not every system knows C.UTF-8; the last one always exists, with letters ordered by their bytes.
    for locale in ["C.UTF-8", "en_US.UTF-8", "C"] {
        make_empty(&fresh, layout)?;
        let output = layout
            .run_as
            .command(&binaries.program("initdb"))
            .arg("-D")
            .arg(&fresh)
            .args(["-U", USER, "--auth-local=trust", "--auth-host=reject", "--encoding=UTF8", "--no-instructions"])
            .arg(format!("--locale={locale}"))
            .output()
            .await
            .map_err(EmbeddedError::io("cannot run initdb for", &fresh))?;
        if output.status.success() {
            if layout.cluster.is_dir() {
                // The empty target of the link that `folder` made.
                fs::remove_dir(&layout.cluster).map_err(EmbeddedError::io("cannot replace", &layout.cluster))?;
            }
            return fs::rename(&fresh, &layout.cluster).map_err(EmbeddedError::io("cannot place", &layout.cluster));
        }
        last = Some(tail_of(&[output.stdout, output.stderr].concat()));
    }
    Err(EmbeddedError::Initdb { output: last.unwrap_or_default() })
}

/// An empty folder of the right user, whatever an interrupted start left there.
fn make_empty(folder: &Path, layout: &Layout) -> Result<(), EmbeddedError> {
    if folder.exists() {
        fs::remove_dir_all(folder).map_err(EmbeddedError::io("cannot clear", folder))?;
    }
    layout.run_as.make_private(folder)
}

/// Starts the server and waits until it answers, or until `stopping`.
///
/// It gets a process group of its own, so neither Ctrl-C nor the end of Vez ends it half-way through a write.
pub async fn start(binaries: &Binaries, layout: &Layout, stopping: &CancellationToken) -> Result<Child, EmbeddedError> {
    stop_left_over(layout).await?;
    set_aside_large_log(&layout.log);
    let log = OpenOptions::new()
        .create(true)
        .append(true)
        .mode(0o600)
        .open(&layout.log)
        .map_err(EmbeddedError::io("cannot open", &layout.log))?;
    let also = log.try_clone().map_err(EmbeddedError::io("cannot open", &layout.log))?;
    let mut command = layout.run_as.command(&binaries.program("postgres"));
    command.arg("-D").arg(&layout.cluster).stdout(Stdio::from(log)).stderr(Stdio::from(also)).process_group(0);
    for setting in SETTINGS {
        command.args(["-c", setting]);
    }
    // The setting is a list; quotes keep a comma or a blank in the path from dividing it.
    let socket = layout.socket.to_string_lossy().replace('"', "\"\"");
    command.arg("-c").arg(format!("unix_socket_directories=\"{socket}\""));
    let mut child = command.spawn().map_err(EmbeddedError::io("cannot start Postgres on", &layout.cluster))?;

    for look in 0..READY_LOOKS_MAX {
        if let Ok(Some(status)) = child.try_wait() {
            return Err(start_error(layout, format!("it ended with {status}")));
        }
        let options = connect_options(layout, "postgres");
        if let Ok(Ok(connection)) = tokio::time::timeout(CONNECT_TIMEOUT, options.connect()).await {
            // Closing politely keeps "unexpected EOF" out of the log; a failure to do so means nothing.
            drop(connection.close().await);
            return Ok(child);
        }
        if look % 400 == 399 {
            tracing::info!(log = %layout.log.display(), "Postgres is still starting (it may be replaying its log)");
        }
        if stopping.run_until_cancelled(sleep(READY_EVERY)).await.is_none() {
            stop(&mut child).await;
            return Err(start_error(layout, "it was asked to stop".to_owned()));
        }
    }
    stop(&mut child).await;
    Err(start_error(layout, "it never became ready".to_owned()))
}

fn start_error(layout: &Layout, reason: String) -> EmbeddedError {
    let tail = fs::read(&layout.log).map(|bytes| tail_of(&bytes)).unwrap_or_default();
    EmbeddedError::Start { reason, log: layout.log.clone(), tail }
}

fn tail_of(bytes: &[u8]) -> String {
    String::from_utf8_lossy(&bytes[bytes.len().saturating_sub(TAIL_BYTES)..]).trim().to_owned()
}

fn set_aside_large_log(log: &Path) {
    if fs::metadata(log).is_ok_and(|found| found.len() > LOG_BYTES_MAX) {
        // Losing an old log is no reason not to start.
        drop(fs::rename(log, log.with_extension("log.old")));
    }
}

/// Creates the database on the first start.
pub async fn create_database(layout: &Layout) -> Result<(), EmbeddedError> {
    let mut connection = connect_options(layout, "postgres").connect().await?;
    let known: bool = sqlx::query_scalar("SELECT EXISTS (SELECT FROM pg_database WHERE datname = $1)")
        .bind(DATABASE)
        .fetch_one(&mut connection)
        .await?;
    if !known {
        sqlx::query("CREATE DATABASE vez").execute(&mut connection).await?;
    }
    connection.close().await?;
    Ok(())
}

/// Stops our child: fast (sessions ended, all written), and at once if that takes too long. Never takes eight seconds.
pub async fn stop(child: &mut Child) {
    for (ending, seconds) in [(Signal::SIGINT, FAST_STOP_SECONDS), (Signal::SIGQUIT, IMMEDIATE_STOP_SECONDS)] {
        let Some(pid) = child.id() else { return };
        signal(pid, ending);
        if tokio::time::timeout(Duration::from_secs(seconds), child.wait()).await.is_ok() {
            return;
        }
        tracing::warn!(pid, ?ending, seconds, "Postgres does not stop");
    }
    // The last resort; the cluster replays its log at the next start.
    drop(child.kill().await);
}

/// Asks the process to end; that it is gone already is fine.
pub fn signal(pid: u32, ending: Signal) {
    if let Ok(pid) = i32::try_from(pid) {
        // Only "no such process" is possible here, and then there is nothing to end.
        let _ = kill(Pid::from_raw(pid), ending);
    }
}

/// Stops a server that an earlier run of Vez left behind (`kill -9`), ending all its connections.
///
/// Stopping and starting anew takes a fraction of a second, and afterwards the server is our child again: the watcher
/// sees it die, and it runs with this version's settings. The caller holds the folder's lock, so nobody else uses it.
async fn stop_left_over(layout: &Layout) -> Result<(), EmbeddedError> {
    let Some(pid) = recorded_pid(&layout.cluster) else { return Ok(()) };
    if serves(pid, &layout.cluster) {
        tracing::info!(pid, "stopping the Postgres left over from an earlier run");
        for (ending, seconds) in [(Signal::SIGINT, FAST_STOP_SECONDS), (Signal::SIGQUIT, FAST_STOP_SECONDS)] {
            signal(pid.unsigned_abs(), ending);
            for _ in 0..Duration::from_secs(seconds).as_millis() / GONE_EVERY.as_millis() {
                if !serves(pid, &layout.cluster) {
                    return Ok(());
                }
                sleep(GONE_EVERY).await;
            }
        }
        return Err(EmbeddedError::LeftOver { pid });
    }
    forget_reused_pid(pid, &layout.cluster)
}

/// The first line of `postmaster.pid`.
fn recorded_pid(cluster: &Path) -> Option<i32> {
    let text = fs::read_to_string(cluster.join("postmaster.pid")).ok()?;
    text.lines().next()?.trim().parse().ok().filter(|pid| *pid > 1)
}

/// Whether that process is a live server of this cluster, and not another one that got the same number later.
fn serves(pid: i32, cluster: &Path) -> bool {
    if kill(Pid::from_raw(pid), None) == Err(Errno::ESRCH) {
        return false;
    }
    if Path::new("/proc/self/cwd").exists() {
        // A server works inside its cluster; a process that has ended but not been waited for is nowhere.
        return works_in(&PathBuf::from(format!("/proc/{pid}")), cluster);
    }
    // Without /proc the number must do, as it does for Postgres itself.
    true
}

fn works_in(process: &Path, cluster: &Path) -> bool {
    fs::canonicalize(cluster).is_ok_and(|cluster| fs::read_link(process.join("cwd")).is_ok_and(|cwd| cwd == cluster))
}

/// Removes a `postmaster.pid` whose number now belongs to some unrelated process, as happens when a container starts
/// again: Postgres would refuse to start. Only done when no process at all works in the cluster.
fn forget_reused_pid(pid: i32, cluster: &Path) -> Result<(), EmbeddedError> {
    let reused = kill(Pid::from_raw(pid), None) != Err(Errno::ESRCH);
    let Ok(processes) = fs::read_dir("/proc") else { return Ok(()) };
    if reused && !processes.flatten().any(|process| works_in(&process.path(), cluster)) {
        let file = cluster.join("postmaster.pid");
        fs::remove_file(&file).map_err(EmbeddedError::io("cannot remove", &file))?;
    }
    Ok(())
}
