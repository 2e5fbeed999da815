//! Vez: a real-time call-queue service. Customers wait in a live line, agents are pushed the next one.
//!
//! Owns: the list of modules. A module imports only modules listed above it; `tests/tidy.rs` holds the order.

pub mod domain;

pub mod config;

pub mod telemetry;

pub mod shutdown;

pub mod queue;

pub mod roster;

pub mod live;

pub mod auth;

pub mod mail;

pub mod store;

pub mod files;

pub mod reports;

pub mod actors;

pub mod ws;

pub mod http;

pub mod app;

pub mod cli;
