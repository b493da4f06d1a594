//! What is done about the jobs of a pilot whose VM is proven gone and whose row is closed. DIRAC does not know that their VM is gone, and
//! would find out after hours.

use crds::ConditionType;
use jiff::SignedDuration;

use super::{Observed, Step};
use crate::{
    ending::{Ending, Why},
    life::launched,
};

/// What a pilot said last may be written by DIRAC a moment later, where its VM stopped by itself: its last job may have ended well.
const SAYS_WITHIN: SignedDuration = SignedDuration::from_mins(2);
/// Jobs that cannot be given back for this time after the end are left to DIRAC.
const GIVES_BACK_WITHIN: SignedDuration = SignedDuration::from_hours(1);

/// The next step for its jobs; `None`: there is nothing to do, or nothing more.
pub fn jobs(o: &Observed<'_>, ending: &Ending) -> Option<Step> {
    if !o.gives_back || o.remembered.jobs_settled || !may_have_jobs(o, ending) {
        return None;
    }
    let ended = ended_at(o)?;
    if o.now > ended + GIVES_BACK_WITHIN || (o.installation_gone && o.remembered.attempts > 0) {
        return Some(Step::LeaveJobs);
    }
    let begins = ended + SAYS_WITHIN;
    let stopped = matches!(ending.why, Why::Idle | Why::NeverRan);
    Some(if stopped && o.now < begins { Step::Wait(Some(begins)) } else { Step::GiveJobsBack })
}

/// Whether DIRAC may have jobs on its pilot. What cannot be known now may be so: DIRAC is asked for many pilots at once.
fn may_have_jobs(o: &Observed<'_>, ending: &Ending) -> bool {
    match ending.why {
        // Such a job was beyond its time, and would be again.
        Why::HardLimit => false,
        // Nothing was taken from these, as long as their rows show it.
        Why::Idle | Why::NeverRan | Why::Surplus | Why::PilotSilent => {
            launched(o.vm).is_some() && o.row.as_ref().is_none_or(|row| row.running != Some(0))
        }
        _ => launched(o.vm).is_some(),
    }
}

fn ended_at(o: &Observed<'_>) -> Option<jiff::Timestamp> {
    let status = o.vm.status.as_ref()?;
    ConditionType::Ended.among(&status.conditions).map(|ended| ended.last_transition_time.0)
}
