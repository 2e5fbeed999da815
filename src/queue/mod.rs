//! One department's line, offers and calls, as plain values. PURE: no async, no clock, no randomness, no log, no I/O.
//!
//! The contract: `apply(now, command)` returns the reply and the effects, in order, or a rejection that changed nothing.
//! After it the queue has *settled*: what was due is done, the roster has heard the demand, every invariant holds, and
//! `next_deadline()` says when `Tick` must come.
//!
//! ```text
//!            join                grant               accept            start             complete
//!   (nobody) ----> waiting <----------------> offered -----> assigned -----> active -------------> ended
//!                    ^   \  decline, time-out,                  |               |                    ^
//!                    |    \ withdrawn                           | not started   | agent lost         |
//!                    |     `--- pick ------------------------>  | in 60 s       | for 120 s          |
//!                    `------------------------------------------'---------------'                    |
//!   leave, away past the grace, wait limit, staff, link cancelled: from every state -----------------'
//!   transfer: from every open state to waiting, here or in the queue of another department, which adopts the call
//! ```
//!
//! | file | holds |
//! |---|---|
//! | `command`, `rejection` | what may be asked, and why it may be refused |
//! | `effect`, `event`, `exchange` | what is asked of the outside, told to clients, told to the roster |
//! | `state`, `recent` | the calls and every index over them; what is over and may be asked about |
//! | `apply` | the dispatch |
//! | `waiting`, `offer`, `lifecycle` | joins and presence; grants, offers and picks; from assignment to end |
//! | `transfer` | giving a call to another department or agent, and adopting one |
//! | `settle` | what happens after every command |
//! | `line`, `positions`, `wait` | the ordered tree, who is told a new place when, the wait estimate |
//! | `view` | the fold of what is committed: what snapshots and stats show |
//! | `restore`, `invariants` | coming back from the record; what always holds |

pub mod apply;
pub mod command;
pub mod effect;
pub mod event;
pub mod exchange;
pub mod invariants;
pub mod lifecycle;
pub mod line;
pub mod offer;
mod positions;
mod recent;
pub mod rejection;
pub mod restore;
mod settle;
pub mod state;
mod transfer;
pub mod view;
pub mod wait;
pub mod waiting;

pub use apply::{Applied, Reply};
pub use command::{Command, NewCall, Party};
pub use effect::Effect;
pub use rejection::Rejection;
pub use state::Queue;

#[cfg(test)]
pub(crate) mod tests;
