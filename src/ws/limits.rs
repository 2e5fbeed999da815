//! Owns how much one client may say: a bucket of messages that fills by the second. Pure: the session says what time it is.

use std::time::Duration;

use crate::domain::clock::Timestamp;

/// A client that goes on talking over refusals is cut off after this many times its bound in refusals without a quiet
/// second between them: some five seconds of twice the allowed rate.
const REFUSALS_PER_BOUND: u32 = 5;

/// What to do with a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    Allow,
    /// Answer `rate_limited` and do nothing else.
    Refuse,
    /// It persists: close the socket.
    Close,
}

/// The messages of one socket.
#[derive(Debug)]
pub struct ClientLimit {
    /// `None`: no limit.
    per_second: Option<u32>,
    /// Messages it may send at once, in millionths.
    credit_micros: i64,
    filled_at: Timestamp,
    refusals: u32,
    refused_at: Timestamp,
}

impl ClientLimit {
    /// A full bucket of `per_second` messages that fills at that rate; `None` is no limit.
    pub fn new(per_second: Option<u32>, now: Timestamp) -> Self {
        let full = i64::from(per_second.unwrap_or(0)) * 1_000_000;
        Self { per_second, credit_micros: full, filled_at: now, refusals: 0, refused_at: now }
    }

    /// Takes one message's worth.
    pub fn admit(&mut self, now: Timestamp) -> Verdict {
        let Some(per_second) = self.per_second else { return Verdict::Allow };
        let rate = i64::from(per_second);
        let passed = now.micros().saturating_sub(self.filled_at.micros()).max(0);
        self.filled_at = now;
        self.credit_micros = self.credit_micros.saturating_add(passed.saturating_mul(rate)).min(rate * 1_000_000);
        if self.credit_micros >= 1_000_000 {
            self.credit_micros -= 1_000_000;
            return Verdict::Allow;
        }
        if now.since(self.refused_at) >= Duration::from_secs(1) {
            self.refusals = 0;
        }
        self.refused_at = now;
        self.refusals += 1;
        if self.refusals > per_second.saturating_mul(REFUSALS_PER_BOUND) { Verdict::Close } else { Verdict::Refuse }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: i64) -> Timestamp {
        Timestamp::from_micros(1_000_000_000 + millis * 1_000)
    }

    #[test]
    fn a_burst_passes_then_the_rate_holds() {
        let mut limit = ClientLimit::new(Some(50), at(0));
        assert!((0..50).all(|_| limit.admit(at(0)) == Verdict::Allow));
        assert_eq!(limit.admit(at(0)), Verdict::Refuse);
        assert_eq!(limit.admit(at(20)), Verdict::Allow);
        assert_eq!(limit.admit(at(20)), Verdict::Refuse);
        assert!((0..50).all(|_| limit.admit(at(5_000)) == Verdict::Allow));
    }

    #[test]
    fn persistence_is_cut_off_and_pauses_forgive() {
        let mut limit = ClientLimit::new(Some(10), at(0));
        let refused = (0..1_000).take_while(|_| limit.admit(at(0)) != Verdict::Close).count();
        assert_eq!(refused, 10 + 50);
        let mut limit = ClientLimit::new(Some(10), at(0));
        for second in 0..20 {
            // Twice the rate for one moment every two seconds is answered, never cut off.
            assert!((0..20).all(|_| limit.admit(at(second * 2_000)) != Verdict::Close));
        }
    }

    #[test]
    fn off_is_off() {
        let mut limit = ClientLimit::new(None, at(0));
        assert!((0..10_000).all(|_| limit.admit(at(0)) == Verdict::Allow));
    }
}
