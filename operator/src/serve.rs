//! What the operator serves by HTTP: health, readiness, metrics.

mod gauges;

use std::{net::SocketAddr, sync::Arc};

use axum::{
    Router,
    extract::State,
    http::{StatusCode, header},
    response::IntoResponse,
    routing::get,
};

use crate::{
    api::{Tally, watch::Kind},
    context::Context,
    names::Key,
};

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
    let stores = &ctx.state.stores;
    let tally = Tally::of(stores.vms.all().iter().map(AsRef::as_ref));
    let clouds = keys(&stores.clouds.all());
    let pools: Vec<Key> = keys(&stores.pools.all()).into_iter().chain(tally.pools().cloned()).collect();
    ctx.metrics.retain(&pools, &keys(&stores.installations.all()), &clouds);
    let text = ctx.metrics.exposition(&[gauges::of_objects(&ctx.state, &tally), gauges::of_process()]);
    ([(header::CONTENT_TYPE, "application/openmetrics-text; version=1.0.0; charset=utf-8")], text)
}

fn keys<K: Kind>(objects: &[Arc<K>]) -> Vec<Key> {
    objects.iter().map(|object| Key::of(object.as_ref())).collect()
}
