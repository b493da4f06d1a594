//! What came of giving back the jobs of a VM that is gone. Pure.

use broker::pilot::{lost::GivenBack, rows::RowsError};
use crds::{ConditionType, Reason};

use super::{
    super::{
        Error,
        done::{Done, Effect, Learnt},
        observed::Observed,
    },
    record,
};

/// What DIRAC had on the pilot waits for others again, or not all of it.
pub fn jobs_given_back(o: &Observed<'_>, answer: Result<GivenBack, RowsError>) -> Done {
    let back = answer.unwrap_or_else(|error| GivenBack { why: Some(error), ..GivenBack::default() });
    let is_over = back.why.is_none() && back.undone.is_empty();
    let learnt = Learnt { jobs_settled: is_over, undone: Some(back.undone.clone()), ..Learnt::default() };
    let done = if is_over {
        Done::now()
    } else {
        let why = back.why.as_ref().map_or("DIRAC accepted the order and did not carry it out", |error| &error.message);
        jobs_not_given_back(o, why)
    };
    let mut done = done.learns(learnt);
    if !back.given.is_empty() {
        done = done.with([Effect::JobsGivenBack(back.given.len() as u64), Effect::Plan]);
    }
    let failed = match &back.failed[..] {
        [] => String::new(),
        failed => format!("{} had been rescheduled as often as DIRAC does (MaxRescheduling), and failed", jobs(failed)),
    };
    match (&back.given[..], failed) {
        ([], failed) if failed.is_empty() => done,
        ([], failed) => done.tells(true, Reason::JobsNotGivenBack, failed),
        (given, failed) if failed.is_empty() => done.tells(
            false,
            Reason::JobsGivenBack,
            format!("{} of the lost VM: DIRAC gives them to others", jobs(given)),
        ),
        (given, failed) => done.tells(
            true,
            Reason::JobsGivenBack,
            format!("{} of the lost VM: DIRAC gives them to others; {failed}", jobs(given)),
        ),
    }
}

/// Jobs of the pilot could not be given back, and that is tried again.
pub fn jobs_not_given_back(o: &Observed<'_>, why: &str) -> Done {
    let error = Error::Jobs(why.to_owned());
    let text = format!("the VM is gone; {error}");
    let status = record(o).waits(ConditionType::Ready, error.reason(), &text).finish();
    Done::failed(error, status)
}

/// What may still be on the pilot is left to DIRAC.
pub fn jobs_left(o: &Observed<'_>) -> Done {
    let which = match &o.remembered.undone[..] {
        [] => "which jobs it had is not known".to_owned(),
        undone => jobs(undone),
    };
    let reference = o.vm.status.as_ref().and_then(|status| status.pilot_reference.as_deref()).unwrap_or_default();
    let text = format!(
        "jobs of the lost VM are not given back, since that could not be done for too long: {which}; the row of pilot {reference} lists all \
         that it got, and DIRAC's StalledJobAgent finds those that are lost"
    );
    Done::now().learns(Learnt { jobs_settled: true, ..Learnt::default() }).tells(true, Reason::JobsNotGivenBack, text)
}

/// Numbers of jobs for people: an event has room for a thousand characters.
fn jobs(all: &[u64]) -> String {
    const NAMED: usize = 30;
    let named: Vec<String> = all.iter().take(NAMED).map(u64::to_string).collect();
    let more = all.len().saturating_sub(NAMED);
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    format!("{} {}{more}", if all.len() == 1 { "job" } else { "jobs" }, named.join(", "))
}
