//! Owns the order of pushes on one channel: what is held until the snapshot is there, what the snapshot already says, when
//! a gap or a flood asks for a fresh one, and what a batching client gets instead. Pure: the session says what time it is,
//! takes the snapshots and sends.

use std::sync::Arc;
use std::time::Duration;

use crate::domain::clock::Timestamp;
use crate::live::push::{Push, Sequence};

/// Above so many events a second on a `queue:` topic a socket gets batches or resyncs (spec).
const EVENTS_PER_SECOND_MAX: u32 = 50;
/// Over which time events are counted, and the least time between two resyncs of a channel (spec: one a second).
const WINDOW: Duration = Duration::from_secs(1);
/// How long a batch gathers: five frames a second, and still live to the eye.
const BATCH: Duration = Duration::from_millis(200);
/// A batch is sent when it holds this many, so that its frame stays below about 100 KiB.
const BATCH_PUSHES_MAX: usize = 256;
/// Pushes held while a snapshot is on its way; it takes a millisecond, so more means that a fresher one is needed.
const HELD_MAX: usize = 256;

/// What the session does with a push.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    Send,
    /// Kept for later, or not to be sent at all.
    Keep,
    /// As `Keep`, and the hub shall stop delivering broadcasts until [`Flow::begin_resync`] says otherwise.
    Mute,
}

/// What is due on a channel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Due {
    Nothing,
    /// Send what [`Flow::take_batch`] gives.
    Batch,
    /// Call [`Flow::begin_resync`], take a snapshot, then [`Flow::settle`].
    Resync,
}

/// The pushes of one channel.
#[derive(Debug)]
pub struct Flow {
    /// A snapshot is on its way (the join's or a resync's): pushes are held.
    waiting: bool,
    held: Vec<Arc<Push>>,
    /// The last place in the sequence the client was told.
    last: Option<Sequence>,
    /// Whether a flood matters here: on `queue:` topics only.
    counted: bool,
    batching: bool,
    batch: Vec<Arc<Push>>,
    batch_due: Option<Timestamp>,
    flooded: bool,
    window_began: Timestamp,
    window_count: u32,
    resync_due: Option<Timestamp>,
    resynced_at: Option<Timestamp>,
}

impl Flow {
    /// A channel whose join is under way. `counted`: a `queue:` topic; `batching`: the client takes batches.
    pub fn joining(now: Timestamp, counted: bool, batching: bool) -> Self {
        Self {
            waiting: true,
            held: Vec::new(),
            last: None,
            counted,
            batching,
            batch: Vec::new(),
            batch_due: None,
            flooded: false,
            window_began: now,
            window_count: 0,
            resync_due: None,
            resynced_at: None,
        }
    }

    /// A push came in.
    pub fn on_push(&mut self, now: Timestamp, push: &Arc<Push>) -> Verdict {
        if self.waiting {
            if self.held.len() < HELD_MAX {
                self.held.push(Arc::clone(push));
            } else {
                self.want_resync(now);
            }
            return Verdict::Keep;
        }
        self.offer(now, push)
    }

    fn offer(&mut self, now: Timestamp, push: &Arc<Push>) -> Verdict {
        if !self.admit(now, push.sequence) {
            return Verdict::Keep;
        }
        if !self.counted {
            return Verdict::Send;
        }
        self.count(now);
        if !self.flooded {
            return Verdict::Send;
        }
        if self.batching {
            self.batch.push(Arc::clone(push));
            let full = self.batch.len() >= BATCH_PUSHES_MAX;
            let due = if full { now } else { now + BATCH };
            self.batch_due = Some(self.batch_due.map_or(due, |earlier| earlier.min(due)));
            return Verdict::Keep;
        }
        self.want_resync(now + WINDOW);
        Verdict::Mute
    }

    /// Whether the push is the next one; notes it if so, asks for a fresh snapshot if one is missing before it.
    fn admit(&mut self, now: Timestamp, sequence: Option<Sequence>) -> bool {
        let Some(next) = sequence else { return true };
        match self.last {
            Some(last) if (next.epoch, next.seq) <= (last.epoch, last.seq) => false,
            Some(last) if next.epoch != last.epoch || next.seq != last.seq + 1 => {
                self.want_resync(now);
                false
            }
            _ => {
                self.last = Some(next);
                true
            }
        }
    }

    fn count(&mut self, now: Timestamp) {
        let passed = now.since(self.window_began);
        if passed >= WINDOW {
            let quiet = self.window_count <= EVENTS_PER_SECOND_MAX || passed >= WINDOW * 2;
            if quiet && self.batch.is_empty() {
                self.flooded = false;
            }
            self.window_began = now;
            self.window_count = 0;
        }
        self.window_count += 1;
        self.flooded |= self.window_count > EVENTS_PER_SECOND_MAX;
    }

    /// The hub dropped broadcasts because the outbox was full.
    pub fn on_lag(&mut self, now: Timestamp) {
        self.want_resync(now);
    }

    fn want_resync(&mut self, at: Timestamp) {
        let at = self.resynced_at.map_or(at, |last| at.max(last + WINDOW));
        self.resync_due = Some(self.resync_due.map_or(at, |earlier| earlier.min(at)));
    }

    /// When something will be due.
    pub fn due_at(&self) -> Option<Timestamp> {
        let resync = self.resync_due.filter(|_| !self.waiting);
        match (self.batch_due, resync) {
            (Some(batch), Some(resync)) => Some(batch.min(resync)),
            (batch, resync) => batch.or(resync),
        }
    }

    /// What is due now.
    pub fn due(&self, now: Timestamp) -> Due {
        if self.batch_due.is_some_and(|at| at <= now) {
            return Due::Batch;
        }
        if !self.waiting && self.resync_due.is_some_and(|at| at <= now) {
            return Due::Resync;
        }
        Due::Nothing
    }

    /// Begins a resync; `missed` broadcasts were dropped since the last one. True: let broadcasts in again before taking the
    /// snapshot. False: the flood goes on, so only snapshots follow, one a second.
    pub fn begin_resync(&mut self, now: Timestamp, missed: u32) -> bool {
        self.resync_due = None;
        self.waiting = true;
        let since = self.resynced_at.map_or(WINDOW, |last| now.since(last)).max(WINDOW);
        self.resynced_at = Some(now);
        let per_second = u64::from(missed) * 1_000 / u64::try_from(since.as_millis()).unwrap_or(u64::MAX).max(1);
        self.flooded = self.flooded && !self.batching && per_second > u64::from(EVENTS_PER_SECOND_MAX);
        self.batch.clear();
        self.batch_due = None;
        self.window_began = now;
        self.window_count = 0;
        if self.flooded {
            self.want_resync(now + WINDOW);
        }
        !self.flooded
    }

    /// The snapshot (or what stands for it) is with the client, who is told up to `at`. Gives what to send after it: of
    /// `replayed` and of what was held, the pushes that continue it.
    pub fn settle(&mut self, now: Timestamp, at: Option<Sequence>, replayed: Vec<Arc<Push>>) -> Vec<Arc<Push>> {
        self.waiting = false;
        self.last = at;
        let held = std::mem::take(&mut self.held);
        let mut next: Vec<_> = replayed.into_iter().chain(held).collect();
        next.retain(|push| self.admit(now, push.sequence));
        next
    }

    /// No snapshot could be taken: what was held is dropped and another attempt is due in a second.
    pub fn resync_failed(&mut self, now: Timestamp) {
        self.waiting = false;
        self.held = Vec::new();
        self.want_resync(now + WINDOW);
    }

    /// Takes the gathered batch.
    pub fn take_batch(&mut self) -> Vec<Arc<Push>> {
        self.batch_due = None;
        std::mem::take(&mut self.batch)
    }
}

/// The payload of `events`: `{epoch, first_seq, last_seq, events: [[event, payload], ...]}`; `None` for an empty batch.
pub fn batch_json(batch: &[Arc<Push>]) -> Option<String> {
    let (first, last) = (batch.first()?.sequence?, batch.last()?.sequence?);
    let room: usize = batch.iter().map(|push| push.payload.len() + push.event.len() + 6).sum();
    let mut json = String::with_capacity(room + 96);
    json.push_str(&format!(
        r#"{{"epoch":{},"first_seq":{},"last_seq":{},"events":["#,
        first.epoch, first.seq, last.seq
    ));
    for (index, push) in batch.iter().enumerate() {
        json.push_str(if index == 0 { "[\"" } else { ",[\"" });
        json.push_str(push.event);
        json.push_str("\",");
        json.push_str(&push.payload);
        json.push(']');
    }
    json.push_str("]}");
    Some(json)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may fail by panicking")]
    use super::*;
    use crate::domain::ids::DepartmentId;
    use crate::live::topic::Topic;

    fn at(millis: i64) -> Timestamp {
        Timestamp::from_micros(1_000_000_000 + millis * 1_000)
    }

    fn sequence(seq: u64) -> Option<Sequence> {
        Some(Sequence { epoch: 3, seq })
    }

    fn push(epoch: u64, seq: u64) -> Arc<Push> {
        let topic = Topic::Queue(DepartmentId(uuid::Uuid::nil()));
        let payload = format!(r#"{{"seq":{seq}}}"#).into_boxed_str();
        Arc::new(Push::new(topic, "x", payload, Some(Sequence { epoch, seq })))
    }

    fn seqs(pushes: &[Arc<Push>]) -> Vec<u64> {
        pushes.iter().map(|push| push.sequence.unwrap().seq).collect()
    }

    fn live(batching: bool, seq: u64) -> Flow {
        let mut flow = Flow::joining(at(0), true, batching);
        assert!(flow.settle(at(0), sequence(seq), Vec::new()).is_empty());
        flow
    }

    #[test]
    fn pushes_before_the_snapshot_are_held_and_those_it_says_dropped() {
        let mut flow = Flow::joining(at(0), true, false);
        for seq in 5..=8 {
            assert_eq!(flow.on_push(at(0), &push(3, seq)), Verdict::Keep);
        }
        assert_eq!(seqs(&flow.settle(at(1), sequence(6), Vec::new())), [7, 8]);
        assert_eq!(flow.on_push(at(2), &push(3, 8)), Verdict::Keep, "told already");
        assert_eq!(flow.on_push(at(2), &push(3, 9)), Verdict::Send);
        assert_eq!(flow.due_at(), None);
    }

    #[test]
    fn a_replay_meets_what_was_held_without_gap_or_double() {
        let mut flow = Flow::joining(at(0), false, false);
        for seq in 9..=11 {
            flow.on_push(at(0), &push(3, seq));
        }
        let replayed = (7..=10).map(|seq| push(3, seq)).collect();
        assert_eq!(seqs(&flow.settle(at(1), sequence(6), replayed)), [7, 8, 9, 10, 11]);
    }

    #[test]
    fn a_gap_or_a_new_epoch_asks_for_a_resync() {
        let mut flow = live(false, 4);
        assert_eq!(flow.on_push(at(1), &push(3, 6)), Verdict::Keep);
        assert_eq!(flow.due(at(1)), Due::Resync);
        assert!(flow.begin_resync(at(1), 0));
        assert_eq!(flow.due(at(1)), Due::Nothing, "one at a time");
        flow.on_push(at(2), &push(3, 7));
        assert_eq!(seqs(&flow.settle(at(3), sequence(6), Vec::new())), [7]);
        assert_eq!(flow.on_push(at(4), &push(2, 90)), Verdict::Keep, "an older epoch's last words");
        assert_eq!(flow.due_at(), None);
        assert_eq!(flow.on_push(at(4), &push(4, 1)), Verdict::Keep);
        assert_eq!(flow.due_at(), Some(at(1_001)), "at most one resync a second");
    }

    #[test]
    fn a_flood_mutes_and_resyncs_once_a_second_until_it_ends() {
        let mut flow = live(false, 0);
        for seq in 1..=50 {
            assert_eq!(flow.on_push(at(10), &push(3, seq)), Verdict::Send);
        }
        assert_eq!(flow.on_push(at(10), &push(3, 51)), Verdict::Mute);
        assert_eq!(flow.due_at(), Some(at(1_010)));
        assert!(!flow.begin_resync(at(1_010), 400), "still flooded: stays muted");
        flow.settle(at(1_011), sequence(451), Vec::new());
        assert_eq!(flow.due_at(), Some(at(2_010)));
        assert!(flow.begin_resync(at(2_010), 30), "over: broadcasts come again");
        flow.settle(at(2_011), sequence(481), Vec::new());
        assert_eq!(flow.due_at(), None);
        assert_eq!(flow.on_push(at(2_012), &push(3, 482)), Verdict::Send);
    }

    #[test]
    fn a_batching_client_gets_every_event_in_batches() {
        let mut flow = live(true, 0);
        for seq in 1..=60 {
            let verdict = flow.on_push(at(10), &push(3, seq));
            assert_eq!(verdict, if seq <= 50 { Verdict::Send } else { Verdict::Keep });
        }
        assert_eq!(flow.due_at(), Some(at(210)));
        assert_eq!(flow.due(at(210)), Due::Batch);
        assert_eq!(seqs(&flow.take_batch()), (51..=60).collect::<Vec<_>>());
        // The next, quiet window ends it.
        assert_eq!(flow.on_push(at(1_100), &push(3, 61)), Verdict::Keep);
        flow.take_batch();
        assert_eq!(flow.on_push(at(2_200), &push(3, 62)), Verdict::Send);
    }

    #[test]
    fn a_batch_spells_its_events_in_order() {
        insta::assert_snapshot!(
            batch_json(&[push(3, 7), push(3, 8)]).unwrap(),
            @r#"{"epoch":3,"first_seq":7,"last_seq":8,"events":[["x",{"seq":7}],["x",{"seq":8}]]}"#
        );
        assert_eq!(batch_json(&[]), None);
    }

    #[test]
    fn what_cannot_be_held_is_resynced() {
        let mut flow = Flow::joining(at(0), false, false);
        for seq in 1..=300 {
            flow.on_push(at(0), &push(3, seq));
        }
        assert_eq!(flow.due_at(), None, "not before the first snapshot");
        flow.settle(at(1), sequence(0), Vec::new());
        assert_eq!(flow.due(at(1)), Due::Resync);
    }
}
