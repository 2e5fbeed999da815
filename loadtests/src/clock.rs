//! The one place where this client reads the machine's clock.
//!
//! It must not be used for anything but measuring and scheduling: what happened when is the server's to say.

use std::time::Instant;

/// Monotonic time, for latencies and schedules.
#[must_use]
#[allow(clippy::disallowed_methods, reason = "an outside client has no injected clock; this is its only reading")]
pub fn now() -> Instant {
    Instant::now()
}
