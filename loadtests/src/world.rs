//! What all bots of a run share: the server, the ledger, the histograms, the counts of trouble.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::Semaphore;

use crate::client::http::Rest;
use crate::fleet::Fleet;
use crate::latency::{Latencies, Step};
use crate::ledger::{Ledger, OfferedAfter};

/// Kinds of trouble told apart; further ones are counted as `other`.
const TROUBLE_KINDS: usize = 64;
/// Logins under way at once: each costs the server a password hash, and a storm of them would only time out.
const LOGINS: usize = 4;

/// The surroundings of every bot.
#[derive(Debug)]
pub struct World {
    pub rest: Rest,
    pub tenant: String,
    pub ledger: Ledger,
    pub latencies: Latencies,
    pub fleet: Fleet,
    /// Whether what agents see counts: not in the warm-up, nor while the rest is drained.
    measuring: AtomicBool,
    /// One permit a login.
    pub logins: Semaphore,
    /// Commands that failed for good, by what happened.
    errors: Mutex<BTreeMap<String, u64>>,
    /// Commands the server asked to repeat, and connections made again.
    retries: AtomicU64,
    /// Accepts that came too late, which is no fault.
    late_accepts: AtomicU64,
}

impl World {
    /// # Errors
    /// As [`Latencies::new`].
    pub fn new(rest: Rest, tenant: String, fleet: Fleet) -> anyhow::Result<Self> {
        Ok(Self {
            rest,
            tenant,
            ledger: Ledger::default(),
            latencies: Latencies::new()?,
            fleet,
            measuring: AtomicBool::new(false),
            logins: Semaphore::new(LOGINS),
            errors: Mutex::default(),
            retries: AtomicU64::new(0),
            late_accepts: AtomicU64::new(0),
        })
    }

    /// Counts a failure; `what` is a short fixed text, `why` the server's or the system's words.
    pub fn error(&self, what: &str, why: &dyn std::fmt::Display) {
        let mut errors = self.errors.lock().unwrap_or_else(PoisonError::into_inner);
        let kind = format!("{what}: {why}");
        let kind = if errors.len() >= TROUBLE_KINDS && !errors.contains_key(&kind) { "other".to_owned() } else { kind };
        *errors.entry(kind).or_default() += 1;
    }

    /// Begins or ends the measured part.
    pub fn measure(&self, on: bool) {
        self.measuring.store(on, Ordering::Relaxed);
    }

    /// Counts the latency of an agent's command in the measured part.
    pub fn record_command(&self, step: Step, latency: Duration) {
        if self.measuring.load(Ordering::Relaxed) {
            self.latencies.record(step, latency);
        }
    }

    pub fn retried(&self) {
        self.retries.fetch_add(1, Ordering::Relaxed);
    }

    pub fn accepted_late(&self) {
        self.late_accepts.fetch_add(1, Ordering::Relaxed);
    }

    /// Counts a first offer's latency when it belongs to the measured part of the run.
    pub fn record_offer(&self, offered: Option<OfferedAfter>) {
        if let Some(offered) = offered.filter(|offered| offered.measured) {
            self.latencies.record(Step::JoinToOfferAll, offered.latency);
            if offered.free_agent {
                self.latencies.record(Step::JoinToOffer, offered.latency);
            }
        }
    }

    #[must_use]
    pub fn errors(&self) -> BTreeMap<String, u64> {
        self.errors.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    #[must_use]
    pub fn retry_count(&self) -> u64 {
        self.retries.load(Ordering::Relaxed)
    }

    #[must_use]
    pub fn late_accept_count(&self) -> u64 {
        self.late_accepts.load(Ordering::Relaxed)
    }
}
