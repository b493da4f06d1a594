//! What the operator serves by HTTP: health, readiness, metrics.

use std::{net::SocketAddr, sync::Arc};

use axum::{
    Router,
    extract::State,
    http::{StatusCode, header},
    response::IntoResponse,
    routing::get,
};

use crate::{context::Context, names::Key};

/// Serves until dropped.
pub async fn run(address: SocketAddr, ctx: Arc<Context>) -> anyhow::Result<()> {
    let listener = tokio::net::TcpListener::bind(address).await?;
    tracing::info!(address = %listener.local_addr()?, "serving /healthz, /readyz and /metrics");
    let router = Router::new()
        .route("/healthz", get(|| async { "ok\n" }))
        .route("/readyz", get(ready))
        .route("/metrics", get(exposition))
        .with_state(ctx);
    axum::serve(listener, router).await?;
    Ok(())
}

/// Ready when every store was filled: also on a replica that does not lead.
async fn ready(State(ctx): State<Arc<Context>>) -> impl IntoResponse {
    if ctx.is_ready() {
        (StatusCode::OK, "ok\n")
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, "the stores are not filled yet\n")
    }
}

async fn exposition(State(ctx): State<Arc<Context>>) -> impl IntoResponse {
    // What is known of objects is told anew each time: of one that is gone nothing stays.
    ctx.metrics.forget_objects();
    for installation in ctx.state.stores.installations.all() {
        let key = Key::of(installation.as_ref());
        let facts = ctx.state.installations.get(&key).facts();
        if let Some(dirac) = facts.simulated {
            ctx.metrics.simulated(&key, &dirac.statistics());
        }
        if let Some(round) = facts.round {
            ctx.metrics.demand(&key, &round.plan.waiting, round.at);
        }
    }
    for cloud in ctx.state.stores.clouds.all() {
        let key = Key::of(cloud.as_ref());
        let offers = ctx.state.clouds.get(&key).facts().offers;
        if let Some(at) = offers.and_then(|offers| offers.credential_expires) {
            ctx.metrics.credential_expires(&key, at);
        }
    }
    let text = ctx.metrics.exposition(&ctx.state.stores.vms.all());
    ([(header::CONTENT_TYPE, "application/openmetrics-text; version=1.0.0; charset=utf-8")], text)
}
