//! Owns one armed timer of an actor. Firing sends a message that carries the timer's generation, so that one which was
//! already in the mailbox when it was re-armed is recognised and dropped.

use tokio::task::JoinHandle;

use crate::domain::clock::{Clock, Timestamp};

/// The one timer of an actor.
#[derive(Debug)]
pub(super) struct Timer {
    clock: Clock,
    generation: u64,
    armed: Option<(Timestamp, JoinHandle<()>)>,
}

impl Timer {
    pub fn new(clock: Clock) -> Self {
        Self { clock, generation: 0, armed: None }
    }

    /// Makes sure the timer fires at `at` or sooner. One armed for an earlier time is left: it fires, and is armed anew.
    pub fn arm(&mut self, at: Option<Timestamp>, fire: impl FnOnce(u64) + Send + 'static) {
        let Some(at) = at else { return };
        if self.armed.as_ref().is_some_and(|(armed, _)| *armed <= at) {
            return;
        }
        self.disarm();
        self.generation += 1;
        let (generation, clock) = (self.generation, self.clock.clone());
        let task = tokio::spawn(async move {
            clock.sleep_until(at).await;
            fire(generation);
        });
        self.armed = Some((at, task));
    }

    /// Whether a firing is the armed one; it is spent then.
    pub fn fired(&mut self, generation: u64) -> bool {
        let current = generation == self.generation && self.armed.is_some();
        if current {
            self.armed = None;
        }
        current
    }

    fn disarm(&mut self) {
        if let Some((_, task)) = self.armed.take() {
            task.abort();
        }
    }
}

impl Drop for Timer {
    fn drop(&mut self) {
        self.disarm();
    }
}
