//! The outcome of each step, from the answer of whoever was asked. Pure.

mod lost;

use std::time::Duration;

use broker::{
    cloud::{CloudError, Coming, Disposition, End, Scope, Vm, VmState, pace::resting},
    pilot::rows::{PilotRow, PilotStatus, RowsError},
};
use crds::{ConditionType, Reason, pool::Purchase};
use jiff::Timestamp;

use super::{
    Error,
    done::{Again, Done, Effect, Learnt},
    observed::{Machine, Observed},
    record::{MadeFrom, Record},
};
use crate::{
    amounts::{seconds, seconds_between},
    ending::{Blame, Ending, Why},
    known::{
        cloud::Announced,
        memory::{Answer, Call, Drain, Found, Tried},
    },
    life::{self, announced, launched, other_zones, ran},
    names::LET_GO,
};

pub use lost::{jobs_given_back, jobs_left, jobs_not_given_back};

fn record(o: &Observed<'_>) -> Record {
    Record::of(o.vm, o.now)
}

fn provider_status<'a>(o: &'a Observed<'_>) -> Option<&'a str> {
    match &o.machine {
        Machine::Present(vm) => Some(&vm.provider_status),
        Machine::Gone | Machine::Missing | Machine::Unknown => None,
    }
}

/// What is needed is not there yet.
pub fn not_ready(o: &Observed<'_>, type_: ConditionType, error: Error) -> Done {
    let status = record(o).waits(type_, error.reason(), &error.to_string()).finish();
    Done::failed(error, status)
}

/// Somebody made the PilotVM by hand, for a pool that does not exist.
pub fn no_pool(o: &Observed<'_>) -> Done {
    let text = format!(
        "PilotPool {:?} does not exist, so no VM is made: only the operator makes PilotVMs; delete this one, or create the pool",
        o.vm.spec.pool_ref.name
    );
    not_ready(o, ConditionType::Launched, Error::NotReady(text))
}

/// What somebody overwrote is put back.
pub fn mended(o: &Observed<'_>) -> Done {
    Done::record(record(o).mended(o.vm.metadata.uid.as_deref().unwrap_or_default()).finish())
}

pub fn registered(o: &Observed<'_>, answer: Result<(), RowsError>) -> Done {
    match answer {
        Ok(()) => Done::now().learns(Learnt { is_registered: true, ..Learnt::default() }),
        Err(source) => not_ready(o, ConditionType::Registered, Error::Row { what: "registered", source }),
    }
}

/// Nothing is sent to the cloud for this time, so that no attempt begins.
pub fn rests(o: &Observed<'_>, left: Duration) -> Done {
    not_ready(o, ConditionType::Launched, Error::Cloud { what: "make the VM", source: resting("it", left) })
}

/// The attempt is to be written down. Whoever was faster began another.
pub fn begins(o: &Observed<'_>, n: u32, from: MadeFrom) -> Done {
    let tried = Some(Tried { n, call: Call::Begun });
    let done = Done::record(record(o).begins(n, from).finish()).learns(Learnt { tried, ..Learnt::default() });
    Done { alone: true, ..done }
}

/// What follows when the cloud was asked to make the VM: `n` is the attempt.
pub fn created(o: &Observed<'_>, n: u32, repeated: bool, answer: Result<Vm, CloudError>) -> Done {
    let over = |done: Done| done.learns(Learnt { tried: Some(Tried { n, call: Call::Over }), ..Learnt::default() });
    let error = match answer {
        Ok(machine) => {
            let took = if machine.state == VmState::Active { Effect::Granted } else { Effect::Accepted };
            let done = adopted(o, &machine).with([took]);
            let learnt = Learnt { tried: Some(Tried { n, call: Call::Over }), ..done.learnt.clone() };
            return done.learns(learnt);
        }
        Err(error) => error,
    };
    let waits =
        |source: CloudError| not_ready(o, ConditionType::Launched, Error::Cloud { what: "make the VM", source });
    let doubt = match o.call() {
        Some(Call::InDoubt(until)) => until,
        _ => None,
    };
    let in_doubt =
        |until: Option<Timestamp>| Learnt { tried: Some(Tried { n, call: Call::InDoubt(until) }), ..Learnt::default() };
    match error.disposition() {
        Disposition::LookUntil(until) => waits(error).learns(in_doubt(doubt.max(Some(until)))),
        // A look that could not be made leaves the doubt, and so does one that was made too early.
        Disposition::Retry if repeated && (matches!(error, CloudError::Conflict(_)) || doubt > Some(o.now)) => {
            waits(error).learns(in_doubt(doubt))
        }
        Disposition::RetryAfter(_) if repeated => waits(error).learns(in_doubt(doubt)),
        Disposition::Retry | Disposition::RetryAfter(_) => over(waits(error)),
        Disposition::Elsewhere(_) => over(ended(o, &Ending::failed(&error, false), None, Some(&error))),
        Disposition::GiveUp | Disposition::Gone => {
            let refused = matches!(error, CloudError::Unauthorized(_)).then(|| Effect::NotAnswered(error.clone()));
            // A credential that may read and not make VMs would else be tried at every round.
            let effects = [Effect::Refused(Scope::Offer), Effect::Poll].into_iter().chain(refused);
            let mut done = ended(o, &Ending::failed(&error, false), None, Some(&error));
            done.effects.retain(|effect| !matches!(effect, Effect::Refused(_) | Effect::NeverAsked));
            over(done.with(effects))
        }
    }
}

/// This VM is the PilotVM's.
pub fn adopted(o: &Observed<'_>, machine: &Vm) -> Done {
    let status = record(o).launched(o.vm, machine).finish();
    let learnt = Learnt { touched: launched(o.vm).is_none(), ..Learnt::default() };
    let done = Done::record(status).learns(learnt);
    if launched(o.vm).is_some() {
        return done;
    }
    let wish = &o.vm.spec.offering;
    let zone = machine.bought.as_ref().and_then(|bought| bought.zone.as_deref());
    // As Spot the provider may prefer a zone that comes later.
    let passed_over = wish.purchase == Purchase::OnDemand && zone.is_some_and(|zone| other_zones(o.vm).contains(&zone));
    let place =
        zone.filter(|_| zone != wish.zone.as_deref()).map_or_else(String::new, |zone| format!(" in zone {zone}"));
    let text = format!("VM {} ({}{place}): {}", machine.id, wish.flavor, o.vm.spec.reason);
    done.with([Effect::Launched, Effect::Poll]).with(passed_over.then_some(Effect::PassedOver)).tells(
        false,
        Reason::Launched,
        text,
    )
}

/// The pilot asks for work, perhaps with a job.
pub fn running(o: &Observed<'_>) -> Done {
    let done = Done::record(record(o).running(o.had_job(), o.idle_since, provider_status(o)).finish());
    if ran(o.vm) {
        return done;
    }
    done.with([Effect::Asked]).tells(false, Reason::Running, "the pilot asks DIRAC for work")
}

pub fn row_written(o: &Observed<'_>, status: PilotStatus, answer: Result<(), Error>) -> Done {
    if let Err(error) = answer {
        return not_ready(o, ConditionType::Registered, error);
    }
    let mut said = record(o);
    said.pilot(status);
    let done = Done::record(said.finish()).learns(Learnt { row_written: true, ..Learnt::default() });
    // No news of the row comes of it.
    Done { again: Again::After(Duration::from_secs(60)), ..done }
}

pub fn row_read(at: Timestamp, answer: Result<Vec<PilotRow>, RowsError>) -> Done {
    match answer {
        Ok(rows) => Done::now().learns(Learnt { row: Some((at, rows.into_iter().next())), ..Learnt::default() }),
        Err(source) => Done { failed: Some(Error::Row { what: "read", source }), ..Done::default() },
    }
}

/// The provider answered a question for this very VM. Only an explicit "no such thing" proves its absence.
pub fn asked(o: &Observed<'_>, at: Timestamp, answer: Result<Option<Vm>, CloudError>) -> Done {
    let times = o.remembered.answer.as_ref().map_or(0, |a| a.times.saturating_add(1));
    let knows =
        |found: Found| Learnt { answer: Some(Answer { at, moment: o.moment, times, found }), ..Learnt::default() };
    match answer {
        Ok(None) => Done::now().learns(knows(Found::Nothing)),
        Ok(Some(vm)) => Done::now().learns(knows(Found::Present(Box::new(vm)))),
        Err(error) => {
            let learnt = knows(Found::Unclear(error.to_string()));
            let pause = learnt.answer.as_ref().map_or(Duration::from_secs(60), |a| a.again().duration_since(o.moment));
            let said = if Ending::recorded(o.vm).is_some() {
                waits_for_cloud(o, &error.to_string())
            } else {
                missing(o, &error.to_string())
            };
            Done { again: Again::After(pause), ..said.learns(learnt) }
        }
    }
}

/// Lists lack the VM.
pub fn missing(o: &Observed<'_>, why: &str) -> Done {
    let text = format!(
        "the lists of cloud {} lack the VM, and nobody has proved that it is gone: it counts as alive, and is asked for ({why})",
        o.vm.spec.cloud_ref.name
    );
    Done::record(record(o).missing(&text).finish())
}

/// The provider announced that it takes the VM away, or stops it. Nothing is done to the VM: its jobs may still end in time.
pub fn leaves(o: &Observed<'_>, notice: Announced) -> Done {
    let what = match notice.what {
        Coming::Reclaim => "takes the VM back",
        Coming::Rebalance => "would rather have the VM elsewhere and may take it back",
        Coming::Maintenance => "stops the VM for work on its host",
    };
    let text = format!(
        "cloud {} announced that it {what} at {}: no job is planned onto the VM, and what runs there goes on",
        o.vm.spec.cloud_ref.name, notice.at
    );
    let reason = announced(notice.what);
    Done::record(record(o).leaves(reason, &text).finish())
        .with([Effect::NotSupply, Effect::Plan])
        .tells(true, reason, text)
}

/// The VM drains, or does not any more.
pub fn drains(o: &Observed<'_>, drain: &Drain) -> Done {
    match drain {
        Drain::Begins(reason, text) => {
            let is_news = life::drains(o.vm).is_none();
            let done = Done::record(record(o).drains(true, *reason, text).finish());
            let told = format!("the VM takes no planned jobs and goes when it has none: {text}");
            if is_news { done.tells(false, Reason::Draining, told) } else { done }
        }
        Drain::Stops => {
            let text = "what it drained for is gone: it works on";
            Done::record(record(o).drains(false, Reason::NotDraining, text).finish()).tells(
                false,
                Reason::NotDraining,
                text,
            )
        }
    }
}

/// The provider's lists have the VM again.
pub fn found(o: &Observed<'_>) -> Done {
    Done::record(record(o).found().finish())
}

/// The provider says that the VM is gone, and that may be believed, or not.
pub fn lost(o: &Observed<'_>, may_lose: bool) -> Done {
    if may_lose {
        // Where the provider does not say that somebody deleted it, it took the VM back, as it may.
        let is_told = matches!(&o.machine, Machine::Present(vm) if vm.state == VmState::Ended(End::Deleted));
        let is_reclaimed = life::is_spot(o.vm) && !is_told;
        let ending = if is_reclaimed { Ending::reclaimed(ran(o.vm)) } else { Ending::vanished(ran(o.vm)) };
        return ended(o, &ending, None, None);
    }
    let text = format!(
        "the provider says that there is no such VM, and too many VMs of cloud {} are missing at once to believe it: see the condition \
         Frozen of the cloud",
        o.vm.spec.cloud_ref.name
    );
    let status = record(o).waits(ConditionType::Ready, Reason::MassLoss, &text).finish();
    Done { again: Again::After(Duration::from_secs(20)), ..Done::record(status) }
}

/// The life has ended; `console` is the ConfigMap that keeps its log. `said`: what the provider
/// has just answered.
pub fn ended(o: &Observed<'_>, ending: &Ending, console: Option<String>, said: Option<&CloudError>) -> Done {
    let failure = match &o.machine {
        Machine::Present(vm) => match &vm.state {
            VmState::Ended(End::Failed(error)) => Some(error),
            _ => None,
        },
        _ => None,
    };
    let blame = match ending.blame() {
        Blame::Refused if said.or(failure).is_some() => Some(Effect::Refused(scope(said.or(failure)))),
        // A pilot that went after its idle timeout has asked, as far as anybody can tell, and while nobody can ask none does.
        Blame::Failed if o.asking.is_none() || had_time_to_idle(o, ending) => None,
        Blame::Failed => Some(Effect::NeverAsked),
        // It was refused to another VM, which has said so.
        Blame::Refused | Blame::Nothing => None,
    };
    let status = record(o).ended(ending, console.clone(), provider_status(o)).finish();
    let wasted = launched(o.vm).is_some() && !o.had_job();
    let spent = launched(o.vm).map(|since| Effect::Spent(o.now.duration_since(since).as_secs_f64()));
    let lived = launched(o.vm)
        .filter(|_| life::is_spot(o.vm))
        .map(|since| Effect::Lived { seconds: seconds_between(since, o.now), reclaimed: ending.why == Why::Reclaimed });
    let is_trouble = ending.why.is_trouble();
    let kept = console.map_or_else(String::new, |name| format!("; its console log is kept in ConfigMap {name}"));
    Done::record(status)
        .with([Effect::NotSupply, Effect::Ended { reason: ending.why.reason(), wasted }])
        .with(spent.into_iter().chain(lived).chain(blame))
        .with(is_trouble.then_some(Effect::Plan))
        .tells(is_trouble, ending.why.event(), format!("{}: {}{kept}", ending.why.reason(), ending.message))
}

/// Whether a VM that stopped by itself was there for as long as an idle pilot goes on asking.
fn had_time_to_idle(o: &Observed<'_>, ending: &Ending) -> bool {
    let long_enough = |since: Timestamp| o.now.duration_since(since) >= seconds(o.vm.spec.idle_timeout);
    ending.why == Why::NeverRan && launched(o.vm).is_some_and(long_enough)
}

/// How far a refusal reaches.
pub fn scope(error: Option<&CloudError>) -> Scope {
    match error {
        Some(CloudError::NoCapacity { scope, .. } | CloudError::Quota { scope, .. }) => *scope,
        _ => Scope::Offer,
    }
}

pub fn taken_away(o: &Observed<'_>, answer: Result<(), CloudError>) -> Done {
    match answer {
        Err(source) if source.disposition() != Disposition::Gone => {
            let said = waits_for_cloud(o, &source.to_string());
            Done { failed: Some(Error::Cloud { what: "delete the VM", source }), ..said }
        }
        Ok(()) | Err(_) => Done { again: Again::Rung, ..Done::default() }
            .learns(Learnt { touched: true, delete_asked: true, ..Learnt::default() })
            .with([Effect::Poll]),
    }
}

/// The VM is not known to be gone, and the object says what it waits for and how to let go.
pub fn waits_for_cloud(o: &Observed<'_>, why: &str) -> Done {
    let text = format!(
        "the VM is not known to be gone from cloud {}: {why}; it is tried again; to let go of a VM that nobody will delete, annotate the \
         PilotVM with {LET_GO}=true and delete it",
        o.vm.spec.cloud_ref.name
    );
    let status = record(o).waits(ConditionType::Ready, Reason::WaitsForCloud, &text).finish();
    Done { again: Again::After(Duration::from_secs(60)), waits: true, ..Done::record(status) }
}

pub fn row_closed(o: &Observed<'_>, answer: Result<(), Error>) -> Done {
    match answer {
        Ok(()) => Done::now().learns(Learnt { row_closed: true, row_written: true, ..Learnt::default() }),
        Err(error) => {
            let text = format!("the VM is gone; {error}");
            let status = record(o).waits(ConditionType::Ready, Reason::WaitsForDirac, &text).finish();
            Done::failed(error, status).learns(Learnt { row_not_closed: true, ..Learnt::default() })
        }
    }
}

/// The row of a deleted installation is left.
pub fn row_left() -> Done {
    Done::now().learns(Learnt { row_closed: true, ..Learnt::default() }).tells(
        true,
        Reason::RowLeft,
        "its installation is deleted and its DIRAC does not answer: the pilot's row is not closed, and DIRAC drops it in its time",
    )
}

/// A pause holds the PilotVM, or none does any more.
pub fn paused(o: &Observed<'_>, by: Option<&str>) -> Done {
    Done::record(record(o).paused(by).finish())
}
