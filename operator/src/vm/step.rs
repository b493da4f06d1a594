//! Takes one step of a PilotVM's life: at most one outside call, whose answer `outcome` turns into what is written down.

use std::time::Duration;

use broker::{clock::Clock, cloud::Attempt, pilot::rows::PilotStatus};
use crds::{ConditionType, PilotVM, Reason};
use kube::ResourceExt;

use super::{
    Error, console,
    done::{Done, Effect, Learnt},
    launch::{self, NoOrder},
    next::Step,
    observed::{Machine, Observed},
    outcome,
};
use crate::{
    api::{self, Api},
    context::{Context, State},
    crash::crash_point,
    ending::Ending,
    errands::Errands,
    known::permits::{Act, Permit},
    names::{Key, VM_FINALIZER, labels},
};

/// What a row says when its pilot has a VM.
const EXISTS: &str = "the VM exists";
/// Whoever waits for a permit is rung, and looks after this time all the same. Of a wave of 20,000 most wait.
const LINE: Duration = Duration::from_secs(60);

/// Takes the step, with the permit that the one before has left.
pub async fn take(ctx: &Context, o: &Observed<'_>, step: Step, permit: Option<Permit>) -> Result<Done, Error> {
    match step {
        Step::AddFinalizer => {
            crash_point("finalizer");
            ctx.api.hold(o.vm, VM_FINALIZER, true).await.map_err(Error::kubernetes("the finalizer"))?;
            Ok(Done::default())
        }
        Step::MendLabels => {
            ctx.api.label(o.vm, &labels(&o.vm.spec)).await.map_err(Error::kubernetes("the labels"))?;
            Ok(Done::default().learns(Learnt { labelled: true, ..Learnt::default() }))
        }
        Step::End(ending) => Ok(end(ctx, o, &ending).await),
        Step::DeleteObject => {
            crash_point("delete-pilotvm");
            match ctx.api.delete(o.vm).await {
                Err(error) if !api::is_gone(&error) => Err(Error::kubernetes("the deletion")(error)),
                // The deletion comes back through the watch, and only the finalizer is left to do.
                Ok(()) | Err(_) => Ok(Done::default()),
            }
        }
        Step::Release => {
            crash_point("remove-finalizer");
            release(&ctx.api, o.vm).await.map(|()| Done::default())
        }
        Step::LetGo => {
            release(&ctx.api, o.vm).await?;
            let text = "let go by annotation: its VM and its row, if any, are left as they are";
            Ok(Done::default().with([Effect::Ended { reason: Reason::LetGo, wasted: false }]).tells(
                true,
                Reason::LetGo,
                text,
            ))
        }
        other => Ok(ask(&ctx.state, &ctx.clock, &ctx.errands, o, other, permit).await),
    }
}

/// Takes a step that needs no API server.
pub async fn ask(
    state: &State,
    clock: &Clock,
    errands: &Errands,
    o: &Observed<'_>,
    step: Step,
    permit: Option<Permit>,
) -> Done {
    match step {
        Step::Register => register(state, o).await,
        Step::Begin(n) => begin(state, o, n),
        Step::Create { n, since, repeated } => {
            create(state, clock, errands, o, Attempt { n, since, repeated, look_only: false }, permit).await
        }
        Step::Adopt(vm) => {
            crash_point("record-vm");
            outcome::adopted(o, &vm)
        }
        Step::RecordRunning => {
            crash_point("record-running");
            outcome::running(o)
        }
        Step::WriteRow(status) => {
            let why = if status == PilotStatus::Waiting {
                crash_point("row-waiting");
                EXISTS
            } else {
                "still running"
            };
            let Some(answer) = set_row(state, o.vm, status, why).await else { return Done::after(LINE) };
            outcome::row_written(o, status, answer)
        }
        Step::ReadRow => read_row(state, clock, o).await,
        Step::Ask => ask_provider(state, clock, o).await,
        Step::SayLeaving(notice) => outcome::leaves(o, notice),
        Step::SayDrain(drain) => outcome::drains(o, &drain),
        Step::SayMissing => outcome::missing(o, "the provider cannot say what it does"),
        Step::SayFound => outcome::found(o),
        Step::Lose => {
            let may = state.clouds.get(&cloud_key(o.vm)).may_lose(&o.vm.uid().unwrap_or_default(), o.moment);
            if may {
                crash_point("record-end");
            }
            outcome::lost(o, may)
        }
        Step::TakeAway(id) => {
            if state.clouds.get(&cloud_key(o.vm)).facts().driver.is_none() {
                return outcome::waits_for_cloud(o, "it has no working driver");
            }
            match delete(state, o, &id).await {
                Some(answer) => outcome::taken_away(o, answer),
                None => Done::after(LINE),
            }
        }
        Step::SayDeleting => outcome::waits_for_cloud(o, "the provider accepted the deletion and has not finished it"),
        Step::CloseRow(status) => {
            let why = Ending::recorded(o.vm).map_or_else(String::new, |e| format!("{}: {}", e.why.reason(), e.message));
            crash_point("close-row");
            match set_row(state, o.vm, status, &why).await {
                Some(answer) => outcome::row_closed(o, answer),
                None => Done::after(LINE),
            }
        }
        Step::LeaveRow => outcome::row_left(),
        Step::GiveJobsBack => give_jobs_back(state, o).await,
        Step::LeaveJobs => outcome::jobs_left(o),
        Step::SayNoPool => outcome::no_pool(o),
        Step::MendStatus => outcome::mended(o),
        Step::SayPaused(by) => outcome::paused(o, Some(&by)),
        Step::SayGoesOn => outcome::paused(o, None),
        Step::AwaitList => match &o.cloud_away {
            Some(why) => outcome::waits_for_cloud(o, why),
            None => Done::after(Duration::from_secs(60)),
        },
        Step::Wait(None) => Done::default(),
        Step::Wait(Some(until)) => {
            let left = Duration::try_from(until.duration_since(o.now)).unwrap_or_default();
            Done::after(left + Duration::from_secs(1))
        }
        Step::Pause(time) => Done::after(time + Duration::from_millis(100)),
        Step::AddFinalizer | Step::MendLabels | Step::End(_) | Step::DeleteObject | Step::Release | Step::LetGo => {
            Done::default()
        }
    }
}

async fn register(state: &State, o: &Observed<'_>) -> Done {
    // Nothing is registered for what cannot be ordered.
    if let Err(no) = launch::order(state, o.vm, Attempt { n: 1, since: o.now, repeated: false, look_only: false }) {
        return no_order(o, no);
    }
    let key = installation_key(o.vm);
    let installation = state.installations.get(&key);
    let facts = installation.facts();
    let Some(rows) = facts.rows else {
        let text = launch::away("installation", &key, facts.not_reached.as_ref());
        return outcome::not_ready(o, ConditionType::Registered, Error::NotReady(text));
    };
    let Some(_permit) = installation.permits.take(Act::Row, &Key::of(o.vm)) else { return Done::after(LINE) };
    crash_point("register-row");
    outcome::registered(o, rows.register(&launch::new_pilot(o.vm)).await)
}

fn no_order(o: &Observed<'_>, no: NoOrder) -> Done {
    match no {
        NoOrder::NotReady(error) => outcome::not_ready(o, ConditionType::Launched, error),
        NoOrder::Unfit(ending) => outcome::ended(o, &ending, None, None),
    }
}

/// What was planned may have been refused to another VM meanwhile.
fn begin(state: &State, o: &Observed<'_>, n: u32) -> Done {
    let cloud = state.clouds.get(&cloud_key(o.vm));
    // Who would have to wait does not begin: an attempt that is written down is made at once, with the same permit.
    let Some(permit) = cloud.permits.take(Act::Create, &Key::of(o.vm)) else { return Done::after(LINE) };
    if let Some(left) = cloud.facts().driver.and_then(|driver| driver.rests()) {
        return outcome::rests(o, left);
    }
    if o.attempt().is_none() && !cloud.may_order(&launch::lot_of(state, o.vm), o.now) {
        return outcome::ended(o, &Ending::refused_meanwhile(), None, None);
    }
    crash_point("record-attempt");
    Done { permit: Some(permit), ..outcome::begins(o, n, launch::made_from(state, o.vm, o.now)) }
}

async fn create(
    state: &State,
    clock: &Clock,
    errands: &Errands,
    o: &Observed<'_>,
    mut attempt: Attempt,
    permit: Option<Permit>,
) -> Done {
    // Who died may have written the attempt down and registered nothing: its order was never sent, and is not to be.
    attempt.look_only = attempt.repeated && !has_row(state, o).await;
    let cloud = state.clouds.get(&cloud_key(o.vm));
    let order = match launch::order(state, o.vm, attempt) {
        Ok(order) => order,
        // What is in doubt is not given up: a VM may come of it.
        Err(NoOrder::Unfit(ending)) if !attempt.repeated => return outcome::ended(o, &ending, None, None),
        Err(NoOrder::Unfit(ending)) => {
            return outcome::not_ready(o, ConditionType::Launched, Error::NotReady(ending.message));
        }
        Err(NoOrder::NotReady(error)) => return outcome::not_ready(o, ConditionType::Launched, error),
    };
    let Some(driver) = cloud.facts().driver else { return Done::after(LINE) };
    let permit = permit.or_else(|| cloud.permits.take(Act::Create, &Key::of(o.vm)));
    let Some(_permit) = permit else { return Done::after(LINE) };
    // A call that is cut off leaves its attempt in doubt.
    let doubt = o.remembered.tried.filter(|t| t.n == attempt.n).map(|t| t.call);
    let until = match doubt {
        Some(crate::known::memory::Call::InDoubt(until)) => until,
        _ => None,
    };
    state.memory.note(&order.owner.uid, |m| {
        m.tried = Some(crate::known::memory::Tried { n: attempt.n, call: crate::known::memory::Call::InDoubt(until) });
    });
    crash_point("create-vm");
    // An errand: an order that is cut off may still be carried out.
    let (errand, at) = ((driver, order), clock.now());
    let Some(answer) = errands.carry(async move { errand.0.create(&errand.1).await }).await else {
        return Done::after(LINE);
    };
    if answer.is_ok() {
        crash_point("record-vm");
    }
    let done = outcome::created(o, attempt.n, attempt.repeated, answer);
    let is_registered = done.learnt.is_registered || !attempt.look_only;
    let learnt = Learnt { is_registered, ..done.learnt.clone() };
    done.learns(learnt).with((!attempt.repeated).then_some(Effect::Ordered(at)))
}

/// Whether the pilot is known to have a row. Rows of PilotVMs that are not launched are read by nobody else.
async fn has_row(state: &State, o: &Observed<'_>) -> bool {
    if o.remembered.is_registered || o.row.is_some() {
        return true;
    }
    let Some(rows) = state.installations.get(&installation_key(o.vm)).facts().rows else { return false };
    rows.rows(&[launch::new_pilot(o.vm).reference]).await.is_ok_and(|rows| !rows.is_empty())
}

async fn read_row(state: &State, clock: &Clock, o: &Observed<'_>) -> Done {
    let installation = state.installations.get(&installation_key(o.vm));
    let Some(rows) = installation.facts().rows else { return Done::after(Duration::from_secs(60)) };
    let Some(_permit) = installation.permits.take(Act::Row, &Key::of(o.vm)) else { return Done::after(LINE) };
    let at = clock.now();
    outcome::row_read(at, rows.rows(&[launch::new_pilot(o.vm).reference]).await)
}

async fn ask_provider(state: &State, clock: &Clock, o: &Observed<'_>) -> Done {
    let cloud = state.clouds.get(&cloud_key(o.vm));
    let Some(driver) = cloud.facts().driver else { return outcome::waits_for_cloud(o, "it has no working driver") };
    let Some(_permit) = cloud.permits.take(Act::Ask, &Key::of(o.vm)) else { return Done::after(LINE) };
    let at = clock.now();
    let answer = match o.vm.status.as_ref().and_then(|s| s.provider_id.as_deref()) {
        Some(id) => driver.get(id).await,
        None => driver.find(&launch::owner(state, o.vm)).await.map(|vms| broker::cloud::keep(vms).map(|(vm, _)| vm)),
    };
    outcome::asked(o, at, answer)
}

async fn delete(state: &State, o: &Observed<'_>, id: &str) -> Option<Result<(), broker::cloud::CloudError>> {
    let cloud = state.clouds.get(&cloud_key(o.vm));
    let driver = cloud.facts().driver?;
    let _permit = cloud.permits.take(Act::Delete, &Key::of(o.vm))?;
    crash_point("delete-vm");
    Some(driver.delete(id).await)
}

/// Nothing: no permit.
async fn set_row(state: &State, vm: &PilotVM, status: PilotStatus, why: &str) -> Option<Result<(), Error>> {
    let key = installation_key(vm);
    let installation = state.installations.get(&key);
    let Some(rows) = installation.facts().rows else {
        let text = format!("installation {key} cannot be reached to write the pilot's row");
        return Some(Err(Error::NotReady(text)));
    };
    let _permit = installation.permits.take(Act::Row, &Key::of(vm))?;
    let answer = rows.set_status(&launch::new_pilot(vm), status, why).await;
    Some(answer.map_err(|source| Error::Row { what: "written", source }))
}

async fn give_jobs_back(state: &State, o: &Observed<'_>) -> Done {
    let key = installation_key(o.vm);
    let installation = state.installations.get(&key);
    let Some(lost) = installation.facts().lost else {
        return outcome::jobs_not_given_back(o, &format!("installation {key} cannot be reached"));
    };
    let Some(_permit) = installation.permits.take(Act::Row, &Key::of(o.vm)) else { return Done::after(LINE) };
    outcome::jobs_given_back(o, lost.give_back(&launch::new_pilot(o.vm).reference).await)
}

async fn end(ctx: &Context, o: &Observed<'_>, ending: &Ending) -> Done {
    let mut kept = None;
    let cloud = ctx.state.clouds.get(&cloud_key(o.vm));
    if let (true, Machine::Present(machine), Some(driver)) =
        (ending.why.wants_console(), &o.machine, cloud.facts().driver)
        && let Some(_permit) = cloud.permits.take(Act::Ask, &Key::of(o.vm))
    {
        crash_point("keep-console");
        kept = console::keep(ctx, o.vm, driver.as_ref(), &machine.id).await;
    }
    crash_point("record-end");
    outcome::ended(o, ending, kept, None)
}

async fn release(api: &Api, vm: &PilotVM) -> Result<(), Error> {
    match api.hold(vm, VM_FINALIZER, false).await {
        Ok(_) => Ok(()),
        Err(error) if api::is_gone(&error) => Ok(()),
        Err(error) => Err(Error::kubernetes("the removal of the finalizer")(error)),
    }
}

fn cloud_key(vm: &PilotVM) -> Key {
    Key::of(vm).beside(&vm.spec.cloud_ref.name)
}

fn installation_key(vm: &PilotVM) -> Key {
    Key::of(vm).beside(&vm.spec.installation_ref.name)
}
