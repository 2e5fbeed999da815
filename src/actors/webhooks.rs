//! Calls companies' own systems with what happened to their calls, customers and appointments. It reads only what is
//! committed: the change and the row that says it is to be told are one transaction (`store::webhooks`, `record.sql`).
//!
//! - At least once: a delivery that was under way in a crash is made again. `webhook-id` is the same then.
//! - In order for each webhook and subject (call, customer, appointment): the next one waits until the one before is
//!   delivered or dead. Subjects do not wait for each other, nor webhooks: each has its own bound of deliveries under way.
//! - Patient: `schedule` says how long. Then a delivery is dead, and can be replayed.
//!
//! | file | owns |
//! |---|---|
//! | `deliverer` | the loop: what is due is taken, sent, kept |
//! | `attempt` | one request and its answer |
//! | `signature` | the headers that prove who sent it |
//! | `targets` | which addresses may be called |
//! | `schedule` | pauses and bounds |
//! | `disabling` | switching off what has failed for days |

mod attempt;
mod deliverer;
mod disabling;
mod schedule;
mod signature;
mod targets;

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

pub use attempt::{Sender, seal_context};
pub use schedule::RETRIES;
pub use signature::{PREFIX, SECRET_BYTES, SECRET_CHARS_MAX, SECRET_CHARS_MIN, generate, is_well_formed};
pub use targets::{LookUp, Refusal, Targets, URL_CHARS_MAX};

use super::handle::Queues;
use crate::auth::Seal;
use crate::config;
use crate::domain::clock::Clock;
use crate::domain::ids::IdSource;
use crate::store::Store;
use crate::store::webhooks::{Message, NewAttempt, Target};
use deliverer::Deliverer;
use disabling::Disabling;

/// Tests that staff may have under way at once, in the whole server: each waits for a stranger's answer.
const TESTS_MAX: usize = 16;

/// The pause before deliveries begin anew after a panic: one that comes at once does not take a processor.
const RESTART_PAUSE: Duration = Duration::from_secs(1);

/// What routes need of webhooks. Cheap to clone.
#[derive(Clone)]
pub struct Webhooks {
    sender: Sender,
    tests: Arc<Semaphore>,
}

/// Too many tests are under way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Busy;

impl Webhooks {
    /// By the settings; what is wrong with them is told by its text.
    pub fn new(config: &config::Webhooks, look_up: Option<LookUp>, seal: Seal, clock: Clock) -> Result<Self, String> {
        let within = Duration::from_secs(u64::from(config.timeout_seconds.max(1)));
        let sender = Sender::new(Targets::new(config, look_up)?, seal, clock, within)
            .map_err(|error| format!("webhooks cannot be called: {error}"))?;
        Ok(Self { sender, tests: Arc::new(Semaphore::new(TESTS_MAX)) })
    }

    /// Whether a URL may be kept.
    pub async fn check(&self, url: &str) -> Result<(), Refusal> {
        self.sender.targets().check(url).await
    }

    /// Sends a message at once, and once; whether it was delivered, and what to keep of it.
    pub async fn test(&self, message: &Message, target: &Target) -> Result<(bool, NewAttempt), Busy> {
        let _room = self.tests.try_acquire().map_err(|_| Busy)?;
        Ok(self.sender.attempt(message, target).await)
    }

    /// Starts delivering what the owner of `epoch` committed, until told to stop; the task ends soon after that.
    pub fn deliver(
        &self,
        config: &config::Webhooks,
        store: Store,
        queues: Queues,
        clock: Clock,
        ids: IdSource,
        epoch: i64,
        stopping: CancellationToken,
    ) -> JoinHandle<()> {
        let parts = deliverer::Parts {
            store,
            clock,
            ids: ids.clone(),
            sender: self.sender.clone(),
            epoch,
            disabling: Disabling { queues, ids, after_days: config.disable_days.max(1) },
        };
        tokio::spawn(async move {
            // One that panicked had kept all that must last; the next one begins with what is there.
            while let Err(fault) = tokio::spawn(Deliverer::new(parts.clone()).run(stopping.clone())).await {
                tracing::error!(%fault, "calling webhooks panicked; it begins anew");
                metrics::counter!("vez_webhook_panics_total").increment(1);
                tokio::time::sleep(RESTART_PAUSE).await;
            }
        })
    }
}
