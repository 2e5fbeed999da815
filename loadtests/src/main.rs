//! `vez-loadtests`: the command line over the library.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context;
use clap::{Args, Parser, Subcommand};
use serde::Serialize;
use vez_loadtests::run::Load;
use vez_loadtests::target::Target;
use vez_loadtests::{backlog, exports, logins, run, waiting};

/// Drives a Vez from outside with many customers and agents, over real HTTP and WebSocket, and judges it.
///
/// Customers arrive at a fixed rate whatever the server does (an open loop), and every latency is counted from the
/// moment a customer was meant to come, so a slow server cannot hide behind a slow tester.
///
/// Start a server with its rate limits off, because all customers come from one address:
///
///   VEZ_RATE_LIMIT=off vez demo --agents 60
///   vez-loadtests run --demo data/demo.json --rate 500 --seconds 30
///
/// The exit code is 1 when an invariant failed (somebody lost, doubled, or out of order), 2 when a run could not begin.
#[derive(Debug, Parser)]
#[command(version, verbatim_doc_comment)]
struct Cli {
    #[command(subcommand)]
    command: Command,
    /// Threads of the tester. One is cheapest, and enough for about a thousand lifecycles a second.
    #[arg(long, global = true, default_value_t = 1, env = "VEZ_LOADTESTS_THREADS")]
    threads: usize,
    /// Also write the result to this file, as JSON.
    #[arg(long, global = true, value_name = "FILE")]
    json: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Serve customers at a fixed rate: join, offer, accept, start, complete.
    Run {
        #[command(flatten)]
        target: TargetArgs,
        #[command(flatten)]
        load: LoadArgs,
    },
    /// Let many customers wait on sockets with no agent online, and weigh the server's memory for each.
    Waiting {
        #[command(flatten)]
        target: TargetArgs,
        /// How many customers wait.
        #[arg(long, default_value_t = 10_000)]
        customers: usize,
        /// The server's process, whose resident memory is read; it has to run on this machine.
        #[arg(long)]
        pid: Option<u32>,
        /// Keep them waiting so many seconds before the second look.
        #[arg(long, default_value_t = 0)]
        hold_seconds: u64,
        /// Fail (exit code 1) when a waiting customer costs more than this.
        #[arg(long, default_value_t = 16.0)]
        max_kib: f64,
    },
    /// Run the same load twice, without and with customers waiting in departments that nobody serves.
    Backlog {
        #[command(flatten)]
        target: TargetArgs,
        #[command(flatten)]
        load: LoadArgs,
        /// How many customers wait elsewhere in the second run.
        #[arg(long, default_value_t = 5_000)]
        customers: usize,
    },
    /// Flood a server with wrong logins; what `logins` starts, of no use by hand.
    #[command(name = logins::FLOOD, hide = true)]
    Flood,
    /// Run the same load without and during a flood of wrong logins, in turns.
    Logins {
        #[command(flatten)]
        target: TargetArgs,
        #[command(flatten)]
        load: LoadArgs,
        /// How many wrong logins are under way at any moment of every second run.
        #[arg(long, default_value_t = 200)]
        at_once: usize,
        /// How often each of the two is run; their medians are compared.
        #[arg(long, default_value_t = 3)]
        rounds: usize,
        /// Fail (exit code 1) when join to offer's p99 is more than so many times that without the flood.
        #[arg(long, default_value_t = 1.5)]
        max_ratio: f64,
    },
    /// Export all calls alone, in turns with psql's copy of them; then run the same load without and beside many exports.
    Exports {
        #[command(flatten)]
        target: TargetArgs,
        #[command(flatten)]
        load: LoadArgs,
        #[command(flatten)]
        wanted: ExportArgs,
    },
}

/// What `exports` measures beside the load, and its bounds.
#[derive(Debug, Args)]
struct ExportArgs {
    /// How many exports are under way at any moment of every second run.
    #[arg(long, default_value_t = 10)]
    at_once: usize,
    /// How often everything is repeated; medians are compared.
    #[arg(long, default_value_t = 3)]
    rounds: usize,
    /// Fail (exit code 1) when join to offer's p99 is more than so many times that without exports.
    #[arg(long, default_value_t = 2.0)]
    max_ratio: f64,
    /// The server's process, whose resident memory is read; it has to run on this machine.
    #[arg(long)]
    pid: Option<u32>,
    /// Fail when one export makes the server's memory grow by more.
    #[arg(long, default_value_t = 32.0)]
    max_mib: f64,
    /// How psql reaches the server's database: a program and its arguments. It copies the same rows in turns with exports.
    #[arg(long, value_name = "COMMAND")]
    psql: Option<String>,
    /// Fail when an export takes more than so many times as long as psql's copy.
    #[arg(long, default_value_t = 1.5)]
    max_copy_ratio: f64,
}

/// Where to find the server and whom to be: a demo file, or an address with credentials.
#[derive(Debug, Args)]
struct TargetArgs {
    /// The demo.json that `vez demo` writes into its data folder. It has everything.
    #[arg(long, value_name = "FILE", env = "VEZ_DEMO", required_unless_present = "url", conflicts_with = "url")]
    demo: Option<PathBuf>,
    /// Address of any other Vez, such as http://127.0.0.1:4000; then give --tenant, --email, --password and --agent.
    #[arg(long, env = "VEZ_URL", requires_all = ["tenant", "email", "password"])]
    url: Option<String>,
    /// The company's slug.
    #[arg(long, env = "VEZ_TENANT")]
    tenant: Option<String>,
    /// Login of a supervisor or manager, who makes links and sets the wrap-up to 0 for the run.
    #[arg(long, env = "VEZ_EMAIL")]
    email: Option<String>,
    /// That login's password.
    #[arg(long, env = "VEZ_PASSWORD", hide_env_values = true)]
    password: Option<String>,
    /// An attendant who works in the run; repeat it, or separate several by commas.
    #[arg(
        long = "agent",
        value_name = "EMAIL:PASSWORD",
        env = "VEZ_LOADTESTS_AGENT_LOGINS",
        hide_env_values = true,
        value_delimiter = ','
    )]
    agent_logins: Vec<String>,
}

#[derive(Debug, Args)]
struct LoadArgs {
    /// Customers a second.
    #[arg(long, default_value_t = 500.0, env = "VEZ_LOADTESTS_RATE")]
    rate: f64,
    /// How long they come and are measured.
    #[arg(long, default_value_t = 30.0, env = "VEZ_LOADTESTS_SECONDS")]
    seconds: f64,
    /// How long they come before that, unmeasured.
    #[arg(long, default_value_t = 3.0, env = "VEZ_LOADTESTS_WARMUP_SECONDS")]
    warmup_seconds: f64,
    /// How many attendants work (all when absent). Too few and customers wait for agents, which is not the server's doing.
    #[arg(long, env = "VEZ_LOADTESTS_AGENTS")]
    agents: Option<usize>,
    /// How long an agent talks, in milliseconds.
    #[arg(long, default_value_t = 0, env = "VEZ_LOADTESTS_TALK_MS")]
    talk_ms: u64,
    /// Which customers open a socket: all, none, or a share such as 0.2.
    #[arg(long, default_value = "all", value_parser = parse_share, env = "VEZ_LOADTESTS_SOCKETS")]
    sockets: f64,
    /// Agents stay on the presence topic, as a screen that shows colleagues does. Costs the server a diff to each.
    #[arg(long)]
    watch_presence: bool,
    /// Leave the departments' wrap-up as it is; agents end each by command.
    #[arg(long)]
    keep_wrap_up: bool,
    /// How long the rest may take after the last arrival.
    #[arg(long, default_value_t = 20.0)]
    drain_seconds: f64,
    /// No progress bar.
    #[arg(long)]
    quiet: bool,
}

fn parse_share(text: &str) -> Result<f64, String> {
    match text {
        "all" => Ok(1.0),
        "none" => Ok(0.0),
        number => number
            .parse()
            .ok()
            .filter(|share| (0.0..=1.0).contains(share))
            .ok_or_else(|| "all, none, or a number from 0 to 1".to_owned()),
    }
}

impl TargetArgs {
    async fn read(&self) -> anyhow::Result<Target> {
        if let Some(path) = &self.demo {
            return Target::from_demo(path);
        }
        let missing = "give --demo FILE, or --url, --tenant, --email and --password";
        let url = self.url.as_deref().context(missing)?;
        let tenant = self.tenant.as_deref().context(missing)?;
        let supervisor = (self.email.as_deref().context(missing)?, self.password.as_deref().context(missing)?);
        let agents = self
            .agent_logins
            .iter()
            .map(|login| {
                let (email, password) = login.split_once(':').context("--agent is EMAIL:PASSWORD")?;
                Ok((email.to_owned(), password.to_owned()))
            })
            .collect::<anyhow::Result<Vec<_>>>()?;
        Target::from_server(url, tenant, supervisor, &agents).await
    }
}

impl LoadArgs {
    fn read(&self) -> anyhow::Result<Load> {
        let seconds = |value: f64, what: &str| {
            Duration::try_from_secs_f64(value).with_context(|| format!("{what} must be a number of seconds"))
        };
        anyhow::ensure!(self.rate > 0.0 && self.rate.is_finite(), "--rate must be above 0");
        Ok(Load {
            rate: self.rate,
            warmup: seconds(self.warmup_seconds, "--warmup-seconds")?,
            measured: seconds(self.seconds, "--seconds")?,
            drain: seconds(self.drain_seconds, "--drain-seconds")?,
            agents: self.agents,
            talk: Duration::from_millis(self.talk_ms),
            sockets: self.sockets,
            watches_presence: self.watch_presence,
            keeps_wrap_up: self.keep_wrap_up,
            shows_progress: !self.quiet,
            under_way: None,
        })
    }
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    match runtime(cli.threads).and_then(|runtime| runtime.block_on(execute(&cli))) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(1),
        Err(error) => {
            let _ = writeln!(std::io::stderr(), "vez-loadtests: {error:#}");
            ExitCode::from(2)
        }
    }
}

/// One thread needs no locks between cores that the server wants for itself.
fn runtime(threads: usize) -> anyhow::Result<tokio::runtime::Runtime> {
    let mut builder = match threads {
        0 | 1 => tokio::runtime::Builder::new_current_thread(),
        _ => tokio::runtime::Builder::new_multi_thread(),
    };
    if threads > 1 {
        builder.worker_threads(threads);
    }
    builder.enable_all().build().context("cannot start the runtime")
}

/// Whether everything that must hold held.
async fn execute(cli: &Cli) -> anyhow::Result<bool> {
    let json = cli.json.as_deref();
    match &cli.command {
        Command::Run { target, load } => {
            let report = run::run(&target.read().await?, &load.read()?).await?;
            tell(&report, json)?;
            Ok(report.invariants.holds())
        }
        Command::Waiting { target, customers, pid, hold_seconds, max_kib } => {
            let hold = Duration::from_secs(*hold_seconds);
            let report = waiting::weigh(&target.read().await?, *customers, *pid, hold).await?;
            tell(&report, json)?;
            #[allow(clippy::cast_precision_loss, reason = "bytes of one customer")]
            Ok(report.bytes_per_customer.is_none_or(|bytes| bytes as f64 <= max_kib * 1024.0))
        }
        Command::Backlog { target, load, customers } => {
            let report = backlog::compare(&target.read().await?, &load.read()?, *customers).await?;
            tell(&report, json)?;
            Ok(report.holds())
        }
        Command::Flood => logins::flood().await.map(|()| true),
        Command::Logins { target, load, at_once, rounds, max_ratio } => {
            load.read()?;
            let report = logins::compare(
                &target.read().await?,
                &logins::run_words(std::env::args_os().skip(1)),
                *at_once,
                *rounds,
                *max_ratio,
            )
            .await?;
            tell(&report, json)?;
            Ok(report.holds())
        }
        Command::Exports { target, load, wanted } => {
            let wanted = exports::Wanted {
                at_once: wanted.at_once,
                rounds: wanted.rounds,
                ratio_max: wanted.max_ratio,
                pid: wanted.pid,
                mib_max: wanted.max_mib,
                psql: wanted.psql.clone(),
                copy_ratio_max: wanted.max_copy_ratio,
            };
            let report = exports::compare(&target.read().await?, &load.read()?, &wanted).await?;
            tell(&report, json)?;
            Ok(report.holds())
        }
    }
}

fn tell<R: Serialize + std::fmt::Display>(report: &R, json: Option<&Path>) -> anyhow::Result<()> {
    write!(std::io::stdout().lock(), "{report}")?;
    if let Some(path) = json {
        let text = serde_json::to_vec_pretty(report)?;
        std::fs::write(path, text).with_context(|| format!("cannot write {}", path.display()))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_well_formed() {
        Cli::command().debug_assert();
        assert_eq!(parse_share("all"), Ok(1.0));
        assert!(parse_share("2").is_err());
    }
}
