//! Latencies of a run, in histograms with a relative error below 0.1 %.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use hdrhistogram::Histogram;
use serde::{Deserialize, Serialize};

/// Longest latency told apart, in microseconds (10 minutes): longer ones count as this.
const LONGEST_MICROS: u64 = 600_000_000;
/// Digits kept.
const DIGITS: u8 = 3;

/// What is timed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// Intended arrival to the answer of `join`.
    JoinAcknowledged,
    /// Intended arrival to the offer on an agent's socket, where a free agent existed at the arrival.
    JoinToOffer,
    /// The same for every customer, also those who had to wait for an agent.
    JoinToOfferAll,
    AcceptAcknowledged,
    StartAcknowledged,
    CompleteAcknowledged,
    /// How late the tester itself sent a customer off: its own share in the latencies of joins.
    OwnLag,
}

/// Every step, in the order of a report.
pub const STEPS: [(Step, &str); 7] = [
    (Step::JoinAcknowledged, "join acknowledged"),
    (Step::JoinToOffer, "join to offer (an agent was free)"),
    (Step::JoinToOfferAll, "join to offer (all)"),
    (Step::AcceptAcknowledged, "accept acknowledged"),
    (Step::StartAcknowledged, "start acknowledged"),
    (Step::CompleteAcknowledged, "complete acknowledged"),
    (Step::OwnLag, "(the tester's own lag at arrivals)"),
];

/// A summary of one step, in milliseconds.
#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize)]
pub struct Summary {
    pub count: u64,
    pub p50_ms: f64,
    pub p90_ms: f64,
    pub p99_ms: f64,
    pub max_ms: f64,
}

/// One histogram a step.
#[derive(Debug)]
pub struct Latencies {
    histograms: [Mutex<Histogram<u64>>; STEPS.len()],
}

impl Latencies {
    /// # Errors
    /// Never with the bounds above; the library checks them at run time.
    pub fn new() -> anyhow::Result<Self> {
        let histogram = || Histogram::new_with_bounds(1, LONGEST_MICROS, DIGITS).map(Mutex::new);
        Ok(Self {
            histograms: [
                histogram()?,
                histogram()?,
                histogram()?,
                histogram()?,
                histogram()?,
                histogram()?,
                histogram()?,
            ],
        })
    }

    /// Counts one latency.
    pub fn record(&self, step: Step, latency: Duration) {
        let micros = u64::try_from(latency.as_micros()).unwrap_or(LONGEST_MICROS);
        self.histogram(step).saturating_record(micros);
    }

    /// Percentiles so far.
    #[must_use]
    #[allow(clippy::cast_precision_loss, reason = "microseconds below 2^52")]
    pub fn summary(&self, step: Step) -> Summary {
        let histogram = self.histogram(step);
        let millis = |quantile| histogram.value_at_quantile(quantile) as f64 / 1000.0;
        Summary {
            count: histogram.len(),
            p50_ms: millis(0.5),
            p90_ms: millis(0.9),
            p99_ms: millis(0.99),
            max_ms: histogram.max() as f64 / 1000.0,
        }
    }

    fn histogram(&self, step: Step) -> MutexGuard<'_, Histogram<u64>> {
        self.histograms[step as usize].lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test may stop at the first surprise")]
    use super::*;

    #[test]
    fn steps_are_listed_in_the_order_of_their_histograms() {
        for (index, (step, _)) in STEPS.iter().enumerate() {
            assert_eq!(*step as usize, index);
        }
    }

    #[test]
    fn percentiles_are_in_milliseconds() {
        let latencies = Latencies::new().unwrap();
        for millis in 1..=100 {
            latencies.record(Step::JoinToOffer, Duration::from_millis(millis));
        }
        let summary = latencies.summary(Step::JoinToOffer);
        assert_eq!(summary.count, 100);
        assert!((summary.p50_ms - 50.0).abs() < 0.5 && (summary.max_ms - 100.0).abs() < 0.5);
    }
}
