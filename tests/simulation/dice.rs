//! Owns the randomness of a run: one small generator, so that a seed means the same run on every machine and with every
//! version of any library.

use std::time::Duration;

use uuid::Uuid;

/// SplitMix64.
#[derive(Clone, Debug)]
pub struct Dice(u64);

impl Dice {
    pub fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x2545_f491_4f6c_dd1d) ^ 0x6a09_e667_f3bc_c908)
    }

    pub fn roll(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number below `bound`; 0 when there is none.
    pub fn below(&mut self, bound: usize) -> usize {
        if bound == 0 { 0 } else { (self.roll() % bound as u64) as usize }
    }

    /// A number from `low` to `high`, both included.
    pub fn within(&mut self, low: u64, high: u64) -> u64 {
        low + self.roll() % (high - low + 1)
    }

    /// True `per_mille` times in a thousand.
    pub fn chance(&mut self, per_mille: u32) -> bool {
        self.roll() % 1_000 < u64::from(per_mille)
    }

    pub fn one_of<T: Clone>(&mut self, of: &[T]) -> Option<T> {
        if of.is_empty() { None } else { Some(of[self.below(of.len())].clone()) }
    }

    /// A span of `low` to `high` microseconds.
    pub fn span(&mut self, low: u64, high: u64) -> Duration {
        Duration::from_micros(self.within(low, high))
    }

    /// A short span mostly, a long one at times: up to `most` microseconds.
    pub fn delay(&mut self, most: u64) -> Duration {
        let most = if self.chance(900) { (most / 50).max(1) } else { most.max(1) };
        self.span(0, most)
    }

    /// An id whose order says nothing about its age.
    pub fn id<T: From<Uuid>>(&mut self) -> T {
        let high = u128::from(self.roll());
        T::from(Uuid::from_u128((high << 64) | u128::from(self.roll())))
    }
}
