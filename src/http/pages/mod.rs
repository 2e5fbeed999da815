//! Owns the few pages this server shows itself, where no app of somebody's own stands in front.

pub mod appointment;
