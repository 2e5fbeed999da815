//! Owns whether Postgres can be written to, as the writers last found. It tries nothing itself.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::sync::watch;

/// Whether the record can be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Health {
    Up,
    /// Postgres is away: the line is frozen.
    Away,
    /// Another process owns the database: this one must stop.
    Fenced,
}

/// The shared state of the writers; each shard and the heartbeat report for themselves.
#[derive(Clone, Debug)]
pub struct StorageHealth {
    /// One bit per reporter that cannot write now.
    away: Arc<AtomicU64>,
    state: watch::Sender<Health>,
}

impl StorageHealth {
    /// Everything is well until somebody says otherwise.
    pub fn new() -> Self {
        Self { away: Arc::new(AtomicU64::new(0)), state: watch::Sender::new(Health::Up) }
    }

    /// The present state.
    pub fn now(&self) -> Health {
        *self.state.borrow()
    }

    /// Hears of every change.
    pub fn watch(&self) -> watch::Receiver<Health> {
        self.state.subscribe()
    }

    /// A reporter (below 64) says whether it can write.
    pub fn report(&self, reporter: u32, writes: bool) {
        let bit = 1u64 << (reporter % 64);
        if writes {
            self.away.fetch_and(!bit, Ordering::SeqCst);
        } else {
            self.away.fetch_or(bit, Ordering::SeqCst);
        }
        self.state.send_if_modified(|state| {
            let new = if *state == Health::Fenced {
                Health::Fenced
            } else if self.away.load(Ordering::SeqCst) == 0 {
                Health::Up
            } else {
                Health::Away
            };
            let changed = *state != new;
            *state = new;
            metrics::gauge!("vez_storage_up").set(if new == Health::Up { 1.0 } else { 0.0 });
            changed
        });
    }

    /// Another process owns the database.
    pub fn fenced(&self) {
        self.state.send_replace(Health::Fenced);
    }
}

impl Default for StorageHealth {
    fn default() -> Self {
        Self::new()
    }
}
