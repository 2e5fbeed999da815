//! Owns the words everybody shares: ids, time, roles, calls, agents and the record. It does no I/O, holds no rule of the
//! queue, and imports nothing else of this crate.
//!
//! | word | meaning |
//! |---|---|
//! | tenant | a company; every key begins with it |
//! | department | one queue, and the agents who serve it |
//! | call | one customer's visit: from the join to its end |
//! | slot | one unit of an agent's capacity |
//! | grant | a slot the roster lends to one queue |
//! | offer | a granted slot before one waiting call; the offer's id is its grant's |
//! | present | a customer whose device answers now |
//! | the record | what Postgres has committed |

pub mod agent;
pub mod appointment;
pub mod call;
pub mod clock;
pub mod department;
pub mod ids;
pub mod locale;
pub mod measures;
pub mod network;
pub mod plan;
pub mod record;
pub mod role;
pub mod rules;
pub mod transfer;
pub mod webhook;
pub mod words;
