//! Takes one step of a PilotVM's life: the thin edge between the decision and the world.

use std::{sync::Arc, time::Duration};

use broker::{
    clock::moment,
    cloud::{CloudError, Disposition, End, Scope, VmState},
    pilot::rows::PilotStatus,
};
use crds::{PilotVM, condition, vm::PilotVMStatus};
use jiff::Timestamp;
use kube::{ResourceExt, runtime::controller::Action};

use super::{
    Error, Observed, Record, Step, console,
    launch::{self, Launched},
};
use crate::{
    api,
    context::Context,
    crash::crash_point,
    ending::{Blame, Ending},
    known::{cloud, listing::Machine, place::Lot},
    life::{launched, ran},
    names::{Key, VM_FINALIZER, deleting},
};

/// Takes the step and says when to look again.
pub async fn take(ctx: &Context, o: &Observed<'_>, step: Step) -> Result<Action, Error> {
    match step {
        Step::Wait(until) => return Ok(wait(until, o.now)),
        Step::AddFinalizer => {
            crash_point("finalizer");
            let written = ctx.api.hold(o.vm, VM_FINALIZER, true).await.map_err(Error::kubernetes("the finalizer"))?;
            remember(ctx, &written);
        }
        Step::Launch => launch(ctx, o).await?,
        Step::RecordRunning => record_running(ctx, o).await?,
        Step::WriteRow(status) => return write_row(ctx, o, status).await,
        Step::End(ending) => end(ctx, o, &ending).await?,
        Step::AwaitList => return Ok(await_list(ctx, o).await),
        Step::Look => return look(ctx, o).await,
        Step::TakeAway(id) => take_away(ctx, o, &id).await?,
        Step::Finish(row) => finish(ctx, o, row).await?,
        Step::LetGo => let_go(ctx, o.vm).await?,
    }
    Ok(Action::await_change())
}

/// Writes what the row does not say; looked at again shortly, for no news of the row comes of it.
async fn write_row(ctx: &Context, o: &Observed<'_>, status: PilotStatus) -> Result<Action, Error> {
    let why = if status == PilotStatus::Waiting { launch::EXISTS } else { "still running" };
    set_row(ctx, o.vm, status, why).await?;
    ctx.state.memory.note(&uid(o.vm), |m| m.row_written = Some(ctx.clock.now()));
    let mut said = Record::of(o.vm, o.now);
    said.pilot(status);
    record(ctx, o.vm, said.finish(), "the pilot's state").await?;
    Ok(Action::requeue(Duration::from_secs(60)))
}

fn uid(vm: &PilotVM) -> String {
    vm.uid().unwrap_or_default()
}

fn wait(until: Option<Timestamp>, now: Timestamp) -> Action {
    match until {
        Some(until) => {
            let left = Duration::try_from(until.duration_since(now)).unwrap_or_default();
            Action::requeue(left + Duration::from_secs(1))
        }
        None => Action::await_change(),
    }
}

fn remember(ctx: &Context, written: &PilotVM) {
    ctx.state.memory.note(&uid(written), |m| m.written = written.resource_version());
}

async fn record(ctx: &Context, vm: &PilotVM, status: PilotVMStatus, what: &'static str) -> Result<(), Error> {
    if vm.status.as_ref() == Some(&status) {
        return Ok(());
    }
    let written = ctx.api.apply_status(vm, &status).await.map_err(Error::kubernetes(what))?;
    remember(ctx, &written);
    Ok(())
}

fn provider_status<'a>(o: &Observed<'a>) -> Option<&'a str> {
    match o.machine {
        Machine::Present(vm) => Some(&vm.provider_status),
        Machine::Missing | Machine::Unknown => None,
    }
}

async fn launch(ctx: &Context, o: &Observed<'_>) -> Result<(), Error> {
    match launch::launch(ctx, o.vm).await {
        Ok(Launched::Made(machine, row)) => {
            let now = ctx.clock.now();
            ctx.state.memory.note(&uid(o.vm), |m| {
                m.touched = Some(now);
                if row == PilotStatus::Waiting {
                    m.row_written = Some(now);
                }
            });
            crash_point("record-vm");
            let mut made = Record::of(o.vm, now).launched(&machine);
            made.pilot(row);
            record(ctx, o.vm, made.finish(), "the launch").await?;
            ctx.metrics.launched(&pool_of(o.vm));
            let text = format!("VM {} ({}): {}", machine.id, o.vm.spec.offering.flavor, o.vm.spec.reason);
            ctx.events.note(o.vm, "Launched", text).await;
            ctx.bells.poll(&cloud_key(o.vm));
            Ok(())
        }
        Ok(Launched::Refused(error)) => end(ctx, o, &Ending::failed(&error, false)).await,
        Ok(Launched::Unfit(ending)) => end(ctx, o, &ending).await,
        Err(error) => {
            let type_ = if matches!(error, Error::Row { .. }) { condition::REGISTERED } else { condition::LAUNCHED };
            let status = Record::of(o.vm, o.now).waits(type_, error.reason(), &error.to_string()).finish();
            record_trouble(ctx, o.vm, status, type_).await;
            Err(error)
        }
    }
}

/// Writes a failure down when its reason is a new one: repeated failures cost no repeated writes.
async fn record_trouble(ctx: &Context, vm: &PilotVM, status: PilotVMStatus, type_: &str) {
    let reason = |s: &PilotVMStatus| condition::get(&s.conditions, type_).map(|c| c.reason.clone());
    if vm.status.as_ref().and_then(reason) == reason(&status) {
        return;
    }
    if let Err(error) = record(ctx, vm, status, "the failure").await {
        tracing::debug!(vm = %Key::of(vm), %error, "a failure could not be written down");
    }
}

async fn record_running(ctx: &Context, o: &Observed<'_>) -> Result<(), Error> {
    let has_job = o.row.is_some_and(|r| r.current_job > 0);
    let first = !ran(o.vm);
    crash_point("record-running");
    record(ctx, o.vm, Record::of(o.vm, o.now).running(has_job, provider_status(o)).finish(), "the pilot's state")
        .await?;
    if first {
        cloud_of(ctx, o.vm).worked(&Lot::of(o.vm));
        ctx.events.note(o.vm, "Running", "the pilot asks DIRAC for work").await;
    }
    Ok(())
}

/// How far the refusal reaches that the provider's list tells of.
fn scope(o: &Observed<'_>) -> Scope {
    let Machine::Present(vm) = o.machine else { return Scope::Offer };
    match &vm.state {
        VmState::Ended(End::Failed(CloudError::NoCapacity { scope, .. } | CloudError::Quota { scope, .. })) => *scope,
        _ => Scope::Offer,
    }
}

async fn end(ctx: &Context, o: &Observed<'_>, ending: &Ending) -> Result<(), Error> {
    let cloud = cloud_of(ctx, o.vm);
    let mut kept = None;
    if let (true, Machine::Present(machine), Some(driver)) =
        (ending.why.wants_console(), o.machine, cloud.facts().driver)
    {
        crash_point("keep-console");
        kept = console::keep(ctx, o.vm, driver.as_ref(), &machine.id).await;
    }
    let lot = Lot::of(o.vm);
    match ending.blame() {
        Blame::Nothing => {}
        Blame::Refused => cloud.refused(scope(o), &lot.place, moment()),
        Blame::Failed => cloud.failed(&lot, moment()),
    }
    crash_point("record-end");
    let status = Record::of(o.vm, o.now).ended(ending, kept.clone(), provider_status(o)).finish();
    record(ctx, o.vm, status, "the end").await?;
    let installation = Key::of(o.vm).beside(&o.vm.spec.installation_ref.name);
    if let Some(written) = ctx.state.memory.of(&uid(o.vm)).written {
        // The next round must not count this VM as supply.
        ctx.state.expectations.expect(&installation, Key::of(o.vm), &uid(o.vm), &written);
    }
    let served = o.vm.status.as_ref().is_some_and(|s| s.served_job) || o.row.is_some_and(|r| r.current_job > 0);
    if let (Some(since), Some(price)) = (launched(o.vm), o.vm.spec.offering.per_hour) {
        ctx.metrics.spent(&pool_of(o.vm), price.micros(), o.now.duration_since(since).as_secs_f64());
    }
    ctx.metrics.ended(&pool_of(o.vm), ending.why.word(), launched(o.vm).is_some() && !served);
    if ending.why.is_trouble() {
        let kept = kept.map_or_else(String::new, |name| format!("; its console log is kept in ConfigMap {name}"));
        ctx.events.warn(o.vm, "Ended", format!("{}: {}{kept}", ending.why.word(), ending.message)).await;
        ctx.bells.plan(&installation);
    } else {
        ctx.events.note(o.vm, "Ended", format!("{}: {}", ending.why.word(), ending.message)).await;
    }
    Ok(())
}

async fn look(ctx: &Context, o: &Observed<'_>) -> Result<Action, Error> {
    let Some(driver) = cloud_of(ctx, o.vm).facts().driver else {
        return Err(
            waits_for_cloud(ctx, o, "the cloud has no working driver, so nobody can say whether a VM exists").await
        );
    };
    match driver.find(&launch::owner(ctx, o.vm)).await {
        Ok(found) if found.is_empty() => {
            finish(ctx, o, PilotStatus::Aborted).await?;
            Ok(Action::await_change())
        }
        Ok(found) => {
            for machine in found {
                take_away(ctx, o, &machine.id).await?;
            }
            Ok(Action::requeue(Duration::from_secs(2)))
        }
        Err(source) => {
            waits_for_cloud(ctx, o, &source.to_string()).await;
            Err(Error::Cloud { what: "look for the VM", source })
        }
    }
}

async fn take_away(ctx: &Context, o: &Observed<'_>, id: &str) -> Result<(), Error> {
    let cloud = cloud_of(ctx, o.vm);
    let Some(driver) = cloud.facts().driver else {
        return Err(waits_for_cloud(ctx, o, "the cloud has no working driver").await);
    };
    crash_point("delete-vm");
    match driver.delete(id).await {
        Err(source) if source.disposition() != Disposition::Gone => {
            waits_for_cloud(ctx, o, &source.to_string()).await;
            return Err(Error::Cloud { what: "delete the VM", source });
        }
        Ok(()) | Err(_) => {}
    }
    let now = ctx.clock.now();
    ctx.state.memory.note(&uid(o.vm), |m| {
        m.touched = Some(now);
        m.delete_asked = Some(now);
    });
    ctx.bells.poll(&cloud_key(o.vm));
    Ok(())
}

/// A list wakes the PilotVM. Where the cloud gives none, the object says what it waits for.
async fn await_list(ctx: &Context, o: &Observed<'_>) -> Action {
    let facts = cloud_of(ctx, o.vm).facts();
    let why = match (&facts.driver, &facts.refused) {
        (None, _) => Some("it has no working driver".to_owned()),
        (Some(_), Some(error)) => Some(error.to_string()),
        (Some(_), None) => None,
    };
    if let Some(why) = why {
        waits_for_cloud(ctx, o, &why).await;
    }
    Action::requeue(Duration::from_secs(60))
}

/// Says in a condition what the finalizer waits for, and how to let go.
async fn waits_for_cloud(ctx: &Context, o: &Observed<'_>, why: &str) -> Error {
    let cloud = &o.vm.spec.cloud_ref.name;
    let text = format!(
        "the VM is not known to be gone from cloud {cloud}: {why}; it is tried again; to let go of a VM that \
         nobody will delete, annotate the PilotVM with {}=true and delete it",
        crate::names::LET_GO
    );
    let status = Record::of(o.vm, o.now).waits(condition::READY, "WaitsForCloud", &text).finish();
    record_trouble(ctx, o.vm, status, condition::READY).await;
    Error::NotReady(text)
}

async fn set_row(ctx: &Context, vm: &PilotVM, status: PilotStatus, why: &str) -> Result<(), Error> {
    let key = Key::of(vm).beside(&vm.spec.installation_ref.name);
    match ctx.state.installations.get(&key).facts().rows {
        Some(rows) => rows
            .set_status(&launch::new_pilot(vm), status, why)
            .await
            .map_err(|source| Error::Row { what: "written", source }),
        None if ctx.state.stores.installations.get(&key).is_none() => {
            let text =
                format!("installation {key} is gone: the pilot's row cannot be closed, and DIRAC drops it in its time");
            ctx.events.warn(vm, "RowLeft", text).await;
            Ok(())
        }
        None => Err(Error::NotReady(format!("installation {key} cannot be reached to write the pilot's row"))),
    }
}

async fn close_row(ctx: &Context, o: &Observed<'_>, row: PilotStatus, why: &str) -> Result<(), Error> {
    crash_point("close-row");
    if let Err(error) = set_row(ctx, o.vm, row, why).await {
        let text = format!("the VM is gone; {error}");
        let status = Record::of(o.vm, o.now).waits(condition::READY, "WaitsForDirac", &text).finish();
        record_trouble(ctx, o.vm, status, condition::READY).await;
        return Err(error);
    }
    ctx.state.memory.note(&uid(o.vm), |m| m.row_closed = true);
    Ok(())
}

async fn finish(ctx: &Context, o: &Observed<'_>, row: PilotStatus) -> Result<(), Error> {
    let message = Ending::recorded(o.vm).map_or_else(String::new, |e| format!("{}: {}", e.why.word(), e.message));
    if !o.remembered.row_closed {
        close_row(ctx, o, row, &message).await?;
    }
    if !deleting(o.vm) {
        crash_point("delete-pilotvm");
        match ctx.api.delete(o.vm).await {
            Err(error) if !api::is_gone(&error) => return Err(Error::kubernetes("the deletion")(error)),
            Ok(()) | Err(_) => {}
        }
        // The deletion comes back through the watch, and only the finalizer is left to do.
        return Ok(());
    }
    crash_point("remove-finalizer");
    release(ctx, o.vm).await
}

async fn let_go(ctx: &Context, vm: &PilotVM) -> Result<(), Error> {
    let text = "let go by annotation: its VM and its row, if any, are left as they are";
    ctx.events.warn(vm, "LetGo", text).await;
    ctx.metrics.ended(&pool_of(vm), "LetGo", false);
    release(ctx, vm).await
}

async fn release(ctx: &Context, vm: &PilotVM) -> Result<(), Error> {
    match ctx.api.hold(vm, VM_FINALIZER, false).await {
        Ok(_) => Ok(()),
        Err(error) if api::is_gone(&error) => Ok(()),
        Err(error) => Err(Error::kubernetes("the removal of the finalizer")(error)),
    }
}

fn pool_of(vm: &PilotVM) -> Key {
    Key::of(vm).beside(&vm.spec.pool_ref.name)
}

fn cloud_key(vm: &PilotVM) -> Key {
    Key::of(vm).beside(&vm.spec.cloud_ref.name)
}

fn cloud_of(ctx: &Context, vm: &PilotVM) -> Arc<cloud::Handle> {
    ctx.state.clouds.get(&cloud_key(vm))
}
