//! Owns the REST side: routes, envelopes, errors, limits, and the order in which a request passes through them. Rules of
//! the queue and of storage are elsewhere; a route reads, asks, answers.
//!
//! | file | owns |
//! |---|---|
//! | `state` | what every route may reach |
//! | `caller`, `token_memory` | who sends the request, and the least role a route takes |
//! | `logins`, `proof` | what a login is, from its account to its end; showing once more who one is |
//! | `input` | bodies, query and path parameters |
//! | `idempotency` | answers given again |
//! | `openapi` | the description of the API |
//! | `envelope`, `error` | the shapes of good and bad answers |
//! | `foreign_errors` | bad answers in other products' shapes |
//! | `public_url` | how this server is called from outside |
//! | `lookups` | small memories of links and of calls' tenants |
//! | `receiving`, `sending`, `exporting` | files in and out, reports |
//! | `event_stream` | the event feed for who stays |
//! | `rate_limit`, `request_log`, `security_headers` | what surrounds every route |
//! | `carry_through` | changes whose clients hang up |
//! | `pages` | the few pages this server shows itself |
//! | `routes/*` | one resource each |

use axum::Router;
use axum::extract::{DefaultBodyLimit, FromRef};
use axum::http::header::{
    ACCEPT_RANGES, AUTHORIZATION, CACHE_CONTROL, CONTENT_DISPOSITION, CONTENT_RANGE, CONTENT_TYPE, ETAG, IF_RANGE,
    RANGE, RETRY_AFTER,
};
use axum::http::{HeaderName, HeaderValue, Method};
use axum::middleware::{from_fn, from_fn_with_state, map_response};
use axum::response::Response;
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::cors::CorsLayer;
use utoipa_axum::router::OpenApiRouter;

pub mod caller;
mod carry_through;
pub mod envelope;
pub mod error;
mod event_stream;
pub mod exporting;
pub mod foreign_errors;
pub mod idempotency;
pub mod input;
pub mod logins;
pub mod lookups;
pub mod openapi;
pub mod pages;
pub mod proof;
pub mod public_url;
pub mod rate_limit;
pub mod receiving;
pub mod request_log;
pub mod routes;
pub mod security_headers;
pub mod sending;
pub mod state;
mod token_memory;

pub use state::{AppState, Readiness};

use crate::domain::clock::Clock;
use crate::domain::ids::IdSource;
use carry_through::{ABANDONED_MAX, Places};
use rate_limit::RateLimits;
use security_headers::SecurityHeaders;

/// How long a browser may remember what origins are allowed, in seconds: the longest Chromium honours.
const CORS_SECONDS: u64 = 7_200;

/// Everything that is served: the REST routes and `others` (the sockets, later the web app), which pass through the same
/// log and panic guard. Serve it with `into_make_service_with_connect_info::<SocketAddr>()`, else all clients look alike.
pub fn router(state: AppState, others: Router<AppState>) -> Result<Router, String> {
    let (api, document) = api(&state).split_for_parts();
    let description = openapi::routes(&document)?;
    let pages = routes::reset_page::routes().route_layer(from_fn_with_state(state.clone(), rate_limit::limit_auth));
    let api = Router::new().merge(api).merge(pages).layer(map_response(never_cache));
    let routes = Router::new().merge(api).merge(description).merge(routes::health::routes()).merge(others);
    let (body_bytes_max, origins) = (state.body_bytes_max, state.origins.clone());
    let security = SecurityHeaders::new(state.public_url.is_https(), &origins);
    Ok(surround(routes, state, body_bytes_max, &origins, security))
}

/// Every route of the API, with its description.
pub fn api(state: &AppState) -> OpenApiRouter<AppState> {
    let staff = OpenApiRouter::new()
        .merge(routes::access_links::routes())
        .merge(routes::api_tokens::routes())
        .merge(routes::appointments::routes())
        .merge(routes::audit::routes())
        .merge(routes::billing::routes())
        .merge(routes::call_events::routes())
        .merge(routes::call_messages::routes())
        .merge(routes::call_moves::routes())
        .merge(routes::call_notes::routes())
        .merge(routes::call_tags::routes())
        .merge(routes::calls::routes())
        .merge(routes::calls_export::routes())
        .merge(routes::calls_history::routes())
        .merge(routes::company::routes())
        .merge(routes::customers::routes())
        .merge(routes::department_users::routes())
        .merge(routes::departments::routes())
        .merge(routes::events::routes())
        .merge(routes::exports::routes())
        .merge(routes::me::routes())
        .merge(routes::notifications::routes())
        .merge(routes::providers::routes())
        .merge(routes::recordings::routes())
        .merge(routes::second_factor::routes())
        .merge(routes::sectors::routes())
        .merge(routes::analytics::routes())
        .merge(routes::tags::routes())
        .merge(routes::transcripts::routes())
        .merge(routes::uploads::routes())
        .merge(routes::users::routes())
        .merge(routes::webhook_deliveries::routes())
        .merge(routes::webhooks::routes())
        .route_layer(from_fn(idempotency::read_key));
    let auth = OpenApiRouter::new()
        .merge(routes::auth::routes())
        .merge(routes::second_factor::login_routes())
        .merge(routes::password_reset::routes())
        .route_layer(from_fn_with_state(state.clone(), rate_limit::limit_auth));
    let public = OpenApiRouter::new()
        .merge(routes::appointment_page::routes())
        .merge(routes::public_call::routes())
        .merge(routes::call_status::routes())
        .merge(routes::turn::routes())
        .route_layer(from_fn_with_state(state.clone(), rate_limit::limit_public));
    OpenApiRouter::with_openapi(openapi::skeleton()).merge(staff).merge(auth).merge(public)
}

/// Puts around `routes` what holds for all of them, the last named outermost.
fn surround<S>(
    routes: Router<S>,
    state: S,
    body_bytes_max: usize,
    origins: &[HeaderValue],
    security: SecurityHeaders,
) -> Router
where
    S: Clone + Send + Sync + 'static,
    Clock: FromRef<S>,
    IdSource: FromRef<S>,
    RateLimits: FromRef<S>,
{
    routes
        .fallback(error::unknown_path)
        .method_not_allowed_fallback(error::unknown_method)
        .layer(DefaultBodyLimit::max(body_bytes_max))
        .layer(CatchPanicLayer::custom(error::answer_panic))
        .layer(cors(origins))
        .layer(from_fn_with_state(state.clone(), request_log::log_request))
        .layer(map_response(move |response: Response| std::future::ready(security.on(response))))
        // Outside of the log, which then tells of every change, also of those whose clients left.
        .layer(from_fn_with_state(Places::new(ABANDONED_MAX), carry_through::carry_through))
        .with_state(state)
}

/// Answers hold tokens and contacts: nobody on the way may keep them.
async fn never_cache(mut response: Response) -> Response {
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
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
            caller::TOKEN.clone(),
            HeaderName::from_static("idempotency-key"),
            RANGE,
            IF_RANGE,
            event_stream::LAST_EVENT_ID.clone(),
            request_log::REQUEST_ID.clone(),
        ])
        .expose_headers([
            RETRY_AFTER,
            ACCEPT_RANGES,
            CONTENT_DISPOSITION,
            CONTENT_RANGE,
            ETAG,
            request_log::REQUEST_ID.clone(),
        ])
        .max_age(std::time::Duration::from_secs(CORS_SECONDS))
}

#[cfg(test)]
mod tests {
    //! What surrounds every route, seen from outside.
    #![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

    use axum::body::Body as HttpBody;
    use axum::http::{Request, StatusCode};
    use axum::routing::{get, post};
    use http_body_util::BodyExt;
    use serde_json::{Value, json};
    use tower::ServiceExt;

    use super::*;
    use crate::auth::{Revocations, Tokens};
    use crate::config::{Limits, Server};
    use crate::domain::clock::Timestamp;
    use crate::http::caller::{Callers, Supervisor};
    use crate::http::envelope::Data;
    use crate::http::error::ApiError;
    use crate::http::input::{Body, Fields, Ids, Input};

    #[derive(Clone, FromRef)]
    struct Parts {
        clock: Clock,
        ids: IdSource,
        limits: RateLimits,
        callers: Callers,
    }

    struct Name(String);

    impl Input for Name {
        fn read(fields: &mut Fields) -> Self {
            Self(fields.required_text("name", 5))
        }
    }

    fn app() -> Router {
        let clock = Clock::manual(Timestamp::from_micros(1_700_000_000_000_000));
        let parts = Parts {
            limits: RateLimits::new(&Limits::default(), &Server::default(), clock.clone()).unwrap(),
            callers: Callers::new(
                Tokens::new(b"a secret of some length for tests", clock.clone()),
                Revocations::new(clock.clone(), 900),
                None,
            ),
            ids: IdSource::seeded(1),
            clock,
        };
        let nested = Router::new()
            .route("/", post(async |Body(name): Body<Name>| Data::new(name.0)))
            .route("/{id}", get(async |Ids(id): Ids<uuid::Uuid>| Data::new(id)))
            .route("/broken", get(async || -> Data<u8> { panic!("it broke") }))
            .route("/away", get(async || -> Result<Data<u8>, ApiError> { Err(ApiError::unavailable("no database")) }))
            .route("/staff", get(async |_: Supervisor| Data::new(1)));
        let public = Router::new()
            .route("/{token}/validate", get(async || Data::new("validate")))
            .route("/status/{call_id}", get(async || Data::new("status")))
            .route_layer(from_fn_with_state(parts.clone(), rate_limit::limit_public));
        surround(
            Router::new().nest("/things", nested).nest("/call", public),
            parts,
            1_000,
            &[],
            SecurityHeaders::new(false, &[]),
        )
    }

    async fn ask(app: &Router, method: &str, path: &str, body: &str) -> (StatusCode, axum::http::HeaderMap, Value) {
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header("x-request-id", "r-1")
            .body(HttpBody::from(body.to_owned()))
            .unwrap();
        let response = app.clone().oneshot(request).await.unwrap();
        let (parts, body) = response.into_parts();
        let body = body.collect().await.unwrap().to_bytes();
        (parts.status, parts.headers, serde_json::from_slice(&body).unwrap_or(Value::Null))
    }

    #[tokio::test]
    async fn every_answer_is_in_the_envelope_and_names_the_request() {
        let app = app();
        let long = format!("{{\"name\": \"{}\"}}", "x".repeat(1_000));
        let table = [
            ("POST", "/things", "{\"name\": \"Ana\"}", 200, json!({"data": "Ana"})),
            ("POST", "/things", "", 422, json!({"errors": {"name": ["can't be blank"]}})),
            ("POST", "/things", &long, 413, json!({"errors": {"detail": "The request body is too large"}})),
            ("GET", "/things", "", 405, json!({"errors": {"detail": "Method not allowed"}})),
            ("GET", "/things/7", "", 404, json!({"errors": {"detail": "Not found"}})),
            ("GET", "/nowhere", "", 404, json!({"errors": {"detail": "Not found"}})),
            ("GET", "/things/1/2/3", "", 404, json!({"errors": {"detail": "Not found"}})),
            ("GET", "/things/staff", "", 401, json!({"errors": {"detail": "Unauthorized"}})),
            (
                "GET",
                "/things/broken",
                "",
                500,
                json!({"errors": {"detail": "Internal server error", "request_id": "r-1"}}),
            ),
            (
                "GET",
                "/things/away",
                "",
                503,
                json!({"errors": {"detail": error::UNAVAILABLE_DETAIL, "request_id": "r-1"}}),
            ),
            ("GET", "/call/abc/validate", "", 200, json!({"data": "validate"})),
            ("GET", "/call/status/abc", "", 200, json!({"data": "status"})),
            ("GET", "/call/status/validate", "", 200, json!({"data": "status"})),
        ];
        for (method, path, body, status, expected) in table {
            let (got, headers, answer) = ask(&app, method, path, body).await;
            assert_eq!((got.as_u16(), answer), (status, expected), "{method} {path}");
            assert_eq!(headers["x-request-id"], "r-1", "{method} {path}");
        }
        // The server lives on after the panic.
        assert_eq!(ask(&app, "POST", "/things", "{\"name\": \"Bia\"}").await.0, StatusCode::OK);
    }

    #[tokio::test]
    async fn malformed_json_is_a_bad_request() {
        let (status, _, answer) = ask(&app(), "POST", "/things", "{").await;
        assert_eq!(status, StatusCode::BAD_REQUEST);
        assert!(answer["errors"]["detail"].as_str().unwrap().starts_with("Malformed JSON"), "{answer}");
    }

    #[tokio::test]
    async fn the_thirty_first_public_request_waits() {
        let app = app();
        for _ in 0..30 {
            assert_eq!(ask(&app, "GET", "/call/abc/validate", "").await.0, StatusCode::OK);
        }
        let (status, headers, answer) = ask(&app, "GET", "/call/abc/validate", "").await;
        assert_eq!(status, StatusCode::TOO_MANY_REQUESTS);
        assert_eq!(answer, json!({"errors": {"detail": "Too many requests"}}));
        assert!(headers["retry-after"].to_str().unwrap().parse::<u64>().unwrap() >= 1);
        // Other routes are not counted.
        assert_eq!(ask(&app, "GET", "/things/staff", "").await.0, StatusCode::UNAUTHORIZED);
    }
}
