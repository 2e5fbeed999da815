//! What exports cost: the time of one beside Postgres' own COPY of the same rows, the server's memory meanwhile, and what many
//! at once do to the agents' next offer.

use std::collections::BTreeMap;
use std::process::Stdio;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context, bail, ensure};
use bytes::Bytes;
use http_body_util::{BodyExt as _, Empty};
use hyper::Request;
use hyper::client::conn::http1::handshake;
use hyper_util::rt::TokioIo;
use serde::Serialize;
use tokio::net::TcpStream;
use tokio::process::Command;
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::client::http::Rest;
use crate::departments::Supervisor;
use crate::pairs::{self, Pairs};
use crate::run::{Load, run};
use crate::target::Target;
use crate::waiting::resident_bytes;
use crate::{clock, open_files};

/// Every call there is.
const PATH: &str = "/api/v1/export/calls.csv?date_from=1971-01-01";
/// What the server asks of its database for it; the company's slug is put in.
const QUERY: &str = "SELECT c.id, c.status, d.name, u.name, c.customer_name, c.customer_email, c.rating, c.started_at, \
    c.completed_at, c.inserted_at, c.accepted_at FROM calls c \
    LEFT JOIN LATERAL (SELECT name FROM departments d WHERE d.tenant_id = c.tenant_id AND d.id = c.department_id LIMIT 1) d \
    ON true LEFT JOIN LATERAL (SELECT name FROM users u WHERE u.tenant_id = c.tenant_id AND u.id = c.user_id LIMIT 1) u \
    ON true WHERE c.tenant_id = (SELECT id FROM tenants WHERE slug = '{slug}') AND c.inserted_at >= '1971-01-01' \
    AND c.inserted_at < now() + interval '1 day' ORDER BY c.inserted_at, c.number";
/// How often the server's memory is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(20);
/// Before another try, when the server refused an export or broke it off.
const BREATH: Duration = Duration::from_millis(500);

/// What to measure, and what must hold.
#[derive(Debug, Clone)]
pub struct Wanted {
    /// Exports under way at any moment of every second run.
    pub at_once: usize,
    /// How often each is repeated; medians are compared.
    pub rounds: usize,
    /// Join to offer's p99 with exports over that without.
    pub ratio_max: f64,
    /// The server's process, on this machine.
    pub pid: Option<u32>,
    /// MiB the server's memory may grow by during one export.
    pub mib_max: f64,
    /// The words that start a psql on the server's database.
    pub psql: Option<String>,
    /// An export's time over that of COPY.
    pub copy_ratio_max: f64,
}

/// One export after the other, and COPY in between.
#[derive(Debug, Default, Serialize)]
pub struct Alone {
    pub rows: u64,
    pub bytes: u64,
    pub first_byte_ms: Vec<f64>,
    pub export_seconds: Vec<f64>,
    pub copy_seconds: Vec<f64>,
    pub copy_ratio: Option<f64>,
    pub rss_before_bytes: Option<u64>,
    pub rss_most_bytes: Option<u64>,
    pub growth_mib: Option<f64>,
}

/// All of it.
#[derive(Debug, Serialize)]
pub struct ExportsReport {
    pub alone: Alone,
    pub copy_ratio_max: f64,
    pub mib_max: f64,
    pub exports_at_once: usize,
    /// How exports ended during the runs: whole, or why not.
    pub outcomes: BTreeMap<String, u64>,
    #[serde(flatten)]
    pub runs: Pairs,
    pub p99_without_ms: f64,
    pub p99_with_ms: f64,
    pub ratio: f64,
    pub ratio_max: f64,
}

impl ExportsReport {
    /// Whether everything that was measured stayed within its bound, and no invariant failed.
    #[must_use]
    pub fn holds(&self) -> bool {
        self.runs.hold()
            && (self.outcomes.contains_key(WHOLE) || self.outcomes.contains_key(CUT))
            && self.ratio <= self.ratio_max
            && self.alone.copy_ratio.is_none_or(|ratio| ratio <= self.copy_ratio_max)
            && self.alone.growth_mib.is_none_or(|mib| mib <= self.mib_max)
    }
}

const WHOLE: &str = "came to its end";
const CUT: &str = "under way when the run ended";

impl std::fmt::Display for ExportsReport {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let alone = &self.alone;
        writeln!(out, "one export: {} rows, {} bytes", alone.rows, alone.bytes)?;
        writeln!(
            out,
            "  first byte after {:.1?} ms, whole after {:.2?} s; COPY {:.2?} s",
            alone.first_byte_ms, alone.export_seconds, alone.copy_seconds
        )?;
        match alone.copy_ratio {
            Some(ratio) => {
                writeln!(out, "  export over COPY, medians: {ratio:.2}, at most {:.2}", self.copy_ratio_max)?
            }
            None => writeln!(out, "  give --psql to have it compared with COPY")?,
        }
        match alone.growth_mib {
            Some(mib) => writeln!(out, "  server memory grew by {mib:.1} MiB, at most {:.1}", self.mib_max)?,
            None => writeln!(out, "  give --pid to have the server's memory measured")?,
        }
        for (without, with) in self.runs.without.iter().zip(&self.runs.with) {
            writeln!(out, "== no exports ==\n{without}")?;
            writeln!(out, "== {} exports at once ==\n{with}", self.exports_at_once)?;
        }
        for (outcome, count) in &self.outcomes {
            writeln!(out, "  {count} x {outcome}")?;
        }
        writeln!(
            out,
            "join to offer p99, medians: {:.2} ms without, {:.2} ms with {} exports at once (ratio {:.2}, at most {:.2})",
            self.p99_without_ms, self.p99_with_ms, self.exports_at_once, self.ratio, self.ratio_max
        )
    }
}

/// Measures exports alone, then beside the load.
///
/// # Errors
/// When nothing can be exported, psql fails, or a run cannot begin.
pub async fn compare(target: &Target, load: &Load, wanted: &Wanted) -> anyhow::Result<ExportsReport> {
    ensure!(wanted.at_once > 0 && wanted.rounds > 0, "--at-once and --rounds must be above 0");
    open_files::allow_sockets(wanted.at_once as u64)?;
    let rest = Rest::new(&target.base_url)?;
    let alone = alone(target, &rest, wanted).await?;
    let (mut runs, mut outcomes) = (Pairs::default(), BTreeMap::new());
    for _ in 0..wanted.rounds {
        runs.without.push(run(target, load).await?);
        let under_way = watch::Sender::new(false);
        let flood = Flood::begin(target, &rest, wanted.at_once, &under_way).await?;
        let report = run(target, &Load { under_way: Some(under_way), ..load.clone() }).await;
        for (outcome, count) in flood.end().await {
            *outcomes.entry(outcome).or_default() += count;
        }
        runs.with.push(report.context("the run beside the exports could not begin")?);
    }
    let (p99_without_ms, p99_with_ms) = runs.p99_ms();
    Ok(ExportsReport {
        alone,
        copy_ratio_max: wanted.copy_ratio_max,
        mib_max: wanted.mib_max,
        exports_at_once: wanted.at_once,
        outcomes,
        runs,
        p99_without_ms,
        p99_with_ms,
        ratio: pairs::ratio((p99_without_ms, p99_with_ms)),
        ratio_max: wanted.ratio_max,
    })
}

async fn alone(target: &Target, rest: &Rest, wanted: &Wanted) -> anyhow::Result<Alone> {
    let token = Supervisor::login(rest, target).await?.access_token().to_owned();
    let mut report = Alone { rss_before_bytes: wanted.pid.map(resident_bytes).transpose()?, ..Alone::default() };
    // The first of each finds the database's pages cold and as they were written.
    let first = fetch(rest.authority(), &token).await.context("nothing was exported")?;
    (report.rows, report.bytes) = (first.rows, first.bytes);
    if let Some(psql) = &wanted.psql {
        copy(psql, &target.tenant).await?;
    }
    for _ in 0..wanted.rounds {
        let (fetched, most) = weighed(wanted.pid, fetch(rest.authority(), &token)).await;
        let fetched = fetched?;
        report.first_byte_ms.push(fetched.first_byte.as_secs_f64() * 1_000.0);
        report.export_seconds.push(fetched.whole.as_secs_f64());
        report.rss_most_bytes = report.rss_most_bytes.max(most);
        if let Some(psql) = &wanted.psql {
            report.copy_seconds.push(copy(psql, &target.tenant).await?.as_secs_f64());
        }
    }
    if wanted.psql.is_some() {
        report.copy_ratio = Some(pairs::ratio((median(&report.copy_seconds), median(&report.export_seconds))));
    }
    #[allow(clippy::cast_precision_loss, reason = "for people to read")]
    if let (Some(before), Some(most)) = (report.rss_before_bytes, report.rss_most_bytes) {
        report.growth_mib = Some(most.saturating_sub(before) as f64 / 1_048_576.0);
    }
    Ok(report)
}

fn median(values: &[f64]) -> f64 {
    let mut values = values.to_vec();
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or_default()
}

/// Does `work`, and looks at the memory of `pid` meanwhile; gives the most it saw.
async fn weighed<T>(pid: Option<u32>, work: impl Future<Output = T>) -> (T, Option<u64>) {
    let mut work = std::pin::pin!(work);
    let mut most = None;
    loop {
        tokio::select! {
            done = &mut work => return (done, most),
            () = tokio::time::sleep(LOOK_EVERY) => most = most.max(pid.and_then(|pid| resident_bytes(pid).ok())),
        }
    }
}

/// What an export was.
struct Fetched {
    /// Lines after the header; a cell may hold a line of its own, so this is for people.
    rows: u64,
    bytes: u64,
    first_byte: Duration,
    whole: Duration,
}

/// Why there was no whole export.
enum Failure {
    Refused(u16),
    Broken(anyhow::Error),
}

async fn fetch(authority: &str, token: &str) -> anyhow::Result<Fetched> {
    match try_fetch(authority, token).await {
        Ok(fetched) => Ok(fetched),
        Err(Failure::Refused(status)) => bail!("the export was refused: HTTP {status}"),
        Err(Failure::Broken(error)) => Err(error),
    }
}

/// One export on a connection of its own, read as fast as it comes and thrown away.
async fn try_fetch(authority: &str, token: &str) -> Result<Fetched, Failure> {
    let broken = |error: hyper::Error| Failure::Broken(error.into());
    let began = clock::now();
    let stream = TcpStream::connect(authority).await.map_err(|error| Failure::Broken(error.into()))?;
    let (mut sender, connection) = handshake(TokioIo::new(stream)).await.map_err(broken)?;
    // Its errors reach the request; it ends when the body is read or dropped.
    let _connection = AbortOnDrop(tokio::spawn(async move {
        let _ = connection.await;
    }));
    let request = Request::get(PATH)
        .header("host", authority)
        .header("authorization", format!("Bearer {token}"))
        .body(Empty::<Bytes>::new())
        .map_err(|error| Failure::Broken(error.into()))?;
    let mut response = sender.send_request(request).await.map_err(broken)?;
    if !response.status().is_success() {
        return Err(Failure::Refused(response.status().as_u16()));
    }
    let mut fetched = Fetched { rows: 0, bytes: 0, first_byte: Duration::ZERO, whole: Duration::ZERO };
    while let Some(frame) = response.body_mut().frame().await {
        let frame = frame.map_err(broken)?;
        let Some(bytes) = frame.data_ref() else { continue };
        if fetched.bytes == 0 {
            fetched.first_byte = began.elapsed();
        }
        fetched.bytes += bytes.len() as u64;
        fetched.rows += bytes.iter().map(|byte| u64::from(*byte == b'\n')).sum::<u64>();
    }
    fetched.rows = fetched.rows.saturating_sub(1);
    fetched.whole = began.elapsed();
    Ok(fetched)
}

/// Closes a connection whose body nobody reads any more.
struct AbortOnDrop(tokio::task::JoinHandle<()>);

impl Drop for AbortOnDrop {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// How long psql's own \copy of the same rows takes.
async fn copy(psql: &str, slug: &str) -> anyhow::Result<Duration> {
    let mut words = psql.split_whitespace();
    let program = words.next().context("--psql names no program")?;
    let statement = format!("\\copy ({}) to stdout csv", QUERY.replace("{slug}", slug));
    let began = clock::now();
    let status = Command::new(program).args(words).arg("-c").arg(statement).stdout(Stdio::null()).status().await?;
    ensure!(status.success(), "psql failed");
    Ok(began.elapsed())
}

/// Exports that go on while the run is under way.
struct Flood {
    tasks: JoinSet<()>,
    outcomes: Arc<Mutex<BTreeMap<String, u64>>>,
}

impl Flood {
    async fn begin(
        target: &Target,
        rest: &Rest,
        at_once: usize,
        under_way: &watch::Sender<bool>,
    ) -> anyhow::Result<Self> {
        let token: Arc<str> = Supervisor::login(rest, target).await?.access_token().into();
        let outcomes: Arc<Mutex<BTreeMap<String, u64>>> = Arc::default();
        let mut tasks = JoinSet::new();
        for _ in 0..at_once {
            let (authority, token, outcomes) = (rest.authority().to_owned(), Arc::clone(&token), Arc::clone(&outcomes));
            let mut under_way = under_way.subscribe();
            tasks.spawn(async move {
                if under_way.wait_for(|on| *on).await.is_err() {
                    return;
                }
                let note = |outcome: &str| {
                    let mut outcomes = outcomes.lock().unwrap_or_else(PoisonError::into_inner);
                    *outcomes.entry(outcome.to_owned()).or_default() += 1;
                };
                tokio::select! {
                    () = export_on(&authority, &token, &note) => {}
                    _ = under_way.wait_for(|on| !*on) => note(CUT),
                }
            });
        }
        Ok(Self { tasks, outcomes })
    }

    async fn end(mut self) -> BTreeMap<String, u64> {
        // Each ends by itself, since the run is over; whoever waits for a run that never began does not.
        if tokio::time::timeout(BREATH, async { while self.tasks.join_next().await.is_some() {} }).await.is_err() {
            self.tasks.shutdown().await;
        }
        std::mem::take(&mut *self.outcomes.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// One export after the other.
async fn export_on(authority: &str, token: &str, note: &impl Fn(&str)) {
    loop {
        match try_fetch(authority, token).await {
            Ok(_) => note(WHOLE),
            Err(Failure::Refused(status)) => {
                note(&format!("HTTP {status}"));
                tokio::time::sleep(BREATH).await;
            }
            Err(Failure::Broken(error)) => {
                note(&error.to_string());
                tokio::time::sleep(BREATH).await;
            }
        }
    }
}
