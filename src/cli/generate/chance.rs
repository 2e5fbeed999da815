//! Owns the draws of the generator: everything random in a generated history comes from one seed, in one order.
//!
//! Must not: make ids or secrets; those come from `IdSource`.

use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};

/// A seeded source of draws.
#[derive(Debug)]
pub struct Chance(StdRng);

impl Chance {
    /// The same draws in the same order for the same seed.
    pub fn new(seed: u64) -> Self {
        Self(StdRng::seed_from_u64(seed))
    }

    /// From 0 to below 1.
    pub fn unit(&mut self) -> f64 {
        self.0.random::<f64>()
    }

    /// True so often.
    pub fn happens(&mut self, probability: f64) -> bool {
        self.unit() < probability
    }

    /// Evenly between two numbers.
    pub fn between(&mut self, low: f64, high: f64) -> f64 {
        low + (high - low) * self.unit()
    }

    /// How long until something that comes at random, every `mean` on average.
    pub fn exponential(&mut self, mean: f64) -> f64 {
        -mean * (1.0 - self.unit()).ln()
    }

    /// Lognormal: most below the median's double, a few far above. `sigma` is the deviation of the logarithm.
    pub fn lognormal(&mut self, median: f64, sigma: f64) -> f64 {
        // Box and Muller's; the second of the pair is thrown away, which keeps the draws in one order.
        let radius = (-2.0 * (1.0 - self.unit()).ln()).sqrt();
        let normal = radius * (std::f64::consts::TAU * self.unit()).cos();
        median * (sigma * normal).exp()
    }

    /// A number below `bound`; 0 when there is none.
    pub fn below(&mut self, bound: usize) -> usize {
        if bound == 0 { 0 } else { self.0.random_range(0..bound) }
    }

    /// One of these.
    pub fn pick<'a, T: ?Sized>(&mut self, from: &[&'a T]) -> Option<&'a T> {
        from.get(self.below(from.len())).copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn draws_repeat_with_their_seed_and_have_their_means() {
        let draws = |seed| {
            let mut chance = Chance::new(seed);
            (0..20_000).map(|_| chance.exponential(60.0)).collect::<Vec<_>>()
        };
        let (first, again, other) = (draws(1), draws(1), draws(2));
        assert_eq!(first, again);
        assert_ne!(first, other);
        let mean = first.iter().sum::<f64>() / first.len() as f64;
        assert!((57.0..63.0).contains(&mean), "{mean}");

        let mut chance = Chance::new(3);
        let mut talks: Vec<f64> = (0..20_001).map(|_| chance.lognormal(240.0, 0.7)).collect();
        talks.sort_by(f64::total_cmp);
        assert!((230.0..250.0).contains(&talks[10_000]), "{}", talks[10_000]);
    }
}
