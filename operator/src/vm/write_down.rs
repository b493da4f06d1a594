//! Writes down what came of a step, once: memory, status, event, metrics, bells.

use broker::{cloud::Scope, experience::Lot};
use crds::{PilotVM, vm::PilotVMStatus};
use kube::ResourceExt;
use tokio::time::{Instant, sleep_until};

use super::{
    Error,
    done::{Again, Done, Effect, Learnt},
    launch::{lot_of, lots_of},
};
use crate::{
    api,
    context::Context,
    known::{cloud::Question, turns::again},
    life::{launched, ordered, place},
    names::Key,
    resolve::currency,
};

/// The most ends that are kept for a round that does not come.
const MOST_ENDED: usize = 1_000;

/// Writes it down. `Ok` is the object as it is then, where it was written.
pub async fn write_down(ctx: &Context, vm: &PilotVM, done: &mut Done) -> Result<Option<PilotVM>, Error> {
    let uid = vm.uid().unwrap_or_default();
    let (now, moment) = (ctx.clock.now(), Instant::now());
    // An attempt counts as begun only once it is written; what an answer proved holds whether it can be written or not.
    let mut learnt = Some(std::mem::take(&mut done.learnt));
    let remember = |learnt: Option<Learnt>| {
        // Nothing is remembered of a PilotVM that has just gone.
        if let Some(learnt) = learnt.filter(|learnt| *learnt != Learnt::default()) {
            ctx.state.memory.note(&uid, |m| learnt.keep(m, now, moment));
        }
    };
    if !done.alone {
        remember(learnt.take());
    }
    let written = match done.record.take().filter(|status| is_news(vm, status, done.failed.is_some())) {
        Some(_) if done.waits && !has_turn(ctx, vm).await => {
            done.again = Again::After(again(&uid));
            None
        }
        Some(status) => {
            let answer = if done.alone {
                ctx.api.apply_status_unchanged(vm, &status).await
            } else {
                ctx.api.apply_status(vm, &status).await
            };
            match answer {
                Ok(written) => Some(written),
                // The failure itself is what counts.
                Err(error) if done.failed.is_some() => {
                    tracing::debug!(vm = %Key::of(vm), %error, "a failure could not be written down");
                    None
                }
                Err(error) if api::is_gone(&error) => None,
                Err(error) => return Err(Error::kubernetes("the status")(error)),
            }
        }
        None => None,
    };
    remember(learnt);
    if let Some(written) = &written {
        ctx.state.memory.note(&uid, |m| m.written = written.resource_version().map(|version| (version, moment)));
    }
    for effect in done.effects.drain(..) {
        tell(ctx, vm, written.as_ref(), &effect, moment);
    }
    if let Some(event) = done.event.take() {
        if event.warns {
            ctx.events.warn(vm, event.reason, event.text).await;
        } else {
            ctx.events.note(vm, event.reason, event.text).await;
        }
    }
    Ok(written)
}

/// Waits until it is the PilotVM's turn to say why it waits; `false`: that is too long.
async fn has_turn(ctx: &Context, vm: &PilotVM) -> bool {
    let cloud = ctx.state.clouds.get(&Key::of(vm).beside(&vm.spec.cloud_ref.name));
    let turn = cloud.turns.take(Instant::now());
    if let Some(turn) = turn {
        sleep_until(turn).await;
    }
    turn.is_some()
}

/// Whether the status is another. Repeated failures cost no repeated writes: there a new reason is news.
fn is_news(vm: &PilotVM, status: &PilotVMStatus, failed: bool) -> bool {
    let reasons = |s: &PilotVMStatus| -> Vec<(String, String, String)> {
        s.conditions.iter().map(|c| (c.type_.clone(), c.status.clone(), c.reason.clone())).collect()
    };
    match &vm.status {
        Some(old) if failed => reasons(old) != reasons(status),
        Some(old) => old != status,
        None => true,
    }
}

fn tell(ctx: &Context, vm: &PilotVM, written: Option<&PilotVM>, effect: &Effect, moment: Instant) {
    let key = Key::of(vm);
    let (pool, cloud_key) = (key.beside(&vm.spec.pool_ref.name), key.beside(&vm.spec.cloud_ref.name));
    let installation = key.beside(&vm.spec.installation_ref.name);
    let (cloud, now) = (ctx.state.clouds.get(&cloud_key), ctx.clock.now());
    // As it is written down: where it was bought may be what this step has learnt.
    let vm = written.unwrap_or(vm);
    // What a cloud allows grew: more may be made for jobs that wait for that.
    let widened = || {
        let round = ctx.state.installations.get(&installation).facts().round;
        if round.is_some_and(|round| round.plan.unmet.iter().any(|unmet| unmet.reason == broker::plan::Reason::Ramp)) {
            ctx.bells.plan(&installation);
        }
    };
    match effect {
        Effect::Ordered(at) => {
            let mut planned = None;
            ctx.state.memory.note(&vm.uid().unwrap_or_default(), |m| planned = m.planned.take());
            if let Some(planned) = planned {
                ctx.metrics.ordered(at.duration_since(planned));
            }
        }
        Effect::Launched => ctx.metrics.launched(&pool),
        Effect::Ended { reason, wasted } => {
            ctx.metrics.ended(&pool, reason.as_str(), *wasted);
            let ended = vm.clone();
            ctx.state.ended.with(|all| {
                let of = all.entry(installation.clone()).or_default();
                if of.len() < MOST_ENDED {
                    of.push(ended);
                }
            });
        }
        Effect::Spent(seconds) => {
            if let Some(price) = place(vm).1 {
                let stores = &ctx.state.stores;
                let (of, beside) = (stores.clouds.get(&cloud_key), stores.vos.within(&key.namespace));
                let currency = currency(of.as_deref(), &beside).unwrap_or_default();
                ctx.metrics.spent(&pool, currency, price.micros(), *seconds);
            }
        }
        Effect::Lived { seconds, reclaimed } => {
            let lot = lot_of(&ctx.state, vm);
            cloud.lived(&lot, *seconds, *reclaimed, now);
            // What is taken back shows that there is hardly room.
            if *reclaimed {
                cloud.refused(&lot, Scope::Offer, ordered(vm), now);
            }
        }
        Effect::JobsGivenBack(jobs) => ctx.metrics.jobs_given_back(&pool, *jobs),
        Effect::Refused(scope) => {
            let refused = refused(vm, *scope, || lots_of(&ctx.state, vm), || lot_of(&ctx.state, vm));
            refused.iter().for_each(|(lot, scope)| cloud.refused(lot, *scope, ordered(vm), now));
        }
        Effect::PassedOver => {
            let bought = lot_of(&ctx.state, vm);
            let before = lots_of(&ctx.state, vm).into_iter().take_while(|lot| *lot != bought);
            before.for_each(|lot| cloud.refused(&lot, Scope::Offer, ordered(vm), now));
        }
        Effect::NotAnswered(error) => cloud.not_answered(Question::Launch, error, moment),
        Effect::NeverAsked => cloud.never_asked(&lot_of(&ctx.state, vm), ordered(vm), now),
        Effect::Asked => {
            let lot = lot_of(&ctx.state, vm);
            cloud.granted(&vm.uid().unwrap_or_default(), &lot, ordered(vm), now);
            cloud.asked(&lot, now);
            widened();
        }
        Effect::Accepted => {
            cloud.accepted(&lot_of(&ctx.state, vm), now);
            widened();
        }
        Effect::Granted => {
            cloud.granted(&vm.uid().unwrap_or_default(), &lot_of(&ctx.state, vm), ordered(vm), now);
            widened();
        }
        Effect::NotSupply => {
            if let Some(version) = written.and_then(ResourceExt::resource_version) {
                ctx.state.expectations.expect(&installation, key.clone(), &vm.uid().unwrap_or_default(), &version);
            }
        }
        Effect::Poll => ctx.bells.poll(&cloud_key),
        Effect::Plan => ctx.bells.plan(&installation),
    }
}

/// What was refused with a VM, and how far. Of an order that names several zones each has refused; which of them meant a whole zone nobody
/// knows, and a wider refusal is one of the cloud.
fn refused(
    vm: &PilotVM,
    scope: Scope,
    named: impl FnOnce() -> Vec<Lot>,
    own: impl FnOnce() -> Lot,
) -> Vec<(Lot, Scope)> {
    let mut lots = if launched(vm).is_some() { vec![own()] } else { named() };
    let scope = if lots.len() > 1 && scope == Scope::Zone { Scope::Offer } else { scope };
    if matches!(scope, Scope::Class | Scope::Cloud) {
        lots.truncate(1);
    }
    lots.into_iter().map(|lot| (lot, scope)).collect()
}
