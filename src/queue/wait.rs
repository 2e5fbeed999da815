//! Owns the wait estimate: pure arithmetic over the line's length, the agents and recent handle times.
//!
//! QL of Ibrahim and Whitt: the person at position `p` is served after `p` service completions, each of which comes at
//! the rate `slots / mean handle time`. The time of `p` such completions is a gamma variable; we tell its median and its
//! 90th percentile (Wilson and Hilferty's approximation). Until there is history, the wait of whoever heads the line.

use std::collections::VecDeque;

/// The fewest handled calls an estimate is based on; below it the head of the line is all we know.
pub const HISTORY_MIN: usize = 5;
/// Handled calls remembered: recent enough to follow the day, enough to be steady.
pub const HISTORY_MAX: usize = 50;

pub use crate::domain::call::WaitEstimate as Estimate;

/// How long recent calls kept a slot busy: talk and wrap-up.
#[derive(Clone, Debug, Default)]
pub struct HandleTimes {
    recent: VecDeque<f64>,
    total: f64,
}

impl HandleTimes {
    /// Notes one handled call.
    pub fn note(&mut self, seconds: f64) {
        self.recent.push_back(seconds);
        self.total += seconds;
        if self.recent.len() > HISTORY_MAX
            && let Some(oldest) = self.recent.pop_front()
        {
            self.total -= oldest;
        }
    }

    /// The mean in seconds, once there is history.
    pub fn mean_seconds(&self) -> Option<f64> {
        (self.recent.len() >= HISTORY_MIN).then(|| (self.total / self.recent.len() as f64).max(0.0))
    }
}

/// The estimate for the call at `position` (from 1).
pub fn estimate(
    position: u32,
    available: u32,
    serving_slots: u32,
    mean_handle_seconds: Option<f64>,
    head_wait_seconds: Option<u64>,
) -> Estimate {
    if position <= available {
        return Estimate { p50_seconds: Some(0), p90_seconds: Some(0) };
    }
    match (mean_handle_seconds, serving_slots) {
        (Some(handle), slots) if slots > 0 => {
            let scale = handle / f64::from(slots);
            let shape = f64::from(position);
            Estimate {
                p50_seconds: Some(gamma_quantile(shape, scale, 0.0)),
                // 1.2816: the standard normal's 90th percentile.
                p90_seconds: Some(gamma_quantile(shape, scale, 1.281_6)),
            }
        }
        _ => Estimate { p50_seconds: head_wait_seconds, p90_seconds: None },
    }
}

fn gamma_quantile(shape: f64, scale: f64, z: f64) -> u64 {
    let ninth = 1.0 / (9.0 * shape);
    let root = 1.0 - ninth + z * ninth.sqrt();
    let seconds = (shape * scale * root.powi(3)).max(0.0);
    // A wait beyond a day says nothing more than "a day".
    seconds.min(86_400.0).round() as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_said_while_there_is_nothing_to_base_it_on() {
        assert_eq!(estimate(3, 0, 0, None, None), Estimate::default());
        assert_eq!(estimate(1, 0, 2, None, Some(42)), Estimate { p50_seconds: Some(42), p90_seconds: None });
    }

    #[test]
    fn a_free_agent_means_no_wait() {
        assert_eq!(estimate(1, 1, 1, Some(60.0), None).p50_seconds, Some(0));
    }

    #[test]
    fn the_estimate_grows_with_the_place_and_shrinks_with_the_agents() {
        let mut last = 0;
        for position in 1..50 {
            let now = estimate(position, 0, 4, Some(120.0), None);
            assert!(now.p50_seconds >= Some(last) && now.p90_seconds > now.p50_seconds);
            last = now.p50_seconds.unwrap_or(0);
            assert!(estimate(position, 0, 8, Some(120.0), None).p50_seconds <= now.p50_seconds);
        }
    }

    #[test]
    fn the_quantiles_are_those_of_the_gamma_distribution() {
        // Erlang(10, 1): median 9.67, 90th percentile 14.21.
        let ten = estimate(10, 0, 1, Some(100.0), None);
        assert_eq!(ten.p50_seconds, Some(967));
        assert!((1_415..=1_427).contains(&ten.p90_seconds.unwrap_or(0)), "{ten:?}");
    }

    #[test]
    fn old_history_is_forgotten() {
        let mut times = HandleTimes::default();
        for _ in 0..HISTORY_MAX {
            times.note(1_000.0);
        }
        for _ in 0..HISTORY_MAX {
            times.note(10.0);
        }
        assert_eq!(times.mean_seconds(), Some(10.0));
    }
}
