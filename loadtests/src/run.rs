//! One run: agents come online, customers arrive by the schedule, the rest is drained and judged.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, bail};
use indicatif::{ProgressBar, ProgressStyle};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;

use crate::agents::{Agent, Behaviour};
use crate::arrivals::Schedule;
use crate::client::http::Rest;
use crate::departments::Supervisor;
use crate::fleet::Fleet;
use crate::latency::Step;
use crate::report::Report;
use crate::target::{Link, Target, User};
use crate::world::World;
use crate::{clock, customers, invariants, open_files};

/// Longest wait for all agents to be available: a login costs the server a password hash each.
const AGENTS_READY: Duration = Duration::from_secs(120);
/// Longest wait for bots to end once told.
const BOTS_END: Duration = Duration::from_secs(15);
/// Between the last agent's readiness and the first customer.
const BREATH: Duration = Duration::from_millis(500);
/// How often the progress bar moves and the end of the draining is looked for.
const TICK: Duration = Duration::from_millis(50);

/// What to run.
#[derive(Debug, Clone)]
pub struct Load {
    /// Customers a second.
    pub rate: f64,
    pub warmup: Duration,
    pub measured: Duration,
    /// How long the rest may take to be served after the last arrival.
    pub drain: Duration,
    /// How many of the attendants work; all when absent.
    pub agents: Option<usize>,
    pub talk: Duration,
    /// Share of the customers who open a socket, 0 to 1.
    pub sockets: f64,
    pub watches_presence: bool,
    /// Whether to leave the departments' wrap-up as it is and end each by command.
    pub keeps_wrap_up: bool,
    /// Whether to draw a progress bar.
    pub shows_progress: bool,
    /// Told true when the first customer is about to come, false when the last was served: for what is to happen meanwhile.
    pub under_way: Option<watch::Sender<bool>>,
}

/// Agents that work until told to stop.
#[derive(Debug)]
pub struct Staff {
    tasks: JoinSet<()>,
    stop: watch::Sender<bool>,
}

impl Staff {
    /// Brings agents online and waits until each is available.
    ///
    /// # Errors
    /// When they are not available in time.
    pub async fn hire(world: &Arc<World>, users: &[User], behaviour: Behaviour) -> anyhow::Result<Self> {
        let (stop, stopped) = watch::channel(false);
        let ready = Arc::new(Semaphore::new(0));
        let mut tasks = JoinSet::new();
        for (index, user) in users.iter().enumerate() {
            let agent = Agent { world: Arc::clone(world), index, user: user.clone(), behaviour };
            tasks.spawn(agent.run(stopped.clone(), Arc::clone(&ready)));
        }
        let everybody = u32::try_from(users.len()).unwrap_or(u32::MAX);
        if tokio::time::timeout(AGENTS_READY, ready.acquire_many(everybody)).await.is_err() {
            bail!(
                "only {} of {everybody} agents became available within {} s; errors: {:?}",
                ready.available_permits(),
                AGENTS_READY.as_secs(),
                world.errors()
            );
        }
        Ok(Self { tasks, stop })
    }

    /// Ends their work after the call each has.
    pub async fn dismiss(mut self) {
        let _ = self.stop.send(true);
        let _ = tokio::time::timeout(BOTS_END, async { while self.tasks.join_next().await.is_some() {} }).await;
    }
}

/// The world of a run over these agents.
///
/// # Errors
/// When the address cannot be tested.
pub fn world_of(target: &Target, agents: &[User]) -> anyhow::Result<Arc<World>> {
    let departments = target.links.iter().map(|link| Arc::clone(&link.department_id));
    let fleet = Fleet::new(departments, agents.iter().map(|agent| agent.department_ids.clone()).collect());
    Ok(Arc::new(World::new(Rest::new(&target.base_url)?, target.tenant.clone(), fleet)?))
}

/// The links of departments that these agents serve.
#[must_use]
pub fn served_links(target: &Target, agents: &[User]) -> Vec<Link> {
    let served: BTreeSet<_> = agents.iter().flat_map(|agent| agent.department_ids.iter()).collect();
    target.links.iter().filter(|link| served.contains(&link.department_id)).cloned().collect()
}

/// Runs a load against a target and judges it.
///
/// # Errors
/// When the run cannot begin; what goes wrong later is in the report.
pub async fn run(target: &Target, load: &Load) -> anyhow::Result<Report> {
    let mut agents = target.attendants();
    agents.truncate(load.agents.unwrap_or(usize::MAX));
    let links = served_links(target, &agents);
    if agents.is_empty() || links.is_empty() {
        bail!("the target has no attendant who serves a department with a link");
    }
    open_files::allow_sockets(sockets_needed(load, agents.len()))?;
    let world = world_of(target, &agents)?;
    let supervisor = Supervisor::login(&world.rest, target).await?;
    let department_ids: Vec<_> = links.iter().map(|link| Arc::clone(&link.department_id)).collect();
    let wrap_ups = match load.keeps_wrap_up {
        true => None,
        false => Some(supervisor.drop_wrap_ups(&department_ids).await?),
    };
    let behaviour =
        Behaviour { talk: load.talk, ends_wrap_up: load.keeps_wrap_up, watches_presence: load.watches_presence };
    let outcome = with_staff(&world, &agents, behaviour, &links, load).await;
    if let Some(wrap_ups) = wrap_ups {
        // A run longer than a token's life needs a fresh login to clean up.
        let supervisor = Supervisor::login(&world.rest, target).await?;
        supervisor.restore_wrap_ups(&wrap_ups).await.context("the departments' wrap-up could not be set back")?;
    }
    outcome
}

async fn with_staff(
    world: &Arc<World>,
    agents: &[User],
    behaviour: Behaviour,
    links: &[Link],
    load: &Load,
) -> anyhow::Result<Report> {
    let staff = Staff::hire(world, agents, behaviour).await?;
    let (stop, stopped) = watch::channel(false);
    let schedule =
        Schedule { start: clock::now() + BREATH, rate: load.rate, warmup: load.warmup, measured: load.measured };
    let bar = progress_bar(load, schedule.count());
    let mut customers = JoinSet::new();
    let mut progress = Progress::default();
    if let Some(under_way) = &load.under_way {
        under_way.send_replace(true);
    }
    let interrupted = tokio::select! {
        () = serve(world, &schedule, links, load, &bar, &mut customers, &stopped, &mut progress) => false,
        _ = tokio::signal::ctrl_c() => true,
    };
    bar.finish_and_clear();
    if let Some(under_way) = &load.under_way {
        under_way.send_replace(false);
    }
    let _ = stop.send(true);
    let _ = tokio::time::timeout(BOTS_END, async { while customers.join_next().await.is_some() {} }).await;
    staff.dismiss().await;
    let invariants = invariants::judge(&world.ledger, &world.rest).await;
    Ok(Report {
        arrival_rate: load.rate,
        seconds: load.measured.as_secs_f64(),
        agents: agents.len(),
        sockets: load.sockets,
        lifecycles_per_second: progress.lifecycles_per_second(),
        acknowledged_joins: world.ledger.acknowledged_count(),
        completed: world.ledger.completed_count(),
        latencies: Report::summaries(&world.latencies),
        invariants,
        retries: world.retry_count(),
        late_accepts: world.late_accept_count(),
        errors: world.errors(),
        interrupted,
    })
}

/// Completed calls at the borders of the measured part.
#[derive(Debug, Default)]
struct Progress {
    began: Option<(std::time::Instant, u64)>,
    ended: Option<(std::time::Instant, u64)>,
}

impl Progress {
    #[allow(clippy::cast_precision_loss, reason = "counts stay far below 2^52")]
    fn lifecycles_per_second(&self) -> f64 {
        match (self.began, self.ended) {
            (Some((from, before)), Some((until, after))) if until > from => {
                (after - before) as f64 / (until - from).as_secs_f64()
            }
            _ => 0.0,
        }
    }
}

/// Sends customers off by the schedule, then waits for the rest to be served.
async fn serve(
    world: &Arc<World>,
    schedule: &Schedule,
    links: &[Link],
    load: &Load,
    bar: &ProgressBar,
    customers: &mut JoinSet<Option<String>>,
    stopped: &watch::Receiver<bool>,
    progress: &mut Progress,
) {
    let mut drawn_at = clock::now();
    let mut socket_share = 0.0;
    for (index, link) in (0..schedule.count()).zip(links.iter().cycle()) {
        let intended_at = schedule.intended(index);
        if intended_at > clock::now() {
            tokio::time::sleep_until(intended_at.into()).await;
        }
        let now = clock::now();
        let measured = schedule.is_measured(intended_at);
        if measured {
            world.measure(true);
            progress.began.get_or_insert((now, world.ledger.completed_count()));
            progress.ended = Some((now, world.ledger.completed_count()));
            world.latencies.record(Step::OwnLag, now.saturating_duration_since(intended_at));
        }
        // Spreads the sockets evenly over the customers.
        socket_share += load.sockets;
        let opens_socket = socket_share >= 1.0;
        if opens_socket {
            socket_share -= 1.0;
        }
        let plan = customers::Plan {
            link: link.clone(),
            name: format!("Customer {index}"),
            intended_at,
            measured,
            opens_socket,
            rating: None,
        };
        customers.spawn(customers::live(Arc::clone(world), plan, stopped.clone()));
        while customers.try_join_next().is_some() {}
        if now.duration_since(drawn_at) > TICK {
            drawn_at = now;
            draw(world, bar, index);
        }
    }
    tokio::time::sleep_until(schedule.end().into()).await;
    progress.ended = Some((clock::now(), world.ledger.completed_count()));
    world.measure(false);
    let give_up_at = clock::now() + load.drain;
    loop {
        while customers.try_join_next().is_some() {}
        draw(world, bar, schedule.count());
        let all_told = world.ledger.open_count() == 0;
        if (all_told && customers.is_empty()) || clock::now() > give_up_at {
            return;
        }
        tokio::time::sleep(TICK).await;
    }
}

fn draw(world: &World, bar: &ProgressBar, arrived: u64) {
    bar.set_position(arrived);
    bar.set_message(format!("{} served, {} open", world.ledger.completed_count(), world.ledger.open_count()));
}

fn progress_bar(load: &Load, customers: u64) -> ProgressBar {
    if !load.shows_progress {
        return ProgressBar::hidden();
    }
    let bar = ProgressBar::new(customers);
    if let Ok(style) = ProgressStyle::with_template("{elapsed_precise} {bar:40} {pos}/{len} customers, {msg}") {
        bar.set_style(style);
    }
    bar
}

/// Sockets that may be open at once: in the worst case every customer of the run waits.
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "small and positive")]
fn sockets_needed(load: &Load, agents: usize) -> u64 {
    let customers = load.rate * (load.warmup + load.measured).as_secs_f64() * load.sockets;
    customers as u64 + agents as u64 + crate::client::http::POOL_SIZE as u64
}
