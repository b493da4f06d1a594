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
mod looks;
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
mod doubt_tests;
#[cfg(test)]
mod next_tests;
#[cfg(test)]
mod orders_tests;
#[cfg(test)]
mod outcome_tests;
#[cfg(test)]
mod recall_tests;
#[cfg(test)]
mod step_tests;
#[cfg(test)]
mod zones_tests;

use std::{sync::Arc, time::Duration};

use crds::PilotVM;
use kube::ResourceExt;
use tokio::time::Instant;

use done::Again;
use error::Error;
use next::{next, wish_of};
use observed::Observed;
use write_down::write_down;

pub use unread::run as let_unread_go;

use crate::{context::Context, names::Key};

/// Steps that are taken in a row before others have their turn.
const IN_A_ROW: usize = 8;

/// Each look is a task of its own: to begin one, or to see it end, takes no time.
const TURN: Duration = Duration::from_secs(60);

/// A step ends within this time: some calls of a minute each.
const STEP: Duration = Duration::from_secs(900);

/// Others have their turn before a PilotVM is looked at again.
const SOON: Duration = Duration::from_millis(500);

/// After this time a write that did not come back is looked for in the API server.
const WATCH_IS_LATE: Duration = Duration::from_secs(5);

/// Looks after every PilotVM, until dropped.
pub async fn run(ctx: Arc<Context>) {
    let pulse = ctx.progress.begins("PilotVMs", TURN);
    let rung = ctx.bells.vms();
    for vm in ctx.state.stores.vms.all() {
        ctx.bells.look_at(Key::of(vm.as_ref()));
    }
    let look = |key: &Key| ctx.state.stores.vms.get(key).map(|vm| reconcile(vm, ctx.clone()));
    // What is begun is finished: a VM that was made is written down.
    looks::each(pulse, rung, look, ctx.errands.stopped()).await;
}

/// Looks at one PilotVM: the time after which it is to be looked at again, or none where somebody rings for it.
async fn reconcile(vm: Arc<PilotVM>, ctx: Arc<Context>) -> Option<Duration> {
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
        return Some(if rest.is_zero() { Box::pin(recall(&ctx, &vm)).await } else { rest });
    }
    if let Some((until, wish)) = pause
        && Instant::now() < until
        && wish == wish_of(&vm)
    {
        return Some(until.duration_since(Instant::now()));
    }
    // In a box: 20,000 PilotVMs may be to look at together, and each has its future before the first is polled.
    let outcome = Box::pin(steps(&vm, &ctx)).await;
    call_the_next(&ctx, &vm);
    match outcome {
        Ok(again) => {
            ctx.state.memory.amend(&uid, |m| (m.attempts, m.pause) = (0, None));
            again
        }
        Err(error) => Some(after_failure(&vm, &error, &ctx)),
    }
}

/// The store still shows an older object than our last write. Versions may have gone back, for example after etcd was restored: then the
/// API server says so, and what was remembered of our write is forgotten.
async fn recall(ctx: &Context, vm: &PilotVM) -> Duration {
    let uid = vm.uid().unwrap_or_default();
    match ctx.api.read::<PilotVM>(&Key::of(vm)).await {
        Ok(now) if now.as_ref().is_none_or(|now| now.resource_version() == vm.resource_version()) => {
            ctx.state.memory.note(&uid, |m| m.written = None);
            tracing::warn!(vm = %Key::of(vm), "versions of objects have gone back: what was remembered of this one is forgotten");
            SOON
        }
        // The watch is merely late, or nobody answers.
        Ok(_) | Err(_) => WATCH_IS_LATE,
    }
}

async fn steps(vm: &PilotVM, ctx: &Context) -> Result<Option<Duration>, Error> {
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
            Again::After(time) => return Ok(Some(time)),
            Again::Rung => return Ok(None),
        }
        if let Some(written) = written {
            vm = written;
        }
    }
    Ok(Some(SOON))
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

/// Remembers that a step failed, and tells of it: the time after which it is tried again.
fn after_failure(vm: &PilotVM, error: &Error, ctx: &Context) -> Duration {
    let uid = vm.uid().unwrap_or_default();
    ctx.state.memory.note(&uid, |m| m.attempts += 1);
    let pause = match error {
        Error::Cloud { source, .. } => match source.disposition() {
            broker::cloud::Disposition::RetryAfter(pause) => pause,
            _ => ctx.state.memory.of(&uid).next_pause(),
        },
        Error::Kubernetes { .. } | Error::Row { .. } | Error::Jobs(_) | Error::NotReady(_) => {
            ctx.state.memory.of(&uid).next_pause()
        }
    };
    // What is merely not ready asks nobody outside, and goes on as soon as it is.
    if !matches!(error, Error::NotReady(_)) {
        ctx.state.memory.note(&uid, |m| m.pause = Some((Instant::now() + pause, wish_of(vm))));
    }
    ctx.metrics.step_failed("PilotVM", error.reason().as_str());
    tracing::warn!(vm = %Key::of(vm), reason = %error.reason(), %error, ?pause, "a step failed and is tried again");
    pause.max(SOON)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        api::{Stores, fake::Fake, watch::Objects},
        context::State,
    };

    fn vm(namespace: &str) -> PilotVM {
        let mut vm = PilotVM::new("cpu-1", crds::vm::PilotVMSpec::default());
        (vm.metadata.namespace, vm.metadata.uid) = (Some(namespace.into()), Some(namespace.into()));
        vm
    }

    #[tokio::test(start_paused = true)]
    async fn whoever_is_rung_in_any_watched_namespace_is_looked_at() {
        let stores = Stores { vms: Objects::of([vm("one")]).and(Objects::of([vm("two")])), ..Stores::default() };
        let ctx = Arc::new(Context::of(Fake::default().client(), State { stores, ..State::default() }));
        let mut looks = tokio::task::JoinSet::new();
        looks.spawn(run(ctx.clone()));
        // Nobody rests meanwhile, so that the clock stands and no look comes by itself.
        let looked = async || {
            for _ in 0..1_000 {
                tokio::task::yield_now().await;
            }
            // Each look is an attempt in vain, since no API server has these objects; no pause keeps the next one away.
            ["one", "two"].map(|uid| {
                ctx.state.memory.note(uid, |m| m.pause = None);
                ctx.state.memory.of(uid).attempts
            })
        };
        let at_the_start = looked().await;
        ctx.bells.look_at(Key::of(&vm("one")));
        let first_rung = looked().await;
        ctx.bells.look_at(Key::of(&vm("two")));
        assert_eq!([at_the_start, first_rung, looked().await], [[1, 1], [2, 1], [2, 2]]);
    }

    #[tokio::test]
    async fn a_pilotvm_that_is_to_be_looked_at_costs_half_a_kilobyte() {
        let ctx = Arc::new(Context::of(Fake::default().client(), State::default()));
        let look = reconcile(Arc::new(PilotVM::new("cpu-1", crds::vm::PilotVMSpec::default())), ctx);
        assert!(size_of_val(&look) <= 512, "{} bytes", size_of_val(&look));
    }
}
