//! Owns nothing but the list of resources; each file has its own `routes()`.

pub mod access_links;
pub mod api_tokens;
pub mod audit;
pub mod auth;
pub mod call_status;
pub mod calls;
pub mod departments;
pub mod health;
pub mod password_reset;
pub mod public_call;
pub mod second_factor;
pub mod sectors;
pub mod users;
