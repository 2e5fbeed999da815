//! Owns what a sequenced topic said lately, so that a client who was away for a moment is told what it missed and nothing
//! else. It holds no clock: whoever writes says what time it is.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use super::push::{Push, Sequence};
use crate::domain::clock::Timestamp;

/// Most pushes kept for one topic (spec: the last 1,000).
pub const RING_PUSHES: usize = 1_000;
/// How long a push is kept, and a topic nobody listens to (spec: 5 minutes).
pub const RING_AGE: Duration = Duration::from_secs(300);

/// The latest pushes of one topic, in sequence without gaps.
#[derive(Debug, Default)]
pub struct Ring {
    kept: VecDeque<(Timestamp, Arc<Push>)>,
    /// The last push recorded, even when it is no longer kept.
    last: Option<Sequence>,
    bytes: usize,
}

impl Ring {
    /// Adds a push. Returns how many bytes of payload the ring grew by (negative when it shrank).
    pub fn record(&mut self, now: Timestamp, sequence: Sequence, push: &Arc<Push>, full: bool) -> isize {
        let before = self.bytes;
        let continues = self.last.is_some_and(|last| last.epoch == sequence.epoch && last.seq + 1 == sequence.seq);
        if !continues {
            self.clear();
        }
        self.last = Some(sequence);
        self.bytes += push.payload.len();
        self.kept.push_back((now, Arc::clone(push)));
        let oldest = now - RING_AGE;
        while let Some((at, _)) = self.kept.front() {
            let within = *at >= oldest && self.kept.len() <= RING_PUSHES && !(full && self.bytes > before);
            if within {
                break;
            }
            self.drop_oldest();
        }
        self.bytes as isize - before as isize
    }

    fn drop_oldest(&mut self) {
        if let Some((_, push)) = self.kept.pop_front() {
            self.bytes -= push.payload.len();
        }
    }

    /// Forgets every push and how far it had come. Returns how many bytes that freed.
    pub fn forget(&mut self) -> usize {
        self.last = None;
        self.clear()
    }

    /// Forgets every push. Returns how many bytes that freed.
    pub fn clear(&mut self) -> usize {
        self.kept = VecDeque::new();
        std::mem::take(&mut self.bytes)
    }

    /// Everything after `after_seq` of that epoch; `None` when some of it is no longer held, or never was.
    pub fn since(&self, now: Timestamp, epoch: u64, after_seq: u64) -> Option<Vec<Arc<Push>>> {
        let last = self.last.filter(|last| last.epoch == epoch && after_seq <= last.seq)?;
        let missed = usize::try_from(last.seq - after_seq).ok()?;
        let skip = self.kept.len().checked_sub(missed)?;
        let oldest = now - RING_AGE;
        if self.kept.get(skip).is_some_and(|(at, _)| *at < oldest) {
            return None;
        }
        Some(self.kept.iter().skip(skip).map(|(_, push)| Arc::clone(push)).collect())
    }

    /// How many pushes it holds.
    pub fn len(&self) -> usize {
        self.kept.len()
    }

    /// Whether it holds none.
    pub fn is_empty(&self) -> bool {
        self.kept.is_empty()
    }

    /// The payload bytes it holds.
    pub fn bytes(&self) -> usize {
        self.bytes
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may fail by panicking")]
    use super::*;
    use crate::domain::ids::DepartmentId;
    use crate::live::topic::Topic;

    fn record(ring: &mut Ring, now: Timestamp, epoch: u64, seq: u64) {
        let sequence = Sequence { epoch, seq };
        let topic = Topic::Queue(DepartmentId(uuid::Uuid::nil()));
        let push = Arc::new(Push::new(topic, "x", "{}".into(), Some(sequence)));
        ring.record(now, sequence, &push, false);
    }

    fn seqs(ring: &Ring, now: Timestamp, epoch: u64, after: u64) -> Option<Vec<u64>> {
        Some(ring.since(now, epoch, after)?.iter().map(|push| push.sequence.unwrap().seq).collect())
    }

    #[test]
    fn replays_exactly_what_was_missed() {
        let now = Timestamp::from_micros(1_000_000_000);
        let mut ring = Ring::default();
        assert_eq!(seqs(&ring, now, 1, 0), None, "an empty ring vouches for nothing");
        for seq in 5..=9 {
            record(&mut ring, now, 1, seq);
        }
        assert_eq!(seqs(&ring, now, 1, 7), Some(vec![8, 9]));
        assert_eq!(seqs(&ring, now, 1, 9), Some(vec![]));
        assert_eq!(seqs(&ring, now, 1, 4), Some(vec![5, 6, 7, 8, 9]));
        assert_eq!(seqs(&ring, now, 1, 3), None, "4 was never held");
        assert_eq!(seqs(&ring, now, 1, 10), None, "nobody can have seen 10");
        assert_eq!(seqs(&ring, now, 2, 8), None, "another epoch");
    }

    #[test]
    fn a_gap_or_a_new_epoch_starts_anew() {
        let now = Timestamp::from_micros(1_000_000_000);
        let mut ring = Ring::default();
        record(&mut ring, now, 1, 1);
        record(&mut ring, now, 1, 3);
        assert_eq!(seqs(&ring, now, 1, 1), None);
        assert_eq!(seqs(&ring, now, 1, 2), Some(vec![3]));
        record(&mut ring, now, 2, 1);
        assert_eq!(seqs(&ring, now, 1, 2), None);
        assert_eq!(seqs(&ring, now, 2, 0), Some(vec![1]));
    }

    #[test]
    fn holds_a_thousand_for_five_minutes() {
        let start = Timestamp::from_micros(1_000_000_000);
        let mut ring = Ring::default();
        for seq in 1..=1_500 {
            record(&mut ring, start, 1, seq);
        }
        assert_eq!(ring.len(), RING_PUSHES);
        assert_eq!(ring.bytes(), 2 * RING_PUSHES);
        assert_eq!(seqs(&ring, start, 1, 499), None);
        assert_eq!(seqs(&ring, start, 1, 500).unwrap().len(), 1_000);
        let later = start + RING_AGE + Duration::from_secs(1);
        assert_eq!(seqs(&ring, later, 1, 1_400), None, "too old to vouch for");
        assert_eq!(seqs(&ring, later, 1, 1_500), Some(vec![]));
        record(&mut ring, later, 1, 1_501);
        assert_eq!(ring.len(), 1);
    }

    #[test]
    fn a_full_house_keeps_no_more_than_before() {
        let now = Timestamp::from_micros(1_000_000_000);
        let mut ring = Ring::default();
        for seq in 1..=3 {
            record(&mut ring, now, 1, seq);
        }
        let sequence = Sequence { epoch: 1, seq: 4 };
        let topic = Topic::Queue(DepartmentId(uuid::Uuid::nil()));
        let push = Arc::new(Push::new(topic, "x", "{}".into(), Some(sequence)));
        assert_eq!(ring.record(now, sequence, &push, true), 0);
        assert_eq!(ring.len(), 3);
    }
}
