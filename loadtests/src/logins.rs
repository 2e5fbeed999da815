//! Whether a flood of wrong logins slows the agents' next offer: the same load without and with many of them at once.

use std::collections::BTreeMap;
use std::process::Stdio;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context, ensure};
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::process::Command;
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};

use crate::client::http::{Rest, RestError};
use crate::open_files;
use crate::pairs::{self, Pairs};
use crate::run::{Load, run};
use crate::target::Target;

/// What the tester is told on its command line to flood.
pub const FLOOD: &str = "flood";
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
/// server that does the same work for those as for anybody is burdened alike, and nobody real is locked out.
///
/// # Errors
/// When a run cannot begin.
pub async fn compare(
    target: &Target,
    load: &Load,
    at_once: usize,
    rounds: usize,
    ratio_max: f64,
) -> anyhow::Result<LoginsReport> {
    ensure!(at_once > 0 && rounds > 0, "--at-once and --rounds must be above 0");
    open_files::allow_sockets(at_once as u64)?;
    let mut runs = Pairs::default();
    let mut answers = BTreeMap::new();
    for _ in 0..rounds {
        runs.without.push(run(target, load).await?);
        // Not while the agents themselves log in, nor while the tester cleans up.
        let under_way = watch::Sender::new(false);
        let flood = Flood::begin(target, at_once, &under_way)?;
        let outcome = run(target, &Load { under_way: Some(under_way), ..load.clone() }).await;
        // The run has dropped its end of the signal, so the flood ends, however the run did.
        for (answer, count) in flood.end().await? {
            *answers.entry(answer).or_default() += count;
        }
        runs.with.push(outcome.context("the run during the flood could not begin")?);
    }
    let (p99_without_ms, p99_with_ms) = runs.p99_ms();
    let ratio = pairs::ratio((p99_without_ms, p99_with_ms));
    Ok(LoginsReport { logins_at_once: at_once, answers, runs, p99_without_ms, p99_with_ms, ratio, ratio_max })
}

/// What the process that floods is told, as one line of JSON.
#[derive(Debug, Serialize, Deserialize)]
struct Order {
    base_url: String,
    tenant: String,
    at_once: usize,
}

/// Wrong logins that go on while the run is under way. They come from a process of their own: in one with the customers whose
/// waits are measured, they would be measured as well.
struct Flood(JoinHandle<anyhow::Result<BTreeMap<String, u64>>>);

impl Flood {
    fn begin(target: &Target, at_once: usize, under_way: &watch::Sender<bool>) -> anyhow::Result<Self> {
        let order = Order { base_url: target.base_url.clone(), tenant: target.tenant.clone(), at_once };
        let (mut order, mut under_way) = (serde_json::to_vec(&order)?, under_way.subscribe());
        order.push(b'\n');
        let program = std::env::current_exe().context("the tester does not find itself")?;
        Ok(Self(tokio::spawn(async move {
            if under_way.wait_for(|on| *on).await.is_err() {
                return Ok(BTreeMap::new());
            }
            let mut child = Command::new(program)
                .arg(FLOOD)
                .stdin(Stdio::piped())
                .stdout(Stdio::piped())
                .kill_on_drop(true)
                .spawn()
                .context("the flood could not be started")?;
            let mut orders = child.stdin.take().context("the flood hears nothing")?;
            orders.write_all(&order).await?;
            let _ = under_way.wait_for(|on| !*on).await;
            drop(orders);
            Ok(serde_json::from_slice(&child.wait_with_output().await?.stdout)?)
        })))
    }

    async fn end(self) -> anyhow::Result<BTreeMap<String, u64>> {
        self.0.await?
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
