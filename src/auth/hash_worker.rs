//! Owns the processes that compute password hashes for a server, and how the two speak: a line of JSON each way. It decides
//! nothing about logins and keeps no password.
//!
//! Why processes: Linux shares the processor between sessions before it looks at the priorities inside them, and each
//! connection of Postgres is a session of its own. A thread of the server at the lowest priority therefore still has the whole
//! server's share against Postgres, and every commit waits for it. A session that says itself to be unimportant does not; and
//! it has to compute without rests, because whoever slept is let in before others when he wakes.

use std::collections::VecDeque;
use std::io::{self, BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use serde::{Deserialize, Serialize};

use super::hashing::Memory;

/// What the program is told on its command line to become a worker.
pub const COMMAND: &str = "hash-passwords";
/// A worker that says nothing for so long is stuck, or stopped by somebody: its callers have given up by then, and another one
/// takes its place.
const ANSWER_WITHIN: Timespec = Timespec { tv_sec: 30, tv_nsec: 0 };
/// The worker's priority within its session: the lowest.
const NICE: i32 = 19;
/// Its session's priority: the lowest, a sixtieth of an ordinary one's share, which it has whenever nobody else wants a core.
const SESSION_NICE: &str = "19";

/// What is to be computed.
#[derive(Debug, Serialize, Deserialize)]
pub(super) enum Task {
    Hash { salt: Vec<u8>, password: String },
    Match { stored: String, password: String },
}

/// What came of it.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Done {
    Hash(String),
    Match(bool),
    Failed,
}

impl Memory {
    fn perform(&mut self, task: &Task) -> Done {
        match task {
            Task::Hash { salt, password } => self.hash(salt, password).map_or(Done::Failed, Done::Hash),
            Task::Match { stored, password } => self.matches(password, stored).map_or(Done::Failed, Done::Match),
        }
    }
}

/// What a thread of the pool computes with: a worker if there is one, else its own memory. Answers come in the order of the
/// tasks.
pub(super) struct Engine {
    program: Option<PathBuf>,
    worker: Option<Worker>,
    memory: Memory,
    /// Given and not answered yet.
    tasks: VecDeque<Task>,
}

impl Engine {
    /// With workers made of `program`, the first when it is needed.
    pub fn new(program: Option<&Path>) -> Self {
        Self { program: program.map(Path::to_owned), worker: None, memory: Memory::default(), tasks: VecDeque::new() }
    }

    /// Gives one more task. A worker may begin with it at once; so it is never without work while some waits.
    pub fn give(&mut self, task: Task) {
        if let Some(worker) = &mut self.worker
            && let Err(error) = worker.give(&task)
        {
            self.lost(&error);
        }
        self.tasks.push_back(task);
    }

    /// How many were given and not answered.
    pub fn unanswered(&self) -> usize {
        self.tasks.len()
    }

    /// The answer to the first unanswered task; `Failed` when there is none.
    pub fn answer(&mut self) -> Done {
        // A worker that died since its last task costs a second try; two in a row are no accident.
        for _ in 0..2 {
            match self.ask() {
                Ok(Some(done)) => {
                    self.tasks.pop_front();
                    return done;
                }
                Ok(None) => break,
                Err(error) => self.lost(&error),
            }
        }
        self.tasks.pop_front().map_or(Done::Failed, |task| self.memory.perform(&task))
    }

    /// The worker's answer; `None` when there is none to ask.
    fn ask(&mut self) -> io::Result<Option<Done>> {
        let Some(program) = &self.program else { return Ok(None) };
        let worker = match &mut self.worker {
            Some(worker) => worker,
            none => {
                let worker = none.insert(Worker::start(program)?);
                self.tasks.iter().try_for_each(|task| worker.give(task))?;
                worker
            }
        };
        worker.answer().map(Some)
    }

    fn lost(&mut self, error: &io::Error) {
        tracing::warn!(%error, "a process that hashes passwords is gone; its tasks are tried again");
        self.worker = None;
    }
}

/// A worker, as the server holds it. It ends with its standard input, so also when the server is killed.
struct Worker {
    child: Child,
    tasks: Option<ChildStdin>,
    answers: BufReader<ChildStdout>,
}

impl Worker {
    fn start(program: &Path) -> io::Result<Self> {
        let mut child =
            Command::new(program).arg(COMMAND).env_clear().stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
        let tasks = child.stdin.take();
        let answers = child.stdout.take().ok_or(io::ErrorKind::BrokenPipe)?;
        Ok(Self { child, tasks, answers: BufReader::new(answers) })
    }

    fn give(&mut self, task: &Task) -> io::Result<()> {
        let mut line = serde_json::to_vec(task)?;
        line.push(b'\n');
        self.tasks.as_mut().ok_or(io::ErrorKind::BrokenPipe)?.write_all(&line)
    }

    fn answer(&mut self) -> io::Result<Done> {
        if self.answers.buffer().is_empty() {
            let mut waits = [PollFd::new(self.answers.get_ref(), PollFlags::IN)];
            if poll(&mut waits, Some(&ANSWER_WITHIN))? == 0 {
                return Err(io::ErrorKind::TimedOut.into());
            }
        }
        let mut answer = String::new();
        if self.answers.read_line(&mut answer)? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        Ok(serde_json::from_str(&answer)?)
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        // It may still be computing what nobody waits for.
        drop(self.tasks.take());
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Is a worker: performs the tasks of its standard input until that ends.
pub fn serve() -> io::Result<()> {
    step_back();
    let mut memory = Memory::default();
    let mut answers = io::stdout().lock();
    for line in io::stdin().lock().lines() {
        let done = serde_json::from_str(&line?).map_or(Done::Failed, |task| memory.perform(&task));
        let mut line = serde_json::to_vec(&done)?;
        line.push(b'\n');
        answers.write_all(&line)?;
        answers.flush()?;
    }
    Ok(())
}

/// Lets everybody else go first. Where the system knows no such thing the bound on the pool has to do.
fn step_back() {
    // A new session, which keeps it from the terminal's Ctrl-C too: it ends with the server, not before.
    let _ = rustix::process::setsid();
    let _ = rustix::process::setpriority_process(None, NICE);
    let _ = std::fs::write("/proc/self/autogroup", SESSION_NICE);
}
