//! Owns when a failed delivery is tried again, and how many may be under way.

use std::time::Duration;

use crate::domain::clock::Timestamp;
use crate::domain::ids::IdSource;

const MINUTE: u64 = 60;
const HOUR: u64 = 60 * MINUTE;

/// The pauses between attempts: the first ones bridge a restart of the receiver, the next ones a deploy that went wrong, the
/// last ones a night. Together 23 h 42 min; after the last attempt the delivery is dead, and can be replayed.
pub const RETRIES: [Duration; 11] = [
    Duration::from_secs(5),
    Duration::from_secs(30),
    Duration::from_secs(2 * MINUTE),
    Duration::from_secs(10 * MINUTE),
    Duration::from_secs(30 * MINUTE),
    Duration::from_secs(HOUR),
    Duration::from_secs(2 * HOUR),
    Duration::from_secs(3 * HOUR),
    Duration::from_secs(4 * HOUR),
    Duration::from_secs(5 * HOUR),
    Duration::from_secs(8 * HOUR),
];
/// Each pause is up to so much shorter or longer, lest what failed together comes back together.
const JITTER_PERCENT: u64 = 20;

/// Deliveries under way in the whole server: each is a connection and at most half a megabyte.
pub(super) const SENDING_MAX: usize = 128;
/// Deliveries under way to one webhook: calls are told side by side, yet a receiver is not flooded.
pub(super) const SENDING_PER_WEBHOOK_MAX: usize = 8;
/// As above for a webhook whose last delivery failed: it would only wait for its time-out at each.
pub(super) const SENDING_TO_FAILING_MAX: usize = 1;

/// When a delivery is tried again that has failed so often (1 after its first attempt); `None` when it is given up.
pub fn next_attempt(failures: u32, now: Timestamp, ids: &IdSource) -> Option<Timestamp> {
    let pause = RETRIES.get(usize::try_from(failures.checked_sub(1)?).ok()?)?;
    let millis = u64::try_from(pause.as_millis()).unwrap_or(u64::MAX);
    let spread = millis * JITTER_PERCENT / 100;
    Some(now + Duration::from_millis(millis - spread + ids.below(2 * spread + 1)))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;

    #[test]
    fn a_delivery_is_tried_for_about_a_day() {
        let total: Duration = RETRIES.iter().sum();
        assert_eq!(total.as_secs(), 5 + 30 + 12 * MINUTE + 30 * MINUTE + 23 * HOUR);
        assert!(RETRIES.windows(2).all(|pair| pair[0] < pair[1]), "each pause is longer than the one before");
    }

    #[test]
    fn pauses_grow_and_vary_and_end() {
        let ids = IdSource::seeded(1);
        let now = Timestamp::from_micros(0);
        for (failures, pause) in (1..).zip(RETRIES) {
            let waits: Vec<_> =
                (0..50).map(|_| next_attempt(failures, now, &ids).unwrap().since(now).as_secs_f64()).collect();
            let pause = pause.as_secs_f64();
            assert!(waits.iter().all(|wait| (0.8 * pause..=1.2 * pause).contains(wait)), "{waits:?}");
            assert!(waits.iter().any(|wait| *wait < 0.95 * pause) && waits.iter().any(|wait| *wait > 1.05 * pause));
        }
        assert_eq!(next_attempt(RETRIES.len() as u32 + 1, now, &ids), None);
    }
}
