//! Owns what an actor holds back until a commit: replies and pushes, in order, each behind the last record it depends on.

use std::collections::VecDeque;

/// Why an actor ends itself: what it applied is not in the record and never will be.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("the record refused this tenant's changes")]
pub(super) struct RecordRefused;

/// Things to do once a ticket is committed. Bounded by what enters the actor: each item belongs to one command.
#[derive(Debug)]
pub(super) struct Pending<T> {
    /// The number of the last record handed to persistence.
    last: u64,
    /// The number up to which everything is committed.
    settled: u64,
    items: VecDeque<(u64, T)>,
}

impl<T> Pending<T> {
    pub fn new() -> Self {
        Self { last: 0, settled: 0, items: VecDeque::new() }
    }

    /// A ticket for the next record.
    pub fn ticket(&mut self) -> u64 {
        self.last += 1;
        self.last
    }

    /// Holds `item` until everything recorded so far is committed; gives it back when it already is.
    pub fn hold(&mut self, item: T) -> Option<T> {
        if self.settled >= self.last {
            return Some(item);
        }
        self.items.push_back((self.last, item));
        None
    }

    /// Everything up to `through` is committed: what waited for it, in order.
    pub fn settle(&mut self, through: u64) -> Vec<T> {
        self.settled = self.settled.max(through);
        let count = self.items.iter().take_while(|(ticket, _)| *ticket <= self.settled).count();
        self.items.drain(..count).map(|(_, item)| item).collect()
    }

    /// Everything that waits, given up.
    pub fn drain(&mut self) -> Vec<T> {
        self.items.drain(..).map(|(_, item)| item).collect()
    }

    /// Whether nothing waits for a commit.
    pub fn is_settled(&self) -> bool {
        self.settled >= self.last
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_depends_on_nothing_is_not_held() {
        let mut pending = Pending::new();
        assert_eq!(pending.hold("reply"), Some("reply"));
    }

    #[test]
    fn everything_comes_out_in_order_behind_its_commit() {
        let mut pending = Pending::new();
        assert_eq!(pending.ticket(), 1);
        assert_eq!(pending.hold("one"), None);
        assert_eq!(pending.ticket(), 2);
        assert_eq!(pending.hold("two"), None);
        assert_eq!(pending.hold("two's reply"), None);
        assert_eq!(pending.settle(1), ["one"]);
        assert!(!pending.is_settled());
        assert_eq!(pending.settle(2), ["two", "two's reply"]);
        assert_eq!(pending.hold("later"), Some("later"));
    }
}
