//! Long stories over real sockets: many people, chance, and what must be true at the end.

mod appointment;
mod busy_day;
mod one_truth;
pub mod order;
mod transfer;
