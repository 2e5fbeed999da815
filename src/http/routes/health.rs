//! Owns what machines ask about this server: whether it lives, whether it should be sent requests, its metrics.

use std::time::Duration;

use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use axum::routing::get;
use axum::{Json, Router};
use metrics_exporter_prometheus::PrometheusHandle;
use serde::Serialize;

use crate::http::state::{AppState, Readiness};
use crate::store::Store;

/// How long the database may take to answer before the server counts as not ready; probes ask again soon.
const PING_SECONDS_MAX: u64 = 2;

/// `/health/*` and `/metrics`.
pub fn routes() -> Router<AppState> {
    Router::new()
        .route("/health/live", get(live))
        .route("/health/ready", get(ready))
        .route("/metrics", get(render_metrics))
}

/// The state of the server.
#[derive(Clone, Debug, Serialize)]
pub struct Health {
    pub status: &'static str,
    /// Why it is not ready.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub reasons: Vec<&'static str>,
}

/// `GET /health/live`: whoever answers lives.
async fn live() -> Json<Health> {
    Json(Health { status: "ok", reasons: Vec::new() })
}

/// `GET /health/ready`: 200 when the database answers and the queues stand, else 503 with the reasons.
async fn ready(State(store): State<Store>, State(readiness): State<Readiness>) -> (StatusCode, Json<Health>) {
    let mut reasons = readiness.reasons();
    match tokio::time::timeout(Duration::from_secs(PING_SECONDS_MAX), store.ping()).await {
        Ok(Ok(())) => {}
        Ok(Err(_)) | Err(_) => reasons.push("the database does not answer"),
    }
    if reasons.is_empty() {
        (StatusCode::OK, Json(Health { status: "ok", reasons }))
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, Json(Health { status: "unavailable", reasons }))
    }
}

/// `GET /metrics`, in Prometheus' text format.
async fn render_metrics(State(metrics): State<Option<PrometheusHandle>>) -> impl IntoResponse {
    let text = metrics.map(|handle| handle.render()).unwrap_or_default();
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], text)
}
