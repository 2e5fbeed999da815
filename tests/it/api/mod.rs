//! The REST API, one file for each resource, named as in its URLs; then what holds for all of them.

mod access_links;
mod appointment_page;
mod appointments;
mod api_tokens;
mod audit;
mod auth;
mod bad_input;
mod billing;
mod calls;
mod company;
pub mod call_files;
mod call_tags;
mod calls;
mod customers;
mod departments;
mod every_route;
mod health;
mod idempotency;
mod notifications;
mod links_in_bulk;
mod openapi;
mod origins;
mod providers;
mod password_reset;
mod public_call;
mod rate_limits;
mod recordings;
mod sectors;
mod security_headers;
mod tenancy;
mod transcripts;
mod uploads;
mod second_factor;
mod sectors;
mod seeds;
mod tags;
mod tenancy;
mod users;
mod turn_credentials;
mod users_me;
mod world;

use serde_json::Value;

/// The keys of an object, sorted: the shape of an answer where its values are of the moment.
fn keys(object: &Value) -> Vec<&str> {
    let mut keys: Vec<&str> = object.as_object().unwrap().keys().map(String::as_str).collect();
    keys.sort_unstable();
    keys
}

/// The objects' `field`s, in order.
fn each<'a>(list: &'a Value, field: &str) -> Vec<&'a Value> {
    list.as_array().unwrap().iter().map(|object| &object[field]).collect()
}

/// An id of nothing.
const NOBODY: &str = "00000000-0000-4000-8000-000000000000";
