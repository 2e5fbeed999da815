//! Owns the line: calls by rank, with position queries in O(log n). It knows nothing of phases or presence.
//!
//! A treap whose node priorities are a hash of the call's number: expected depth O(log n) without randomness, so that
//! the same commands always build the same tree. Tests hold it against a sorted vector.

use crate::domain::call::Rank;
use crate::domain::ids::CallId;

const NIL: u32 = u32::MAX;

#[derive(Clone, Debug)]
struct Node {
    rank: Rank,
    call: CallId,
    weight: u64,
    left: u32,
    right: u32,
    size: u32,
}

/// Calls in order of rank. Ranks are unique, because numbers are.
#[derive(Clone, Debug)]
pub struct Line {
    nodes: Vec<Node>,
    free: Vec<u32>,
    root: u32,
}

impl Default for Line {
    fn default() -> Self {
        Self { nodes: Vec::new(), free: Vec::new(), root: NIL }
    }
}

/// SplitMix64: spreads consecutive numbers evenly, so that the treap's shape is random although its input is not.
fn spread(number: i64) -> u64 {
    let mut z = (number as u64).wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

impl Line {
    /// How many calls are in line.
    pub fn len(&self) -> u32 {
        self.size(self.root)
    }

    /// Whether nobody is in line.
    pub fn is_empty(&self) -> bool {
        self.root == NIL
    }

    /// Puts a call in its place. `false` when that rank is already in line (nothing changes).
    pub fn insert(&mut self, rank: Rank, call: CallId) -> bool {
        if self.contains(rank) {
            return false;
        }
        let node = Node { rank, call, weight: spread(rank.number), left: NIL, right: NIL, size: 1 };
        let index = match self.free.pop() {
            Some(index) => {
                self.nodes[index as usize] = node;
                index
            }
            None => {
                self.nodes.push(node);
                (self.nodes.len() - 1) as u32
            }
        };
        let (before, after) = self.split(self.root, rank);
        let front = self.merge(before, index);
        self.root = self.merge(front, after);
        true
    }

    /// Takes a call out. `false` when that rank was not in line.
    pub fn remove(&mut self, rank: Rank) -> bool {
        if !self.contains(rank) {
            return false;
        }
        let (before, rest) = self.split(self.root, rank);
        let next = Rank { at: rank.at, number: rank.number.saturating_add(1) };
        let (found, after) = self.split(rest, next);
        if found != NIL {
            self.free.push(found);
        }
        self.root = self.merge(before, after);
        true
    }

    /// Whether that rank is in line.
    pub fn contains(&self, rank: Rank) -> bool {
        let mut at = self.root;
        while at != NIL {
            let node = &self.nodes[at as usize];
            match rank.cmp(&node.rank) {
                std::cmp::Ordering::Less => at = node.left,
                std::cmp::Ordering::Greater => at = node.right,
                std::cmp::Ordering::Equal => return true,
            }
        }
        false
    }

    /// How many calls stand before that rank.
    pub fn before(&self, rank: Rank) -> u32 {
        let (mut at, mut count) = (self.root, 0);
        while at != NIL {
            let node = &self.nodes[at as usize];
            if node.rank < rank {
                count += self.size(node.left) + 1;
                at = node.right;
            } else {
                at = node.left;
            }
        }
        count
    }

    /// The position, from 1, of a rank in line; `None` when it is not in line.
    pub fn position(&self, rank: Rank) -> Option<u32> {
        self.contains(rank).then(|| self.before(rank) + 1)
    }

    /// The call at `position` (from 1).
    pub fn at(&self, position: u32) -> Option<(Rank, CallId)> {
        if position == 0 || position > self.len() {
            return None;
        }
        let (mut at, mut left) = (self.root, position - 1);
        loop {
            let node = &self.nodes[at as usize];
            let ahead = self.size(node.left);
            match left.cmp(&ahead) {
                std::cmp::Ordering::Less => at = node.left,
                std::cmp::Ordering::Equal => return Some((node.rank, node.call)),
                std::cmp::Ordering::Greater => {
                    left -= ahead + 1;
                    at = node.right;
                }
            }
        }
    }

    /// Up to `limit` calls from `position` (from 1) on, in order.
    pub fn slice(&self, position: u32, limit: u32) -> Vec<(Rank, CallId)> {
        let mut out = Vec::with_capacity(limit.min(self.len()) as usize);
        let last = position.saturating_add(limit).min(self.len().saturating_add(1));
        self.walk(self.root, 1, position, last, &mut out);
        out
    }

    /// Visits the nodes of the subtree whose first position is `first`, as far as they lie in `from..to`.
    fn walk(&self, at: u32, first: u32, from: u32, to: u32, out: &mut Vec<(Rank, CallId)>) {
        if at == NIL || first >= to || first + self.size(at) <= from {
            return;
        }
        let node = &self.nodes[at as usize];
        let own = first + self.size(node.left);
        self.walk(node.left, first, from, to, out);
        if own >= from && own < to {
            out.push((node.rank, node.call));
        }
        self.walk(node.right, own + 1, from, to, out);
    }

    fn size(&self, at: u32) -> u32 {
        if at == NIL { 0 } else { self.nodes[at as usize].size }
    }

    fn update(&mut self, at: u32) {
        let node = &self.nodes[at as usize];
        let size = self.size(node.left) + self.size(node.right) + 1;
        self.nodes[at as usize].size = size;
    }

    /// Splits a subtree into what is before `rank` and the rest.
    fn split(&mut self, at: u32, rank: Rank) -> (u32, u32) {
        if at == NIL {
            return (NIL, NIL);
        }
        if self.nodes[at as usize].rank < rank {
            let (left, right) = self.split(self.nodes[at as usize].right, rank);
            self.nodes[at as usize].right = left;
            self.update(at);
            (at, right)
        } else {
            let (left, right) = self.split(self.nodes[at as usize].left, rank);
            self.nodes[at as usize].left = right;
            self.update(at);
            (left, at)
        }
    }

    /// Joins two subtrees, the first all before the second.
    fn merge(&mut self, left: u32, right: u32) -> u32 {
        if left == NIL {
            return right;
        }
        if right == NIL {
            return left;
        }
        if self.nodes[left as usize].weight >= self.nodes[right as usize].weight {
            let joined = self.merge(self.nodes[left as usize].right, right);
            self.nodes[left as usize].right = joined;
            self.update(left);
            left
        } else {
            let joined = self.merge(left, self.nodes[right as usize].left);
            self.nodes[right as usize].left = joined;
            self.update(right);
            right
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn call(n: i64) -> CallId {
        CallId(uuid::Uuid::from_u128(n as u128))
    }

    proptest! {
        /// The oracle is a sorted vector: slow and obviously right.
        #[test]
        fn agrees_with_a_sorted_vector(steps in prop::collection::vec((any::<bool>(), 0i64..40, 0i64..60), 1..200)) {
            let mut line = Line::default();
            let mut oracle: Vec<(Rank, CallId)> = Vec::new();
            for (insert, at, number) in steps {
                let rank = Rank { at, number };
                let place = oracle.binary_search_by_key(&rank, |entry| entry.0);
                if insert {
                    prop_assert_eq!(line.insert(rank, call(number)), place.is_err());
                    if let Err(place) = place { oracle.insert(place, (rank, call(number))); }
                } else {
                    prop_assert_eq!(line.remove(rank), place.is_ok());
                    if let Ok(place) = place { oracle.remove(place); }
                }
                prop_assert_eq!(line.len() as usize, oracle.len());
                for (index, (rank, id)) in oracle.iter().enumerate() {
                    prop_assert_eq!(line.position(*rank), Some(index as u32 + 1));
                    prop_assert_eq!(line.at(index as u32 + 1), Some((*rank, *id)));
                }
                prop_assert_eq!(line.slice(1, 1_000), oracle.clone());
                let from = oracle.len() / 3;
                let expected: Vec<_> = oracle.iter().skip(from).take(5).copied().collect();
                prop_assert_eq!(line.slice(from as u32 + 1, 5), expected);
                prop_assert_eq!(line.at(0), None);
                prop_assert_eq!(line.at(oracle.len() as u32 + 1), None);
            }
        }
    }

    #[test]
    fn holds_a_hundred_thousand_in_order_of_arrival_without_deep_recursion() {
        let mut line = Line::default();
        for number in 0..100_000 {
            line.insert(Rank { at: number, number }, call(number));
        }
        assert_eq!(line.position(Rank { at: 77_777, number: 77_777 }), Some(77_778));
        for number in 0..50_000 {
            line.remove(Rank { at: number, number });
        }
        assert_eq!(line.position(Rank { at: 77_777, number: 77_777 }), Some(27_778));
    }
}
