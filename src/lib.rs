//! Vez: a real-time call-queue service. Customers wait in a live line, agents are pushed the next one.
//!
//! The modules stand in the order of the layers: each imports only what is above it (`tests/tidy.rs` holds that).

pub mod domain;

pub mod config;

pub mod live;

pub mod auth;

pub mod store;

pub mod actors;

pub mod ws;
