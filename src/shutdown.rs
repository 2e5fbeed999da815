//! Stopping in good order.
//!
//! Owns: the two signals every long task waits for, and turning SIGTERM and Ctrl-C into them. Must not: know what is
//! stopped; `app` does it in order.

use std::io;
use std::time::Duration;

use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

/// From the wish to stop to the end of the process, at most.
pub const STOP_WITHIN: Duration = Duration::from_secs(10);

/// The wish to stop, shared by cloning.
///
/// *Soft*: take nothing new, finish what was acknowledged, tell the sockets. *Hard*: drop everything, now.
/// Hard implies soft.
#[derive(Clone, Debug, Default)]
pub struct Shutdown {
    soft: CancellationToken,
    hard: CancellationToken,
}

impl Shutdown {
    /// Nobody wishes to stop yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Wish to stop in good order.
    pub fn begin(&self) {
        self.soft.cancel();
    }

    /// Give up on good order.
    pub fn now(&self) {
        self.soft.cancel();
        self.hard.cancel();
    }

    /// Cancelled once stopping has begun.
    pub fn soft(&self) -> &CancellationToken {
        &self.soft
    }

    /// Cancelled once patience has ended.
    pub fn hard(&self) -> &CancellationToken {
        &self.hard
    }

    /// Whether stopping has begun.
    pub fn has_begun(&self) -> bool {
        self.soft.is_cancelled()
    }

    /// Begins to stop at SIGTERM or Ctrl-C; a second one means now.
    pub fn on_signals(&self) -> io::Result<()> {
        let mut terminate = signal(SignalKind::terminate())?;
        let mut interrupt = signal(SignalKind::interrupt())?;
        let shutdown = self.clone();
        tokio::spawn(async move {
            for received in 0_u32.. {
                let name = tokio::select! {
                    _ = terminate.recv() => "SIGTERM",
                    _ = interrupt.recv() => "SIGINT",
                    () = shutdown.hard.cancelled() => return,
                };
                if received == 0 {
                    tracing::info!(signal = name, "stopping; a second signal stops at once");
                    shutdown.begin();
                } else {
                    tracing::warn!(signal = name, "stopping at once");
                    shutdown.now();
                }
            }
        });
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use nix::sys::signal::{Signal, raise};

    use super::Shutdown;

    #[tokio::test]
    async fn the_first_signal_is_soft_and_the_second_hard() -> std::io::Result<()> {
        let shutdown = Shutdown::new();
        shutdown.on_signals()?;
        assert!(!shutdown.has_begun());
        raise(Signal::SIGTERM)?;
        shutdown.soft().cancelled().await;
        assert!(!shutdown.hard().is_cancelled());
        raise(Signal::SIGINT)?;
        shutdown.hard().cancelled().await;
        Ok(())
    }
}
