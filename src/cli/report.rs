//! Owns `vez report`: the figures of a company on the terminal, as `GET /api/v1/analytics/overview` tells them.

use anyhow::{Context as _, ensure};
use chrono::{Days as Calendar, NaiveDate};
use clap::{Args, Subcommand};

use super::commands::{company, must_exist, named_departments, on_database, say};
use crate::config::Database;
use crate::domain::clock::Clock;
use crate::http::input::{DayOrTime, day_of};
use crate::http::routes::analytics::{DAYS, Overview, overview_of};
use crate::reports::Reports;
use crate::reports::analytics::{self, Days};
use crate::store::{ConnectOptions, Store};

/// `vez report ...`.
#[derive(Debug, Subcommand)]
pub enum ReportCommand {
    /// Print the figures of a range of days: calls, service level, waits, handle times, occupancy.
    ///
    /// The same figures as GET /api/v1/analytics/overview, by the company's own calendar.
    Overview(OverviewReport),
}

/// `vez report overview`.
#[derive(Debug, Args)]
#[command(after_help = "Example: vez report overview --tenant acme --from 2026-02-01 --to 2026-02-28")]
pub struct OverviewReport {
    /// The company, by its slug.
    #[arg(long, value_name = "SLUG")]
    pub tenant: String,
    /// The first day [default: 30 days before the last].
    #[arg(long, value_name = "YYYY-MM-DD", value_parser = day)]
    pub from: Option<NaiveDate>,
    /// The last day [default: today].
    #[arg(long, value_name = "YYYY-MM-DD", value_parser = day)]
    pub to: Option<NaiveDate>,
    /// Only this department, by name.
    #[arg(long, value_name = "NAME")]
    pub department: Option<String>,
    /// Print JSON, as the API does.
    #[arg(long)]
    pub json: bool,
    /// Which database.
    #[command(flatten)]
    pub database: Database,
}

/// Does what was asked.
pub async fn run(command: ReportCommand) -> anyhow::Result<()> {
    let ReportCommand::Overview(command) = command;
    must_exist(&command.database)?;
    let figures = on_database(&command.database, async |store: &Store, options: ConnectOptions, clock: &Clock, _| {
        let tenant = company(store, &command.tenant).await?;
        let last = command.to.unwrap_or_else(|| day_of(clock.now(), tenant.time_zone));
        let first = command.from.unwrap_or_else(|| last.checked_sub_days(Calendar::new(DAYS)).unwrap_or(last));
        ensure!(first <= last, "--from {first} is after --to {last}");
        let department = named_departments(store, tenant.id, command.department.as_slice()).await?.pop();
        let days = Days { tenant: tenant.id, first, last, department };
        let mut tx = Reports::connect(options).read(tenant.id).await?;
        ensure!(
            analytics::are_current(&mut tx, tenant.id).await?,
            "the company's figures are being counted anew, by the days of {}; ask again in a minute, with its server running",
            tenant.time_zone
        );
        let figures = analytics::total(&mut tx, &days).await?;
        let waits = analytics::waits(&mut tx, &days).await?;
        let customers = analytics::customers(&mut tx, &days).await?;
        let agents = analytics::agents(&mut tx, &days, clock.now()).await?;
        let occupancy = analytics::summed(&agents).occupancy().filter(|_| days.department.is_none());
        Ok(overview_of(&days, tenant.time_zone.name().to_owned(), &figures, &waits, customers, occupancy))
    })
    .await?;
    match command.json {
        true => say(&serde_json::to_string_pretty(&figures).context("the figures cannot be written")?),
        false => say(&table(&figures)),
    }
    Ok(())
}

fn day(text: &str) -> Result<NaiveDate, String> {
    match DayOrTime::read(text) {
        Some(DayOrTime::Day(day)) => Ok(day),
        _ => Err("write a day such as 2026-02-01".to_owned()),
    }
}

fn table(figures: &Overview) -> String {
    let seconds = |seconds: Option<u64>| seconds.map_or_else(none, |seconds| format!("{seconds} s"));
    let wait = |seconds: Option<i64>| seconds.map_or_else(none, |seconds| format!("{seconds} s"));
    let percent = |rate: Option<f64>| rate.map_or_else(none, |rate| format!("{rate:.1} %"));
    let rows = [
        ("calls that ended", figures.total_calls.to_string()),
        ("  completed", figures.completed_calls.to_string()),
        ("  missed", figures.missed_calls.to_string()),
        ("  cancelled", figures.cancelled_calls.to_string()),
        ("answered", figures.answered_calls.to_string()),
        ("abandoned", format!("{}, {} of them within 5 s", figures.abandoned_calls, figures.short_abandoned_calls)),
        ("service level", percent(figures.service_level)),
        ("abandonment rate", percent(figures.abandonment_rate)),
        ("average speed of answer", seconds(figures.avg_wait_time)),
        ("wait of half, 90 %, 99 %", {
            let waits = &figures.wait_percentiles;
            format!("{}, {}, {}", wait(waits.p50), wait(waits.p90), wait(waits.p99))
        }),
        ("longest wait", wait(figures.longest_wait)),
        ("average talk time", seconds(figures.avg_duration)),
        ("average wrap-up", seconds(figures.avg_wrap_up_time)),
        ("average handle time", seconds(figures.avg_handle_time)),
        ("occupancy", percent(figures.occupancy)),
        ("offers missed, declined", format!("{}, {}", figures.offers_missed, figures.offers_declined)),
        ("transfers", figures.transfers.to_string()),
        ("rating", figures.avg_rating.map_or_else(none, |rating| format!("{rating:.1} of 5"))),
        ("satisfied", percent(figures.satisfaction_rate)),
        ("waits within the estimate", percent(figures.wait_estimate_coverage)),
        ("customers", format!("{}, {} of them new", figures.total_customers, figures.new_customers)),
    ];
    let mut text = format!("{} to {} ({})", figures.date_from, figures.date_to, figures.time_zone);
    for (name, value) in rows {
        text.push_str(&format!("\n{name:<26}{value}"));
    }
    text
}

fn none() -> String {
    "-".to_owned()
}
