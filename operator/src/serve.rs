//! What the operator serves by HTTP: health, readiness, metrics, and what its rounds decided.

mod gauges;
mod plans;

use std::{
    io,
    net::{Ipv4Addr, SocketAddr},
    sync::Arc,
};

use anyhow::Context as _;
use axum::{
    Json, Router,
    extract::{RawQuery, State},
    http::{StatusCode, header},
    response::{IntoResponse, Response},
    routing::get,
};
use plans::Asked;
use tokio::net::TcpListener;

use crate::{
    api::{Tally, watch::Kind},
    context::Context,
    names::Key,
};

/// Serves until dropped.
pub async fn run(address: SocketAddr, ctx: Arc<Context>) -> anyhow::Result<()> {
    let listener = bind(address).await.with_context(|| format!("{address} cannot be listened on"))?;
    tracing::info!(address = %listener.local_addr()?, "serving /healthz, /readyz, /metrics, /plan and /explain");
    axum::serve(listener, router(ctx)).await?;
    Ok(())
}

fn router(ctx: Arc<Context>) -> Router {
    Router::new()
        .route("/healthz", get(alive))
        .route("/readyz", get(ready))
        .route("/metrics", get(exposition))
        .route("/plan", get(plan))
        .route("/explain", get(explain))
        .with_state(ctx)
}

/// All addresses of both kinds are those of IPv4 where the machine has no IPv6.
async fn bind(address: SocketAddr) -> io::Result<TcpListener> {
    match TcpListener::bind(address).await {
        Err(error) if let Some(other) = instead(address, &error) => {
            tracing::info!(%error, "this machine has no IPv6: listening on IPv4 alone");
            TcpListener::bind(other).await
        }
        bound => bound,
    }
}

/// The address to listen on where IPv6's unspecified address cannot be had.
fn instead(address: SocketAddr, error: &io::Error) -> Option<SocketAddr> {
    /// `EAFNOSUPPORT` of Linux: the kernel has no IPv6. Where only the interfaces have none it is `EADDRNOTAVAIL`.
    const NO_SUCH_FAMILY: i32 = 97;
    let without = error.raw_os_error() == Some(NO_SUCH_FAMILY) || error.kind() == io::ErrorKind::AddrNotAvailable;
    (without && address.is_ipv6() && address.ip().is_unspecified())
        .then(|| SocketAddr::from((Ipv4Addr::UNSPECIFIED, address.port())))
}

/// Alive while every loop turns.
async fn alive(State(ctx): State<Arc<Context>>) -> (StatusCode, String) {
    said("these loops hang", &ctx.progress.late())
}

/// Ready when every store was filled: also on a replica that does not lead.
async fn ready(State(ctx): State<Arc<Context>>) -> (StatusCode, String) {
    said("these stores are not filled yet", &ctx.state.stores.unfilled())
}

fn said(what: &str, wrong: &[String]) -> (StatusCode, String) {
    match wrong {
        [] => (StatusCode::OK, "ok\n".to_owned()),
        _ => (StatusCode::SERVICE_UNAVAILABLE, format!("{what}: {}\n", wrong.join(", "))),
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

/// What the last round of each installation decided.
async fn plan(State(ctx): State<Arc<Context>>, RawQuery(query): RawQuery) -> Response {
    match Asked::read(query.as_deref().unwrap_or_default(), &["installation"]) {
        Ok(asked) => Json(plans::plan(&ctx.state, &asked)).into_response(),
        Err(text) => (StatusCode::BAD_REQUEST, text).into_response(),
    }
}

/// Why jobs wait.
async fn explain(State(ctx): State<Arc<Context>>, RawQuery(query): RawQuery) -> Response {
    match Asked::read(query.as_deref().unwrap_or_default(), &["installation", "vo", "pool"]) {
        Ok(asked) => match plans::explain(&ctx.state, &asked) {
            Some(told) => Json(told).into_response(),
            None => (StatusCode::NOT_FOUND, "no object has this name\n").into_response(),
        },
        Err(text) => (StatusCode::BAD_REQUEST, text).into_response(),
    }
}

fn keys<K: Kind>(objects: &[Arc<K>]) -> Vec<Key> {
    objects.iter().map(|object| Key::of(object.as_ref())).collect()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use axum::body::{Body, to_bytes};
    use tower::ServiceExt;

    use super::*;
    use crate::{api::fake::Fake, context};

    /// Status and text of the answer to `GET path`.
    async fn asked(ctx: &Arc<Context>, path: &str) -> (StatusCode, String) {
        let request = axum::http::Request::get(path).body(Body::empty()).unwrap();
        let answer = router(ctx.clone()).oneshot(request).await.unwrap();
        let status = answer.status();
        (status, String::from_utf8(to_bytes(answer.into_body(), 1_000).await.unwrap().to_vec()).unwrap())
    }

    #[tokio::test(start_paused = true)]
    async fn a_loop_that_hangs_is_named_by_healthz_until_it_turns_again() {
        let ctx = Arc::new(Context::of(Fake::default().client(), context::State::default()));
        let minute = Duration::from_secs(60);
        let (works, hangs) = (ctx.progress.begins("cloud a", minute), ctx.progress.begins("statuses", minute));
        assert_eq!(asked(&ctx, "/healthz").await, (StatusCode::OK, "ok\n".to_owned()));
        tokio::time::advance(minute + Duration::from_secs(1)).await;
        works.beat();
        let late = (StatusCode::SERVICE_UNAVAILABLE, "these loops hang: statuses (nothing for 61 s)\n".to_owned());
        assert_eq!(asked(&ctx, "/healthz").await, late);
        assert_eq!(asked(&ctx, "/readyz").await.0, StatusCode::OK, "whoever hangs is not therefore without stores");
        hangs.beat();
        assert_eq!(asked(&ctx, "/healthz").await.0, StatusCode::OK);
        assert_eq!(asked(&ctx, "/nothing").await.0, StatusCode::NOT_FOUND);
    }

    #[test]
    fn what_is_wrong_is_named() {
        assert_eq!(said("these loops hang", &[]).0, StatusCode::OK);
        let (status, text) = said("these loops hang", &["cloud a".to_owned(), "statuses".to_owned()]);
        assert_eq!((status, text.as_str()), (StatusCode::SERVICE_UNAVAILABLE, "these loops hang: cloud a, statuses\n"));
    }

    #[test]
    fn without_ipv6_all_addresses_are_those_of_ipv4() {
        let (all, one) = ("[::]:8080".parse().unwrap(), "[2001:db8::1]:8080".parse().unwrap());
        let no_family = io::Error::from_raw_os_error(97);
        assert_eq!(instead(all, &no_family), Some("0.0.0.0:8080".parse().unwrap()));
        assert_eq!(instead(one, &no_family), None, "one address is not another");
        assert_eq!(instead(all, &io::Error::from(io::ErrorKind::AddrInUse)), None);
    }
}
