//! Owns the REST side: routes, envelopes, errors, limits, and the order in which a request passes through them. Rules of
//! the queue and of storage are elsewhere; a route reads, asks, answers.
//!
//! | file | owns |
//! |---|---|
//! | `state` | what every route may reach |
//! | `caller` | who sends the request, and the least role a route takes |
//! | `input` | bodies, query and path parameters |
//! | `envelope`, `error` | the shapes of good and bad answers |
//! | `public_url` | how this server is called from outside |
//! | `lookups` | small memories of links and of calls' tenants |
//! | `rate_limit`, `request_log` | what surrounds every route |
//! | `routes/*` | one resource each |

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::http::header::{AUTHORIZATION, CACHE_CONTROL, CONTENT_TYPE, RETRY_AFTER, X_CONTENT_TYPE_OPTIONS};
use axum::http::{HeaderName, HeaderValue, Method};
use axum::middleware::{from_fn_with_state, map_response};
use axum::response::Response;
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::cors::CorsLayer;

pub mod caller;
pub mod envelope;
pub mod error;
pub mod input;
pub mod lookups;
pub mod public_url;
pub mod rate_limit;
pub mod request_log;
pub mod routes;
pub mod state;

pub use state::{AppState, Readiness};

/// How long a browser may remember what origins are allowed, in seconds: the longest Chromium honours.
const CORS_SECONDS: u64 = 7_200;

/// Everything that is served: the REST routes and `others` (the sockets, later the web app), which pass through the same
/// log and panic guard. Serve it with `into_make_service_with_connect_info::<SocketAddr>()`, else all clients look alike.
pub fn router(state: AppState, others: Router<AppState>) -> Router {
    let api = Router::new()
        .nest(
            "/api/auth",
            routes::auth::routes().route_layer(from_fn_with_state(state.clone(), rate_limit::limit_auth)),
        )
        .nest("/api/v1/users", routes::users::routes())
        .nest("/api/v1/departments", routes::departments::routes())
        .nest("/api/v1/access-links", routes::access_links::routes())
        .nest("/api/v1/calls", routes::calls::routes())
        .nest(
            "/api/v1/call",
            routes::public_call::routes().route_layer(from_fn_with_state(state.clone(), rate_limit::limit_public)),
        )
        .layer(map_response(never_cache));
    Router::new()
        .merge(api)
        .merge(routes::health::routes())
        .merge(others)
        .fallback(error::unknown_path)
        .method_not_allowed_fallback(error::unknown_method)
        .layer(DefaultBodyLimit::max(state.body_bytes_max))
        .layer(cors(&state.origins))
        .layer(CatchPanicLayer::custom(error::answer_panic))
        .layer(from_fn_with_state(state.clone(), request_log::log_request))
        .with_state(state)
}

/// Answers hold tokens and contacts: nobody on the way may keep them or take them for something else.
async fn never_cache(mut response: Response) -> Response {
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response.headers_mut().insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    response
}

/// Which pages of other hosts may call us from a browser. Tokens are in headers, never in cookies, so none are allowed.
fn cors(origins: &[HeaderValue]) -> CorsLayer {
    CorsLayer::new()
        .allow_origin(origins.to_vec())
        .allow_methods([Method::GET, Method::POST, Method::PUT, Method::DELETE])
        .allow_headers([
            AUTHORIZATION,
            CONTENT_TYPE,
            HeaderName::from_static("x-tenant"),
            HeaderName::from_static("idempotency-key"),
            request_log::REQUEST_ID.clone(),
        ])
        .expose_headers([RETRY_AFTER, request_log::REQUEST_ID.clone()])
        .max_age(std::time::Duration::from_secs(CORS_SECONDS))
}
