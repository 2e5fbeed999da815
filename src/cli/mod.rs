//! The command line: what can be said to `vez`, and its help.
//!
//! Owns: commands, flags and their texts. Must not: do the work; `commands` holds one function for each.

pub mod commands;
mod data;
mod demo;
mod export;
pub mod generate;
mod progress;
mod report;
mod token;

use std::path::PathBuf;

use clap::builder::{PossibleValuesParser, TypedValueParser};
use clap::{Args, Parser, Subcommand};

use crate::auth::hash_worker;
use crate::config::{Config, Database, Secret};
use crate::domain::role::Role;
use data::DataCommand;
use export::ExportCommand;
use report::ReportCommand;
use token::TokenCommand;

/// Everything `vez` understands.
#[derive(Debug, Parser)]
#[command(
    name = "vez",
    version,
    about = "A live call queue: customers wait in line, agents are pushed the next one.",
    long_about = "A live call queue: customers open a link and wait in line, agents are pushed the next one.\n\n\
        One program and one Postgres. Without DATABASE_URL, vez runs a private Postgres inside its data folder.",
    after_help = "Try it: `vez demo`, then run what it prints.\n\
        Every option is also a variable: --port is VEZ_PORT. Logs: VEZ_LOG=vez=debug.",
    propagate_version = true,
    subcommand_required = true,
    arg_required_else_help = true,
    max_term_width = 100
)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// One thing `vez` can do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Serve until stopped.
    ///
    /// SIGTERM or Ctrl-C stops in good order within ten seconds: nobody in line is lost. A second one stops at once.
    Serve(Serve),
    /// Serve a ready-made company, to try everything out.
    ///
    /// The first start makes the company `demo`: three departments, attendants, a supervisor, a manager, links that can
    /// be used again and again. Later starts keep it and everything that happened. Who can log in and a line to try are
    /// printed; everything is written to demo.json in the data folder for scripts.
    Demo(Demo),
    /// Bring the database up to date, then exit; `serve` does this by itself.
    Migrate(Migrate),
    /// Companies.
    #[command(subcommand, arg_required_else_help = true)]
    Tenant(TenantCommand),
    /// People who log in.
    #[command(subcommand, arg_required_else_help = true)]
    User(UserCommand),
    /// API tokens: for programs that act in somebody's name.
    #[command(subcommand, arg_required_else_help = true)]
    Token(TokenCommand),
    /// Figures on the terminal.
    #[command(subcommand, arg_required_else_help = true)]
    Report(ReportCommand),
    /// What the server starts to hash passwords; of no use by hand.
    #[command(name = hash_worker::COMMAND, hide = true)]
    HashPasswords,
    /// Calls of the past, for tests and benchmarks.
    #[command(subcommand, arg_required_else_help = true)]
    Data(DataCommand),
    /// Rows as CSV, or as newline-delimited JSON, on the standard output.
    #[command(subcommand, arg_required_else_help = true)]
    Export(ExportCommand),
}

/// `vez serve`.
#[derive(Debug, Args)]
pub struct Serve {
    /// All settings.
    #[command(flatten)]
    pub config: Config,
}

/// `vez demo`.
#[derive(Debug, Args)]
pub struct Demo {
    /// Attendants to make the first time.
    #[arg(long, env = "VEZ_AGENTS", value_name = "N", default_value_t = Demo::AGENTS,
          value_parser = clap::value_parser!(u32).range(1..=i64::from(Demo::AGENTS_MAX)))]
    pub agents: u32,
    /// All settings.
    #[command(flatten)]
    pub config: Config,
}

impl Demo {
    /// Two for each department.
    pub const AGENTS: u32 = 6;
    /// Each password is hashed slowly on purpose, so more would make the first start take minutes.
    pub const AGENTS_MAX: u32 = 2_000;
}

/// `vez migrate`.
#[derive(Debug, Args)]
pub struct Migrate {
    /// Which database.
    #[command(flatten)]
    pub database: Database,
}

/// `vez tenant ...`.
#[derive(Debug, Subcommand)]
pub enum TenantCommand {
    /// Make a company.
    ///
    /// With the private Postgres, stop the server first; with DATABASE_URL this works beside it.
    Create(TenantCreate),
    /// Put a company on another plan.
    ///
    /// What it uses beyond the new plan stays, and more of it is refused; recording, transcription and webhooks are switched off when
    /// the plan does not include them. With DATABASE_URL this works beside a running server, which obeys it within some
    /// seconds; with the private Postgres, stop the server first.
    Plan(TenantPlan),
    /// Say what plan a company is on, and what it uses of it.
    Show(TenantShow),
}

/// `vez tenant plan`.
#[derive(Debug, Args)]
#[command(after_help = "Example: vez tenant plan acme professional")]
pub struct TenantPlan {
    /// The company, by its slug.
    pub slug: String,
    /// The plan: free, basic, advanced, professional or enterprise.
    pub plan: String,
    /// Which database.
    #[command(flatten)]
    pub database: Database,
}

/// `vez tenant show`.
#[derive(Debug, Args)]
pub struct TenantShow {
    /// The company, by its slug.
    pub slug: String,
    /// Which database.
    #[command(flatten)]
    pub database: Database,
}

/// `vez tenant create`.
#[derive(Debug, Args)]
#[command(after_help = "Example: vez tenant create --slug acme --name 'Acme Ltda' --zone America/Sao_Paulo")]
pub struct TenantCreate {
    /// Short name in addresses and in the X-Tenant header: lower-case letters, digits and hyphens.
    #[arg(long)]
    pub slug: String,
    /// Its name as people read it.
    #[arg(long)]
    pub name: String,
    /// What it pays for: free, basic, advanced, professional or enterprise; decides how many calls run at once.
    #[arg(long, default_value = "enterprise")]
    pub plan: String,
    /// Its time zone; "today" begins at its midnight.
    #[arg(long, default_value = "UTC", value_name = "IANA-NAME")]
    pub zone: String,
    /// Which database.
    #[command(flatten)]
    pub database: Database,
}

/// `vez user ...`.
#[derive(Debug, Subcommand)]
pub enum UserCommand {
    /// Make somebody who can log in.
    ///
    /// With the private Postgres, stop the server first; with DATABASE_URL this works beside it.
    Create(UserCreate),
}

/// `vez user create`.
#[derive(Debug, Args)]
#[command(after_help = "Example: vez user create --tenant acme --email ana@acme.example --name Ana --role manager \
        --password-file secret.txt\n\nWithout a password, a random one is made and printed once.")]
pub struct UserCreate {
    /// The company, by its slug.
    #[arg(long, value_name = "SLUG")]
    pub tenant: String,
    /// What the person logs in with.
    #[arg(long)]
    pub email: String,
    /// The person's name.
    #[arg(long)]
    pub name: String,
    /// What the person may do.
    #[arg(long, value_name = "ROLE", default_value = "attendant", value_parser = role_parser())]
    pub role: Role,
    /// Password, at least 8 characters. A variable or a file keeps it out of the list of processes.
    #[arg(long, env = "VEZ_PASSWORD", value_name = "TEXT", hide_env_values = true)]
    pub password: Option<Secret>,
    /// File whose first line is the password.
    #[arg(long, value_name = "FILE", conflicts_with = "password")]
    pub password_file: Option<PathBuf>,
    /// Departments to serve, by name, separated by commas.
    #[arg(long, value_delimiter = ',', value_name = "NAME")]
    pub departments: Vec<String>,
    /// Which database.
    #[command(flatten)]
    pub database: Database,
}

/// Offers the roles by the words the API uses.
fn role_parser() -> impl TypedValueParser<Value = Role> {
    PossibleValuesParser::new([Role::Attendant, Role::Supervisor, Role::Manager, Role::Owner].map(Role::as_str))
        .try_map(|word| word.parse::<Role>())
}

#[cfg(test)]
mod tests {
    //! The grammar is sound, and the lines that the documentation shows are understood.
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_grammar_is_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn documented_lines_are_understood() {
        for line in [
            "vez serve --bind 0.0.0.0 --port 80 --database-url postgres://h/d",
            "vez demo --port 0 --data-dir d --agents 200",
            "vez migrate --data-dir d",
            "vez tenant create --slug acme --name Acme --zone America/Sao_Paulo",
            "vez tenant plan acme professional",
            "vez tenant show acme",
            "vez token create --tenant acme --user a@b.example --name CRM --role supervisor --days 90",
            "vez token list --tenant acme",
            "vez token revoke --tenant acme --id 0197348c-0000-7000-8000-000000000000",
            "vez data generate --calls 1000000 --days 90",
            "vez data generate --calls 1 --tenant acme --days 1 --agents 4 --departments 2 --seed 7 --until 2026-02-01",
            "vez export calls --tenant acme --from 2026-02-01 --to 2026-02-18T12:00:00Z --status missed --department Suporte",
            "vez export customers --tenant acme --format ndjson",
            "vez export links --tenant acme --status used --department Suporte --format csv",
            "vez user create --tenant acme --email a@b.example --name Ana --role manager --password-file secret.txt",
        ] {
            if let Err(error) = Cli::try_parse_from(line.split(' ')) {
                panic!("{line}: {error}");
            }
        }
    }

    #[test]
    fn a_password_never_shows() {
        let line = "vez user create --tenant t --email e --name n --password tell-nobody";
        let cli = Cli::try_parse_from(line.split(' ')).unwrap();
        assert!(!format!("{cli:?}").contains("tell-nobody"));
    }

    #[test]
    fn every_flag_has_a_help_text() {
        fn check(command: &clap::Command) {
            for argument in command.get_arguments().filter(|argument| !argument.is_hide_set()) {
                assert!(argument.get_help().is_some(), "{} {}", command.get_name(), argument.get_id());
            }
            command.get_subcommands().for_each(check);
        }
        check(&Cli::command());
    }
}
