//! What survives: outages of Postgres, a poison row, panics, restarts.

mod locked;
mod outage;
mod panics;
mod poison;
mod restart;
