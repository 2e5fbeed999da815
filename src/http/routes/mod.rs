//! Owns nothing but the list of resources; each file has its own `routes()`.

pub mod access_links;
pub mod audit;
pub mod auth;
pub mod call_status;
pub mod calls;
pub mod departments;
pub mod health;
pub mod public_call;
pub mod recordings;
pub mod sectors;
pub mod transcripts;
pub mod uploads;
pub mod users;
