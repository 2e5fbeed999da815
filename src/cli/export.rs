//! `vez export`: the exports of the API, from the command line and without a server.
//!
//! Owns: its grammar, the bar that shows how far it is, and what is said when it fails. The file goes to the standard output and
//! everything else to the standard error. Must not: know a column; those are `reports`'.

use std::io::{self, Write as _};

use anyhow::{Context as _, bail};
use clap::builder::PossibleValuesParser;
use clap::{Args, Subcommand};
use futures_util::StreamExt as _;
use indicatif::ProgressBar;

use super::commands::{company, must_exist, named_departments, on_database};
use super::progress;
use crate::config::Database;
use crate::domain::call::Status;
use crate::domain::clock::{Clock, Timestamp};
use crate::domain::ids::DepartmentId;
use crate::domain::words::Word;
use crate::http::input::{DateRange, DayOrTime};
use crate::http::routes::exports::DAYS;
use crate::reports::calls_csv::{self, Calls};
use crate::reports::customers_csv::{self, Customers};
use crate::reports::links_csv::{self, Links};
use crate::reports::{Format, Reports, Selection, Table};
use crate::store::links::LinkStatus;
use crate::store::{ConnectOptions, Store, tenants};

/// `vez export ...`.
#[derive(Debug, Subcommand)]
pub enum ExportCommand {
    /// Export calls, the oldest first.
    ///
    /// With the private Postgres, stop the server first (or export over its API); with DATABASE_URL this works beside it.
    Calls(ExportCalls),
    /// Export all customers.
    Customers(ExportCustomers),
    /// Export access links.
    Links(ExportLinks),
}

/// `vez export calls`.
#[derive(Debug, Args)]
#[command(after_help = "Example: vez export calls --tenant acme --from 2026-02-01 --to 2026-02-18 > calls.csv")]
pub struct ExportCalls {
    /// The first day, in the company's zone, or a time in ISO 8601 (without an offset by the company's clocks); without it 30 days before
    /// the last.
    #[arg(long, value_name = "DATE", value_parser = date)]
    pub from: Option<DayOrTime>,
    /// The last day, or a time; today without it.
    #[arg(long, value_name = "DATE", value_parser = date)]
    pub to: Option<DayOrTime>,
    /// Only those with this status.
    #[arg(long, value_name = "STATUS", value_parser = PossibleValuesParser::new(Status::WORDS))]
    pub status: Option<String>,
    /// Only those of this department, by name.
    #[arg(long, value_name = "NAME")]
    pub department: Option<String>,
    #[command(flatten)]
    pub out: Out,
}

/// `vez export customers`.
#[derive(Debug, Args)]
#[command(after_help = "Example: vez export customers --tenant acme > customers.csv")]
pub struct ExportCustomers {
    #[command(flatten)]
    pub out: Out,
}

/// `vez export links`.
#[derive(Debug, Args)]
#[command(after_help = "Example: vez export links --tenant acme --status used > links.csv")]
pub struct ExportLinks {
    /// Only those with this status.
    #[arg(long, value_name = "STATUS", value_parser = PossibleValuesParser::new(LinkStatus::WORDS))]
    pub status: Option<String>,
    /// Only those of this department, by name.
    #[arg(long, value_name = "NAME")]
    pub department: Option<String>,
    #[command(flatten)]
    pub out: Out,
}

/// Whose rows, and as what.
#[derive(Debug, Args)]
pub struct Out {
    /// The company, by its slug.
    #[arg(long, value_name = "SLUG")]
    pub tenant: String,
    /// How rows are written.
    #[arg(long, value_name = "FORMAT", default_value = "csv", value_parser = PossibleValuesParser::new(Format::WORDS))]
    pub format: String,
    /// Which database.
    #[command(flatten)]
    pub database: Database,
}

fn date(text: &str) -> Result<DayOrTime, String> {
    DayOrTime::read(text)
        .ok_or_else(|| "write a day such as 2026-02-01, or a time such as 2026-02-01T12:00:00Z".to_owned())
}

/// What is asked of the database, once the company is known.
struct Asked {
    selection: Box<dyn Selection>,
    table: Table,
}

/// Does what was asked.
pub async fn run(command: ExportCommand) -> anyhow::Result<()> {
    match command {
        ExportCommand::Calls(ExportCalls { from, to, status, department, out }) => {
            let status = status.as_deref().and_then(Status::parse);
            let range = DateRange { from, to };
            export(out, async |store, tenant, now| {
                let span = range.span(tenant.time_zone, now, DAYS).context("--from must not be after --to")?;
                let department = department_of(store, tenant, department).await?;
                let calls = Calls { tenant: tenant.id, from: span.from, to: span.to, status, department };
                Ok(Asked { selection: Box::new(calls), table: calls_csv::COLUMNS })
            })
            .await
        }
        ExportCommand::Customers(ExportCustomers { out }) => {
            export(out, async |_, tenant, _| {
                let customers = Customers { tenant: tenant.id };
                Ok(Asked { selection: Box::new(customers), table: customers_csv::COLUMNS })
            })
            .await
        }
        ExportCommand::Links(ExportLinks { status, department, out }) => {
            let status = status.as_deref().and_then(LinkStatus::parse);
            export(out, async |store, tenant, now| {
                let department = department_of(store, tenant, department).await?;
                let links = Links { tenant: tenant.id, status, department, now };
                Ok(Asked { selection: Box::new(links), table: links_csv::COLUMNS })
            })
            .await
        }
    }
}

async fn department_of(
    store: &Store,
    tenant: &tenants::Tenant,
    name: Option<String>,
) -> anyhow::Result<Option<DepartmentId>> {
    let Some(name) = name else { return Ok(None) };
    Ok(named_departments(store, tenant.id, &[name]).await?.pop())
}

async fn export(
    out: Out,
    ask: impl AsyncFnOnce(&Store, &tenants::Tenant, Timestamp) -> anyhow::Result<Asked>,
) -> anyhow::Result<()> {
    let format = Format::parse(&out.format).unwrap_or_default();
    must_exist(&out.database)?;
    on_database(&out.database, async |store: &Store, options: ConnectOptions, clock: &Clock, _| {
        let tenant = company(store, &out.tenant).await?;
        let asked = ask(store, &tenant, clock.now()).await?;
        let reports = Reports::connect(options);
        let written = write(&reports, &tenant, &asked, format).await;
        reports.close().await;
        written
    })
    .await
}

/// Writes the file. What came before a failure is out already, so the failure says that the file is not whole. Whoever reads it
/// may stop (`| head`): then there is nothing to say.
async fn write(reports: &Reports, tenant: &tenants::Tenant, asked: &Asked, format: Format) -> anyhow::Result<()> {
    let bar = if progress::is_shown() {
        let total = reports.count(tenant.id, &*asked.selection).await?;
        progress::bar(u64::try_from(total).unwrap_or(0), "rows")
    } else {
        ProgressBar::hidden()
    };
    let mut rows = reports.stream(tenant.id, &*asked.selection, format.encoder(asked.table)).await?;
    let mut out = io::stdout().lock();
    let failed = loop {
        match rows.next().await {
            None => break out.flush().err().map(anyhow::Error::from),
            Some(Err(error)) => break Some(error.into()),
            Some(Ok(bytes)) => {
                if let Err(error) = out.write_all(&bytes) {
                    break Some(error.into());
                }
                bar.set_position(rows.rows());
            }
        }
    };
    bar.finish_and_clear();
    let Some(error) = failed else { return Ok(()) };
    if error.downcast_ref::<io::Error>().is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe) {
        return Ok(());
    }
    let _ = out.flush();
    // Rows are counted when all of their batch is out.
    bail!("the file is not complete: it broke off after {} rows or some more: {error:#}", rows.rows());
}
