//! Owns a short, bounded memory: what is over, and may still be asked about. It decides nothing.

use std::collections::{HashMap, VecDeque};

use crate::domain::clock::Timestamp;

/// How long ended calls and outcomes of offers are remembered, so that a repeated command hears the same answer.
/// Longer than any retry of a client that waits for its reply; older ones are answered from the record.
pub const RECENT_SECONDS: u64 = 60;
/// The most of them remembered at once: about 10 MiB of snapshots; the oldest go first.
pub const RECENT_MAX: usize = 10_000;

/// Remembers the last things for [`RECENT_SECONDS`] since each was noted last, at most [`RECENT_MAX`].
#[derive(Clone, Debug)]
pub(super) struct Recent<K, V> {
    order: VecDeque<(Timestamp, K)>,
    values: HashMap<K, (Timestamp, V)>,
}

impl<K: Clone + Eq + std::hash::Hash, V> Recent<K, V> {
    pub fn new() -> Self {
        Self { order: VecDeque::new(), values: HashMap::new() }
    }

    pub fn note(&mut self, now: Timestamp, key: K, value: V) {
        self.values.insert(key.clone(), (now, value));
        self.order.push_back((now, key));
        self.forget(now);
    }

    pub fn get(&self, key: &K) -> Option<&V> {
        self.values.get(key).map(|(_, value)| value)
    }

    fn forget(&mut self, now: Timestamp) {
        while let Some((at, _)) = self.order.front() {
            if self.order.len() <= RECENT_MAX && at.plus_seconds(RECENT_SECONDS) > now {
                break;
            }
            let Some((at, key)) = self.order.pop_front() else { break };
            // Noted again since: that note is further back in the order.
            if self.values.get(&key).is_some_and(|(noted, _)| *noted == at) {
                self.values.remove(&key);
            }
        }
    }
}
