//! `vez data generate`: a company with a believable past, for tests, benchmarks and demonstrations.
//!
//! Owns: its grammar, the company it fills, and the way from the generator to the database. Must not: decide what a day looks
//! like; `generate` does.

use anyhow::{Context as _, bail};
use chrono::{Days, NaiveDate, Timelike as _};
use clap::{Args, Subcommand};
use indicatif::{ProgressBar, ProgressStyle};
use tokio::sync::mpsc;

use super::commands::say;
use super::generate::{self, Desk, Interval, Plan, Sink, Worker};
use crate::auth::Passwords;
use crate::config::Database;
use crate::domain::clock::Clock;
use crate::domain::ids::{IdSource, TenantId, UserId};
use crate::domain::role::Role;
use crate::store::generated::{self, CallRow, Chunk, CustomerRow, FactRow, LinkRow, Loader};
use crate::store::numbers::{self, Counter};
use crate::store::{Page, Sort, Store, departments, links, migrate, tenants, users};

/// Calls of one transaction: large enough that its own cost does not count, small enough that memory stays flat.
const CHUNK_CALLS: u64 = 50_000;
/// A chunk that carries facts also holds the feed's counter, for which a running server may wait.
const CHUNK_CALLS_WITH_FACTS: u64 = 10_000;
/// Chunks between the generator and the database: one being written, one ready.
const CHUNKS_READY: usize = 1;
/// Departments made when the company has none.
const DEPARTMENTS: u32 = 4;
/// More only make the tables of the simulation larger.
const DEPARTMENTS_MAX: i64 = 50;
/// As the demonstration's bound.
const AGENTS_MAX: usize = 2_000;
/// Ten years: nothing is older.
const DAYS_MAX: i64 = 3_660;
/// What the numbers of calls leave room for, and far beyond what a machine holds.
const CALLS_MAX: u64 = 200_000_000;
/// Rows read at once.
const PAGE_ROWS: u32 = 100;
/// Random bytes of the password and of the departments' links.
const SECRET_BYTES: usize = 16;
/// Every so many agents also serve the next department.
const SERVES_TWO: usize = 4;
const NAMES: [&str; 8] =
    ["Suporte Técnico", "Vendas", "Plantão", "Financeiro", "Cancelamentos", "Agendamentos", "Ouvidoria", "Corporativo"];

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
    /// Add to a company that has calls already.
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
        migrate(&options).await.context("cannot bring the database up to date")?;
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

async fn fill(store: &Store, options: &crate::store::ConnectOptions, command: &Generate) -> anyhow::Result<()> {
    let (clock, ids) = (Clock::system(), IdSource::random());
    let (tenant, zone) = company(store, &clock, &ids, command).await?;
    if generated::has_calls(store, tenant).await? && !command.append {
        bail!("the company {:?} has calls already; add to them with --append", command.tenant);
    }
    let (first_day, until) = days(&clock, zone, command)?;
    let mut desks = desks(store, &clock, &ids, tenant, command).await?;
    let workers = workers(store, &clock, &ids, tenant, &desks, command, first_day).await?;
    for (place, desk) in desks.iter_mut().enumerate() {
        desk.opening = generate::opening(place);
    }
    let count = u32::try_from(command.calls).context("too many calls")?;
    let first_number = numbers::reserve(store, tenant, Counter::Call, count).await?;
    let plan = Plan {
        zone,
        first_day,
        days: command.days,
        calls: command.calls,
        first_number,
        desks,
        workers: workers.agents,
        supervisor: workers.supervisor,
        seed: seed_of(command, first_number),
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
    if let Some((email, password)) = workers.login {
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

async fn company(
    store: &Store,
    clock: &Clock,
    ids: &IdSource,
    command: &Generate,
) -> anyhow::Result<(TenantId, chrono_tz::Tz)> {
    if let Some(tenant) = tenants::by_slug(store, &command.tenant).await? {
        return Ok((tenant.id, tenant.time_zone));
    }
    let time_zone = command.zone.parse().ok().context("--zone takes an IANA name such as America/Sao_Paulo")?;
    super::commands::check_slug(&command.tenant)?;
    let now = clock.now();
    let new = tenants::NewTenant {
        id: ids.next(now),
        slug: command.tenant.clone(),
        name: "Empresa Gerada Ltda".to_owned(),
        plan: tenants::Plan::Enterprise,
        time_zone,
    };
    let tenant = tenants::create(store, new, now).await?;
    Ok((tenant.id, time_zone))
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

/// The departments that are served: those there are, and as many more as are wanted.
async fn desks(
    store: &Store,
    clock: &Clock,
    ids: &IdSource,
    tenant: TenantId,
    command: &Generate,
) -> anyhow::Result<Vec<Desk>> {
    let now = clock.now();
    let page = Page::new(1, PAGE_ROWS);
    let mut found = departments::list(store, tenant, None, Some(true), Sort::default(), page).await?.items;
    found.sort_by_key(|department| department.number);
    let wanted =
        command.departments.map_or(if found.is_empty() { DEPARTMENTS as usize } else { found.len() }, |k| k as usize);
    found.truncate(wanted);
    let mut desks = Vec::new();
    for place in 0..wanted {
        let mut work = store.work(tenant, now, None).await?;
        let department = match found.get(place) {
            Some(department) => department.clone(),
            None => {
                let name = NAMES.get(place).map_or_else(|| format!("Setor {}", place + 1), |name| (*name).to_owned());
                let change = departments::DepartmentChange {
                    name: Some(name),
                    // The largest lets nobody wait for ever.
                    max_wait_time: (place == 0).then_some(Some(900)),
                    wrap_up_seconds: Some([15, 30, 20, 45][place % 4]),
                    ..Default::default()
                };
                departments::create(&mut work, ids.next(now), change).await?
            }
        };
        let link = links::NewLink::new(ids.next(now), ids.secret(SECRET_BYTES), department.id);
        let link = links::create(&mut work, &[link]).await?.first().map(|link| link.id);
        work.commit().await?;
        desks.push(Desk {
            department: department.id,
            opening: generate::opening(place),
            share: generate::share(place),
            link,
            max_wait_seconds: department.max_wait_time,
            offer_timeout_seconds: department.offer_timeout_seconds,
            wrap_up_seconds: department.wrap_up_seconds,
            grace_seconds: department.reconnect_grace_seconds,
        });
    }
    Ok(desks)
}

/// Who takes part.
struct Staff {
    agents: Vec<Worker>,
    supervisor: Option<UserId>,
    /// The manager's address and password, when somebody was made.
    login: Option<(String, String)>,
}

/// The agents there are, and as many more as are wanted; a manager and a supervisor for who looks at it all.
async fn workers(
    store: &Store,
    clock: &Clock,
    ids: &IdSource,
    tenant: TenantId,
    desks: &[Desk],
    command: &Generate,
    first_day: NaiveDate,
) -> anyhow::Result<Staff> {
    let now = clock.now();
    let needed = generate::agents_needed(desks, command.calls, first_day, command.days);
    let sum: usize = needed.iter().sum();
    let wanted: Vec<usize> = match command.agents.map(|agents| agents as usize) {
        None if sum > AGENTS_MAX => {
            bail!("these calls need {sum} agents; spread them over more days, or give --agents")
        }
        None => needed,
        Some(agents) if agents < desks.len() => {
            bail!("every department needs an agent: --agents {} or more", desks.len())
        }
        Some(agents) => {
            // One each, the others where they are needed most.
            let weights: Vec<f64> = needed.iter().map(|needed| *needed as f64).collect();
            let spare = (agents - desks.len()) as u64;
            generate::calendar::divide(spare, &weights).iter().map(|part| *part as usize + 1).collect()
        }
    };
    let mut agents = Vec::new();
    let mut missing = Vec::new();
    for (place, desk) in desks.iter().enumerate() {
        let mut here = Vec::new();
        for number in 1.. {
            let page = Page::new(number, PAGE_ROWS);
            let rows = departments::users(store, tenant, desk.department, page).await?;
            let rows = rows.map_or_else(Vec::new, |page| page.items);
            let last = rows.len() < PAGE_ROWS as usize;
            here.extend(
                rows.into_iter().filter(|user| user.active && user.role == Role::Attendant).map(|user| user.id),
            );
            if last {
                break;
            }
        }
        here.retain(|user| agents.iter().all(|worker: &Worker| worker.user != *user));
        here.sort_unstable();
        here.truncate(wanted[place]);
        missing.extend(std::iter::repeat_n(place, wanted[place] - here.len()));
        agents.extend(here.into_iter().map(|user| Worker { user, desks: vec![place] }));
    }
    let everybody =
        users::list(store, tenant, &users::UserFilter::default(), Sort::default(), Page::new(1, PAGE_ROWS)).await?;
    let mut supervisor = everybody.items.iter().find(|user| user.role == Role::Supervisor).map(|user| user.id);
    if missing.is_empty() {
        return Ok(Staff { agents, supervisor, login: None });
    }
    let password = ids.secret(SECRET_BYTES);
    // One slow hash serves them all.
    let hash = Passwords::new(ids.clone())?.hash(password.clone()).await?;
    let made_before = everybody.total_count;
    let new_user = |name: String, email: String, role: Role| users::NewUser {
        id: ids.next(now),
        name,
        email,
        password_hash: hash.clone(),
        role,
        locale: None,
        capacity: 1,
        skills: Vec::new(),
        active: true,
        avatar_url: None,
    };
    let domain = format!("{}.example", command.tenant);
    let manager = format!("manager{made_before}@{domain}");
    let mut work = store.work(tenant, now, None).await?;
    users::create(&mut work, new_user("Gerente".into(), manager.clone(), Role::Manager)).await?;
    if supervisor.is_none() {
        let new = new_user("Supervisão".into(), format!("supervisor{made_before}@{domain}"), Role::Supervisor);
        supervisor = Some(users::create(&mut work, new).await?.id);
    }
    for (index, place) in missing.into_iter().enumerate() {
        let number = made_before as usize + index + 1;
        let new = new_user(format!("Atendente {number:03}"), format!("agent{number}@{domain}"), Role::Attendant);
        let user = users::create(&mut work, new).await?.id;
        let mut serves = vec![place];
        if index % SERVES_TWO == SERVES_TWO - 1 && desks.len() > 1 {
            serves.push((place + 1) % desks.len());
        }
        for desk in &serves {
            departments::add_user(&mut work, desks[*desk].department, user).await?;
        }
        agents.push(Worker { user, desks: serves });
    }
    work.commit().await?;
    Ok(Staff { agents, supervisor, login: Some((manager, password)) })
}

/// Generates on one thread, writes on another; how many rows there were.
async fn write(plan: Plan, options: &crate::store::ConnectOptions, tenant: TenantId) -> anyhow::Result<[u64; 4]> {
    let mut loader = Loader::connect(options).await?;
    let bar = ProgressBar::new(plan.calls).with_style(
        ProgressStyle::with_template("{bar:40} {human_pos} of {human_len} calls, {per_sec}, {eta} left")
            .context("the bar cannot be drawn")?,
    );
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

    fn interval(&mut self, _: &Interval) {}

    fn is_closed(&self) -> bool {
        self.closed
    }
}
