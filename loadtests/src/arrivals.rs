//! When customers come: an open loop.
//!
//! The schedule is fixed before the run, so a slow server does not slow its own customers down. Whoever measures
//! from the intended time sees the waiting that a closed loop would hide.

use std::time::{Duration, Instant};

/// Customers at even distances.
#[derive(Debug, Clone, Copy)]
pub struct Schedule {
    /// When the first customer comes.
    pub start: Instant,
    /// Customers a second.
    pub rate: f64,
    pub warmup: Duration,
    /// How long customers come after the warm-up.
    pub measured: Duration,
}

impl Schedule {
    /// How many customers come in all.
    #[must_use]
    #[allow(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "rates and durations are small and positive"
    )]
    pub fn count(&self) -> u64 {
        ((self.warmup + self.measured).as_secs_f64() * self.rate).floor() as u64
    }

    /// When customer `index` (from 0) is meant to come.
    #[must_use]
    #[allow(clippy::cast_precision_loss, reason = "indices stay far below 2^52")]
    pub fn intended(&self, index: u64) -> Instant {
        self.start + Duration::from_secs_f64(index as f64 / self.rate)
    }

    /// Whether the latencies of whoever comes at `intended` are counted.
    #[must_use]
    pub fn is_measured(&self, intended: Instant) -> bool {
        intended >= self.start + self.warmup
    }

    /// When the last customer has come.
    #[must_use]
    pub fn end(&self) -> Instant {
        self.start + self.warmup + self.measured
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock;

    #[test]
    fn customers_come_evenly_and_the_warm_up_is_not_measured() {
        let start = clock::now();
        let schedule =
            Schedule { start, rate: 100.0, warmup: Duration::from_secs(1), measured: Duration::from_secs(2) };
        assert_eq!(schedule.count(), 300);
        assert_eq!(schedule.intended(50), start + Duration::from_millis(500));
        assert!(!schedule.is_measured(schedule.intended(99)));
        assert!(schedule.is_measured(schedule.intended(100)));
    }
}
