//! The rules of agents, told as stories of a small company: a real roster and real queues, joined without delay.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

mod choosing;
mod company;
mod facts;
mod grants;
mod leases;
mod restarts;
mod transfers;
mod words;
mod wrap_ups;
