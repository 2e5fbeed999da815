//! The `vez` program: reads the command line, starts the runtime, ends with a sentence and code 1 when a command fails.
//!
//! Owns: the allocator and the runtime. Must not: do anything a test could not do through the library.

use std::process::ExitCode;

use clap::Parser;
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use vez::cli::{Cli, commands};
use vez::telemetry;

/// Measured smaller and faster than the system's allocator with many sockets.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let cli = Cli::parse();
    telemetry::init_logs();
    allow_many_sockets();
    let done = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(anyhow::Error::from)
        .and_then(|runtime| runtime.block_on(commands::run(cli)));
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // Spelled for a person; the log has the details.
            eprintln!("vez: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Every socket is an open file, and the usual soft limit of 1,024 ends a queue of a thousand customers.
fn allow_many_sockets() {
    let raised = getrlimit(Resource::RLIMIT_NOFILE)
        .and_then(|(_, hard)| setrlimit(Resource::RLIMIT_NOFILE, hard, hard).map(|()| hard));
    if let Err(error) = raised {
        tracing::warn!(%error, "cannot raise the limit of open files; see `ulimit -n`");
    }
}
