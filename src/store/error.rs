//! Owns the errors of the store and how a SQLSTATE becomes one. It never shows a statement or a value to a client.

use uuid::Uuid;

use crate::domain::clock::Timestamp;

/// What the store answers with.
pub type Result<T> = std::result::Result<T, StoreError>;

/// Why the store could not do what was asked. Absence is not an error: it is `Ok(None)`.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// A unique key is taken.
    #[error("another row already holds this key ({constraint})")]
    Conflict {
        /// The name of the constraint or unique index.
        constraint: String,
    },
    /// No connection, the server is going away or out of something, or the transaction may simply be tried again.
    #[error("the database is unavailable: {0}")]
    Unavailable(#[source] sqlx::Error),
    /// The company reads as many lists as it may at once, and its turn did not come in time.
    #[error("this company reads as many lists as it may at once")]
    CompanyBusy,
    /// The content is not acceptable (SQLSTATE classes 22, 23 and 42); trying again would not help.
    #[error("the database refused this ({code}): {message}")]
    Refused {
        /// The five characters of the SQLSTATE.
        code: String,
        /// Postgres' own sentence; for logs.
        message: String,
    },
    /// A stored value is none that this program writes.
    #[error("{table}.{column} of row {row} holds a value that is not one of ours")]
    Corrupt { table: &'static str, column: &'static str, row: String },
    /// Another process owns this database.
    #[error("another Vez serves this database: process {pid} on {host}, since {since}")]
    OwnedElsewhere {
        id: Uuid,
        pid: i32,
        host: String,
        since: Timestamp,
        /// Its last heartbeat.
        seen: Option<Timestamp>,
    },
    /// Another process has this database and does not serve it yet.
    #[error("another Vez is bringing this database up to date")]
    BeingMigrated,
    /// Another process owned this database meanwhile; nothing may be written by us any more.
    #[error("another Vez took this database over")]
    Fenced,
    /// The migrations did not run through.
    #[error("the database could not be migrated: {0}")]
    Migration(#[source] sqlx::migrate::MigrateError),
    /// Older than the oldest server we are tested with.
    #[error("this Postgres is version {found}; Vez needs {least} or newer")]
    ServerTooOld { found: i32, least: i32 },
}

impl StoreError {
    /// Whether the same call may succeed a little later.
    pub fn is_unavailable(&self) -> bool {
        matches!(self, StoreError::Unavailable(_))
    }
}

/// The SQLSTATE of a statement that broke a unique key.
const UNIQUE_VIOLATION: &str = "23505";

impl From<sqlx::Error> for StoreError {
    fn from(error: sqlx::Error) -> Self {
        let sqlx::Error::Database(database) = &error else {
            return match error {
                sqlx::Error::Decode(_)
                | sqlx::Error::ColumnDecode { .. }
                | sqlx::Error::ColumnNotFound(_)
                | sqlx::Error::TypeNotFound { .. }
                | sqlx::Error::Encode(_) => Self::Refused { code: "decode".into(), message: error.to_string() },
                other => Self::Unavailable(other),
            };
        };
        let code = database.code().unwrap_or_default().into_owned();
        if code == UNIQUE_VIOLATION {
            return Self::Conflict { constraint: database.constraint().unwrap_or_default().to_owned() };
        }
        match code.get(..2) {
            Some("22" | "23" | "42") => Self::Refused { code, message: database.message().to_owned() },
            _ => Self::Unavailable(error),
        }
    }
}
