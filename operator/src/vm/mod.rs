//! One PilotVM's life.
//!
//! Flow of a reconciliation: 1. `observe` puts together the object, the cloud's last list and the last read row;
//! 2. [`next()`] decides, pure; 3. `step` does that one thing and writes it down; the write comes back through the watch and
//! the next step is taken then. Nothing here asks the cloud about one VM where the list knows.

mod console;
mod error;
mod launch;
mod next;
mod pilot;
mod record;
mod step;

#[cfg(test)]
mod next_tests;

use std::{sync::Arc, time::Duration};

use crds::PilotVM;
use futures::{StreamExt, stream};
use jiff::{SignedDuration, Timestamp};
use kube::{
    ResourceExt,
    runtime::{
        Controller,
        controller::{Action, Config},
        reflector::{ObjectRef, Store},
    },
};
use tokio::sync::broadcast::error::RecvError;

use error::Error;
use next::{Observed, Step, next};
use record::Record;

use crate::{
    api::watch::reference,
    context::Context,
    known::{listing::Machine, memory::Wish},
    life::launched,
    names::{Key, deleting, let_go},
};

/// So many PilotVMs are worked on at once.
const CONCURRENCY: u16 = 64;

/// A step ends within this time: some calls of a minute each.
const STEP: Duration = Duration::from_secs(900);

/// Looks after every PilotVM of one store, until dropped.
pub async fn run(ctx: Arc<Context>, store: Store<PilotVM>) {
    let all: Vec<_> = store.state().iter().map(|vm| reference(vm.as_ref())).collect();
    let triggers = stream::iter(all).chain(woken(&ctx, store.clone()));
    Controller::for_stream(stream::pending(), store)
        .with_config(Config::default().concurrency(CONCURRENCY))
        .reconcile_on(triggers)
        // What is begun is finished: a VM that was made is written down.
        .graceful_shutdown_on(ctx.errands.stopped())
        .run(reconcile, |vm, error, ctx| on_error(&vm, error, &ctx), ctx)
        // An object that went between its trigger and its turn is no error, and a failed step has said so itself.
        .for_each(|_| std::future::ready(()))
        .await;
}

/// PilotVMs to look at: what the watch, the pollers and the rounds say. When too many were said at once: all of them.
fn woken(ctx: &Context, store: Store<PilotVM>) -> impl futures::Stream<Item = ObjectRef<PilotVM>> + Send + 'static {
    stream::unfold((ctx.bells.vms(), store), |(mut receiver, store)| async move {
        let references = match receiver.recv().await {
            Ok(key) => vec![ObjectRef::new(&key.name).within(&key.namespace)],
            Err(RecvError::Lagged(_)) => store.state().iter().map(|vm| reference(vm.as_ref())).collect(),
            Err(RecvError::Closed) => return None,
        };
        Some((stream::iter(references), (receiver, store)))
    })
    .flatten()
}

async fn reconcile(vm: Arc<PilotVM>, ctx: Arc<Context>) -> Result<Action, Error> {
    let _pulse = ctx.progress.begins(format!("PilotVM {}", Key::of(vm.as_ref())), STEP);
    let uid = vm.uid().unwrap_or_default();
    let remembered = ctx.state.memory.of(&uid);
    if remembered.is_stale(vm.resource_version().as_deref()) {
        return Ok(recall(&ctx, &vm).await);
    }
    let now = ctx.clock.now();
    if let Some((until, wish)) = remembered.pause
        && now < until
        && wish == wish_of(&vm)
    {
        return Ok(Action::requeue(Duration::try_from(until.duration_since(now)).unwrap_or_default()));
    }
    let key = Key::of(vm.as_ref());
    let cloud = ctx.state.clouds.get(&key.beside(&vm.spec.cloud_ref.name)).facts();
    let touched = launched(&vm).max(remembered.touched).unwrap_or(Timestamp::UNIX_EPOCH);
    let machine = cloud.listing.as_deref().map_or(Machine::Unknown, |list| list.machine(&uid, touched));
    let installation = ctx.state.installations.get(&key.beside(&vm.spec.installation_ref.name)).facts();
    let rows = installation.read.as_deref();
    let reference = broker::pilot::stamp::reference(&uid);
    let observed = Observed {
        vm: &vm,
        machine,
        row: rows.and_then(|r| r.by_reference.get(&reference)),
        rows_read: rows.map(|r| r.read_at(&reference)),
        asking: installation.demand_unknown.is_none().then_some(installation.demand_back),
        remembered: &remembered,
        now,
    };
    let step = next(&observed);
    tracing::debug!(vm = %key, ?step, "next step");
    let action = step::take(&ctx, &observed, step).await?;
    ctx.state.memory.note(&uid, |m| (m.attempts, m.pause) = (0, None));
    Ok(action)
}

/// The store shows an older object than our last write. The watch brings ours in a moment; where it does not, versions may have gone
/// back, as after etcd was restored: then the API server says so, and what was remembered of our write is forgotten.
async fn recall(ctx: &Context, vm: &PilotVM) -> Action {
    let uid = vm.uid().unwrap_or_default();
    match ctx.api.read::<PilotVM>(&Key::of(vm)).await {
        Ok(now) if now.as_ref().is_none_or(|now| now.resource_version() == vm.resource_version()) => {
            ctx.state.memory.note(&uid, |m| m.written = None);
            tracing::warn!(vm = %Key::of(vm), "versions of objects have gone back: what was remembered of this one is forgotten");
            Action::requeue(Duration::from_millis(500))
        }
        // The watch is merely late, or nobody answers.
        Ok(_) | Err(_) => Action::requeue(Duration::from_secs(5)),
    }
}

fn wish_of(vm: &PilotVM) -> Wish {
    (vm.metadata.generation, deleting(vm), let_go(vm))
}

fn on_error(vm: &PilotVM, error: &Error, ctx: &Context) -> Action {
    let uid = vm.uid().unwrap_or_default();
    ctx.state.memory.note(&uid, |m| m.attempts += 1);
    let pause = match error {
        Error::Cloud { source, .. } => match source.disposition() {
            broker::cloud::Disposition::RetryAfter(pause) => pause,
            _ => ctx.state.memory.of(&uid).next_pause(),
        },
        Error::Kubernetes { .. } | Error::Row { .. } | Error::NotReady(_) => ctx.state.memory.of(&uid).next_pause(),
    };
    // What is merely not ready asks nobody outside, and goes on as soon as it is.
    if !matches!(error, Error::NotReady(_)) {
        let until = SignedDuration::try_from(pause).map_or(Timestamp::MAX, |pause| ctx.clock.now() + pause);
        ctx.state.memory.note(&uid, |m| m.pause = Some((until, wish_of(vm))));
    }
    ctx.metrics.step_failed("PilotVM", error.reason());
    tracing::warn!(vm = %Key::of(vm), reason = error.reason(), %error, ?pause, "a step failed and is tried again");
    Action::requeue(pause.max(Duration::from_millis(500)))
}
