//! Health and metrics, on a listener of their own: they need no signature, and are for the operator.

use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use axum::routing::get;

use crate::ecs::Service;

/// The routes `/healthz`, `/readyz` and `/metrics`.
pub(crate) fn router(service: Arc<Service>) -> Router {
    Router::new()
        .route("/healthz", get(|| async { "ok\n" }))
        .route("/readyz", get(ready))
        .route("/metrics", get(metrics))
        .with_state(service)
}

/// Ready is who can read the database.
async fn ready(State(service): State<Arc<Service>>) -> (StatusCode, String) {
    match service.database.ping().await {
        Ok(()) => (StatusCode::OK, "ready\n".to_owned()),
        Err(error) => (StatusCode::SERVICE_UNAVAILABLE, format!("the database: {error}\n")),
    }
}

async fn metrics(State(service): State<Arc<Service>>) -> impl IntoResponse {
    if let Ok(tasks) = service.records.unfinished_tasks().await {
        service.metrics.tasks.set(i64::try_from(tasks.len()).unwrap_or(i64::MAX));
    }
    let kind = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    ([(header::CONTENT_TYPE, kind)], service.metrics.text())
}
