//! Stands in for the actors until they come.

pub mod handle;
