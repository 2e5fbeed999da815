//! The whole application over real HTTP and WebSocket against a real Postgres. Each test has an application and a database
//! of its own, so that they run side by side and in any order.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // A test that cannot go on should stop there and say where.

mod api;
mod export_command;
mod harness;
mod hashing;
mod logs;
mod mail;
mod people;
mod persistence;
mod record;
mod scenarios;
mod webhooks;
mod ws;
