//! Owns the hashing of passwords: argon2id on a bounded pool, with constant work whether or not an account exists. It
//! keeps no password and looks up no user.

use std::sync::Arc;

use argon2::password_hash::phc::PasswordHash;
use argon2::{Algorithm, Argon2, Params, PasswordHasher, PasswordVerifier, Version};
use tokio::sync::Semaphore;

use crate::domain::ids::IdSource;

/// OWASP's first recommendation for argon2id: 19 MiB, two passes, one lane.
const MEMORY_KIB: u32 = 19_456;
const PASSES: u32 = 2;
const LANES: u32 = 1;
/// Salt size recommended by the PHC string format.
const SALT_BYTES: usize = 16;
/// Hashes computed at once. Each takes a core for some 20 ms and 19 MiB, so logging in never starves the queue of more
/// than two cores, nor takes more than 38 MiB.
const RUNNING_MAX: usize = 2;
/// Logins that may wait for their turn: at 20 ms and two at once the last of them waits about a second.
const WAITING_MAX: usize = 100;

/// Shortest password that may be chosen, in characters (NIST SP 800-63B).
pub const CHARS_MIN: usize = 8;
/// Longest, in characters; hashing time grows with it.
pub const CHARS_MAX: usize = 128;

/// What is wrong with `password` as a new one, in the words of a field's fault.
pub fn fault_of_new(password: &str) -> Option<&'static str> {
    let chars = password.chars().count();
    if chars < CHARS_MIN {
        return Some("should be at least 8 character(s)");
    }
    (chars > CHARS_MAX).then_some("should be at most 128 character(s)")
}

/// Why a password could not be hashed or checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PasswordError {
    /// More logins wait than can be served within a second.
    #[error("too many logins at once")]
    Overloaded,
    /// The hash function refused its input, or its thread died.
    #[error("the password could not be hashed")]
    Failed,
}

/// Hashes and checks passwords. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Passwords(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    ids: IdSource,
    running: Semaphore,
    waiting: Semaphore,
    /// What unknown users' passwords are compared with, so that their refusal takes as long as anybody's.
    decoy: String,
}

impl Passwords {
    /// Prepares the pool; takes one hash's time.
    pub fn new(ids: IdSource) -> Result<Self, PasswordError> {
        let decoy = hash_now(&ids, &ids.secret(SALT_BYTES))?;
        Ok(Self(Arc::new(Inner {
            ids,
            running: Semaphore::new(RUNNING_MAX),
            waiting: Semaphore::new(RUNNING_MAX + WAITING_MAX),
            decoy,
        })))
    }

    /// The PHC string to store for `password`.
    pub async fn hash(&self, password: String) -> Result<String, PasswordError> {
        let inner = self.0.clone();
        self.in_turn(move || hash_now(&inner.ids, &password)).await?
    }

    /// Whether `password` is the one `stored` was made of. With `None` (no such account) the same work is done against
    /// a decoy and the answer is `false`.
    pub async fn verify(&self, password: String, stored: Option<String>) -> Result<bool, PasswordError> {
        let inner = self.0.clone();
        self.in_turn(move || {
            let known = stored.is_some();
            let stored = stored.as_deref().unwrap_or(&inner.decoy);
            let parsed = PasswordHash::new(stored).map_err(|_| PasswordError::Failed)?;
            // The parameters are read from the stored hash, so older hashes stay valid when ours change.
            let matches = Argon2::default().verify_password(password.as_bytes(), &parsed).is_ok();
            Ok(matches && known)
        })
        .await?
    }

    async fn in_turn<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> Result<T, PasswordError> {
        let _place = self.0.waiting.try_acquire().map_err(|_| PasswordError::Overloaded)?;
        let _turn = self.0.running.acquire().await.map_err(|_| PasswordError::Failed)?;
        tokio::task::spawn_blocking(work).await.map_err(|_| PasswordError::Failed)
    }
}

fn hash_now(ids: &IdSource, password: &str) -> Result<String, PasswordError> {
    let params = Params::new(MEMORY_KIB, PASSES, LANES, None).map_err(|_| PasswordError::Failed)?;
    let mut salt = [0u8; SALT_BYTES];
    ids.fill(&mut salt);
    Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
        .hash_password_with_salt(password.as_bytes(), &salt)
        .map(|hash| hash.to_string())
        .map_err(|_| PasswordError::Failed)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;

    #[tokio::test]
    async fn a_password_matches_its_own_hash_only() {
        let passwords = Passwords::new(IdSource::seeded(1)).unwrap();
        let stored = passwords.hash("correct horse".to_owned()).await.unwrap();
        assert!(stored.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{stored}");
        assert!(passwords.verify("correct horse".to_owned(), Some(stored.clone())).await.unwrap());
        assert!(!passwords.verify("battery".to_owned(), Some(stored)).await.unwrap());
    }

    #[tokio::test]
    async fn an_unknown_account_is_refused_after_the_same_work() {
        let passwords = Passwords::new(IdSource::seeded(1)).unwrap();
        assert!(!passwords.verify("anything".to_owned(), None).await.unwrap());
    }

    #[tokio::test]
    async fn logins_beyond_the_bound_are_turned_away() {
        let passwords = Passwords::new(IdSource::seeded(1)).unwrap();
        let _all = passwords.0.waiting.try_acquire_many((RUNNING_MAX + WAITING_MAX) as u32).unwrap();
        assert_eq!(passwords.verify("x".to_owned(), None).await, Err(PasswordError::Overloaded));
    }
}
