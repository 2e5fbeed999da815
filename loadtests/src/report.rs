//! What a run found, as a table for people and as JSON for machines.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::invariants::Verdict;
use crate::latency::{Latencies, STEPS, Summary};

/// The result of one run.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Report {
    /// Customers a second that were meant to come.
    pub arrival_rate: f64,
    pub seconds: f64,
    pub agents: usize,
    /// Share of the customers who opened a socket.
    pub sockets: f64,
    /// Completed calls a second over the measured part.
    pub lifecycles_per_second: f64,
    pub acknowledged_joins: u64,
    pub completed: u64,
    /// By the step's name, in milliseconds.
    pub latencies: Vec<(String, Summary)>,
    pub invariants: Verdict,
    /// Commands repeated because the server asked for it or was away.
    pub retries: u64,
    /// Accepts that came too late, which is no fault.
    pub late_accepts: u64,
    pub errors: BTreeMap<String, u64>,
    /// Whether it was stopped by hand.
    pub interrupted: bool,
}

impl Report {
    /// The summaries of every step.
    #[must_use]
    pub fn summaries(latencies: &Latencies) -> Vec<(String, Summary)> {
        STEPS.iter().map(|(step, name)| ((*name).to_owned(), latencies.summary(*step))).collect()
    }

    /// The summary of one step by its name.
    #[must_use]
    pub fn latency(&self, name: &str) -> Summary {
        self.latencies.iter().find(|(known, _)| known == name).map(|(_, summary)| *summary).unwrap_or_default()
    }
}

impl fmt::Display for Report {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.interrupted {
            writeln!(out, "Stopped by hand; what follows is of the part that ran.")?;
        }
        writeln!(
            out,
            "{:.1} lifecycles/s (join, offer, accept, start, complete) of {:.0} arrivals/s for {:.0} s, {} agents, {:.0} % of customers on sockets",
            self.lifecycles_per_second,
            self.arrival_rate,
            self.seconds,
            self.agents,
            self.sockets * 100.0
        )?;
        writeln!(out, "\n{:<36} {:>8} {:>9} {:>9} {:>9} {:>9}", "milliseconds", "count", "p50", "p90", "p99", "max")?;
        for (name, summary) in &self.latencies {
            let Summary { count, p50_ms, p90_ms, p99_ms, max_ms } = summary;
            writeln!(out, "{name:<36} {count:>8} {p50_ms:>9.2} {p90_ms:>9.2} {p99_ms:>9.2} {max_ms:>9.2}")?;
        }
        let Verdict { lost, doubled, out_of_order, still_waiting, unserved, examples } = &self.invariants;
        let word = if self.invariants.holds() { "hold" } else { "FAILED" };
        writeln!(out, "\ninvariants {word}: {lost} lost, {doubled} doubled, {out_of_order} out of order")?;
        for example in examples {
            writeln!(out, "  {example}")?;
        }
        writeln!(
            out,
            "{} joins acknowledged, {} completed, {still_waiting} still waiting, {unserved} left unserved",
            self.acknowledged_joins, self.completed
        )?;
        let errors: u64 = self.errors.values().sum();
        writeln!(out, "{errors} errors, {} repeats, {} accepts too late", self.retries, self.late_accepts)?;
        for (kind, count) in &self.errors {
            writeln!(out, "  {count} x {kind}")?;
        }
        Ok(())
    }
}
