//! `vez data generate`: a company with a believable past, for tests, benchmarks and demonstrations.
//!
//! Owns: its grammar, and the way from the generator to the database. Must not: decide what a day looks like; `generate`
//! does.

mod company;

use anyhow::{Context as _, bail};
use chrono::{Days, NaiveDate, Timelike as _};
use clap::{Args, Subcommand};
use tokio::sync::mpsc;

use super::commands::say;
use super::generate::{self, Plan, Sink};
use super::progress;
use crate::app::OWNED_WITHIN;
use crate::config::Database;
use crate::domain::clock::Clock;
use crate::domain::ids::{IdSource, TenantId};
use crate::store::generated::{self, CallRow, Chunk, CustomerRow, FactRow, IntervalRow, LinkRow, Loader};
use crate::store::numbers::{self, Counter};
use crate::store::{ConnectOptions, Store, migrate_unserved};
use company::Filled;

/// Calls of one transaction: large enough that its own cost does not count, small enough that memory stays flat and that a
/// server which runs beside this does not wait for the company's counters for long. With facts it is several times the rows.
const CHUNK_CALLS: u64 = 25_000;
const CHUNK_CALLS_WITH_FACTS: u64 = 10_000;
/// Chunks between the generator and the database: one being written, one ready.
const CHUNKS_READY: usize = 1;
/// More only make the tables of the simulation larger.
const DEPARTMENTS_MAX: i64 = 50;
/// As the demonstration's bound.
const AGENTS_MAX: usize = 2_000;
/// Ten years: nothing is older.
const DAYS_MAX: i64 = 3_660;
/// What the numbers of calls leave room for, and far beyond what a machine holds.
const CALLS_MAX: u64 = 200_000_000;

/// `vez data ...`.
#[derive(Debug, Subcommand)]
pub enum DataCommand {
    /// Fill a company with calls of the past.
    ///
    /// Makes the company unless it is there, and departments and agents as far as they are missing. Everything follows from
    /// the seed: the same seed gives a new company of the same name the same calls. With the private Postgres, stop the
    /// server first; with DATABASE_URL this works beside it.
    Generate(Generate),
}

/// `vez data generate`.
#[derive(Debug, Args)]
#[command(after_help = "Example: vez data generate --calls 1000000 --days 90")]
pub struct Generate {
    /// How many calls.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=CALLS_MAX))]
    pub calls: u64,
    /// The company, by its slug.
    #[arg(long, value_name = "SLUG", default_value = "generated")]
    pub tenant: String,
    /// Days they are spread over.
    #[arg(long, value_name = "D", default_value_t = 30, value_parser = clap::value_parser!(u32).range(1..=DAYS_MAX))]
    pub days: u32,
    /// The last of these days; without it the last one that is certainly over.
    #[arg(long, value_name = "DATE")]
    pub until: Option<NaiveDate>,
    /// Agents in all; without it as many as the calls need.
    #[arg(long, value_name = "A", value_parser = clap::value_parser!(u32).range(1..=AGENTS_MAX as i64))]
    pub agents: Option<u32>,
    /// Departments; without it those there are, or four.
    #[arg(long, value_name = "K", value_parser = clap::value_parser!(u32).range(1..=DEPARTMENTS_MAX))]
    pub departments: Option<u32>,
    /// What everything follows from.
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub seed: u64,
    /// The time zone of a company that is made.
    #[arg(long, value_name = "IANA-NAME", default_value = "America/Sao_Paulo")]
    pub zone: String,
    /// Add to a company that has calls already, by agents of their own.
    #[arg(long)]
    pub append: bool,
    /// Write the facts of the event feed, too; takes about twice as long.
    #[arg(long)]
    pub events: bool,
    /// Which database.
    #[command(flatten)]
    pub database: Database,
}

/// Does what was asked.
pub async fn run(command: DataCommand) -> anyhow::Result<()> {
    let DataCommand::Generate(command) = command;
    let (embedded, options) = crate::app::connect(&command.database).await?;
    let done = async {
        migrate_unserved(&options, OWNED_WITHIN).await.context("cannot bring the database up to date")?;
        let store = Store::connect(options.clone(), 2, 1).await?;
        let done = fill(&store, &options, &command).await;
        store.close().await;
        done
    };
    let done = done.await;
    if let Some(embedded) = embedded {
        embedded.stop().await;
    }
    done
}

async fn fill(store: &Store, options: &ConnectOptions, command: &Generate) -> anyhow::Result<()> {
    let clock = Clock::system();
    let (tenant, zone) = company::find_or_make(store, &clock, command).await?;
    if generated::has_calls(store, tenant).await? && !command.append {
        bail!("the company {:?} has calls already; add to them with --append", command.tenant);
    }
    let (first_day, until) = days(&clock, zone, command)?;
    let count = u32::try_from(command.calls).context("too many calls")?;
    let first_number = numbers::reserve(store, tenant, Counter::Call, count).await?;
    let seed = seed_of(command, first_number);
    let filled =
        Filled { store, clock: &clock, ids: &IdSource::seeded(seed), secrets: &IdSource::random(), tenant, command };
    let desks = filled.desks().await?;
    let staff = filled.staff(&desks, first_day).await?;
    let plan = Plan {
        zone,
        first_day,
        days: command.days,
        calls: command.calls,
        first_number,
        desks,
        workers: staff.agents,
        supervisor: staff.supervisor,
        seed,
        facts: command.events,
    };
    let (agents, departments) = (plan.workers.len(), plan.desks.len());
    let begun = clock.now();
    let [calls, customers, links, facts] = write(plan, options, tenant).await?;
    let seconds = clock.now().since(begun).as_secs_f64();
    say(&format!(
        "Made {calls} calls of {customers} customers in {:?}, from {first_day} to {until}: {departments} departments, \
         {agents} agents, {links} links, {facts} facts, in {seconds:.1} s ({:.0} calls a second).",
        command.tenant,
        calls as f64 / seconds.max(0.001)
    ));
    if let Some((email, password)) = staff.login {
        say(&format!("Everybody made here has the same password, shown once: {password} (log in as {email})"));
    }
    Ok(())
}

/// Another company, or more calls for the same one, must not get the same ids.
fn seed_of(command: &Generate, first_number: i64) -> u64 {
    let digest = crate::auth::sha256_hex(&[
        b"generate",
        &command.seed.to_be_bytes(),
        command.tenant.as_bytes(),
        &first_number.to_be_bytes(),
    ]);
    u64::from_str_radix(&digest[..16], 16).unwrap_or(command.seed)
}

/// The first and the last day.
fn days(clock: &Clock, zone: chrono_tz::Tz, command: &Generate) -> anyhow::Result<(NaiveDate, NaiveDate)> {
    let local = clock.now().to_utc().with_timezone(&zone);
    // Who called late at night may still be talking.
    let settled = if u64::from(local.hour()) < generate::LATEST_END_HOURS { 2 } else { 1 };
    let latest = local.date_naive().checked_sub_days(Days::new(settled)).context("there is no such day")?;
    let until = command.until.unwrap_or(latest);
    if until > latest {
        bail!("--until may be {latest} at the latest: only days that are over can be generated");
    }
    if command.calls / u64::from(command.days) > generate::CALLS_A_DAY_MAX / 4 {
        bail!("that is too many calls a day; spread them over more --days");
    }
    let first = until.checked_sub_days(Days::new(u64::from(command.days) - 1)).context("there is no such day")?;
    Ok((first, until))
}

/// Generates on one thread, writes on another; how many rows there were.
async fn write(plan: Plan, options: &ConnectOptions, tenant: TenantId) -> anyhow::Result<[u64; 4]> {
    let mut loader = Loader::connect(options).await?;
    let bar = progress::bar(plan.calls, "calls");
    let (sender, mut ready) = mpsc::channel(CHUNKS_READY);
    let generating = tokio::task::spawn_blocking(move || {
        let ids = IdSource::seeded(plan.seed);
        let mut filling = Filling {
            chunk: Chunk::new(tenant),
            tenant,
            calls_max: if plan.facts { CHUNK_CALLS_WITH_FACTS } else { CHUNK_CALLS },
            sender,
            closed: false,
        };
        generate::run(&plan, &ids, &mut filling);
        filling.send();
    });
    let mut written = [0; 4];
    while let Some(chunk) = ready.recv().await {
        let rows = chunk.rows();
        loader.write(tenant, chunk).await.context("the calls written before this stay; a new run needs --append")?;
        written.iter_mut().zip(rows).for_each(|(sum, rows)| *sum += rows);
        bar.set_position(written[0]);
    }
    generating.await.context("the generator failed")?;
    bar.finish_and_clear();
    if let Err(error) = loader.close().await {
        tracing::debug!(%error, "the new rows were not analysed; Postgres does it by itself");
    }
    Ok(written)
}

/// Rows on their way to the database.
struct Filling {
    chunk: Chunk,
    tenant: TenantId,
    calls_max: u64,
    sender: mpsc::Sender<Chunk>,
    closed: bool,
}

impl Filling {
    fn send(&mut self) {
        let chunk = std::mem::replace(&mut self.chunk, Chunk::new(self.tenant));
        // Nobody takes it any more when writing failed; that error is told there.
        self.closed |= self.sender.blocking_send(chunk).is_err();
    }
}

impl Sink for Filling {
    fn call(&mut self, call: &CallRow<'_>) {
        // Before the row and not after it, so that what a call brings with it is not divided from it.
        if self.chunk.calls() >= self.calls_max {
            self.send();
        }
        self.chunk.call(call);
    }

    fn customer(&mut self, customer: &CustomerRow<'_>) {
        self.chunk.customer(customer);
    }

    fn link(&mut self, link: &LinkRow<'_>) {
        self.chunk.link(link);
    }

    fn fact(&mut self, fact: &FactRow<'_>) {
        self.chunk.fact(fact);
    }

    fn interval(&mut self, interval: &IntervalRow) {
        self.chunk.interval(interval);
    }

    fn is_closed(&self) -> bool {
        self.closed
    }
}
