//! The operator's life: every replica watches; the leader acts; a signal ends it.

use std::sync::Arc;

use anyhow::Context as _;
use crds::PilotVM;
use futures::{Stream, StreamExt};
use k8s_openapi::api::core::v1::Namespace;
use kube::{Api, Client};
use tokio::{
    signal::unix::{SignalKind, signal},
    sync::watch,
    task::JoinSet,
};

use crate::{
    api::{
        self, Events, Stores,
        watch::{self as watching, Kind, Seen},
    },
    args::Run,
    bells::Bells,
    context::{Context, State},
    each,
    leader::Leadership,
    metrics::Metrics,
    names::Key,
    serve, status, vm,
};

/// Runs until SIGTERM or SIGINT.
pub async fn run(args: Run) -> anyhow::Result<()> {
    let client = Client::try_default()
        .await
        .context("no Kubernetes API server is configured: set KUBECONFIG or run in a cluster")?;
    let mut watches = JoinSet::new();
    let ctx = start(args, client.clone(), &mut watches).await?;
    let mut terminated = signal(SignalKind::terminate())?;
    let mut interrupted = signal(SignalKind::interrupt())?;
    let mut leadership = match ctx.args.leader_elect {
        true => {
            let (namespace, lease) = (&ctx.args.namespace, &ctx.args.lease_name);
            Leadership::seek(client.clone(), namespace, lease).await.context("the lease cannot be sought")?
        }
        false => Leadership::alone(),
    };
    let server = serve::run(ctx.args.http, ctx.clone());
    let ended = tokio::select! {
        ended = server => ended.context("the HTTP server ended"),
        why = lead(&ctx, &mut leadership) => Err(why),
        _ = watches.join_next() => Err(anyhow::anyhow!("a watch ended")),
        _ = terminated.recv() => Ok(()),
        _ = interrupted.recv() => Ok(()),
    };
    tracing::info!("stopping");
    leadership.resign().await;
    ended
}

/// Acts while this replica leads, and says why it cannot go on. To stop is to drop: every step may be cut off anywhere and is healed
/// by whoever acts next.
async fn lead(ctx: &Arc<Context>, leadership: &mut Leadership) -> anyhow::Error {
    let lost = || anyhow::anyhow!("the lease is not kept any more");
    loop {
        if leadership.leads.wait_for(|leads| *leads).await.is_err() {
            return lost();
        }
        ctx.stores_ready().await;
        tracing::info!("leading");
        let mut acting = JoinSet::new();
        for store in ctx.state.stores.vms.stores() {
            acting.spawn(vm::run(ctx.clone(), store.clone()));
        }
        acting.spawn(each::cloud(ctx.clone()));
        acting.spawn(each::installation(ctx.clone()));
        acting.spawn(status::run(ctx.clone()));
        let still = tokio::select! {
            lost = leadership.leads.wait_for(|leads| !*leads) => lost.is_ok(),
            // Each of them works until it is dropped: who goes on without one leaves VMs that nobody looks after.
            _ = acting.join_next() => return anyhow::anyhow!("a part of the operator ended, which none should"),
        };
        acting.shutdown().await;
        tracing::info!("not leading any more");
        if !still {
            return lost();
        }
    }
}

async fn start(args: Run, client: Client, watches: &mut JoinSet<()>) -> anyhow::Result<Arc<Context>> {
    let cluster = match args.cluster_id.clone() {
        Some(id) => id,
        None => uid_of_kube_system(&client).await?,
    };
    let namespaces = args.watch_namespaces.clone();
    let (installations, s1) = watching::watch(&client, &namespaces);
    let (vos, s2) = watching::watch(&client, &namespaces);
    let (sites, s3) = watching::watch(&client, &namespaces);
    let (clouds, s4) = watching::watch(&client, &namespaces);
    let (pools, s5) = watching::watch(&client, &namespaces);
    let (vms, s6) = watching::watch::<PilotVM>(&client, &namespaces);
    let (downtimes, s7) = watching::watch(&client, &namespaces);
    let metrics = Arc::new(Metrics::default());
    let stores = Stores { installations, vos, sites, clouds, pools, vms, downtimes };
    let ctx = Arc::new(Context {
        events: Events::new(client.clone()),
        api: api::Api::new(client, metrics.clone()),
        state: State { stores, cluster, ..State::default() },
        args,
        metrics,
        bells: Bells::default(),
        clock: Default::default(),
        filled: watch::Sender::new(false),
    });
    pump(watches, &ctx, s1, |ctx| ctx.bells.installations_changed());
    pump(watches, &ctx, s2, |_| ());
    pump(watches, &ctx, s3, |_| ());
    pump(watches, &ctx, s4, |ctx| ctx.bells.clouds_changed());
    pump(watches, &ctx, s5, |_| ());
    pump(watches, &ctx, s7, |_| ());
    watches.spawn(pump_vms(ctx.clone(), s6));
    let filling = ctx.clone();
    watches.spawn(async move {
        filling.state.stores.fill().await;
        filling.filled.send_replace(true);
        std::future::pending().await
    });
    Ok(ctx)
}

/// It says whose VMs are ours where no other id is given.
async fn uid_of_kube_system(client: &Client) -> anyhow::Result<String> {
    let namespaces = Api::<Namespace>::all(client.clone());
    let system = tokio::time::timeout(api::LONGEST_CALL, namespaces.get("kube-system")).await;
    let system = system.context("the API server did not answer when it was asked for the namespace kube-system")?;
    let system = system.context(
        "the namespace kube-system, whose UID names the cluster, cannot be read: allow it, or give --cluster-id",
    )?;
    system.metadata.uid.context("the namespace kube-system has no UID: give --cluster-id")
}

/// Polls a watch, so that its store is filled, and says that something changed.
fn pump<K: Kind>(
    watches: &mut JoinSet<()>,
    ctx: &Arc<Context>,
    stream: impl Stream<Item = Seen<K>> + Send + 'static,
    changed: fn(&Context),
) {
    let ctx = ctx.clone();
    watches.spawn(async move {
        let mut stream = std::pin::pin!(stream);
        while stream.next().await.is_some() {
            changed(&ctx);
            ctx.bells.tell_statuses();
        }
    });
}

async fn pump_vms(ctx: Arc<Context>, stream: impl Stream<Item = Seen<PilotVM>> + Send) {
    let mut stream = std::pin::pin!(stream);
    while let Some(seen) = stream.next().await {
        match seen {
            Seen::Touched(vm) => saw(&ctx, &vm),
            Seen::Refilled => ctx.state.stores.vms.all().iter().for_each(|vm| saw(&ctx, vm)),
        }
        ctx.bells.tell_statuses();
    }
}

/// Takes note of a PilotVM that the watch has shown.
fn saw(ctx: &Context, vm: &PilotVM) {
    let (state, key) = (&ctx.state, Key::of(vm));
    state.expectations.seen(vm);
    state.numbers.saw(&key.beside(&vm.spec.pool_ref.name), &key.name);
    if state.stores.vms.get(&key).is_none() {
        state.memory.forget(&vm.metadata.uid.clone().unwrap_or_default());
    }
    ctx.bells.look_at(key);
}
