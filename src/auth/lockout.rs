//! Owns how soon an account may be tried again after wrong passwords and codes. It does not know which accounts exist:
//! whatever name is tried is counted alike, so a refusal tells nobody anything.
//!
//! Kept in memory, bounded: after a restart everybody starts anew, which gains a guesser a handful of tries. Who was just
//! allowed to try is counted as wrong until he turns out to be right, so a thousand tries at once are no more than one.

use std::hash::{BuildHasher, Hash, RandomState};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use dashmap::DashMap;

use crate::domain::clock::{Clock, Timestamp};

/// The first wait, in seconds; it doubles with each further failure.
const FIRST_SECONDS: u64 = 30;
/// The longest wait, in seconds. A guesser then has a hundred tries a day; the one whose account it is waits a quarter
/// of an hour at worst, or asks for a new password, which ends the wait.
const LONGEST_SECONDS: u64 = 15 * 60;
/// Failures are forgotten this long after the last one, in seconds.
const FORGOTTEN_SECONDS: u64 = 24 * 60 * 60;
/// Most accounts remembered, at some 60 bytes each 6 MB. Beyond it those not locked are forgotten first, and further ones
/// are not remembered: the limits for each address still hold.
const ACCOUNTS_MAX: usize = 100_000;
/// Between two looks through all of them, in seconds.
const SWEEP_SECONDS: u64 = 60;

/// All accounts that were lately tried in vain. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Lockouts(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    clock: Clock,
    /// Failures that cost nothing; 0 locks nobody.
    free: u32,
    hasher: RandomState,
    accounts: DashMap<u64, Tried>,
    swept_at: AtomicI64,
}

#[derive(Clone, Copy, Debug, Default)]
struct Tried {
    failures: u32,
    last_at: Timestamp,
    locked_until: Timestamp,
}

/// A try under way. Unless told how it went, it did not happen: the server failed, or nobody waits for the answer.
#[derive(Debug)]
#[must_use = "a try that is dropped is not counted"]
pub struct Attempt {
    lockouts: Lockouts,
    key: u64,
    /// What this try found.
    before: Tried,
    /// What it left.
    after: Tried,
    told: bool,
}

impl Lockouts {
    /// Nobody is locked. The first `free` failures of an account cost nothing; 0 turns the lock off.
    pub fn new(clock: Clock, free: u32) -> Self {
        let swept_at = AtomicI64::new(clock.now().micros());
        Self(Arc::new(Inner { clock, free, hasher: RandomState::new(), accounts: DashMap::new(), swept_at }))
    }

    /// Begins a try at `account` (however the caller names it); else the seconds to wait.
    pub fn attempt(&self, account: &impl Hash) -> Result<Attempt, u64> {
        let key = self.0.hasher.hash_one(account);
        let now = self.0.clock.now();
        self.make_room(now);
        let full = self.0.accounts.len() >= ACCOUNTS_MAX && !self.0.accounts.contains_key(&key);
        if self.0.free == 0 || full {
            return Ok(Attempt {
                lockouts: self.clone(),
                key,
                before: Tried::default(),
                after: Tried::default(),
                told: true,
            });
        }
        let mut tried = self.0.accounts.entry(key).or_default();
        if tried.locked_until > now {
            return Err(
                u64::try_from(tried.locked_until.since(now).as_millis().div_ceil(1_000)).unwrap_or(LONGEST_SECONDS)
            );
        }
        if tried.last_at.plus_seconds(FORGOTTEN_SECONDS) <= now {
            *tried = Tried::default();
        }
        let before = *tried;
        tried.failures = tried.failures.saturating_add(1);
        tried.last_at = now;
        if tried.failures >= self.0.free {
            tried.locked_until = now.plus_seconds(wait_seconds(tried.failures - self.0.free));
        }
        Ok(Attempt { lockouts: self.clone(), key, before, after: *tried, told: false })
    }

    /// Forgets an account's failures: he proved otherwise who he is.
    pub fn forget(&self, account: &impl Hash) {
        self.0.accounts.remove(&self.0.hasher.hash_one(account));
    }

    /// Forgets, at most once a minute, whoever's failures are old; when there are too many, all who may try again.
    fn make_room(&self, now: Timestamp) {
        let swept_at = self.0.swept_at.load(Ordering::Relaxed);
        let due = now.micros() - swept_at >= i64::try_from(SWEEP_SECONDS).unwrap_or(60) * 1_000_000;
        let order = Ordering::Relaxed;
        if !due || self.0.swept_at.compare_exchange(swept_at, now.micros(), order, order).is_err() {
            return;
        }
        let crowded = self.0.accounts.len() >= ACCOUNTS_MAX;
        self.0.accounts.retain(|_, tried| {
            tried.locked_until > now || (!crowded && tried.last_at.plus_seconds(FORGOTTEN_SECONDS) > now)
        });
    }
}

impl Attempt {
    /// It was wrong.
    pub fn failed(mut self) {
        self.told = true;
    }

    /// It was right, and with it all that had to be proved: the account's failures are forgotten.
    pub fn succeeded(mut self) {
        self.told = true;
        self.lockouts.0.accounts.remove(&self.key);
    }
}

impl Drop for Attempt {
    fn drop(&mut self) {
        if self.told {
            return;
        }
        if let Some(mut tried) = self.lockouts.0.accounts.get_mut(&self.key) {
            tried.failures = tried.failures.saturating_sub(1);
            // Somebody else's failure may have locked it longer meanwhile; that stands.
            if tried.locked_until == self.after.locked_until {
                tried.locked_until = self.before.locked_until;
            }
        }
    }
}

/// How long to wait after the `nth` failure that costs something, from 0.
fn wait_seconds(nth: u32) -> u64 {
    FIRST_SECONDS.checked_shl(nth.min(16)).unwrap_or(LONGEST_SECONDS).min(LONGEST_SECONDS)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use std::time::Duration;

    use super::*;

    fn lockouts(free: u32) -> (Lockouts, Clock) {
        let clock = Clock::manual(Timestamp::from_micros(1_700_000_000_000_000));
        (Lockouts::new(clock.clone(), free), clock)
    }

    #[test]
    fn the_wait_doubles_up_to_a_quarter_of_an_hour() {
        let (lockouts, clock) = lockouts(3);
        for _ in 0..3 {
            lockouts.attempt(&"ana").unwrap().failed();
        }
        for expected in [30, 60, 120, 240, 480, 900, 900] {
            let wait = lockouts.attempt(&"ana").unwrap_err();
            assert_eq!(wait, expected);
            lockouts.attempt(&"bia").unwrap().succeeded();
            clock.advance(Duration::from_secs(expected));
            lockouts.attempt(&"ana").unwrap().failed();
        }
    }

    #[test]
    fn being_right_and_a_quiet_day_forget_the_failures() {
        let (lockouts, clock) = lockouts(2);
        lockouts.attempt(&"ana").unwrap().failed();
        lockouts.attempt(&"ana").unwrap().succeeded();
        lockouts.attempt(&"ana").unwrap().failed();
        clock.advance(Duration::from_secs(FORGOTTEN_SECONDS));
        lockouts.attempt(&"ana").unwrap().failed();
        lockouts.attempt(&"ana").unwrap().failed();
        assert!(lockouts.attempt(&"ana").is_err());
        lockouts.forget(&"ana");
        assert!(lockouts.attempt(&"ana").is_ok());
    }

    #[test]
    fn tries_at_once_count_before_their_outcome_is_known() {
        let (lockouts, _) = lockouts(3);
        let under_way: Vec<_> = (0..10).filter_map(|_| lockouts.attempt(&"ana").ok()).collect();
        assert_eq!(under_way.len(), 3);
        // The server failed them all: none happened.
        drop(under_way);
        assert!(lockouts.attempt(&"ana").is_ok());
    }

    #[test]
    fn zero_locks_nobody() {
        let (lockouts, _) = lockouts(0);
        for _ in 0..100 {
            lockouts.attempt(&"ana").unwrap().failed();
        }
        assert_eq!(lockouts.0.accounts.len(), 0);
    }

    #[test]
    fn old_names_make_room() {
        let (lockouts, clock) = lockouts(2);
        for name in 0..1_000 {
            lockouts.attempt(&name).unwrap().failed();
        }
        clock.advance(Duration::from_secs(FORGOTTEN_SECONDS));
        lockouts.attempt(&"ana").unwrap().failed();
        assert_eq!(lockouts.0.accounts.len(), 1);
    }
}
