//! Owns the loop that works through the outbox: look at what is new, take what is due, send it side by side, keep what came
//! of it. It is woken by commits, by finished attempts and by the next due time; nothing is polled.
//!
//! What must last is in Postgres; here is only which endpoints to look at when, and how many attempts each has under way.

use std::collections::HashMap;
use std::time::Duration;

use metrics::{counter, gauge, histogram};
use tokio::task::{Id, JoinError, JoinSet};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::attempt::Sender;
use super::disabling::Disabling;
use super::schedule::{SENDING_MAX, SENDING_PER_WEBHOOK_MAX, SENDING_TO_FAILING_MAX, next_attempt};
use crate::domain::clock::{Clock, Timestamp};
use crate::domain::ids::IdSource;
use crate::store::webhooks::{self, Endpoint, Finished, NewAttempt, Taken, Verdict};
use crate::store::{Result, Store};

/// New deliveries put in line by one statement.
const PLACED_AT_ONCE: u32 = 500;
/// How long to wait after Postgres refused us.
const PAUSE: Duration = Duration::from_millis(500);
/// How long after its answer was lost a statement may still take something: longer than Postgres lets any of ours run.
const LATE_WITHIN: Duration = Duration::from_secs(20);
/// How long attempts under way may take once the server stops; what is not over then is made again by the next one.
const STOP_WITHIN: Duration = Duration::from_secs(2);

/// What it works with.
#[derive(Clone)]
pub(super) struct Parts {
    pub store: Store,
    pub clock: Clock,
    pub ids: IdSource,
    pub sender: Sender,
    pub epoch: i64,
    pub disabling: Disabling,
}

/// One endpoint that has something to send.
#[derive(Debug, Default)]
struct Desk {
    /// Attempts under way.
    sending: usize,
    /// When to look at it next; at or before the first thing that is due.
    due: Option<Timestamp>,
    /// Its last attempt failed.
    failing: bool,
}

impl Desk {
    fn room(&self) -> usize {
        let most = if self.failing { SENDING_TO_FAILING_MAX } else { SENDING_PER_WEBHOOK_MAX };
        most.saturating_sub(self.sending)
    }

    fn look_at(&mut self, at: Timestamp) {
        self.due = Some(self.due.map_or(at, |due| due.min(at)));
    }
}

pub(super) struct Deliverer {
    parts: Parts,
    /// Endpoints with something to send; those without are dropped.
    desks: HashMap<Endpoint, Desk>,
    /// At most [`SENDING_MAX`].
    sending: JoinSet<(Taken, bool, NewAttempt)>,
    /// What each task sends, for the case that it panics.
    tasks: HashMap<Id, Taken>,
    /// Over, and not kept yet; at most [`SENDING_MAX`].
    finished: Vec<Finished>,
    recovered: bool,
    /// Until then something may have been taken for us that we never heard of.
    lost_until: Option<Instant>,
    /// Deliveries may be there that were not looked at.
    new: bool,
}

impl Deliverer {
    pub fn new(parts: Parts) -> Self {
        Self {
            parts,
            desks: HashMap::new(),
            sending: JoinSet::new(),
            tasks: HashMap::new(),
            finished: Vec::new(),
            recovered: false,
            lost_until: None,
            new: true,
        }
    }

    /// Works until told to stop.
    pub async fn run(mut self, stopping: CancellationToken) {
        let outbox = self.parts.store.bells().webhooks.clone();
        let clock = self.parts.clock.clone();
        loop {
            let worked = self.turn().await;
            if let Err(error) = &worked {
                tracing::warn!(%error, "webhooks wait for Postgres");
            }
            let wake_at = self.wake_at();
            let lost_until = self.lost_until.filter(|_| worked.is_ok());
            tokio::select! {
                biased;
                () = stopping.cancelled() => break,
                () = tokio::time::sleep(PAUSE), if worked.is_err() => {}
                () = tokio::time::sleep_until(lost_until.unwrap_or_else(|| Clock::patience(Duration::ZERO))), if lost_until.is_some() => {}
                Some(joined) = self.sending.join_next_with_id() => self.note(joined),
                () = outbox.woken(), if worked.is_ok() => self.new = true,
                () = clock.sleep_until(wake_at.unwrap_or_default()), if worked.is_ok() && wake_at.is_some() => {}
            }
        }
        self.stop().await;
    }

    /// Finishes what can be finished soon, and keeps it.
    async fn stop(mut self) {
        let over = async {
            while let Some(joined) = self.sending.join_next_with_id().await {
                self.note(joined);
            }
        };
        let _late = tokio::time::timeout(STOP_WITHIN, over).await.is_err();
        if let Err(error) = self.keep_finished().await {
            tracing::warn!(%error, "some deliveries will be made again");
        }
    }

    /// When there is something to do that nobody tells us of.
    fn wake_at(&self) -> Option<Timestamp> {
        let free = self.sending.len() < SENDING_MAX;
        self.desks.values().filter(|desk| free && desk.room() > 0).filter_map(|desk| desk.due).min()
    }

    async fn turn(&mut self) -> Result<()> {
        while let Some(joined) = self.sending.try_join_next_with_id() {
            self.note(joined);
        }
        let store = self.parts.store.clone();
        if !self.recovered {
            let again = webhooks::recover(&store).await?;
            if again > 0 {
                tracing::info!(deliveries = again, "webhooks that were being called are called again");
            }
            self.look_at(webhooks::all_due(&store).await?);
            self.recovered = true;
        }
        self.keep_finished().await?;
        self.recover_lost().await?;
        if store.bells().webhooks.take_reload() {
            match webhooks::all_due(&store).await {
                Ok(due) => self.look_at(due),
                Err(error) => {
                    store.bells().webhooks.wake_for_all();
                    return Err(error);
                }
            }
        }
        while self.new {
            let (due, more) = webhooks::place_new(&store, PLACED_AT_ONCE).await?;
            self.look_at(due);
            self.new = more;
        }
        self.take_due().await
    }

    /// Whatever is being sent and not by us stands in the way of its line until it is due again.
    async fn recover_lost(&mut self) -> Result<()> {
        let Some(until) = self.lost_until else { return Ok(()) };
        let over = Clock::is_out(until);
        let mut ours: Vec<_> = self.tasks.values().map(|task| task.delivery).collect();
        ours.extend(self.finished.iter().map(|finished| finished.delivery));
        let due = webhooks::recover_lost(&self.parts.store, &ours).await?;
        if !due.is_empty() {
            tracing::info!(deliveries = due.len(), "webhooks that were taken and never called are called again");
        }
        self.look_at(due);
        if over {
            self.lost_until = None;
        }
        Ok(())
    }

    fn look_at(&mut self, due: Vec<(Endpoint, Timestamp)>) {
        for (endpoint, at) in due {
            self.desks.entry(endpoint).or_default().look_at(at);
        }
    }

    /// Takes what is due wherever there is room, and sends it.
    async fn take_due(&mut self) -> Result<()> {
        let now = self.parts.clock.now();
        let mut room = SENDING_MAX.saturating_sub(self.sending.len());
        let due = |desk: &Desk| desk.due.is_some_and(|due| due <= now) && desk.room() > 0;
        let mut wanted: Vec<(usize, Timestamp, Endpoint, usize)> = self
            .desks
            .iter()
            .filter(|(_, desk)| due(desk))
            .map(|(endpoint, desk)| (desk.sending, desk.due.unwrap_or(now), *endpoint, desk.room()))
            .collect();
        if room == 0 || wanted.is_empty() {
            return Ok(());
        }
        // Whoever has least under way comes first, then who waits longest: so those who are slow get what others leave.
        wanted.sort_unstable();
        let share = (room / wanted.len()).max(1);
        let mut taking = Vec::new();
        for (_, _, endpoint, wants) in wanted {
            let gets = wants.min(share).min(room);
            if gets == 0 {
                break;
            }
            room -= gets;
            taking.push((endpoint, gets));
        }
        let taken = webhooks::take_due(&self.parts.store, self.parts.epoch, now, &taking).await;
        if taken.is_err() {
            self.lost_until = Some(Clock::patience(LATE_WITHIN));
        }
        let taken = taken?;
        let nothing = taken.is_empty();
        for one in taken {
            if let Some(desk) = self.desks.get_mut(&one.endpoint) {
                desk.sending += 1;
            }
            histogram!("vez_webhook_lag_seconds").record(now.since(one.message.at).as_secs_f64());
            let sender = self.parts.sender.clone();
            let task = one.clone();
            let handle = self.sending.spawn(async move {
                let (delivered, attempt) = sender.attempt(&task.message, &task.target).await;
                (task, delivered, attempt)
            });
            self.tasks.insert(handle.id(), one);
        }
        gauge!("vez_webhooks_sending").set(self.sending.len() as f64);
        let looked_at: Vec<Endpoint> = taking.iter().map(|(endpoint, _)| *endpoint).collect();
        let next: HashMap<_, _> = webhooks::next_due(&self.parts.store, &looked_at).await?.into_iter().collect();
        for endpoint in looked_at {
            if let Some(desk) = self.desks.get_mut(&endpoint) {
                // Due and yet not taken: another process owns the database now, and this one is about to stop.
                desk.due = next.get(&endpoint).map(|due| if nothing { (*due).max(now + PAUSE) } else { *due });
            }
        }
        self.desks.retain(|_, desk| desk.sending > 0 || desk.due.is_some());
        Ok(())
    }

    /// Notes what came of one attempt, and decides what becomes of its delivery.
    fn note(&mut self, joined: std::result::Result<(Id, (Taken, bool, NewAttempt)), JoinError>) {
        let now = self.parts.clock.now();
        let (task, delivered, attempt) = match joined {
            Ok((id, over)) => {
                self.tasks.remove(&id);
                over
            }
            Err(fault) => {
                let Some(task) = self.tasks.remove(&fault.id()) else { return };
                tracing::error!(%fault, "calling a webhook panicked");
                let attempt = NewAttempt {
                    at: now,
                    duration_ms: 0,
                    url: task.target.url.clone(),
                    request_headers: serde_json::json!({}),
                    response_status: None,
                    response_headers: None,
                    response_body: None,
                    error: Some("a fault of this server".to_owned()),
                };
                (task, false, attempt)
            }
        };
        let failures = u32::try_from(task.failures).unwrap_or(0) + 1;
        let verdict = if delivered {
            Verdict::Delivered
        } else {
            next_attempt(failures, now, &self.parts.ids).map_or(Verdict::Dead, Verdict::Again)
        };
        let outcome = match verdict {
            Verdict::Delivered => "delivered",
            Verdict::Again(_) => "failed",
            Verdict::Dead => "dead",
        };
        counter!("vez_webhook_attempts_total", "outcome" => outcome).increment(1);
        histogram!("vez_webhook_attempt_seconds").record(f64::from(attempt.duration_ms) / 1e3);
        self.finished.push(Finished {
            endpoint: task.endpoint,
            delivery: task.delivery,
            subject: task.subject,
            number: task.number,
            attempt,
            verdict,
        });
    }

    /// Keeps what is over. Only then its place is free again, so that a Postgres that is away bounds what waits here.
    async fn keep_finished(&mut self) -> Result<()> {
        if self.finished.is_empty() {
            return Ok(());
        }
        let now = self.parts.clock.now();
        let failing_before = self.parts.disabling.failing_before(now);
        let failing = webhooks::finish(&self.parts.store, &self.finished, now, failing_before).await?;
        for over in self.finished.drain(..) {
            let desk = self.desks.entry(over.endpoint).or_default();
            desk.sending = desk.sending.saturating_sub(1);
            desk.failing = over.verdict != Verdict::Delivered;
            desk.look_at(match over.verdict {
                Verdict::Again(at) => at,
                // The next of its line is due since it was written.
                Verdict::Delivered | Verdict::Dead => now,
            });
        }
        for endpoint in failing {
            self.parts.disabling.disable(&self.parts.store, endpoint, now).await?;
        }
        Ok(())
    }
}
