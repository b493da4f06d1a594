//! What is lent: VMs that a VO has beyond its part of a limit (`part.rs`) are made for a while.
//!
//! A pilot cannot be told to stop, and one whose queue is deep would go on for days. So the pilot of a lent VM offers so little CPU time that
//! it takes jobs for about forty minutes: what is lent comes back by itself, without a job that is killed, and the VO that has least for its share
//! has it first (`share.rs`).

use super::{
    account::Number,
    books::Books,
    closing::{BEFORE_THE_FIRST_JOB, Cut, STOP_MARGIN, work},
    offer::Thought,
    ours::Ours,
    part::{Parts, Room},
    snapshot::Offering,
};

/// Seconds for which the pilot of a lent VM takes jobs, at least: its last jobs and a new VM's boot have the rest of an hour.
const TAKES_JOBS_FOR: u64 = 2_400;
/// It is so many times as long as the VM boots, and as its jobs run, where that was measured: what it costs to begin and to end is about a
/// tenth of the VM's life then.
const BOOTS: u64 = 10;
const RUNS: u64 = 4;
/// The power of a core where nobody says, in hundredths of DIRAC's unit. Usual cores have so much, or up to two and a half times that.
const USUAL_POWER: u64 = 1_000;
/// An agent that had a job ends when less than this is left of its CPU time: DIRAC's `MinimumTimeLeft` (`Agent/JobAgent.py`).
const MINIMUM_TIME_LEFT: u64 = 5_000;

/// CPU time that a lent VM offers, in normalised seconds, where its jobs ask for `asked` and run for `runs` seconds (0: unknown).
fn cpu_time(offering: &Offering, asked: u64, runs: u64) -> u64 {
    let boots = offering.measured.boot.unwrap_or(0).saturating_mul(BOOTS);
    let seconds = TAKES_JOBS_FOR.max(boots).max(runs.saturating_mul(RUNS));
    let passes = work(offering.power.unwrap_or(USUAL_POWER), seconds.saturating_add(STOP_MARGIN));
    asked.max(MINIMUM_TIME_LEFT).saturating_add(passes.saturating_sub(BEFORE_THE_FIRST_JOB))
}

/// VMs that were taken from the books.
pub struct Taken {
    pub vms: u64,
    /// How each is cut.
    pub cut: Option<Cut>,
    /// The account of which their VO has its part, where they are lent.
    pub lent: Option<Number>,
}

/// Whether a VM is there for longer than what is lent, where jobs of its class run for `runs` seconds (0: unknown).
pub fn stays(ours: &Ours<'_>, runs: u64) -> bool {
    let asked = ours.vm.lease.first().map_or(0, |lease| lease.class.cpu_time);
    ours.vm.cpu_time > cpu_time(&ours.vm.offering, asked, runs)
}

/// Takes up to `vms` such VMs, for which there is room, from all limits: first those that are within the VO's parts. `usual`: the CPU time
/// that a VM of the pool offers; `runs`: as in [`stays`].
pub fn take(
    (books, parts): (&mut Books<'_>, &mut Parts),
    thought: Thought<'_>,
    (usual, runs): (u64, u64),
    vms: u64,
) -> Taken {
    let (vo, offering) = (thought.vo, &**thought.offer.offering);
    let cpu_time = cpu_time(offering, thought.class.map_or(0, |class| class.cpu_time), runs);
    // A VM that ends as soon as it is needs no cut.
    if usual <= cpu_time {
        return Taken { vms, cut: books.take(thought, vms), lent: None };
    }
    let accounts = books.of_launch(thought);
    match parts.room(accounts.clone(), vo, offering) {
        Room::Own(room) => {
            let vms = vms.min(room);
            if room < u64::MAX {
                accounts.for_each(|n| parts.take(n, vo, offering, vms));
            }
            Taken { vms, cut: books.take(thought, vms), lent: None }
        }
        Room::Lent(account) => {
            let cut = match books.take(thought, vms) {
                None => Cut { cpu_time, until: None },
                // A VM that is to be gone has no allowance beside its CPU time.
                Some(cut) => Cut { cpu_time: cut.cpu_time.min(cpu_time.saturating_add(BEFORE_THE_FIRST_JOB)), ..cut },
            };
            Taken { vms, cut: Some(cut), lent: Some(account) }
        }
    }
}
