//! The rules of one queue, told as stories. The queue is alone on its stage: the stories play the roster themselves.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

mod desk;
mod ends;
mod offers;
mod oracle;
mod order;
mod outages;
mod picks;
mod presence;
pub(crate) mod story;
mod transfers;
