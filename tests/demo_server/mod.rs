//! A real `vez demo` as a process of its own, in a data folder that goes away with the test.
//!
//! It owns starting, killing and stopping that process and cleaning up after it. It signals only processes it started:
//! its child, and the Postgres that this child left behind, by the pid in its own data folder.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test may stop at the first surprise")]
#![allow(dead_code, reason = "each test binary uses its part of this harness")]

use std::fs::{self, File, OpenOptions, Permissions};
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tempfile::TempDir;
use vez_loadtests::client::http::Rest;
use vez_loadtests::clock;

/// Longest wait for a start: the first one makes a cluster and hashes a password for each agent.
const START: Duration = Duration::from_secs(90);
/// Longest wait for an orderly stop, as promised.
pub const STOP: Duration = Duration::from_secs(10);
/// How often a condition is looked at.
const LOOK: Duration = Duration::from_millis(20);
/// Lines of the server's log shown when something went wrong.
const LOG_LINES: usize = 40;

/// A running (or killed) demo server.
pub struct DemoServer {
    home: TempDir,
    port: u16,
    agents: usize,
    child: Child,
}

impl DemoServer {
    /// Starts a server on a free port in a fresh data folder, and waits until it is ready.
    pub async fn start(agents: usize) -> Self {
        // The embedded Postgres runs as another user under root and has to pass through.
        let home =
            tempfile::Builder::new().prefix("vez-test-").permissions(Permissions::from_mode(0o711)).tempdir().unwrap();
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let child = spawn(home.path(), port, agents);
        let mut server = Self { home, port, agents, child };
        server.wait_until_ready().await;
        server
    }

    /// Starts the same server again on the same folder and port.
    pub async fn start_again(&mut self) {
        self.child = spawn(self.home.path(), self.port, self.agents);
        self.wait_until_ready().await;
    }

    pub fn base_url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// Where the server writes `demo.json`.
    pub fn demo_json(&self) -> PathBuf {
        self.data().join("demo.json")
    }

    /// `kill -9`: no farewell. Its Postgres lives on.
    pub fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// SIGTERM; gives the exit status and how long it took.
    pub async fn stop(&mut self) -> (ExitStatus, Duration) {
        let asked_at = clock::now();
        kill(pid(&self.child), Signal::SIGTERM).unwrap();
        let status = wait_for_exit(&mut self.child, asked_at + STOP).await;
        let status = status.unwrap_or_else(|| panic!("no exit within {STOP:?} of SIGTERM\n{}", self.log()));
        (status, clock::now() - asked_at)
    }

    /// The pid of the Postgres of this folder, when there is one.
    pub fn postgres(&self) -> Option<Pid> {
        let text = fs::read_to_string(self.data().join("postgres/postmaster.pid")).ok()?;
        text.lines().next()?.trim().parse().ok().map(Pid::from_raw)
    }

    /// The last lines the server wrote.
    pub fn log(&self) -> String {
        let text = fs::read_to_string(log_path(self.home.path())).unwrap_or_default();
        let lines: Vec<_> = text.lines().collect();
        lines[lines.len().saturating_sub(LOG_LINES)..].join("\n")
    }

    fn data(&self) -> PathBuf {
        self.home.path().join("data")
    }

    async fn wait_until_ready(&mut self) {
        let rest = Rest::new(&self.base_url()).unwrap();
        let late_at = clock::now() + START;
        loop {
            if self.demo_json().exists() && rest.is_ok("/health/ready").await {
                return;
            }
            if let Some(status) = self.child.try_wait().unwrap() {
                panic!("the server stopped at its start with {status}\n{}", self.log());
            }
            assert!(clock::now() < late_at, "not ready within {START:?}\n{}", self.log());
            tokio::time::sleep(LOOK).await;
        }
    }
}

impl Drop for DemoServer {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("the server's last lines:\n{}", self.log());
        }
        if self.child.try_wait().is_ok_and(|status| status.is_none()) {
            let _ = kill(pid(&self.child), Signal::SIGTERM);
            let late_at = clock::now() + STOP;
            while self.child.try_wait().is_ok_and(|status| status.is_none()) && clock::now() < late_at {
                std::thread::sleep(LOOK);
            }
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
        // A killed server leaves its Postgres; SIGINT asks that one for a fast shutdown.
        if let Some(postgres) = self.postgres() {
            let _ = kill(postgres, Signal::SIGINT);
            let late_at = clock::now() + STOP;
            while self.postgres().is_some() && clock::now() < late_at {
                std::thread::sleep(LOOK);
            }
        }
    }
}

fn spawn(home: &Path, port: u16, agents: usize) -> Child {
    let log = OpenOptions::new().create(true).append(true).open(log_path(home)).unwrap();
    let copy: File = log.try_clone().unwrap();
    Command::new(env!("CARGO_BIN_EXE_vez"))
        .arg("demo")
        .args(["--port", &port.to_string()])
        .arg("--data-dir")
        .arg(home.join("data"))
        .args(["--agents", &agents.to_string()])
        .env("VEZ_RATE_LIMIT", "off")
        // The test is about the embedded Postgres, whatever the developer's shell points at.
        .env_remove("DATABASE_URL")
        .env_remove("VEZ_DATABASE_URL")
        .stdin(Stdio::null())
        .stdout(log)
        .stderr(copy)
        .spawn()
        .unwrap()
}

fn log_path(home: &Path) -> PathBuf {
    home.join("server.log")
}

fn pid(child: &Child) -> Pid {
    Pid::from_raw(i32::try_from(child.id()).unwrap())
}

async fn wait_for_exit(child: &mut Child, late_at: Instant) -> Option<ExitStatus> {
    loop {
        if let Some(status) = child.try_wait().unwrap() {
            return Some(status);
        }
        if clock::now() > late_at {
            return None;
        }
        tokio::time::sleep(LOOK).await;
    }
}
