//! Owns the delivery of mail: takes what is due from the outbox, a few at a time, and settles each with what came of it.
//! Woken by the commit that put a mail in, by the end of a delivery, and when the next try is due. A mail leaves at least
//! once: one whose outcome could not be noted is sent again, with the same `Message-ID`.

use std::time::Duration;

use tokio::task::JoinSet;

use crate::domain::clock::{Clock, Timestamp};
use crate::domain::ids::IdSource;
use crate::mail::{Letter, Sender, Transport, render};
use crate::store::mails::{self, Claimed, Outcome};
use crate::store::{Result, Store};

/// Deliveries at once: an SMTP server takes a few connections of one client gladly, and this is also what a slow one may
/// hold up.
const AT_ONCE: usize = 4;
/// For how long a mail is in hand beyond the time one delivery may take; then it counts as lost.
const LEASE_MARGIN: Duration = Duration::from_secs(30);
/// The pause after the first failed try; it doubles with each, up to the second number.
const RETRY_FIRST: Duration = Duration::from_secs(30);
const RETRY_MOST: Duration = Duration::from_secs(60 * 60);
/// A mail that did not leave in a day helps nobody any more.
const TRIED_FOR: Duration = Duration::from_secs(24 * 60 * 60);
/// How often it looks by itself, should a wake-up have been lost.
const LOOK_EVERY: Duration = Duration::from_secs(60);
/// Tries to note what came of a mail, with the pause below between them: half of the time it stays in hand.
const SETTLED_IN: usize = 5;
/// The pause while the outbox cannot be read, or written.
const UNREADABLE_PAUSE: Duration = Duration::from_secs(1);

/// The deliverer's parts.
#[derive(Clone)]
pub struct Deliverer {
    pub store: Store,
    pub transport: Transport,
    pub from: Sender,
    /// The most one delivery may take.
    pub within: Duration,
    pub clock: Clock,
    pub ids: IdSource,
}

impl Deliverer {
    /// Delivers until it is aborted; what is under way then is sent again after a start.
    pub async fn run(self) {
        let mut running = JoinSet::new();
        loop {
            let next = match self.fill(&mut running).await {
                Ok(next) => next,
                Err(error) => {
                    tracing::debug!(%error, "the outbox of mail could not be read");
                    tokio::time::sleep(UNREADABLE_PAUSE).await;
                    continue;
                }
            };
            let now = self.clock.now();
            let next = next.unwrap_or(now + LOOK_EVERY).min(now + LOOK_EVERY);
            tokio::select! {
                () = self.store.bells().mails.rung() => {}
                Some(_) = running.join_next() => {}
                // With all hands full there is nothing to wake up for.
                () = self.clock.sleep_until(next), if running.len() < AT_ONCE => {}
            }
        }
    }

    /// Takes as many mails as there are free hands; when the next one is due.
    async fn fill(&self, running: &mut JoinSet<()>) -> Result<Option<Timestamp>> {
        // What has ended in the meantime frees its hand.
        while running.try_join_next().is_some() {}
        let free = AT_ONCE.saturating_sub(running.len());
        if free > 0 {
            let now = self.clock.now();
            let lease_until = now + self.within + LEASE_MARGIN;
            for mail in mails::claim(&self.store, now, lease_until, u32::try_from(free).unwrap_or(1)).await? {
                running.spawn(self.clone().deliver(mail));
            }
        }
        mails::next_due(&self.store).await
    }

    async fn deliver(self, mail: Claimed) {
        let outcome = self.send(&mail).await;
        let (tenant, id) = (mail.tenant, mail.id);
        match &outcome {
            Outcome::Sent => metrics::counter!("vez_mails_total", "outcome" => "sent").increment(1),
            Outcome::Again { at, error } => {
                metrics::counter!("vez_mails_total", "outcome" => "failed").increment(1);
                tracing::warn!(%tenant, mail = %id, attempts = mail.attempts, again_at = %at, %error, "a mail did not leave");
            }
            Outcome::Dead { error } => {
                metrics::counter!("vez_mails_total", "outcome" => "dead").increment(1);
                tracing::error!(%tenant, mail = %id, attempts = mail.attempts, %error, "a mail is given up");
            }
        }
        // A mail whose outcome is not noted is sent twice, which is worth some patience with a database that is busy.
        for _ in 0..SETTLED_IN {
            match mails::settle(&self.store, tenant, id, outcome.clone(), self.clock.now()).await {
                Ok(()) => return,
                Err(error) => tracing::warn!(%tenant, mail = %id, %error, "what came of a mail could not be noted"),
            }
            tokio::time::sleep(UNREADABLE_PAUSE).await;
        }
        tracing::error!(%tenant, mail = %id, "what came of a mail was not noted; it will be sent again");
    }

    /// One try.
    async fn send(&self, mail: &Claimed) -> Outcome {
        let dead = |error: String| Outcome::Dead { error };
        let Some(message) = &mail.message else { return dead("the row holds no message".to_owned()) };
        let words = match render(message, mail.locale, mail.time_zone) {
            Ok(words) => words,
            Err(error) => return dead(error.to_string()),
        };
        let letter = match Letter::new(mail.id, &self.from, &mail.to, mail.send_at, &words) {
            Ok(letter) => letter,
            Err(error) => return dead(error.to_string()),
        };
        match self.transport.send(&letter).await {
            Ok(()) => Outcome::Sent,
            Err(error) => self.again(mail, error.to_string()),
        }
    }

    fn again(&self, mail: &Claimed, error: String) -> Outcome {
        let pause = pause(mail.attempts);
        // Up to a quarter more, so that what failed together is not tried together.
        let jitter = self.ids.below(u64::try_from(pause.as_micros() / 4).unwrap_or(1).max(1));
        let at = self.clock.now() + pause + Duration::from_micros(jitter);
        if at.since(mail.send_at) > TRIED_FOR { Outcome::Dead { error } } else { Outcome::Again { at, error } }
    }
}

/// The pause after so many tries.
fn pause(attempts: u32) -> Duration {
    let doublings = attempts.saturating_sub(1).min(16);
    RETRY_FIRST.saturating_mul(1 << doublings).min(RETRY_MOST)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pauses_double_up_to_an_hour() {
        let seconds: Vec<u64> = [1, 2, 3, 7, 8, 100].into_iter().map(|attempts| pause(attempts).as_secs()).collect();
        assert_eq!(seconds, [30, 60, 120, 1_920, 3_600, 3_600]);
    }
}
