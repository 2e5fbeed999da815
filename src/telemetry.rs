//! What operators see: logs on the standard error stream, metrics for Prometheus, panics as log lines.
//!
//! Owns: installing the three, once per process, however many servers a test starts in it. Must not: name any metric;
//! each is named by the code it measures.

use std::io::IsTerminal;
use std::panic;
use std::sync::{Once, OnceLock};

use tracing::{Level, Metadata, Subscriber};
use tracing_subscriber::filter::filter_fn;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;

pub use metrics_exporter_prometheus::PrometheusHandle;
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder};
use tracing_subscriber::EnvFilter;

/// Filter of logs, in the syntax of `tracing` (`vez=debug,warn`). Of libraries nothing below `info` is written, whatever it
/// says.
pub const LOG_VARIABLE: &str = "VEZ_LOG";

/// What is logged unless the variable says otherwise: our own progress, others' troubles.
const LOG_DEFAULT: &str = "vez=info,warn";

/// Upper bounds of the latency buckets, in seconds: fine where our promises lie (milliseconds), coarse above.
const SECONDS_BUCKETS: [f64; 14] =
    [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.015, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0];

/// Starts logging and reports panics there. Later calls in the same process change nothing.
///
/// A terminal gets short coloured lines, anything else one JSON object per line.
pub fn init_logs() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let filter = std::env::var(LOG_VARIABLE).unwrap_or_else(|_| LOG_DEFAULT.to_owned());
        // A test may have set a subscriber of its own; then that one stays.
        let installed = if std::io::stderr().is_terminal() {
            let lines = tracing_subscriber::fmt::layer().with_writer(std::io::stderr).compact().with_target(false);
            tracing_subscriber::registry()
                .with(lines)
                .with(env_filter(&filter))
                .with(filter_fn(may_be_written))
                .try_init()
        } else {
            json_lines(&filter, std::io::stderr).try_init()
        };
        if installed.is_ok() {
            report_panics();
        }
    });
}

/// One JSON object per line on `writer`, of what `filter` lets through.
pub fn json_lines<W>(filter: &str, writer: W) -> impl Subscriber + Send + Sync
where
    W: for<'writer> MakeWriter<'writer> + Send + Sync + 'static,
{
    let lines = tracing_subscriber::fmt::layer()
        .with_writer(writer)
        .json()
        .flatten_event(true)
        .with_current_span(true)
        .with_span_list(false);
    tracing_subscriber::registry().with(lines).with(env_filter(filter)).with(filter_fn(may_be_written))
}

fn env_filter(filter: &str) -> EnvFilter {
    EnvFilter::try_new(filter).unwrap_or_else(|_| EnvFilter::new(LOG_DEFAULT))
}

/// Libraries write down at their lower levels what passes through them: heads of requests with the tokens in them, frames,
/// mails. However curious the operator is, none of that is written; of our own code everything may be.
fn may_be_written(of: &Metadata<'_>) -> bool {
    let ours = of.target().split("::").next() == Some(env!("CARGO_CRATE_NAME"));
    ours || *of.level() <= Level::INFO
}

/// The recorder of all metrics; its `render()` is what `/metrics` answers. Every call returns the same one.
pub fn metrics() -> PrometheusHandle {
    static HANDLE: OnceLock<PrometheusHandle> = OnceLock::new();
    HANDLE
        .get_or_init(|| {
            let builder = PrometheusBuilder::new();
            let recorder = builder
                .set_buckets_for_metric(Matcher::Suffix("_seconds".to_owned()), &SECONDS_BUCKETS)
                // Only an empty list is refused, and ours is not.
                .unwrap_or_else(|_| PrometheusBuilder::new())
                .build_recorder();
            let handle = recorder.handle();
            if metrics::set_global_recorder(recorder).is_err() {
                tracing::warn!("another recorder of metrics is installed; /metrics stays empty");
            }
            handle
        })
        .clone()
}

/// Logs where a panic happened before whoever supervises the task deals with it.
fn report_panics() {
    panic::set_hook(Box::new(|info| {
        let message = info.payload_as_str().unwrap_or("no message");
        let place = info.location().map(ToString::to_string).unwrap_or_default();
        let backtrace = std::backtrace::Backtrace::capture();
        let thread = std::thread::current();
        tracing::error!(place, thread = thread.name(), %backtrace, "panic: {message}");
    }));
}

#[cfg(test)]
mod tests {
    #[test]
    fn many_servers_share_one_recorder() {
        super::init_logs();
        super::init_logs();
        let first = super::metrics();
        metrics::counter!("vez_test_total").increment(1);
        metrics::histogram!("vez_test_seconds").record(0.004);
        assert_eq!(first.render(), super::metrics().render());
        assert!(first.render().contains("vez_test_total 1"));
        assert!(first.render().contains("vez_test_seconds_bucket{le=\"0.005\"} 1"));
    }
}
