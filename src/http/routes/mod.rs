//! Owns nothing but the list of resources; each file has its own `routes()`.

pub mod access_links;
pub mod audit;
pub mod auth;
pub mod billing;
pub mod call_status;
pub mod call_events;
pub mod call_messages;
pub mod call_moves;
pub mod call_notes;
pub mod call_tags;
pub mod calls;
pub mod company;
pub mod department_users;
pub mod customers;
pub mod departments;
pub mod health;
pub mod me;
pub mod providers;
pub mod public_call;
pub mod sectors;
pub mod tags;
pub mod turn;
pub mod users;
pub mod webhook_deliveries;
pub mod webhooks;
