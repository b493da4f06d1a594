//! The next step of a PilotVM whose VM was made and has not ended: is it there, does its pilot ask, has it jobs, does it hang?

use std::time::Duration;

use broker::{
    cloud::{End, VmState},
    pilot::rows::PilotStatus,
};
use crds::PilotVM;
use jiff::{SignedDuration, Timestamp};
use kube::ResourceExt;

use super::{super::record::Record, Machine, Observed, Step, is_ask_due, until_asked};
use crate::{
    ending::Ending,
    known::memory::Drain,
    life::{announced, deadline, drains, hard_limit, idle_limit, is_late, is_spot, leaves, ran, served},
    names::labels,
};

/// Rows not touched for three days are closed by DIRAC's PilotStatusAgent: ours are touched daily.
const TOUCH_ROW_AFTER: SignedDuration = SignedDuration::from_hours(20);
/// A row that was read longer ago proves nothing about a pilot that might just have got a job.
const ROW_IS_FRESH: SignedDuration = SignedDuration::from_secs(10);
/// A pilot that had a job and has none for this time is said to be idle: short gaps between two jobs are no news.
const SAYS_IDLE_AFTER: SignedDuration = SignedDuration::from_mins(5);
/// A VM that cannot be asked for now is looked at again after this time.
const ASKS_NOT_BEFORE: Duration = Duration::from_secs(5);
/// Labels are put back at most this often.
const LABELS_AGAIN_AFTER: Duration = Duration::from_secs(60);

/// The next step while the VM has not ended.
pub fn alive(o: &Observed<'_>) -> Step {
    let status = o.vm.status.as_ref();
    match &o.machine {
        Machine::Present(vm) => match &vm.state {
            // A pilot that ends in order has no job: where a cloud takes VMs back by stopping them, those with jobs tell.
            VmState::Ended(End::PoweredOff) if is_spot(o.vm) && has_jobs(o) => {
                return Step::End(Ending::reclaimed(ran(o.vm)));
            }
            VmState::Ended(End::PoweredOff) => return Step::End(Ending::halted(ran(o.vm) || o.has_asked())),
            VmState::Ended(End::Failed(error)) => return Step::End(Ending::failed(error, ran(o.vm))),
            VmState::Ended(End::Reclaimed) => return Step::End(Ending::reclaimed(ran(o.vm))),
            VmState::Deleting | VmState::Ended(End::Deleted) => return Step::Lose,
            VmState::Unknown if status.is_some_and(|s| s.missing_since.is_none()) => return Step::SayMissing,
            VmState::Building | VmState::Active | VmState::Unknown => {}
        },
        Machine::Gone => return Step::Lose,
        Machine::Missing if is_ask_due(o) => return Step::Ask,
        Machine::Missing | Machine::Unknown => {}
    }
    if let Some(notice) = o.notice.filter(|notice| leaves(o.vm) != Some(announced(notice.what))) {
        return Step::SayLeaving(notice);
    }
    if let Some(drain) = o.remembered.drain.as_ref().filter(|drain| !is_said(o.vm, drain)) {
        return Step::SayDrain(drain.clone());
    }
    if is_news_of_jobs(o) {
        return Step::RecordRunning;
    }
    if let Machine::Present(vm) = &o.machine
        && vm.state != VmState::Unknown
        && status.is_some_and(|s| s.missing_since.is_some())
    {
        return Step::SayFound;
    }
    let step = if !ran(o.vm) {
        if row_is_behind(o) { Step::WriteRow(PilotStatus::Waiting) } else { boot(o) }
    } else if let Some(step) = hung(o) {
        step
    } else {
        match touch_due(o) {
            Some(due) if due <= o.now => Step::WriteRow(PilotStatus::Running),
            due => Step::Wait(due.into_iter().chain([limit(o)]).chain(said_idle_at(o)).min()),
        }
    };
    match (step, &o.machine) {
        (Step::Wait(_), _) if !has_labels(o) => Step::MendLabels,
        (Step::Wait(_), _) if is_bent(o) => Step::MendStatus,
        // What is missing is asked for again in time.
        (Step::Wait(_), Machine::Missing) => Step::Pause(until_asked(o).max(ASKS_NOT_BEFORE)),
        (step, _) => step,
    }
}

/// Whether its row shows that jobs run.
fn has_jobs(o: &Observed<'_>) -> bool {
    o.row.as_ref().and_then(|row| row.running).is_some_and(|jobs| jobs > 0)
}

/// Whether what was decided on the drain is written down.
fn is_said(vm: &PilotVM, drain: &Drain) -> bool {
    match drain {
        Drain::Stops => drains(vm).is_none(),
        Drain::Begins(reason, text) => drains(vm) == Some((reason.as_str(), text.as_str())),
    }
}

/// Whether it has its labels, or was given them a moment ago: whoever takes them off each time is not followed at once.
fn has_labels(o: &Observed<'_>) -> bool {
    let has = |(label, value): (&String, &String)| o.vm.labels().get(label) == Some(value);
    let is_just_mended =
        o.remembered.labelled.is_some_and(|at| o.moment.saturating_duration_since(at) < LABELS_AGAIN_AFTER);
    is_just_mended || labels(&o.vm.spec).iter().all(has)
}

/// Whether somebody overwrote what follows from the rest of the status.
fn is_bent(o: &Observed<'_>) -> bool {
    Some(Record::of(o.vm, o.now).mended(&o.vm.uid().unwrap_or_default()).finish()) != o.vm.status
}

/// Whether the row shows what the status does not say: that the pilot asks, had a job, has had none for a while, or has one again.
fn is_news_of_jobs(o: &Observed<'_>) -> bool {
    let has_one_again = o.row.as_ref().and_then(|row| row.running).is_some_and(|jobs| jobs > 0);
    let is_said = o.vm.status.as_ref().is_some_and(|s| s.idle_since.is_some());
    match (ran(o.vm), served(o.vm)) {
        (false, _) if o.has_asked() => true,
        (_, false) => o.had_job(),
        (true, true) if is_said => has_one_again,
        (true, true) => said_idle_at(o).is_some_and(|at| at <= o.now),
        (false, true) => false,
    }
}

/// When it is to be written down that a pilot which had a job has none any more, where that is not written.
fn said_idle_at(o: &Observed<'_>) -> Option<Timestamp> {
    let is_said = o.vm.status.as_ref().is_some_and(|s| s.idle_since.is_some());
    o.idle_since.filter(|_| !is_said).map(|since| since + SAYS_IDLE_AFTER)
}

/// When a guest that goes on as it does counts as one that hangs.
fn limit(o: &Observed<'_>) -> Timestamp {
    let hard = hard_limit(o.vm);
    match asks_since(o) {
        Some(since) if !o.had_job() => idle_limit(o.vm, since).min(hard),
        // That a pilot which had a job has none any more must be shown by its row: what is unknown is not nothing.
        Some(since) => o.idle_since.map_or(hard, |idle| idle_limit(o.vm, idle.max(since)).min(hard)),
        None => hard,
    }
}

/// Since when the pilot could have had a job: it asked, and the Matcher was there.
fn asks_since(o: &Observed<'_>) -> Option<Timestamp> {
    let since = o.vm.status.as_ref()?.running_since.as_ref()?.0;
    Some(since.max(o.asking?))
}

/// The end of a guest that does not stop by itself. A pilot is ended when it has been without a job for too long: it never had one, or
/// its row shows that none runs any more. Where the row tells which jobs it got and not whether one runs, it is ended only when none can
/// be within its time. Whatever DIRAC cannot tell now is not concluded.
fn hung(o: &Observed<'_>) -> Option<Step> {
    if o.now <= limit(o) {
        return None;
    }
    if o.now > hard_limit(o.vm) {
        return Some(Step::End(Ending::hard_limit(o.vm)));
    }
    let fresh = o.rows_read.is_some_and(|read| o.now.duration_since(read) < ROW_IS_FRESH);
    match &o.row {
        Some(_) if fresh => Some(Step::End(Ending::silent(o.vm))),
        // An absent row proves nothing, and to ask for it again at once would not help.
        None if fresh => Some(Step::Pause(Duration::from_secs(60))),
        _ => Some(Step::ReadRow),
    }
}

/// The VM exists, and its row does not say so: it was just made, or the row, read after the last time we wrote it, is behind.
fn row_is_behind(o: &Observed<'_>) -> bool {
    let submitted = PilotStatus::Submitted;
    let ours = o.vm.status.as_ref().and_then(|s| s.pilot_status.as_deref());
    (ours == Some(submitted.as_str()) && o.remembered.row_written.is_none())
        || (o.row.as_ref().is_some_and(|r| r.status == submitted) && o.remembered.row_written < o.rows_read)
}

/// When the row must be touched again; nothing where it was not read.
fn touch_due(o: &Observed<'_>) -> Option<Timestamp> {
    let idle = i64::try_from(o.row.as_ref()?.idle_seconds?).unwrap_or(0);
    let touched = o.rows_read? - SignedDuration::from_secs(idle.min(TOUCH_ROW_AFTER.as_secs()));
    Some(o.remembered.row_written.map_or(touched, |ours| ours.max(touched)) + TOUCH_ROW_AFTER)
}

fn boot(o: &Observed<'_>) -> Step {
    let deadline = deadline(o.vm);
    if o.now <= deadline {
        Step::Wait(Some(deadline))
    } else if is_late(o.vm, o.rows_read, o.asking, o.now) {
        Step::End(Ending::never_booted(o.vm))
    } else {
        // Every reading of the rows wakes it.
        Step::Wait(None)
    }
}
