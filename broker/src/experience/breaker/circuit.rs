//! What a breaker is about, how VMs come to nothing, and what people are told while it is open.

use std::sync::Arc;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::experience::Lot;

/// VMs that are made alike, for the same jobs.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Circuit {
    /// PilotPool object.
    pub pool: Arc<str>,
    /// Where the VMs are bought, and what boots on them.
    pub lot: Lot,
    /// VirtualOrganization object.
    pub vo: Arc<str>,
    /// What the jobs need: a text that stays the same over restarts.
    pub profile: Arc<str>,
}

/// How a VM came to nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Outcome {
    /// Its pilot asked for work and never got a job, though jobs of its class waited all the time.
    NeverMatched,
    /// Its jobs died within [`A_LIFE`](super::A_LIFE) seconds, and none lived.
    JobsDied,
    /// Its pilot never asked for work.
    NeverAsked,
}

impl Outcome {
    /// All outcomes, for whoever counts each of them.
    pub const ALL: [Self; 3] = [Self::NeverMatched, Self::JobsDied, Self::NeverAsked];

    /// The word, in CamelCase. It never changes: alerts are written with it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::NeverMatched => "NeverMatched",
            Self::JobsDied => "JobsDied",
            Self::NeverAsked => "NeverAsked",
        }
    }

    /// What happened, and where to look.
    fn sentence(self) -> &'static str {
        match self {
            Self::NeverMatched => {
                "asked for work and got no job while jobs waited: DIRAC does not give these jobs to them (site mask, platform, CPU time, tags)"
            }
            Self::JobsDied => {
                "got jobs that died within two minutes: look at the jobs' logs, and at what the image lacks"
            }
            Self::NeverAsked => "never asked for work: look at their console logs",
        }
    }
}

/// Why a breaker is open, and when the next VM tries.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Opened {
    /// The outcome that opened it; of the last VM that tried, when that came to nothing in another way.
    pub by: Outcome,
    /// When it opened.
    pub since: Timestamp,
    /// When one VM tries.
    pub until: Timestamp,
    /// VMs that came to nothing, one after the other.
    pub in_a_row: u32,
    /// When the present pause began.
    pub(super) began: Timestamp,
    /// How many pauses there were since it opened.
    pub(super) pauses: u32,
}

impl Opened {
    /// The sentence for people: what happened, and when the next VM is made.
    pub fn message(&self, circuit: &Circuit) -> String {
        let Circuit { pool, lot, vo, profile } = circuit;
        format!(
            "the last {} VMs of pool {pool} with flavor {} on cloud {} for jobs of VO {vo} ({profile}) {}; since {:.0} one VM at a time is \
             made, the next at {:.0}",
            self.in_a_row,
            lot.flavor,
            lot.cloud,
            self.by.sentence(),
            self.since,
            self.until
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_words_with_which_alerts_are_written_stay() {
        assert_eq!(Outcome::ALL.map(Outcome::as_str), ["NeverMatched", "JobsDied", "NeverAsked"]);
    }
}
