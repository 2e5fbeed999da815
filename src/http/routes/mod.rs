//! Owns nothing but the list of resources; each file has its own `routes()`.

pub mod access_links;
pub mod api_tokens;
mod appointment_input;
pub mod appointment_page;
pub mod appointments;
pub mod audit;
pub mod auth;
pub mod call_status;
pub mod call_tags;
pub mod calls;
pub mod customers;
pub mod departments;
pub mod health;
pub mod notifications;
pub mod password_reset;
pub mod public_call;
pub mod recordings;
pub mod second_factor;
pub mod sectors;
pub mod tags;
pub mod transcripts;
pub mod turn;
pub mod uploads;
pub mod users;
pub mod webhook_deliveries;
pub mod webhooks;
