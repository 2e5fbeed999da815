//! Whether a crowd in other departments slows the agents' next offer: the same load without and with a backlog.

use anyhow::Context;
use indicatif::{ProgressBar, ProgressStyle};
use serde::Serialize;

use crate::client::http::Rest;
use crate::departments::Supervisor;
use crate::open_files;
use crate::report::Report;
use crate::run::{Load, run};
use crate::target::Target;
use crate::waiting::Crowd;

/// Departments that share the backlog.
const DEPARTMENTS: usize = 4;
/// The step that is compared.
pub(crate) const COMPARED: &str = "join to offer (an agent was free)";

/// The two runs.
#[derive(Debug, Serialize)]
pub struct BacklogReport {
    pub waiting_elsewhere: usize,
    pub without: Report,
    pub with: Report,
    pub p99_without_ms: f64,
    pub p99_with_ms: f64,
    /// With over without: near 1 when the backlog does not matter.
    pub ratio: f64,
}

impl BacklogReport {
    /// Whether no invariant failed in either run.
    #[must_use]
    pub fn holds(&self) -> bool {
        self.without.invariants.holds() && self.with.invariants.holds()
    }
}

impl std::fmt::Display for BacklogReport {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        writeln!(out, "== nobody waits elsewhere ==\n{}", self.without)?;
        writeln!(out, "== {} customers wait elsewhere ==\n{}", self.waiting_elsewhere, self.with)?;
        writeln!(
            out,
            "join to offer p99: {:.2} ms without, {:.2} ms with {} waiting elsewhere (ratio {:.2})",
            self.p99_without_ms, self.p99_with_ms, self.waiting_elsewhere, self.ratio
        )
    }
}

/// Runs the load twice. The departments of the backlog are made for it and put out of use afterwards.
///
/// # Errors
/// When a run cannot begin or the backlog cannot be made.
pub async fn compare(target: &Target, load: &Load, customers: usize) -> anyhow::Result<BacklogReport> {
    open_files::allow_sockets(customers as u64)?;
    let without = run(target, load).await?;

    let rest = Rest::new(&target.base_url)?;
    let supervisor = Supervisor::login(&rest, target).await?;
    let mut links = Vec::new();
    for number in 1..=DEPARTMENTS {
        let suffix = rand::random::<u32>();
        links.push(supervisor.create_unserved(&format!("Backlog {number} {suffix:08x}")).await?);
    }
    let bar = ProgressBar::new(customers as u64);
    if let Ok(style) = ProgressStyle::with_template("{elapsed_precise} {bar:40} {pos}/{len} waiting elsewhere") {
        bar.set_style(style);
    }
    let mut crowd = Crowd::default();
    crowd.grow(&rest, &links, customers, &bar).await?;
    bar.finish_and_clear();
    let outcome = run(target, load).await;
    crowd.leave().await;
    let supervisor = Supervisor::login(&rest, target).await?;
    for link in &links {
        supervisor.retire(&link.department_id).await.context("a department of the backlog stays in use")?;
    }
    let with = outcome?;
    let (p99_without_ms, p99_with_ms) = (without.latency(COMPARED).p99_ms, with.latency(COMPARED).p99_ms);
    let ratio = if p99_without_ms > 0.0 { p99_with_ms / p99_without_ms } else { 0.0 };
    Ok(BacklogReport { waiting_elsewhere: customers, without, with, p99_without_ms, p99_with_ms, ratio })
}
