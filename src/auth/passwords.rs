//! Owns passwords: which may be chosen, and their hashing by argon2id on a bounded pool, with constant work whether or not
//! an account exists. It keeps no password and looks up no user.
//!
//! The pool is threads of its own with the lowest priority the system gives: they compute with the time that nobody else
//! wants, so a flood of logins slows down logins and not the queues. Each keeps its memory from one hash to the next: 19 MiB
//! taken from the system and given back each time would disturb every thread of the process.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{Receiver, SyncSender, TryRecvError, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use argon2::password_hash::phc::{Output, ParamsString, PasswordHash, Salt};
use argon2::{Algorithm, Argon2, Block, Params, Version};
use tokio::sync::oneshot;

use super::common_passwords::is_common;
use crate::domain::ids::IdSource;

/// OWASP's recommendation for argon2id (Password Storage Cheat Sheet): 19 MiB, two passes, one lane.
const MEMORY_KIB: u32 = 19_456;
const PASSES: u32 = 2;
const LANES: u32 = 1;
/// Salt size recommended by the PHC string format.
const SALT_BYTES: usize = 16;
/// Size of a hash recommended by the PHC string format.
const HASH_BYTES: usize = 32;
/// Most hashes computed at once: each takes a core for some 20 ms, and 19 MiB. Half of the cores, at most this many.
const RUNNING_MAX: usize = 4;
/// Logins that may wait for their turn. At 40 ms each, with the rests, the last of them waits ten seconds; further ones are
/// told to come again.
const WAITING_MAX: usize = 250;
/// Longest wait for an answer. On a machine that has no time left the pool gets little of it, and whoever waits longer than
/// this has given up.
const ANSWER_WITHIN: Duration = Duration::from_secs(10);
/// Hashes one thread computes in a row before it begins to rest: the people of an office who log in at nine o'clock.
const BURST: u32 = 25;
/// Its rest after each further one while others wait, as long as a hash takes: a flood of logins gets half of a thread's time,
/// and whoever stands at the end of the line is still answered.
const REST: Duration = Duration::from_millis(20);
/// The priority of the pool's threads: the lowest that still gets a turn on a machine without any time left.
const NICE: i32 = 19;

/// Shortest password that may be chosen, in characters (NIST SP 800-63B).
pub const CHARS_MIN: usize = 8;
/// Longest, in characters; hashing time grows with it.
pub const CHARS_MAX: usize = 128;

/// What is wrong with `password` as a new one, in the words of a field's fault. What it consists of is nobody's business;
/// those that every guesser tries first are refused.
pub fn fault_of_new(password: &str) -> Option<&'static str> {
    let chars = password.chars().count();
    if chars < CHARS_MIN {
        return Some("should be at least 8 character(s)");
    }
    if chars > CHARS_MAX {
        return Some("should be at most 128 character(s)");
    }
    is_common(password).then_some("is too common")
}

/// Why a password could not be hashed or checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PasswordError {
    /// More logins wait than can be served within a few seconds.
    #[error("too many logins at once")]
    Overloaded,
    /// The hash function refused its input, or its thread died.
    #[error("the password could not be hashed")]
    Failed,
}

/// Hashes and checks passwords. Cheap to clone; the threads end with the last clone.
#[derive(Clone, Debug)]
pub struct Passwords(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    ids: IdSource,
    jobs: SyncSender<Job>,
    /// What unknown users' passwords are compared with, so that their refusal takes as long as anybody's.
    decoy: String,
}

type Job = Box<dyn FnOnce(&mut Memory) + Send>;

impl Passwords {
    /// Starts the pool; takes one hash's time.
    pub fn new(ids: IdSource) -> Result<Self, PasswordError> {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        Self::with_threads(ids, (cores / 2).clamp(1, RUNNING_MAX))
    }

    fn with_threads(ids: IdSource, threads: usize) -> Result<Self, PasswordError> {
        let decoy = Memory::default().hash(&ids, &ids.secret(SALT_BYTES))?;
        let (jobs, waiting) = sync_channel(WAITING_MAX);
        let waiting = Arc::new(Mutex::new(waiting));
        for _ in 0..threads {
            let waiting = Arc::clone(&waiting);
            std::thread::Builder::new()
                .name("passwords".to_owned())
                .spawn(move || work(&waiting))
                .map_err(|_| PasswordError::Failed)?;
        }
        Ok(Self(Arc::new(Inner { ids, jobs, decoy })))
    }

    /// The PHC string to store for `password`.
    pub async fn hash(&self, password: String) -> Result<String, PasswordError> {
        let ids = self.0.ids.clone();
        self.in_turn(move |memory| memory.hash(&ids, &password)).await?
    }

    /// Whether `password` is the one `stored` was made of. With `None` (no such account) the same work is done against
    /// a decoy and the answer is `false`.
    pub async fn verify(&self, password: String, stored: Option<String>) -> Result<bool, PasswordError> {
        let known = stored.is_some();
        let stored = stored.unwrap_or_else(|| self.0.decoy.clone());
        self.in_turn(move |memory| Ok(memory.matches(&password, &stored)? && known)).await?
    }

    async fn in_turn<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Memory) -> T + Send + 'static,
    ) -> Result<T, PasswordError> {
        let (answer, answered) = oneshot::channel();
        let job = Box::new(move |memory: &mut Memory| {
            // Whoever has gone meanwhile costs no hash.
            if !answer.is_closed() {
                let _ = answer.send(work(memory));
            }
        });
        self.0.jobs.try_send(job).map_err(|_| PasswordError::Overloaded)?;
        let answered = tokio::time::timeout(ANSWER_WITHIN, answered).await.map_err(|_| PasswordError::Overloaded)?;
        answered.map_err(|_| PasswordError::Failed)
    }
}

/// Does what waits, one after the other, until nobody can send any more.
fn work(waiting: &Mutex<Receiver<Job>>) {
    // Of the calling thread, as Linux counts. Elsewhere it would be the whole process, and there the bound has to do.
    #[cfg(target_os = "linux")]
    if let Err(error) = rustix::process::setpriority_process(None, NICE) {
        tracing::warn!(%error, "the password threads keep their priority");
    }
    let mut memory = Memory::default();
    let mut in_a_row = 0;
    loop {
        let next = || waiting.lock().unwrap_or_else(PoisonError::into_inner);
        let queued = next().try_recv();
        let job = match queued {
            Ok(job) => {
                in_a_row += 1;
                if in_a_row > BURST {
                    std::thread::sleep(REST);
                }
                job
            }
            Err(TryRecvError::Disconnected) => return,
            Err(TryRecvError::Empty) => {
                in_a_row = 0;
                match next().recv() {
                    Ok(job) => job,
                    Err(_) => return,
                }
            }
        };
        // Its caller hears `Failed` because the answer was dropped; the thread goes on.
        if catch_unwind(AssertUnwindSafe(|| job(&mut memory))).is_err() {
            tracing::error!("hashing a password panicked");
        }
    }
}

/// What one thread computes in. It is overwritten from the start by each hash.
#[derive(Default)]
struct Memory(Vec<Block>);

impl Memory {
    /// The PHC string of `password` with a salt of its own.
    fn hash(&mut self, ids: &IdSource, password: &str) -> Result<String, PasswordError> {
        let (algorithm, version) = (Algorithm::Argon2id, Version::V0x13);
        let params = Params::new(MEMORY_KIB, PASSES, LANES, Some(HASH_BYTES)).map_err(|_| PasswordError::Failed)?;
        let mut salt = [0u8; SALT_BYTES];
        ids.fill(&mut salt);
        let salt = Salt::new(&salt).map_err(|_| PasswordError::Failed)?;
        let hash = self.compute(&Argon2::new(algorithm, version, params.clone()), password, &salt, HASH_BYTES)?;
        let phc = PasswordHash {
            algorithm: algorithm.ident(),
            version: Some(version.into()),
            params: ParamsString::try_from(&params).map_err(|_| PasswordError::Failed)?,
            salt: Some(salt),
            hash: Some(hash),
        };
        Ok(phc.to_string())
    }

    /// Whether `stored` was made of `password`. The parameters are read from it, so older hashes stay valid when ours change.
    fn matches(&mut self, password: &str, stored: &str) -> Result<bool, PasswordError> {
        let parsed = PasswordHash::new(stored).map_err(|_| PasswordError::Failed)?;
        let algorithm = Algorithm::try_from(parsed.algorithm.as_str()).map_err(|_| PasswordError::Failed)?;
        let version =
            parsed.version.map_or(Ok(Version::V0x13), Version::try_from).map_err(|_| PasswordError::Failed)?;
        let params = Params::try_from(&parsed).map_err(|_| PasswordError::Failed)?;
        let (Some(salt), Some(expected)) = (parsed.salt, parsed.hash) else { return Err(PasswordError::Failed) };
        let hash = self.compute(&Argon2::new(algorithm, version, params), password, &salt, expected.len())?;
        // This comparison takes the same time wherever they differ.
        Ok(hash == expected)
    }

    fn compute(
        &mut self,
        argon2: &Argon2<'_>,
        password: &str,
        salt: &Salt,
        bytes: usize,
    ) -> Result<Output, PasswordError> {
        let count = argon2.params().block_count();
        if self.0.len() < count {
            self.0.resize(count, Block::new());
        }
        let mut hash = [0u8; Output::MAX_LENGTH];
        let (Some(hash), Some(blocks)) = (hash.get_mut(..bytes), self.0.get_mut(..count)) else {
            return Err(PasswordError::Failed);
        };
        argon2
            .hash_password_into_with_memory(password.as_bytes(), salt, hash, blocks)
            .map_err(|_| PasswordError::Failed)?;
        Output::new(hash).map_err(|_| PasswordError::Failed)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

    use std::sync::mpsc;

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
    async fn hashes_are_those_of_everybody_elses_argon2() {
        use argon2::{PasswordHasher as _, PasswordVerifier as _};
        let passwords = Passwords::new(IdSource::seeded(1)).unwrap();
        let ours = passwords.hash("correct horse".to_owned()).await.unwrap();
        let parsed = PasswordHash::new(&ours).unwrap();
        assert!(Argon2::default().verify_password(b"correct horse", &parsed).is_ok());
        // Other parameters than ours, as after they are changed.
        let other = Argon2::new(Algorithm::Argon2id, Version::V0x13, Params::new(64, 1, 1, None).unwrap());
        let theirs = other.hash_password_with_salt(b"correct horse", b"a salt of theirs").unwrap().to_string();
        assert!(passwords.verify("correct horse".to_owned(), Some(theirs.clone())).await.unwrap());
        assert!(!passwords.verify("battery".to_owned(), Some(theirs)).await.unwrap());
        assert_eq!(passwords.verify("x".to_owned(), Some("nonsense".to_owned())).await, Err(PasswordError::Failed));
    }

    #[tokio::test]
    async fn an_unknown_account_is_refused_after_the_same_work() {
        let passwords = Passwords::new(IdSource::seeded(1)).unwrap();
        assert!(!passwords.verify("anything".to_owned(), None).await.unwrap());
    }

    #[tokio::test]
    async fn logins_beyond_the_bound_are_turned_away() {
        let passwords = Passwords::with_threads(IdSource::seeded(1), 1).unwrap();
        let (go, gate) = mpsc::channel::<()>();
        let busy = passwords.clone();
        let running = tokio::spawn(async move { busy.in_turn(move |_| gate.recv()).await });
        let mut waiting = Vec::new();
        // One runs and the rest wait; the one that runs may not have left the line yet.
        loop {
            let patient = passwords.clone();
            let mut login = Box::pin(async move { patient.in_turn(|_| ()).await });
            match futures_util::poll!(&mut login) {
                std::task::Poll::Pending => waiting.push(login),
                std::task::Poll::Ready(refused) => break assert_eq!(refused, Err(PasswordError::Overloaded)),
            }
            tokio::task::yield_now().await;
        }
        assert!((WAITING_MAX - 1..=WAITING_MAX).contains(&waiting.len()), "{}", waiting.len());
        // Those who left are not worked for, the others are.
        waiting.truncate(1);
        go.send(()).unwrap();
        running.await.unwrap().unwrap().unwrap();
        waiting.remove(0).await.unwrap();
    }

    #[tokio::test]
    async fn a_panic_costs_one_login_and_no_thread() {
        let passwords = Passwords::with_threads(IdSource::seeded(1), 1).unwrap();
        assert_eq!(passwords.in_turn(|_| panic!("it broke")).await, Err::<(), _>(PasswordError::Failed));
        assert_eq!(passwords.in_turn(|_| 7).await, Ok(7));
    }

    #[test]
    fn new_passwords_are_long_enough_and_no_guessers_first() {
        assert_eq!(fault_of_new("1234567"), Some("should be at least 8 character(s)"));
        assert_eq!(fault_of_new(&"é".repeat(129)), Some("should be at most 128 character(s)"));
        for common in ["12345678", "Password1", "senha123", "QWERTYUIOP"] {
            assert_eq!(fault_of_new(common), Some("is too common"), "{common}");
        }
        for good in ["correct horse battery", "ção-ção-ção", "        x"] {
            assert_eq!(fault_of_new(good), None, "{good}");
        }
    }
}
