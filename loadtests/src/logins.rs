//! Whether a flood of wrong logins slows the agents' next offer: the same load without and with many of them at once.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::PathBuf;
use std::process::Stdio;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context, ensure};
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::process::{Child, ChildStdin, Command};
use tokio::task::JoinSet;

use crate::client::http::{Rest, RestError};
use crate::open_files;
use crate::pairs::{self, Pairs};
use crate::report::Report;
use crate::target::Target;

/// What the tester is told on its command line to flood.
pub const FLOOD: &str = "flood";
/// After so long a flood that began all at once has spread out.
const STEADY_AFTER: Duration = Duration::from_secs(3);
/// Between two tries after no answer at all.
const BREATH: Duration = Duration::from_millis(100);
/// Longest wait that a server may ask for: the flood must go on during the run.
const PAUSE_MAX: Duration = Duration::from_secs(2);

/// The runs.
#[derive(Debug, Serialize)]
pub struct LoginsReport {
    /// Wrong logins under way at any moment of every second run.
    pub logins_at_once: usize,
    /// How they were answered: by status, or why not.
    pub answers: BTreeMap<String, u64>,
    #[serde(flatten)]
    pub runs: Pairs,
    pub p99_without_ms: f64,
    pub p99_with_ms: f64,
    pub ratio: f64,
    pub ratio_max: f64,
}

impl LoginsReport {
    /// Whether no invariant failed in any run, the floods were answered, and the ratio stayed below its bound.
    #[must_use]
    pub fn holds(&self) -> bool {
        let refused = self.answers.get("401").copied().unwrap_or_default();
        self.runs.hold() && refused > 0 && self.ratio <= self.ratio_max
    }
}

impl std::fmt::Display for LoginsReport {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for (without, with) in self.runs.without.iter().zip(&self.runs.with) {
            writeln!(out, "== nobody logs in ==\n{without}")?;
            writeln!(out, "== {} wrong logins at once ==\n{with}", self.logins_at_once)?;
        }
        for (answer, count) in &self.answers {
            writeln!(out, "  {count} x {answer}")?;
        }
        writeln!(
            out,
            "join to offer p99, medians: {:.2} ms without, {:.2} ms with {} wrong logins at once (ratio {:.2}, at most {:.2})",
            self.p99_without_ms, self.p99_with_ms, self.logins_at_once, self.ratio, self.ratio_max
        )
    }
}

/// Runs the load `rounds` times without and with a flood of wrong logins, in turns. They are by names that nobody has: a
/// server that does the same work for those as for anybody is burdened alike, and nobody real is locked out. Each run is a
/// process of its own that is told `run_words`, so that none inherits what an earlier one left behind.
///
/// # Errors
/// When a run cannot begin.
pub async fn compare(
    target: &Target,
    run_words: &[OsString],
    at_once: usize,
    rounds: usize,
    ratio_max: f64,
) -> anyhow::Result<LoginsReport> {
    ensure!(at_once > 0 && rounds > 0, "--at-once and --rounds must be above 0");
    let mut runs = Pairs::default();
    let mut answers = BTreeMap::new();
    for _ in 0..rounds {
        runs.without.push(run(run_words).await?);
        let flood = Flood::begin(target, at_once).await?;
        // The question is what a flood does that goes on, not the moment in which it begins.
        tokio::time::sleep(STEADY_AFTER).await;
        let report = run(run_words).await;
        for (answer, count) in flood.end().await? {
            *answers.entry(answer).or_default() += count;
        }
        runs.with.push(report.context("the run during the flood could not begin")?);
    }
    let (p99_without_ms, p99_with_ms) = runs.p99_ms();
    let ratio = pairs::ratio((p99_without_ms, p99_with_ms));
    Ok(LoginsReport { logins_at_once: at_once, answers, runs, p99_without_ms, p99_with_ms, ratio, ratio_max })
}

/// One run of the load, and what it found.
async fn run(words: &[OsString]) -> anyhow::Result<Report> {
    let program = std::env::current_exe().context("the tester does not find itself")?;
    let found = tempfile_path();
    let ended = Command::new(program)
        .args(words)
        .arg("--json")
        .arg(&found)
        .stdout(Stdio::null())
        .kill_on_drop(true)
        .status()
        .await
        .context("a run could not be started")?;
    let report = std::fs::read(&found).ok();
    let _ = std::fs::remove_file(&found);
    let report = report.with_context(|| format!("a run ended without a report ({ended})"))?;
    serde_json::from_slice(&report).context("a run's report cannot be read")
}

fn tempfile_path() -> PathBuf {
    std::env::temp_dir().join(format!("vez-loadtests-{}.json", std::process::id()))
}

/// The command line of one of these comparisons as that of its runs: `run` with the same server and load.
pub fn run_words(words: impl IntoIterator<Item = OsString>) -> Vec<OsString> {
    const OWN: [&str; 4] = ["--at-once", "--rounds", "--max-ratio", "--json"];
    let mut run = Vec::new();
    let mut words = words.into_iter();
    while let Some(word) = words.next() {
        let text = word.to_string_lossy();
        if OWN.contains(&text.as_ref()) {
            words.next();
        } else if !OWN.iter().any(|own| text.strip_prefix(own).is_some_and(|rest| rest.starts_with('='))) {
            run.push(if text == "logins" { "run".into() } else { word });
        }
    }
    run
}

/// What the process that floods is told, as one line of JSON.
#[derive(Debug, Serialize, Deserialize)]
struct Order {
    base_url: String,
    tenant: String,
    at_once: usize,
}

/// Wrong logins that go on until they are ended. They come from a process of their own: in one with the customers whose waits
/// are measured, they would be measured as well.
struct Flood {
    child: Child,
    orders: ChildStdin,
}

impl Flood {
    async fn begin(target: &Target, at_once: usize) -> anyhow::Result<Self> {
        let order = Order { base_url: target.base_url.clone(), tenant: target.tenant.clone(), at_once };
        let mut order = serde_json::to_vec(&order)?;
        order.push(b'\n');
        let program = std::env::current_exe().context("the tester does not find itself")?;
        let mut child = Command::new(program)
            .arg(FLOOD)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .context("the flood could not be started")?;
        let mut orders = child.stdin.take().context("the flood hears nothing")?;
        orders.write_all(&order).await?;
        Ok(Self { child, orders })
    }

    /// Ends it; how it was answered.
    async fn end(self) -> anyhow::Result<BTreeMap<String, u64>> {
        drop(self.orders);
        Ok(serde_json::from_slice(&self.child.wait_with_output().await?.stdout)?)
    }
}

/// Is the process that floods: until its standard input ends. Then it says how it was answered.
///
/// # Errors
/// When it is told nothing it understands.
pub async fn flood() -> anyhow::Result<()> {
    let mut orders = BufReader::new(tokio::io::stdin()).lines();
    let order: Order = serde_json::from_str(&orders.next_line().await?.context("no order")?)?;
    open_files::allow_sockets(order.at_once as u64)?;
    let rest = Rest::with_connections(&order.base_url, order.at_once)?;
    let answers: Arc<Mutex<BTreeMap<String, u64>>> = Arc::default();
    let strangers = Arc::new(AtomicU64::new(0));
    let mut tasks = JoinSet::new();
    for _ in 0..order.at_once {
        let (rest, tenant) = (rest.clone(), order.tenant.clone());
        let (answers, strangers) = (Arc::clone(&answers), Arc::clone(&strangers));
        tasks.spawn(async move { guess(&rest, &tenant, &answers, &strangers).await });
    }
    while orders.next_line().await?.is_some() {}
    tasks.shutdown().await;
    let answers = std::mem::take(&mut *answers.lock().unwrap_or_else(PoisonError::into_inner));
    serde_json::to_writer(std::io::stdout().lock(), &answers)?;
    Ok(())
}

/// One wrong login after the other, each by another name, since a name that is tried too often has to wait. A server that
/// asks for patience gets it.
async fn guess(rest: &Rest, tenant: &str, answers: &Mutex<BTreeMap<String, u64>>, strangers: &AtomicU64) {
    loop {
        let email = format!("stranger{}@nobody.example", strangers.fetch_add(1, Ordering::Relaxed));
        let (answer, pause) = match rest.login(tenant, &email, "a wrong password").await {
            Ok(_) => ("200".to_owned(), None),
            Err(RestError::Refused { status, retry_after_seconds, .. }) => {
                (status.to_string(), retry_after_seconds.map(Duration::from_secs))
            }
            Err(error) => (error.to_string(), Some(BREATH)),
        };
        *answers.lock().unwrap_or_else(PoisonError::into_inner).entry(answer).or_default() += 1;
        if let Some(pause) = pause {
            tokio::time::sleep(pause.min(PAUSE_MAX)).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_gets_the_words_that_are_not_the_comparisons_own() {
        let words = "logins --demo d.json --at-once 9 --rate 200 --rounds=2 --json out --max-ratio 3 --agents 5";
        let run = run_words(words.split(' ').map(OsString::from));
        assert_eq!(run, "run --demo d.json --rate 200 --agents 5".split(' ').collect::<Vec<_>>());
    }
}
