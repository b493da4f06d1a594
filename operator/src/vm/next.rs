//! The next step in a PilotVM's life: pure, from what was observed.
//!
//! Finalizer on; attempt written down; row registered; VM made or adopted; the row says Running before the boot deadline; an end
//! (halted, failed, proven gone, given back, never booted, hung); VM taken away and proven gone; row closed; object deleted;
//! finalizer off.

use std::time::Duration;

use broker::{
    cloud::{End, Vm, VmState},
    pilot::rows::PilotStatus,
};
use crds::{ConditionType, PilotVM};
use jiff::{SignedDuration, Timestamp};
use kube::ResourceExt;

pub use super::observed::{Machine, Observed};
use super::record::Record;
use crate::{
    ending::Ending,
    known::{
        cloud::Announced,
        memory::{Call, Found},
    },
    life::{announced, deadline, hard_limit, idle_limit, is_late, launched, leaves, ran, served},
    names::{VM_FINALIZER, deleting, holds, labels, let_go},
};

/// Rows not touched for three days are closed by DIRAC's PilotStatusAgent: ours are touched daily.
const TOUCH_ROW_AFTER: SignedDuration = SignedDuration::from_hours(20);
/// A deletion that the provider accepted and did not carry out is asked for again.
const DELETE_AGAIN_AFTER: Duration = Duration::from_secs(60);
/// A deletion that takes longer is said.
const DELETES_WITHIN: SignedDuration = SignedDuration::from_mins(3);
/// An order is sent within this time after its attempt was written down, or not at all: whoever took over meanwhile counts on it.
const ORDERED_WITHIN: SignedDuration = SignedDuration::from_secs(10);
/// After this time an order of which nobody knows how it went has been carried out, or will not be (see `CloudError::Unclear`).
const CARRIED_OUT_WITHIN: SignedDuration = SignedDuration::from_mins(5);
/// A row that was read longer ago proves nothing about a pilot that might just have got a job.
const ROW_IS_FRESH: SignedDuration = SignedDuration::from_secs(10);
/// A pilot that had a job and has none for this time is said to be idle: short gaps between two jobs are no news.
const SAYS_IDLE_AFTER: SignedDuration = SignedDuration::from_mins(5);
/// A VM that cannot be asked for now is looked at again after this time.
const ASKS_NOT_BEFORE: Duration = Duration::from_secs(5);
/// A row of a deleted installation that cannot be closed for this time is left as it is.
const CLOSES_ROW_WITHIN: Duration = Duration::from_secs(600);

/// Labels are put back at most this often.
const LABELS_AGAIN_AFTER: Duration = Duration::from_secs(60);

/// What to do next.
#[derive(Clone, Debug, PartialEq)]
pub enum Step {
    /// Put the finalizer on.
    AddFinalizer,
    /// Register the pilot's row.
    Register,
    /// Write down that this attempt to make the VM begins.
    Begin(u32),
    /// Have the VM made by this attempt; with `repeated` it may have been called before, and is only looked for.
    Create { n: u32, since: Timestamp, repeated: bool },
    /// Write down the VM that was found: an attempt of which nobody knew made it.
    Adopt(Box<Vm>),
    /// Write down that the pilot asks for work, and whether it has a job.
    RecordRunning,
    /// Write this into the row: what it does not say yet, or what it says already so that DIRAC does not think the pilot lost.
    WriteRow(PilotStatus),
    /// Read the row, since what was read is too old to end a VM by.
    ReadRow,
    /// Ask the provider for this very VM: by its id, or by its owner where no id was written down.
    Ask,
    /// Write down what the provider announced.
    SayLeaving(Announced),
    /// Write down that lists lack the VM, and that it counts as alive.
    SayMissing,
    /// Write down that it is found again.
    SayFound,
    /// The provider says that there is no such VM: end it, unless too many go at once.
    Lose,
    /// Keep the console log where it helps, and write the end down.
    End(Ending),
    /// Delete the VM with this id.
    TakeAway(String),
    /// Say that the provider does not finish the deletion.
    SayDeleting,
    /// Close the row so.
    CloseRow(PilotStatus),
    /// Leave the row of a deleted installation as it is, and say so.
    LeaveRow,
    /// Delete the object.
    DeleteObject,
    /// Take the finalizer off.
    Release,
    /// Take the finalizer off and leave everything else: the administrator said so.
    LetGo,
    /// Say that its pool does not exist: nothing is made for it.
    SayNoPool,
    /// Put back labels that somebody took off or changed.
    MendLabels,
    /// Put back what somebody took out of the status and what follows from the rest.
    MendStatus,
    /// Say that a pause holds this PilotVM.
    SayPaused(String),
    /// Say that no pause holds it any more.
    SayGoesOn,
    /// Wait for a list that knows, and say so where none can come.
    AwaitList,
    /// Wait for a list, a row, a change; at most until then.
    Wait(Option<Timestamp>),
    /// Wait for so long at most.
    Pause(Duration),
}

impl Step {
    /// Whether it makes or takes away, which a pause forbids.
    fn is_held_by_a_pause(&self) -> bool {
        match self {
            Self::End(ending) => ending.is_decided(),
            Self::Register
            | Self::Begin(_)
            | Self::Create { .. }
            | Self::TakeAway(_)
            | Self::CloseRow(_)
            | Self::LeaveRow
            | Self::DeleteObject
            | Self::Release => true,
            _ => false,
        }
    }
}

/// The next step.
pub fn next(o: &Observed<'_>) -> Step {
    let step = unpaused(o);
    let said = o.vm.status.as_ref().is_some_and(|s| ConditionType::Paused.holds(&s.conditions));
    match &o.paused {
        Some(_) if step.is_held_by_a_pause() && said => Step::Pause(Duration::from_secs(20)),
        Some(by) if step.is_held_by_a_pause() => Step::SayPaused(by.clone()),
        None if said && !matches!(step, Step::Release | Step::LetGo) => Step::SayGoesOn,
        _ => step,
    }
}

fn unpaused(o: &Observed<'_>) -> Step {
    let held = holds(o.vm, VM_FINALIZER);
    if deleting(o.vm) && !held {
        return Step::Wait(None);
    }
    if deleting(o.vm) && let_go(o.vm) {
        return Step::LetGo;
    }
    match Ending::recorded(o.vm) {
        Some(ending) => afterwards(o, &ending),
        None if deleting(o.vm) => Step::End(Ending::given_back(o.remembered.surplus.as_deref(), ran(o.vm))),
        None if !held => Step::AddFinalizer,
        None if launched(o.vm).is_none() => before(o),
        None => alive(o),
    }
}

/// A launch that is late is given up, unless an attempt at it is in doubt: a VM may come of that one, and is adopted.
fn before(o: &Observed<'_>) -> Step {
    if let Machine::Present(vm) = &o.machine
        && vm.state != VmState::Deleting
        && vm.is_held()
    {
        return Step::Adopt(vm.clone());
    }
    let doubted = matches!(o.call(), Some(Call::InDoubt(_)));
    if !doubted && o.now > deadline(o.vm) {
        return Step::End(Ending::never_launched(o.vm));
    }
    // Such a PilotVM was made by hand. One whose pool was deleted meanwhile is drained by the pools' loop.
    if !o.has_pool && o.attempt().is_none() {
        return Step::SayNoPool;
    }
    match (o.attempt(), o.call()) {
        // One in doubt is looked for although DIRAC may be away.
        (Some((n, since)), Some(Call::InDoubt(_))) => Step::Create { n, since, repeated: true },
        // DIRAC has no unique key for rows: only whoever wrote the attempt down looks for the row and adds it, so that two operators
        // that both lead add no second one.
        (Some(_), Some(Call::Begun)) if !o.remembered.is_registered => Step::Register,
        (Some((n, since)), Some(Call::Begun)) if o.now.duration_since(since) < ORDERED_WITHIN => {
            Step::Create { n, since, repeated: false }
        }
        // Nobody was called with it: it may begin again.
        (Some((n, _)), Some(Call::Begun)) => Step::Begin(n),
        (Some((n, _)), Some(Call::Over)) => Step::Begin(n.saturating_add(1)),
        (Some(_), None) | (None, _) => Step::Begin(1),
    }
}

fn alive(o: &Observed<'_>) -> Step {
    let status = o.vm.status.as_ref();
    match &o.machine {
        Machine::Present(vm) => match &vm.state {
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

fn is_ask_due(o: &Observed<'_>) -> bool {
    o.cloud_away.is_none() && until_asked(o).is_zero()
}

fn until_asked(o: &Observed<'_>) -> Duration {
    o.remembered.answer.as_ref().map_or(Duration::ZERO, |answer| answer.again().saturating_duration_since(o.moment))
}

fn afterwards(o: &Observed<'_>, ending: &Ending) -> Step {
    match &o.machine {
        Machine::Present(vm) if vm.state == VmState::Deleting => deletes(o),
        // A provider may show a VM for a while that is gone.
        Machine::Present(vm) if !vm.is_held() => gone(o, ending),
        Machine::Present(vm) => match o.remembered.delete_asked.map(|asked| asked + DELETE_AGAIN_AFTER) {
            Some(again) if o.moment < again => Step::Pause(again.duration_since(o.moment)),
            _ => Step::TakeAway(vm.id.clone()),
        },
        Machine::Gone => match may_come_until(o) {
            Some(until) if o.now > until => Step::Ask,
            Some(until) => Step::Wait(Some(until)),
            None => gone(o, ending),
        },
        // A VM that was written down is asked for once the list lacks it; of one that was not, lists know too little.
        Machine::Unknown if launched(o.vm).is_some() => Step::AwaitList,
        Machine::Missing | Machine::Unknown if o.cloud_away.is_some() => Step::AwaitList,
        Machine::Missing | Machine::Unknown if is_ask_due(o) => Step::Ask,
        Machine::Missing | Machine::Unknown => Step::Pause(until_asked(o)),
    }
}

/// Until when an order of which nobody knows the outcome may still make a VM; nothing once a look from after that time found none.
fn may_come_until(o: &Observed<'_>) -> Option<Timestamp> {
    let (None, Some((_, since)), Some(Call::InDoubt(until))) = (launched(o.vm), o.attempt(), o.call()) else {
        return None;
    };
    let over = until.unwrap_or(since).max(since + CARRIED_OUT_WITHIN);
    let looked = o.remembered.answer.as_ref().filter(|a| a.found == Found::Nothing).map(|a| a.at);
    looked.is_none_or(|at| at <= over).then_some(over)
}

fn deletes(o: &Observed<'_>) -> Step {
    let ended =
        o.vm.status.as_ref().and_then(|s| ConditionType::Ended.among(&s.conditions)).map(|c| c.last_transition_time.0);
    match ended.map(|ended| ended + DELETES_WITHIN) {
        Some(slow) if o.now <= slow => Step::Wait(Some(slow)),
        _ => Step::SayDeleting,
    }
}

fn gone(o: &Observed<'_>, ending: &Ending) -> Step {
    if !o.remembered.row_closed {
        let tried = o.remembered.row_tried.map(|since| o.moment.duration_since(since));
        return match tried {
            Some(long) if o.installation_gone && long > CLOSES_ROW_WITHIN => Step::LeaveRow,
            _ => Step::CloseRow(ending.row),
        };
    }
    if deleting(o.vm) { Step::Release } else { Step::DeleteObject }
}

/// Whether the object asks for something else than when it failed last.
pub fn wish_of(vm: &PilotVM) -> crate::known::memory::Wish {
    (vm.metadata.generation, deleting(vm), let_go(vm))
}
