//! What can keep the private Postgres from running, in words that say what to do.
//!
//! Owns: the error type of this folder. Must not: log.

use std::io;
use std::path::{Path, PathBuf};

/// Why the private Postgres does not run.
#[derive(Debug, thiserror::Error)]
pub enum EmbeddedError {
    /// No usable server programs on this machine.
    #[error(
        "no Postgres server programs ({wanted}) on this machine: run `dev/setup` in Vez's source folder, install \
         them yourself (Debian and Ubuntu: `apt install postgresql`), or point DATABASE_URL at a server"
    )]
    NoBinaries {
        /// The versions that would do, such as "version 14 or newer".
        wanted: String,
    },
    /// Another process holds the data folder.
    #[error(
        "another vez{} is using {} and did not leave within {waited_seconds} s: stop it, or use another --data-dir",
        holder.map(|pid| format!(" (process {pid})")).unwrap_or_default(), folder.display()
    )]
    InUse {
        /// The data folder.
        folder: PathBuf,
        /// Process id the holder wrote into the lock file, when readable.
        holder: Option<u32>,
        /// How long we waited, in seconds.
        waited_seconds: u64,
    },
    /// Root started us and there is nobody unprivileged to run Postgres as.
    #[error("Postgres does not run as root, and there is neither a user `postgres` nor `nobody` to run it as")]
    NoUser,
    /// A folder or file could not be used.
    #[error("{doing} {}: {source}", path.display())]
    Io {
        /// What was being done, such as "cannot create".
        doing: &'static str,
        /// To which path.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A folder of ours is not as safe as it must be.
    #[error("{}: {problem}", path.display())]
    Unsafe {
        /// Which folder.
        path: PathBuf,
        /// What is wrong with it.
        problem: &'static str,
    },
    /// `initdb` failed.
    #[error("initdb could not make the cluster: {output}")]
    Initdb {
        /// The end of what it printed.
        output: String,
    },
    /// The server process ended instead of becoming ready, or never became ready.
    #[error("Postgres did not start: {reason}; the end of {}: {tail}", log.display())]
    Start {
        /// How it failed.
        reason: String,
        /// Its log file.
        log: PathBuf,
        /// The last lines there.
        tail: String,
    },
    /// A server left over by an earlier run did not stop.
    #[error("the Postgres left over from an earlier run (process {pid}) does not stop; end it and start again")]
    LeftOver {
        /// Its process id.
        pid: i32,
    },
    /// The server runs but refused what we asked of it.
    #[error("the private Postgres refused: {0}")]
    Database(#[from] sqlx::Error),
}

impl EmbeddedError {
    /// For `map_err` on a file operation.
    pub(super) fn io(doing: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Io { doing, path, source }
    }
}
