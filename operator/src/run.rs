//! The operator's life: every replica watches; the leader acts; a signal ends it.

use std::{sync::Arc, time::Duration};

use anyhow::Context as _;
use broker::clock::{Clock, moment};
use crds::PilotVM;
use futures::{Stream, StreamExt};
use k8s_openapi::api::core::v1::Namespace;
use kube::{Api, Client};
use tokio::{
    signal::unix::{SignalKind, signal},
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
    errands::Errands,
    leader::Leadership,
    metrics::Metrics,
    names::Key,
    pool,
    progress::Progress,
    secrets, serve, status, vm,
};

/// Time for what is begun when the operator is told to stop: a POST has 60 s, and what it made is then written down. The chart gives the
/// pod `terminationGracePeriodSeconds: 90`.
const LAST_WORK: Duration = Duration::from_secs(70);
/// A connection to the API server on which nothing comes for this time is given up: longer than a watch or a call takes.
const SILENT_API: Duration = Duration::from_secs(55);

/// What a watch has shown is taken note of within this time.
const NOTE: Duration = Duration::from_secs(60);
/// The Lease is looked at within this time.
const LEASE: Duration = Duration::from_secs(60);

/// Runs until SIGTERM or SIGINT.
///
/// To stop in order: nothing new is begun, what is begun is finished, then the Lease is given back, so that no other replica acts while
/// a POST of ours is in flight.
pub async fn run(args: Run) -> anyhow::Result<()> {
    let mut config = kube::Config::infer()
        .await
        .context("no Kubernetes API server is configured: set KUBECONFIG or run in a cluster")?;
    (config.read_timeout, config.write_timeout) = (Some(SILENT_API), Some(SILENT_API));
    let client = Client::try_from(config.clone()).context("the client of the API server cannot be made")?;
    let mut watches = JoinSet::new();
    let ctx = start(args, client, &mut watches).await?;
    let mut terminated = signal(SignalKind::terminate())?;
    let mut interrupted = signal(SignalKind::interrupt())?;
    let server = serve::run(ctx.args.http, ctx.clone());
    let mut leading = std::pin::pin!(seek_and_lead(&ctx, config));
    let ended = tokio::select! {
        ended = server => ended.context("the HTTP server ended"),
        ended = &mut leading => return ended,
        _ = watches.join_next() => Err(anyhow::anyhow!("a watch ended")),
        _ = terminated.recv() => Ok(()),
        _ = interrupted.recv() => Ok(()),
    };
    tracing::info!("stopping: what is begun is finished first");
    ctx.errands.stop();
    ended.and(leading.await)
}

/// Seeks the Lease once every store is filled: a replica that cannot see would lead and never act, and keep others from leading.
async fn seek_and_lead(ctx: &Arc<Context>, config: kube::Config) -> anyhow::Result<()> {
    tokio::select! {
        () = ctx.state.stores.fill() => {}
        () = ctx.errands.stopped() => return Ok(()),
    }
    let mut leadership = match ctx.args.leader_elect {
        true => {
            let (namespace, lease) = (&ctx.args.release.namespace, &ctx.args.release.lease_name);
            let pulse = ctx.progress.begins("the keeper of the Lease", LEASE);
            Leadership::seek(config, namespace, lease, ctx.clock.clone(), pulse)
                .context("the Lease cannot be sought")?
        }
        false => Leadership::alone(),
    };
    let ended = lead(ctx, &mut leadership).await;
    leadership.resign().await;
    ended
}

/// Acts while this replica leads, until the operator is to stop; an error says why it cannot go on.
///
/// A replica that has lost the Lease stops by dropping its tasks at once: every step may be cut off anywhere and is healed by whoever
/// acts next. The one exception is the order of a VM. Cut off, it may still be carried out, and nobody would know: so it is an errand,
/// which goes on by itself. Another leader that meets its PilotVM looks for the VM before it orders one.
async fn lead(ctx: &Arc<Context>, leadership: &mut Leadership) -> anyhow::Result<()> {
    loop {
        tokio::select! {
            leads = leadership.leads.wait_for(|leads| *leads) => drop(leads.context(NOT_KEPT)?),
            () = ctx.errands.stopped() => return Ok(()),
        }
        tracing::info!("leading");
        ctx.metrics.leads(true);
        let mut careful = JoinSet::new();
        careful.spawn(vm::run(ctx.clone()));
        let mut acting = JoinSet::new();
        acting.spawn(each::cloud(ctx.clone()));
        acting.spawn(each::installation(ctx.clone()));
        acting.spawn(pool::run(ctx.clone()));
        acting.spawn(secrets::run(ctx.clone()));
        acting.spawn(status::run(ctx.clone()));
        acting.spawn(vm::let_unread_go(ctx.clone()));
        let mut leads = leadership.leads.clone();
        tokio::select! {
            biased;
            () = ctx.errands.stopped() => {
                acting.shutdown().await;
                let lost = async { drop(leads.wait_for(|leads| !*leads).await) };
                finish(&ctx.errands, &mut careful, lost, LAST_WORK).await;
                return Ok(());
            }
            lost = leadership.leads.wait_for(|leads| !*leads) => drop(lost.context(NOT_KEPT)?),
            // Each of them works until it is dropped: who goes on without one leaves VMs that nobody looks after.
            _ = acting.join_next() => anyhow::bail!(PART_ENDED),
            _ = careful.join_next() => anyhow::bail!(PART_ENDED),
        }
        acting.shutdown().await;
        careful.shutdown().await;
        ctx.metrics.leads(false);
        tracing::info!("not leading any more");
    }
}

const NOT_KEPT: &str = "the lease is not kept any more";
const PART_ENDED: &str = "a part of the operator ended, which none should";

/// Waits for the tasks that finish what they have begun, unless the Lease is `lost` meanwhile, and in any case for the errands; at most
/// this long in all.
async fn finish(errands: &Errands, careful: &mut JoinSet<()>, lost: impl Future<Output = ()>, longest: Duration) {
    let finished = async {
        tokio::select! {
            () = async { while careful.join_next().await.is_some() {} } => {}
            () = lost => careful.abort_all(),
        }
        errands.done().await;
    };
    if tokio::time::timeout(longest, finished).await.is_err() {
        tracing::warn!("work was left undone: what was begun is looked for by whoever acts next");
    }
}

async fn start(args: Run, client: Client, watches: &mut JoinSet<()>) -> anyhow::Result<Arc<Context>> {
    let cluster = match args.release.cluster_id.clone() {
        Some(id) => id,
        None => uid_of_kube_system(&client).await?,
    };
    let namespaces = args.release.watch_namespaces.clone();
    let (installations, s1) = watching::watch(&client, &namespaces);
    let (vos, s2) = watching::watch(&client, &namespaces);
    let (sites, s3) = watching::watch(&client, &namespaces);
    let (clouds, s4) = watching::watch(&client, &namespaces);
    let (pools, s5) = watching::watch(&client, &namespaces);
    let (vms, s6) = watching::watch::<PilotVM>(&client, &namespaces);
    let (downtimes, s7) = watching::watch(&client, &namespaces);
    let (metrics, clock) = (Arc::new(Metrics::default()), Clock::default());
    let stores = Stores { installations, vos, sites, clouds, pools, vms, downtimes };
    let ctx = Arc::new(Context {
        events: Events::new(client.clone(), clock.clone()),
        api: api::Api::new(client, metrics.clone()),
        state: State { stores, cluster, ..State::default() },
        args,
        metrics,
        bells: Bells::default(),
        errands: Arc::default(),
        progress: Progress::default(),
        clock,
    });
    pump(watches, &ctx, s1, |ctx| {
        ctx.bells.installations_changed();
        ctx.bells.secrets_changed();
    });
    pump(watches, &ctx, s2, |_| ());
    pump(watches, &ctx, s3, |_| ());
    pump(watches, &ctx, s4, |ctx| {
        ctx.bells.clouds_changed();
        ctx.bells.secrets_changed();
    });
    pump(watches, &ctx, s5, |ctx| ctx.bells.pools_changed());
    pump(watches, &ctx, s7, |_| ());
    watches.spawn(pump_vms(ctx.clone(), s6));
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
        let pulse = ctx.progress.begins(format!("watch of {}", K::plural(&())), NOTE);
        while pulse.rests(stream.next()).await.is_some() {
            changed(&ctx);
            ctx.bells.tell_statuses();
        }
    });
}

async fn pump_vms(ctx: Arc<Context>, stream: impl Stream<Item = Seen<PilotVM>> + Send) {
    let mut stream = std::pin::pin!(stream);
    let pulse = ctx.progress.begins("watch of pilotvms", NOTE);
    while let Some(seen) = pulse.rests(stream.next()).await {
        match seen {
            Seen::Touched(vm) => saw(&ctx, &vm),
            Seen::Refilled => {
                let all = ctx.state.stores.vms.all();
                ctx.state.familiar.are(all.iter().filter_map(|vm| vm.metadata.uid.clone()).collect(), moment());
                all.iter().for_each(|vm| saw(&ctx, vm));
            }
        }
        ctx.bells.tell_statuses();
    }
}

/// Takes note of a PilotVM that the watch has shown.
fn saw(ctx: &Context, vm: &PilotVM) {
    let (state, key) = (&ctx.state, Key::of(vm));
    state.expectations.seen(vm);
    state.intents.give_up(&key);
    state.numbers.saw(&key.beside(&vm.spec.pool_ref.name), &key.name);
    let uid = vm.metadata.uid.as_deref().unwrap_or_default();
    if state.stores.vms.get(&key).is_some_and(|now| now.metadata.uid.as_deref() == Some(uid)) {
        state.familiar.exists(uid);
    } else {
        state.memory.forget(uid);
        state.familiar.went(uid, moment());
    }
    ctx.bells.look_at(key);
}

#[cfg(test)]
#[path = "run_tests.rs"]
mod tests;
