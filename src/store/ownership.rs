//! Owns the rule that one process serves a database: a session lock says who, an epoch says since when, and every batch
//! of the record checks the epoch in its own transaction.

use std::time::Duration;

use sqlx::postgres::PgConnectOptions;
use uuid::Uuid;

use super::Result;
use super::connect::unwritten;
use crate::domain::clock::{Clock, Timestamp};

/// This process' hold on the database, on a connection of its own. Dropping it lets go.
#[derive(Debug)]
pub struct Ownership {
    /// Raised at every start; written with every row of the record.
    pub epoch: i64,
    /// When the previous owner last said that it served; `None` on the first start.
    pub served_until: Option<Timestamp>,
}

impl Ownership {
    /// Takes the database for the process `id`, waiting up to `wait` for another to let go; then says who has it
    /// (`OwnedElsewhere`). No batch of an earlier owner is under way any more when this returns.
    pub async fn acquire(_options: &PgConnectOptions, _id: Uuid, _wait: Duration, _clock: &Clock) -> Result<Self> {
        Err(unwritten())
    }

    /// Says that we serve at `now`; cheap, and lost with a crash of the server only for its last moments. An error marks
    /// the hold as lost unless the connection survived it.
    pub async fn heartbeat(&self, _now: Timestamp) -> Result<()> {
        Err(unwritten())
    }

    /// Whether the connection that holds the lock is gone; then `reacquire`.
    pub fn is_lost(&self) -> bool {
        false
    }

    /// Takes the lock again on a new connection, with the same epoch. `Fenced` when another owner came between, or
    /// `OwnedElsewhere` when one holds it now; `Unavailable` may be tried again.
    pub async fn reacquire(&self) -> Result<()> {
        Err(unwritten())
    }

    /// Says a last time that we served, and lets go.
    pub async fn release(self, _now: Timestamp) -> Result<()> {
        Err(unwritten())
    }
}
