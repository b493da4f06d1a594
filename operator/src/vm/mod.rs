//! One PilotVM's life.
//!
//! Flow of a reconciliation: 1. [`Observed::of`] puts together the object, the cloud's last list and the last read row, pure;
//! 2. [`next()`] decides, pure; 3. `step` makes the one outside call, and `outcome`, pure, says what comes of the answer; 4. `write_down`
//! writes that down: memory, status, event, metrics, bells. Where the next step follows from this one it is taken at once, from the object
//! as it was written.

mod console;
mod done;
mod error;
mod launch;
mod next;
mod observed;
mod outcome;
mod pilot;
mod record;
mod step;
mod unread;
mod write_down;

#[cfg(test)]
mod beside_tests;
#[cfg(test)]
mod next_tests;
#[cfg(test)]
mod outcome_tests;
#[cfg(test)]
mod recall_tests;
#[cfg(test)]
mod step_tests;

use std::{sync::Arc, time::Duration};

use crds::PilotVM;
use futures::{StreamExt, stream};
use kube::{
    ResourceExt,
    runtime::{
        Controller,
        controller::{Action, Config},
        reflector::{ObjectRef, Store},
    },
};
use tokio::time::Instant;

use done::Again;
use error::Error;
use next::{next, wish_of};
use observed::Observed;
use write_down::write_down;

pub use unread::run as let_unread_go;

use crate::{api::watch::reference, context::Context, names::Key};

/// Steps that are taken in a row before others have their turn.
const IN_A_ROW: usize = 8;

/// A step ends within this time: some calls of a minute each.
const STEP: Duration = Duration::from_secs(900);

/// After this time a write that did not come back is looked for in the API server.
const WATCH_IS_LATE: Duration = Duration::from_secs(5);

/// Looks after every PilotVM of one store, until dropped.
pub async fn run(ctx: Arc<Context>, store: Store<PilotVM>) {
    let all: Vec<_> = store.state().iter().map(|vm| reference(vm.as_ref())).collect();
    let triggers = stream::iter(all).chain(woken(&ctx));
    Controller::for_stream(stream::pending(), store)
        // No bound for all together, which one slow cloud would fill: permits bound what is asked of each cloud and each DIRAC.
        .with_config(Config::default().concurrency(0))
        .reconcile_on(triggers)
        // What is begun is finished: a VM that was made is written down.
        .graceful_shutdown_on(ctx.errands.stopped())
        .run(reconcile, |vm, error, ctx| on_error(&vm, error, &ctx), ctx)
        // An object that went between its trigger and its turn is no error, and a failed step has said so itself.
        .for_each(|_| std::future::ready(()))
        .await;
}

/// PilotVMs to look at: what the watch, the pollers and the rounds say.
fn woken(ctx: &Context) -> impl futures::Stream<Item = ObjectRef<PilotVM>> + Send + 'static {
    stream::unfold(ctx.bells.vms(), |mut rung| async move {
        let key = rung.recv().await?;
        Some((ObjectRef::new(&key.name).within(&key.namespace), rung))
    })
}

async fn reconcile(vm: Arc<PilotVM>, ctx: Arc<Context>) -> Result<Action, Error> {
    let _pulse = ctx.progress.begins(format!("PilotVM {}", Key::of(vm.as_ref())), STEP);
    let uid = vm.uid().unwrap_or_default();
    // What is remembered is large, and is not kept while others are waited for.
    let (stale_since, pause) = {
        let remembered = ctx.state.memory.of(&uid);
        (remembered.stale_since(vm.resource_version().as_deref()), remembered.pause)
    };
    if let Some(since) = stale_since {
        // The watch brings our write in a moment, and rings.
        let rest = WATCH_IS_LATE.saturating_sub(since.elapsed());
        return Ok(if rest.is_zero() { Box::pin(recall(&ctx, &vm)).await } else { Action::requeue(rest) });
    }
    if let Some((until, wish)) = pause
        && Instant::now() < until
        && wish == wish_of(&vm)
    {
        return Ok(Action::requeue(until.duration_since(Instant::now())));
    }
    // In a box: 20,000 PilotVMs may be to look at together, and each has its future before the first is polled.
    let outcome = Box::pin(steps(&vm, &ctx)).await;
    call_the_next(&ctx, &vm);
    let action = outcome?;
    ctx.state.memory.amend(&uid, |m| (m.attempts, m.pause) = (0, None));
    Ok(action)
}

/// The store still shows an older object than our last write. Versions may have gone back, for example after etcd was restored: then the
/// API server says so, and what was remembered of our write is forgotten.
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

async fn steps(vm: &PilotVM, ctx: &Context) -> Result<Action, Error> {
    let (mut vm, mut permit) = (vm.clone(), None);
    for _ in 0..IN_A_ROW {
        let observed = Observed::of(&ctx.state, &vm, ctx.clock.now(), Instant::now());
        let step = next(&observed);
        tracing::debug!(vm = %Key::of(&vm), ?step, "next step");
        let mut done = step::take(ctx, &observed, step, permit.take()).await?;
        let written = write_down(ctx, &vm, &mut done).await?;
        if let Some(error) = done.failed {
            return Err(error);
        }
        permit = done.permit;
        match done.again {
            Again::Now => {}
            Again::After(time) => return Ok(Action::requeue(time)),
            Again::Rung => return Ok(Action::await_change()),
        }
        if let Some(written) = written {
            vm = written;
        }
    }
    Ok(Action::requeue(Duration::from_millis(500)))
}

/// Rings those whose turn has come at this PilotVM's cloud and DIRAC.
fn call_the_next(ctx: &Context, vm: &PilotVM) {
    let key = Key::of(vm);
    let cloud = ctx.state.clouds.get(&key.beside(&vm.spec.cloud_ref.name));
    let installation = ctx.state.installations.get(&key.beside(&vm.spec.installation_ref.name));
    for next in cloud.permits.next().into_iter().chain(installation.permits.next()) {
        ctx.bells.look_at(next);
    }
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
        ctx.state.memory.note(&uid, |m| m.pause = Some((Instant::now() + pause, wish_of(vm))));
    }
    ctx.metrics.step_failed("PilotVM", error.reason().as_str());
    tracing::warn!(vm = %Key::of(vm), reason = %error.reason(), %error, ?pause, "a step failed and is tried again");
    Action::requeue(pause.max(Duration::from_millis(500)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{api::fake::Fake, context::State};

    #[tokio::test]
    async fn a_pilotvm_that_is_to_be_looked_at_costs_half_a_kilobyte() {
        let ctx = Arc::new(Context::of(Fake::default().client(), State::default()));
        let look = reconcile(Arc::new(PilotVM::new("cpu-1", crds::vm::PilotVMSpec::default())), ctx);
        assert!(size_of_val(&look) <= 512, "{} bytes", size_of_val(&look));
    }
}
