//! The outside clients of Vez: customers, agents, and the measuring of what the server does to them.
//!
//! It shares no code with the server on purpose: it knows only the public REST and WebSocket contract, so that
//! a mistake in the server cannot hide in code that both sides use. Read in this order: [`client`] speaks the
//! protocols, [`customers`] and [`agents`] behave, [`ledger`] remembers what was acknowledged, [`invariants`]
//! judges it, [`run`] puts it together.

pub mod agents;
pub mod arrivals;
pub mod backlog;
pub mod client;
pub mod clock;
pub mod customers;
pub mod departments;
pub mod exports;
pub mod fleet;
pub mod invariants;
pub mod latency;
pub mod ledger;
pub mod logins;
pub mod open_files;
pub mod pairs;
pub mod report;
pub mod run;
pub mod target;
pub mod waiting;
pub mod world;
