//! The WebSocket contract (realtime.md), by what a client sees.

mod access;
mod calls;
mod limits;
mod offers;
mod picks;
mod presence;
mod sequence;
mod signalling;
mod wrap_ups;
