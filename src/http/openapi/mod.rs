//! Owns the description of the API (OpenAPI 3.1): what `routes!` collected from the handlers, completed with what holds for all
//! of them, served at `/api/openapi.json` and as a page at `/docs` that needs no network. A resource says only what is its own:
//! summary, least role, query, body, good answer; path parameters, errors and examples are added here.
//!
//! - `completion`: operation ids, path parameters, error answers, security
//! - `foreign`: the error answers of routes that speak another product's format
//! - `examples`: values to show, made of the schemas

use std::sync::Arc;

use axum::Router;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::response::IntoResponse;
use axum::routing::get;
use serde_json::Value;
use utoipa::OpenApi;
use utoipa::openapi::OpenApi as Document;
use utoipa_swagger_ui::{Config, SwaggerUi};

mod completion;
mod examples;
mod foreign;

/// Where the description is.
pub const PATH: &str = "/api/openapi.json";

#[derive(OpenApi)]
#[openapi(
    info(
        title = "Vez",
        description = include_str!("introduction.md"),
        license(name = "Apache-2.0", identifier = "Apache-2.0")
    ),
    tags(
        (name = "Authentication", description = "Logging in and out, the second factor, lost passwords."),
        (name = "API tokens", description = "Tokens for programs, which act with a role until they are revoked or expire."),
        (name = "Users", description = "Members of staff."),
        (name = "Departments", description = "Queues, their settings, and who serves them."),
        (name = "Sectors", description = "Groups of departments."),
        (name = "Providers", description = "Companies whose people take calls."),
        (name = "Calls", description = "Customers' visits: their lines, their histories, what was said and written."),
        (name = "Recordings", description = "Recordings, transcripts, summaries and files of calls."),
        (name = "Customers", description = "People who called."),
        (name = "Access links", description = "Links through which customers join."),
        (name = "Appointments", description = "Calls with a date."),
        (name = "Tags", description = "Labels of calls, in a tree."),
        (name = "Notifications", description = "What a member of staff was told."),
        (name = "Webhooks", description = "Events sent to your servers."),
        (name = "Analytics", description = "Figures of whole days: service level, waits, agents' times."),
        (name = "Company", description = "The company itself, its plan, and the trail of what its staff did."),
        (name = "Public", description = "What a customer's page calls: no login, 30 requests a minute and address."),
    )
)]
struct Skeleton;

/// The document to which routes are added.
pub fn skeleton() -> Document {
    Skeleton::openapi()
}

/// The routes that serve `document`, completed. A document that cannot be written is told by its text.
pub fn routes<S: Clone + Send + Sync + 'static>(document: &Document) -> Result<Router<S>, String> {
    let text: Arc<str> = complete(document)?.to_string().into();
    let page = SwaggerUi::new("/docs").config(Config::new([PATH]).try_it_out_enabled(true).persist_authorization(true));
    let serve = move || {
        let text = text.clone();
        async move {
            let headers = [(CONTENT_TYPE, "application/json"), (CACHE_CONTROL, "public, max-age=300")];
            (headers, text.to_string()).into_response()
        }
    };
    Ok(Router::new().route(PATH, get(serve)).merge(page))
}

/// The description as it is served.
pub fn complete(document: &Document) -> Result<Value, String> {
    let mut value = serde_json::to_value(document).map_err(|error| format!("the API cannot be described: {error}"))?;
    completion::complete(&mut value);
    examples::add(&mut value);
    Ok(value)
}
