//! Owns passwords: which may be chosen, and their hashing by argon2id on a bounded pool, with constant work whether or not
//! an account exists. It keeps no password and looks up no user.
//!
//! The pool is threads of its own, each of which keeps its memory from one hash to the next, or hands its hashes to a process
//! of the lowest priority (`hash_worker`): so a flood of logins slows down logins and not the queues.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::mpsc::{Receiver, RecvError, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError, TryLockError};
use std::time::Duration;

use tokio::sync::oneshot;

use super::common_passwords::is_common;
use super::hash_worker::{Done, Engine, Task};
use super::hashing::{Memory, SALT_BYTES};
use crate::domain::ids::IdSource;

/// Most hashes computed at once: each takes a core for some 20 ms, and 19 MiB. Half of the cores, at most this many.
const RUNNING_MAX: usize = 4;
/// Logins that may wait for their turn. At 20 ms each the last of them waits five seconds; further ones are told to come again.
const WAITING_MAX: usize = 250;
/// Tasks one thread gives out before it waits for an answer: enough that a worker never waits for it.
const GIVEN_MAX: usize = 4;
/// Longest wait for an answer. On a machine that has no time left the pool gets little of it, and whoever waits longer than
/// this has given up.
const ANSWER_WITHIN: Duration = Duration::from_secs(10);
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

/// A task and who waits for it.
struct Job {
    task: Task,
    answer: oneshot::Sender<Done>,
}

impl Passwords {
    /// Starts the pool; takes one hash's time. With `program`, the `vez` program itself, hashes are computed in processes of
    /// their own (see `hash_worker`), else on the pool's threads.
    pub fn new(ids: IdSource, program: Option<&Path>) -> Result<Self, PasswordError> {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let decoy = Memory::default().hash(&salt(&ids), &ids.secret(SALT_BYTES))?;
        let (jobs, waiting) = sync_channel(WAITING_MAX);
        let waiting = Arc::new(Mutex::new(waiting));
        for _ in 0..(cores / 2).clamp(1, RUNNING_MAX) {
            let waiting = Arc::clone(&waiting);
            let engine = Engine::new(program);
            std::thread::Builder::new()
                .name("passwords".to_owned())
                .spawn(move || work(&waiting, engine))
                .map_err(|_| PasswordError::Failed)?;
        }
        Ok(Self(Arc::new(Inner { ids, jobs, decoy })))
    }

    /// The PHC string to store for `password`.
    pub async fn hash(&self, password: String) -> Result<String, PasswordError> {
        let salt = salt(&self.0.ids).to_vec();
        match self.in_turn(Task::Hash { salt, password }).await? {
            Done::Hash(hash) => Ok(hash),
            _ => Err(PasswordError::Failed),
        }
    }

    /// Whether `password` is the one `stored` was made of. With `None` (no such account) the same work is done against
    /// a decoy and the answer is `false`.
    pub async fn verify(&self, password: String, stored: Option<String>) -> Result<bool, PasswordError> {
        let known = stored.is_some();
        let stored = stored.unwrap_or_else(|| self.0.decoy.clone());
        match self.in_turn(Task::Match { stored, password }).await? {
            Done::Match(matches) => Ok(matches && known),
            _ => Err(PasswordError::Failed),
        }
    }

    async fn in_turn(&self, task: Task) -> Result<Done, PasswordError> {
        let (answer, answered) = oneshot::channel();
        self.0.jobs.try_send(Job { task, answer }).map_err(|_| PasswordError::Overloaded)?;
        let answered = tokio::time::timeout(ANSWER_WITHIN, answered).await.map_err(|_| PasswordError::Overloaded)?;
        answered.map_err(|_| PasswordError::Failed)
    }
}

fn salt(ids: &IdSource) -> [u8; SALT_BYTES] {
    let mut salt = [0u8; SALT_BYTES];
    ids.fill(&mut salt);
    salt
}

/// Does what waits, one after the other, until nobody can send any more.
fn work(waiting: &Mutex<Receiver<Job>>, mut engine: Engine) {
    // Of the calling thread, as Linux counts. Elsewhere it would be the whole process, and there the bound has to do.
    #[cfg(target_os = "linux")]
    if let Err(error) = rustix::process::setpriority_process(None, NICE) {
        tracing::warn!(%error, "the password threads keep their priority");
    }
    let mut callers = VecDeque::new();
    while let Ok(more) = jobs(waiting, engine.unanswered()) {
        for Job { task, answer } in more {
            engine.give(task);
            callers.push_back(answer);
        }
        // What the hash function cannot bear costs one login and no thread.
        let done = catch_unwind(AssertUnwindSafe(|| engine.answer())).unwrap_or(Done::Failed);
        if let Some(caller) = callers.pop_front() {
            let _ = caller.send(done);
        }
    }
}

/// What to give next to an engine that has so many unanswered: nothing, or more; waits for the first while it has none.
fn jobs(waiting: &Mutex<Receiver<Job>>, unanswered: usize) -> Result<Vec<Job>, RecvError> {
    let waiting = match waiting.try_lock() {
        Ok(waiting) => waiting,
        Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
        // Another thread takes what comes, and this one has something to do.
        Err(TryLockError::WouldBlock) if unanswered > 0 => return Ok(Vec::new()),
        Err(TryLockError::WouldBlock) => waiting.lock().unwrap_or_else(PoisonError::into_inner),
    };
    // Whoever has gone meanwhile costs no hash.
    let wanted = |job: &Job| !job.answer.is_closed();
    let mut more: Vec<Job> = waiting.try_iter().filter(wanted).take(GIVEN_MAX.saturating_sub(unanswered)).collect();
    while more.is_empty() && unanswered == 0 {
        more.extend(Some(waiting.recv()?).filter(wanted));
    }
    Ok(more)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

    use super::*;

    #[tokio::test]
    async fn a_password_matches_its_own_hash_only() {
        let passwords = Passwords::new(IdSource::seeded(1), None).unwrap();
        let stored = passwords.hash("correct horse".to_owned()).await.unwrap();
        assert!(stored.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{stored}");
        assert!(passwords.verify("correct horse".to_owned(), Some(stored.clone())).await.unwrap());
        assert!(!passwords.verify("battery".to_owned(), Some(stored)).await.unwrap());
    }

    #[tokio::test]
    async fn hashes_are_those_of_everybody_elses_argon2() {
        use argon2::password_hash::phc::PasswordHash;
        use argon2::{Algorithm, Argon2, Params, PasswordHasher as _, PasswordVerifier as _, Version};
        let passwords = Passwords::new(IdSource::seeded(1), None).unwrap();
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
        let passwords = Passwords::new(IdSource::seeded(1), None).unwrap();
        assert!(!passwords.verify("anything".to_owned(), None).await.unwrap());
    }

    #[tokio::test]
    async fn logins_beyond_the_bound_are_turned_away() {
        let (passwords, _waiting) = without_threads();
        let mut logins = Vec::new();
        for _ in 0..WAITING_MAX {
            let mut login = Box::pin(passwords.verify("x".to_owned(), None));
            assert!(futures_util::poll!(&mut login).is_pending());
            logins.push(login);
        }
        assert_eq!(passwords.verify("x".to_owned(), None).await, Err(PasswordError::Overloaded));
    }

    #[tokio::test]
    async fn who_has_gone_is_not_worked_for_and_an_engine_gets_no_more_than_it_should() {
        let (passwords, waiting) = without_threads();
        let mut logins = Vec::new();
        for _ in 0..GIVEN_MAX + 3 {
            let mut login = Box::pin(passwords.verify("x".to_owned(), None));
            assert!(futures_util::poll!(&mut login).is_pending());
            logins.push(login);
        }
        drop(logins.remove(0));
        assert_eq!(jobs(&waiting, 0).unwrap().len(), GIVEN_MAX);
        assert_eq!(jobs(&waiting, GIVEN_MAX - 1).unwrap().len(), 1);
        assert_eq!(jobs(&waiting, GIVEN_MAX).unwrap().len(), 0);
        assert_eq!(jobs(&waiting, 0).unwrap().len(), 1);
    }

    /// A pool in which nobody works, and what waits in it.
    fn without_threads() -> (Passwords, Mutex<Receiver<Job>>) {
        let (jobs, waiting) = sync_channel(WAITING_MAX);
        let inner = Inner { ids: IdSource::seeded(1), jobs, decoy: String::new() };
        (Passwords(Arc::new(inner)), Mutex::new(waiting))
    }

    #[tokio::test]
    async fn many_at_once_are_each_told_of_their_own() {
        let passwords = Passwords::new(IdSource::seeded(1), None).unwrap();
        let stored = passwords.hash("correct horse".to_owned()).await.unwrap();
        let tries = (0..3 * GIVEN_MAX).map(|n| {
            let password = if n % 3 == 0 { "correct horse" } else { "battery" };
            passwords.verify(password.to_owned(), Some(stored.clone()))
        });
        let answers = futures_util::future::join_all(tries).await;
        for (n, answer) in answers.into_iter().enumerate() {
            assert_eq!(answer, Ok(n % 3 == 0), "{n}");
        }
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
