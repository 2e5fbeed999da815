//! The same load with and without a burden, in turns. One run of each compares a server as it started with one that has
//! worked for a while: its tables are analysed and cleaned meanwhile, which alone can treble a 99th percentile. In turns both
//! sides meet the same, and their medians are compared.

use serde::Serialize;

use crate::backlog::COMPARED;
use crate::report::Report;

/// Reports of runs in turns: one without the burden, one with it, and so on.
#[derive(Debug, Default, Serialize)]
pub struct Pairs {
    pub without: Vec<Report>,
    pub with: Vec<Report>,
}

impl Pairs {
    /// Whether no invariant failed in any run.
    #[must_use]
    pub fn hold(&self) -> bool {
        self.without.iter().chain(&self.with).all(|report| report.invariants.holds())
    }

    /// The medians of join to offer's 99th percentiles in milliseconds: without and with the burden.
    #[must_use]
    pub fn p99_ms(&self) -> (f64, f64) {
        (median(&self.without), median(&self.with))
    }
}

/// With over without: near 1 when the burden does not matter; 0 when there is nothing to compare.
#[must_use]
pub fn ratio((without, with): (f64, f64)) -> f64 {
    if without > 0.0 { with / without } else { 0.0 }
}

fn median(reports: &[Report]) -> f64 {
    let mut values: Vec<f64> = reports.iter().map(|report| report.latency(COMPARED).p99_ms).collect();
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::latency::Summary;

    fn report(p99_ms: f64) -> Report {
        let summary = Summary { p99_ms, ..Summary::default() };
        Report { latencies: vec![(COMPARED.to_owned(), summary)], ..Report::default() }
    }

    #[test]
    fn medians_are_compared() {
        let reports = |values: [f64; 3]| values.map(report).into();
        let pairs = Pairs { without: reports([2.0, 9.0, 4.0]), with: reports([5.0, 1.0, 40.0]) };
        assert_eq!(pairs.p99_ms(), (4.0, 5.0));
        assert!((ratio(pairs.p99_ms()) - 1.25).abs() < 1e-9);
        assert!(ratio((0.0, 3.0)).abs() < 1e-9);
    }
}
