//! One tenant's agents, as plain values. PURE: no async, no clock, no randomness, no log, no I/O.
//!
//! The contract is the queue's: `apply(now, command, new_grant)` returns the reply and the effects in order, or a
//! rejection that changed nothing; after it the roster has settled and `next_deadline()` says when `Tick` must come.
//!
//! An agent is five facts kept apart (intent, held, lease, slots, profile); "may be offered" is derived from them. A slot
//! is here or lent to one queue as a grant, never both. Queues say their demand; the roster grants the slot of the agent
//! the department's strategy prefers to the queue whose best eligible call is oldest.
//!
//! | file | holds |
//! |---|---|
//! | `effect` | commands, effects, and what is said to agents |
//! | `agent` | the five facts, and what is derived from them |
//! | `state` | the agents, what is known of each queue, every index over them |
//! | `apply` | the dispatch; commands of agents and supervisors |
//! | `slots` | what queues say: demand, offers, outcomes, restarts |
//! | `choosing` | what happens after every command: deadlines, matching, news |
//! | `restore`, `invariants` | coming back from the record; what always holds |

mod agent;
pub mod apply;
mod choosing;
pub mod effect;
pub mod invariants;
mod restore;
mod slots;
pub mod state;

pub use effect::{Applied, Command, Effect, Reply};
pub use state::Roster;

#[cfg(test)]
mod tests;
