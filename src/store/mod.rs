//! Owns every statement that changes the database, one file per aggregate, and the rule that a tenant's rows are only
//! reached in that tenant's name: every function of a tenant takes its `TenantId` first (after the store itself), opens
//! a transaction that names it, and row-level security hides all others. It decides nothing about calls or agents; it
//! must not import the actors, sockets or routes that stand below it.
//!
//! | file | owns |
//! |---|---|
//! | `embedded` | the private Postgres process |
//! | `connect` | pools, roles, the tenant's transaction |
//! | `bells` | who is woken by a commit |
//! | `error` | what may go wrong, by SQLSTATE |
//! | `page`, `name_search` | pages, sorting and searches of lists |
//! | `lists` | how many lists are read at once, and giving one up |
//! | `migrate` | migrations and roles |
//! | `ownership` | one process owns one database |
//! | `record` | the group commit of the record |
//! | `restore` | what queues and tenants are rebuilt from |
//! | `events` | the tenant's numbered feed of facts: appending to it |
//! | `feed` | reading it by a cursor, throwing away what is old |
//! | `generated` | histories that `vez data generate` makes up |
//! | `numbers` | committed blocks of numbers |
//! | `work` | the transaction in which staff change rows, with its author |
//! | the rest | one aggregate each |
//!
//! Whoever locks several rows of a company locks them in this order, so that nobody waits in a circle:
//!
//! 1. its row of `tenants` (`plans::lock`);
//! 2. its row of `tenant_counters`, by taking numbers or appending to its feed;
//! 3. calls, agents and whatever else it has;
//! 4. its sums, which triggers write, in the order of their keys.
//!
//! A batch of the record locks several companies' counters, in the order of their ids, before any call.

pub mod accounts;
pub mod api_tokens;
pub mod appointment_changes;
pub mod appointment_followers;
pub mod appointment_news;
pub mod appointments;
pub mod audit;
mod bells;
mod call_list;
pub mod call_messages;
pub mod call_notes;
pub mod call_tags;
pub mod call_timeline;
pub mod calls;
mod connect;
pub mod customer_erasure;
pub mod customer_merges;
pub mod customers;
mod department_removal;
pub mod departments;
pub mod embedded;
mod error;
pub mod events;
pub mod feed;
mod feed_bells;
pub mod generated;
pub mod idempotency;
mod identifiers;
mod link_filter;
pub mod links;
mod lists;
pub mod mails;
mod members;
mod migrate;
mod name_search;
pub mod notifications;
pub mod numbers;
pub mod ownership;
mod page;
pub mod password_resets;
pub mod plans;
pub mod providers;
mod ratings;
pub mod record;
mod record_columns;
pub mod recordings;
pub mod recount;
pub mod restore;
mod restore_rows;
pub mod rollups;
pub mod second_factors;
pub mod sectors;
pub mod sessions;
pub mod tags;
pub mod tenants;
pub mod transcripts;
mod turns;
pub mod unfinished_files;
pub mod uploads;
pub mod users;
pub mod webhooks;
mod work;

/// How to reach a Postgres; whoever starts the server passes it on unread.
pub use sqlx::postgres::PgConnectOptions as ConnectOptions;

pub use bells::{Bell, Bells};
pub use connect::{Store, Transaction, begin_in_time, in_time};
pub use error::{Result, StoreError};
pub use feed_bells::{FeedBells, FeedListener, Full, LISTENERS_MAX, LISTENERS_PER_COMPANY_MAX};
pub use members::Membership;
pub use migrate::{migrate, migrate_unserved};
pub use page::{PAGE_SIZE_MAX, Page, Paged, Sort, SortOrder};
pub use work::{Author, Work};
