//! The REST API, one file for each resource, named as in its URLs; then what holds for all of them.

mod access_links;
mod analytics;
mod api_tokens;
mod appointment_page;
mod appointments;
mod audit;
mod auth;
mod bad_input;
mod billing;
pub mod call_files;
mod call_moves;
mod call_notes;
mod call_tags;
mod calls;
mod calls_export;
mod calls_history;
mod calls_history_fields;
mod company;
mod customers;
mod departments;
mod events;
mod every_route;
pub mod exported;
mod exports;
mod exports_csv;
mod exports_stream;
mod hang_ups;
mod health;
mod idempotency;
mod links_in_bulk;
mod notifications;
mod openapi;
mod origins;
mod password_reset;
mod past_calls;
mod providers;
mod public_call;
mod rate_limits;
mod recordings;
mod second_factor;
mod sectors;
mod security_headers;
mod seeds;
mod tags;
mod tenancy;
mod transcripts;
mod turn_credentials;
mod uploads;
mod users;
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
