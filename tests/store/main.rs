//! The store against a real Postgres: tenancy, the record's rules, ownership, and the aggregates of the spine.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // A test that cannot go on should stop there and say where.

mod calls;
mod cut;
mod feed;
mod generated;
mod lists;
mod owner;
mod record;
mod recount;
mod scratch;
mod staff;
mod sweeps;
mod tenancy;
mod webhooks;
mod world;
